"""Programs that the user names in the config: run within a time limit, with a bounded output."""

from __future__ import annotations

import fcntl
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress

from msgspec import Struct

MAX_OUTPUT = 1024 * 1024
"""Bytes of output that are kept; later ones are read and dropped, so that the program is not blocked."""

_CHUNK = 64 * 1024

_TICK = 0.05
"""Seconds between two looks whether the program has ended while its children keep its pipes open."""

_GRACE = 1.0
"""Seconds to wait for the end of a program that was killed."""


class Finished(Struct, frozen=True):
    """A program that ended by itself: its exit status, and the beginning of its output."""

    status: int
    output: bytes


def run(
    command: Sequence[str],
    *,
    timeout: float,
    stdin: bytes = b"",
    with_errors: bool = False,
    most: int = MAX_OUTPUT,
) -> Finished:
    """Run a program until it ends; children that it leaves behind are neither waited for nor stopped.

    It has no terminal: a program that asks for a password there fails at once.

    Args:
        command: the program and its arguments.
        timeout: seconds after which it is killed, with its children.
        stdin: what it reads from standard input; it need not read it.
        with_errors: the output includes standard error, which is dropped otherwise.
        most: the bytes of output that are kept.

    Raises:
        TimeoutError: it did not end in time, and was killed.
        OSError: it cannot be started.
    """
    end = time.monotonic() + timeout
    process = subprocess.Popen(  # noqa: S603 - the user's own
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if with_errors else subprocess.DEVNULL,
        bufsize=0,
        start_new_session=True,
    )
    try:
        output = _exchange(process, stdin, end, most)
        return Finished(process.wait(max(end - time.monotonic(), 0)), output)
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    finally:
        if process.returncode is None:
            _kill(process)
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and its children, which are in the session that it began."""
    # A program with the rights of another user, such as sudo, cannot be killed, and is left alone.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)


def _exchange(process: subprocess.Popen[bytes], stdin: bytes, end: float, most: int) -> bytes:
    """Write the input and return the output, until both pipes are closed or the program has ended."""
    assert process.stdin
    assert process.stdout
    rest, output = memoryview(stdin), bytearray()
    with selectors.DefaultSelector() as selector:
        for pipe, event in ((process.stdin, selectors.EVENT_WRITE), (process.stdout, selectors.EVENT_READ)):
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, event)
        while selector.get_map():
            ended = process.poll() is not None
            left = end - time.monotonic()
            if left <= 0 and not ended:
                raise TimeoutError
            for key, _ in selector.select(0 if ended else min(left, _TICK)):
                if key.fileobj is process.stdin:
                    rest = _write(process.stdin.fileno(), rest)
                    if not rest:
                        selector.unregister(process.stdin)
                        process.stdin.close()
                else:
                    chunk = os.read(process.stdout.fileno(), _pipe_size(process.stdout.fileno()))
                    output += chunk[: most - len(output)]
                    if not chunk:
                        selector.unregister(process.stdout)
            if ended:
                # What it wrote was in the pipe, all of which was read at once.
                break
    return bytes(output)


def _pipe_size(pipe: int) -> int:
    """Return how many bytes a pipe may hold: programs such as pv give it more than one chunk."""
    ask = getattr(fcntl, "F_GETPIPE_SZ", None)  # Linux
    return _CHUNK if ask is None else max(_CHUNK, fcntl.fcntl(pipe, ask))


def _write(pipe: int, rest: memoryview) -> memoryview:
    """Write as much as fits into a pipe; return what is left, nothing if nobody reads it."""
    try:
        return rest[os.write(pipe, rest[:_CHUNK]) :] if rest else rest
    except BrokenPipeError:
        return rest[:0]
    except BlockingIOError:
        return rest
