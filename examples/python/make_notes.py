"""Writes notes as samples of note/raw: make_notes.py HOW_MANY [--shout N]. The first N are in capitals."""

import argparse
import hashlib
import json
import random

WORDS = "boat bus clock dawn door frame note owl rain sand snow street sun taxi text tide train video wall wind".split()

parser = argparse.ArgumentParser()
parser.add_argument("how_many", type=int)
parser.add_argument("--shout", type=int, default=0)
arguments = parser.parse_args()

chance = random.Random(1)
for number in range(arguments.how_many):
    text = " ".join(chance.choices(WORDS, k=8)) + "."
    if number < arguments.shout:
        text = text.upper()
    version = hashlib.sha256(text.encode()).hexdigest()[:16]
    print(json.dumps({"note_id": number, "text": text, "metaxy_provenance_by_field": {"text": version}}))
