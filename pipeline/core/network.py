"""The reasons of failed connections in plain words, whichever library reports them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"})
"""OpenSSL's reasons for a reply that is not TLS; they differ between its versions."""


def connection_reason(error: BaseException) -> str:
    """Return the system's reason for an error, such as `Connection refused`; else the error's own text."""
    for cause in _causes(error):
        match cause:
            case ssl.SSLError():
                break
            case ConnectionRefusedError():
                return "Connection refused"
            case OSError(errno=int(), strerror=str(reason)):
                return reason
    return str(error) or type(error).__name__


def lacks_tls(error: BaseException) -> bool:
    """Return whether a connection failed because the server does not speak TLS."""
    errors = (cause for cause in _causes(error) if isinstance(cause, ssl.SSLError))
    return any(getattr(cause, "reason", None) in _NO_TLS for cause in errors)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the original errors first; of several attempts those of the last."""
    if isinstance(error, BaseExceptionGroup):
        error = error.exceptions[-1]
    if error is not None:
        yield from _causes(error.__cause__ or error.__context__)
        yield error
