"""Adds what is said to each video of standard input."""

import json
import os
import sys

from media import read_speech

for line in sys.stdin:
    video = json.loads(line)
    video["text"] = read_speech(os.path.join(video["path"], "audio.wav"))
    print(f"transcribing {video['video_id']}", file=sys.stderr)
    print(json.dumps(video))
