"""The HTTP server: reads requests from loopback connections and takes the steps of their answers."""

from __future__ import annotations

import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from pipeline.simulator.answers import Answer, Asked, Cut, Send, Step, Wait, sent

_LOOPBACK = "127.0.0.1"


_LARGEST_REQUEST = 4 << 20


_GOODBYE_SECONDS = 2.0


_LINGER = struct.Struct("ii")


class Server(ThreadingHTTPServer):
    """Answers every request with the steps that `steps` makes of it, each connection in a thread."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, port: int, steps: Callable[[Asked], Iterator[Step]]) -> None:
        self.steps = steps
        self.stopping = threading.Event()
        self._connections: set[Any] = set()
        self._hung_up = threading.Condition()
        super().__init__((_LOOPBACK, port), _Handler)
        self.thread = threading.Thread(target=self.run, name=f"gateway {self.server_port}", daemon=True)

    def server_bind(self) -> None:
        """Bind without asking a name server what this machine is called, as the base would."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = _LOOPBACK, int(self.server_address[1])

    def run(self) -> None:
        """Serve until `stop`; the base's own loop would wake up to look, or be slow to stop."""
        while not self.stopping.is_set():
            self.handle_request()

    def start(self) -> None:
        """Serve in a thread."""
        self.thread.start()

    def stop(self) -> None:
        """Free the port, hang up on every client and see their threads end."""
        self.stopping.set()
        with suppress(OSError):  # a client woke the loop first, and it is over
            socket.create_connection((_LOOPBACK, self.server_port), timeout=_GOODBYE_SECONDS).close()
        self.thread.join()
        self.server_close()
        with self._hung_up:
            for connection in self._connections:
                with suppress(OSError):  # the client was faster
                    connection.shutdown(socket.SHUT_RDWR)
            self._hung_up.wait_for(lambda: not self._connections, timeout=_GOODBYE_SECONDS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, so that `stop` can end it."""
        with self._hung_up:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection; one that is to be reset must not say goodbye first."""
        lingers, _ = _LINGER.unpack(request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER.size))
        if lingers:
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def close_request(self, request: Any) -> None:
        """Close a connection and forget it."""
        super().close_request(request)
        with self._hung_up:
            self._connections.discard(request)
            self._hung_up.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a client went away: clients do. Anything else is a fault of ours and is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        length = self._length()
        if length is None:
            self.close_connection = True
            self._take(sent(Answer(413, headers=(("Connection", "close"),))))
            return
        # An older client waits for the end of the connection; and HEAD must never be followed by a body.
        if self.request_version == "HTTP/1.0" or self.command == "HEAD":
            self.close_connection = True
        body = self.rfile.read(length)
        self._take(self.server.steps(Asked(self.command, self.path, self.headers, body)))

    do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = do_POST = do_PUT = do_GET  # noqa: N815 - names of the base

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Keep quiet: what was asked is in the gateway's `asked`."""

    def _length(self) -> int | None:
        """The request body's length; None when it is not told, or not one that is taken."""
        told = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (told.isascii() and told.isdigit()):
            return None
        return int(told) if int(told) <= _LARGEST_REQUEST else None

    def _take(self, steps: Iterator[Step]) -> None:
        for step in steps:
            match step:
                case Send(data):
                    self.wfile.write(data)
                case Wait(seconds) if self.server.stopping.wait(seconds):
                    self.close_connection = True
                    return
                case Cut(reset):
                    self.close_connection = True
                    if reset:
                        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER.pack(1, 0))
