"""What connections do, whoever makes them: take a request to its address, give the answer as it arrives."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Question:
    """A request as it is sent; `headers` hold secrets and are never shown."""

    url: str
    method: str = "GET"
    params: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Arriving:
    """An answer whose body is still to come, packed as the server sends it.

    `headers` are found by name in lower case; `cookies` are the lines of `Set-Cookie`.
    """

    status: int
    headers: Mapping[str, str]
    cookies: Sequence[str]
    pieces: AsyncIterable[bytes]


class Connections(Protocol):
    """Keeps connections open. No redirects, no cookies, no second attempts: those are not its business."""

    def ask(self, question: Question, url: str, *, patience: float) -> AbstractAsyncContextManager[Arriving]:
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
