"""The archive: a folder `films` with a small text for each film. What happens to it is the same each time.

films.py arrive N [--damaged N] [--faces N]   films come in; damaged ones break off, others show so many faces
films.py dub N                                N films get other sound
films.py recut N [--faces N]                  N films get other pictures
films.py damage N                             N films break off
films.py repair                               damaged films are read from their tapes again
films.py withdraw N                           N films leave
"""

import argparse
import pathlib
import random

FILMS = pathlib.Path("films")
TAPES = pathlib.Path("tapes")
WORDS = "boat bread clock dawn door field gate letter night owl rain sand snow song street tide train wall wind year".split()
PLACES = "bridge cellar harbour kitchen market meadow roof station".split()
FACES = [f"f{number:02}" for number in range(1, 41)]


def sound(chance):
    return "audio " + " ".join(chance.choices(WORDS, k=6))


def pictures(chance, faces):
    """A line for each cut of the film: where it plays, and the faces that are seen."""
    cast = chance.sample(FACES, chance.randint(1, 3) if faces is None else faces)
    lines = []
    for _ in range(chance.randint(2, 4)):
        lines.append(" ".join(["frame", chance.choice(PLACES), *sorted(chance.sample(cast, min(len(cast), 2)))]))
    return lines + ["end"]


def change(count, what, word=""):
    """So many films that have a word in them, in their order, and a source of chance for each that depends on what is in it."""
    films = sorted(film for film in FILMS.iterdir() if word in film.read_text())
    for film in sorted(random.Random(f"{what} {len(films)} {count}").sample(films, count)):
        lines = film.read_text().splitlines()
        yield film, lines, random.Random(f"{what} {film.name} {lines}")


def save(film, lines):
    film.write_text("\n".join(lines) + "\n")


parser = argparse.ArgumentParser()
parser.add_argument("what", choices=["arrive", "dub", "recut", "damage", "repair", "withdraw"])
parser.add_argument("count", type=int, nargs="?", default=0)
parser.add_argument("--damaged", type=int, default=0)
parser.add_argument("--faces", type=int)
arguments = parser.parse_args()
FILMS.mkdir(exist_ok=True)
TAPES.mkdir(exist_ok=True)

if arguments.what == "arrive":
    first = 1 + max((int(film.stem) for film in TAPES.iterdir()), default=0)
    for number in range(first, first + arguments.count):
        chance = random.Random(number)
        lines = [sound(chance), *pictures(chance, arguments.faces)]
        save(TAPES / f"{number:03}.film", lines)
        save(FILMS / f"{number:03}.film", lines[:2] if number < first + arguments.damaged else lines)
elif arguments.what == "dub":
    for film, lines, chance in change(arguments.count, "dub"):
        save(film, [sound(chance), *lines[1:]])
elif arguments.what == "recut":
    for film, lines, chance in change(arguments.count, f"recut {arguments.faces}", " f"):
        save(film, [lines[0], *pictures(chance, arguments.faces)])
elif arguments.what == "damage":
    for film, lines, _ in change(arguments.count, "damage"):
        save(TAPES / film.name, lines)
        save(film, lines[:2])
elif arguments.what == "repair":
    for film in FILMS.iterdir():
        if "end" not in film.read_text().split():
            film.write_text((TAPES / film.name).read_text())
elif arguments.what == "withdraw":
    for film, _, _ in change(arguments.count, "withdraw"):
        film.unlink()
