"""Read `modelwatch.toml`: gateways, the scopes under each, and where the results go."""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from pipeline.dialects import NAMES
from pipeline.errors import ConfigError
from pipeline.types import (
    AccessToken,
    Cookie,
    Credential,
    Gateway,
    Key,
    Limits,
    Login,
    Nobody,
    Scope,
    Thresholds,
)

REFERENCES = ("env:", "file:", "command:")

_NAME = re.compile(r"^[\w][\w.@+-]*$")
_TOP = frozenset({"database", "reports", "deadline", "gateways"})
_GATEWAY = frozenset({"url", "dialect", "scopes", "keys"})
_SCOPE = frozenset({"key", "cookie", "access_token", "user_id", "username", "password", "group"})
_KEYS_HEADER = ["name", "key", "group"]
_MAY_BE_ZERO = frozenset({"floor", "backoff", "max_wait", "max_loss"})
_T = TypeVar("_T", Limits, Thresholds)


@dataclass(frozen=True, slots=True)
class Config:
    """What a config file says; paths are absolute.

    Args:
        path: the file itself.
        database: the SQLite file.
        reports: the directory that reports are written to.
        deadline: seconds that one run may take; scopes not answered by then have failed.
        scopes: every scope of every gateway, in the file's order.
    """

    path: Path
    database: Path
    reports: Path
    deadline: float
    scopes: tuple[Scope, ...] = field(default_factory=tuple)


def load(path: Path) -> Config:
    """Read and validate a config file.

    Raises:
        ConfigError: it cannot be used; names the file, the line or key, and the cure.
    """
    return parse(_read(path), path)


def parse(text: str, path: Path) -> Config:
    """Validate the text of a config file that is, or will be, at `path`.

    Raises:
        ConfigError: it cannot be used.
    """
    return _Reader(path, text).config()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            "there is no config yet: write one with `modelwatch init`", where=str(path)
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8: save it as UTF-8", where=str(path)) from error
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from error


class _Reader:
    """Turns the text of a config into a `Config`, and knows on which line a key stands."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path.absolute()
        self.text = text

    def config(self) -> Config:
        try:
            table = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"is no valid TOML: {error}", where=str(self.path)) from error
        self._known(table, _TOP, ())
        gateways = self._table(table, "gateways", ())
        if not gateways:
            self._fail((), "has no [gateways.NAME]: add one, with its url and scopes")
        return Config(
            path=self.path,
            database=self._file(table, "database", "modelwatch.db"),
            reports=self._file(table, "reports", "reports"),
            deadline=self._number(table, "deadline", (), 600.0),
            scopes=tuple(scope for name in gateways for scope in self._gateway(name, gateways)),
        )

    def _gateway(self, name: str, gateways: dict[str, Any]) -> list[Scope]:
        at = ("gateways", name)
        self._name(name, at)
        table = self._table(gateways, name, ("gateways",))
        self._known(table, _GATEWAY | _names(Limits) | _names(Thresholds), at)
        gateway = Gateway(
            name=name,
            url=self._url(table, at),
            dialect=self._dialect(table, at),
            limits=self._settings(Limits(), table, at),
        )
        thresholds = self._settings(Thresholds(), table, at)
        scopes = self._table(table, "scopes", at)
        found = [self._scope(label, scopes, gateway, thresholds) for label in scopes]
        found += self._keys_file(table, gateway, thresholds)
        if not found:
            self._fail(at, "has no scopes: add e.g. `scopes.public = {}` to ask without a key")
        self._no_twins(found, at)
        return found

    def _scope(self, label: str, scopes: dict[str, Any], gateway: Gateway, thresholds: Thresholds) -> Scope:
        at = ("gateways", gateway.name, "scopes", label)
        self._name(label, at)
        table = self._table(scopes, label, at[:-1])
        self._known(table, _SCOPE | _names(Thresholds), at)
        return Scope(
            name=f"{gateway.name}/{label}",
            gateway=gateway,
            credential=self._credential(table, at),
            group=self._text(table, "group", at),
            thresholds=self._settings(thresholds, table, at),
        )

    def _credential(self, table: dict[str, Any], at: tuple[str, ...]) -> Credential:
        ways = [way for way in ("key", "cookie", "access_token", "password") if way in table]
        if len(ways) > 1:
            self._fail(at, f"has {' and '.join(ways)}: a scope asks in one way, make two scopes of it")
        for lone, partner in (
            ("user_id", "access_token"),
            ("username", "password"),
            ("password", "username"),
        ):
            if lone in table and partner not in table:
                self._fail((*at, lone), f"needs {partner} beside it")
        match ways:
            case ["key"]:
                return Key(self._reference(table, "key", at))
            case ["cookie"]:
                return Cookie(self._reference(table, "cookie", at))
            case ["access_token"]:
                if "user_id" not in table:
                    self._fail(
                        (*at, "access_token"), "needs user_id beside it: the number of the user it belongs to"
                    )
                return AccessToken(self._reference(table, "access_token", at), str(table["user_id"]))
            case ["password"]:
                username = self._text(table, "username", at) or ""
                return Login(username, self._reference(table, "password", at))
            case _:
                return Nobody()

    def _keys_file(self, table: dict[str, Any], gateway: Gateway, thresholds: Thresholds) -> list[Scope]:
        at = ("gateways", gateway.name, "keys")
        name = self._text(table, "keys", at[:-1])
        if name is None:
            return []
        path = self.path.parent / Path(name).expanduser()
        return [
            Scope(
                name=f"{gateway.name}/{row['name']}",
                gateway=gateway,
                credential=Key(row["key"]),
                group=row["group"] or None,
                thresholds=thresholds,
            )
            for row in self._rows(path, at)
        ]

    def _rows(self, path: Path, at: tuple[str, ...]) -> Iterator[dict[str, str]]:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            self._fail(at, f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}")
        reader = csv.reader(text.splitlines())
        header = [cell.strip() for cell in next(reader, [])]
        if header not in (_KEYS_HEADER, _KEYS_HEADER[:2]):
            raise ConfigError("must begin with the line `name,key,group`", where=f"{path}:1")
        for cells in reader:
            where = f"{path}:{reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            row = dict(zip(_KEYS_HEADER, [*(cell.strip() for cell in cells), "", ""], strict=False))
            if len(cells) > len(header):
                raise ConfigError(f"has {len(cells)} cells where the header has {len(header)}", where=where)
            if not _NAME.match(row["name"]):
                raise ConfigError(_bad_name("the name"), where=where)
            if not row["key"].startswith(REFERENCES):
                raise ConfigError(_literal("the key"), where=where)
            yield row

    def _reference(self, table: dict[str, Any], key: str, at: tuple[str, ...]) -> str:
        value = table[key]
        if not isinstance(value, str) or not value.startswith(REFERENCES) or value in REFERENCES:
            raise ConfigError(_literal(key), where=self._where((*at, key)))
        return value

    def _url(self, table: dict[str, Any], at: tuple[str, ...]) -> str:
        url = self._text(table, "url", at)
        if url is None:
            self._fail(at, 'has no url: write e.g. `url = "https://gateway.example"`')
        try:
            parts = urlsplit(url)
            parts.port  # noqa: B018 - reading it is the check
        except ValueError:
            self._fail((*at, "url"), 'is no address: write e.g. "https://gateway.example"')
        if parts.scheme not in ("http", "https") or not parts.hostname or any(c.isspace() for c in url):
            self._fail((*at, "url"), 'is no web address: write e.g. "https://gateway.example"')
        if parts.username is not None or parts.query or parts.fragment:
            self._fail(
                (*at, "url"), "must be the bare address: no user, no `?…`, no `#…`; keys belong into a scope"
            )
        return url.rstrip("/")

    def _dialect(self, table: dict[str, Any], at: tuple[str, ...]) -> str:
        name = self._text(table, "dialect", at) or "auto"
        if name not in NAMES:
            self._fail((*at, "dialect"), f"{name!r} is not known: use one of {', '.join(NAMES)}")
        return name

    def _settings(self, default: _T, table: dict[str, Any], at: tuple[str, ...]) -> _T:
        given: dict[str, Any] = {
            name: self._setting(table, name, at, getattr(default, name)) for name in _names(default)
        }
        return replace(default, **given)

    def _setting(self, table: dict[str, Any], name: str, at: tuple[str, ...], default: float) -> float:
        value = self._number(table, name, at, default)
        if isinstance(default, int):
            if value != int(value):
                self._fail((*at, name), "must be a whole number")
            value = int(value)
        if value < 0 or (value == 0 and name not in _MAY_BE_ZERO):
            self._fail((*at, name), "must be more than 0")
        if name == "max_loss" and value > 1:
            self._fail((*at, name), "is a share: write 0.25 for a quarter")
        return value

    def _number(self, table: dict[str, Any], key: str, at: tuple[str, ...], default: float) -> float:
        value = table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:  # noqa: PLR0124 - NaN
            self._fail((*at, key), f"must be a number, such as {default:g}")
        return value

    def _text(self, table: dict[str, Any], key: str, at: tuple[str, ...]) -> str | None:
        value = table.get(key)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            self._fail((*at, key), "must be a text in quotes")
        return value

    def _table(self, table: dict[str, Any], key: str, at: tuple[str, ...]) -> dict[str, Any]:
        value = table.get(key, {})
        if not isinstance(value, dict):
            self._fail((*at, key), "must be a table, such as `{}`")
        return value

    def _file(self, table: dict[str, Any], key: str, default: str) -> Path:
        return self.path.parent / Path(self._text(table, key, ()) or default).expanduser()

    def _name(self, name: str, at: tuple[str, ...]) -> None:
        if not _NAME.match(name):
            self._fail(at, _bad_name("the name"))

    def _known(self, table: Mapping[str, Any], known: frozenset[str], at: tuple[str, ...]) -> None:
        for key in table:
            if key not in known:
                self._fail((*at, key), f"is not known here: use one of {', '.join(sorted(known))}")

    def _no_twins(self, scopes: list[Scope], at: tuple[str, ...]) -> None:
        names = [scope.name for scope in scopes]
        for name in names:
            if names.count(name) > 1:
                self._fail(at, f"names the scope {name} twice: give each its own name")

    def _where(self, at: tuple[str, ...]) -> str:
        line = _line_of(self.text, at)
        return f"{self.path}:{line}: {'.'.join(at)}" if line else f"{self.path}: {'.'.join(at)}"

    def _fail(self, at: tuple[str, ...], message: str) -> NoReturn:
        raise ConfigError(message, where=self._where(at) if at else str(self.path))


def _names(settings: Limits | Thresholds | type[Limits | Thresholds]) -> frozenset[str]:
    return frozenset(item.name for item in fields(settings))


def _bad_name(what: str) -> str:
    return f"{what} must be of letters, digits and `. _ - @ +`, for it stands in `gateway/scope`"


def _literal(what: str) -> str:
    """Say that a secret stands in the file, without saying it."""
    return (
        f"{what} must say where the secret is kept, never the secret itself: "
        'write "env:NAME", "file:PATH" or "command:PROGRAM ARGUMENTS"'
    )


def _line_of(text: str, at: tuple[str, ...]) -> int | None:
    """Find the line on which a key stands: the last of the file's lines that name each step in turn."""
    found, start = None, 0
    lines = text.splitlines()
    for step in at:
        named = re.compile(rf"""(^|[\s\[.{{,"'])["']?{re.escape(step)}["']?\s*($|[\].=}}"'])""")
        line = next((n for n in range(start, len(lines)) if named.search(_code(lines[n]))), None)
        if line is None:
            continue
        found, start = line + 1, line
    return found


def _code(line: str) -> str:
    return "" if line.lstrip().startswith("#") else line
