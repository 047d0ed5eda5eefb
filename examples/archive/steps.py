"""The steps: steps.py FEATURE [--die-after N]. Rows of `metaxy resolve --end` come in, rows for `metaxy write` go out."""

import hashlib
import json
import os
import signal
import sys


class Damaged(Exception):
    """A film breaks off."""


def pictures(row):
    """The cuts of a film, each with its place and its faces."""
    with open(row["file"]) as film:
        lines = film.read().splitlines()
    if lines[-1] != "end":
        raise Damaged
    return [line.split()[1:] for line in lines if line.startswith("frame")]


def transcript(row):
    with open(row["file"]) as film:
        yield {**row, "text": film.readline().split(" ", 1)[1].strip()}


def scenes(row):
    yield {**row, "places": " ".join(place for place, *_ in pictures(row))}


def crops(row):
    faces = {}
    for place, *seen in pictures(row):
        for face in seen:
            faces.setdefault(face, []).append(f"{face}@{place}")
    if not faces:
        yield from without_faces(row)
        return
    del row["metaxy_data_version"]
    for face, places in sorted(faces.items()):
        pixels = " ".join(places)
        # The version of a crop is its own: where a film is cut anew and a face looks as before, nothing is to be done for it.
        version = hashlib.sha256(pixels.encode()).hexdigest()[:16]
        yield {**row, "face": face, "pixels": pixels, "metaxy_data_version_by_field": {"pixels": version}}


def without_faces(row):
    """What is written of a film without faces: it is done, until its pictures are others."""
    return [{**row, "metaxy_empty": True}]


def embedding(row):
    yield {**row, "vector": " ".join(sorted(row["pixels"].split(), reverse=True))}


def summary(row):
    yield {**row, "summary": row["text"].split()[0] + " in the " + row["places"].split()[0]}


class Documents:
    """A film has a row for each of its faces here, all with the same versions. They become one."""

    def __init__(self):
        self.rows = {}

    def __call__(self, row):
        document = self.rows.setdefault(row["video"], {**row, "words": row["summary"], "faces": 0})
        if row.get("vector") is not None:
            document["faces"] += 1
        return []

    def rest(self):
        for row in self.rows.values():
            row.pop("face", None), row.pop("vector", None)
            yield row


STEPS = {
    "video/transcript": transcript,
    "video/scenes": scenes,
    "video/crop": crops,
    "crop/embedding": embedding,
    "video/summary": summary,
    "search/document": Documents(),
}


def main(feature, option=None, number=None):
    step = STEPS[feature]
    die_after = int(number) if option == "--die-after" else None
    damaged = []
    for number, line in enumerate(sys.stdin):
        if number == die_after:
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        row = json.loads(line)
        if "metaxy_end" in row:
            # The rows are all, and so is what was made of them. Without this line nothing is written.
            for left in step.rest() if hasattr(step, "rest") else []:
                print(json.dumps(left))
            print(line, end="")
            continue
        try:
            for done in list(step(row)):
                print(json.dumps(done))
        except Damaged:
            damaged.append(row["video"])
    if damaged:
        print(f"{feature}: left out as damaged: {' '.join(sorted(damaged))}", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
