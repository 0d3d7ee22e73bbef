"""What is asked of a scope, and what comes of it: values, whatever carries the requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.dialects import Answer, Dialect, Pages
from pipeline.errors import FetchError
from pipeline.types import Scope


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
class Ask:
    """One scope to ask: in which dialect, for which pages, and the tags of the answer that is known."""

    scope: Scope
    dialect: Dialect
    pages: Callable[[], Pages]
    validators: Validators = field(default_factory=Validators)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A complete answer, its tags, and how long it took in seconds."""

    answer: Answer
    validators: Validators
    seconds: float


@dataclass(frozen=True, slots=True)
class NotModified:
    """The gateway says that the answer known still holds."""

    seconds: float


Result = Fetched | NotModified | FetchError
