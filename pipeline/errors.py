"""The errors as one tree; each message says what happened, where, and what to do.

PipelineError              exit 70
├── ConfigError            exit 78  names the file, the line or key, and what to write
├── FetchError             exit 3 where some scopes failed, 4 where all did; a value that does not end a run
│   ├── Unreachable        DNS, TLS, timeout, reset, a 5xx         retried
│   ├── Throttled          429, or 503 with the time to wait       retried
│   ├── Refused            401, 403: the key is rejected           not retried
│   ├── Unresolved         a reference to a secret is unresolved   not sent
│   └── Unreadable         the answer is not a list of models      not retried
├── StoreError             exit 74  SQLite: full, corrupt, read-only, newer than this program
│   └── Locked             exit 75  another run holds the lock
├── SavedError             exit 65  saved answers cannot be imported: absent, or older than the history
├── QuestionError          exit 2   there is no such time, scope or model
├── MissingPart            exit 69  an optional part of the program is not installed
├── PortError              exit 71  the port of a server on this machine is taken or not permitted
└── DeliveryError          exit 6   the report stays in the outbox and is retried
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from pathlib import Path

CHANGES_EXIT = 1
SOME_FAILED_EXIT = 3
ALL_FAILED_EXIT = 4
HELD_EXIT = 5
STREAM_EXIT = 73


def exit_status(*, scopes: int, failed: int, held: int = 0) -> int:
    """Return the exit status of a job by its number of scopes, and of those that failed or are held."""
    if failed:
        return ALL_FAILED_EXIT if failed == scopes else SOME_FAILED_EXIT
    return HELD_EXIT if held else 0


class PipelineError(Exception):
    """Any error of modelwatch; `exit_code` is the exit status of the command."""

    exit_code: ClassVar[int] = 70

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ConfigError(PipelineError):
    """The config cannot be used; `where` is `FILE`, `FILE:LINE` or `FILE: KEY`."""

    exit_code = 78

    def __init__(self, message: str, *, where: str) -> None:
        super().__init__(f"{where}: {message}")
        self.where = where


class FetchError(PipelineError):
    """A scope failed; `status` is the HTTP status, where there is one.

    `cure`, which ends the message, is what to do about this failure; None where only general words of the
    class fit. `problem` is the message without it. A cure `about_request` helps no saved answer.
    """

    exit_code = SOME_FAILED_EXIT

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        cure: str | None = None,
        about_request: bool = False,
    ) -> None:
        super().__init__(f"{message}: {cure}" if cure else message)
        self.problem = message
        self.about_request = about_request
        self.status = status
        self.cure = cure

    def reword(self, redact: Callable[[str], str]) -> None:
        """Replace problem and cure by texts without secrets and unsafe characters.

        Each is redacted alone, so that a long problem does not cut the cure off.
        """
        self.problem = redact(self.problem)
        self.cure = self.cure and redact(self.cure)
        self.message = f"{self.problem}: {self.cure}" if self.cure else self.problem
        self.args = (self.message,)

    def as_value(self) -> Self:
        """Return this error without the frames in which it was raised: they keep the bodies of answers."""
        self.__traceback__ = self.__cause__ = self.__context__ = None
        return self


class Unreachable(FetchError):  # noqa: N818 - named for what the gateway is, as in the drawing above
    """No usable answer: DNS, TLS, timeout, a reset connection, a 5xx."""


class Throttled(FetchError):  # noqa: N818
    """The gateway asks to slow down; `retry_after` is in seconds, None where it is not given."""

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class Refused(FetchError):  # noqa: N818
    """The gateway rejects the key or the session."""


class Unresolved(FetchError):  # noqa: N818
    """A reference to a secret cannot be resolved; nothing was sent.

    `path` is that of its file, which only the owner's terminal may show; None for other references.
    """

    def __init__(self, message: str, *, cure: str | None = None, path: Path | None = None) -> None:
        super().__init__(message, cure=cure)
        self.path = path

    @property
    def on_terminal(self) -> str:
        """The message with the path."""
        return f"{self.message} ({self.path})" if self.path else self.message


class Unreadable(FetchError):  # noqa: N818
    """The answer is not a list of models."""


class StoreError(PipelineError):
    """The database cannot be used; `path` is its file."""

    exit_code = 74

    def __init__(self, message: str, *, path: Path) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


class Locked(StoreError):  # noqa: N818
    """Another run holds the lock."""

    exit_code = 75


class SavedError(PipelineError):
    """Saved answers cannot be imported; `where` is the file, directory or repository."""

    exit_code = 65

    def __init__(self, message: str, *, where: str) -> None:
        super().__init__(f"{where}: {message}")
        self.where = where


class QuestionError(PipelineError):
    """The question has no answer: it names no valid time, or an unknown scope, snapshot or model."""

    exit_code = 2


class MissingPart(PipelineError):  # noqa: N818
    """An optional part of the program is not installed; the message says how to install it."""

    exit_code = 69


class PortError(PipelineError):
    """A server on this machine cannot listen on its port."""

    exit_code = 71

    def __init__(self, port: int, error: OSError) -> None:
        # asyncio adds the address to the text of the system.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or error
        super().__init__(f"port {port} cannot be used ({reason}): set another --port, or 0 for a free one")


class DeliveryError(PipelineError):
    """A report could not be written or sent; it stays in the outbox and is retried."""

    exit_code = 6
