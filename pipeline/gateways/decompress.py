"""Bounded decompression: bodies are decoded in small chunks, so that no bomb can exhaust the memory."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable, Iterator

import brotli

from pipeline.errors import Unreadable
from pipeline.gateways.types import HttpResponse

ACCEPT_ENCODING = "gzip, deflate, br"

_CHUNK = 64 * 1024
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
"""See https://docs.python.org/3/library/zlib.html#zlib.decompress."""

Decoder = Callable[[bytes], Iterator[bytes]]
"""Decodes the chunks of a body in turn; an empty chunk is its end."""


async def decompress(response: HttpResponse) -> AsyncIterator[bytes]:
    """Yield a response's body in chunks, decoded by its `Content-Encoding`.

    Raises:
        Unreadable: the encoding was not requested, or the body is not in it.
    """
    decode = _decoder(response.headers.get("content-encoding", "identity").strip().lower())
    try:
        async for encoded in response.chunks:
            for chunk in decode(encoded):
                yield chunk
        for chunk in decode(b""):
            yield chunk
    except (zlib.error, brotli.error) as error:
        raise Unreadable("the answer cannot be decompressed") from error


def _decoder(encoding: str) -> Decoder:
    match encoding:
        case "" | "identity":
            return lambda encoded: iter((encoded,))
        case "gzip" | "x-gzip" | "deflate":
            return _ZlibDecoder()
        case "br":
            return _BrotliDecoder()
        case _:
            raise Unreadable(f"the answer is encoded as {encoding!r}, which was not asked for")


class _ZlibDecoder:
    """A decoder of gzip, of one member or several, and of deflate with and without the zlib header.

    Some servers send raw deflate: https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1.2
    """

    def __init__(self) -> None:
        self._bits = _GZIP_OR_ZLIB
        self._member = zlib.decompressobj(self._bits)
        self._started = False

    def __call__(self, encoded: bytes) -> Iterator[bytes]:
        if not encoded:
            if self._started and not self._member.eof:
                raise zlib.error("the body is incomplete")
            return
        while encoded:
            if self._member.eof:
                self._member = zlib.decompressobj(self._bits)
            yield self._decode(encoded)
            encoded = self._member.unconsumed_tail or self._member.unused_data

    def _decode(self, encoded: bytes) -> bytes:
        try:
            chunk = self._member.decompress(encoded, _CHUNK)
        except zlib.error:
            if self._started:
                raise
            self._bits = -zlib.MAX_WBITS
            self._member = zlib.decompressobj(self._bits)
            chunk = self._member.decompress(encoded, _CHUNK)
        self._started = True
        return chunk


class _BrotliDecoder:
    def __init__(self) -> None:
        self._decoder = brotli.Decompressor()
        self._started = False

    def __call__(self, encoded: bytes) -> Iterator[bytes]:
        if not encoded:
            if self._started and not self._decoder.is_finished():
                raise brotli.error("the body is incomplete")
            return
        self._started = True
        yield self._decoder.process(encoded, output_buffer_limit=_CHUNK)
        while not self._decoder.can_accept_more_data():
            yield self._decoder.process(b"", output_buffer_limit=_CHUNK)
