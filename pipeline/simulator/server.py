"""The HTTP server: reads requests on loopback and performs the actions of their responses."""

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

from pipeline.simulator.messages import Action, Close, Request, Response, Send, Wait, send_whole

_LOOPBACK = "127.0.0.1"
_LARGEST_REQUEST = 4 << 20
_CLOSING_SECONDS = 2.0
_LINGER = struct.Struct("ii")


class Server(ThreadingHTTPServer):
    """A server that performs the actions returned by `respond`, with a thread for each connection."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, port: int, respond: Callable[[Request], Iterator[Action]]) -> None:
        self.respond = respond
        self.stopping = threading.Event()
        self._connections: set[Any] = set()
        self._closed = threading.Condition()
        super().__init__((_LOOPBACK, port), _Handler)
        self.thread = threading.Thread(target=self.run, name=f"gateway {self.server_port}", daemon=True)

    def server_bind(self) -> None:
        """Bind without the reverse DNS lookup of the base class."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = _LOOPBACK, int(self.server_address[1])

    def run(self) -> None:
        """Serve until `stop`; `serve_forever` would poll, or be slow to stop."""
        while not self.stopping.is_set():
            self.handle_request()

    def start(self) -> None:
        """Serve in a thread."""
        self.thread.start()

    def stop(self) -> None:
        """Free the port, close every connection and wait for their threads to end."""
        self.stopping.set()
        with suppress(OSError):  # another client woke the loop first
            socket.create_connection((_LOOPBACK, self.server_port), timeout=_CLOSING_SECONDS).close()
        self.thread.join()
        self.server_close()
        with self._closed:
            for connection in self._connections:
                with suppress(OSError):  # the client closed it first
                    connection.shutdown(socket.SHUT_RDWR)
            self._closed.wait_for(lambda: not self._connections, timeout=_CLOSING_SECONDS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Store the connection, so that `stop` can close it."""
        with self._closed:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection; one to be reset must not send FIN first."""
        lingers, _ = _LINGER.unpack(request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER.size))
        if lingers:
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def close_request(self, request: Any) -> None:
        """Close a connection and remove it."""
        super().close_request(request)
        with self._closed:
            self._connections.discard(request)
            self._closed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that closed its connection; print any other error."""
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
            self._perform(send_whole(Response(413, headers=(("Connection", "close"),))))
            return
        # HTTP/1.0 clients wait for the end of the connection, and no body may follow the response to HEAD.
        if self.request_version == "HTTP/1.0" or self.command == "HEAD":
            self.close_connection = True
        body = self.rfile.read(length)
        self._perform(self.server.respond(Request(self.command, self.path, self.headers, body)))

    do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = do_POST = do_PUT = do_GET  # noqa: N815 - names of the base class

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Log nothing: `Gateway.requests` has the requests."""

    def _length(self) -> int | None:
        """Return the length of the request body; None when it is unknown, invalid or too large."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            return None
        return int(length) if int(length) <= _LARGEST_REQUEST else None

    def _perform(self, actions: Iterator[Action]) -> None:
        for action in actions:
            match action:
                case Send(data):
                    self.wfile.write(data)
                case Wait(seconds) if self.server.stopping.wait(seconds):
                    self.close_connection = True
                    return
                case Close(reset):
                    self.close_connection = True
                    if reset:
                        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER.pack(1, 0))
