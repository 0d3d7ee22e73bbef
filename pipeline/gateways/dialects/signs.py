"""Signs that a list has more pages: cursors, flags, numbers of pages, offsets, totals, what remains.

They stand in the envelope of an answer: the object that holds the list, the objects around it, and the usual
places in them (`meta`, `pagination`, `_links` …); or in the headers of a response. Names are compared without
case, punctuation and `X-`: `nextPageToken`, `next_page_token` and `X-Next-Page-Token` are one. Null, false,
0, negative numbers and empty values are no signs.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core import canonical, jsonpath
from pipeline.core.caches import cache_short
from pipeline.core.jsonpath import Path
from pipeline.core.limits import MAX_NAME
from pipeline.core.text import count, redact
from pipeline.gateways.urls import same_page

Params = tuple[tuple[str, str], ...]


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


CONTAINERS = words(
    "cursor cursors link links listmetadata meta metadata next page pageinfo pageinformation pager paging"
    " pagination responsemetadata resultinfo"
)
"""The objects of an envelope that describe pages."""

_NEXT = words(
    "continuation continuationkey continuationtoken continue cursor lastevaluatedkey next nextbatch"
    " nextcontinuationtoken nextcursor nexthref nextid nextindex nextkey nextlink nextmarker nextoffset"
    " nextpage nextpagecursor nextpagekey nextpagelink nextpagenumber nextpagestart nextpagetoken"
    " nextpageuri nextpageurl nextrecordsurl nextskip nextstart nextstartkey nexttoken nexturi nexturl"
    " nextafter nextanchor nextbookmark nextchunk nextcontinuation nextfrom nextitem nextitemid nextlastid"
    " nextposition nextreference nextrow nextseq nextsequence nextset nextsince nextstartafter nextstartid"
    " nextstartingafter nextstartingtoken nextstarttoken nextstate"
    " odatanextlink pagenext paginationtoken resumetoken resumptiontoken scrollid"
)
"""Cursors and addresses of the next page."""

_MORE = words(
    "canloadmore hasmore hasmoredata hasmoreitems hasmorepages hasmorerecords hasmoreresults hasnext"
    " hasnextpage ismore more moreavailable moredata moreitems morepages morerecords moreresults"
    " moreresultsavailable"
)
"""Flags that are set while there are more pages."""

_LAST = words(
    "done end endoflist endofresults eof exhausted isdone isend iseof isexhausted isfinal isfinished"
    " islast islastpage last lastpage nomore nomorepages nomoreresults reachedend"
)
"""Flags that are set on the last page."""

_CUT = words(
    "incomplete incompleteresults ispartial istruncated partial partialresults resultstruncated"
    " truncated wastruncated"
)
"""Flags that are set where the list was cut."""

_WHOLE = words("complete iscomplete")
"""Flags that are set where the list was not cut."""

_PAGES = words(
    "lastpage maxpage maxpages npages numberofpages numpages pagecount pages pagescount pagestotal"
    " pagetotal totalpage totalpagecount totalpages"
)
"""Numbers of pages."""

_PAGE_OBJECTS = words("page pageinfo pageinformation pager paging pagination")
"""Containers about pages alone, in which shorter names say enough."""

_PAGES_BESIDE_NUMBER = words("last of")
"""Numbers of pages in such an object, beside the number of a page."""

_NUMBERS_IN_PAGE_OBJECT = words(
    "current currentpage index no number page pageindex pageno pagenum pagenumber"
)
"""Numbers of the page itself in such an object."""

_RANGE = words("end first from start to")
"""Names beside which the last one may be that of a record."""

_TOTALS = words(
    "allcount availablecount count found fullcount itemcount itemscount itemstotal matchcount"
    " modelcount modelscount nbhits numberofitems numberofmodels numberofrecords numberofresults"
    " numfound numitems nummodels numrecords numresults numtotal odatacount recordcount recordscount"
    " recordsfiltered recordstotal resultcount resultscount resultstotal rowcount total totalavailable"
    " totalcount totalelements totalentries totalfound totalhits totalitemcount totalitems totalmatches"
    " totalmodelcount totalmodels totalnum totalnumber totalobjects totalrecordcount totalrecords"
    " totalresultcount totalresults totalrowcount totalrows totalsize"
)
"""Numbers of records on all pages; some answers count something else by these names."""

_LEFT = words(
    "itemsleft itemsremaining pagesleft pagesremaining recordsremaining remainingcount"
    " remainingitemcount remainingitems remainingmodels remainingpages remainingrecords remainingresults"
)
"""Numbers of records, or of pages, after this page."""

_MAYBE_LEFT = words("remaining")
"""Such numbers that are those of requests or credits, unless they stand beside other words about pages."""

_OFFSETS = words("offset skip")
_STARTS = words("firstresult start startindex")
"""Offsets that are such only beside a total, and not beside the end of a range."""

_ENDS = words("end last to")
_PAGE_NUMBERS = words("currentpage number page pageindex pageno pagenum pagenumber")
_SIZES = words("itemsperpage limit pagelimit pagesize perpage size take top")
_PAGE_PARAMETERS = {"currentpage": "page", "number": "page"}
"""The query parameter of a page number that an answer calls otherwise."""

_LAST_IDS = words("endcursor lastid")
_BESIDE_WHAT_REMAINS = words("cursor") | _OFFSETS | _PAGE_NUMBERS | _SIZES | _LAST_IDS | _PAGES
_SELF = words("current self")
_ROLES = (
    CONTAINERS
    | _NEXT
    | _MORE
    | _LAST
    | _CUT
    | _WHOLE
    | _PAGES
    | _TOTALS
    | _LEFT
    | _MAYBE_LEFT
    | _OFFSETS
    | _STARTS
    | _PAGE_NUMBERS
    | _SIZES
    | _LAST_IDS
    | _SELF
)
_HEADER_OBJECTS = words("page pageinfo paging pagination")
"""Objects that describe pages, also as JSON in headers."""

_NOT_OF_HEADERS = words(
    "complete continue count current done end exhausted found last limit link links meta metadata number"
    " offset partial remaining self size skip take top"
)
"""Names that say too little as those of headers: `X-Remaining` counts requests, `X-Count` anything."""

_TARGETS = ("href", "url", "uri", "link", "cursor", "token", "page", "offset", "id")
"""What an object named `next` has, the likeliest first."""

_TIMES = ("at", "date", "in", "refresh", "reset", "time", "update")
_DEPTH = 3
_MOST_LINKS = 32
_LONGEST_VALUE = 60
_PUNCTUATION = re.compile(r"[\W_]+")
_PREFIX = re.compile(
    r"^x[_-](?:(?:amz|ms|wp)[_-])?(?=.)(?:pag(?:ination|ing)[_-](?!token))?|^pag(?:ination|ing)[_-](?!token)(?=.)",
    re.IGNORECASE,
)
"""What a name has before its meaning: `X-WP-TotalPages`, `x-ms-continuation`, `Pagination-Count`."""

_YES_WORDS = frozenset({"1", "true", "y", "yes"})
_NO_WORDS = frozenset({"", "0", "false", "n", "no", "none", "null", "nil", "undefined"})
_FALSE_WORDS = frozenset({"false", "n", "no"})
_OF_PAGES = re.compile(
    r"\s*(?:page\s*)?(\d{1,9})(?:\s*[-–]\s*(\d{1,9}))?\s*(?:/|of)\s*(\d{1,9})\s*", re.IGNORECASE
)
"""A text such as `1 of 3` or `1/3`; or a range of records, `1-20 of 40`."""

_NEEDS_ESCAPES = re.compile(r'["\\\x00-\x1f\x7f*\[]')
_NEXT_PREFIX = re.compile(r"^next[_-]?", re.IGNORECASE)

WHOLE = "`complete = true` if this is the whole list"


class Sign(Struct, frozen=True):
    """A sign of more pages: where it is, its value, and the setting that follows it (None if unknown).

    `is_total` for a number of records, which does not tell how a page is selected.
    """

    at: Path
    value: Any
    paging: str | None = None
    in_header: bool = False
    is_total: bool = False

    def __str__(self) -> str:
        where = "header " if self.in_header else ""
        return f"{where}{'.'.join(self.at)}: {shown(self.value)}"

    @property
    def cure(self) -> str:
        """What to add to the gateway's table in the config."""
        paging = self.paging or 'paging = { param = "…", next = "…" }'
        by_offset = ""
        if self.is_total and self.paging:
            offset = self.paging.replace('param = "page"', 'offset = "…"')
            by_offset = f" (`{offset}` with the name of a parameter that counts records)"
        return f"set `{paging}` for the gateway{by_offset}, or {WHOLE}"


class Following(Struct, frozen=True):
    """The parameters of the next page, by the offset or page number that a page has.

    `certain` is False for a page that is just full: it may be the last one.
    """

    params: Params
    certain: bool
    sign: Sign


class _Place(Struct, frozen=True):
    """The members about pages of an object of the envelope, or the headers about them.

    `own` if it is the list's own object or in it; that of headers is, too.
    """

    at: Path
    values: Mapping[str, Any]
    own: bool
    of_headers: bool = False

    @property
    def is_page_object(self) -> bool:
        """Whether it is an object about pages alone, such as `pagination`."""
        return bool(self.at) and simplified(self.at[-1]) in _PAGE_OBJECTS

    def cursors(self) -> Iterator[tuple[Path, str, Any]]:
        """Yield path, name and value of the cursors: in an object about pages, of all that is `next`."""
        yield from self.named(_NEXT)
        if self.is_page_object:
            yield from self.named({name for name in map(simplified, self.values) if _is_next(name)} - _NEXT)

    def named(self, names: Collection[str]) -> Iterator[tuple[Path, str, Any]]:
        """Yield path, name and value of the members with these names."""
        for name, value in self.values.items():
            if simplified(name) in names:
                yield (*self.at, name), name, value


class _Position(Struct, frozen=True):
    """The offset or number of a page with its query parameter, the size of pages, and their number."""

    place: _Place
    at: Path
    param: str
    value: int
    is_offset: bool
    size: tuple[str, int] | None
    last: int | None = None


@cache_short(4096, MAX_NAME)
def simplified(name: str) -> str:
    """Return a name in lower case, without punctuation and `X-`."""
    return _PUNCTUATION.sub("", _PREFIX.sub("", name)).lower()


def _is_next(name: str) -> bool:
    """Return whether a name in an object about pages is that of a cursor, and not of a time."""
    return name.startswith("next") and not name.endswith(_TIMES)


@cache_short(4096, MAX_NAME)
def has_role(name: str) -> bool:
    """Return whether a member of an envelope with this name may describe pages."""
    return simplified(name) in _ROLES


@cache_short(4096, MAX_NAME)
def header_has_role(name: str) -> bool:
    """Return whether a header of this name may describe pages."""
    plain = name.lower().removeprefix("x-")
    return plain not in _NOT_OF_HEADERS and has_role(name)


def header_value(text: str) -> Any:
    """Return the value of a header about pages: a JSON object is parsed, anything else a text."""
    text = text.strip()
    try:
        return canonical.decode(text.encode()) if text.startswith("{") else text
    except ValueError:
        return text


def shown(value: Any) -> str:
    """Return a value as messages show it: JSON on one line, clipped, without anything like a key."""
    text = redact(canonical.encode(value))
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def is_yes(value: Any) -> bool:
    """Return whether a value says yes: true, a number but 0, a text but `false`, `none`, `0` and the like."""
    if isinstance(value, str):
        return value.strip().lower() not in _NO_WORDS
    return bool(value)


def is_cursor(value: Any) -> bool:
    """Return whether a value leads to a next page: not one that says no, nor a negative number."""
    if isinstance(value, str) and value.strip().startswith("-"):
        return not value.strip()[1:].isdecimal()
    return is_yes(value) and (isinstance(value, str | list | dict) or value > 0)


def certain_sign(
    envelope: Any,
    to_list: Path,
    *,
    pages: int,
    records: int,
    url: str = "",
    known: Collection[Path] = (),
    headers: Mapping[str, Any] | None = None,
) -> Sign | None:
    """Return the first sign in the last page of a list that there are more pages; None without one.

    Args:
        envelope: the page.
        to_list: the path of its rows.
        pages: how many pages were read.
        records: how many rows they have.
        url: the address of the page, "" where it is unknown.
        known: the paths that the paging of the gateway has followed to their end.
        headers: those of the page about pages, by name in lower case; see `header_value`.
    """
    places = [*_places(envelope, to_list), *_header_places(headers or {})]
    flags = [flag for place in places for flag in _flags(place) if flag.at not in known]
    more = next((flag for flag in flags if is_set(flag.value)), None)
    if more:
        return _with_cursor(more, places)
    found = [sign for place in places for sign in _cut(place)]
    # A flag that says no, or the last page, counts more than a cursor: some answers always have one.
    if not flags and not any(map(_is_last, places)):
        present = _present_addresses(places, url)
        found += [
            sign
            for place in places
            for sign in _cursors(place, present, url)
            if not _is_reached(sign, places)
        ]
        found += [sign for place in places for sign in _left(place, _LEFT)]
    found += [sign for place in places for sign in _numbers_of_pages(place, pages)]
    found += [sign for place in places for sign in _numbers_beside(place, pages, records)]
    found += [sign for place in places for sign in _numbers_in_texts(place, pages)]
    found = [sign for sign in found if sign.at not in known]
    return next((sign for sign in found if sign.paging), found[0] if found else None)


def first_page_sign(envelope: Any, to_list: Path) -> Sign | None:
    """Return the sign that the first page of a list is not its beginning: an offset, a page number."""
    for place in _places(envelope, to_list):
        sizes = any(_natural(value) for *_, value in place.named(_SIZES))
        for at, _, value in place.named(_OFFSETS):
            if _is_text(value):
                return Sign(at, value, _cursor_setting(at, value))
            # Without an offset in the request, 1 is that of the first record.
            if (_natural(value) or 0) > 1 and sizes:
                return Sign(at, value, f'paging = {{ offset = "{at[-1]}" }}')
        for at, _, value in place.named(_PAGE_NUMBERS):
            if sizes and (_natural(value) or 0) > 1:
                return Sign(at, value)
    return None


def following(envelope: Any, to_list: Path, *, rows: int, records: int, pages: int) -> Following | None:
    """Return the next page of a list whose pages have their offset or number; None at the end.

    Args:
        envelope: the page.
        to_list: the path of its rows.
        rows: the number of rows on this page.
        records: the number of rows on all pages so far.
        pages: the number of pages so far.
    """
    places = list(_places(envelope, to_list))
    flags = {is_set(flag.value) for place in places for flag in _flags(place)}
    if flags == {False} or any(map(_is_last, places)):
        return None
    position = next((found for place in places if (found := _position(place))), None)
    if position is None or (pages == 1 and position.value > 1):
        return None
    total = _total(position.place, places)
    if total is not None:
        first = 1 if position.value - (records - rows) == 1 else 0
        read = max(position.value - first + rows, records) if position.is_offset else records
        more = read < total
    elif position.last:
        more = pages < position.last and position.value < position.last
    else:
        more = True in flags or (position.size is not None and rows >= position.size[1])
    certain = total is not None or position.last is not None or True in flags
    after = position.value + (rows if position.is_offset else 1)
    size = ((position.size[0], str(position.size[1])),) if position.size else ()
    params = ((position.param, str(after)), *size)
    pages_at = next((at for at, _, value in position.place.named(_PAGES) if _natural(value)), None)
    setting = _setting(param=position.param, pages=pages_at) if pages_at and not position.is_offset else None
    return Following(params, certain, Sign(position.at, position.value, setting)) if more else None


def stated_offset(envelope: Any, to_list: Path, param: str) -> int | None:
    """Return the offset that an answer states under the name of its parameter; None without one."""
    for depth in range(len(to_list)):
        around = jsonpath.find(envelope, to_list[:depth])
        inner = [each for name, each in around.items() if simplified(name) in CONTAINERS]
        for place in (around, *(each for each in inner if isinstance(each, dict))):
            for name, value in place.items():
                if simplified(name) == simplified(param) and (found := whole_number(value)) is not None:
                    return found
    return None


def doubtful_sign(
    envelope: Any,
    to_list: Path,
    *,
    records: int,
    not_totals: Collection[str] = (),
    headers: Mapping[str, Any] | None = None,
) -> Sign | None:
    """Return a number by which the list may have more records than were read; None without one.

    It is the largest number of records that the list's own object or the headers have, or a count of what
    remains beside other words about pages.

    Args:
        envelope: a page.
        to_list: the path of its rows.
        records: how many rows were read.
        not_totals: names of numbers that count something else.
        headers: those of the page about pages, by name in lower case; see `header_value`.
    """
    places = [*_places(envelope, to_list), *_header_places(headers or {})]
    totals: list[Sign] = []
    for place in places:
        if place.own:
            for at, name, value in place.named(_TOTALS):
                # As `{"value": 25, "relation": "eq"}`, too.
                path, total = ((*at, "value"), value.get("value")) if isinstance(value, dict) else (at, value)
                number = _natural(total)
                if number and number > records and name not in not_totals:
                    totals.append(Sign(path, number, _total_setting(path), place.of_headers, is_total=True))
    if totals:
        return max(totals, key=lambda each: int(each.value))
    if any(map(_is_last, places)) or any(map(_flags, places)):
        return None
    about_pages = (place for place in places if place.own and _is_about_pages(place))
    left = (sign for place in about_pages for sign in _left(place, _MAYBE_LEFT))
    return next((sign for sign in left if sign.at[-1] not in not_totals), None)


def full_page_reason(position: Sign, rows: int) -> str:
    """Return why a page that is as long as a page may be may have another after it, and what to do."""
    return (
        f"the answer is a full page of {count(rows, 'row')} ({position}), so it may be one of several:"
        f" save all of them, or set {WHOLE}"
    )


def incomplete_reason(total: Sign, records: int) -> str:
    """Return why a list with fewer rows than its total may be incomplete, and what to do."""
    return (
        f"the answer has {count(records, 'row')} and says {total}, so it may be one page of a longer list:"
        f" {total.cure}"
    )


def _places(envelope: Any, to_list: Path) -> Iterator[_Place]:
    """Yield the objects around the list, outermost first, each with its containers."""
    if not to_list or not isinstance(envelope, dict):
        return
    value: Any = envelope
    for depth, step in enumerate(to_list):
        if not isinstance(value, dict):
            return
        yield from _with_containers(to_list[:depth], value, own=depth == len(to_list) - 1, without=step)
        value = value.get(step)


def _header_places(headers: Mapping[str, Any]) -> Iterator[_Place]:
    """Yield the headers about pages, and the JSON objects in them."""
    found = {name: value for name, value in headers.items() if header_has_role(name)}
    if found:
        yield _Place((), found, own=True, of_headers=True)
    for name, value in found.items():
        if isinstance(value, dict) and simplified(name) in _HEADER_OBJECTS:
            for place in _with_containers((name,), value, own=True):
                yield replace(place, of_headers=True)


def _with_containers(
    at: Path, values: Mapping[str, Any], *, own: bool, without: str = "", depth: int = 0
) -> Iterator[_Place]:
    of_pages = bool(at) and simplified(at[-1]) in _PAGE_OBJECTS
    more = _PAGES_BESIDE_NUMBER | _NUMBERS_IN_PAGE_OBJECT | _RANGE if of_pages else frozenset[str]()
    members = {
        name: value
        for name, value in values.items()
        if name != without
        and (has_role(name) or simplified(name) in more or (of_pages and _is_next(simplified(name))))
    }
    if not members:
        return
    yield _Place(at, members, own)
    if depth == _DEPTH:
        return
    for name, value in members.items():
        if isinstance(value, dict) and simplified(name) in CONTAINERS - {"next"}:
            yield from _with_containers((*at, name), value, own=own, depth=depth + 1)


def _flags(place: _Place) -> list[Sign]:
    """Return the flags for more pages; a value that is no such word, such as an address, is none."""
    return [
        Sign(at, value, in_header=place.of_headers)
        for at, _, value in place.named(_MORE)
        if isinstance(value, int)
        or (isinstance(value, str) and value.strip().lower() in _YES_WORDS | _FALSE_WORDS | {"0"})
    ]


def is_set(flag: Any) -> bool:
    """Return whether a flag is set; a text that is no such word, such as an address, says nothing."""
    if isinstance(flag, str):
        return flag.strip().lower() in _YES_WORDS
    return isinstance(flag, int) and flag > 0


def _is_last(place: _Place) -> bool:
    return any(_answer_to(name, value) is True for _, name, value in place.named(_LAST))


def _answer_to(name: str, value: Any) -> bool | None:
    """Return what a flag for the end says; None for another value, such as the number of the last page."""
    if isinstance(value, str):
        word = value.strip().lower()
        return True if word in _YES_WORDS - {"1"} else False if word in _FALSE_WORDS else None
    if isinstance(value, bool):
        return value
    is_flag = simplified(name).startswith(("is", "eof"))
    return bool(value) if is_flag and isinstance(value, int) and value in (0, 1) else None


def _cut(place: _Place) -> Iterator[Sign]:
    """Yield the signs that the list was cut without a cursor: `truncated: true`, `last: false`."""
    for at, _, value in place.named(_CUT):
        if is_set(value):
            yield Sign(at, value, in_header=place.of_headers)
    for at, name, value in place.named(_WHOLE | _LAST):
        if _answer_to(name, value) is False:
            yield Sign(at, value, in_header=place.of_headers)


def _left(place: _Place, names: Collection[str]) -> Iterator[Sign]:
    """Yield the numbers of what is left after this page."""
    for at, _, value in place.named(names):
        if _natural(value):
            yield Sign(at, value, in_header=place.of_headers)


def _is_about_pages(place: _Place) -> bool:
    """Return whether an object has the position or size of a page, or a cursor, or is named for pages."""
    if place.at and simplified(place.at[-1]) in _HEADER_OBJECTS:
        return True
    return any(value is not None for *_, value in place.named(_BESIDE_WHAT_REMAINS))


def _with_cursor(flag: Sign, places: Sequence[_Place]) -> Sign:
    """Return a flag with the setting that follows it, if there is a cursor beside it."""
    more = ".".join(flag.at)
    for place in places:
        for found in _cursors(place, (), ""):
            if found.paging:
                return replace(flag, paging=f'{found.paging.removesuffix(" }")}, more = "{more}" }}')
        for at, _, value in place.named(_LAST_IDS):
            paging = _setting(param="after", next=at, more=flag.at)
            if is_yes(value) and paging:
                return replace(flag, paging=paging)
    return flag


def _cursors(place: _Place, present: Sequence[str], url: str) -> Iterator[Sign]:
    for at, name, value in place.cursors():
        if simplified(name) == "cursor" and isinstance(value, dict):
            continue
        several = isinstance(value, list)
        steps, target = _target(value[0] if several and value else value)
        if target is not None and not _is_present(target, present, url):
            # No path of the config leads into an array.
            path = (*at, *steps)
            setting = None if several else _cursor_setting(path, target)
            yield Sign(path, target, setting, place.of_headers)
    for at, _, links in place.named(frozenset({"links", "link"})):
        for link in links[:_MOST_LINKS] if isinstance(links, list) else ():
            if isinstance(link, dict) and "next" in str(link.get("rel")).lower().split():
                _, target = _target(link)
                if target is not None and not _is_present(target, present, url):
                    yield Sign((*at, "next"), target)


def _is_reached(sign: Sign, places: Sequence[_Place]) -> bool:
    """Return whether a cursor is the number of a page that was read, or is after the last one.

    Some answers name it on every page: `page: 1, next_page: 1`, `offset: 0, next_offset: 9, total: 9`.
    """
    number = whole_number(sign.value)
    if number is None:
        return False
    name = simplified(sign.at[-1])
    is_page = "page" in name and "start" not in name
    is_offset = any(word in name for word in ("index", "offset", "skip", "start"))
    if is_page or name == "next":
        current, last = _largest(places, _PAGE_NUMBERS), _largest(places, _PAGES)
        if (current is not None and number <= current) or (last and number > last):
            return True
    if is_offset or name == "next":
        offset, total = _largest(places, _OFFSETS), _largest(places, _TOTALS - {"count"})
        return offset is not None and (number <= offset or (total is not None and number >= total))
    return False


def _largest(places: Sequence[_Place], names: Collection[str]) -> int | None:
    found = (whole_number(value) for place in places for *_, value in place.named(names))
    return max((number for number in found if number is not None), default=None)


def _target(value: Any) -> tuple[Path, Any]:
    """Return the cursor or address in a value named `next`, and its path there; None without one."""
    if isinstance(value, dict):
        for name in (*_TARGETS, *value):
            inner = value.get(name)
            # The key of the last record may have its type: {"id": {"S": "gpt-4o"}}
            steps, target = _target(inner) if isinstance(inner, dict) else ((), inner)
            if not isinstance(target, list) and is_cursor(target):
                return (name, *steps), target
        return (), None
    return ((), None) if isinstance(value, list) or not is_cursor(value) else ((), value)


def _present_addresses(places: Sequence[_Place], url: str) -> Sequence[str]:
    """Return the address of the page: as requested, and as it says itself."""
    own = [_target(value)[1] for place in places for *_, value in place.named(_SELF)]
    return [each for each in (url, *own) if each and isinstance(each, str)]


def _is_present(target: Any, present: Sequence[str], url: str) -> bool:
    """Return whether the address of a next page is that of the page itself."""
    if not isinstance(target, str) or not _is_address(target):
        return False
    try:
        return any(same_page(urljoin(url, target), urljoin(url, each)) for each in present)
    except ValueError:
        return False


def _is_address(text: str) -> bool:
    return "://" in text or text.startswith(("/", "?"))


def _numbers_of_pages(place: _Place, pages: int) -> Iterator[Sign]:
    for at, _, value in place.named(_PAGES):
        if (_natural(value) or 0) > pages:
            yield Sign(at, value, _setting(param=_page_param(place), pages=at), place.of_headers)


def _numbers_beside(place: _Place, pages: int, records: int) -> Iterator[Sign]:
    """Yield the numbers of pages that are such only beside the number of a page: `{"no": 1, "of": 3}`.

    The same names may be those of a range of records: `{"page": 1, "first": 1, "last": 20, "total": 20}`.
    """
    if not place.is_page_object:
        return
    numbers = (whole_number(value) for *_, value in place.named(_NUMBERS_IN_PAGE_OBJECT))
    number = next((number for number in numbers if number is not None), None)
    if number is None:
        return
    may_be_records = any(place.named(_RANGE))
    for at, name, value in place.named(_PAGES_BESIDE_NUMBER):
        last = whole_number(value)
        if last is None or (may_be_records and last in {records, records - 1}):
            continue
        # Pages counted from 0 end with the number before that of all pages.
        all_pages = last + 1 if simplified(name) == "last" and number == pages - 1 else last
        if all_pages > pages:
            yield Sign(at, value, _setting(param=_page_param(place), pages=at), place.of_headers)


def _numbers_in_texts(place: _Place, pages: int) -> Iterator[Sign]:
    """Yield the texts that number a page, or its records, and all of them: `"page": "1 of 3"`."""
    for at, _, value in place.named(_PAGE_NUMBERS | _PAGE_OBJECTS | {"pages"}):
        found = _OF_PAGES.fullmatch(value) if isinstance(value, str) else None
        if found:
            number, end, last = found.groups()
            read = int(end) if end else pages
            # Not a date, such as 2026/11.
            if int(last) > read and int(last) >= int(number):
                yield Sign(at, value, in_header=place.of_headers)


def _page_param(place: _Place) -> str:
    for _, name, _ in () if place.of_headers else place.named(_PAGE_NUMBERS):
        return _PAGE_PARAMETERS.get(simplified(name), name)
    return "page"


def _position(place: _Place) -> _Position | None:
    """Return the offset or the number of a page; None where its size, or the number of pages, is missing."""
    size = next(((name, found) for _, name, value in place.named(_SIZES) if (found := _natural(value))), None)
    pages = next((found for *_, value in place.named(_PAGES) if (found := _natural(value))), None)
    for at, name, value in place.named(_OFFSETS):
        if size and (number := whole_number(value)) is not None:
            return _Position(place, at, name, number, is_offset=True, size=size)
    # SCIM: https://www.rfc-editor.org/rfc/rfc7644#section-3.4.2.4.
    is_range = any(place.named(_ENDS))
    totals = any(whole_number(value) is not None for *_, value in place.named(_TOTALS - {"count"}))
    for at, name, value in () if is_range or not totals else place.named(_STARTS):
        if (number := whole_number(value)) is not None:
            return _Position(place, at, name, number, is_offset=True, size=size)
    for at, name, value in place.named(_PAGE_NUMBERS):
        if (size or pages) and (number := whole_number(value)) is not None:
            param = _PAGE_PARAMETERS.get(simplified(name), name)
            return _Position(place, at, param, number, is_offset=False, size=size, last=pages)
    return None


def _total(place: _Place, places: Sequence[_Place]) -> int | None:
    """Return the total beside a position, or else in the list's own object."""
    for each in (place, *(other for other in places if other.own)):
        found = [
            number
            for *_, value in each.named(_TOTALS - {"count"})
            if (number := whole_number(value)) is not None
        ]
        if found:
            return max(found)
    return None


def whole_number(value: Any) -> int | None:
    """Return a number of at least 0, also written as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < _LONGEST_VALUE:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _natural(value: Any) -> int | None:
    return whole_number(value) or None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and is_yes(value) and whole_number(value) is None


def _cursor_setting(at: Path, value: Any) -> str | None:
    if isinstance(value, bool):
        return None
    query = parse_qsl(urlsplit(value).query) if isinstance(value, str) and "?" in value else []
    if query:
        known = [name for name, _ in query if simplified(name) not in _SIZES]
        return _setting(param=(known or [query[0][0]])[0], next=at)
    if isinstance(value, str) and _is_address(value):
        return None
    own = (step for step in reversed(at) if simplified(step) in _NEXT or simplified(step) not in _TARGETS)
    name = next(own, at[-1])
    rest = _NEXT_PREFIX.sub("", _PREFIX.sub("", name))
    bare = "cursor" if isinstance(value, str) else "page"
    return _setting(param=rest[:1].lower() + rest[1:] or bare, next=at)


def _total_setting(at: Path) -> str | None:
    return _setting(param="page", total=at)


def _setting(*, param: str, **paths: Path) -> str | None:
    """Return the setting `paging` in the config's syntax; None where no path can name the place."""
    if any("." in step for path in paths.values() if len(path) > 1 for step in path):
        return None
    values = {"param": param} | {key: ".".join(path) for key, path in paths.items()}
    if any(_NEEDS_ESCAPES.search(value) for value in values.values()):
        return None
    written = ", ".join(f'{key} = "{value}"' for key, value in values.items())
    return f"paging = {{ {written} }}"
