"""Adds the number of words to each sentence of standard input."""

import json
import sys

for line in sys.stdin:
    sentence = json.loads(line)
    sentence["words"] = len(sentence["text"].split())
    print(json.dumps(sentence))
