"""What connections do, whoever makes them: take a request to its address, give the answer as it arrives.

What is asked and what comes of it: values, so that who only reads answers needs no HTTP.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline.core.types import Listing, Scope
from pipeline.errors import FetchError
from pipeline.gateways.dialects import Answer, Dialect, Pages


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as it is sent; `headers` hold secrets and are never shown."""

    url: str
    method: str = "GET"
    params: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer whose body is still to come, packed as the server sends it.

    `headers` are found by name in lower case; `cookies` are the lines of `Set-Cookie`.
    """

    status: int
    headers: Mapping[str, str]
    cookies: Sequence[str]
    pieces: AsyncIterable[bytes]


class Transport(Protocol):
    """Keeps connections open. No redirects, no cookies, no second attempts: those are not its business."""

    def ask(
        self, question: HttpRequest, url: str, *, patience: float
    ) -> AbstractAsyncContextManager[HttpResponse]:
        """Ask a question at an address.

        Args:
            question: what to send; its own address is not looked at.
            url: where to send it.
            patience: seconds to wait for a connection, and for each piece of the answer.

        Raises:
            TimeoutError: the patience is over.
            ConnectionError: there is no connection, or it broke; says why.
            ValueError: the address is none.
            Unreachable: the environment does not let a connection be made.
        """

    async def aclose(self) -> None:
        """Close every connection."""


@dataclass(frozen=True, slots=True)
class Validators:
    """What makes a request conditional: the tags that came with the answer known."""

    etag: str | None = None
    last_modified: str | None = None

    def headers(self) -> dict[str, str]:
        """Give the request headers, none where no tag is known."""
        named = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in named.items() if value}


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """One scope to ask: in which dialect, for which pages, and the tags of the answer that is known."""

    scope: Scope
    dialect: Dialect
    pages: Callable[[], Pages]
    validators: Validators = field(default_factory=Validators)


@dataclass(frozen=True, slots=True)
class FetchResult:
    """A complete answer, its tags, and how long it took in seconds."""

    answer: Answer
    validators: Validators
    seconds: float


@dataclass(frozen=True, slots=True)
class NotModified:
    """The gateway says that the answer known still holds."""

    seconds: float


FetchOutcome = FetchResult | NotModified | FetchError


@dataclass(frozen=True, slots=True)
class ListingAnswer:
    """A scope's complete answer, and the dialect it was read in; the fingerprint is that of its bytes.

    An answer from long ago has none: the gateway will not say it again.
    """

    listing: Listing
    fingerprint: str | None
    validators: Validators
    dialect: Dialect


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The scope's answer is the one it gave before, to the byte or by the gateway's own word."""


@dataclass(frozen=True, slots=True)
class ScopeResult:
    """What one scope gave, and how long it took in seconds (None when it gave nothing)."""

    answer: ListingAnswer | Unchanged | FetchError
    seconds: float | None = None
