"""What to set where a gateway says what it misses: a header, a parameter, a scheme, a user, another key.

The patterns are texts, compiled where they are first searched: most runs meet no refusal.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

_USER_HEADER = r"\bnew-?api-?user\b"
"""The header of New-API for the user's id, which `user_id` sets."""

_NAME = r"[\"'`]?([A-Za-z][A-Za-z0-9]*(?:[-_][A-Za-z0-9]+)+|authorization|apikey|token)[\"'`]?"
_HEADERS = (
    rf"{_NAME}\s+(?:request\s+|http\s+)?headers?\b",
    rf"\bheaders?\s*:?\s+(?:named\s+|called\s+)?{_NAME}",
)
_PARAMS = (
    rf"\b(?:query|url)\s+(?:string\s+)?param(?:eter)?\s*:?\s+{_NAME}",
    rf"{_NAME}\s+(?:query|url)\s+(?:string\s+)?param(?:eter)?\b",
    r"\b(?:query|url)\s+(?:string\s+)?param(?:eter)?\s*:?\s+[\"'`]?(key)\b",
)
_OF_KEYS = r"key|token|auth|secret|credential"
_CHALLENGE = r"\s*([A-Za-z][\w-]*)(?:\s+(.*))?\Z"
_CHALLENGE_HEADER = r"\b(?:header|name)\s*=\s*\"?([A-Za-z][\w-]*)"
_DIALOGUES = frozenset({"digest", "hoba", "mutual", "negotiate", "ntlm"})
"""Schemes of several steps, which no key alone can follow."""

_CREDENTIALS = (
    r"\b(?:api[ _-]?keys?|(?:access[ _-]?)?tokens?|credentials?|sessions?|(?:log|sign)(?:ged|ed)?[ _-]?in"
    r"|unauthori[sz]ed|unauthenticated|authenticated|authentication|authorization|permissions?|forbidden)\b"
    r"|未登录|令牌|密钥|无权|鉴权|认证|登录"
)
_INPUT = r"\b(?:is|are) (?:required|missing)\b|\brequired\b.*\bparam|\bmissing\b|\bparam(?:eter)?s?\b|参数"

CREDENTIAL_CURE = "check the key, or the sign-in, of the scope"


def cure_of_refusal(
    said: str, challenge: str, *, headers: Mapping[str, str], params: Collection[str] = ()
) -> str | None:
    """Return what to set where a refusal says how a request must authenticate; None where it does not.

    A header or parameter that was sent is no cure: its value is wrong.

    Args:
        said: the message of the answer.
        challenge: its header `WWW-Authenticate`: https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1.
        headers: those that were sent.
        params: the names of the query parameters with a secret that were sent.
    """
    sent = {name.lower(): value for name, value in headers.items()}
    if _found(_USER_HEADER, said):
        return _cure_of_user("check" if "new-api-user" in sent else "set")
    setting = next(_settings(said, challenge, sent, {name.lower() for name in params}), None)
    if setting is None:
        return None
    has_key = bool(params) or any(_found(_OF_KEYS, name) for name in sent)
    return f"set `{setting}`" if has_key else f"give the scope a key, and set `{setting}`"


def _found(pattern: str, text: str) -> re.Match[str] | None:
    return re.search(pattern, text, re.IGNORECASE)


def _cure_of_user(verb: str) -> str:
    return f"{verb} `user_id`, the number of the user, beside the cookie, access token or login"


def _settings(said: str, challenge: str, sent: Mapping[str, str], params: Collection[str]) -> Iterator[str]:
    for pattern in _PARAMS:
        if (found := _found(pattern, said)) and _found(_OF_KEYS, found[1]) and found[1].lower() not in params:
            yield f'key_param = "{found[1]}"'
    for pattern in _HEADERS:
        if (found := _found(pattern, said)) and _found(_OF_KEYS, found[1]) and found[1].lower() not in sent:
            yield f'key_header = "{found[1]}"'
    asked = re.match(_CHALLENGE, challenge, re.DOTALL)
    if asked is None or asked[1].lower() in _DIALOGUES:
        return
    named = _found(_CHALLENGE_HEADER, asked[2] or "")
    if named and _found(_OF_KEYS, named[1]):
        if named[1].lower() not in sent:
            yield f'key_header = "{named[1]}"'
        return
    scheme = sent.get("authorization", "").partition(" ")[0]
    if scheme.lower() != asked[1].lower():
        is_bearer = asked[1].lower() == "bearer"
        yield 'key_header = "Authorization"' if is_bearer and not scheme else f'key_scheme = "{asked[1]}"'


def cure_of_message(said: str) -> str | None:
    """Return what to check where an error speaks of credentials, or of what a request lacks; else None."""
    if _found(_USER_HEADER, said):
        return _cure_of_user("check")
    if _found(_INPUT, said) and not _found(r"api[ _-]?key|token", said):
        return "set what it asks for in `params` or `headers`, or in the `body` of a POST"
    return CREDENTIAL_CURE if _found(_CREDENTIALS, said) else None


def longest_sentence(error: Mapping[str, Any]) -> str:
    """Return the longest text with a space in an error without a message of a usual name; "" without one."""
    texts = (each.strip() for each in error.values() if isinstance(each, str))
    return max((each for each in texts if " " in each), key=len, default="")
