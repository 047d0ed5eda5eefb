#!/bin/sh
# Only what depends on a change is computed again: see README.md.
set -eu
. "$(dirname "$0")/../lib.sh"

# Brings the store up to date with the folder `videos`.
update() {
    run 'python3 index.py videos > index.ndjson'
    run 'metaxy resolve video/raw --samples index.ndjson | metaxy write video/raw -'
    run 'metaxy delete video/raw --samples index.ndjson --orphaned --yes'
    transcripts=$(todo video/transcript) faces=$(todo video/faces)
    run 'metaxy resolve video/transcript | python3 transcribe.py | metaxy write video/transcript -'
    run 'metaxy resolve video/faces | python3 find_faces.py | metaxy write video/faces -'
}

say 'Three videos, each a sound track (in Morse code) and some frames.'
run 'python3 make_video.py videos/beach --says "HIGH TIDE" --shows 2'
run 'python3 make_video.py videos/city --says TAXI --shows 1'
run 'python3 make_video.py videos/forest --says OWL --shows 3'

say 'The first run computes everything.'
update
expect transcripts '3 new, 0 stale, 0 orphaned' "$transcripts"
expect faces '3 new, 0 stale, 0 orphaned' "$faces"
run 'metaxy read video/transcript --columns video_id,text | sort'
run 'metaxy read video/faces --columns video_id,faces | sort'
expect 'the transcript' '{"text":"TAXI"}' "$(metaxy read video/transcript --columns text --filter "video_id = 'city'")"
expect 'the faces' '{"faces":3}' "$(metaxy read video/faces --columns faces --filter "video_id = 'forest'")"

say 'The sound of one video is replaced. Its transcript is stale; nobody looks for faces again.'
run 'python3 make_video.py videos/city --says "NIGHT BUS"'
update
expect transcripts '0 new, 1 stale, 0 orphaned' "$transcripts"
expect faces '0 new, 0 stale, 0 orphaned' "$faces"
expect 'the transcript' '{"text":"NIGHT BUS"}' "$(metaxy read video/transcript --columns text --filter "video_id = 'city'")"

say 'A video is removed. What was computed from it is orphaned, and cleaned up.'
run 'rm -r videos/forest'
update
expect transcripts '0 new, 0 stale, 1 orphaned' "$transcripts"
run 'metaxy status'
run 'metaxy delete video/transcript --orphaned --yes'
run 'metaxy delete video/faces --orphaned --yes'
run 'metaxy status'
expect transcripts '0 new, 0 stale, 0 orphaned' "$(todo video/transcript)"
expect faces '0 new, 0 stale, 0 orphaned' "$(todo video/faces)"
