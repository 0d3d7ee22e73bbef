"""Users, keys and sessions, and the caller of a request with the group or models that its list has."""

from __future__ import annotations

import base64
import secrets
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from pipeline.simulator.messages import Response, api_error, v1_error

DEFAULT_GROUP = "default"
ANONYMOUS = "anonymous"

REFERENCE = "reference"
NEW_API_2025 = "new-api-2025"
NEW_API_2026 = "new-api-2026"
SERVERS = (REFERENCE, NEW_API_2025, NEW_API_2026)
"""The servers whose sign-in and price list can be served.

With `reference`, users and anyone may list models. The New-API of April 2025 and of 2026 accept keys only
at `/v1/models` (`TokenAuth`): https://github.com/Calcium-Ion/new-api/blob/main/middleware/auth.go and
https://github.com/QuantumNous/new-api/blob/main/middleware/auth.go.
"""

_KEY_ERRORS = {
    "disabled": "This key has been switched off",
    "expired": "This key has passed its expiry date",
    "exhausted": "This key has no quota left",
}
_KEY_STATUSES = ("enabled", *_KEY_ERRORS)
_USER_STATUSES = ("enabled", "banned")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user, who gets the list of the group, and may use `groups` beside it and those that are public.

    `ratios` are those that this user pays for a group instead of the group's own.
    """

    name: str
    id: int
    group: str
    groups: frozenset[str] = frozenset()
    ratios: Mapping[str, float] = field(default_factory=dict)
    password: str | None = field(repr=False)
    access_token: str | None = field(repr=False)
    is_banned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key; its list is `models` if set, else that of its group, else that of its user's group."""

    secret: str = field(repr=False)
    user: str | None
    group: str | None
    models: tuple[str, ...] | None
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An accepted caller; `models` is the limit of its key, `who` identifies it for faults."""

    who: str = field(repr=False)
    group: str
    models: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A rejected caller; `who` is None for unknown credentials."""

    who: str | None = field(repr=False)
    status: int
    message: str

    def response(self) -> Response:
        """Return the error in the form used under `/v1`."""
        return v1_error(self.status, self.message)


class Accounts:
    """The users, keys and sessions of a gateway; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._users: dict[str, User] = {}
        self._keys: dict[str, Key] = {}
        self._sessions: dict[str, str] = {}
        self._falls_back = False
        self.server = REFERENCE

    @property
    def users(self) -> tuple[User, ...]:
        """All users, in the order in which they were added."""
        with self._lock:
            return tuple(self._users.values())

    @property
    def keys(self) -> tuple[Key, ...]:
        """All keys, in the order in which they were added."""
        with self._lock:
            return tuple(self._keys.values())

    def user(
        self,
        name: str,
        *,
        password: str | None = None,
        id: int | None = None,  # noqa: A002 - the servers' name
        group: str | None = None,
        groups: Iterable[str] | None = None,
        ratios: dict[str, Any] | None = None,
        access_token: str | None = None,
        status: str = "enabled",
    ) -> None:
        """Add or replace a user.

        Args:
            name: unique.
            password: for the login.
            id: unique; None takes the next one.
            group: the user's own; the default one if it is None.
            groups: private groups that this user may use, too.
            ratios: by group, the ratio that this user pays instead of the group's.
            access_token: for the endpoints of users.
            status: enabled or banned.

        Raises:
            ValueError: an unknown status, a reserved name, or the id of another user.
        """
        _require("status", status, _USER_STATUSES)
        if not name or name == ANONYMOUS:
            raise ValueError(
                f"A user needs a name other than {ANONYMOUS!r}, which means a caller without credentials."
            )
        with self._lock:
            former = self._users.get(name)
            taken = {user.id for user in self._users.values() if user is not former}
            number = id or (former.id if former else max(taken, default=0) + 1)
            if number in taken:
                raise ValueError(f"Another user has the id {number}: choose a free one.")
            self._users[name] = User(
                name=name,
                id=number,
                group=group or DEFAULT_GROUP,
                groups=frozenset(groups or ()),
                ratios=dict(ratios or {}),
                password=password,
                access_token=access_token,
                is_banned=status == "banned",
            )

    def key(
        self,
        key: str,
        *,
        user: str | None = None,
        group: str | None = None,
        models: Iterable[str] | None = None,
        status: str = "enabled",
    ) -> None:
        """Add or replace a key, written with or without `sk-`.

        Raises:
            ValueError: a blank key, an unknown status or an unknown user.
        """
        _require("status", status, _KEY_STATUSES)
        if not _bare(key):
            raise ValueError("A key cannot be blank: write something after sk-.")
        limit = None if models is None else tuple(dict.fromkeys(models))
        with self._lock:
            if user is not None:
                _require("user", user, self._users)
            self._keys[_bare(key)] = Key(secret=key, user=user, group=group, models=limit, status=status)

    def target(self, name: str) -> str:
        """Return the `who` of a key, a user or `anonymous`.

        Raises:
            ValueError: none of these; the message does not repeat the name, which may be a mistyped key.
        """
        with self._lock:
            if name == ANONYMOUS:
                return ANONYMOUS
            if name in self._users:
                return f"user:{name}"
            if _bare(name) in self._keys:
                return f"key:{_bare(name)}"
        raise ValueError(
            f"This is neither a key, a user's name nor {ANONYMOUS!r}: add the key or user first."
        )

    def sign_in(self, name: str, password: str) -> tuple[User, str] | None:
        """Return the user and a new session, or None for a wrong name or password."""
        with self._lock:
            user = self._users.get(name)
            if user is None or user.is_banned or user.password is None or user.password != password:
                return None
            # Padded, as those of the real servers are.
            session = base64.urlsafe_b64encode(secrets.token_bytes(25)).decode()
            self._sessions[session] = name
            return user, session

    def runs(self, server: str) -> None:
        """Serve the sign-in and the price list of one of `SERVERS`.

        Raises:
            ValueError: an unknown server.
        """
        _require("server", server, SERVERS)
        self.server = server

    def falls_back(self, *, on: bool = True) -> None:
        """Let callers with a key that is unknown or no longer valid get the anonymous list, without an error.

        AiHubMix lists models without a key, so that its list does not validate one:
        https://github.com/AIhubmix/skills/blob/main/skills/aihubmix-api/references/model-query.md.
        """
        self._falls_back = on

    def signs_out(self, name: str) -> None:
        """End a user's sessions.

        Raises:
            ValueError: the user does not exist.
        """
        with self._lock:
            _require("user", name, self._users)
            self._sessions = {session: user for session, user in self._sessions.items() if user != name}

    def caller(self, headers: Message) -> Caller | Rejection:
        """Return the caller of a request for a list: a key, a signed-in user or anonymous.

        As on the real servers, a request with an expired session is anonymous and gets no error; with
        `falls_back`, so is one with an invalid key.
        """
        found = self._caller(headers)
        if self._falls_back and isinstance(found, Rejection):
            return Caller(who=found.who or ANONYMOUS, group=DEFAULT_GROUP)
        return found

    def _caller(self, headers: Message) -> Caller | Rejection:
        authorization, named = headers.get("Authorization"), headers.get("New-Api-User")
        with self._lock:
            if self.server != REFERENCE:
                return self._bearer(_token(authorization or ""), None)
            if authorization is not None:
                return self._bearer(_token(authorization), named)
            user = self._session_user(headers)
            if user is None:
                return Caller(who=ANONYMOUS, group=DEFAULT_GROUP)
            if named is not None and named != str(user.id):
                return _unknown("New-Api-User names another user than the session")
            return _user_caller(user)

    def signed_in(self, headers: Message) -> User | Response:
        """Return the user who calls the endpoints of users, or the error to respond with.

        New-API of 2026 reads neither the session's cookie nor `New-Api-User`.
        """
        authorization, named = headers.get("Authorization"), headers.get("New-Api-User")
        with self._lock:
            user = self._token_user(_token(authorization)) if authorization else self._session_user(headers)
            if self.server == NEW_API_2026:
                user = user if authorization else None
                named = str(user.id) if user else None
        match user:
            case None if authorization:
                return api_error("This access token is not known")
            case None:
                return api_error("Sign in or send an access token", status=401)
            case User() if named is None:
                return api_error("The header New-Api-User is missing: send the user's id", status=401)
            case User() if named != str(user.id):
                return api_error("New-Api-User names another user", status=401)
            case User() if user.is_banned:
                return api_error("This user has been banned")
        return user

    def price_reader(self, headers: Message) -> User | None:
        """Return the user who asks for the price list; None for an anonymous one.

        In 2025, `TryUserAuth` of New-API looked at sessions only: an access token got the anonymous list.
        """
        if self.server == NEW_API_2025:
            with self._lock:
                return self._session_user(headers)
        found = self.signed_in(headers)
        return found if isinstance(found, User) else None

    def _bearer(self, token: str, named: str | None) -> Caller | Rejection:
        key = self._keys.get(_bare(token))
        if key is not None:
            return self._key_caller(key)
        if not _bare(token):
            return _unknown("No key was given")
        if named is None:
            return _unknown("This key is not known")
        user = self._token_user(token)
        if user is None:
            return _unknown("This access token is not known")
        if named != str(user.id):
            return _unknown("New-Api-User names another user than the access token")
        return _user_caller(user)

    def _key_caller(self, key: Key) -> Caller | Rejection:
        who = f"key:{_bare(key.secret)}"
        user = self._users[key.user] if key.user is not None else None
        if key.status != "enabled":
            return Rejection(who=who, status=401, message=_KEY_ERRORS[key.status])
        if user is not None and user.is_banned:
            return Rejection(who=who, status=403, message="The user of this key has been banned")
        group = key.group or (user.group if user else DEFAULT_GROUP)
        return Caller(who=who, group=group, models=key.models)

    def _token_user(self, token: str) -> User | None:
        if self.server == NEW_API_2026 and token in self._sessions:
            return self._users[self._sessions[token]]
        return next((user for user in self._users.values() if token and user.access_token == token), None)

    def _session_user(self, headers: Message) -> User | None:
        name = self._sessions.get(_cookie(headers, "session"))
        return None if name is None else self._users[name]


def _user_caller(user: User) -> Caller | Rejection:
    who = f"user:{user.name}"
    if user.is_banned:
        return Rejection(who=who, status=403, message="This user has been banned")
    return Caller(who=who, group=user.group)


def _unknown(message: str) -> Rejection:
    return Rejection(who=None, status=401, message=message)


def _token(authorization: str) -> str:
    # The real servers accept only this spelling of "Bearer" and reject "bearer".
    return f"{authorization.strip()} ".removeprefix("Bearer ").strip()


def _bare(key: str) -> str:
    return key.strip().removeprefix("sk-")


def _cookie(headers: Message, name: str) -> str:
    for part in headers.get("Cookie", "").split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value
    return ""


def _require(name: str, value: str, valid: Iterable[str]) -> None:
    if value not in valid:
        raise ValueError(f"There is no {name} {value!r}: write one of {', '.join(valid) or '(none yet)'}.")
