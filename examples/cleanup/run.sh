#!/bin/sh
# Deleting, and what deleting leaves to do: see README.md.
set -eu
. "$(dirname "$0")/../lib.sh"

# How many rows a feature has, with all that was ever written of each sample, and all marks of deletion.
rows() {
    metaxy read "$1" --with-sample-history --include-deleted | wc -l | tr -d ' '
}

# The step makes no thumbnails; it is here to have something to delete.
thumbnails='metaxy resolve photo/thumbnail | metaxy write photo/thumbnail -'

say 'Four photos and their thumbnails.'
run 'metaxy write photo/raw photos.csv'
run "$thumbnails"

say 'A soft delete marks samples. Reads no longer see them, and what was computed from them is orphaned.'
run "metaxy delete photo/raw --filter 'taken < 2022' --yes"
run 'metaxy read photo/raw --columns photo | sort'
run 'metaxy read photo/raw --columns photo --include-deleted | sort'
run 'metaxy status'
expect 'photos' 2 "$(metaxy read photo/raw | wc -l | tr -d ' ')"

say 'The orphans are deleted the same way.'
run 'metaxy delete photo/thumbnail --orphaned --yes'
expect thumbnails '0 new, 0 stale, 0 orphaned' "$(todo photo/thumbnail)"

say 'Writing a sample again brings it back. Its thumbnail is computed again.'
run 'head -n 2 photos.csv > one.csv'
run 'metaxy write photo/raw one.csv'
expect thumbnails '1 new, 0 stale, 0 orphaned' "$(todo photo/thumbnail)"
run "$thumbnails"
run 'metaxy status'

say 'Nothing has left the store so far: each write and each delete has added rows.'
run 'metaxy read photo/raw --with-sample-history --include-deleted --columns photo,metaxy_data_version | sort'
expect 'rows of photo/raw' 7 "$(rows photo/raw)"

say 'A hard delete removes samples for good, with all their history.'
run "metaxy delete photo/raw --filter \"photo = 'album/4'\" --hard --yes"
run 'metaxy delete photo/thumbnail --orphaned --hard --yes'
expect 'rows of photo/raw' 6 "$(rows photo/raw)"
expect 'rows of photo/thumbnail' 6 "$(rows photo/thumbnail)"

say 'Rows that later ones replaced are removed by maintaining the store: here all but the latest of each sample.'
run 'metaxy maintain --keep 1 --dry-run | grep ^prune'
run 'metaxy maintain --keep 1 --yes | grep ^prune'
run 'metaxy status'
# One photo keeps its mark of deletion: it is the latest that is known of it.
expect 'rows of photo/raw' 3 "$(rows photo/raw)"
expect 'rows of photo/thumbnail' 3 "$(rows photo/thumbnail)"
expect 'photos' 2 "$(metaxy read photo/raw | wc -l | tr -d ' ')"
