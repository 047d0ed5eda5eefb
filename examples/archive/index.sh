#!/bin/sh
# Brings the samples of `video` up to date with the files of a folder: index.sh STORE FOLDER.
set -eu
export METAXY_STORE=$1
python3 index.py "$2" > index.ndjson
"$METAXY" resolve video --samples index.ndjson | "$METAXY" write video - > index.log
"$METAXY" delete video --samples index.ndjson --orphaned --yes >> index.log
awk -f digest.awk index.log
