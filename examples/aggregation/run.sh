#!/bin/sh
# Many rows upstream are one here: see README.md.
set -eu
. "$(dirname "$0")/../lib.sh"

# The calls whose summary is to be computed.
stale_calls() {
    metaxy resolve call/summary --format csv | awk -F, 'NR > 1 { print $2 }' | sort -u | tr '\n' ' '
}

summarise='metaxy resolve call/summary --format csv | awk -f summarise.awk | metaxy write call/summary - --samples-format csv'

say 'Three calls of three, two and one chunks. What is to be done is told per chunk; a call has one version on all its rows.'
run 'metaxy write call/chunk chunks.csv'
run 'metaxy status'
run 'metaxy resolve call/summary --format csv | cut -d, -f2-6'

say 'The step makes one row of each call.'
run "$summarise"
run 'metaxy read call/summary --columns call,chunks,words,seconds | sort'
expect 'what is to be done' '' "$(stale_calls)"
expect 'the summary of anna' '{"chunks":3,"words":63,"seconds":72}' \
    "$(metaxy read call/summary --columns chunks,words,seconds --filter "call = 'anna'")"

say 'One chunk of a call is recorded again: its call is stale, and no other.'
run "printf 'call,chunk,words,seconds,metaxy_provenance_by_field.audio\nanna,2,36,30,a9\n' > again.csv"
run 'metaxy write call/chunk again.csv'
run 'metaxy status'
expect 'stale calls' 'anna ' "$(stale_calls)"
run "$summarise"
expect 'the words of anna' '{"words":65}' "$(metaxy read call/summary --columns words --filter "call = 'anna'")"

say 'A chunk is removed from a call, and one comes to another: both are other calls now.'
run "metaxy delete call/chunk --filter \"call = 'anna' AND chunk = 3\" --yes"
run "printf 'call,chunk,words,seconds,metaxy_provenance_by_field.audio\ncora,2,11,20,c2\n' > more.csv"
run 'metaxy write call/chunk more.csv'
expect 'stale calls' 'anna cora ' "$(stale_calls)"
run "$summarise"
run 'metaxy read call/summary --columns call,chunks,words,seconds | sort'
expect 'the summary of cora' '{"chunks":2,"words":28}' \
    "$(metaxy read call/summary --columns chunks,words --filter "call = 'cora'")"

say 'A call without chunks is no call any more.'
run "metaxy delete call/chunk --filter \"call = 'bert'\" --yes"
run 'metaxy status'
run 'metaxy delete call/summary --orphaned --yes'
expect 'what is to be done' '0 new, 0 stale, 0 orphaned' "$(todo call/summary)"
expect 'calls' 2 "$(metaxy read call/summary | wc -l | tr -d ' ')"
