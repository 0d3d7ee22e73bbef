"""Unpack a compressed body in small pieces, so that a bomb is seen before it fills the memory."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable, Iterator

import brotli

from pipeline.errors import Unreadable
from pipeline.gateways.types import HttpResponse

ACCEPTED = "gzip, deflate, br"


_PIECE = 64 * 1024


_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


Decompressor = Callable[[bytes], Iterator[bytes]]


async def decompress(answer: HttpResponse) -> AsyncIterator[bytes]:
    """Give an answer's body in pieces, unpacked as its `Content-Encoding` says.

    Raises:
        Unreadable: it is packed in a way that was not asked for, or it is not what it says it is.
    """
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    unpack = _unpacker(encoding)
    try:
        async for packed in answer.pieces:
            for piece in unpack(packed):
                yield piece
        for piece in unpack(b""):
            yield piece
    except (zlib.error, brotli.error) as error:
        raise Unreadable("the answer cannot be decompressed") from error


def _unpacker(encoding: str) -> Decompressor:
    match encoding:
        case "" | "identity":
            return lambda packed: iter((packed,))
        case "gzip" | "x-gzip" | "deflate":
            return _Zlib()
        case "br":
            return _Brotli()
        case _:
            raise Unreadable(f"the answer is packed as {encoding!r}, which was not asked for")


class _Zlib:
    """Unpacks gzip, of one member or several, and deflate with or without its header."""

    def __init__(self) -> None:
        self._bits = _GZIP_OR_ZLIB
        self._member = zlib.decompressobj(self._bits)
        self._begun = False

    def __call__(self, packed: bytes) -> Iterator[bytes]:
        if not packed:
            if self._begun and not self._member.eof:
                raise zlib.error("it ends too early")
            return
        while packed:
            if self._member.eof:
                self._member = zlib.decompressobj(self._bits)
            yield self._some(packed)
            packed = self._member.unconsumed_tail or self._member.unused_data

    def _some(self, packed: bytes) -> bytes:
        try:
            piece = self._member.decompress(packed, _PIECE)
        except zlib.error:
            if self._begun:
                raise
            self._bits = -zlib.MAX_WBITS
            self._member = zlib.decompressobj(self._bits)
            piece = self._member.decompress(packed, _PIECE)
        self._begun = True
        return piece


class _Brotli:
    """Unpacks brotli."""

    def __init__(self) -> None:
        self._decoder = brotli.Decompressor()
        self._begun = False

    def __call__(self, packed: bytes) -> Iterator[bytes]:
        if not packed:
            if self._begun and not self._decoder.is_finished():
                raise brotli.error("it ends too early")
            return
        self._begun = True
        yield self._decoder.process(packed, output_buffer_limit=_PIECE)
        while not self._decoder.can_accept_more_data():
            yield self._decoder.process(b"", output_buffer_limit=_PIECE)
