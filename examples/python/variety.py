"""Computes note/variety."""

from metaxy_step import step

with step("note/variety") as (rows, write):
    for row in rows:
        row["different"] = len(set(row["words"].split()))
        write(row)
