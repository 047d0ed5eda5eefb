"""Lists the videos of a folder as samples of video/raw: index.py FOLDER. A field's version is the hash of its files."""

import hashlib
import json
import os
import sys


def digest(paths):
    total = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            # The hash of each file: moving bytes from one file to the next is a change, too.
            total.update(hashlib.sha256(file.read()).digest())
    return total.hexdigest()[:16]


for name in sorted(os.listdir(sys.argv[1])):
    folder = os.path.join(sys.argv[1], name)
    audio = os.path.join(folder, "audio.wav")
    frames = sorted(os.path.join(folder, "frames", frame) for frame in os.listdir(os.path.join(folder, "frames")))
    versions = {"audio": digest([audio]), "frames": digest(frames)}
    print(json.dumps({"video_id": name, "path": folder, "metaxy_provenance_by_field": versions}))
