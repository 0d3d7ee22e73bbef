"""Authentication of each kind of scope: the headers to send, and the secrets in them."""

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

LOGIN_PATH = "/api/user/login"


@dataclass(frozen=True, slots=True)
class Authentication:
    """Headers that authenticate a scope, and the secrets that must be redacted from its answers."""

    headers: dict[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[Secret, ...] = ()


def authenticate(
    credential: Credential, resolve: Resolve, key_header: str = "Authorization"
) -> Authentication:
    """Return the authentication of a credential; a login gets its headers from `sign_in`.

    Args:
        credential: the scope's credential.
        resolve: returns the secret of a reference.
        key_header: the header for a key; in `Authorization` it is a bearer token.

    Raises:
        Unresolved: a reference has no secret, or one that no header can carry.
    """
    match credential:
        case Anonymous():
            return Authentication()
        case Key(reference):
            key = _checked(reference, resolve(reference))
            bearer = "Bearer " if key_header == "Authorization" else ""
            return Authentication({key_header: f"{bearer}{key.reveal()}"}, (key,))
        case Cookie(reference):
            cookie = _checked(reference, resolve(reference))
            value = cookie.reveal()
            secrets = (cookie, *(Secret(part.partition("=")[2].strip()) for part in value.split(";")))
            return Authentication({"Cookie": value if "=" in value else f"session={value}"}, secrets)
        case AccessToken(reference, user_id):
            token = _checked(reference, resolve(reference))
            return Authentication({"Authorization": token.reveal(), "New-Api-User": user_id}, (token,))
        case Login(_, reference):
            return Authentication(secrets=(_checked(reference, resolve(reference)),))


def _checked(reference: str, secret: Secret) -> Secret:
    """Return a secret without surrounding space; refuse one that no header can carry.

    See https://www.rfc-editor.org/rfc/rfc9110#section-5.5.
    """
    value = secret.reveal().strip()
    if not value:
        raise Unresolved(f"{reference} is empty, so nothing was sent", cure="put the key there")
    if not (value.isascii() and value.isprintable()):
        raise Unresolved(
            f"{reference} holds characters that no HTTP header can carry", cure="store the key alone there"
        )
    return Secret(value)


async def sign_in(
    login: Login, password: Secret, root: str, send: Callable[[HttpRequest], Awaitable[Reply]]
) -> Authentication:
    """Sign in with user name and password, as the gateway's own web page does.

    Raises:
        Refused: the gateway rejects this user.
        Unreadable: the response is not one to a login.
    """
    body = {"username": login.username, "password": password.reveal()}
    reply = await send(HttpRequest(root + LOGIN_PATH, method="POST", json=body))
    user = _user(reply, login)
    cookies = _cookies(reply)
    if not cookies:
        raise Unreadable(f"the gateway accepted the login of {login.username} but set no session cookie")
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    if user.get("id") is not None:
        headers["New-Api-User"] = str(user["id"])
    return Authentication(headers, (password, *(Secret(value) for value in cookies.values())))


def _user(reply: Reply, login: Login) -> dict[str, Any]:
    try:
        answer = json.loads(reply.body)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the answer of {LOGIN_PATH} is not JSON", cure="is `url` the gateway?") from error
    if not isinstance(answer, dict) or not answer.get("success"):
        message = answer.get("message") if isinstance(answer, dict) else None
        raise Refused(f"{login.username} cannot sign in: {message or 'the gateway gives no reason'}")
    user = answer.get("data")
    if isinstance(user, dict) and user.get("require_2fa"):
        raise Refused(
            f"{login.username} needs a second factor to sign in", cure="use an access token instead"
        )
    return user if isinstance(user, dict) else {}


def _cookies(reply: Reply) -> dict[str, str]:
    cookies: dict[str, str] = {}
    for header in reply.cookies:
        try:
            parsed = SimpleCookie(header)
        except CookieError as error:
            raise Unreadable("the gateway's session cookie cannot be parsed") from error
        cookies |= {name: morsel.coded_value for name, morsel in parsed.items()}
    return cookies
