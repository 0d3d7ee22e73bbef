"""Users, keys and sessions: who is asking, and from which group or limit their list is made."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from email.message import Message

from pipeline.simulator.answers import Answer, complains, declines

DEFAULT_GROUP = "default"


NOBODY = "nobody"


_KEY_TROUBLES = {
    "disabled": "This key has been switched off",
    "expired": "This key has passed its expiry date",
    "exhausted": "This key has no quota left",
}


_KEY_STATUSES = ("enabled", *_KEY_TROUBLES)


_USER_STATUSES = ("enabled", "banned")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person with an account; the group picks their list."""

    name: str
    id: int
    group: str
    password: str | None = field(repr=False)
    access_token: str | None = field(repr=False)
    is_banned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A token: its `models` are its list if it has any, else its group's list, else its user's."""

    secret: str = field(repr=False)
    user: str | None
    group: str | None
    models: tuple[str, ...] | None
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Someone who may ask: `models` is an own limit, `who` the name that faults are aimed at."""

    who: str = field(repr=False)
    group: str
    models: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Someone who is turned away; `who` is None when nothing known was shown."""

    who: str | None = field(repr=False)
    status: int
    message: str

    def answer(self) -> Answer:
        """The refusal as the servers word it under `/v1`."""
        return complains(self.status, self.message)


_ANYONE = Caller(who=NOBODY, group=DEFAULT_GROUP)


class Accounts:
    """Everyone who is known; safe to change while requests are answered."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._users: dict[str, User] = {}
        self._keys: dict[str, Key] = {}
        self._sessions: dict[str, str] = {}

    @property
    def users(self) -> tuple[User, ...]:
        """All users, in the order in which they came."""
        with self._lock:
            return tuple(self._users.values())

    @property
    def keys(self) -> tuple[Key, ...]:
        """All keys, in the order in which they came."""
        with self._lock:
            return tuple(self._keys.values())

    def user(
        self,
        name: str,
        *,
        password: str | None = None,
        id: int | None = None,  # noqa: A002 - what the servers call it
        group: str | None = None,
        access_token: str | None = None,
        status: str = "enabled",
    ) -> None:
        """Add or replace a user.

        Raises:
            ValueError: an unknown status, a reserved name, or an id that is another user's.
        """
        _known("status", status, _USER_STATUSES)
        if not name or name == NOBODY:
            raise ValueError(f"A user needs a name, and {NOBODY!r} means a caller without one.")
        with self._lock:
            former = self._users.get(name)
            taken = {user.id for user in self._users.values() if user is not former}
            number = id or (former.id if former else max(taken, default=0) + 1)
            if number in taken:
                raise ValueError(f"Another user has the id {number}: choose one that is free.")
            self._users[name] = User(
                name=name,
                id=number,
                group=group or DEFAULT_GROUP,
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
        """Add or replace a key, spelled with or without `sk-`.

        Raises:
            ValueError: a blank key, an unknown status, or a user who does not exist.
        """
        _known("status", status, _KEY_STATUSES)
        if not _bare(key):
            raise ValueError("A key cannot be blank: write something after sk-.")
        limit = None if models is None else tuple(dict.fromkeys(models))
        with self._lock:
            if user is not None:
                _known("user", user, self._users)
            self._keys[_bare(key)] = Key(secret=key, user=user, group=group, models=limit, status=status)

    def who(self, name: str) -> str:
        """The name for faults of a key, a user or `nobody`.

        Raises:
            ValueError: none of these; the name is not repeated, for it may be a mistyped key.
        """
        with self._lock:
            if name == NOBODY:
                return NOBODY
            if name in self._users:
                return f"user:{name}"
            if _bare(name) in self._keys:
                return f"key:{_bare(name)}"
        raise ValueError(
            f"This is neither a key, nor a user's name, nor {NOBODY!r}: add the key or user first."
        )

    def signs_in(self, name: str, password: str) -> tuple[User, str] | None:
        """The user and a new session, or None when name and password do not belong together."""
        with self._lock:
            user = self._users.get(name)
            if user is None or user.is_banned or user.password is None or user.password != password:
                return None
            session = secrets.token_urlsafe(24)
            self._sessions[session] = name
            return user, session

    def signs_out(self, name: str) -> None:
        """End a user's sessions: their cookies are worth nothing from now on.

        Raises:
            ValueError: a user who does not exist.
        """
        with self._lock:
            _known("user", name, self._users)
            self._sessions = {session: user for session, user in self._sessions.items() if user != name}

    def caller(self, headers: Message) -> Caller | Refusal:
        """Who asks for a list: a key, a signed-in user, or nobody, who gets the default group.

        A stale session is nobody's, so its list turns into the default one without a word.
        """
        authorization, named = headers.get("Authorization"), headers.get("New-Api-User")
        with self._lock:
            if authorization is not None:
                return self._bearer(_token(authorization), named)
            user = self._in_session(headers)
            if user is None:
                return _ANYONE
            if named is not None and named != str(user.id):
                return _stranger("New-Api-User names another user than the session")
            return _admitted(user)

    def signed_in(self, headers: Message) -> User | Answer:
        """Who asks the user's own endpoints, or the answer that turns them away."""
        authorization, named = headers.get("Authorization"), headers.get("New-Api-User")
        with self._lock:
            user = self._owner(_token(authorization)) if authorization else self._in_session(headers)
        match user:
            case None if authorization:
                return declines("This access token is not known")
            case None:
                return declines("Sign in or send an access token", status=401)
            case User() if named is None:
                return declines("The header New-Api-User is missing: send the user's id", status=401)
            case User() if named != str(user.id):
                return declines("New-Api-User names another user", status=401)
            case User() if user.is_banned:
                return declines("This user has been banned")
        return user

    def _bearer(self, token: str, named: str | None) -> Caller | Refusal:
        key = self._keys.get(_bare(token))
        if key is not None:
            return self._holder(key)
        if not _bare(token):
            return _stranger("No key was given")
        if named is None:
            return _stranger("This key is not known")
        user = self._owner(token)
        if user is None:
            return _stranger("This access token is not known")
        if named != str(user.id):
            return _stranger("New-Api-User names another user than the access token")
        return _admitted(user)

    def _holder(self, key: Key) -> Caller | Refusal:
        who = f"key:{_bare(key.secret)}"
        user = self._users[key.user] if key.user is not None else None
        if key.status != "enabled":
            return Refusal(who=who, status=401, message=_KEY_TROUBLES[key.status])
        if user is not None and user.is_banned:
            return Refusal(who=who, status=403, message="The user of this key has been banned")
        group = key.group or (user.group if user else DEFAULT_GROUP)
        return Caller(who=who, group=group, models=key.models)

    def _owner(self, token: str) -> User | None:
        return next((user for user in self._users.values() if token and user.access_token == token), None)

    def _in_session(self, headers: Message) -> User | None:
        name = self._sessions.get(_cookie(headers, "session"))
        return None if name is None else self._users[name]


def _admitted(user: User) -> Caller | Refusal:
    who = f"user:{user.name}"
    if user.is_banned:
        return Refusal(who=who, status=403, message="This user has been banned")
    return Caller(who=who, group=user.group)


def _stranger(message: str) -> Refusal:
    return Refusal(who=None, status=401, message=message)


def _token(authorization: str) -> str:
    # The real servers know only this spelling of "Bearer"; a client that writes "bearer" is refused.
    return f"{authorization.strip()} ".removeprefix("Bearer ").strip()


def _bare(key: str) -> str:
    return key.strip().removeprefix("sk-")


def _cookie(headers: Message, name: str) -> str:
    for part in headers.get("Cookie", "").split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value
    return ""


def _known(what: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise ValueError(f"There is no {what} {value!r}: write one of {', '.join(known) or '(none yet)'}.")
