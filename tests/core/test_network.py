"""The reasons of failed connections, from the errors that libraries raise."""

import errno
import socket
import ssl

import pytest

from pipeline.core.network import connection_reason, lacks_descriptors, lacks_tls


def caused(by: BaseException) -> ConnectionError:
    """Return an error of a library that has another one as its cause."""
    error = ConnectionError("All connection attempts failed")
    error.__cause__ = by
    return error


REFUSED = ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 9)")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (caused(REFUSED), "Connection refused"),
        (caused(ExceptionGroup("two attempts", [OSError(101, "no route"), REFUSED])), "Connection refused"),
        (caused(OSError(113, "Connect call failed ('192.0.2.1', 81)")), "No route to host"),
        (OSError(101, "Connect call failed ('2001:db8::1', 81, 0, 0)"), "Network is unreachable"),
        (OSError(71, "Connect call failed ('192.0.2.1', 81)"), "EPROTO"),
        (
            caused(
                OSError(
                    "Multiple exceptions: [Errno 113] Connect call failed ('192.0.2.1', 81),"
                    " [Errno 101] Connect call failed ('2001:db8::1', 81, 0, 0)"
                )
            ),
            "No route to host, Network is unreachable",
        ),
        (caused(socket.gaierror(-2, "Name or service not known")), "Name or service not known"),
        (caused(ssl.SSLCertVerificationError(1, "self-signed")), "All connection attempts failed"),
        (ConnectionError("the server sent no status"), "the server sent no status"),
        (ConnectionError(), "ConnectionError"),
    ],
)
def test_the_reason_is_that_of_the_system_else_the_text_of_the_error(
    error: ConnectionError, reason: str
) -> None:
    assert connection_reason(error) == reason
    assert not lacks_tls(error)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_a_lack_of_descriptors_is_found_below_the_errors_of_libraries(number: int) -> None:
    assert lacks_descriptors(caused(OSError(number, "Too many open files")))
    assert not lacks_descriptors(caused(REFUSED))
