"""What the numbers have to be, counted from the files of the archive without Metaxy.

Beside the store this keeps a book, `book.json`: for each sample what it was computed from (the very text of sound and pictures, no hashes),
and what came out. Each command below says what `metaxy` has to print for what was just done, and notes it in the book:

count.py done STORE FEATURE …                   each is computed, and what upstream no longer has is deleted
count.py rebased [--dry-run]                    rows are carried over, to the code version that features.toml has
count.py copied FROM TO                         rows are merged into another store
count.py pruned | forgotten [--dry-run]         superseded rows, or rows of old versions, are removed from store dev

Two compare, and say what differs: `count.py status STORE` reads `metaxy status --format json`, `count.py read STORE` the rows of all
features, each line with its feature before it.
"""

import hashlib
import json
import pathlib
import re
import sys

import steps

UPSTREAM = {
    "video": [],
    "video/crop": ["video"],
    "crop/embedding": ["video/crop"],
    "video/scenes": ["video"],
    "video/transcript": ["video"],
    "video/summary": ["video/transcript", "video/scenes"],
    "search/document": ["video/summary", "crop/embedding"],
}
# Whether a film without faces can be written as done.
EMPTY_IS_DONE = bool(list(steps.without_faces({"video": "000"})))


def counted(number, word="row"):
    return f"{number} {word}{'' if number == 1 else 's'}"


class Film:
    """A file, read here once more and in another way than the steps do."""

    def __init__(self, path):
        text = path.read_text()
        self.sound, self.pictures = text.rstrip("\n").split("\n", 1)
        self.whole = self.pictures.endswith("\nend")
        cuts = [line.split()[1:] for line in self.pictures.splitlines() if line.startswith("frame ")]
        self.text = self.sound.removeprefix("audio ")
        self.places = " ".join(cut[0] for cut in cuts)
        seen = sorted({face for cut in cuts for face in cut[1:]})
        self.crops = {face: " ".join(f"{face}@{cut[0]}" for cut in cuts if face in cut) for face in seen}


def films():
    return {path.stem: Film(path) for path in pathlib.Path("films").iterdir()}


def code_version(feature):
    """The code version in features.toml."""
    of_feature = pathlib.Path("features.toml").read_text().split(f'key = "{feature}"\n')[1].split("[[feature]]")[0]
    found = re.search(r'code_version = "(\w+)"|fields = \{ \w+ = "(\w+)" \}', of_feature)
    return found and (found[1] or found[2])


def version(feature):
    """What stands for the version of a feature: the code versions of it and of all that is upstream."""
    return " ".join([f"{feature}={code_version(feature)}"] + [version(up) for up in UPSTREAM[feature]])


class Store:
    """The book of one store: for each feature and version the latest row of each sample, with the times of all its rows."""

    def __init__(self, name, book):
        self.name = name
        self.tables = book.setdefault(name, {})
        self.book = book

    def table(self, feature):
        return self.tables.setdefault(feature, {}).setdefault(version(feature), {})

    def live(self, feature):
        """The samples that a read shows, by their IDs."""
        rows = self.table(feature).items()
        return {tuple(key.split(" ")): row for key, row in rows if not row["deleted"]}

    def has_only_others(self, feature):
        """Whether there are rows of other versions only."""
        return any(self.tables.get(feature, {}).values()) and not self.table(feature)

    def written_last(self, feature):
        """The samples of the other version that was written last."""
        others = [rows for of_version, rows in self.tables[feature].items() if rows and of_version != version(feature)]
        last = max(others, key=lambda rows: max(row["times"][-1] for row in rows.values()))
        return {key: row for key, row in last.items() if not row["deleted"]}

    def moment(self):
        self.book["moment"] = self.book.get("moment", 0) + 1
        return self.book["moment"]

    def put(self, feature, sample, moment, **row):
        table, key = self.table(feature), " ".join(sample)
        before = table.get(key, {"times": []})
        table[key] = {**before, "deleted": False, **row, "times": [*before["times"], moment]}

    # What is to be done

    def wanted(self, feature):
        """What each sample would be computed from, now. Of crops the sample is the film."""
        up = [self.live(other) for other in UPSTREAM[feature]]
        if feature == "video":
            return {(name,): [film.sound, film.pictures] for name, film in films().items()}
        if feature == "video/transcript":
            return {sample: row["out"]["audio"] for sample, row in up[0].items()}
        if feature in ["video/scenes", "video/crop"]:
            return {sample: row["out"]["frames"] for sample, row in up[0].items()}
        if feature == "crop/embedding":
            return {sample: row["out"]["pixels"] for sample, row in up[0].items() if sample[1]}
        if feature == "video/summary":
            return {sample: [up[0][sample]["of"], up[1][sample]["of"]] for sample in up[0].keys() & up[1].keys()}
        faces = {}
        for (video, _), row in sorted(up[1].items()):
            faces.setdefault(video, []).append(row["of"])
        return {sample: [row["of"], faces.get(sample[0], [])] for sample, row in up[0].items()}

    def todo(self, feature):
        """The samples that are new, stale and orphaned. Of crops the first two are films, and the last are crops."""
        wanted, there = self.wanted(feature), self.live(feature)
        orphaned = there.keys() - wanted.keys()
        if feature == "video/crop":
            # A film's state is that of the crops that were written last; older ones of other pictures have no film any more.
            last = {}
            for sample, row in sorted(there.items(), key=lambda item: item[1]["times"]):
                last[sample[:1]] = row
            orphaned = {sample for sample, row in there.items() if sample[:1] not in wanted or row["of"] != last[sample[:1]]["of"]}
            there = last
        if any(self.has_only_others(up) for up in UPSTREAM[feature]):
            # Nobody knows yet what there will be.
            orphaned = set()
        new = wanted.keys() - there.keys()
        stale = {sample for sample in wanted.keys() & there.keys() if wanted[sample] != there[sample]["of"]}
        return new, stale, orphaned

    # What is done

    def compute(self, feature):
        """Writes what a step makes of what is new or stale. Says how many rows these are, and which films are damaged."""
        new, stale, _ = self.todo(feature)
        wanted, moment, there = self.wanted(feature), self.moment(), films()
        written, damaged = 0, []
        for sample in sorted(new | stale):
            film = there.get(sample[0])
            if feature in ["video/scenes", "video/crop"] and not film.whole:
                damaged.append(sample[0])
                continue
            for done, out in self.outcomes(feature, sample, film):
                self.put(feature, done, moment, of=wanted[sample], out=out)
                written += 1
        return written, damaged

    def outcomes(self, feature, sample, film):
        if feature == "video":
            return [(sample, {"audio": film.sound, "frames": film.pictures})]
        if feature == "video/transcript":
            return [(sample, {"text": film.text})]
        if feature == "video/scenes":
            return [(sample, {"places": film.places})]
        if feature == "video/crop":
            if not film.crops and EMPTY_IS_DONE:
                return [((*sample, ""), {})]
            return [((*sample, face), {"pixels": pixels}) for face, pixels in film.crops.items()]
        up = [self.live(other) for other in UPSTREAM[feature]]
        if feature == "crop/embedding":
            return [(sample, {"vector": " ".join(sorted(up[0][sample]["out"]["pixels"].split())[::-1])})]
        if feature == "video/summary":
            text, places = up[0][sample]["out"]["text"].split(), up[1][sample]["out"]["places"].split()
            return [(sample, {"summary": f"{text[0]} in the {places[0]}"})]
        faces = [face for video, face in up[1] if video == sample[0]]
        return [(sample, {"words": up[0][sample]["out"]["summary"], "faces": len(faces)})]

    def delete(self, feature):
        """Marks what is orphaned. Says how many samples these are."""
        gone, moment = self.todo(feature)[2], self.moment()
        for sample in gone:
            self.put(feature, sample, moment, deleted=True)
        return len(gone)

    def merge(self, other, feature):
        """Takes the latest row of each sample over all versions. Says how many rows came, and how many were here."""
        latest = {}
        for of_version, rows in other.tables.get(feature, {}).items():
            for key, row in rows.items():
                if key not in latest or latest[key][1]["times"][-1] < row["times"][-1]:
                    latest[key] = of_version, row
        came = 0
        for key, (of_version, row) in latest.items():
            rows = self.tables.setdefault(feature, {}).setdefault(of_version, {})
            time, there = row["times"][-1], rows.get(key, {"times": []})
            if time in there["times"]:
                continue
            times = sorted([*there["times"], time])
            rows[key] = {**(row if times[-1] == time else there), "times": times}
            came += 1
        return came, len(latest) - came

    def forget(self, feature, superseded):
        """Removes all rows but the latest of each sample and version, or the rows of other versions. Says how many these are."""
        versions = self.tables[feature]
        if not superseded:
            old = [versions.pop(of_version) for of_version in list(versions) if of_version != version(feature)]
            return sum(len(row["times"]) for rows in old for row in rows.values())
        rows = [row for rows in versions.values() for row in rows.values()]
        extra = sum(len(row["times"]) - 1 for row in rows)
        for row in rows:
            del row["times"][:-1]
        return extra


def upstream(feature):
    return {other for up in UPSTREAM[feature] for other in [up, *upstream(up)]}


def expected_status(store):
    work, answer = {}, {}
    for feature in UPSTREAM:
        numbers = [None] * 3 if feature == "video" else [len(samples) for samples in store.todo(feature)]
        new, stale, orphaned = numbers
        work[feature] = any(numbers) or store.has_only_others(feature)
        waits_for = [up for up in UPSTREAM if up in upstream(feature) and work[up]]
        not_ready = any(store.has_only_others(up) for up in UPSTREAM[feature])
        state = "waits" if waits_for else "up_to_date"
        # What is orphaned may be wanted again once what is upstream is done.
        if (new or stale) and not not_ready or orphaned and not waits_for:
            state = "needs_work"
        samples = sum(1 for sample in store.live(feature) if sample[-1])
        answer[feature] = {
            "samples": samples, "new": new, "stale": stale, "orphaned": orphaned, "state": state, "waits_for": sorted(waits_for),
        }
    return answer


def listed(what, counts):
    """As digest.awk does it."""
    if any(counts.values()):
        yield f"{what}: " + ", ".join(f"{feature} {count}" for feature, count in counts.items() if count)


def version_of(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def differences(what, expected, found):
    """The first three."""
    names = [name for name in sorted(expected.keys() | found.keys()) if expected.get(name) != found.get(name)]
    for name in names[:3]:
        yield f"{what} {name}: the files say {expected.get(name)}, metaxy says {found.get(name)}"
    if names[3:]:
        yield f"{what}: {len(names) - 3} more differ"


def main(what, *arguments):
    path = pathlib.Path("book.json")
    book = json.loads(path.read_text()) if path.exists() else {}
    dry_run = "--dry-run" in arguments
    arguments = [argument for argument in arguments if argument != "--dry-run"]
    store = Store(arguments[0] if arguments else "dev", book)
    if what == "done":
        written, deleted, damaged = {}, {}, {}
        for feature in arguments[1:]:
            written[feature], damaged[feature] = store.compute(feature)
            deleted[feature] = store.delete(feature)
        yield from (f"{feature}: left out as damaged: {' '.join(films)}" for feature, films in damaged.items() if films)
        yield from listed("written", written)
        yield from listed("deleted", deleted)
    elif what == "rebased":
        would_be = "would be " if dry_run else ""
        for feature in ["video/transcript", "video/summary", "search/document"]:
            rows = store.written_last(feature)
            moment = store.moment()
            for key, row in rows.items():
                store.put(feature, key.split(" "), moment, of=row["of"], out=row["out"])
            _, stale, orphaned = map(len, store.todo(feature))
            number = len(rows)
            yield (
                f"{feature}: {number} of {counted(number, 'sample')} {would_be}carried over: "
                f"{number - stale - orphaned} current, {stale} stale, {orphaned} orphaned"
            )
    elif what == "copied":
        target = Store(arguments[1], book)
        counts = {feature: target.merge(store, feature) for feature in UPSTREAM}
        came, present = map(sum, zip(*counts.values()))
        there = f"; {counted(present)} {'was' if present == 1 else 'were'} there already" if present else ""
        yield f"{counted(came)} copied from store {store.name} to {target.name}{there}."
    elif what in ["pruned", "forgotten"]:
        counts = {feature: store.forget(feature, superseded=what == "pruned") for feature in UPSTREAM}
        yield from listed("to remove" if dry_run else "removed", counts)
    elif what == "status":
        found = {}
        for row in json.load(sys.stdin):
            found[row["feature"]] = {name: row[name] for name in ["samples", "new", "stale", "orphaned", "state"]}
            found[row["feature"]]["waits_for"] = sorted(row["waits_for"])
        yield from differences("status of", expected_status(store), found)
    elif what == "read":
        found = {feature: {} for feature in UPSTREAM}
        for feature, row in (line.split(" ", 1) for line in sys.stdin):
            row = json.loads(row)
            found[feature][tuple(row[name] for name in ["video", "face"] if row.get(name))] = row
        for feature, rows in found.items():
            expected = {sample: row["out"] for sample, row in store.live(feature).items() if sample[-1]}
            if feature == "video":
                expected = {sample: {name: version_of(text) for name, text in out.items()} for sample, out in expected.items()}
                rows = {sample: row["metaxy_provenance_by_field"] for sample, row in rows.items()}
            ours = {sample: {name: row.get(name) for name in expected.get(sample, row)} for sample, row in rows.items()}
            yield from differences(feature, expected, ours)
    else:
        sys.exit(__doc__)
    if not dry_run and what not in ["status", "read"]:
        path.write_text(json.dumps(book))


if __name__ == "__main__":
    for line in main(*sys.argv[1:]):
        print(line)
