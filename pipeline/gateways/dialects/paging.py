"""Paging: all pages of a list, or an error, since a list that ends early would look like removals."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pipeline.core import jsonpath
from pipeline.core.values import parse_length
from pipeline.errors import Unreadable

MAX_PAGES = 1000

Params = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A request of a dialect: a path below the gateway's base, such as `/v1/models`."""

    path: str
    params: Params = ()


Pages = Generator[PageRequest, bytes, tuple[bytes, ...]]
"""Yields requests, is sent their bodies, and returns the bodies that make the list."""


@dataclass(frozen=True, slots=True)
class Paging:
    """How a list is cut into pages; paths are those of a page's envelope.

    Args:
        param: the query parameter that selects a page.
        next_at: the path of `param`'s value for the next page; a URL is parsed for its parameters.
        more_at: the path of the flag for further pages; without it, a next cursor means further pages.
        numbered: pages are counted from 1; `pages_at`, or else `total_at`, has their number.
        pages_at: the path of the number of pages.
        size: the parameters that ask for large pages.
        total_at: the path of the number of records on all pages.
    """

    param: str
    next_at: str = ""
    more_at: str = ""
    numbered: bool = False
    pages_at: str = ""
    size: Params = ()
    total_at: str = ""


def pages(
    path: str, params: Params, paging: Paging | None, rows: Callable[[bytes], tuple[Any, Sequence[Any]]]
) -> Pages:
    """Request one page after the other.

    Args:
        path: below the gateway's base.
        params: the query parameters of every page.
        paging: how pages are cut; None for a list in one piece.
        rows: returns the envelope and the rows of a body; raises Unreadable.

    Raises:
        Unreadable: a page is not a list, a cursor repeats, pages are missing, or there is no end.
    """
    if paging is None:
        return ((yield PageRequest(path, params)),)
    bodies: list[bytes] = []
    requested: set[Params] = set()
    cursor: Params = ((paging.param, "1"),) if paging.numbered else ()
    count = 0
    while True:
        body = yield PageRequest(path, (*params, *paging.size, *cursor))
        envelope, found = rows(body)
        bodies.append(body)
        count += len(found)
        following = _next_cursor(paging, envelope, len(bodies), count)
        if following is None:
            _check_total(paging, envelope, count)
            return tuple(bodies)
        if not found:
            raise Unreadable(f"page {len(bodies)} is empty although it announces a next one")
        if following in requested or following == cursor:
            raise Unreadable(
                f"page {len(bodies)} leads back to a page that was read already", cure="is `dialect` right?"
            )
        if len(bodies) >= MAX_PAGES:
            raise Unreadable(f"the list has no end: {MAX_PAGES} pages were read")
        requested.add(following)
        cursor = following


def has_next_page(paging: Paging, envelope: Any, pages: int, records: int) -> bool:
    """Return whether a page announces another, after so many pages with so many records."""
    return _next_cursor(paging, envelope, pages, records) is not None


def _next_cursor(paging: Paging, envelope: Any, pages: int, records: int) -> Params | None:
    """Return the parameters of the next page; None at the end."""
    if paging.numbered:
        last = _number(envelope, paging.pages_at)
        more = pages < last if last else records < (_number(envelope, paging.total_at) or 0)
        return ((paging.param, str(pages + 1)),) if more else None
    if paging.more_at and jsonpath.find(envelope, jsonpath.parse(paging.more_at)) is not True:
        return None
    cursor = jsonpath.find(envelope, jsonpath.parse(paging.next_at))
    if cursor is None or cursor == "":
        if paging.more_at:
            raise Unreadable(f"page {pages} announces a next one without its cursor at {paging.next_at!r}")
        return None
    if not isinstance(cursor, str | int):
        raise Unreadable(f"page {pages} has no usable cursor: {paging.next_at!r} is neither text nor number")
    return _cursor_params(paging, str(cursor))


def _number(envelope: Any, path: str) -> int | None:
    return parse_length(jsonpath.find(envelope, jsonpath.parse(path))) if path else None


def _cursor_params(paging: Paging, cursor: str) -> Params:
    query = urlsplit(cursor).query if "?" in cursor else ""
    return tuple(parse_qsl(query)) if query else ((paging.param, cursor),)


def _check_total(paging: Paging, envelope: Any, count: int) -> None:
    if not paging.total_at:
        return
    total = jsonpath.find(envelope, jsonpath.parse(paging.total_at))
    if isinstance(total, int) and not isinstance(total, bool) and total != count:
        raise Unreadable(f"the list announces {total} records, and {count} were read")
