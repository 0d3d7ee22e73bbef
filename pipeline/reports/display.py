"""Text of a gateway in a form that is safe to print."""

from __future__ import annotations

import re

LONGEST = 200

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def shown(text: str, *, longest: int = LONGEST) -> str:
    """Give a gateway's text in a form safe to print: control and bidirectional characters as escapes, cut."""
    safe = _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return safe if len(safe) <= longest else safe[: longest - 1] + "…"
