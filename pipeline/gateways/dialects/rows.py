"""Row cache: parses similar answers, and decodes only the rows whose bytes are new.

Rows are split off undecoded: https://jcristharif.com/msgspec/api.html#msgspec.Raw
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import msgspec
from msgspec import Struct

from pipeline.core import canonical, jsonpath
from pipeline.core.caches import cache_short
from pipeline.core.limits import MAX_MODELS, MAX_NAME, MAX_RAW_RECORD, RECORD_OVERHEAD, VALUE_SIZE
from pipeline.core.types import Listing
from pipeline.errors import Unreadable
from pipeline.gateways.cache import BodyCache
from pipeline.gateways.dialects import envelope as envelopes
from pipeline.gateways.dialects import signs
from pipeline.gateways.dialects.dialect import (
    REQUEST_TIME_WINDOW,
    Answer,
    Dialect,
    ReadAnswer,
    Row,
    check_number,
)
from pipeline.gateways.dialects.paging import Page, Pages

_MAX_ENVELOPE = 4096
_BLOCK = 16
"""The rows that are compared at once: most are those of the last answer."""

_MAX_ROW_BYTES = 32 * 1024 * 1024
_SPACE = b" \t\r\n"
_MISSING = msgspec.Raw()


class RowCache:
    """A parser of successive answers in one dialect; equal to `Dialect.read`, as a property test checks.

    Rows are cached by their bytes. The dialect parses anything that is not a plain list in one array.

    Args:
        dialect: the dialect.
        max_models: the rows that an answer may have.
    """

    def __init__(self, dialect: Dialect, max_models: int = MAX_MODELS) -> None:
        self._dialect = dialect
        self._max_models = max_models
        path = dialect.list_at[0]
        is_deep = bool(path) and len(jsonpath.parse(path)) > 1
        self._split = None if is_deep or dialect.select else _Splitter(path, _names(dialect))
        self._frame = _Frame(path) if path else None
        self._pages: BodyCache[_SplitPage] = BodyCache()
        self._whole: BodyCache[tuple[object, ...]] = BodyCache()
        self._parsed: BodyCache[tuple[Any, list[Any]]] = BodyCache()
        self._rows: dict[bytes, Row] = {}
        self._size = 0
        self._listing: Listing | None = None
        self._newest = 0
        self._last: tuple[list[msgspec.Raw], list[Row]] = ([], [])
        self._certain: tuple[object, ...] = ()

    def pages(self) -> Pages:
        """Return the requests of one complete list; see `Dialect.pages`."""
        requests = self._dialect.pages_by(self._page)
        page = yield next(requests)
        head = (page.status, page.headers, page.url)
        if self._whole.get(page.body) == head:
            return (page.body,)
        try:
            while True:
                page = yield requests.send(page)
        except StopIteration as end:
            bodies: tuple[bytes, ...] = end.value
            if len(bodies) == 1:
                self._whole.put(page.body, head)
            return bodies

    def is_whole(self, body: bytes) -> bool:
        """Return whether the list is complete with the first response, if its headers say nothing of it."""
        requests = self.pages()
        next(requests)
        try:
            requests.send(Page(body))
        except (StopIteration, Unreadable) as end:
            return isinstance(end, StopIteration)
        return False

    def read(self, answer: Answer) -> Listing:
        """Parse one complete answer; see `Dialect.read`."""
        return self.parse(answer).listing

    def parse(self, answer: Answer) -> ReadAnswer:
        """Parse one answer, and find whether it may be incomplete.

        Raises:
            Unreadable: it is not a list of models, or not complete.
        """
        pages = [self._split_page(body) for body in answer.bodies]
        if self._listing and self._is_long_after(answer.asked_at) and self._has_same_rows(answer, pages):
            return ReadAnswer(self._listing)
        found = self._rows_and_doubts(answer, pages)
        if found is None or not found[0]:
            return self._dialect.parse(answer, max_models=self._max_models)
        raw_rows, incomplete = found
        check_number(len(raw_rows), self._max_models)
        try:
            rows = self._parse(raw_rows, answer.asked_at)
        except ValueError:
            # A row is not strict JSON; the dialect parses leniently.
            return self._dialect.parse(answer, max_models=self._max_models)
        listing = self._dialect.listing(rows)
        lost = self._dialect.lost_rows(rows)
        if lost is None:
            self._remember(answer, raw_rows, rows, listing)
        return ReadAnswer(listing, incomplete or lost)

    def _page(self, body: bytes) -> tuple[Any, Sequence[Any]]:
        page = self._split_page(body, keep=True)
        if page:
            return page.envelope, page.rows
        parsed = self._parsed.get(body)
        if parsed is None:
            parsed = self._dialect.rows(body)
            self._parsed.put(body, parsed, VALUE_SIZE * canonical.count_values(body))
        return parsed

    def _remember(
        self, answer: Answer, raw_rows: list[msgspec.Raw], rows: list[Row], listing: Listing
    ) -> None:
        self._newest = max([row.created or 0 for row in rows], default=0)
        self._listing, self._last = None, ([], [])
        if self._frame and raw_rows and len(answer.bodies) == 1 and self._is_long_after(answer.asked_at):
            self._frame.remember(answer.bodies[0], raw_rows)
            self._listing, self._last = listing, (raw_rows, rows)

    def _has_same_rows(self, answer: Answer, pages: Sequence[_SplitPage | None]) -> bool:
        """Return whether only the envelope is new, for example with the time of the answer."""
        page = pages[0] if len(pages) == 1 else None
        if page is None or page.rows is not self._last[0]:
            return False
        # The text tells 1 from True, which are equal.
        envelope = (repr(page.envelope), len(page.rows), answer.url, answer.headers)
        if envelope == self._certain:
            return True
        try:
            doubt = self._dialect.doubts([(page.envelope, len(page.rows))], answer)
        except Unreadable:
            return False
        if doubt is None:
            self._certain = envelope
        return doubt is None

    def _is_long_after(self, asked_at: int) -> bool:
        """Return whether all rows of the last answer were created well before this time."""
        return asked_at > self._newest + REQUEST_TIME_WINDOW

    def _rows_and_doubts(
        self, answer: Answer, pages: Sequence[_SplitPage | None]
    ) -> tuple[list[msgspec.Raw], str | None] | None:
        """Return the rows of an answer, and its doubts; None for one that the dialect must parse."""
        counts: list[tuple[Any, int]] = []
        rows: list[msgspec.Raw] = []
        for page in pages:
            # An answer without rows may have a code that is an error, and one with a single row may be one.
            if page is None or len(page.rows) <= 1:
                return None
            counts.append((page.envelope, len(page.rows)))
            rows += page.rows
        try:
            return rows, self._dialect.doubts(counts, answer)
        except Unreadable:
            return None

    def _split_page(self, body: bytes, *, keep: bool = False) -> _SplitPage | None:
        """Return a split page; None for one that the dialect must parse.

        Args:
            body: the body of the page.
            keep: the same body will be split again: it was fetched, and is parsed later.
        """
        if self._split is None:
            return None
        try:
            page = self._page_with_same_rows(self._split, body) or self._pages.get(body)
            if page is None:
                page = self._split(body)
                if keep:
                    self._pages.put(body, page)
            envelopes.raise_for_error(page.envelope, self._dialect.success)
        except (ValueError, RecursionError, Unreadable):
            return None
        return page

    def _page_with_same_rows(self, split: _Splitter, body: bytes) -> _SplitPage | None:
        """Return a page with the rows of the last answer, whose envelope may be another."""
        envelope = self._frame.without_rows(body) if self._frame and self._last[0] else None
        page = split(envelope) if envelope else None
        return None if page is None or page.rows else _SplitPage(page.envelope, self._last[0])

    def _parse(self, raw_rows: list[msgspec.Raw], asked_at: int) -> list[Row]:
        """Parse rows; those in the order of the last answer are found by comparing, without hashing."""
        raw_last, last = self._last if self._is_long_after(asked_at) else ([], [])
        place_of = dict(zip(map(id, last), count()))
        raw_last = [*raw_last, _MISSING]
        rows: list[Row] = []
        place = 0
        for start in range(0, len(raw_rows), _BLOCK):
            block = raw_rows[start : start + _BLOCK]
            if block == raw_last[place : place + len(block)]:
                rows += last[place : place + len(block)]
                place += len(block)
                continue
            for raw in block:
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
            if len(raw) > MAX_RAW_RECORD:
                raise Unreadable(f"a record has {len(raw):,} bytes, more than {MAX_RAW_RECORD:,}")
            row = self._dialect.row(canonical.decode_strictly(raw), asked_at)
            if not _has_request_time(row, asked_at):
                self._keep(raw, row)
        return row

    def _keep(self, raw: bytes, row: Row) -> None:
        size = len(raw) + RECORD_OVERHEAD
        self._size += size
        if self._size > _MAX_ROW_BYTES:
            self._rows.clear()
            self._size = size
        self._rows[raw] = row


def _has_request_time(row: Row, asked_at: int) -> bool:
    """Return whether a row's `created` may be the time of the request; its record does not have it then."""
    created = row.created
    return created is not None and abs(created - asked_at) <= REQUEST_TIME_WINDOW


class _SplitPage(Struct, frozen=True):
    """What the envelope of a body says of errors and pages, without its rows, and the rows."""

    envelope: Any
    rows: list[msgspec.Raw]


@cache_short(4096, MAX_NAME)
def _has_role(name: str) -> bool:
    return envelopes.has_role(name) or signs.has_role(name)


def _names(dialect: Dialect) -> frozenset[str]:
    """Return the first names of the paths in an envelope that the dialect reads."""
    paging = dialect.paging
    cursors = (paging.next_at, paging.more_at, paging.pages_at, paging.total_at) if paging else ()
    paths = (*cursors, *(path for path, _ in dialect.success))
    return frozenset(name for path in paths if path for name in (path, jsonpath.parse(path)[0]))


class _Splitter:
    """Splits a body into its undecoded rows, and what its envelope says of errors and pages.

    Args:
        path: the name of the rows; "" for a body that is the array.
        names: more names of the envelope to decode.
    """

    def __init__(self, path: str, names: frozenset[str]) -> None:
        self._path = path
        self._names = names
        self._frame = _Frame(path) if path else None
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(
            msgspec.defstruct("Envelope", [("rows", list[msgspec.Raw])], rename={"rows": path})
            if path
            else list[msgspec.Raw]
        ).decode

    def __call__(self, body: bytes) -> _SplitPage:
        """Split a body.

        Raises:
            ValueError: it is not a plain list.
        """
        canonical.check_values(body)
        found = self._decode(body)
        if self._frame is None:
            return _SplitPage([], found)
        if found.rows:
            # Only the short rest is decoded a second time.
            self._frame.remember(body, found.rows)
            body = self._frame.without_rows(body) or body
        names = self._names
        envelope = {
            name: canonical.decode_strictly(raw)
            for name, raw in _decode_members(body).items()
            if name != self._path and (name in names or _has_role(name))
        }
        return _SplitPage({**envelope, self._path: []}, found.rows)


_decode_members: Callable[[bytes], dict[str, msgspec.Raw]] = msgspec.json.Decoder(
    dict[str, msgspec.Raw]
).decode


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
