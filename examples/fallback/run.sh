#!/bin/sh
# A developer's store in front of production's: see README.md.
set -eu
. "$(dirname "$0")/../lib.sh"

say 'Production has four clips, and what is said in them.'
run 'metaxy --store prod write clip/raw clips.csv'
run 'metaxy --store prod resolve clip/speech | ./listen.sh | metaxy --store prod write clip/speech -'
before=$(cksum < prod.db)

say "The developer's store is empty, and sees what production has."
run 'metaxy read clip/speech --columns clip,text | sort'
run 'metaxy status clip/question'

say 'The new feature is computed from what production has, and kept in the own store.'
expect questions '4 new, 0 stale, 0 orphaned' "$(todo clip/question)"
run 'metaxy resolve clip/question | awk -f question.awk | metaxy write clip/question -'
run 'metaxy read clip/question --filter asks --columns clip,text | sort'
expect 'clips that ask' 2 "$(metaxy read clip/question --filter asks | wc -l | tr -d ' ')"

say 'Production has not changed by a byte, and knows nothing of it.'
run 'metaxy --store prod status'
expect 'the checksum of prod.db' "$before" "$(cksum < prod.db)"
expect 'questions in prod' '4 new, 0 stale, 0 orphaned' "$(todo clip/question --store prod)"

say 'A clip comes into production, and another is heard anew. The developer computes these two.'
run "printf 'clip,says,metaxy_provenance_by_field.audio\nc4,was it the wind?,a9\nc5,good night,a5\n' > more.csv"
run 'metaxy --store prod write clip/raw more.csv'
run 'metaxy --store prod resolve clip/speech | ./listen.sh | metaxy --store prod write clip/speech -'
before=$(cksum < prod.db)
run 'metaxy status clip/question'
expect questions '1 new, 1 stale, 0 orphaned' "$(todo clip/question)"
run 'metaxy resolve clip/question | awk -f question.awk | metaxy write clip/question -'
expect questions '0 new, 0 stale, 0 orphaned' "$(todo clip/question)"
expect 'clips that ask' 3 "$(metaxy read clip/question --filter asks | wc -l | tr -d ' ')"
expect 'the checksum of prod.db' "$before" "$(cksum < prod.db)"
