"""A server that accepts connections and sends single bytes for as long as it is asked: no read times out."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self

PAUSE = 0.02
"""Seconds between two bytes."""

HEADERS = b"HTTP/1.1 200 OK\r\nX-Long: "
"""The beginning of an answer whose headers never end."""

BODY = b"HTTP/1.1 500 No\r\nContent-Length: 1000000\r\n\r\n"
"""The beginning of an answer whose body never ends."""

TLS = b"\x16\x03\x03\x40\x00"
"""The beginning of a TLS record of 16 KB, a part of a handshake (RFC 8446, 5.1)."""


class Dripping:
    """A server on loopback.

    Args:
        begins: sent at once to each connection.
        each: sent again and again; b"" for a server that accepts and never answers.
    """

    def __init__(self, begins: bytes = b"", each: bytes = b"a") -> None:
        self.connections = 0
        self.open = 0
        self._begins, self._each = begins, each
        self._gone = threading.Event()
        self._changed = threading.Condition()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._listening.getsockname()[1])

    def is_left(self, seconds: float) -> bool:
        """Wait until no client is connected, at most for some seconds; return whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: self.connections > 0 and not self.open, seconds)

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._gone.set()
        # Closing a listening socket does not wake the thread that accepts on it.
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port)).close()
        for thread in self._threads:
            thread.join()
        self._listening.close()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listening.accept()
            if self._gone.is_set():
                connection.close()
                return
            with self._changed:
                self.connections += 1
                self.open += 1
            thread = threading.Thread(target=self._drip, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _drip(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(self._begins)
            connection.settimeout(PAUSE)
            while not self._gone.is_set():
                if self._each:
                    connection.sendall(self._each)
                with suppress(TimeoutError):
                    if not connection.recv(65536):
                        break
        with self._changed:
            self.open -= 1
            self._changed.notify_all()
