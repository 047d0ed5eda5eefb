"""Files of random tables, written by PyArrow, Polars, DuckDB and pandas, go through the command and are read by each of them again.

    readers.py METAXY TABLES SEED [STORE]

METAXY is the program, STORE a table of configuration (TOML) for the store that the rows pass through. What a reader finds in the file that
comes out must be what it finds in the file that went in, value by value; a file may be refused where the refusal names a column. The last
line says how many tables there were. Every table comes from one number, which is printed with what differs.
"""

import datetime as dt
import decimal
import json
import math
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

BY_FIELD = "metaxy_provenance_by_field"
CONFIG = """project = "files"
store = "dev"
features = ["features.toml"]
[stores.dev]
"""
FEATURES = """[[feature]]
key = "raw"
id_columns = ["id"]
fields = ["f"]
"""
STORE = 'type = "sqlite"\ndatabase = "dev.db"\n'
CODECS = ["none", "snappy", "gzip", "brotli", "lz4", "zstd"]


class Refused(Exception):
    """The program refused a file, with these words."""


def one_type(dice, depth):
    if depth and dice.random() < 0.45:
        match dice.randrange(5):
            case 0:
                return pa.list_(one_type(dice, depth - 1))
            case 1:
                return pa.large_list(one_type(dice, depth - 1))
            case 2:
                return pa.list_(one_type(dice, depth - 1), 2)
            case 3:
                return pa.map_(pa.string(), one_type(dice, depth - 1))
            case _:
                return pa.struct([(f"m{i}", one_type(dice, depth - 1)) for i in range(dice.randint(1, 3))])
    return dice.choice([
        pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(),
        pa.float16(), pa.float32(), pa.float64(), pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.binary(3),
        pa.decimal128(dice.randint(4, 38), dice.randint(0, 4)), pa.date32(), pa.time32("ms"), pa.time64("us"), pa.time64("ns"),
        pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("ns"), pa.timestamp("us", "UTC"), pa.timestamp("ms", "Europe/Berlin"),
        pa.duration("ms"), pa.duration("us"), pa.dictionary(pa.int32(), pa.string()),
    ])  # fmt: skip


def value(dice, kind):
    """A value of this type, often at an edge of it, or None."""
    if dice.random() < 0.2:
        return None
    if pa.types.is_dictionary(kind):
        return dice.choice(["", "a", "b", "say \"hi\""])
    if pa.types.is_boolean(kind):
        return dice.random() < 0.5
    if pa.types.is_integer(kind):
        signed = pa.types.is_signed_integer(kind)
        low, high = (-(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1) - 1) if signed else (0, 2**kind.bit_width - 1)
        return dice.choice([low, high, 0, 1, dice.randint(low, high)])
    if pa.types.is_floating(kind):
        number = dice.choice([0.0, -0.0, math.nan, math.inf, -math.inf, 0.1, 1e-5, 65504.0, dice.uniform(-1000, 1000)])
        return pa.scalar(number, kind).as_py() if kind != pa.float16() else number
    if pa.types.is_decimal(kind):
        digits = dice.randint(-(10**kind.precision) + 1, 10**kind.precision - 1)
        with decimal.localcontext(prec=80):
            return decimal.Decimal(digits).scaleb(-kind.scale)
    if pa.types.is_fixed_size_binary(kind):
        return dice.randbytes(kind.byte_width)
    if pa.types.is_binary(kind):
        return dice.choice([b"", b"\0\xff", dice.randbytes(3)])
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return dice.choice(["", " ", "null", "007", "1.10", "a,b", '"', "x\ny", "ä😀", "\\", "{}", "-", "NaN"])
    if pa.types.is_date(kind):
        return dt.date(1, 1, 1) + dt.timedelta(days=dice.randrange(3_650_000))
    if pa.types.is_time(kind):
        per = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
        return dice.choice([0, 86_400 * per - 1, dice.randrange(86_400 * per)])
    if pa.types.is_timestamp(kind):
        per = {"ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
        years = 200 if kind.unit == "ns" else 1_900
        return dice.choice([0, -1, dice.randrange(-years * 31_536_000 * per, years * 31_536_000 * per)])
    if pa.types.is_duration(kind):
        return dice.choice([0, -1, dice.randrange(-(2**50), 2**50)])
    if pa.types.is_fixed_size_list(kind):
        return [value(dice, kind.value_type) for _ in range(kind.list_size)]
    if pa.types.is_map(kind):
        return [(f"k{i}", value(dice, kind.item_type)) for i in range(dice.randrange(3))]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return [value(dice, kind.value_type) for _ in range(dice.randrange(3))]
    return {field.name: value(dice, field.type) for field in kind}


def random_table(dice, depth):
    rows = dice.randint(1, 12)
    columns = {"id": pa.array([f"s{i}" for i in range(rows)])}
    for i in range(dice.randint(1, 3)):
        kind = one_type(dice, depth)
        columns[f"c{i}"] = pa.array([value(dice, kind) for _ in range(rows)], kind)
    columns[BY_FIELD] = pa.StructArray.from_arrays([pa.array([f"v{i}" for i in range(rows)])], names=["f"])
    return pa.table(columns)


def by_pyarrow(dice, table, path):
    options = {
        "compression": dice.choice(CODECS),
        "version": dice.choice(["1.0", "2.4", "2.6"]),
        "data_page_version": dice.choice(["1.0", "2.0"]),
        "row_group_size": dice.choice([3, 1_000]),
        "store_schema": dice.random() < 0.7,
        "write_statistics": dice.random() < 0.5,
    }
    options["use_dictionary"] = dice.random() < 0.5
    if not options["use_dictionary"]:
        encodings = {}
        for field in table.schema:
            if pa.types.is_int32(field.type) or pa.types.is_int64(field.type):
                encodings[field.name] = dice.choice(["PLAIN", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"])
            elif pa.types.is_float32(field.type) or pa.types.is_float64(field.type):
                encodings[field.name] = dice.choice(["PLAIN", "BYTE_STREAM_SPLIT"])
            elif pa.types.is_string(field.type) or pa.types.is_binary(field.type) and not pa.types.is_fixed_size_binary(field.type):
                encodings[field.name] = dice.choice(["PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"])
        options["column_encoding"] = encodings or None
    pq.write_table(table, path, **options)
    return options


def by_polars(dice, table, path):
    codec = dice.choice(["uncompressed", "snappy", "gzip", "brotli", "lz4", "zstd"])
    pl.from_arrow(table).write_parquet(path, compression=codec, row_group_size=dice.choice([3, 1_000]))
    return {"compression": codec}


def by_duckdb(dice, table, path):
    codec = dice.choice(["uncompressed", "snappy", "gzip", "brotli", "lz4", "zstd"])
    version = dice.choice(["V1", "V2"])
    with duckdb.connect() as connection:
        connection.register("given", table)
        connection.execute(f"COPY given TO '{path}' (FORMAT parquet, COMPRESSION {codec}, PARQUET_VERSION {version})")
    return {"compression": codec, "version": version}


def by_pandas(dice, table, path):
    frame = table.to_pandas(types_mapper=pd.ArrowDtype if dice.random() < 0.5 else None)
    if dice.random() < 0.5:
        frame = frame.set_index("id")
    frame.to_parquet(path)
    return {"index": frame.index.name}


WRITERS = {"pyarrow": by_pyarrow, "polars": by_polars, "duckdb": by_duckdb, "pandas": by_pandas}


def plain(found):
    """A value as text in which equal values are equal, NaN and the two zeros too."""
    if isinstance(found, dict):
        return "{" + ",".join(f"{name}:{plain(found[name])}" for name in found) + "}"
    if isinstance(found, (list, tuple)):
        return "[" + ",".join(plain(item) for item in found) + "]"
    if isinstance(found, pl.Series):
        return plain(found.to_list())
    if isinstance(found, float):
        return "nan" if math.isnan(found) else repr(found)
    if isinstance(found, dt.datetime) and found.tzinfo:
        return repr(found.astimezone(dt.timezone.utc))
    if isinstance(found, pd.Timestamp):
        return f"{found.value} {found.unit}"
    return repr(found)


def counts(column):
    """Times as numbers: Python has none of the first and the last of them."""
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind) or pa.types.is_time64(kind):
        return column.cast(pa.int64())
    return column


def of_pyarrow(path, columns):
    table = pq.read_table(path, columns=["id", *columns])
    rows = zip(table["id"].to_pylist(), *(counts(table[name]).to_pylist() for name in columns))
    return sorted(tuple(plain(item) for item in row) for row in rows)


def of_polars(path, columns):
    frame = pl.read_parquet(path, columns=["id", *columns]).select("id", *columns)
    return sorted(tuple(plain(item) for item in row) for row in frame.rows())


def of_duckdb(path, columns):
    # As text: Python has no years beyond 9999.
    names = ", ".join(f"CAST({name} AS VARCHAR)" for name in columns)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(f"SELECT id, {names} FROM '{path}'").fetchall()
    return sorted(tuple(plain(item) for item in row) for row in found)


READERS = {"pyarrow": of_pyarrow, "polars": of_polars, "duckdb": of_duckdb}


class Project:
    def __init__(self, metaxy, store):
        self.metaxy, self.folder = metaxy, Path(tempfile.mkdtemp(prefix="readers"))
        (self.folder / "metaxy.toml").write_text(CONFIG + store)
        (self.folder / "features.toml").write_text(FEATURES)

    def run(self, *arguments):
        done = subprocess.run([self.metaxy, *arguments], cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            raise Refused(done.stderr.strip())
        return done.stdout

    def drop(self):
        self.run("metadata", "drop", "raw", "--yes")


def check(project, seed):
    dice = random.Random(seed)
    table = random_table(dice, dice.randint(0, 3))
    columns = [name for name in table.column_names if name.startswith("c")]
    writer = dice.choice([name for name in WRITERS])
    given, come = project.folder / "given.parquet", project.folder / "come.parquet"
    try:
        options = WRITERS[writer](dice, table, given)
        before = {}
        for name, reader in READERS.items():
            try:
                before[name] = reader(given, columns)
            except Exception:  # What the reader itself does not read.
                continue
    except Exception:
        return "not written"  # What the producer itself does not write.
    told = f"seed {seed}, written by {writer} {options}: {table.schema.to_string()}"
    try:
        project.run("write", "raw", str(given))
    except Refused as refusal:
        words = str(refusal)
        # A flaw of DuckDB's second version of Parquet, with its remedy.
        named = any(f'"{name}"' in words or f"'{name}'" in words for name in columns) or "PARQUET_VERSION V1" in words
        if not named:
            raise AssertionError(f"{told}\nrefused without a column: {words}") from None
        return "refused"
    come.unlink(missing_ok=True)
    project.run("read", "raw", "--columns", ",".join(["id", *columns]), "--format", "parquet", "--output", str(come))
    project.drop()
    for name, rows in before.items():
        after = READERS[name](come, columns)
        if rows != after:
            differs = [f"{one}\n  became {other}" for one, other in zip(rows, after) if one != other]
            raise AssertionError(f"{told}\n{name} finds {len(rows)} and {len(after)} rows\n" + "\n".join(differs[:3]))
    return f"as {len(before)} readers read it"


def main():
    metaxy, tables, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    store = sys.argv[4] if len(sys.argv) > 4 else STORE
    outcomes, failed = {}, 0
    project = Project(metaxy, store)
    for at in range(seed, seed + tables):
        try:
            outcome = check(project, at)
        except Exception as failure:
            outcome, failed = "FAILED", failed + 1
            print(f"{type(failure).__name__}: {failure}", flush=True)
            shutil.rmtree(project.folder)
            project = Project(metaxy, store)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    shutil.rmtree(project.folder)
    print(json.dumps({"tables": tables, **dict(sorted(outcomes.items()))}))
    sys.exit(failed > 0)


main()
