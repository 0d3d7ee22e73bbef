"""Tables of intervals that scopes share: kept once for each distinct history, written for each scope."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from pipeline.lake.arrow import BATCH_ROWS, as_arrow, int64s, micros
from pipeline.lake.intervals import Interval
from pipeline.lake.tables import Table, Type
from pipeline.store.export import ExportedScope

if TYPE_CHECKING:
    import pyarrow as pa

_OPEN = 2**62
"""An end later than any time, in microseconds."""

_OF_SCOPE = {"scope": "name", "gateway": "gateway", "group_name": "group_name", "auth": "auth"}
"""The columns that follow from the scope, with the attribute of each."""

_OF_INTERVAL = ("valid_from", "valid_until")


class SharedIntervals:
    """The intervals of the scopes in one table.

    Args:
        table: its columns.
        values: the rows that intervals point at, with the other columns.
    """

    def __init__(self, table: Table, values: Sequence[Sequence[object]]) -> None:
        own = {
            name: column
            for name, column in table.columns.items()
            if name not in _OF_SCOPE and name not in _OF_INTERVAL
        }
        self._table = table
        self._values = as_arrow(Table(table.text, own), values)
        self._chosen, self._since, self._until = array("q"), array("q"), array("q")
        self._ends = array("q", [0])

    def add(self, intervals: Iterable[Interval[int]]) -> None:
        """Add the next history, in the order of its rows; the value of an interval is the place of a row."""
        for each in intervals:
            self._chosen.append(each.value)
            self._since.append(micros(each.since))
            self._until.append(_OPEN if each.until is None else micros(each.until))
        self._ends.append(len(self._chosen))

    def of_month(
        self, start: str, end: str, scopes: Sequence[tuple[ExportedScope, int]]
    ) -> Iterator[pa.Table]:
        """Yield the rows that hold between two times (ISO 8601), or end there, in batches.

        An end that is later is left out, so that nothing of later times changes the rows.

        Args:
            start: the first time.
            end: the first time after them.
            scopes: all scopes, in their order, each with the place of its history.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        since, until = int64s(self._since), int64s(self._until)
        holds = pc.and_(pc.less(since, micros(end)), pc.greater_equal(until, micros(start)))
        ends = pc.if_else(pc.less(until, micros(end)), until, pa.scalar(None, pa.int64()))
        time = Type.TIME.arrow()
        rows = self._values.take(int64s(self._chosen).filter(holds))
        for name, times in zip(_OF_INTERVAL, (since, ends), strict=True):
            rows = rows.append_column(name, times.filter(holds).cast(time))
        # Before each place: how many rows hold.
        before = [0, *pc.cumulative_sum(holds.cast(pa.int64())).to_pylist()]
        bounds = [before[place] for place in self._ends]
        rows_of, scope_of, batch = array("q"), array("q"), list[ExportedScope]()
        for scope, place in scopes:
            first, last = bounds[place], bounds[place + 1]
            if first == last:
                continue
            rows_of.extend(range(first, last))
            scope_of.extend([len(batch)] * (last - first))
            batch.append(scope)
            if len(rows_of) >= BATCH_ROWS:
                yield self._with_scopes(rows, rows_of, scope_of, batch)
                rows_of, scope_of, batch = array("q"), array("q"), []
        if batch:
            yield self._with_scopes(rows, rows_of, scope_of, batch)

    def _with_scopes(
        self, rows: pa.Table, rows_of: array[int], scope_of: array[int], scopes: Sequence[ExportedScope]
    ) -> pa.Table:
        import pyarrow as pa

        found = rows.take(int64s(rows_of))
        for name, attribute in _OF_SCOPE.items():
            if name in self._table.columns:
                names = pa.array([getattr(scope, attribute) for scope in scopes], pa.string())
                found = found.append_column(name, names.take(int64s(scope_of)))
        return found.select(list(self._table.columns))
