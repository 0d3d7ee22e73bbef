"""How each kind of scope signs its requests: the headers to send, and the secrets in them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any

from pipeline.core.types import AccessToken, Anonymous, Cookie, Credential, Key, Login, Resolve, Secret
from pipeline.errors import Refused, Unreadable, Unresolved
from pipeline.gateways.http import Reply
from pipeline.gateways.types import HttpRequest

SIGN_IN = "/api/user/login"


@dataclass(frozen=True, slots=True)
class Authentication:
    """Headers that say who asks, and the secrets that must not come out again."""

    headers: dict[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[Secret, ...] = ()


def authenticate(
    credential: Credential, resolve: Resolve, key_header: str = "Authorization"
) -> Authentication:
    """Give the headers of a credential; a login gives none yet, see `sign_in`.

    Args:
        credential: as whom to ask.
        resolve: gives the secret of a reference.
        key_header: carries a key; `Authorization` as a bearer token, any other as it is.

    Raises:
        Unresolved: a reference gives nothing that could be sent.
    """
    match credential:
        case Anonymous():
            return Authentication()
        case Key(reference):
            key = _sendable(reference, resolve(reference))
            bearer = "Bearer " if key_header == "Authorization" else ""
            return Authentication({key_header: f"{bearer}{key.reveal()}"}, (key,))
        case Cookie(reference):
            cookie = _sendable(reference, resolve(reference))
            value = cookie.reveal()
            secrets = (cookie, *(Secret(part.partition("=")[2].strip()) for part in value.split(";")))
            return Authentication({"Cookie": value if "=" in value else f"session={value}"}, secrets)
        case AccessToken(reference, user_id):
            token = _sendable(reference, resolve(reference))
            return Authentication({"Authorization": token.reveal(), "New-Api-User": user_id}, (token,))
        case Login(_, reference):
            return Authentication(secrets=(_sendable(reference, resolve(reference)),))


def _sendable(reference: str, secret: Secret) -> Secret:
    value = secret.reveal().strip()
    if not value:
        raise Unresolved(f"{reference} is empty, so nothing was sent: put the key there")
    if not (value.isascii() and value.isprintable()):
        raise Unresolved(
            f"{reference} holds characters that no HTTP header can carry: see that it is the key alone"
        )
    return Secret(value)


async def sign_in(
    login: Login, password: Secret, root: str, ask: Callable[[HttpRequest], Awaitable[Reply]]
) -> Authentication:
    """Sign in with user name and password, as the gateway's own web page does.

    Raises:
        Refused: the gateway does not let this user in.
    """
    body = {"username": login.username, "password": password.reveal()}
    reply = await ask(HttpRequest(root + SIGN_IN, method="POST", json=body))
    user = _user(reply, login)
    cookies = _cookies(reply)
    if not cookies:
        raise Unreadable(f"the gateway let {login.username} in but gave no session cookie")
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    if user.get("id") is not None:
        headers["New-Api-User"] = str(user["id"])
    return Authentication(headers, (password, *(Secret(value) for value in cookies.values())))


def _user(reply: Reply, login: Login) -> dict[str, Any]:
    try:
        answer = json.loads(reply.body)
    except (ValueError, RecursionError) as error:
        raise Unreadable(
            f"signing in at {SIGN_IN} was answered with no JSON: is `url` the gateway?"
        ) from error
    if not isinstance(answer, dict) or not answer.get("success"):
        said = answer.get("message") if isinstance(answer, dict) else None
        raise Refused(f"{login.username} cannot sign in: {said or 'the gateway does not say why'}")
    user = answer.get("data")
    if isinstance(user, dict) and user.get("require_2fa"):
        raise Refused(f"{login.username} needs a second factor to sign in: use an access token instead")
    return user if isinstance(user, dict) else {}


def _cookies(reply: Reply) -> dict[str, str]:
    cookies: dict[str, str] = {}
    for header in reply.cookies:
        try:
            parsed = SimpleCookie(header)
        except CookieError as error:
            raise Unreadable("the gateway's session cookie cannot be read") from error
        cookies |= {name: morsel.coded_value for name, morsel in parsed.items()}
    return cookies
