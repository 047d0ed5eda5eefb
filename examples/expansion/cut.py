"""Makes a row of each sentence of each talk of standard input."""

import hashlib
import json
import sys

for line in sys.stdin:
    talk = json.loads(line)
    if "metaxy_end" in talk:
        # The talks are all. Without this line nothing is written: of a step that died, some talks would have some of their sentences.
        print(line, end="")
        continue
    sentences = [part.strip() + "." for part in talk["text"].split(".") if part.strip()]
    for number, sentence in enumerate(sentences, start=1):
        # Every sentence keeps the provenance of its talk, by which Metaxy sees later whether the talk has changed. The data version is
        # the sentence's own: what depends on a sentence that is still the same need not be computed again.
        row = dict(talk, sentence=number, text=sentence)
        row["metaxy_data_version_by_field"] = {"text": hashlib.sha256(sentence.encode()).hexdigest()[:16]}
        del row["metaxy_data_version"]
        print(json.dumps(row))
