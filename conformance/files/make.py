#!/usr/bin/env python3
"""Writes the files of this folder that a program makes: `python3 make.py`, with pyarrow, pandas, polars and duckdb installed.

What must come of them stands in `cases.toml`. The files are kept, so that tests need no Python; a new version of a producer is a new file.
"""

import datetime as dt
import decimal
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
BY_FIELD = "metaxy_provenance_by_field"


def versions(values):
    return pa.StructArray.from_arrays([pa.array(values)], names=["f"])


def table(ids, **columns):
    columns = {name: value if isinstance(value, pa.Array) else pa.array(value) for name, value in columns.items()}
    return pa.table({"id": ids, **columns, BY_FIELD: versions([f"v{i}" for i in range(len(ids))])})


def write(name, value, **options):
    pq.write_table(value, HERE / f"{name}.parquet", **options)


# Structs whose members differ.
write("structs-1", table(["a"], x=[{"lat": 1.0, "lon": 2.0}]))
write("structs-2", table(["b"], x=[{"width": 640.0, "height": 480.0}]))
write("structs-3", table(["c"], x=[{"lon": 3.0, "alt": 4.0}]))

# Versions in bytes: digests.
digests = [bytes(range(i, i + 32)) for i in (0, 100)]
for name, kind in (("binary", pa.binary()), ("large-binary", pa.large_binary()), ("fixed-binary", pa.binary(32))):
    by_field = pa.StructArray.from_arrays([pa.array(digests, kind)], names=["f"])
    write(f"versions-{name}", pa.table({"id": ["a", "b"], BY_FIELD: by_field}))
numbers = pa.StructArray.from_arrays([pa.array([2**63, 7], pa.uint64())], names=["f"])
write("versions-numbers", pa.table({"id": ["a", "b"], BY_FIELD: numbers}))
keys = pa.StructArray.from_arrays([pa.array(["x", "y"]).dictionary_encode()], names=["f"])
write("versions-dictionary", pa.table({"id": ["a", "b"], BY_FIELD: keys}))
lists = pa.StructArray.from_arrays([pa.array([["x"], ["y"]])], names=["f"])
write("versions-lists", pa.table({"id": ["a", "b"], BY_FIELD: lists}))

# Times of 96 bits, as Spark writes them.
far = [dt.datetime(9999, 12, 31, 23, 59, 59), dt.datetime(1, 1, 1), dt.datetime(2024, 5, 1, 12, 30, 0, 1)]
options = {"use_deprecated_int96_timestamps": True, "store_schema": False}
write("int96", table(["a", "b", "c"], at=pa.array(far, pa.timestamp("us"))), **options)
near = pa.array([1_714_557_600_000_000_001], pa.timestamp("ns"))
write("int96-nanoseconds", table(["a"], at=near), **options)
nested = pa.array([[far[0]], [], None], pa.list_(pa.timestamp("us")))
write("int96-nested", table(["a", "b", "c"], at=nested), **options)

# Values at the edges of their types.
edges = table(
    ["a", "b", "c"],
    d=pa.array([decimal.Decimal("12345678901234567.89"), decimal.Decimal("-0.01"), None], pa.decimal128(19, 2)),
    f=pa.array([float("nan"), float("-inf"), -0.0]),
    u=pa.array([2**63 - 1, 0, None], pa.uint64()),
    t=pa.array([dt.timedelta(microseconds=1_500_001), dt.timedelta(days=-1), None], pa.duration("us")),
    s=["", None, "\"',\n"],
    b=[b"", None, b"\x00\xff"],
    at=pa.array([dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31), None], pa.timestamp("us", "UTC")),
    o=pa.array([dt.time(23, 59, 59, 999999), dt.time(0), None], pa.time64("us")),
    l=pa.array([[], [None, 1], None], pa.list_(pa.int64())),
)
write("edges", edges)

# Durations within lists and structs.
spans = pa.array([[dt.timedelta(seconds=1)], [], None], pa.list_(pa.duration("us")))
parts = pa.StructArray.from_arrays([pa.array([dt.timedelta(seconds=2), None, None], pa.duration("ms"))], names=["cut"])
write("durations", table(["a", "b", "c"], spans=spans, parts=parts))

# Times of day that are none.
leap = pa.array([86_400_000_000, 1], pa.int64()).cast(pa.time64("us"), safe=False)
write("leap", table(["a", "b"], o=leap))

# IDs of two widths.
write("ids-32", table(pa.array([1, 2], pa.int32())))
write("ids-64", table(pa.array([1, 2], pa.int64())))
write("ids-text", table(["1", "2"]))

# Every codec, version and encoding.
plain = table(["a", "b"], n=[1, None], s=["x", "y"])
for codec in ("none", "snappy", "gzip", "brotli", "lz4", "zstd"):
    write(f"codec-{codec}", plain, compression=codec)
for version in ("1.0", "2.4", "2.6"):
    write(f"version-{version}", plain, version=version)
write("pages-2", plain, data_page_version="2.0")
write("no-dictionary", plain, use_dictionary=False)
write("delta-encoded", plain, use_dictionary=False, column_encoding={"n": "DELTA_BINARY_PACKED", "s": "DELTA_BYTE_ARRAY"})

# Other producers.
frame = pd.DataFrame({"id": ["a", "b"], "n": [1.0, None], "s": ["x", None], BY_FIELD: [{"f": "v0"}, {"f": "v1"}]})
frame.set_index("id").to_parquet(HERE / "pandas-index.parquet")
frame.to_parquet(HERE / "pandas-range.parquet")
polars = pl.DataFrame({"id": ["a", "b"], "n": [1, None], "s": ["x", "y"], BY_FIELD: [{"f": "v0"}, {"f": "v1"}]})
polars.with_columns(pl.col("s").cast(pl.Categorical)).write_parquet(HERE / "polars.parquet")
polars.drop(BY_FIELD).with_columns(pl.Series("metaxy_provenance_by_field.f", ["v0", "v1"])).write_csv(HERE / "polars.csv")
duckdb.sql(
    f"COPY (SELECT * FROM (VALUES ('a', 1, 'x', {{'f': 'v0'}}), ('b', NULL, 'y', {{'f': 'v1'}})) t(id, n, s, {BY_FIELD})) "
    f"TO '{HERE / 'duckdb.parquet'}' (FORMAT parquet)"
)
