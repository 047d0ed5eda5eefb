"""Makes a video: make_video.py FOLDER [--says TEXT] [--shows FACES]. What is not named stays as it is."""

import argparse
import os

from media import write_picture, write_speech

WIDTH, HEIGHT, FRAMES = 96, 48, 4


def picture(faces, moment):
    """Pale faces on a dark ground, which drift to the right."""
    rows = [bytearray([40]) * WIDTH for _ in range(HEIGHT)]
    for face in range(faces):
        left, top = 4 + face * 24 + moment * 2, 12 + face % 2 * 6
        for y in range(20):
            for x in range(16):
                eye = y in (7, 8) and x in (4, 5, 10, 11)
                mouth = y == 14 and 5 <= x <= 10
                if ((x - 7.5) / 8) ** 2 + ((y - 9.5) / 10) ** 2 < 1 and not eye and not mouth:
                    rows[top + y][left + x] = 220
    return rows


parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("--says")
parser.add_argument("--shows", type=int)
arguments = parser.parse_args()

os.makedirs(os.path.join(arguments.folder, "frames"), exist_ok=True)
if arguments.says is not None:
    write_speech(os.path.join(arguments.folder, "audio.wav"), arguments.says)
if arguments.shows is not None:
    for moment in range(FRAMES):
        write_picture(os.path.join(arguments.folder, "frames", f"{moment:03}.png"), picture(arguments.shows, moment))
