"""Adds how many faces are seen to each video of standard input."""

import json
import os
import sys

from media import read_picture


def bright_patches(rows):
    """How many bright patches a picture has: pixels that touch each other are one."""
    left = {(x, y) for y, row in enumerate(rows) for x, value in enumerate(row) if value > 128}
    patches = 0
    while left:
        patches += 1
        edge = [left.pop()]
        while edge:
            x, y = edge.pop()
            for near in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
                if near in left:
                    left.remove(near)
                    edge.append(near)
    return patches


for line in sys.stdin:
    video = json.loads(line)
    folder = os.path.join(video["path"], "frames")
    frames = (read_picture(os.path.join(folder, frame)) for frame in sorted(os.listdir(folder)))
    video["faces"] = max(map(bright_patches, frames), default=0)
    print(f"looking for faces in {video['video_id']}", file=sys.stderr)
    print(json.dumps(video))
