"""The reasons of failed connections in plain words, whichever library reports them."""

from __future__ import annotations

import errno
import re
import ssl
from collections.abc import Iterator

_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"})
"""OpenSSL's reasons for a reply that is not TLS; they differ between its versions."""

_CALL = "Connect call failed"
"""The words of asyncio, which replace the system's and repeat the address that stands before them.

See `_connect_sock` of https://github.com/python/cpython/blob/main/Lib/asyncio/base_events.py.
"""

_REASONS = {
    errno.ECONNREFUSED: "Connection refused",
    errno.EHOSTUNREACH: "No route to host",
    errno.ENETUNREACH: "Network is unreachable",
    errno.ETIMEDOUT: "Connection timed out",
    errno.EACCES: "Permission denied",
    errno.EADDRNOTAVAIL: "Cannot assign requested address",
}
"""The system's reasons: https://man7.org/linux/man-pages/man2/connect.2.html"""


class ProxiedConnectionError(ConnectionError):
    """A connection through a proxy of the environment failed."""


def connection_reason(error: BaseException) -> str:
    """Return the system's reason for an error, such as `Connection refused`; else the error's own text."""
    through = ", through the proxy of the environment" if isinstance(error, ProxiedConnectionError) else ""
    return f"{_reason(error)}{through}"


def _reason(error: BaseException) -> str:
    for cause in _causes(error):
        match cause:
            case ssl.SSLError():
                break
            case ConnectionRefusedError():
                return "Connection refused"
            case OSError(errno=int(number), strerror=str(reason)):
                return _of_system(number) if _CALL in reason else reason
            case OSError() if _CALL in str(cause):
                # The failures of several addresses of one name, as one text.
                numbers = dict.fromkeys(map(int, re.findall(r"\[Errno (\d+)\]", str(cause))))
                return ", ".join(map(_of_system, numbers))
    return str(error) or type(error).__name__


def _of_system(number: int) -> str:
    return _REASONS.get(number) or errno.errorcode.get(number, f"error {number}")


def lacks_tls(error: BaseException) -> bool:
    """Return whether a connection failed because the server does not speak TLS."""
    errors = (cause for cause in _causes(error) if isinstance(cause, ssl.SSLError))
    return any(getattr(cause, "reason", None) in _NO_TLS for cause in errors)


def lacks_trust(error: BaseException) -> bool:
    """Return whether a connection failed because the certificate of the server could not be verified."""
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))


def lacks_descriptors(error: BaseException) -> bool:
    """Return whether a connection failed because this process, or the system, has too many open files."""
    return any(
        isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE) for cause in _causes(error)
    )


def require_certificates(context: ssl.SSLContext) -> ssl.SSLContext:
    """Return a TLS context as it is, if there are certificates that it trusts.

    Raises:
        FileNotFoundError: there are none: OpenSSL ignores that a file or directory is missing.
    """
    # Those of a directory are not counted: they are read when they are needed.
    if not context.cert_store_stats()["x509"] and ssl.get_default_verify_paths().capath is None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")
    return context


def tls_problem(error: OSError) -> str:
    """Return why no TLS context could be made: a file that a variable of the environment names.

    Python names the file of `SSLKEYLOGFILE` in the error, and OpenSSL none:
    https://docs.python.org/3/library/ssl.html#ssl.SSLContext.keylog_filename.
    """
    reason = error.strerror or error
    if error.filename:
        return f"SSLKEYLOGFILE in the environment names a file that cannot be written ({reason}): unset it"
    return f"the certificates of SSL_CERT_FILE or SSL_CERT_DIR cannot be read ({reason}): correct or unset it"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the original errors first; of several attempts those of the last."""
    if isinstance(error, BaseExceptionGroup):
        error = error.exceptions[-1]
    if error is not None:
        yield from _causes(error.__cause__ or error.__context__)
        yield error
