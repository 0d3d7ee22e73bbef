"""CSV for spreadsheets, by `_sheet=1`: what would be a formula is a text, and a mark says it is UTF-8."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from datasette import hookimpl

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Any, Send], Awaitable[None]]

FORMULA = re.compile(
    "[\t\r\n\x00]|[\\s\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
    "\u200b-\u200d\u2060-\u2065\ufeff\u2028\u2029"
    "\xad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]*"
    "[=\u207c\u208c\u2e40\u30a0\ua78a\ufe66\uff1d\U0001f7f0+\u207a\u208a\u2795\ufb29\ufe62\uff0b"
    "\\-\u02d7\u058a\u05be\u2010-\u2015\u2043\u207b\u208b\u2212\u2796\u2e3a\u2e3b\ufe31\ufe32\ufe58\ufe63\uff0d@\ufe6b\uff20]"
)
"""The beginning of a formula; a copy of the rule in `reports/csv_json.py`."""

NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)

_FIELD = re.compile(r'("(?:[^"]|"")*"|[^,\r\n]*)(,|\r?\n)')
_RECORD_END = re.compile(r"\r?\n")
_OK = 200
_BOM = "\ufeff"


@hookimpl
def asgi_wrapper() -> Callable[[App], App]:
    """Guard the CSV of requests with `_sheet=1`."""

    def wrapped(app: App) -> App:
        async def serve(scope: Message, receive: Any, send: Send) -> None:
            asked = scope["type"] == "http" and b"_sheet=1" in scope["query_string"]
            if asked and parse_qs(scope["query_string"].decode("latin-1")).get("_sheet") == ["1"]:
                await app(scope, receive, _Sheet(send).send)
            else:
                await app(scope, receive, send)

        return serve

    return wrapped


def guarded(text: str) -> str:
    """Return records of CSV with a `'` before each text that a spreadsheet would evaluate as a formula."""
    return _FIELD.sub(lambda found: _guarded_field(found[1]) + found[2], text)


def _guarded_field(field: str) -> str:
    is_quoted = field.startswith('"')
    inner = field[1:-1].replace('""', '"') if is_quoted else field
    if not FORMULA.match(inner) or NUMBER.fullmatch(inner):
        return field
    return f"\"'{field[1:]}" if is_quoted else f"'{field}"


class _Sheet:
    """The messages of a response: CSV is guarded record by record, anything else is sent on."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._rest: str | None = None
        self._start = b""

    async def send(self, message: Message) -> None:
        """Send a message; of CSV, the records that are complete."""
        if message["type"] == "http.response.start":
            await self._send(self._begun(message))
        elif self._rest is None or message["type"] != "http.response.body":
            await self._send(message)
        else:
            has_more = bool(message.get("more_body"))
            text = self._complete(message.get("body", b""), is_last=not has_more)
            await self._send({**message, "body": text.encode()})

    def _begun(self, message: Message) -> Message:
        headers = {name.lower(): value for name, value in message["headers"]}
        # Datasette sends CSV as plain text unless it is to be saved.
        if message["status"] != _OK or not headers.get(b"content-type", b"").startswith(
            (b"text/csv", b"text/plain")
        ):
            return message
        self._rest = _BOM
        kept = [
            pair
            for pair in message["headers"]
            if pair[0].lower() not in (b"content-length", b"content-type", b"content-disposition")
        ]
        kept += [
            (b"content-type", b"text/csv; charset=utf-8"),
            (b"content-disposition", b"attachment; filename=modelwatch.csv"),
        ]
        return {**message, "headers": kept}

    def _complete(self, body: bytes, *, is_last: bool) -> str:
        """Return the records that end in a body, guarded; keep the beginning of the next."""
        self._start += body
        # A letter may be cut in two.
        text = self._start.decode("utf-8", "ignore" if not is_last else "replace")
        self._start = self._start[len(text.encode()) :] if not is_last else b""
        text = (self._rest or "") + text
        if is_last:
            self._rest = ""
            return guarded(text)
        end = _last_end(text)
        self._rest = text[end:]
        return guarded(text[:end])


def _last_end(text: str) -> int:
    """Return where the last complete record ends: after a line end outside of quotation marks."""
    for found in reversed([*_RECORD_END.finditer(text)]):
        if text.count('"', 0, found.end()) % 2 == 0:
            return found.end()
    return 0
