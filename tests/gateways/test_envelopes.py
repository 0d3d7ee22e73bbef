"""What an answer says of itself: signs of more pages, and errors in spite of a status 200.

One table: the pages that a gateway of an unknown format sends, and what becomes of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from pipeline.core.types import Gateway, Overrides
from pipeline.errors import Unreadable
from pipeline.gateways.dialects import (
    Answer,
    Dialect,
    Page,
    PageRequest,
    Pages,
    ReadAnswer,
    RowCache,
    answer_dialect,
    request_dialect,
)

URL = "https://llm.example/v1/models"
NOW = 1_790_000_000


def rows(*names: str) -> list[dict[str, Any]]:
    return [{"id": name, "object": "model"} for name in names]


def page(*names: str, **envelope: Any) -> Page:
    """Return a page of models with more members in its envelope."""
    return raw({"object": "list", "data": rows(*names), **envelope})


def raw(
    value: Any,
    *,
    status: int = 200,
    link: str = "",
    content_range: str = "",
    url: str = URL,
    headers: Mapping[str, str] | None = None,
) -> Page:
    """Return a page with any body, and the head of its response."""
    named = {"link": link, "content-range": content_range, **(headers or {})}
    kept = {name.lower(): text for name, text in named.items() if text}
    return Page(json.dumps(value).encode(), status, kept, url)


def head(**headers: str) -> Page:
    """Return a page of the models a and b, with headers."""
    return raw(rows("a", "b"), headers=headers)


@dataclass(frozen=True)
class Found:
    """What became of an answer: its models and doubts, the error, and the requests."""

    models: list[str]
    incomplete: str | None
    error: str | None
    asked: list[PageRequest]


def gateway(**overrides: Any) -> Gateway:
    return Gateway("acme", "https://llm.example/v1", overrides=Overrides(**overrides))


def asked_and_read(of: Gateway, sent: Sequence[Page]) -> Found:
    """Send pages to the requests of a gateway, and parse them in both ways, which must agree."""
    dialect = request_dialect(of)
    cached = RowCache(dialect)
    plain = _found(of, dialect, dialect.pages(), sent, Dialect.parse)
    assert (
        _found(of, dialect, cached.pages(), sent, lambda read_in, answer: _again(RowCache(read_in), answer))
        == plain
    )
    return plain


def _again(cache: RowCache, answer: Answer) -> ReadAnswer:
    """Parse an answer twice, since the second time its rows are cached."""
    first = cache.parse(answer)
    assert cache.parse(answer) == first
    return first


def _found(
    of: Gateway,
    dialect: Dialect,
    asking: Pages,
    sent: Sequence[Page],
    parse: Callable[[Dialect, Answer], ReadAnswer],
) -> Found:
    asked = [next(asking)]
    try:
        answer = _answer(asking, sent, asked)
        read = parse(answer_dialect(of, dialect, answer), answer)
    except Unreadable as error:
        return Found([], None, error.message, asked)
    return Found(list(read.listing.records), read.incomplete, None, asked)


def _answer(asking: Pages, sent: Sequence[Page], asked: list[PageRequest]) -> Answer:
    """Send pages to requests, and keep the requests; return the answer that the pages make."""
    for received in sent:
        try:
            asked.append(asking.send(received))
        except StopIteration as end:
            headers = tuple(each.values for each in sent[: len(end.value)])
            return Answer(end.value, NOW, received.url, headers)
    raise AssertionError(f"more pages are wanted than there are: {asked[-1]}")


WHOLE = [
    ("a plain list", page("a", "b")),
    ("a first page of one, whatever it is called", page("a", "b", page={"no": 1, "of": 1})),
    ("a page of one from 0", page("a", "b", pagination={"current": 0, "last": 0})),
    ("a page of one as a text", page("a", "b", page="1 of 1", pagination="1-2 of 2")),
    ("a month in the place of a page", page("a", "b", page="2026/11")),
    (
        "a page with the number of its last record",
        page("a", "b", paging={"page": 1, "first": 1, "last": 2}, pagination={"page": 1, "from": 1, "of": 2}),
    ),
    ("a last page without the number of a page", page("a", "b", pagination={"last": 9}, page={"of": 9})),
    ("an object beside the list with a current and a last", page("a", "b", info={"current": 1, "last": 3})),
    ("a list whose next page is null", page("a", "b", next=None)),
    (
        "a list whose next page is an empty text",
        page("a", "b", next="", next_page_token="", nextPageToken=""),
    ),
    ("a list whose next page is false", page("a", "b", next=False)),
    ("a list whose next page is 0", page("a", "b", next_page=0, next_offset="0")),
    ("a list whose next page is an empty object", page("a", "b", next={}, _links={}, links=[])),
    ("a list whose next page has an empty address", page("a", "b", _links={"next": {"href": ""}})),
    ("a list whose next page is the page itself", page("a", "b", next=URL)),
    (
        "a list whose next page is the page itself, without the host",
        page("a", "b", links={"next": "/v1/models"}),
    ),
    (
        "a list whose next page is what it calls itself",
        page("a", "b", links={"self": "/x?limit=2&a=1", "next": "/x?a=1&limit=2"}),
    ),
    ("a list whose next page is -1", page("a", "b", next=-1, next_cursor="-1", nextPage=-2)),
    ("a list whose next page is this one", page("a", "b", page=1, next_page=1)),
    ("a list whose next page is after the last", page("a", "b", page=1, total_pages=1, next_page=2)),
    ("a list whose next page is an earlier one", page("a", "b", meta={"current_page": 2, "next_page": 1})),
    ("a list whose next offset is its total", page("a", "b", offset=0, next_offset=2, total=2)),
    ("a list whose next offset is its offset", page("a", "b", offset=0, next=0)),
    ("a list of which nothing remains", page("a", "b", remaining=0, remaining_items=0, remainingPages="0")),
    ("a list with a remaining budget", page("a", "b", remaining=4.25, usage={"remaining": 88})),
    ("a list with remaining requests", page("a", "b", remaining=59)),
    (
        "a list with remaining requests beside its length",
        page("a", "b", remaining=59, object="list", count=2),
    ),
    ("a list with remaining requests in its metadata", page("a", "b", meta={"remaining": 59, "used": 1})),
    ("a list with remaining requests and a flag", page("a", "b", remaining=59, has_more=False)),
    ("a list with a null flag", page("a", "b", has_more=None, last=None, remaining=None)),
    ("a list at its end", page("a", "b", is_end=True, eof=True, isLastPage=1, last="true", done=True)),
    ("a list at its end with a cursor", page("a", "b", done=True, next_cursor="x1")),
    ("a list whose end is a number", page("a", "b", start=0, end=2, last=0, isLast="b")),
    ("a list whose last key is empty", page("a", "b", LastEvaluatedKey={})),
    (
        "a list with its number of records",
        page("a", "b", numFound=2, recordsTotal=2, totalElements="2", itemCount=1, resultCount=2),
    ),
    ("a list with its total in an object", page("a", "b", total={"value": 2, "relation": "eq"})),
    ("a list with numbers of something else", page("a", "b", total_tokens=99, item_limit=9, max_total=9)),
    ("a list that says it has no more pages", page("a", "b", has_more=False, hasMore=False)),
    (
        "a list with an end cursor and no next page",
        page("a", "b", pageInfo={"hasNextPage": False, "endCursor": "b"}),
    ),
    ("a list with a last id and no more pages", page("a", "b", first_id="a", last_id="b", has_more=False)),
    ("a list with a cursor and no more pages", page("a", "b", next_cursor="x", has_more=False)),
    (
        "a list with the cursors of this page",
        page("a", "b", paging={"cursors": {"before": "x", "after": "y"}}),
    ),
    ("a list with its total", page("a", "b", total=2, total_count="2")),
    ("a list with a smaller total", page("a", "b", total=1)),
    ("a list with a total of 0", page("a", "b", total=0)),
    ("a list with its count in its metadata", page("a", "b", meta={"total": 2, "count": 2})),
    ("a list with one page", page("a", "b", pagination={"total_pages": 1, "page": 1, "page_size": 20})),
    ("a list shorter than its limit", page("a", "b", offset=0, limit=20)),
    ("a list that is not cut", page("a", "b", truncated=False, partial=False, incomplete_results=False)),
    (
        "a list with an address for more to read",
        page("a", "b", more="https://llm.example/docs", partial="no"),
    ),
    ("a list with a list of what is incomplete", page("a", "b", incomplete=["c"], truncated={})),
    ("a list that is the last page", page("a", "b", last=True, totalPages=1)),
    (
        "a list whose records have a next and a total",
        raw({"data": [{"id": "a", "next": "x", "total": 9}, {"id": "b"}]}),
    ),
    ("a list beside statistics with a total", page("a", "b", usage={"total": 99, "has_more": True})),
    (
        "a list with a total around the object that holds it",
        raw({"total": 9, "result": {"models": rows("a", "b")}}),
    ),
    ("a list with a link to another page than the next", page("a", "b", links={"last": "/v1/models?page=9"})),
    (
        "a list with a Link to its license",
        raw(rows("a", "b"), link='</terms>; rel="license"; title="next, all"'),
    ),
    (
        "a list with a Link to the next of another resource",
        raw(rows("a", "b"), link='</x>; rel=next; anchor="/y"'),
    ),
    ("a list with a Link to itself", raw(rows("a", "b"), link=f"<{URL}>; rel=next")),
    (
        "a list with a Link to its first page",
        raw(rows("a", "b"), link='<?page=1>; rel="first", <?page=1>; rel=last'),
    ),
    (
        "headers of limits, times and requests",
        head(
            **{
                "X-RateLimit-Remaining": "59",
                "X-RateLimit-Limit": "60",
                "X-Rate-Limit-Reset": "9",
                "RateLimit": "limit=9, remaining=8",
                "X-Remaining": "59",
                "X-Limit": "60",
                "X-Count": "99",
                "X-Total-Time": "88",
                "X-Total-Tokens": "88",
                "X-Request-Id": "7",
                "X-Cache": "HIT",
                "X-Next-Try": "9",
                "X-Continue": "9",
                "Meta": "next",
                "X-Page-Type": "3",
            }
        ),
    ),
    ("a range of all in a header of its own", head(**{"X-Content-Range": "0-1/2", "X-More": "false"})),
    ("headers of the only page", head(**{"X-Total-Pages": "1", "X-Page": "1", "X-Per-Page": "20"})),
    ("headers with totals of the rows", head(**{"X-Total-Count": "2", "X-Total": "1", "X-WP-Total": "0"})),
    ("a header total of another kind", head(**{"X-Total": "0.25", "X-Total-Count": "many"})),
    (
        "headers of a next page that is none",
        head(**{"X-Next-Page": "", "X-Next-Cursor": "null", "Next-Cursor": "-1", "X-Next-Offset": "0"}),
    ),
    ("a header with the page itself as the next", head(**{"X-Page": "1", "X-Next-Page": "1"})),
    ("a header with the address of the page as the next", head(**{"X-Next-Link": URL})),
    ("a header without more pages", head(**{"X-Has-More": "false", "X-Next-Cursor": "x1"})),
    (
        "a header in JSON of the only page",
        head(**{"X-Pagination": '{"totalPages": 1, "totalCount": 2, "nextPage": null, "hasNext": false}'}),
    ),
    ("a header that is no JSON", head(Pagination="{off", **{"X-Paging": "none", "Page": "1"})),
    ("a list whose Content-Range covers all", raw(rows("a", "b"), content_range="items 0-1/2")),
    (
        "a status 206 whose Content-Range covers all",
        raw(rows("a", "b"), status=206, content_range="items 0-1/2"),
    ),
    ("a list whose Content-Range has no size", raw(rows("a", "b"), content_range="0-1/*")),
    ("a list with an error that is null", page("a", "b", error=None, errors=[])),
    ("a list with an error that is empty", page("a", "b", error="", errors={})),
    ("a list with an error that is false or 0", page("a", "b", error=False, errors=0)),
    ("a list with an error whose code is 0", page("a", "b", error={"code": 0, "message": ""})),
    ("a list beside the code 0", page("a", "b", code=0, msg="ok")),
    ("a list beside the code 200", page("a", "b", code="200", success="true", ok=True, status="ok")),
    ("a list beside an unknown code", page("a", "b", code=1, msg="done")),
    ("a list beside an unknown error code", page("a", "b", error_code=1234, err_code="X", errno=7)),
    ("a list beside a status of HTTP", page("a", "b", status=500, message="busy")),
    ("a list whose error text is empty", page("a", "b", error_msg="", errmsg=None, errorMessage=" ")),
    ("a list whose error text is ok", page("a", "b", errmsg="ok", error_msg="Success.", err_msg="None")),
    ("a list whose error text says no error", page("a", "b", error_message="No error", errMsg="成功")),
    ("a list whose error text is no text", page("a", "b", error_msg=0, errmsg={}, error_message=False)),
    ("a list whose error text is beside the code 0", page("a", "b", errno=0, errmsg="your list, as asked")),
    ("a list beside an unknown status", page("a", "b", status="active", state=3)),
    (
        "a list whose records have a status of error",
        raw({"data": [{"id": "a", "status": "error"}, {"id": "b", "ok": False}]}),
    ),
]
"""Answers that are whole lists of the models a and b."""


@pytest.mark.parametrize("sent", [sent for _, sent in WHOLE], ids=[name for name, _ in WHOLE])
def test_is_a_whole_list(sent: Page) -> None:
    found = asked_and_read(gateway(), [sent])
    assert (found.models, found.incomplete, found.error) == (["a", "b"], None, None)


EMPTY = [
    ("an empty list", page()),
    ("an empty list beside the code 0", page(code=0, message="")),
    ("an empty list beside the code 200", page(code=200, status=200, message="OK")),
    ("an empty list beside a success in words", page(code="SUCCESS")),
    ("an empty list beside a success in another case", page(code="Success", status="success")),
    ("an empty list beside the code true", page(code=True)),
    ("an empty list beside the code 00000", page(code="00000")),
    ("an empty list beside a null code", page(code=None, errcode="", error_code=0)),
    ("an empty list beside the status of a service", page(status="active")),
    (
        "an empty list beside the code 0 of a vendor",
        page(base_resp={"status_code": 0, "status_msg": "success"}),
    ),
]


@pytest.mark.parametrize("sent", [sent for _, sent in EMPTY], ids=[name for name, _ in EMPTY])
def test_is_a_list_without_models(sent: Page) -> None:
    found = asked_and_read(gateway(), [sent])
    assert (found.models, found.incomplete, found.error) == ([], None, None)


MORE = [
    (
        "an array of links",
        page("a", _links={"next": [{"href": "/v1/models?p=2"}]}),
        "_links.next.href:",
        "paging = ",
    ),
    (
        "a cursor in the result's metadata",
        page("a", result_info={"cursor": "x1", "count": 1}),
        'result_info.cursor: "x1"',
        '{ param = "cursor", next = "result_info.cursor" }',
    ),
    (
        "a token for the next page",
        page("a", next_page_token="x1"),
        'next_page_token: "x1"',
        'param = "page_token"',
    ),
    ("a token in camel case", page("a", nextPageToken="x1"), 'nextPageToken: "x1"', 'next = "nextPageToken"'),
    (
        "a token in kebab case",
        page("a", **{"next-page-token": "x1"}),
        'next-page-token: "x1"',
        'param = "page-token"',
    ),
    (
        "a next cursor",
        page("a", next_cursor="x1"),
        'next_cursor: "x1"',
        '{ param = "cursor", next = "next_cursor" }',
    ),
    ("a cursor", page("a", cursor="x1"), 'cursor: "x1"', '{ param = "cursor", next = "cursor" }'),
    ("a next that is a cursor", page("a", next="x1"), 'next: "x1"', '{ param = "cursor", next = "next" }'),
    ("a next that is a number", page("a", next=2), "next: 2", '{ param = "page", next = "next" }'),
    ("a next page", page("a", next_page=2), "next_page: 2", '{ param = "page", next = "next_page" }'),
    (
        "a next offset",
        page("a", nextOffset=20),
        "nextOffset: 20",
        '{ param = "offset", next = "nextOffset" }',
    ),
    (
        "a next address",
        page("a", next="https://llm.example/v1/models?after=a&limit=1"),
        'next: "https://llm.example/v1/models?after=a',
        '{ param = "after", next = "next" }',
    ),
    (
        "a next address without parameters",
        page("a", next="/v1/models/2"),
        'next: "/v1/models/2"',
        "paging = ",
    ),
    (
        "a next link",
        page("a", nextLink="/v1/models?page=2"),
        "nextLink:",
        '{ param = "page", next = "nextLink" }',
    ),
    (
        "a next link of OData",
        page("a", **{"@odata.nextLink": "https://llm.example/v1/models?$skip=1"}),
        "@odata.nextLink:",
        'next = "@odata.nextLink"',
    ),
    ("a link to the next page", page("a", links={"next": "?page=2"}), "links.next:", 'next = "links.next"'),
    (
        "a link to the next page in HAL",
        page("a", _links={"next": {"href": "/v1/models?page=2"}}),
        "_links.next.href:",
        '{ param = "page", next = "_links.next.href" }',
    ),
    (
        "a list of links",
        page("a", links=[{"rel": "next", "href": "/v1/models?page=2"}]),
        "links.next:",
        "paging = ",
    ),
    ("a next page in paging", page("a", paging={"next": "x1"}), 'paging.next: "x1"', 'next = "paging.next"'),
    (
        "a next token in page",
        page("a", page={"nextToken": "x1"}),
        "page.nextToken:",
        '{ param = "token", next = "page.nextToken" }',
    ),
    ("a next page in meta", page("a", meta={"next_page": 2}), "meta.next_page: 2", 'next = "meta.next_page"'),
    (
        "a next page deep in meta",
        page("a", meta={"pagination": {"next_cursor": "x1"}}),
        'meta.pagination.next_cursor: "x1"',
        'next = "meta.pagination.next_cursor"',
    ),
    (
        "a number of pages",
        page("a", pagination={"total_pages": 3}),
        "pagination.total_pages: 3",
        '{ param = "page", pages = "pagination.total_pages" }',
    ),
    ("a last page", page("a", last_page="3"), 'last_page: "3"', 'pages = "last_page"'),
    ("more pages without a cursor", page("a", hasMore=True), "hasMore: true", "paging = "),
    ("more pages in words", page("a", hasMore="true"), 'hasMore: "true"', "complete = true"),
    (
        "more pages with a cursor",
        page("a", pageInfo={"hasNextPage": True, "endCursor": "x1"}),
        "pageInfo.hasNextPage: true",
        '{ param = "after", next = "pageInfo.endCursor", more = "pageInfo.hasNextPage" }',
    ),
    ("a has_more without its cursor", page("a", has_more=True), "its cursor at 'last_id'", "paging"),
    ("a cut list", page("a", truncated=True), "truncated: true", "complete = true"),
    (
        "a cut list with a cursor",
        page("a", truncated=True, next_cursor="x1"),
        'next_cursor: "x1"',
        '{ param = "cursor", next = "next_cursor" }',
    ),
    ("a partial list", page("a", meta={"partial": True}), "meta.partial: true", "complete = true"),
    ("more results", page("a", more_results_available=True), "more_results_available: true", "paging = "),
    ("a page that is not the end", page("a", is_end=False), "is_end: false", "complete = true"),
    ("a page before the end of a file", page("a", eof=False), "eof: false", "complete = true"),
    ("an end that is false", page("a", end=False), "end: false", "complete = true"),
    ("a last page in words", page("a", isLastPage="false"), 'isLastPage: "false"', "complete = true"),
    ("a last page as a number", page("a", is_last=0), "is_last: 0", "complete = true"),
    (
        "a list that is not done",
        page("a", done=False, nextRecordsUrl="/v1/models/x-2000"),
        "done: false",
        "complete = true",
    ),
    (
        "the key of the last record",
        page("a", LastEvaluatedKey={"id": {"S": "m8"}}),
        'LastEvaluatedKey.id.S: "m8"',
        'next = "LastEvaluatedKey.id.S"',
    ),
    (
        "a cursor beside a flag that says nothing",
        page("a", has_more=None, next_cursor="x1"),
        'next_cursor: "x1"',
        '{ param = "cursor", next = "next_cursor" }',
    ),
    ("remaining items", page("a", metadata={"remainingItemCount": 7}), "remainingItemCount: 7", "paging = "),
    ("remaining pages", page("a", remaining_pages="2"), 'remaining_pages: "2"', "complete = true"),
    (
        "a next page after this one",
        page("a", page=1, next_page=2),
        "next_page: 2",
        '{ param = "page", next = "next_page" }',
    ),
    (
        "the start of the next page",
        page("a", start=0, size=1, isLastPage=False, nextPageStart=9),
        "nextPageStart: 9",
        'next = "nextPageStart"',
    ),
    (
        "a header with the next page",
        head(**{"X-Next-Page": "2", "X-Page": "1"}),
        'header x-next-page: "2"',
        '{ param = "page", next = "x-next-page" }',
    ),
    (
        "a header with a cursor",
        head(**{"X-Next-Cursor": "x1"}),
        'header x-next-cursor: "x1"',
        '{ param = "cursor", next = "x-next-cursor" }',
    ),
    (
        "a header with a bare cursor",
        head(**{"Next-Cursor": "x1"}),
        "header next-cursor:",
        'next = "next-cursor"',
    ),
    (
        "a header with a token",
        head(**{"X-NextPageToken": "x1"}),
        "header x-nextpagetoken:",
        'next = "x-nextpagetoken"',
    ),
    (
        "a header with a continuation of a vendor",
        head(**{"x-ms-continuation": "x1"}),
        "header x-ms-continuation:",
        '{ param = "continuation", next = "x-ms-continuation" }',
    ),
    (
        "a header with a continuation token",
        head(**{"X-Continuation-Token": "x1"}),
        "header x-continuation-token:",
        'next = "x-continuation-token"',
    ),
    (
        "a header with the number of pages",
        head(**{"X-Total-Pages": "3", "X-Page": "1"}),
        'header x-total-pages: "3"',
        '{ param = "page", pages = "x-total-pages" }',
    ),
    (
        "a header with the number of pages of a blog",
        head(**{"X-WP-TotalPages": "3"}),
        "header x-wp-totalpages:",
        'pages = "x-wp-totalpages"',
    ),
    ("a header with a count of pages", head(**{"X-Page-Count": "3"}), "header x-page-count:", "pages = "),
    ("a header with more in a word", head(**{"X-More": "true"}), 'header x-more: "true"', "paging = "),
    (
        "a header with the next of the pages",
        head(**{"X-Page-Next": "2"}),
        "header x-page-next:",
        'next = "x-page-next"',
    ),
    (
        "a range in a header of its own",
        head(**{"X-Content-Range": "items 0-1/9"}),
        "items 0-1/9",
        "complete = true",
    ),
    ("a header with more", head(**{"X-Has-More": "true"}), "header x-has-more:", "complete = true"),
    (
        "a header with more and a cursor",
        head(**{"X-Has-More": "1", "X-Next-Cursor": "x1"}),
        "header x-has-more:",
        '{ param = "cursor", next = "x-next-cursor", more = "x-has-more" }',
    ),
    ("a header of a cut list", head(**{"X-Truncated": "true"}), "header x-truncated:", "complete = true"),
    (
        "a header in JSON",
        head(**{"X-Pagination": '{"totalPages": 3, "nextPage": 2}'}),
        "header x-pagination.nextPage: 2",
        '{ param = "page", next = "x-pagination.nextPage" }',
    ),
    (
        "a header in JSON without X-",
        head(Pagination='{"TotalPages": 3, "CurrentPage": 1}'),
        "header pagination.TotalPages: 3",
        '{ param = "page", pages = "pagination.TotalPages" }',
    ),
    ("incomplete results", page("a", incomplete_results=True), "incomplete_results: true", "complete = true"),
    ("a list that is not complete", page("a", complete=False), "complete: false", "complete = true"),
    ("a page that is not the last", page("a", last=False), "last: false", "complete = true"),
    (
        "a list that begins at an offset",
        page("a", offset=20, limit=20, total=21),
        "offset: 20",
        "complete = true",
    ),
    (
        "a cursor named offset",
        page("a", offset="itr9x"),
        'offset: "itr9x"',
        '{ param = "offset", next = "offset" }',
    ),
    (
        "a list that begins on another page",
        page("a", page=3, page_size=20, total_pages=3),
        "page: 3",
        "complete = true",
    ),
    (
        "a next page beside a list in another object",
        raw({"result": {"models": rows("a"), "next": "x1"}}),
        'result.next: "x1"',
        'next = "result.next"',
    ),
    (
        "a next page around the object that holds the list",
        raw({"next_token": "x1", "result": {"models": rows("a")}}),
        'next_token: "x1"',
        'param = "token"',
    ),
    (
        "a page of several",
        page("a", "b", "c", page={"no": 1, "of": 3}),
        "page.of: 3",
        'paging = { param = "page", pages = "page.of" }',
    ),
    (
        "a current and a last page",
        page("a", pagination={"current": 1, "last": 3}),
        "pagination.last: 3",
        'pages = "pagination.last"',
    ),
    (
        "a last page after the page 0",
        page("a", "b", meta={"pageInfo": {"index": 0, "last": "1"}}),
        'meta.pageInfo.last: "1"',
        'pages = "meta.pageInfo.last"',
    ),
    (
        "a page object in a header",
        head(**{"X-Pagination": '{"current": 1, "last": 3}'}),
        "x-pagination.last: 3",
        'pages = "x-pagination.last"',
    ),
    ("a page of several as a text", page("a", page="1 of 3"), 'page: "1 of 3"', "paging = {"),
    ("a page of several as a fraction", page("a", meta={"page": "1/3"}), 'meta.page: "1/3"', "paging = {"),
    ("a part of the records as a text", page("a", pagination="1-1 of 9"), '"1-1 of 9"', "paging = {"),
    ("a status 206", raw({"data": rows("a")}, status=206), "status 206", "complete = true"),
    (
        "a partial Content-Range",
        raw(rows("a"), content_range="items 0-0/9"),
        "items 0-0/9",
        "complete = true",
    ),
    (
        "a status 206 without the size",
        raw(rows("a"), status=206, content_range="items 0-0/*"),
        "items 0-0/*",
        "complete = true",
    ),
    (
        "a Content-Range that begins later",
        raw(rows("a"), content_range="items 5-8/9"),
        "items 5-8/9",
        "complete = true",
    ),
    (
        "a Link to another server",
        raw(rows("a"), link='<https://other.example/v1/models?page=2>; rel="next"'),
        "another server (https://other.example",
        "write it as `url`",
    ),
]
"""Answers that certainly have more pages; the sign that the error names, and the setting."""


@pytest.mark.parametrize(("sent", "sign", "setting"), [row[1:] for row in MORE], ids=[row[0] for row in MORE])
def test_has_more_pages_and_fails_with_its_sign_and_the_setting_to_add(
    sent: Page, sign: str, setting: str
) -> None:
    error = asked_and_read(gateway(), [sent]).error
    assert error is not None
    assert sign in error
    assert setting in error
    assert "`complete = true` if this is the whole list" in error
    assert len(error) < 300


@pytest.mark.parametrize("sent", [row[1] for row in MORE], ids=[row[0] for row in MORE])
def test_is_the_whole_list_with_complete(sent: Page) -> None:
    found = asked_and_read(gateway(complete=True), [sent])
    assert (found.models[:1], found.incomplete, found.error) == (["a"], None, None)
    assert len(found.asked) == 1


DOUBTFUL = [
    ("a total", page("a", total=57), "total: 57"),
    ("a total as text", page("a", total_count="57"), "total_count: 57"),
    ("a count", page("a", count=57), "count: 57"),
    ("a total in camel case", page("a", totalCount=57), "totalCount: 57"),
    ("a total in the metadata", page("a", meta={"total": 57}), "meta.total: 57"),
    ("a total of OData", page("a", **{"@odata.count": 57}), "@odata.count: 57"),
    ("the larger of two totals", page("a", total=2, total_count=57), "total_count: 57"),
    ("what was found", page("a", numFound=25), "numFound: 25"),
    ("the records of a table", page("a", recordsTotal=25, recordsFiltered=25), "recordsTotal: 25"),
    ("the elements of all pages", page("a", page={"totalElements": 25}), "page.totalElements: 25"),
    ("the items of all pages", page("a", total_items="25"), "total_items: 25"),
    ("a count of items", page("a", itemCount=25), "itemCount: 25"),
    ("a count of results", page("a", resultCount=25), "resultCount: 25"),
    ("a count of models", page("a", model_count=25), "model_count: 25"),
    (
        "a count of items in a header",
        raw(rows("a"), headers={"X-Items-Count": "9"}),
        "header x-items-count: 9",
    ),
    ("a total in an object", page("a", total={"value": 25, "relation": "eq"}), "total.value: 25"),
    ("a total in a header", raw(rows("a"), headers={"X-Total-Count": "20"}), "header x-total-count: 20"),
    ("a bare total in a header", raw(rows("a"), headers={"X-Total": "20"}), "header x-total: 20"),
    ("a total of a blog in a header", raw(rows("a"), headers={"X-WP-Total": "20"}), "header x-wp-total: 20"),
    (
        "a total of pagination in a header",
        raw(rows("a"), headers={"Pagination-Count": "20"}),
        "header pagination-count: 20",
    ),
    (
        "a total in JSON in a header",
        raw(rows("a"), headers={"X-Pagination": '{"totalCount": 20}'}),
        "header x-pagination.totalCount: 20",
    ),
    (
        "a total in the list's own object",
        raw({"result": {"models": rows("a"), "total": 57}}),
        "result.total: 57",
    ),
]
"""Answers that may have more pages."""


@pytest.mark.parametrize(("sent", "sign"), [row[1:] for row in DOUBTFUL], ids=[row[0] for row in DOUBTFUL])
def test_is_read_and_may_be_incomplete(sent: Page, sign: str) -> None:
    found = asked_and_read(gateway(), [sent])
    assert (found.models, found.error) == (["a"], None)
    assert found.incomplete is not None
    assert found.incomplete.startswith(f"the answer has 1 row and says {sign}, so it may be one page")
    assert 'paging = { param = "page", total = "' in found.incomplete
    assert asked_and_read(gateway(complete=True), [sent]).incomplete is None


@pytest.mark.parametrize(
    "sent",
    [
        page("a", remaining=11, page=1),
        page("a", remaining=11, offset=0),
        page("a", remaining=11, limit=60),
        page("a", cursor="", remaining=11),
    ],
    ids=["page", "offset", "limit", "cursor"],
)
def test_a_number_of_what_remains_beside_words_about_pages_is_read_and_may_be_incomplete(sent: Page) -> None:
    found = asked_and_read(gateway(), [sent])
    assert (found.models, found.error) == (["a"], None)
    assert str(found.incomplete).startswith(
        "the answer has 1 row and says remaining: 11, so it may be one page"
    )
    assert "`complete = true` if this is the whole list" in str(found.incomplete)
    assert asked_and_read(gateway(complete=True), [sent]).incomplete is None


def test_rows_that_are_skipped_or_repeated_count_for_a_total() -> None:
    sent = raw({"data": [*rows("a", "a"), {"id": ""}], "total": 3})
    assert asked_and_read(gateway(), [sent]).incomplete is None


Query = tuple[tuple[str, str], ...]
FOLLOWED: list[tuple[str, list[Page], list[tuple[str, Query]]]] = [
    (
        "offset, limit and total",
        [page("a", "b", offset=0, limit=2, total=3), page("c", offset=2, limit=2, total=3)],
        [("", (("offset", "2"), ("limit", "2")))],
    ),
    (
        "offset and limit up to a page that is not full",
        [page("a", "b", offset=0, limit=2), page("c", offset=2, limit=2)],
        [("", (("offset", "2"), ("limit", "2")))],
    ),
    (
        "offset and limit up to an empty page",
        [page("a", "b", offset=0, limit=2), page("c", "d", offset=2, limit=2), page(offset=4, limit=2)],
        [("", (("offset", "2"), ("limit", "2"))), ("", (("offset", "4"), ("limit", "2")))],
    ),
    (
        "offset and limit in an object of the envelope",
        [
            page("a", pagination={"offset": 0, "limit": 1, "total": 2}),
            page("b", pagination={"offset": 1, "limit": 1, "total": 2}),
        ],
        [("", (("offset", "1"), ("limit", "1")))],
    ),
    (
        "page, size and total",
        [page("a", page=1, page_size=1, total=2), page("b", page=2, page_size=1, total=2)],
        [("", (("page", "2"), ("page_size", "1")))],
    ),
    (
        "page, size and number of pages, in camel case",
        [
            page("a", meta={"pageNo": 1, "pageSize": 1, "totalPages": 2}),
            page("b", meta={"pageNo": 2, "pageSize": 1, "totalPages": 2}),
        ],
        [("", (("pageNo", "2"), ("pageSize", "1")))],
    ),
    (
        "pages counted from 0",
        [
            page("a", number=0, size=1, totalPages=2, last=False),
            page("b", number=1, size=1, totalPages=2, last=True),
        ],
        [("", (("page", "1"), ("size", "1")))],
    ),
    (
        "the present page of Laravel before its links",
        [
            page("a", links={"next": f"{URL}?page=2"}, meta={"current_page": 1, "per_page": 1, "total": 2}),
            page("b", links={"next": None}, meta={"current_page": 2, "per_page": 1, "total": 2}),
        ],
        [("", (("page", "2"), ("per_page", "1")))],
    ),
    (
        "has_more and the last id",
        [page("a", has_more=True, last_id="a"), page("b", has_more=False, last_id="b")],
        [("", (("after", "a"),))],
    ),
    (
        "a Link with a relative address",
        [raw(rows("a"), link='</v1/models?page=2>; rel="next"'), raw(rows("b"))],
        [(f"{URL}?page=2", ())],
    ),
    (
        "a Link with a query alone",
        [raw(rows("a"), link="<?page=2>;rel=next"), raw(rows("b"), url=f"{URL}?page=2")],
        [(f"{URL}?page=2", ())],
    ),
    (
        "a Link among others, with several relations",
        [
            raw(rows("a"), link=f'<{URL}?a=1,2>; title="a, b; c"; rel=prev, <{URL}?page=2>; REL="Next last"'),
            raw(rows("b"), link=f'<{URL}>; rel="first prev"'),
        ],
        [(f"{URL}?page=2", ())],
    ),
    (
        "a Link with single quotes",
        [raw(rows("a"), link="<?page=2>; rel='next'; title='b, c'"), raw(rows("b"), url=f"{URL}?page=2")],
        [(f"{URL}?page=2", ())],
    ),
    (
        "a Link with several relations in single quotes",
        [raw(rows("a"), link="<?page=2>; rel='last next'"), raw(rows("b"), link="<?page=1>; rel='prev'")],
        [(f"{URL}?page=2", ())],
    ),
    (
        "a Link with http behind a proxy that ends TLS",
        [raw(rows("a"), link="<http://llm.example/v1/models?page=2>; rel=next"), raw(rows("b"))],
        [(f"{URL}?page=2", ())],
    ),
    (
        "a Link on three pages of a list with an envelope",
        [
            raw({"data": rows("a"), "total": 3}, link="<?page=2>; rel=next"),
            raw({"data": rows("b"), "total": 3}, link="<?page=3>; rel=next"),
            raw({"data": rows("c"), "total": 3}),
        ],
        [(f"{URL}?page=2", ()), (f"{URL}?page=3", ())],
    ),
]


@pytest.mark.parametrize(("sent", "wanted"), [row[1:] for row in FOLLOWED], ids=[row[0] for row in FOLLOWED])
def test_is_followed_by_itself(sent: list[Page], wanted: list[tuple[str, Query]]) -> None:
    found = asked_and_read(gateway(), sent)
    assert (found.incomplete, found.error) == (None, None)
    assert found.models == list("abcd"[: len(found.models)])
    assert [(request.url, request.params) for request in found.asked[1:]] == wanted


ENDLESS = [
    (
        "a server that ignores the offset",
        [page("a", offset=0, limit=1, total=3)] * 2,
        "page 2 leads back to a page that was read already",
    ),
    (
        "a server that repeats its rows beside the offset that was asked for",
        [page("a", offset=0, limit=1, total=3), page("a", offset=1, limit=1, total=3)],
        "page 2 leads back to a page that was read already",
    ),
    (
        "a server that ignores the page of its Link",
        [
            raw(rows("a", "b"), link="<?page=2>; rel=next"),
            raw(rows("a", "b"), link="<?page=2>; rel=next", url=f"{URL}?page=2"),
        ],
        "page 2 leads back to a page that was read already",
    ),
    (
        "an empty page before the total",
        [page("a", offset=0, limit=1, total=3), page(offset=1, limit=1, total=3)],
        "page 2 is empty although it announces a next one",
    ),
    (
        "a Link that leads back",
        [
            raw(rows("a"), link="<?page=2>; rel=next"),
            raw(rows("b"), link="<?page=1>; rel=next", url=f"{URL}?page=2"),
            raw(rows("c"), link="<?page=2>; rel=next", url=f"{URL}?page=1"),
        ],
        "page 3 leads back to a page that was read already",
    ),
    (
        "a Link on an empty page",
        [raw(rows("a"), link="<?page=2>; rel=next"), raw([], link="<?page=3>; rel=next")],
        "page 2 is empty although it announces a next one",
    ),
    (
        "a page that is an error",
        [raw(rows("a"), link="<?page=2>; rel=next"), raw({"error": {"message": "slow down"}})],
        "with an error: slow down",
    ),
]


@pytest.mark.parametrize(("sent", "message"), [row[1:] for row in ENDLESS], ids=[row[0] for row in ENDLESS])
def test_pages_that_do_not_make_a_list_fail(sent: list[Page], message: str) -> None:
    error = asked_and_read(gateway(), sent).error
    assert error is not None
    assert message in error


def test_a_saved_page_that_is_full_may_be_incomplete() -> None:
    read = request_dialect(gateway()).parse(Answer((page("a", offset=0, limit=1).body,), NOW))
    assert read.incomplete is not None
    assert "a full page of 1 row (offset: 0)" in read.incomplete


def test_a_saved_page_that_announces_more_fails() -> None:
    answer = Answer((page("a", offset=0, limit=1, total=9).body,), NOW)
    with pytest.raises(Unreadable, match=r"more pages than were read \(offset: 0\)"):
        request_dialect(gateway()).parse(answer)


def test_a_saved_page_without_the_number_of_pages_of_the_config_fails() -> None:
    own = gateway(paging=(("param", "page"), ("pages", "page.of")))
    with pytest.raises(Unreadable, match=r"page 1 has no number of pages at 'page\.of'"):
        request_dialect(own).parse(Answer((page("a").body,), NOW))


def test_a_saved_page_with_a_number_of_pages_names_the_setting_that_follows_it() -> None:
    answer = Answer((page("a", page={"page": 1, "pages": 3}).body,), NOW)
    with pytest.raises(Unreadable) as refused:
        request_dialect(gateway()).parse(answer)
    assert 'set `paging = { param = "page", pages = "page.pages" }`' in refused.value.message


SETTINGS = [
    (
        "next",
        {"next": "@odata.nextLink"},
        [page("a", **{"@odata.nextLink": "/v1/models?$skip=1"}), page("b")],
    ),
    ("total", {"total": "meta.total"}, [page("a", meta={"total": 2}), page("b", meta={"total": 2})]),
    ("pages", {"pages": "last_page"}, [page("a", last_page=2), page("b", last_page=2)]),
    (
        "more",
        {"next": "pageInfo.endCursor", "more": "pageInfo.hasNextPage"},
        [
            page("a", pageInfo={"hasNextPage": True, "endCursor": "x1"}),
            page("b", pageInfo={"hasNextPage": False, "endCursor": "x2"}),
        ],
    ),
    (
        "next in a header",
        {"next": "X-Next-Page"},
        [
            raw(rows("a"), headers={"X-Next-Page": "2", "X-Total-Pages": "2"}),
            raw(rows("b"), headers={"X-Next-Page": "", "X-Total-Pages": "2"}),
        ],
    ),
    (
        "pages in a header",
        {"pages": "x-total-pages", "total": "x-total"},
        [raw(rows(each), headers={"X-Total-Pages": "2", "X-Total": "2"}) for each in "ab"],
    ),
    (
        "more in a header",
        {"next": "x-next-cursor", "more": "x-has-more"},
        [
            raw(rows("a"), headers={"X-Has-More": "true", "X-Next-Cursor": "x1"}),
            raw(rows("b"), headers={"X-Has-More": "false", "X-Next-Cursor": "x2"}),
        ],
    ),
    (
        "next in JSON in a header",
        {"next": "x-pagination.nextPage"},
        [
            raw(rows("a"), headers={"X-Pagination": '{"nextPage": 2, "totalPages": 2}'}),
            raw(rows("b"), headers={"X-Pagination": '{"nextPage": null, "totalPages": 2}'}),
        ],
    ),
    ("a next of -1", {"next": "next"}, [page("a", next=2), page("b", next=-1)]),
    ("a cursor that stays", {"next": "cursor", "more": "more"}, [page("a", cursor="x", more=False)]),
]


@pytest.mark.parametrize(("paging", "sent"), [row[1:] for row in SETTINGS], ids=[row[0] for row in SETTINGS])
def test_the_setting_that_an_error_names_follows_the_pages(paging: dict[str, str], sent: list[Page]) -> None:
    found = asked_and_read(gateway(paging=(("param", "p"), *paging.items())), sent)
    assert (found.incomplete, found.error) == (None, None)
    assert found.models == list("ab"[: len(sent)])


@pytest.mark.parametrize("paging", [{"pages": "pages"}, {"next": "next"}])
def test_a_server_that_ignores_the_parameter_of_the_setting_fails(paging: dict[str, str]) -> None:
    sent = [page("a", "b", pages=3, next=str(number)) for number in (2, 3)]
    error = asked_and_read(gateway(paging=(("param", "p"), *paging.items())), sent).error
    assert "page 2 leads back to a page that was read already" in str(error)
    assert "the gateway may ignore `p`: check `param` of `paging`" in str(error)


@pytest.mark.parametrize(
    ("paging", "sent", "message"),
    [
        (
            {"pages": "page.of"},
            page("a", paged={"of": 3}),
            "page 1 has no number of pages at 'page.of': set `pages` of `paging`, or `complete = true`",
        ),
        ({"pages": "of"}, page("a", of="some"), "page 1 has no number of pages at 'of'"),
        ({"pages": "x-pages"}, page("a"), "page 1 has no number of pages at 'x-pages'"),
        ({"total": "meta.all"}, page("a"), "page 1 has no number of models at 'meta.all'"),
        ({"pages": "page.of", "total": "all"}, page("a"), "page 1 has no number of pages at 'page.of'"),
    ],
)
def test_a_numbered_page_without_its_number_of_pages_fails(
    paging: dict[str, str], sent: Page, message: str
) -> None:
    found = asked_and_read(gateway(paging=(("param", "p"), *paging.items())), [sent])
    assert message in str(found.error)
    whole = asked_and_read(gateway(paging=(("param", "p"), *paging.items()), complete=True), [sent])
    assert (whole.models, whole.error) == (["a"], None)


@pytest.mark.parametrize(
    ("paging", "sent"),
    [
        ({"pages": "of", "total": "all"}, page("a", all=1)),
        ({"pages": "of", "total": "all"}, page("a", of=1)),
        ({"pages": "of"}, page(of=0)),
        ({"total": "all"}, page(all="0")),
    ],
)
def test_one_number_of_a_numbered_page_is_enough(paging: dict[str, str], sent: Page) -> None:
    found = asked_and_read(gateway(paging=(("param", "p"), *paging.items())), [sent])
    assert (found.incomplete, found.error) == (None, None)


def test_complete_silences_the_other_signs_beside_paging() -> None:
    own = gateway(paging=(("param", "p"), ("next", "next")), complete=True)
    found = asked_and_read(own, [page("a", next="2", total=57), page("b", total=57, truncated=True)])
    assert (found.models, found.incomplete, found.error) == (["a", "b"], None, None)


ERRORS = [
    (
        "an empty list beside an error of its metadata",
        page(ResponseMetadata={"Error": {"Code": "Denied", "Message": "no key"}}),
        "with an error: no key",
    ),
    (
        "a message in place of the list",
        raw({"message": "no key", "data": None}),
        "not the list of models: no key",
    ),
    ("a detail in place of the list", raw({"detail": "no key"}), "not the list of models: no key"),
    (
        "a lone row without an id",
        raw({"data": [{"error": "no key"}]}),
        "the only row of the list is an error: no key",
    ),
    ("ok is false", page("a", ok=False, msg="no such key"), "answered ok: false: no such key"),
    ("success is false in words", page("a", success="false", message="later"), 'success: "false": later'),
    ("success is 0", page("a", success=0, detail="later"), "success: 0: later"),
    ("the status is error", page("a", status="error", message="later"), 'status: "error": later'),
    ("the status is failed, in capitals", page("a", status="FAILED"), 'status: "FAILED"'),
    ("the status is fail", page("a", status="fail", msg="later"), 'status: "fail": later'),
    ("the status is false", page(status=False, msg="later"), "status: false: later"),
    (
        "the object is an error",
        raw({"object": "error", "message": "no model", "code": 404}),
        '"error": no model',
    ),
    ("the error is a text", page("a", error="closed"), "with an error: closed"),
    ("the error has a message of its own", page("a", error_msg="token invalid"), "an error: token invalid"),
    ("a short error text", page("a", errmsg="no key", errno=7), "with an error: no key (errno: 7)"),
    ("an error text in camel case", page("a", errorMessage="no key"), "with an error: no key"),
    (
        "an error text beside an unknown code",
        page("a", err_msg="busy", error_code=110),
        "error: busy (error_code: 110)",
    ),
    ("an empty list beside an error text", page(error_message="no key"), "with an error: no key"),
    ("a missing list beside an error text", raw({"err_msg": "no key"}), "with an error: no key"),
    ("a list with an error description", page("a", error_description="no key"), "with an error: no key"),
    ("an empty list beside another error code", page(error_code=1234), "error_code: 1234 and no models"),
    ("an empty list beside a server's status", page(status=500), "status: 500 and no models"),
    ("the error is an object", page("a", error={"code": 401, "msg": "no key"}), "with an error: no key"),
    ("the error is a number", page("a", error=7), "with an error: 7"),
    ("the errors are objects", page("a", errors=[{}, {"detail": "no key"}]), "with an error: no key"),
    ("an empty list beside an unknown code", page(code=401, msg="no key"), "code: 401 and no models: no key"),
    ("an empty list beside the code 1", page(code=1), "set `success = { code = 1 }`"),
    (
        "a null list beside an unknown code",
        raw({"code": "40100", "msg": "no key", "data": None}),
        '"40100" and no',
    ),
    (
        "a missing list beside an unknown code",
        raw({"code": 500, "message": "busy"}),
        "code: 500 and no models: busy",
    ),
    (
        "an empty list beside an error code",
        page(errcode=40001, errmsg="no key"),
        "with an error: no key (errcode: 40001): if that is a success, set `success = { errcode = 40001 }`",
    ),
    ("an empty list beside the code false", page(code=False), "code: false"),
    (
        "an empty list beside an HTTP status",
        page(status=401, message="no key"),
        "status: 401 and no models: no key",
    ),
    (
        "an empty list beside the code of a vendor",
        page(base_resp={"status_code": 1004, "status_msg": "no key"}),
        "base_resp.status_code: 1004 and no models: no key",
    ),
    (
        "a lone row that is an error",
        raw({"data": [{"id": "error", "object": "error"}]}),
        "only row of the list is an",
    ),
    (
        "a lone row with a message",
        raw({"data": [{"id": "error", "message": "no key"}]}),
        "only row of the list is an error: no key",
    ),
    ("a list that is null", raw({"object": "list", "data": None}), "'data' is null, not the list of models"),
    (
        "a list that is missing",
        raw({"object": "list"}),
        "or another usual place, and the answer is not the list of models",
    ),
    (
        "a list that is null deeper",
        raw({"result": {"models": None}}),
        "'result.models' is null, not the list",
    ),
]


@pytest.mark.parametrize(("sent", "message"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS])
def test_is_an_error_in_spite_of_its_status(sent: Page, message: str) -> None:
    found = asked_and_read(gateway(), [sent])
    assert found.error is not None
    assert message in found.error
    assert "null or missing" not in found.error or "missing" in message


@pytest.mark.parametrize(
    "row",
    [
        {"id": "error", "object": "model", "description": "finds errors"},
        {"id": "error-corrector", "object": "model"},
        {"id": "error-corrector", "status": "error", "message": "is loading"},
        {"id": "error"},
    ],
)
def test_a_lone_model_with_error_in_its_name_is_a_model(row: dict[str, Any]) -> None:
    assert asked_and_read(gateway(), [raw({"data": [row]})]).models == [row["id"]]


@pytest.mark.parametrize(
    ("success", "sent", "error"),
    [
        ({"code": 0}, page("a", code=0), None),
        ({"code": 0}, page("a", code=0.0), None),
        ({"code": 1}, page(code=1), None),
        ({"code": 0}, page("a", code=7, msg="no key"), "code: 7, where `success` has 0: no key"),
        (
            {"code": 0},
            page("a", code="0"),
            'code: "0", where `success` has 0: if that is a success, set `success = { code = "0" }`',
        ),
        ({"ok": True}, page("a", ok="true"), 'set `success = { ok = "true" }` for the gateway'),
        ({"code": 1}, page("a", code=True), "code: true, where `success` has 1"),
        ({"code": 0}, page("a"), "the answer has no `code`, where `success` has 0"),
        ({"code": 0}, raw(rows("a")), "the answer has no `code`, where `success` has 0"),
        ({"code": 0}, page("a", code=None), "code: null, where `success` has 0"),
        ({"meta.okay": True}, page("a", meta={}), "the answer has no `meta.okay`, where `success` has true"),
        ({"meta.code": "fine"}, page(meta={"code": "fine"}), None),
        ({"status": "failed"}, page("a", status="failed"), None),
        ({"errno": 7}, page("a", errno=7, errmsg="the list of today"), None),
        ({"errmsg": "fine so far"}, page("a", errmsg="fine so far"), None),
        ({"code": 0}, page("a", code=0, ok=False), "ok: false"),
    ],
)
def test_a_declared_success_is_required(success: dict[str, Any], sent: Page, error: str | None) -> None:
    found = asked_and_read(gateway(success=tuple(success.items())), [sent])
    assert found.error is None if error is None else error in (found.error or "")


def test_complete_and_success_are_part_of_the_reading() -> None:
    plain = request_dialect(gateway())
    own = request_dialect(gateway(complete=True)), request_dialect(gateway(success=(("code", 0),)))
    assert len({plain.reading, *(each.reading for each in own)}) == 3


def test_a_total_that_appears_beside_the_rows_of_the_last_answer_is_seen() -> None:
    cache = RowCache(request_dialect(gateway()))
    first, later = (Answer((page("a", "b", total=total).body,), NOW) for total in (2, 57))
    assert cache.parse(first).incomplete is None
    assert "total: 57" in str(cache.parse(later).incomplete)
    assert cache.parse(first).incomplete is None


def test_known_dialects_decide_which_totals_count() -> None:
    of = Gateway("acme", "https://api.fireworks.ai/v1/accounts/acme")
    body = json.dumps({"models": [{"name": "accounts/acme/models/a", "kind": "x"}], "totalSize": 40}).encode()
    assert request_dialect(of).parse(Answer((body,), NOW)).incomplete is None
