"""Row cache: parses similar answers, and decodes only the rows whose bytes are new.

Rows are split off undecoded: https://jcristharif.com/msgspec/api.html#msgspec.Raw
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

_MAX_ENVELOPE = 4096
_MAX_ROW_BYTES = 64 * 1024 * 1024
_SPACE = b" \t\r\n"
_MISSING = msgspec.Raw()


class RowCache:
    """A parser of successive answers in one dialect; equal to `Dialect.read`, as a property test checks.

    Rows are cached by their bytes. The dialect parses anything that is not a plain list in one array.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        path = dialect.list_at[0]
        self._split = None if path and len(jsonpath.parse(path)) > 1 else _Splitter(path, dialect.paging)
        self._frame = _Frame(path) if path else None
        self._pages: BodyCache[tuple[Any, Sequence[Any]]] = BodyCache()
        self._rows: dict[bytes, Row] = {}
        self._size = 0
        self._listing: Listing | None = None
        self._newest = 0
        self._last: tuple[list[msgspec.Raw], list[Row]] = ([], [])

    def pages(self) -> Pages:
        """Return the requests of one complete list; see `Dialect.pages`."""
        dialect = self._dialect
        return pages(dialect.path, dialect.params, dialect.paging, self._page)

    def read(self, answer: Answer) -> Listing:
        """Parse one complete answer.

        Raises:
            Unreadable: it is not a list of models, or not complete.
        """
        if self._listing and self._is_long_after(answer.asked_at) and self._has_same_rows(answer.bodies):
            return self._listing
        raw_rows = self._split_all(answer.bodies)
        if raw_rows is None:
            return self._dialect.read(answer)
        try:
            rows = self._parse(raw_rows, answer.asked_at)
        except ValueError:
            # A row is not strict JSON; the dialect parses leniently.
            return self._dialect.read(answer)
        listing = self._dialect.listing(rows)
        self._remember(answer, raw_rows, rows, listing)
        return listing

    def _page(self, body: bytes) -> tuple[Any, Sequence[Any]]:
        page = self._pages.get(body)
        if page is None:
            page = self._split_page(body) or self._dialect.rows(body)
            self._pages.put(body, page)
        return page

    def _remember(
        self, answer: Answer, raw_rows: list[msgspec.Raw], rows: list[Row], listing: Listing
    ) -> None:
        self._newest = max((row.created or 0 for row in rows), default=0)
        self._listing, self._last = None, ([], [])
        if self._frame and raw_rows and len(answer.bodies) == 1 and self._is_long_after(answer.asked_at):
            self._frame.remember(answer.bodies[0], raw_rows)
            self._listing, self._last = listing, (raw_rows, rows)

    def _has_same_rows(self, bodies: tuple[bytes, ...]) -> bool:
        """Return whether only the envelope is new, for example with the time of the answer."""
        assert self._frame
        envelope = self._frame.without_rows(bodies[0]) if len(bodies) == 1 else None
        page = self._split_page(envelope) if envelope else None
        return page is not None and not page[1] and not self._has_next_page(page[0], 1, len(self._last[0]))

    def _has_next_page(self, envelope: Any, pages: int, records: int) -> bool:
        paging = self._dialect.paging
        return paging is not None and has_next_page(paging, envelope, pages, records)

    def _is_long_after(self, asked_at: int) -> bool:
        """Return whether all rows of the last answer were created well before this time."""
        return asked_at > self._newest + REQUEST_TIME_WINDOW

    def _split_all(self, bodies: tuple[bytes, ...]) -> list[msgspec.Raw] | None:
        envelope: dict[str, Any] = {}
        rows: list[msgspec.Raw] = []
        for body in bodies:
            page = self._split_page(body)
            if page is None:
                return None
            envelope = page[0]
            rows += page[1]
        return None if self._has_next_page(envelope, len(bodies), len(rows)) else rows

    def _split_page(self, body: bytes) -> tuple[dict[str, Any], list[msgspec.Raw]] | None:
        if self._split is None:
            return None
        try:
            envelope, rows = self._split(body)
            raise_for_error(envelope)
        except (ValueError, RecursionError, Unreadable):
            return None
        return envelope, rows

    def _parse(self, raw_rows: list[msgspec.Raw], asked_at: int) -> list[Row]:
        """Parse rows; those in the order of the last answer are found by comparing, without hashing."""
        raw_last, last = self._last if self._is_long_after(asked_at) else ([], [])
        place_of = {id(row): place for place, row in enumerate(last)}
        raw_last = [*raw_last, _MISSING]
        rows: list[Row] = []
        place = 0
        for raw in raw_rows:
            if raw == raw_last[place]:
                row = last[place]
                place += 1
            else:
                row = self._look_up(bytes(raw), asked_at)
                place = min(place_of.get(id(row), place) + 1, len(last))
            rows.append(row)
        return rows

    def _look_up(self, raw: bytes, asked_at: int) -> Row:
        row = self._rows.get(raw)
        if row is None or _has_request_time(row, asked_at):
            row = self._dialect.row(canonical.decode_strictly(raw), asked_at)
            if not _has_request_time(row, asked_at):
                self._keep(raw, row)
        return row

    def _keep(self, raw: bytes, row: Row) -> None:
        self._size += len(raw)
        if self._size > _MAX_ROW_BYTES:
            self._rows.clear()
            self._size = len(raw)
        self._rows[raw] = row


def _has_request_time(row: Row, asked_at: int) -> bool:
    """Return whether a row's `created` may be the time of the request; its record does not have it then."""
    created = row.created
    return created is not None and abs(created - asked_at) <= REQUEST_TIME_WINDOW


class _Splitter:
    """Splits a body into its undecoded rows, and the errors and cursors of its envelope."""

    def __init__(self, path: str, paging: Paging | None) -> None:
        names = sorted(({*ERROR_NAMES} | _cursor_names(paging)) - {path})
        self._names = {f"name_{number}": name for number, name in enumerate(names)}
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
            msgspec.defstruct(
                "Envelope",
                [("rows", list[msgspec.Raw]), *((name, msgspec.Raw, _MISSING) for name in self._names)],
                rename={"rows": path, **self._names},
            )
            if path
            else list[msgspec.Raw]
        )

    def __call__(self, body: bytes) -> tuple[dict[str, Any], list[msgspec.Raw]]:
        """Return the relevant part of a body's envelope, and its rows.

        Raises:
            ValueError: it is not a plain list.
        """
        found = self._decoder.decode(body)
        if isinstance(found, list):
            return {}, found
        values = {name: bytes(getattr(found, field)) for field, name in self._names.items()}
        return {name: canonical.decode_strictly(raw) for name, raw in values.items() if raw}, found.rows


def _cursor_names(paging: Paging | None) -> set[str]:
    """Return the names in an envelope that announce further pages."""
    if paging is None:
        return set()
    paths = (paging.next_at, paging.more_at, paging.pages_at, paging.total_at)
    return {jsonpath.parse(path)[0] for path in paths if path}


class _Frame:
    """The bytes of all rows of one body, and their position in it.

    Args:
        name: the name of the rows in the envelope.
    """

    def __init__(self, name: str) -> None:
        self._name = json.dumps(name).encode()
        self._opening = re.compile(re.escape(self._name) + rb"\s*:\s*\[\s*\Z")
        self._rows = b""
        self._start = self._after = 0

    def remember(self, body: bytes, rows: Sequence[msgspec.Raw]) -> None:
        """Remember the rows that were split from a body; there must be at least one."""
        self._rows = b""
        first = bytes(rows[0])
        start = body.find(first)
        written = _separator(body, start + len(first), rows).join(rows)
        # The body must hold these rows and nothing else: another name could stand between them.
        if body.startswith(written, start):
            self._start, self._after = start, len(body) - start - len(written)
            self._rows = written

    def without_rows(self, body: bytes) -> bytes | None:
        """Return a body without its rows, if they are those remembered; None if that is uncertain."""
        if not self._rows:
            return None
        for at in {self._start, len(body) - self._after - len(self._rows)}:
            if at >= 0 and body.startswith(self._rows, at):
                envelope = body[:at] + body[at + len(self._rows) :]
                if self._is_plain(envelope, at):
                    return envelope
        return None

    def _is_plain(self, envelope: bytes, at: int) -> bool:
        """Return whether the rows stood in the only array of that name."""
        return (
            len(envelope) <= _MAX_ENVELOPE
            and b"\\" not in envelope
            and envelope.count(self._name) == 1
            and bool(self._opening.search(envelope, 0, at))
        )


def _separator(body: bytes, end: int, rows: Sequence[msgspec.Raw]) -> bytes:
    """Return the comma, with its spaces, between the first row (which ends at `end`) and the second."""
    between = body[end : body.find(bytes(rows[1]), end)] if len(rows) > 1 else b","
    return between if between.strip(_SPACE) == b"," else b","
