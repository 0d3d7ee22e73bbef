"""Authentication of each kind of scope: the headers to send, and the secrets in them."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable
from http.cookies import CookieError, SimpleCookie
from typing import Any

from msgspec import Struct, field

from pipeline.core.text import header_problem
from pipeline.core.types import (
    AccessToken,
    Anonymous,
    Cookie,
    Credential,
    Key,
    Login,
    Pairs,
    Resolve,
    Secret,
    is_reference,
    reference_name,
)
from pipeline.errors import Refused, Unreadable, Unresolved
from pipeline.gateways.dialects import Dialect, named, simplified
from pipeline.gateways.dialects.envelope import find_message
from pipeline.gateways.http import Reply
from pipeline.gateways.types import HttpRequest

USER_HEADER = "New-Api-User"
"""The header in which New-API expects the user's id beside a session or an access token.

See `docs/en/api/auth-system-description.md` of https://github.com/QuantumNous/new-api-docs.
"""

_TOKENS = ("accesstoken", "token", "jwt", "jwttoken", "bearertoken", "authtoken", "sessiontoken", "apitoken")
"""The fields in the answer to a login that may hold an access token, the likeliest first."""

_TOKEN_OBJECTS = ("data", "result", "user", "session", "tokens", "token", "auth")
"""The objects in the answer to a login that may have such a field."""

_DEEPEST_TOKEN = 2
_CAPTCHA = re.compile(r"captcha|turnstile|geetest|human verification|验证码|人机", re.IGNORECASE)

_TOKEN = re.compile(r"[\w.~+/-]+=*", re.ASCII)
"""The form of a bearer token: https://www.rfc-editor.org/rfc/rfc6750#section-2.1."""


class Authentication(Struct, frozen=True):
    """Headers and query parameters of a scope's requests, and the secrets to redact from its answers.

    `params` are those with a secret; the others are in the requests of a dialect.
    """

    headers: dict[str, str] = field(default_factory=dict)
    secrets: tuple[Secret, ...] = ()
    params: Pairs = ()

    def __repr__(self) -> str:
        return f"Authentication(secrets={self.secrets!r})"

    def __or__(self, other: Authentication) -> Authentication:
        """Return both together; the headers of the other replace those of the same name."""
        return Authentication(
            self.headers | other.headers, (*self.secrets, *other.secrets), (*self.params, *other.params)
        )


def configured(dialect: Dialect, resolve: Resolve) -> Authentication:
    """Return the headers and parameters of a dialect and of the config, with their secrets resolved.

    Raises:
        Unresolved: a reference has no secret, or one that no header can carry.
    """
    headers, params, secrets = {}, [], []
    for name, value in dialect.headers:
        headers[name] = value
        if is_reference(value):
            secret = _checked(value, resolve(value))
            headers[name] = secret.reveal()
            secrets.append(secret)
    for name, value in dialect.params:
        if is_reference(value):
            secret = _checked(value, resolve(value))
            params.append((name, secret.reveal()))
            secrets.append(secret)
    return Authentication(headers, tuple(secrets), tuple(params))


def authenticate(credential: Credential, resolve: Resolve, dialect: Dialect) -> Authentication:
    """Return the authentication of a credential; a login gets its headers from `sign_in`.

    Args:
        credential: the scope's credential.
        resolve: returns the secret of a reference.
        dialect: says where a key is sent.

    Raises:
        Unresolved: a reference has no secret, or one that no header can carry.
    """
    match credential:
        case Anonymous():
            return Authentication()
        case Key():
            reference = credential.own_reference
            return _with_key(_checked(reference, resolve(reference)), dialect)
        case Cookie(reference, user_id):
            cookie = _checked(reference, resolve(reference))
            return _of_cookie(cookie, {USER_HEADER: user_id} if user_id else {})
        case AccessToken(reference, user_id):
            token = _checked(reference, resolve(reference))
            return Authentication({"Authorization": token.reveal(), USER_HEADER: user_id}, (token,))
        case Login(_, reference):
            return Authentication(secrets=(_checked(reference, resolve(reference)),))


def _with_key(key: Secret, dialect: Dialect) -> Authentication:
    """Return the authentication by a key, where and how a gateway wants it.

    With the scheme `Basic`, a key without a colon is the user name, and the password is empty.
    See https://www.rfc-editor.org/rfc/rfc7617#section-2.
    """
    value = key.reveal()
    if dialect.key_param:
        return Authentication(secrets=(key,), params=((dialect.key_param, value),))
    scheme = dialect.key_scheme or ("Bearer" if dialect.key_header.lower() == "authorization" else "raw")
    if scheme.lower() == "raw":
        return Authentication({dialect.key_header: value}, (key,))
    if scheme.lower() != "basic":
        return Authentication({dialect.key_header: f"{scheme} {value}"}, (key,))
    user, _, password = value.partition(":")
    encoded = b64encode(f"{user}:{password}".encode()).decode()
    secrets = (Secret(encoded), key, *([Secret(password)] if password else []))
    return Authentication({dialect.key_header: f"{scheme} {encoded}"}, secrets)


def _of_cookie(cookie: Secret, headers: dict[str, str]) -> Authentication:
    """Return the authentication of `name=value; …`, or of the bare value of the cookie `session`.

    The `=` at the end of a bare value pads its base64, as in the sessions of the One-API family:
    https://github.com/gorilla/securecookie/blob/v1.1.2/securecookie.go#L456-L458.
    """
    value = cookie.reveal()
    if "=" not in value.rstrip("="):
        return Authentication({"Cookie": f"session={value}"} | headers, (cookie,))
    parts = (Secret(part.partition("=")[2].strip()) for part in value.split(";"))
    return Authentication({"Cookie": value} | headers, (cookie, *parts))


def _checked(reference: str, secret: Secret) -> Secret:
    """Return a secret without surrounding space; refuse one that no header can carry."""
    value, name = secret.reveal().strip(), reference_name(reference)
    if not value:
        raise Unresolved(f"{name} is empty, so nothing was sent", cure="put the key there")
    if problem := header_problem(value):
        raise Unresolved(f"{name} {problem}")
    return Secret(value)


async def sign_in(
    login: Login, password: Secret, root: str, send: Callable[[HttpRequest], Awaitable[Reply]]
) -> Authentication:
    """Sign in with user name and password, as the gateway's own web page does.

    The gateway answers with a session cookie, an access token, or both; New-API of 2026 with both:
    https://github.com/QuantumNous/new-api/blob/main/controller/auth_session.go.

    Raises:
        Refused: the gateway rejects this user.
        Unreadable: the response is not one to a login.
    """
    body = {"username": login.username, "password": password.reveal()}
    reply = await send(HttpRequest(root + login.path, method="POST", json=body))
    data = _login_data(reply, login)
    cookies = _cookies(reply)
    # Beside a cookie, a text is rather a greeting than a token.
    token = None if cookies and isinstance(data, str) else _access_token(data)
    if not (cookies or token):
        raise Unreadable(
            f"the gateway accepted the login of {login.username} but sent neither cookie nor access token"
        )
    headers = {}
    if cookies:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    if token:
        headers["Authorization"] = f"Bearer {token}"
    user_id = _user_id(data) or login.user_id
    if user_id:
        headers[USER_HEADER] = user_id
    secrets = [*cookies.values(), *filter(None, [token])]
    return Authentication(headers, (password, *map(Secret, secrets)))


def _login_data(reply: Reply, login: Login) -> Any:
    """Return the `data` of the answer to a login.

    Raises:
        Refused: the gateway rejects this user.
        Unreadable: the answer is not JSON.
    """
    try:
        answer = json.loads(reply.body)
    except (ValueError, RecursionError) as error:
        raise Unreadable(
            f"the answer of {login.path} is not JSON",
            cure="is `url` the gateway, and `login_path` where its web page signs in?",
        ) from error
    if not isinstance(answer, dict):
        raise _refusal(login, answer)
    data = answer.get("data", answer)
    if isinstance(data, dict) and not reply.cookies:
        # Beside a session, a token outside `data` may be against forged requests; an id is not the user's.
        data = {name: value for name, value in answer.items() if name != "id"} | data
    has_session = reply.cookies or answer.get("data") is not None or _access_token(answer) is not None
    if not answer.get("success", has_session):
        raise _refusal(login, answer)
    if isinstance(data, dict) and data.get("require_2fa"):
        raise Refused(
            f"{login.username} needs a second factor to sign in", cure="use an access token instead"
        )
    return data


def _refusal(login: Login, answer: Any) -> Refused | Unreadable:
    """Return the error of an answer that accepts no login, or does not say that it does."""
    said = find_message([answer])
    if said is None and isinstance(answer, dict) and "success" not in answer and answer:
        return Unreadable(
            f"the answer to the login of {login.username} has no access token: it has {named(answer)}",
            cure="sign in with a `cookie` or an `access_token` instead",
        )
    text = f"{login.username} cannot sign in: {said or 'the gateway gives no reason'}"
    if said and _CAPTCHA.search(said):
        cure = "no program can pass this; use an `access_token` with `user_id`, or a `cookie`, instead"
        return Refused(text, cure=cure)
    return Refused(text)


def _access_token(data: Any, depth: int = 0) -> str | None:
    """Return the access token in the answer to a login; One-API's user has one that is empty."""
    if not isinstance(data, dict):
        return data if isinstance(data, str) and _TOKEN.fullmatch(data) else None
    by_name = {simplified(name): value for name, value in data.items()}
    texts = (by_name.get(name) for name in _TOKENS)
    found = next((each for each in texts if isinstance(each, str) and _TOKEN.fullmatch(each)), None)
    inner = (by_name.get(name) for name in _TOKEN_OBJECTS) if depth < _DEEPEST_TOKEN else ()
    below = (_access_token(each, depth + 1) for each in inner if isinstance(each, dict))
    return found or next((each for each in below if each), None)


def _user_id(data: Any) -> str | None:
    """Return the id of the user who signed in; New-API of 2026 has it below `user`."""
    for user in (data, data.get("user") if isinstance(data, dict) else None):
        number = user.get("id") if isinstance(user, dict) else None
        if isinstance(number, int | str) and not isinstance(number, bool) and not header_problem(str(number)):
            return str(number)
    return None


def _cookies(reply: Reply) -> dict[str, str]:
    cookies: dict[str, str] = {}
    for header in reply.cookies:
        try:
            parsed = SimpleCookie(header)
        except CookieError as error:
            raise Unreadable("the gateway's session cookie cannot be parsed") from error
        cookies |= {name: morsel.coded_value for name, morsel in parsed.items()}
    return cookies
