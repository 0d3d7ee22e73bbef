"""Values passed between the client, its transports, the reader and their callers; nothing here needs HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct, field

from pipeline.core.limits import SMALL_ANSWER
from pipeline.core.types import Listing, Scope
from pipeline.errors import FetchError, Unreadable
from pipeline.gateways.dialects import Answer, Dialect, Pages, price_advice

if TYPE_CHECKING:  # what asks no gateway needs no event loop
    import asyncio


class Room:
    """The memory for the bodies of one list, as they come.

    Of the large answers of a gateway, one has it at a time.

    Args:
        max_body: the bytes of all bodies.
        large: the lock of the gateway for answers above `SMALL_ANSWER`.
    """

    def __init__(self, max_body: int, large: asyncio.Lock) -> None:
        self._max_body = max_body
        self._large = large
        self._size = 0
        self._is_large = False

    async def take(self, size: int) -> None:
        """Count so many more bytes; wait where other answers of the gateway are as large.

        Raises:
            Unreadable: the list is larger than `max_body`.
        """
        self._size += size
        if self._size > self._max_body:
            limit = f"the answer is larger than {self._max_body:,} bytes"
            raise Unreadable(limit, cure="if it is right, raise `max_body`")
        if self._size > SMALL_ANSWER and not self._is_large:
            await self._large.acquire()
            self._is_large = True

    def leave(self, size: int) -> None:
        """Forget some bytes: those of an attempt that failed."""
        self._size -= size

    def close(self) -> None:
        """Let the next large answer come."""
        if self._is_large:
            self._is_large = False
            self._large.release()


class HttpRequest(Struct, frozen=True):
    """A request as it is sent; what holds secrets is left out of the repr.

    `secret_params` are query parameters too, added to the URL of each redirect within the gateway. `room` is
    that of a list of several requests. `is_last` returns whether a body, with its headers, is the last one
    again.
    """

    url: str
    method: str = "GET"
    params: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    secret_params: tuple[tuple[str, str], ...] = ()
    room: Room | None = None
    is_last: Callable[[bytes, Mapping[str, str]], bool] | None = None

    def __repr__(self) -> str:
        return f"HttpRequest(url={self.url!r}, method={self.method!r}, params={self.params!r})"


class HttpResponse(Struct, frozen=True):
    """The head of a response, and its body as it arrives, still encoded by its `Content-Encoding`.

    `headers` are looked up in lower case; `cookies` are the values of `Set-Cookie`.
    """

    status: int
    headers: Mapping[str, str]
    cookies: Sequence[str]
    chunks: AsyncIterable[bytes]


class Transport(Protocol):
    """A pool of connections. It follows no redirects, keeps no cookies and never retries."""

    def send(
        self, request: HttpRequest, url: str, *, read_timeout: float
    ) -> AbstractAsyncContextManager[HttpResponse]:
        """Send a request.

        Args:
            request: method, headers and body; its own URL is ignored.
            url: the URL to send it to, query included.
            read_timeout: seconds to wait for a connection, and for each chunk of the response.

        Raises:
            TimeoutError: the timeout has passed.
            ConnectionError: the connection failed or broke; the message says why.
            ValueError: the URL is invalid.
            Unreachable: the settings of the environment allow no connection.
        """

    async def aclose(self) -> None:
        """Close every connection."""


class Validators(Struct, frozen=True):
    """The validators of the last answer, which make the next request conditional.

    See https://www.rfc-editor.org/rfc/rfc9110#section-13.1.
    """

    etag: str | None = None
    last_modified: str | None = None

    def headers(self) -> dict[str, str]:
        """Return the request headers; empty without a validator."""
        headers = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in headers.items() if value}


class FetchRequest(Struct, frozen=True):
    """One scope to fetch: its dialect, the requests to send, and the validators of its last answer.

    `is_last` returns whether a first body is that of the last answer, and a whole list; None where that is
    unknown.
    """

    scope: Scope
    dialect: Dialect
    pages: Callable[[], Pages]
    validators: Validators = field(default_factory=Validators)
    is_last: Callable[[bytes], bool] | None = None


class FetchResult(Struct, frozen=True):
    """A complete answer, its validators, and how many seconds it took.

    `mask` masks the secrets of its scope, and parts of them, in texts that are made of the answer: its body
    has whole secrets masked only.
    """

    answer: Answer
    validators: Validators
    seconds: float
    mask: Callable[[str], str] = str


class NotModified(Struct, frozen=True):
    """A response 304, or the same bytes again: the last answer is still valid."""

    seconds: float


FetchOutcome = FetchResult | NotModified | FetchError


class ListingAnswer(Struct, frozen=True):
    """A scope's complete answer, and the dialect that it was read in.

    Args:
        listing: its records.
        fingerprint: the digest of its bytes, and of `list` and `paging` in the config; None for imported
            answers, which cannot match a later response.
        validators: those of the response.
        dialect: the dialect that it was read in.
        incomplete: why it may be one page of a longer list, and what to do about it; None for a whole list.
        setting_advice: which paths of the config find nothing in it, where that is wanted.
        message: the gateway's message beside an empty list.
    """

    listing: Listing
    fingerprint: str | None
    validators: Validators
    dialect: Dialect
    incomplete: str | None = None
    setting_advice: tuple[str, ...] = ()
    message: str | None = None

    @property
    def left_out(self) -> str | None:
        """The rows that its listing leaves out, for people; None if all are in it."""
        return self.listing.left_out.text() if self.listing.left_out else None

    def price_advice(self) -> str | None:
        """Return which records have prices that give no figure, and what to set; None if all do."""
        return price_advice(self.dialect, self.listing.records.values())


class Unchanged(Struct, frozen=True):
    """The scope's answer equals its last one: the same bytes, or a 304."""


class GroupGone(Struct, frozen=True):
    """The group of the scope is not among those of its user; `record` is its id in the list of groups."""

    record: str


class ScopeResult(Struct, frozen=True):
    """The result of one scope, and how many seconds it took (None where nothing was fetched)."""

    answer: ListingAnswer | Unchanged | GroupGone | FetchError
    seconds: float | None = None
