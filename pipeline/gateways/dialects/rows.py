"""Read answers that are much like those before them: only rows whose bytes are new are decoded.

Know rows again in a body whose envelope is new, as when it holds the time: only that is looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from pipeline.core import canonical, jsonpath
from pipeline.core.types import Listing
from pipeline.errors import Unreadable
from pipeline.gateways.cache import BodyCache
from pipeline.gateways.dialects.dialect import REQUEST_TIME_WINDOW, Answer, Dialect, Row
from pipeline.gateways.dialects.envelope import ERROR_NAMES, raise_for_error
from pipeline.gateways.dialects.paging import Pages, Paging, has_next_page, pages

_LONGEST_ENVELOPE = 4096


_SPACE = b" \t\r\n"


class Frame:
    """Remembers the rows of one body, as they are written from the first to the last.

    Args:
        place: the name in the envelope under which the rows are.
    """

    def __init__(self, place: str) -> None:
        self._name = json.dumps(place).encode()
        self._opening = re.compile(re.escape(self._name) + rb"\s*:\s*\[\s*\Z")
        self._rows = b""
        self._start = self._after = 0

    def remember(self, body: bytes, rows: Sequence[msgspec.Raw]) -> None:
        """Remember the rows of a body as they are cut out of it; they must not be none."""
        self._rows = b""
        first = bytes(rows[0])
        start = body.find(first)
        written = _between(body, start + len(first), rows).join(rows)
        # What stands there is those rows and nothing else: a name could hide between them otherwise.
        if body.startswith(written, start):
            self._start, self._after = start, len(body) - start - len(written)
            self._rows = written

    def around(self, body: bytes) -> bytes | None:
        """Give a body without its rows, if they are those remembered; None where that is not certain."""
        if not self._rows:
            return None
        for at in {self._start, len(body) - self._after - len(self._rows)}:
            if at >= 0 and body.startswith(self._rows, at):
                envelope = body[:at] + body[at + len(self._rows) :]
                if self._is_plain(envelope, at):
                    return envelope
        return None

    def _is_plain(self, envelope: bytes, at: int) -> bool:
        """See that the rows stood in the one array that bears their name, and nowhere else."""
        return (
            len(envelope) <= _LONGEST_ENVELOPE
            and b"\\" not in envelope
            and envelope.count(self._name) == 1
            and bool(self._opening.search(envelope, 0, at))
        )


def _between(body: bytes, end: int, rows: Sequence[msgspec.Raw]) -> bytes:
    """Give what stands between the first row, which ends at a place, and the second: a comma, and spaces."""
    between = body[end : body.find(bytes(rows[1]), end)] if len(rows) > 1 else b","
    return between if between.strip(_SPACE) == b"," else b","


_MOST_ROW_BYTES = 64 * 1024 * 1024


_NOTHING = msgspec.Raw()


class _Splitter:
    """Cuts a body into its rows, undecoded, and what its envelope says of errors and further pages."""

    def __init__(self, place: str, paging: Paging | None) -> None:
        names = sorted(({*ERROR_NAMES} | _leading(paging)) - {place})
        self._names = {f"name_{number}": name for number, name in enumerate(names)}
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
            msgspec.defstruct(
                "Envelope",
                [("rows", list[msgspec.Raw]), *((name, msgspec.Raw, _NOTHING) for name in self._names)],
                rename={"rows": place, **self._names},
            )
            if place
            else list[msgspec.Raw]
        )

    def __call__(self, body: bytes) -> tuple[dict[str, Any], list[msgspec.Raw]]:
        """Give a body's envelope, as far as it matters, and its rows.

        Raises:
            ValueError: it is not plainly a list.
        """
        found = self._decoder.decode(body)
        if isinstance(found, list):
            return {}, found
        said = {name: bytes(getattr(found, field)) for field, name in self._names.items()}
        return {name: canonical.decode_strictly(raw) for name, raw in said.items() if raw}, found.rows


def _leading(paging: Paging | None) -> set[str]:
    """Give the names in an envelope under which it says whether more pages follow."""
    if paging is None:
        return set()
    places = (paging.next_at, paging.more_at, paging.pages_at, paging.total_at)
    return {jsonpath.parse(place)[0] for place in places if place}


class RowCache:
    """Reads answers in one dialect, one after the other; gives what `Dialect.read` would give.

    Rows are known again by their bytes. Whatever is not plainly a list in one piece is left to the dialect.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        place = dialect.list_at[0]
        self._split = None if place and len(jsonpath.parse(place)) > 1 else _Splitter(place, dialect.paging)
        self._frame = Frame(place) if place else None
        self._pages: BodyCache[tuple[Any, Sequence[Any]]] = BodyCache()
        self._rows: dict[bytes, Row] = {}
        self._size = 0
        self._listing: Listing | None = None
        self._newest = 0
        self._last: tuple[list[msgspec.Raw], list[Row]] = ([], [])

    def pages(self) -> Pages:
        """Give the requests that make one complete list; see `Dialect.pages`."""
        dialect = self._dialect
        return pages(dialect.path, dialect.params, dialect.paging, self._page)

    def _page(self, body: bytes) -> tuple[Any, Sequence[Any]]:
        found = self._pages.get(body)
        if found is None:
            found = self._cut(body) or self._dialect.rows(body)
            self._pages.put(body, found)
        return found

    def read(self, answer: Answer) -> Listing:
        """Read one complete answer into a listing.

        Raises:
            Unreadable: it is no list of models, or not all of it.
        """
        if self._listing and self._is_long_after(answer.asked_at) and self._has_same_rows(answer.bodies):
            return self._listing
        rows = self._split_up(answer.bodies)
        if rows is None:
            return self._dialect.read(answer)
        try:
            read = self._read(rows, answer.asked_at)
        except ValueError:
            # There is something in it that JSON has no place for; the dialect puts up with more.
            return self._dialect.read(answer)
        listing = self._dialect.listing(read)
        self._remember(answer, rows, read, listing)
        return listing

    def _remember(self, answer: Answer, rows: list[msgspec.Raw], read: list[Row], listing: Listing) -> None:
        self._newest = max((row.created or 0 for row in read), default=0)
        self._listing, self._last = None, ([], [])
        if self._frame and rows and len(answer.bodies) == 1 and self._is_long_after(answer.asked_at):
            self._frame.remember(answer.bodies[0], rows)
            self._listing, self._last = listing, (rows, read)

    def _has_same_rows(self, bodies: tuple[bytes, ...]) -> bool:
        assert self._frame
        envelope = self._frame.around(bodies[0]) if len(bodies) == 1 else None
        page = self._cut(envelope) if envelope else None
        return page is not None and not page[1] and not self._leads_on(page[0], 1, len(self._last[0]))

    def _leads_on(self, envelope: Any, read: int, count: int) -> bool:
        paging = self._dialect.paging
        return paging is not None and has_next_page(paging, envelope, read, count)

    def _is_long_after(self, asked_at: int) -> bool:
        """Say whether no row of the last answer was made at about a moment."""
        return asked_at > self._newest + REQUEST_TIME_WINDOW

    def _split_up(self, bodies: tuple[bytes, ...]) -> list[msgspec.Raw] | None:
        envelope: dict[str, Any] = {}
        rows: list[msgspec.Raw] = []
        for body in bodies:
            page = self._cut(body)
            if page is None:
                return None
            envelope = page[0]
            rows += page[1]
        return None if self._leads_on(envelope, len(bodies), len(rows)) else rows

    def _cut(self, body: bytes) -> tuple[dict[str, Any], list[msgspec.Raw]] | None:
        if self._split is None:
            return None
        try:
            envelope, rows = self._split(body)
            raise_for_error(envelope)
        except (ValueError, RecursionError, Unreadable):
            return None
        return envelope, rows

    def _read(self, rows: list[msgspec.Raw], asked_at: int) -> list[Row]:
        """Read rows, those that stand where they stood in the last answer by a mere comparison."""
        before, known = self._last if self._is_long_after(asked_at) else ([], [])
        place_of = {id(row): place for place, row in enumerate(known)}
        before = [*before, _NOTHING]
        read: list[Row] = []
        place = 0
        for raw in rows:
            if raw == before[place]:
                row = known[place]
                place += 1
            else:
                row = self._look_up(bytes(raw), asked_at)
                place = min(place_of.get(id(row), place) + 1, len(known))
            read.append(row)
        return read

    def _look_up(self, raw: bytes, asked_at: int) -> Row:
        row = self._rows.get(raw)
        if row is None or _is_of_the_moment(row, asked_at):
            row = self._dialect.row(canonical.decode_strictly(raw), asked_at)
            if not _is_of_the_moment(row, asked_at):
                self._keep(raw, row)
        return row

    def _keep(self, raw: bytes, row: Row) -> None:
        self._size += len(raw)
        if self._size > _MOST_ROW_BYTES:
            self._rows.clear()
            self._size = len(raw)
        self._rows[raw] = row


def _is_of_the_moment(row: Row, asked_at: int) -> bool:
    """Say whether a row's `created` may be the moment of asking, so that it reads otherwise at another."""
    created = row.created
    return created is not None and abs(created - asked_at) <= REQUEST_TIME_WINDOW
