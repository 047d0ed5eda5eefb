"""Frames as JSON that loses nothing, and back. `xtask/src/interop/values.rs` has the same form.

A frame is {"columns": {name: type}, "rows": [{name: value}]}. Types:

    i8 … i64, u8 … u64, f32, f64, bool, text, binary, date, time, timestamp, instant, decimal(p,s), null
    list<T>, struct<name:T,…>

Integers, booleans, text, lists and structs (objects) are themselves. Floats are JSON floats, or {"float": "nan" | "inf" | "-inf"}.
{"date": "2024-02-29"}; {"time": microseconds}; {"timestamp": microseconds} without zone, {"instant": microseconds since 1970 UTC} with
one; {"decimal": "12.50"} with as many places as the type; {"binary": "00ff"}. A time finer than a microsecond is {…: nanoseconds,
"unit": "ns"}.
"""

import datetime as dt
import decimal
import math

import polars as pl

PLAIN = {
    "i8": pl.Int8, "i16": pl.Int16, "i32": pl.Int32, "i64": pl.Int64,
    "u8": pl.UInt8, "u16": pl.UInt16, "u32": pl.UInt32, "u64": pl.UInt64,
    "f32": pl.Float32, "f64": pl.Float64, "bool": pl.Boolean, "text": pl.String, "binary": pl.Binary,
    "date": pl.Date, "time": pl.Time, "timestamp": pl.Datetime("us"), "instant": pl.Datetime("us", "UTC"), "null": pl.Null,
}  # fmt: skip


def type_of(text):
    """The Polars type that a name of a type means."""
    if text in PLAIN:
        return PLAIN[text]
    head, _, inner = text.partition("<")
    if head == "list":
        return pl.List(type_of(inner[:-1]))
    if head == "struct":
        return pl.Struct({name: type_of(inner) for name, inner in (m.split(":", 1) for m in _members(inner[:-1]))})
    if text.startswith("decimal("):
        precision, scale = text[8:-1].split(",")
        return pl.Decimal(int(precision), int(scale))
    raise ValueError(f"unknown type {text!r}")


def name_of(dtype):
    """The name of a Polars type."""
    for name, plain in PLAIN.items():
        if dtype == plain:
            return name
    if isinstance(dtype, pl.Datetime):
        return "timestamp" if dtype.time_zone is None else "instant"
    if isinstance(dtype, pl.Decimal):
        return f"decimal({dtype.precision},{dtype.scale})"
    if isinstance(dtype, (pl.List, pl.Array)):
        return f"list<{name_of(dtype.inner)}>"
    if isinstance(dtype, pl.Struct):
        return "struct<" + ",".join(f"{f.name}:{name_of(f.dtype)}" for f in dtype.fields) + ">"
    if isinstance(dtype, (pl.Categorical, pl.Enum)):
        return "text"
    return str(dtype)


def frame(given):
    """The Polars frame that JSON describes."""
    columns = []
    for name, kind in given["columns"].items():
        dtype = type_of(kind)
        cells = [cell_of(dtype, row.get(name)) for row in given["rows"]]
        columns.append(pl.Series(name, cells, dtype=dtype, strict=True))
    return pl.DataFrame(columns)


def described(df):
    """A Polars frame as JSON."""
    columns = {name: name_of(dtype) for name, dtype in df.schema.items()}
    cells = [_shown(df[name]) for name in columns]
    return {"columns": columns, "rows": [dict(zip(columns, row)) for row in zip(*cells)]}


def _members(text):
    """`a:T,b:list<U>` split at the commas that are not inside brackets."""
    depth, start = 0, 0
    for at, letter in enumerate(text):
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and depth == 0:
            yield text[start:at]
            start = at + 1
    if text:
        yield text[start:]


def cell_of(dtype, cell):
    """The Python value of a cell."""
    if cell is None:
        return None
    if isinstance(dtype, pl.List):
        return [cell_of(dtype.inner, item) for item in cell]
    if isinstance(dtype, pl.Struct):
        return {f.name: cell_of(f.dtype, cell.get(f.name)) for f in dtype.fields}
    if not isinstance(cell, dict):
        return cell
    ((kind, value),) = cell.items()
    match kind:
        case "float":
            return float(value)
        case "date":
            return dt.date.fromisoformat(value)
        case "time":
            return (dt.datetime.min + dt.timedelta(microseconds=value)).time()
        case "timestamp":
            return dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=value)
        case "instant":
            return dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(microseconds=value)
        case "decimal":
            return decimal.Decimal(value)
        case "binary":
            return bytes.fromhex(value)
    raise ValueError(f"unknown value {cell!r}")


def _shown(series):
    dtype = series.dtype
    valid = series.is_not_null().to_list()
    if isinstance(dtype, pl.Struct):
        members = {f.name: _shown(series.struct.field(f.name)) for f in dtype.fields}
        cells = [{name: cells[row] for name, cells in members.items()} for row in range(len(series))]
    elif isinstance(dtype, (pl.List, pl.Array)):
        cells = [_shown(series[row]) if valid[row] else None for row in range(len(series))]
    elif isinstance(dtype, pl.Datetime):
        key = "timestamp" if dtype.time_zone is None else "instant"
        cells = [_moment(key, value, dtype.time_unit) for value in series.to_physical().to_list()]
    elif dtype == pl.Time:
        cells = [_moment("time", value, "ns") for value in series.to_physical().to_list()]
    elif dtype == pl.Date:
        cells = [value and {"date": value.isoformat()} for value in series.to_list()]
    elif isinstance(dtype, pl.Decimal):
        cells = [None if value is None else {"decimal": f"{value:.{dtype.scale}f}"} for value in series.to_list()]
    elif dtype == pl.Binary:
        cells = [None if value is None else {"binary": value.hex()} for value in series.to_list()]
    elif dtype.is_float():
        cells = [_float(value) for value in series.to_list()]
    else:
        cells = series.to_list()
    return [cell if there else None for cell, there in zip(cells, valid)]


def _moment(key, value, unit):
    if value is None:
        return None
    nanos = value * {"ns": 1, "us": 1_000, "ms": 1_000_000}[unit]
    return {key: nanos, "unit": "ns"} if nanos % 1000 else {key: nanos // 1000}


def _float(value):
    if value is None or math.isfinite(value):
        return value
    return {"float": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
