#!/bin/sh
# One night: indexes the films, computes what is to be done, and deletes what upstream no longer has: night.sh STORE [FEATURE …].
set -eu
export METAXY_STORE=$1
shift
./index.sh "$METAXY_STORE" films > /dev/null
cp index.log night.log
# Upstream comes first. What waits for something upstream has its turn after that.
for feature in $("$METAXY" status "$@" --format tsv | awk 'NR > 1 && !/up_to_date/ { print $1 }'); do
    # The step passes on the end of its rows. If it dies before, nothing is written.
    "$METAXY" resolve "$feature" --end | python3 steps.py "$feature" | "$METAXY" write "$feature" - --require-end
    "$METAXY" delete "$feature" --orphaned --yes
done >> night.log
awk -f digest.awk night.log
