"""Cut the list into pages, as gateways do: by offset, by page number, by token, or with a `Link` header."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from pipeline.simulator.messages import Request, Response, json_response

_Rows = list[Any]


@dataclass(frozen=True, slots=True)
class Paging:
    """How the list is cut: `size` records on a page, in one of the `STYLES`.

    With `deaf`, the parameters of requests are ignored: every answer is the first page.
    """

    style: str
    size: int
    deaf: bool = False

    def page(self, response: Response, request: Request) -> Response:
        """Return the page of the complete list that a request asks for."""
        value = json.loads(response.body)
        query = {} if self.deaf else {name: texts[-1] for name, texts in parse_qs(_query(request)).items()}
        return STYLES[self.style](value, value["data"], query, self.size, request)


def _by_offset(value: dict[str, Any], rows: _Rows, query: dict[str, str], size: int, _: Request) -> Response:
    offset = _number(query, "offset", 0)
    page = {"data": rows[offset : offset + size], "offset": offset, "limit": size, "total": len(rows)}
    return json_response({**value, **page})


def _by_full_page(
    value: dict[str, Any], rows: _Rows, query: dict[str, str], size: int, _: Request
) -> Response:
    """Write offset and limit, but no total: only a page that is not full is the last one."""
    offset = _number(query, "offset", 0)
    return json_response({**value, "data": rows[offset : offset + size], "offset": offset, "limit": size})


def _by_number(value: dict[str, Any], rows: _Rows, query: dict[str, str], size: int, _: Request) -> Response:
    page = _number(query, "page", 1)
    total = {"page": page, "page_size": size, "total_pages": -(-len(rows) // size)}
    return json_response({**value, "data": rows[(page - 1) * size : page * size], "pagination": total})


def _by_token(value: dict[str, Any], rows: _Rows, query: dict[str, str], size: int, _: Request) -> Response:
    start = _number(query, "page_token", 0)
    after = str(start + size) if start + size < len(rows) else ""
    return json_response({**value, "data": rows[start : start + size], "next_page_token": after})


def _by_link(_: dict[str, Any], rows: _Rows, query: dict[str, str], size: int, request: Request) -> Response:
    page = _number(query, "page", 1)
    response = json_response(rows[(page - 1) * size : page * size])
    targets = {"first": 1, "next": page + 1} if page * size < len(rows) else {"first": 1}
    links = (f'<{request.place}?{urlencode({"page": to})}>; rel="{rel}"' for rel, to in targets.items())
    return response.with_headers(("Link", ", ".join(links)))


STYLES: dict[str, Callable[[dict[str, Any], _Rows, dict[str, str], int, Request], Response]] = {
    "offset": _by_offset,
    "full-page": _by_full_page,
    "number": _by_number,
    "token": _by_token,
    "link": _by_link,
}


def _query(request: Request) -> str:
    return urlsplit(request.path).query


def _number(query: dict[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else default
