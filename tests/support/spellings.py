"""The spellings in which a server may echo a secret."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus


def _in_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _escaped(text: str) -> str:
    return "".join(f"\\u{ord(letter):04X}" for letter in text)


def _percent(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


def _shifted(before: int, encode: Callable[[bytes], bytes] = base64.b64encode) -> Callable[[str], str]:
    return lambda text: encode(b"x" * before + text.encode() + b"yz").decode()


SPELLINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "JSON": _in_json,
    "JSON of PHP": lambda text: _in_json(text).replace("/", "\\/"),
    "escapes": _escaped,
    "JSON in JSON": lambda text: _in_json(_in_json(text)),
    "escapes in JSON": lambda text: _in_json(_escaped(text)),
    "escapes in JSON in JSON": lambda text: _in_json(_in_json(_escaped(text))),
    "JavaScript": lambda text: "".join(f"\\x{ord(letter):02x}" for letter in text),
    "JavaScript in braces": lambda text: "".join(f"\\u{{{ord(letter):x}}}" for letter in text),
    "URL": lambda text: quote(text, safe=""),
    "URL in lower case": lambda text: quote(text, safe="").lower(),
    "form": quote_plus,
    "percent": _percent,
    "percent in upper case": lambda text: _percent(text).upper(),
    "percent twice": lambda text: quote(_percent(text)),
    "percent in JSON": lambda text: _escaped(_percent(text)),
    "HTML": html.escape,
    "HTML with apostrophes": lambda text: html.escape(text).replace("&#x27;", "&apos;"),
    "HTML decimal": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "HTML hexadecimal": lambda text: "".join(f"&#x{ord(letter):X};" for letter in text),
    "HTML padded": lambda text: "".join(f"&#000{ord(letter)};" for letter in text),
    "HTML by Go": lambda text: _in_json(html.escape(text)).replace("&", "\\u0026"),
    "HTML twice": lambda text: html.escape(html.escape(text)),
    "every other letter": lambda text: "".join(
        f"%{ord(letter):02X}" if number % 2 else letter for number, letter in enumerate(text)
    ),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal in upper case": lambda text: text.encode().hex().upper(),
    **{f"base64 after {number}": _shifted(number) for number in range(3)},
    **{f"url-safe base64 after {n}": _shifted(n, base64.urlsafe_b64encode) for n in range(3)},
    "base64 in JSON of PHP": lambda text: base64.b64encode(text.encode()).decode().replace("/", "\\/"),
    "base64 in a URL": lambda text: quote(base64.b64encode(text.encode()).decode(), safe=""),
}
"""By its name, the function that spells a text."""
