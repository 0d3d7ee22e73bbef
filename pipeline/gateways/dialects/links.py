"""The headers of a response that announce further pages: `Link` and `Content-Range`.

The patterns are texts, compiled where they are first searched: most responses have neither.
"""

from __future__ import annotations

import re

_NAME = r"[\w!#$%&*+.^`|~-]+"
_VALUE = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^",;\s]*)"""
_LINK = rf"<([^>]*)>((?:\s*;\s*{_NAME}(?:\s*=\s*{_VALUE})?)*)"
_PARAMETER = rf";\s*({_NAME})(?:\s*=\s*({_VALUE}))?"
_RANGE = r"^\s*(?:[\w-]+\s+)?(?:(\d+)-(\d+)|\*)/(\d+|\*)\s*$"


def next_link(header: str) -> str | None:
    """Return the target of the first link with `rel=next` in a `Link` header; None without one.

    Some servers write `rel='next'`, against https://www.rfc-editor.org/rfc/rfc8288#section-3.
    """
    for target, parameters in re.findall(_LINK, header) if header else ():
        values: dict[str, str] = {}
        for name, value in re.findall(_PARAMETER, parameters):
            # Only the first of several parameters of one name counts.
            values.setdefault(name.lower(), _unquoted(value))
        # A link with an anchor is one of another resource.
        if "next" in values.get("rel", "").lower().split() and not values.get("anchor") and target.strip():
            return str(target).strip()
    return None


def _unquoted(value: str) -> str:
    if value[:1] in ("'", '"'):
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value


def is_whole(content_range: str) -> bool | None:
    """Return whether a `Content-Range` covers everything; None where it does not say.

    The unit may be missing, as PostgREST writes it: `0-24/67`.
    See https://www.rfc-editor.org/rfc/rfc9110#section-14.4.
    """
    match = re.match(_RANGE, content_range) if content_range else None
    if match is None:
        return None
    first, last, size = match.groups()
    if size == "*":
        return False if int(first or 0) else None
    if first is None:
        return int(size) == 0
    return int(first) == 0 and int(last) + 1 >= int(size)
