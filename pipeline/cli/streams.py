"""Standard streams that may be missing, closed, full or broken: no such fault ends a command before its work.

The first fault of a stream is kept, and what is written after it is lost. `main` reports it at the end.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

_CLOSED = OSError(errno.EBADF, "closed")

_OUTPUT, _ERROR = 1, 2

_NAMES = {_OUTPUT: "standard output", _ERROR: "standard error"}


class Stream(io.RawIOBase):
    """The bytes of standard output or error; a write never fails.

    Args:
        descriptor: 1 or 2.
        closed: whether there was no such stream at the start.
    """

    def __init__(self, descriptor: int, *, closed: bool = False) -> None:
        self.fault: OSError | None = None
        self.is_used = False
        self._descriptor = descriptor
        self._closed_before = closed

    def write(self, data: Any) -> int:
        """Write bytes, or lose them after the first fault; return how many are done."""
        size = memoryview(data).nbytes
        self.is_used = self.is_used or size > 0
        if self._closed_before and self.fault is None and size:
            self.fault = _CLOSED
        while self.fault is None:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:
                select.select((), (self._descriptor,), ())
            except OSError as error:
                self.fault = error
        return size

    @property
    def lost_its_reader(self) -> bool:
        """Whether the reader of a pipe ended before it had read everything, as `head` does."""
        return self.fault is not None and self.fault.errno == errno.EPIPE

    def message(self, *, done: bool) -> str:
        """Return what happened, in a command that has done its work or not."""
        reason = (self.fault.strerror or str(self.fault)).lower() if self.fault else ""
        name = _NAMES[self._descriptor]
        work = "the work is done, but " if done else ""
        return f"{name} could not be written ({reason}): {work}part of what it shows is lost"

    def writable(self) -> bool:
        """Return True: it takes bytes, whatever happens to them."""
        return True

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor


@contextmanager
def tolerant_streams() -> Iterator[tuple[Stream, Stream]]:
    """Replace standard output and error until the end of the block; return their bytes.

    A character that a stream cannot show is written as an escape.
    """
    _open_missing()
    before = sys.stdout, sys.stderr
    output, sys.stdout = _replaced(sys.stdout, _OUTPUT)
    error, sys.stderr = _replaced(sys.stderr, _ERROR)
    try:
        yield output, error
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def _open_missing() -> None:
    """Open the standard descriptors that are closed, lest a file of ours gets the number of one.

    What is printed would be written into it: https://www.sqlite.org/howtocorrupt.html
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is used: https://man7.org/linux/man-pages/man2/open.2.html
            os.open(os.devnull, os.O_RDWR)


def _replaced(text: TextIO | None, descriptor: int) -> tuple[Stream, TextIO]:
    """Return the tolerant stream for a standard stream, which is None where there was none at the start.

    A stream that somebody else has put there, as a test does, stays.
    """
    stream = Stream(descriptor, closed=text is None)
    if isinstance(text, io.TextIOWrapper):
        text.flush()
        text.reconfigure(errors="backslashreplace")
    if text is not None and not (isinstance(text, io.TextIOWrapper) and _is_at(text, descriptor)):
        return stream, text
    return stream, io.TextIOWrapper(
        io.BufferedWriter(stream),
        encoding=text.encoding if text else "utf-8",
        errors="backslashreplace",
        line_buffering=stream.isatty() or descriptor == _ERROR,
    )


def _is_at(text: io.TextIOWrapper, descriptor: int) -> bool:
    try:
        return text.fileno() == descriptor
    except (OSError, ValueError):
        return False


def has_colours() -> bool:
    """Return whether standard output shows colours; see https://no-color.org/."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
