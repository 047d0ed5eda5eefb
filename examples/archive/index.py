"""Writes a sample of `video` for each file of a folder, with the hashes of its sound and of its pictures."""

import hashlib
import json
import pathlib
import sys


def version(lines):
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


for film in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    lines = film.read_text().splitlines()
    audio = [line for line in lines if line.startswith("audio")]
    frames = [line for line in lines if not line.startswith("audio")]
    versions = {"audio": version(audio), "frames": version(frames)}
    print(json.dumps({"video": film.stem, "file": str(film), "metaxy_provenance_by_field": versions}))
