"""A time limit for talking to a receiver: at its end, the connections are shut."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")

_GRACE = 1.0
"""Seconds for the work to notice that its connections were shut."""


class Deadline:
    """Shuts the connections of one hand-over when it `expires`, and refuses new ones from then on.

    The timeouts of libraries bound each read: a receiver that sends single bytes never exceeds them.
    """

    def __init__(self) -> None:
        self.expired = False
        self._lock = threading.Lock()
        self._connections: list[socket.socket] = []

    def watch(self, connection: socket.socket) -> None:
        """Watch a connection, before TLS begins on it.

        Raises:
            TimeoutError: the deadline has expired, and the connection was closed.
        """
        with self._lock:
            if not self.expired:
                # A duplicate, as `SSLContext.wrap_socket` detaches the original.
                self._connections.append(connection.dup())
                return
        connection.close()
        raise TimeoutError

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Watch the connections of httpx, as its extension `trace`.

        See https://www.encode.io/httpcore/extensions/#trace.
        """
        if event.endswith(".connect_tcp.complete"):
            self.watch(info["return_value"].get_extra_info("socket"))

    def expire(self) -> None:
        """Shut the connections."""
        with self._lock:
            self.expired = True
            for connection in self._connections:
                with suppress(OSError):  # closed at the same moment
                    connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop watching; the connections stay open."""
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()


class _Work(Generic[_T]):
    """Work in a thread of its own, and its result or error."""

    def __init__(self, work: Callable[[Deadline], _T]) -> None:
        self.deadline = Deadline()
        self.result: _T | None = None
        self.error: BaseException | None = None
        self._work = work
        # A daemon, so that the program can exit while the thread waits for a name server.
        self.thread = threading.Thread(target=self._run, name="hand-over", daemon=True)

    def _run(self) -> None:
        try:
            self.result = self._work(self.deadline)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self.error = error
        finally:
            self.deadline.close()


def within(seconds: float, work: Callable[[Deadline], _T]) -> _T:
    """Do some work in a thread; return its result, also where it ends because its connections were shut.

    Args:
        seconds: the time limit. Finding an address cannot be cut off: where that takes longer, the thread is
            left alone, and connects to nothing any more.
        work: gets the deadline, which must watch each of its connections.

    Raises:
        TimeoutError: the work has not ended.
        OSError: no thread can be started.
    """
    task = _Work(work)
    try:
        task.thread.start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, "no thread can be started") from error
    try:
        task.thread.join(seconds)
    finally:
        if task.thread.is_alive():
            task.deadline.expire()
    task.thread.join(_GRACE)
    if task.thread.is_alive():
        raise TimeoutError
    if task.error is not None:
        raise task.error
    return task.result  # type: ignore[return-value]  # there is no error, so there is a result
