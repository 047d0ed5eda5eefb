"""Computes note/words: words.py [--fail-at N], where N is the row at which something goes wrong."""

import hashlib
import sys

from metaxy_step import set_version, step

fail_at = int(sys.argv[2]) if sys.argv[1:2] == ["--fail-at"] else None

with step("note/words") as (rows, write):
    for number, row in enumerate(rows):
        if number == fail_at:
            sys.exit(f"row {number}: no words for this")
        row["words"] = " ".join(row["text"].lower().replace(".", "").split())
        # The same words are the same outcome, however they were written.
        set_version(row, words=hashlib.sha256(row["words"].encode()).hexdigest()[:16])
        write(row)
