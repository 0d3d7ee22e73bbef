"""The rows of the table: a measurement, the one it is compared with, the target, and whether it is met."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from measure import Measured

HEADER = ("row", "what", "ours", "against", "figure", "target", "")
_WITHOUT_TARGET = "-"


@dataclass(frozen=True, slots=True)
class Figure:
    """A row as text, and in `raw` as numbers (seconds, bytes); `met` is None without a target."""

    row: str
    what: str
    ours: str = ""
    against: str = ""
    figure: str = ""
    target: str = ""
    met: bool | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the row."""
        met = {True: "met", False: "not met", None: _WITHOUT_TARGET}[self.met]
        return (self.row, self.what, self.ours, self.against, self.figure, self.target, met)

    def as_json(self) -> dict[str, Any]:
        """Return all fields."""
        return asdict(self)


def slower(row: str, what: str, ours: Measured, other: Measured, *, by: str, limit: float) -> Figure:
    """Return our time as a multiple of that of `by`, at most `limit`."""
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
    """Return the time of `by` as a multiple of ours, at least `limit`; both in seconds."""
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
    """Return an absolute value, at most `limit`."""
    text = shown(value)
    return Figure(
        row,
        what,
        text,
        "",
        text,
        f"at most {shown(limit)}",
        value <= limit,
        {"value": value, "limit": limit, **raw},
    )


def table(figures: Sequence[Figure]) -> str:
    """Return the rows as text in columns."""
    rows = [HEADER, *(figure.cells() for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def markdown(figures: Sequence[Figure]) -> str:
    """Return the rows as a Markdown table."""
    rows = [HEADER, ("---",) * len(HEADER), *(figure.cells() for figure in figures)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def duration(seconds: float) -> str:
    """Return a time with three digits, in ms or s."""
    if seconds < 1:
        return f"{_three_digits(seconds * 1000)} ms"
    return f"{_three_digits(seconds)} s"


def size(count: float) -> str:
    """Return a size in MB (millions of bytes), below 0.1 MB in bytes."""
    return f"{count:,.0f} bytes" if count < 100_000 else f"{_three_digits(count / 1e6)} MB"


def times(ratio: float) -> str:
    """Return a ratio with three digits."""
    return f"{_three_digits(ratio)} ×"


def _three_digits(value: float) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f}"
