#!/bin/sh
# Steps in Python that need no package: see README.md.
set -eu
. "$(dirname "$0")/../lib.sh"

say '20,000 notes come in.'
run 'python3 make_notes.py 20000 | metaxy write note/raw -'

say 'Something goes wrong at the 15,000th row. A write is all or nothing, so nothing is written.'
run 'python3 words.py --fail-at 15000 || true'
expect words '20000 new, 0 stale, 0 orphaned' "$(todo note/words)"

say 'Rows go through the steps one by one.'
run 'python3 words.py'
run 'python3 variety.py'
run 'metaxy status'
run 'metaxy read note/variety --filter "note_id < 3" --columns note_id,words,different | sort'
expect 'note 0' '{"note_id":0,"different":7}' "$(metaxy read note/variety --filter 'note_id = 0' --columns note_id,different)"

say '500 notes are written in capitals now. Their words are computed again, and come out as before: nothing is to be done after that.'
run 'python3 make_notes.py 20000 --shout 500 > notes.ndjson'
run 'metaxy resolve note/raw --samples notes.ndjson | metaxy write note/raw -'
expect words '0 new, 500 stale, 0 orphaned' "$(todo note/words)"
run 'python3 words.py'
expect variety '0 new, 0 stale, 0 orphaned' "$(todo note/variety)"
run 'python3 variety.py'
run 'metaxy status'
