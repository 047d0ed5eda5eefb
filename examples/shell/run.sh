#!/bin/sh
# A pipeline of nothing but shell, awk and the command: see README.md.
set -eu
. "$(dirname "$0")/../lib.sh"

say 'The texts of a folder are the samples. Their checksums are their versions.'
run './index.sh texts | metaxy write text/raw -'
run 'metaxy status'

say 'Each step is a filter: what is to be done comes in, what was done goes out. This is what comes in:'
run "metaxy resolve text/size --filter \"name = 'tide'\""
run 'metaxy resolve text/size | ./measure.sh | metaxy write text/size -'
run 'metaxy resolve text/style | awk -f style.awk | metaxy write text/style -'
run 'metaxy read text/style --columns name,lines,words,word_length | sort'
expect 'what is known of tide' '{"lines":2,"words":15,"word_length":4.2}' \
    "$(metaxy read text/style --columns lines,words,word_length --filter "name = 'tide'")"

say 'A text is edited. Both steps work on that one.'
run 'echo "and brings them back to other feet." >> texts/tide.txt'
run './index.sh texts > index.ndjson'
run 'metaxy resolve text/raw --samples index.ndjson | metaxy write text/raw -'
expect sizes '0 new, 1 stale, 0 orphaned' "$(todo text/size)"
run 'metaxy resolve text/size | ./measure.sh | metaxy write text/size -'
expect styles '0 new, 1 stale, 0 orphaned' "$(todo text/style)"
run 'metaxy resolve text/style | awk -f style.awk | metaxy write text/style -'

say 'Two texts come in, and one of them cannot be read: the step gives up. What it did is kept, and the rest is still to be done.'
run 'echo "First light, first bus." > texts/dawn.txt'
run 'echo "It rains." > texts/rain.txt'
run './index.sh texts | metaxy write text/raw -'
run 'mv texts/rain.txt away.txt'
run 'metaxy resolve text/size | ./measure.sh | metaxy write text/size - || true'
expect sizes '1 new, 0 stale, 0 orphaned' "$(todo text/size)"
run 'mv away.txt texts/rain.txt'
run 'metaxy resolve text/size | ./measure.sh | metaxy write text/size -'
run 'metaxy resolve text/style | awk -f style.awk | metaxy write text/style -'
run 'metaxy status'
for feature in text/size text/style; do
    expect "$feature" '0 new, 0 stale, 0 orphaned' "$(todo $feature)"
    expect "samples of $feature" 5 "$(metaxy read $feature | wc -l | tr -d ' ')"
done
