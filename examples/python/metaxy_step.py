"""A step of a pipeline, with nothing but the command and the standard library.

    from metaxy_step import step

    with step("note/words") as (rows, write):
        for row in rows:
            row["words"] = row["text"].split()
            write(row)

Rows are dictionaries, and come one by one: memory stays the same however many there are.
"""

import contextlib
import json
import os
import subprocess

METAXY = os.environ.get("METAXY", "metaxy")


@contextlib.contextmanager
def step(feature):
    """Gives the rows of `feature` that are new or stale, and what writes them. If the block fails, nothing is written."""
    todo = subprocess.Popen([METAXY, "resolve", feature], stdout=subprocess.PIPE)
    done = subprocess.Popen([METAXY, "write", feature, "-"], stdin=subprocess.PIPE)

    def write(row):
        done.stdin.write(json.dumps(row).encode() + b"\n")

    try:
        yield map(json.loads, todo.stdout), write
        if todo.wait() != 0:
            raise RuntimeError(f"metaxy resolve {feature} failed")
        done.stdin.close()
        if done.wait() != 0:
            raise RuntimeError(f"metaxy write {feature} failed")
    finally:
        # `metaxy write` makes its rows visible when its input ends. One that is stopped before has written nothing.
        for process in (done, todo):
            process.kill()
            process.wait()
        todo.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            done.stdin.close()


def set_version(row, **fields):
    """Says which version the outcome has. What is downstream is stale only if this changes."""
    row["metaxy_data_version_by_field"] = fields
    del row["metaxy_data_version"]
