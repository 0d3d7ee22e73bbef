"""Get every page of a list, or none: a list that ends early would look like removals."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pipeline.core import jsonpath
from pipeline.core.values import parse_length
from pipeline.errors import Unreadable

MOST_PAGES = 1000


Params = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What a dialect wants asked: a path below the gateway's base, e.g. `/v1/models`."""

    path: str
    params: Params = ()


Pages = Generator[PageRequest, bytes, tuple[bytes, ...]]
"""Yields the requests it wants, is sent their bodies, and returns those that make the list."""


@dataclass(frozen=True, slots=True)
class Paging:
    """How a list is cut into pages; paths are those of the page's envelope.

    Args:
        param: the query parameter that says which page.
        next_at: where a page says what `param` is for the next; a URL is read for its parameters.
        more_at: where a page says whether there are more; without it, a next cursor says so.
        numbered: pages are counted from 1; `pages_at` says how many there are, or else `total_at` does.
        size: the parameters that ask for large pages.
        total_at: where a page says how many records there are in all.
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
    """Ask for one page after the other until there are no more.

    Args:
        path: below the gateway's base.
        params: the query parameters of every page.
        paging: how pages are cut; None for a list in one piece.
        rows: gives a body's envelope and its rows; raises Unreadable.

    Raises:
        Unreadable: a page is no page, a cursor repeats, more is promised than comes, or it never ends.
    """
    if paging is None:
        return ((yield PageRequest(path, params)),)
    bodies: list[bytes] = []
    seen: set[Params] = set()
    onward: Params = ((paging.param, "1"),) if paging.numbered else ()
    count = 0
    while True:
        body = yield PageRequest(path, (*params, *paging.size, *onward))
        envelope, found = rows(body)
        bodies.append(body)
        count += len(found)
        onward_next = _onward(paging, envelope, len(bodies), count)
        if onward_next is None:
            _complete(paging, envelope, count)
            return tuple(bodies)
        if not found:
            raise Unreadable(f"page {len(bodies)} is empty though it says that more follow")
        if onward_next in seen or onward_next == onward:
            raise Unreadable(
                f"page {len(bodies)} leads back to a page that was read already: is `dialect` right?"
            )
        if len(bodies) >= MOST_PAGES:
            raise Unreadable(f"the list has no end: {MOST_PAGES} pages were read")
        seen.add(onward_next)
        onward = onward_next


def has_next_page(paging: Paging, envelope: Any, read: int, count: int) -> bool:
    """Say whether a page promises another, after so many pages with so many records."""
    return _onward(paging, envelope, read, count) is not None


def _onward(paging: Paging, envelope: Any, read: int, count: int) -> Params | None:
    """Say how to ask for the next page; None at the end."""
    if paging.numbered:
        of = _number(envelope, paging.pages_at)
        more = count < (_number(envelope, paging.total_at) or 0) if of is None else read < of
        return ((paging.param, str(read + 1)),) if more else None
    if paging.more_at and jsonpath.find(envelope, jsonpath.parse(paging.more_at)) is not True:
        return None
    cursor = jsonpath.find(envelope, jsonpath.parse(paging.next_at))
    if cursor is None or cursor == "":
        if paging.more_at:
            raise Unreadable(f"page {read} says that more follow, and not where")
        return None
    if not isinstance(cursor, str | int):
        raise Unreadable(f"page {read} does not say where the next one is: {paging.next_at!r} is no text")
    return _cursor(paging, str(cursor))


def _number(envelope: Any, at: str) -> int | None:
    return parse_length(jsonpath.find(envelope, jsonpath.parse(at))) if at else None


def _cursor(paging: Paging, cursor: str) -> Params:
    query = urlsplit(cursor).query if "?" in cursor else ""
    return tuple(parse_qsl(query)) if query else ((paging.param, cursor),)


def _complete(paging: Paging, envelope: Any, count: int) -> None:
    if not paging.total_at:
        return
    total = jsonpath.find(envelope, jsonpath.parse(paging.total_at))
    if isinstance(total, int) and not isinstance(total, bool) and total != count:
        raise Unreadable(f"the list says that it has {total} records, and {count} came")
