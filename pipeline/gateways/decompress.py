"""Bounded decompression: bodies are decoded in small chunks, so that no bomb can exhaust the memory."""

from __future__ import annotations

import re
import zlib
from codecs import getincrementaldecoder
from collections.abc import AsyncIterator, Callable, Iterator

import brotli

from pipeline.errors import Unreadable
from pipeline.gateways.types import HttpResponse

ACCEPT_ENCODING = "gzip, deflate, br"

_CHUNK = 64 * 1024
_GZIP = b"\x1f\x8b"
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
"""See https://docs.python.org/3/library/zlib.html#zlib.decompress."""

_JSON = re.compile(rb"(?:\xef\xbb\xbf)?\s*[\[{]|\xff\xfe|\xfe\xff")
"""The beginning of JSON, in UTF-8 or with the mark of UTF-16."""

_PLAIN = r"\ufeff?\s*[\[{<][\s\x20-\x7e\xa0-\U0010ffff]*"
"""The beginning of JSON or of a web page, without the control characters that compressed bytes have."""

_ENOUGH = 24
"""So many bytes show whether a body is plain: a compressed one may begin with `{`, too."""

Decoder = Callable[[bytes], Iterator[bytes]]
"""Decodes the chunks of a body in turn; an empty chunk is its end."""


async def decompress(response: HttpResponse) -> AsyncIterator[bytes]:
    """Yield a response's body in chunks, decoded by its `Content-Encoding`.

    A body of gzip without a label is decoded too. Plain JSON, or a web page, under a label is left as it is:
    some proxies keep the label of what they have decoded.

    Raises:
        Unreadable: the encoding was not requested, or the body is not in it.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    decode: Decoder | None = None
    waiting = b""
    try:
        async for encoded in response.chunks:
            waiting += encoded
            if decode is None and len(waiting) >= _ENOUGH:
                decode = _decoder(encoding, waiting)
            if decode is _as_it_is:
                yield waiting
                waiting = b""
            elif decode:
                for chunk in decode(waiting) if waiting else ():
                    yield chunk
                waiting = b""
        if decode is _as_it_is:
            return
        decode = decode or _decoder(encoding, waiting)
        for rest in dict.fromkeys((waiting, b"")):
            for chunk in decode(rest):
                yield chunk
    except (zlib.error, brotli.error) as error:
        raise Unreadable("the answer cannot be decompressed") from error


def _decoder(encoding: str, start: bytes) -> Decoder:
    """Return the decoder of a body with this label and beginning."""
    match encoding:
        case "" | "identity" if not start.startswith(_GZIP):
            return _as_it_is
        case _ if _is_plain(start):
            return _as_it_is
        case "" | "identity" | "gzip" | "x-gzip" | "deflate":
            return _ZlibDecoder()
        case "br":
            return _BrotliDecoder()
        case _ if not start or _JSON.match(start):
            return _as_it_is
        case _:
            raise Unreadable(f"the answer is encoded as {encoding!r}, which was not asked for")


def _as_it_is(encoded: bytes) -> Iterator[bytes]:
    return iter((encoded,))


def _is_plain(start: bytes) -> bool:
    """Return whether a body begins as JSON or a web page does, in UTF-8."""
    try:
        text = getincrementaldecoder("utf-8")().decode(start[:_ENOUGH])
    except UnicodeDecodeError:
        return False
    return bool(re.fullmatch(_PLAIN, text))


class _ZlibDecoder:
    """A decoder of gzip, of one member or several, and of deflate with and without the zlib header.

    What follows and is no member is padding: https://www.gnu.org/software/gzip/manual/gzip.html#Tapes

    Some servers send raw deflate: https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1.2
    """

    def __init__(self) -> None:
        self._bits = _GZIP_OR_ZLIB
        self._member = zlib.decompressobj(self._bits)
        self._started = False
        self._is_padded = False
        self._rest = b""

    def __call__(self, encoded: bytes) -> Iterator[bytes]:
        if not encoded:
            if self._started and not self._member.eof:
                raise zlib.error("the body is incomplete")
            return
        encoded, self._rest = self._rest + encoded, b""
        while encoded and not self._is_padded:
            if self._member.eof:
                if encoded == _GZIP[:1]:
                    self._rest = encoded
                    return
                if not encoded.startswith(_GZIP):
                    self._is_padded = True
                    return
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
