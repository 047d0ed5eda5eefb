#!/bin/sh
# One row upstream is many here: see README.md.
set -eu
. "$(dirname "$0")/../lib.sh"

cut='metaxy resolve talk/sentence --end | python3 cut.py | metaxy write talk/sentence -'
count='metaxy resolve talk/length | python3 count.py | metaxy write talk/length -'

say 'Two talks. What is to be done is told per talk.'
run 'metaxy write talk/raw talks.ndjson'
run 'metaxy resolve talk/sentence --count --format csv'

say 'The step makes a row of each sentence; how many there are is its own affair. The next feature is computed for each.'
run "$cut"
run "$count"
run 'metaxy read talk/length --columns talk,sentence,text,words | sort'
expect 'what is to be done' '0 new, 0 stale, 0 orphaned' "$(todo talk/sentence)"
expect 'sentences' 5 "$(metaxy read talk/sentence | wc -l | tr -d ' ')"

say 'A talk is edited: one sentence is another, and the last is gone.'
run "sed -n 's/loud\\. Rain is over/quiet/; s/r1/r2/p' talks.ndjson > edited.ndjson"
run 'metaxy write talk/raw edited.ndjson'
expect 'what is to be done' '0 new, 1 stale, 0 orphaned' "$(todo talk/sentence)"
run "$cut"

say 'The sentence that the talk no longer has is orphaned.'
run 'metaxy status'
expect 'sentences to delete' '0 new, 0 stale, 1 orphaned' "$(todo talk/sentence)"
run 'metaxy delete talk/sentence --orphaned --yes'

say 'Of its sentences one has changed, so that one is counted again.'
expect 'sentences to count' '0 new, 1 stale, 1 orphaned' "$(todo talk/length)"
run "$count"
run 'metaxy delete talk/length --orphaned --yes'
run 'metaxy read talk/length --columns talk,sentence,text,words | sort'
run 'metaxy status'
expect 'sentences' 4 "$(metaxy read talk/length | wc -l | tr -d ' ')"
expect 'what is to be done' '0 new, 0 stale, 0 orphaned' "$(todo talk/length)"
