"""Paging: all pages of a list, or an error, since a list that ends early would look like removals."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

from msgspec import Struct, field

from pipeline.core import jsonpath
from pipeline.core.jsonpath import Path
from pipeline.core.text import redact
from pipeline.core.values import parse_length
from pipeline.errors import Unreadable
from pipeline.gateways.dialects.links import is_whole, next_link
from pipeline.gateways.dialects.signs import (
    WHOLE,
    Params,
    following,
    header_has_role,
    header_value,
    is_cursor,
    is_set,
    stated_offset,
    whole_number,
)
from pipeline.gateways.urls import (
    is_same_gateway,
    masked_params,
    origin,
    same_page,
    without_params,
    without_user,
)

MAX_PAGES = 1000

_RANGES = ("content-range", "x-content-range")
_STANDARD = frozenset({*_RANGES, "link"})


class PageRequest(Struct, frozen=True):
    """A request of a dialect: a path below the gateway's base, such as `/v1/models`.

    `url` is the whole address of a page that a `Link` header names; "" for one of the dialect's own.
    `body` is the JSON to send by POST; "" for GET.
    """

    path: str
    params: Params = ()
    url: str = ""
    body: str = ""


class Page(Struct, frozen=True):
    """The body of one response, its headers by lower-case name, and its address.

    Of the headers, those about further pages are enough; see `reads_header`. In the address, parameters with
    secrets are masked.
    """

    body: bytes
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)
    url: str = ""

    @property
    def values(self) -> dict[str, Any]:
        """The headers that dialects read like the members of an envelope."""
        return {name: header_value(text) for name, text in self.headers.items() if name not in _STANDARD}


Pages = Generator[PageRequest, Page, tuple[bytes, ...]]
"""Yields requests, is sent their pages, and returns the bodies that make the list."""


class Paging(Struct, frozen=True):
    """How a list is cut into pages; paths are those of a page's envelope, or else of its headers.

    Args:
        param: the query parameter that selects a page; of a list requested by POST, the path in the body.
        next_at: the path of `param`'s value for the next page; a URL is parsed for its parameters.
        more_at: the path of the flag for further pages; without it, a next cursor means further pages.
        numbered: pages are counted; `pages_at`, or else `total_at`, has their number.
        by_offset: `param` counts records; without `total_at`, a shorter or empty page is the last one.
        first: the number of the first page, or record, if they are counted.
        pages_at: the path of the number of pages.
        size: the parameters that ask for large pages.
        total_at: the path of the number of records on all pages.
        is_guess: other signs of more pages count too, since gateways of unknown formats are asked like this.
    """

    param: str
    next_at: str = ""
    more_at: str = ""
    numbered: bool = False
    first: int = 1
    by_offset: bool = False
    pages_at: str = ""
    size: Params = ()
    total_at: str = ""
    is_guess: bool = False

    @property
    def cursor_paths(self) -> frozenset[Path]:
        """The paths that say whether there is a next page."""
        paths = (self.next_at, self.more_at, self.pages_at)
        forms = (each for path in paths if path for each in (path, path.lower()))
        return frozenset(each for path in forms for each in ((path,), jsonpath.parse(path)))


def reads_header(name: str, paging: Paging | None) -> bool:
    """Return whether a header may say something about further pages."""
    name = name.lower()
    if name in _STANDARD or header_has_role(name):
        return True
    if paging is None:
        return False
    total = paging.total_at.lower()
    return name == total.partition(".")[0] or any(path[0] == name for path in paging.cursor_paths)


def pages(
    path: str,
    params: Params,
    paging: Paging | None,
    rows: Callable[[bytes], tuple[Any, Sequence[Any]]],
    *,
    list_path: Callable[[Any], Path] = lambda _envelope: (),
    complete: bool = False,
    body: str = "",
) -> Pages:
    """Request one page after the other.

    Where the dialect's own paging names no next page, that of a `Link` header is followed, or the one after
    the offset or page number that the answer has.

    Args:
        path: below the gateway's base.
        params: the query parameters of every page.
        paging: how pages are cut; None for a list in one piece.
        rows: returns the envelope and the rows of a body; raises Unreadable.
        list_path: returns the path of the rows in an envelope.
        complete: the pages of `paging` are the whole list, whatever an answer says.
        body: the JSON to send by POST, to which the parameters of pages are added; "" for GET.

    Raises:
        Unreadable: a page is not a list, a cursor repeats, pages are missing, or there is no end.
    """
    pager = _Pager(path, params, paging, list_path, complete, body)
    request = pager.first()
    requested = {request}
    bodies: list[bytes] = []
    before: Sequence[Any] = ()
    count = 0
    while True:
        page = yield request
        if not complete:
            _check_head(page)
        try:
            envelope, found = rows(page.body)
        except Unreadable:
            if paging or bodies:
                raise
            # The reader describes it, or recognises it by its shape.
            return (page.body,)
        bodies.append(page.body)
        count += len(found)
        next_request = pager.by_paging(page, envelope, len(found), len(bodies), count)
        next_request = next_request or pager.announced(page, envelope, len(found), len(bodies), count)
        if not found:
            _check_empty(paging, len(bodies), announces=next_request is not None, complete=complete)
        # A server that ignores the parameters of a page sends the same rows again.
        if next_request in requested or (found and list(found) == list(before)):
            raise Unreadable(
                f"page {len(bodies)} leads back to a page that was read already",
                cure=_cure_of_repetition(paging),
            )
        if next_request is None:
            if paging and not complete:
                _check_total(paging, envelope, page.values, count)
            return tuple(bodies)
        if len(bodies) >= MAX_PAGES:
            raise Unreadable(f"the list has no end: {MAX_PAGES} pages were read")
        requested.add(next_request)
        request, before = next_request, found


_CURE = f"set `paging` for the gateway, or {WHOLE}"


def _check_empty(paging: Paging | None, page: int, *, announces: bool, complete: bool) -> None:
    """Raise Unreadable for an empty page beside others: a list counted from 0 seems to end with one."""
    is_counted = paging is not None and paging.numbered
    if announces:
        reason = f"page {page} is empty although it announces a next one"
    elif is_counted and page > 1 and not complete:
        reason = f"page {page} is empty although the one before announces it"
    else:
        return
    from_zero = "if the gateway counts pages from 0, set `first = 0` in `paging`; or " if is_counted else ""
    raise Unreadable(reason, cure=f"{from_zero}{_CURE}")


def _cure_of_repetition(paging: Paging | None) -> str:
    if paging is None or paging.is_guess:
        return f"is `dialect` right? If it is, {_CURE}"
    if paging.by_offset:
        return f"the gateway may ignore `{paging.param}`: check `offset` of `paging`, or set {WHOLE}"
    counts = ", write `offset` in its place if the parameter counts records" if paging.numbered else ""
    return f"the gateway may ignore `{paging.param}`: check `param` of `paging`{counts}, or set {WHOLE}"


class _Pager(Struct, frozen=True):
    """Makes the requests of pages; see `pages`."""

    path: str
    params: Params
    paging: Paging | None
    list_path: Callable[[Any], Path]
    complete: bool
    body: str

    def first(self) -> PageRequest:
        if self.paging is None:
            return PageRequest(self.path, self.params, body=self.body)
        number = ((self.paging.param, str(self.paging.first)),)
        return self._with(number if self.paging.numbered else ())

    def by_paging(self, page: Page, envelope: Any, rows: int, pages: int, records: int) -> PageRequest | None:
        """Return the request of the next page by the dialect's own paging; None at the end."""
        if self.paging is None:
            return None
        if not self.complete:
            _check_number(self.paging, envelope, page.values, pages)
        if self.paging.by_offset:
            total = whole_number(_find(envelope, page.values, self.paging.total_at))
            # Each page but the last is as long as the first.
            if records >= total if total is not None else rows * pages < records or not rows:
                return None
            stated = stated_offset(envelope, self.list_path(envelope), self.paging.param)
            first = 1 if stated == records - rows + 1 else self.paging.first
            return self._with(((self.paging.param, str(first + records)),))
        cursor = _next_cursor(self.paging, envelope, page.values, pages, records)
        return None if cursor is None else self._with(cursor)

    def announced(self, page: Page, envelope: Any, rows: int, pages: int, records: int) -> PageRequest | None:
        """Return the request of the next page by the `Link` header, an offset or a page number."""
        if self.complete:
            return None
        if link := _linked(page):
            return PageRequest(self.path, url=link, body=self.body)
        if self.paging and not self.paging.is_guess:
            return None
        step = following(envelope, self.list_path(envelope), rows=rows, records=records, pages=pages)
        if step is None:
            return None
        return self._selecting(step.params, numbers=True)

    def _with(self, cursor: Params) -> PageRequest:
        assert self.paging
        return self._selecting(
            merged(self.paging.size, cursor), numbers=self.paging.numbered or self.paging.by_offset
        )

    def _selecting(self, page: Params, *, numbers: bool) -> PageRequest:
        """Return the request of a page; in a body, `numbers` are written as such, but never a cursor."""
        if not self.body:
            return PageRequest(self.path, merged(self.params, page))
        size = {name for name, _ in self.paging.size} if self.paging else set()
        value = json.loads(self.body)
        for name, text in page:
            *above, last = name.split(".")
            place = value
            for step in above:
                if not isinstance(place.get(step), dict):
                    place[step] = {}
                place = place[step]
            place[last] = int(text) if text.isdecimal() and (numbers or name in size) else text
        return PageRequest(self.path, self.params, body=json.dumps(value, sort_keys=True))


def merged(*groups: Params) -> Params:
    """Return all parameters; those of a later group replace those of the same names in earlier ones."""
    found: Params = ()
    for group in groups:
        names = {name for name, _ in group}
        found = (*(pair for pair in found if pair[0] not in names), *group)
    return found


def _check_head(page: Page) -> None:
    """Raise Unreadable where the head of a response says that the body is a part of the list."""
    content_range = next((page.headers[name] for name in _RANGES if name in page.headers), "")
    whole = is_whole(content_range)
    if whole is False or (page.status == HTTPStatus.PARTIAL_CONTENT and not whole):
        stated = f"Content-Range: {redact(content_range)}" if content_range else f"status {page.status}"
        raise Unreadable(f"the answer is a part of the list ({stated})", cure=_CURE)


def _linked(page: Page) -> str | None:
    """Return the address of the next page in the `Link` header, with the scheme of this page.

    It is without the parameters that are masked in the address of this page: the client adds them.

    Raises:
        Unreadable: it is on another server, which must not get the credentials.
    """
    target = next_link(page.headers.get("link", ""))
    if target is None:
        return None
    try:
        url = urljoin(page.url, target)
        if same_page(page.url, url):
            return None
        if is_same_gateway(url, page.url):
            # Behind a proxy that ends TLS, servers write http where they are asked by https.
            url = urlsplit(url)._replace(scheme=urlsplit(page.url).scheme).geturl()
        if is_same_gateway(page.url, url):
            return without_params(without_user(url), masked_params(page.url))
        where = origin(url)
    except ValueError:
        where = redact(target)
    raise Unreadable(
        f"the next page is on another server ({where}, in the Link header); nothing was sent there",
        cure=f"if that is the right address, write it as `url`; or set `paging`, or {WHOLE}",
    )


def has_next_page(
    paging: Paging, envelope: Any, headers: Mapping[str, Any], pages: int, records: int
) -> bool:
    """Return whether a page announces another, after so many pages with so many records.

    Raises:
        Unreadable: it does not say.
    """
    _check_number(paging, envelope, headers, pages)
    if paging.by_offset:
        return records < (whole_number(_find(envelope, headers, paging.total_at)) or 0)
    return _next_cursor(paging, envelope, headers, pages, records) is not None


def _next_cursor(
    paging: Paging, envelope: Any, headers: Mapping[str, Any], pages: int, records: int
) -> Params | None:
    """Return the parameters of the next page; None at the end."""
    if paging.numbered:
        last = parse_length(_find(envelope, headers, paging.pages_at))
        total = parse_length(_find(envelope, headers, paging.total_at))
        more = pages < last if last else records < (total or 0)
        return ((paging.param, str(paging.first + pages)),) if more else None
    if paging.more_at and not is_set(_find(envelope, headers, paging.more_at)):
        return None
    cursor = _find(envelope, headers, paging.next_at)
    if not is_cursor(cursor):
        if paging.more_at:
            raise Unreadable(
                f"page {pages} announces a next one without its cursor at {paging.next_at!r}",
                cure=_CURE,
            )
        return None
    if not isinstance(cursor, str | int):
        raise Unreadable(f"page {pages} has no usable cursor: {paging.next_at!r} is neither text nor number")
    return _cursor_params(paging, str(cursor))


def _check_number(paging: Paging, envelope: Any, headers: Mapping[str, Any], page: int) -> None:
    """Raise Unreadable for a numbered page without the number that says whether it is the last one."""
    paths = (
        {"pages": paging.pages_at, "total": paging.total_at} if paging.numbered or paging.by_offset else {}
    )
    paths = {key: path for key, path in paths.items() if path}
    for path in paths.values():
        value = _find(envelope, headers, path)
        if parse_length(value) is not None or whole_number(value) == 0:
            return
    if not paths:
        return
    key, path = next(iter(paths.items()))
    what = "number of pages" if key == "pages" else "number of models"
    raise Unreadable(f"page {page} has no {what} at {path!r}", cure=f"set `{key}` of `paging`, or {WHOLE}")


def _find(envelope: Any, headers: Mapping[str, Any], path: str) -> Any:
    """Return the value at a path, of a member with this name, such as `@odata.nextLink`, or of a header."""
    if not path:
        return None
    if isinstance(envelope, dict) and path in envelope:
        return envelope[path]
    steps = jsonpath.parse(path)
    found = jsonpath.find(envelope, steps)
    return jsonpath.find(headers.get(steps[0].lower()), steps[1:]) if found is None else found


def _cursor_params(paging: Paging, cursor: str) -> Params:
    query = urlsplit(cursor).query if "?" in cursor else ""
    return tuple(parse_qsl(query)) if query else ((paging.param, cursor),)


def _check_total(paging: Paging, envelope: Any, headers: Mapping[str, Any], count: int) -> None:
    total = whole_number(_find(envelope, headers, paging.total_at))
    if total is not None and total != count:
        cure = None
        if paging.numbered:
            cure = f"if `{paging.param}` counts records, write `offset` of `paging` in place of `param`"
        raise Unreadable(f"the list announces {total} records, and {count} were read", cure=cure)
