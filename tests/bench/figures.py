"""One line of the table: what was measured, against what, the target, and whether it is met."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from measure import Measured

HEADER = ("row", "what", "ours", "against", "figure", "target", "")
_WITHOUT_TARGET = "-"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure in words, and in `raw` as numbers (seconds, bytes); `met` is None where there is no target."""

    row: str
    what: str
    ours: str = ""
    against: str = ""
    figure: str = ""
    target: str = ""
    met: bool | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)

    def cells(self) -> tuple[str, ...]:
        """Give its line of the table."""
        met = {True: "met", False: "not met", None: _WITHOUT_TARGET}[self.met]
        return (self.row, self.what, self.ours, self.against, self.figure, self.target, met)

    def as_json(self) -> dict[str, Any]:
        """Give all of it."""
        return asdict(self)


def slower(row: str, what: str, ours: Measured, other: Measured, *, by: str, limit: float) -> Figure:
    """Say how many times as long as `by` we take, which is to be no more than `limit`."""
    value = ours.seconds / other.seconds
    return Figure(
        row,
        what,
        duration(ours.seconds),
        f"{duration(other.seconds)} {by}",
        times(value),
        f"at most {limit:g} ×",
        value <= limit,
        {"ratio": value, "limit": limit, "ours": ours.raw(), "other": other.raw()},
    )


def faster(
    row: str, what: str, ours: float, other: float, *, by: str, limit: float, raw: Mapping[str, Any]
) -> Figure:
    """Say how many times as long as we `by` takes, which is to be no less than `limit`; in seconds."""
    value = other / ours
    return Figure(
        row,
        what,
        duration(ours),
        f"{duration(other)} {by}",
        times(value),
        f"at least {limit:g} ×",
        value >= limit,
        {"ratio": value, "limit": limit, **raw},
    )


def at_most(
    row: str, what: str, value: float, limit: float, shown: Callable[[float], str], **raw: object
) -> Figure:
    """Say how much something is, which is to be no more than `limit`."""
    words = shown(value)
    return Figure(
        row,
        what,
        words,
        "",
        words,
        f"at most {shown(limit)}",
        value <= limit,
        {"value": value, "limit": limit, **raw},
    )


def table(figures: Sequence[Figure]) -> str:
    """Write the figures in columns."""
    rows = [HEADER, *(figure.cells() for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def markdown(figures: Sequence[Figure]) -> str:
    """Write the figures as a table in Markdown."""
    rows = [HEADER, ("---",) * len(HEADER), *(figure.cells() for figure in figures)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def duration(seconds: float) -> str:
    """Write a time to three digits."""
    if seconds < 1:
        return f"{_three(seconds * 1000)} ms"
    return f"{_three(seconds)} s"


def size(count: float) -> str:
    """Write bytes as millions, or as they are when they are few."""
    return f"{count:,.0f} bytes" if count < 100_000 else f"{_three(count / 1e6)} MB"


def times(ratio: float) -> str:
    """Write a ratio."""
    return f"{_three(ratio)} ×"


def _three(value: float) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f}"
