"""A server that is faster than its clients: prepared responses, selected by the key.

As a program, it serves the bodies of a directory until its standard input ends: serve.py DIRECTORY STATUS
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

_KEY = re.compile(rb"\r\nauthorization: bearer (\S+)", re.IGNORECASE)
_END = b"\r\n\r\n"


@contextmanager
def serving(directory: Path, status: str = "200 OK") -> Iterator[str]:
    """Serve the bodies of a directory with a status in another process; yield the URL."""
    words = [sys.executable, __file__, str(directory), status]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin
        assert server.stdout
        port = server.stdout.readline().strip()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.stdin.close()


class Connection(asyncio.Protocol):
    """A connection; a key gets one of the bodies, always the same, and a request without a key the first."""

    def __init__(self, responses: list[bytes]) -> None:
        self._responses = responses
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *requests, self._buffer = (self._buffer + data).split(_END)
        for request in requests:
            key = _KEY.search(request)
            self._transport.write(self._responses[crc32(key[1]) % len(self._responses) if key else 0])


def _response(body: bytes, status: str) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _serve(responses: list[bytes]) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(responses), "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    bodies = (path.read_bytes() for path in sorted(Path(sys.argv[1]).iterdir()))
    asyncio.run(_serve([_response(body, sys.argv[2]) for body in bodies]))
