"""Rows of the database as tables of Arrow."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from pipeline.lake.tables import AMOUNT_DIGITS, AMOUNT_PLACES, Table, Type

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 65_536
"""Rows of a batch, which is a row group of a file: what is in memory at once."""


def batches(table: Table, rows: Iterable[Sequence[Any]]) -> Iterator[pa.Table]:
    """Yield rows as tables of at most `BATCH_ROWS`."""
    left = iter(rows)
    while batch := list(islice(left, BATCH_ROWS)):
        yield as_arrow(table, batch)


def as_arrow(table: Table, rows: Sequence[Sequence[Any]]) -> pa.Table:
    """Return rows as a table; times are ISO 8601 UTC, lists are sequences or JSON."""
    import pyarrow as pa

    schema = table.schema()
    columns = zip(*rows, strict=True) if rows else iter([()] * len(schema))
    arrays = [
        _array(column.type, values, field.type)
        for column, values, field in zip(table.columns.values(), columns, schema, strict=True)
    ]
    return pa.table(arrays, schema=schema)


def _array(type_: Type, values: Sequence[Any], arrow: pa.DataType) -> pa.Array:
    import pyarrow as pa

    match type_:
        case Type.TIME:
            return pa.array([None if at is None else micros(at) for at in values], pa.int64()).cast(arrow)
        case Type.DATE:
            return pa.array([None if day is None else date.fromisoformat(day) for day in values], arrow)
        case Type.AMOUNT:
            return pa.array([None if each is None else _exact(each) for each in values], arrow)
        case Type.TEXTS:
            return pa.array([json.loads(each) if isinstance(each, str) else each for each in values], arrow)
        case _:
            return pa.array(values, arrow)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(4096)
def micros(at: str) -> int:
    """Return a time in ISO 8601 as microseconds since 1970."""
    since = datetime.fromisoformat(at) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


_LAST_PLACE = Decimal(10) ** -AMOUNT_PLACES
_DIGITS = Context(prec=AMOUNT_DIGITS)
"""By default, decimals have 28 digits."""


@lru_cache(4096)
def _exact(amount: float | Decimal) -> Decimal:
    """Return an amount with the digits that it was written with; at most `AMOUNT_PLACES` decimal places."""
    exact = amount if isinstance(amount, Decimal) else Decimal(repr(amount))
    return exact.quantize(_LAST_PLACE, context=_DIGITS)


def int64s(values: array[int]) -> pa.Array:
    """Return an array of 64-bit integers (type code `q`) as one of Arrow; they share their memory."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values)])
