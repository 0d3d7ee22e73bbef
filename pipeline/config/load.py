"""Read `modelwatch.toml`: gateways, the scopes under each, and where the results go.

Read where the job gives signs of life: the tables `[ping]` and `[metrics]`.

Read which models the user depends on: the table `[watch]`, and the file that it may name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pipeline.config.destinations import destinations
from pipeline.config.gateways import (
    SPELLING,
    bad_name,
    is_reference,
    read_keys,
    reference,
    scope_globs,
    spelling,
)
from pipeline.config.toml import Table
from pipeline.core.addresses import is_web_address
from pipeline.core.types import (
    AccessToken,
    Anonymous,
    Cookie,
    Credential,
    Gateway,
    Key,
    Limits,
    Login,
    Scope,
    Thresholds,
    is_valid_name,
)
from pipeline.core.watchlist import NO_WATCH, Watch
from pipeline.delivery.types import PING_TIMEOUT, Destination, Ping
from pipeline.errors import ConfigError
from pipeline.gateways.dialects import AUTO, all_dialects

_LONGEST = 60


_ENDING = ".prom"


def ping(top: Table) -> Ping | None:
    """Read the table `[ping]`; None when there is none.

    Raises:
        ConfigError: names the file, the line or key, and what to write; never the address.
    """
    if "ping" not in top:
        return None
    table = top.table("ping")
    table.only(("url", "timeout"))
    url = table.text("url")
    if url is None:
        table.fail('has no url: write the address of your check, or where it is kept: `url = "env:PING_URL"`')
    if not (is_reference(url) or is_web_address(url)):
        table.fail('is no web address, nor says where one is kept: write e.g. "env:PING_URL"', "url")
    timeout = table.number("timeout", PING_TIMEOUT)
    if not 0 < timeout <= _LONGEST:
        table.fail(
            f"must be more than 0 and at most {_LONGEST} seconds: a run may end so much later", "timeout"
        )
    return Ping(url, timeout)


def metrics(top: Table) -> Path | None:
    """Read the table `[metrics]`; gives the file to write, None when there is none.

    Raises:
        ConfigError: names the file, the line or key, and what to write.
    """
    if "metrics" not in top:
        return None
    table = top.table("metrics")
    table.only(("file",))
    if table.text("file") is None:
        table.fail('has no file: write e.g. `file = "/var/lib/node_exporter/modelwatch.prom"`')
    file = table.file("file", "")
    if file.suffix != _ENDING or not file.name.isprintable():
        table.fail(f"must end in {_ENDING}: node_exporter reads no other files", "file")
    return file


_WATCH = frozenset({"models", "file", "scopes"})


_SUCH_AS = '["gpt-4o", "claude-*"]'


_PASTED = frozenset("\"',")


def watched(table: Table, scopes: Sequence[Scope]) -> Watch:
    """Read the table `[watch]`; an empty one watches nothing.

    Raises:
        ConfigError: names the file, the line or key, and what to write.
    """
    table.only(_WATCH)
    models = list(table.texts("models", _SUCH_AS))
    if table.text("file") is not None:
        models += _lines(table.file("file", ""))
    globs = scope_globs(table, scopes)
    return Watch(tuple(dict.fromkeys(models)), globs)


def _lines(path: Path) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8: save it as UTF-8", where=str(path)) from error
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from error
    for number, line in enumerate(text.splitlines(), 1):
        word = _without_comment(line)
        if word:
            _check(word, f"{path}:{number}")
            yield word


def _without_comment(line: str) -> str:
    """Give what stands before a `#` that begins the line or a word."""
    before = line.strip()
    if before.startswith("#"):
        return ""
    return before.replace("\t#", " #").partition(" #")[0].strip()


def _check(word: str, where: str) -> None:
    if not word.isprintable():
        raise ConfigError(
            "holds a character that cannot be printed: write one id or glob a line", where=where
        )
    if len(word.split()) > 1:
        raise ConfigError(
            "holds more than one word: write one id or glob a line, `?` where an id has a space", where=where
        )
    if _PASTED & set(word):
        raise ConfigError("holds a quote or a comma: write the bare id or glob, one a line", where=where)


_LIMITS = frozenset(item.name for item in fields(Limits))


_THRESHOLDS = frozenset(item.name for item in fields(Thresholds))


_MAY_BE_ZERO = frozenset({"floor", "backoff", "max_wait", "max_loss"})


_TOP = frozenset({"database", "reports", "deadline", "gateways", "watch", "destinations", "ping", "metrics"})


_GATEWAY = frozenset({"url", "dialect", "scopes", "keys"}) | SPELLING | _LIMITS | _THRESHOLDS


_WAYS = ("key", "cookie", "access_token", "password")


_SCOPE = frozenset({*_WAYS, "user_id", "username", "group", "groups", "dialect"}) | _THRESHOLDS


_Settings = TypeVar("_Settings", Limits, Thresholds)


@dataclass(frozen=True, slots=True)
class Config:
    """What a config file says; paths are absolute.

    Args:
        path: the file itself.
        database: the SQLite file.
        reports: the directory that reports are written to.
        deadline: seconds that one run may take; scopes not answered by then have failed.
        scopes: every scope of every gateway, in the file's order.
        watch: the models that the user depends on.
        destinations: where reports go, beside the directory `reports`, in the file's order.
        ping: where to tell that the job runs; None for nowhere.
        metrics: the file that node_exporter reads; None for none.
    """

    path: Path
    database: Path
    reports: Path
    deadline: float
    scopes: tuple[Scope, ...]
    watch: Watch = NO_WATCH
    destinations: tuple[Destination, ...] = ()
    ping: Ping | None = None
    metrics: Path | None = None


def load(path: Path) -> Config:
    """Read and validate a config file.

    Raises:
        ConfigError: it cannot be used; names the file, the line or key, and the cure.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            "there is no config yet: write one with `modelwatch init`", where=str(path)
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8: save it as UTF-8", where=str(path)) from error
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from error
    return parse(text, path)


def parse(text: str, path: Path) -> Config:
    """Validate the text of a config file that is, or will be, at `path`.

    Raises:
        ConfigError: it cannot be used.
    """
    table = Table.parse(text, path)
    table.only(_TOP)
    scopes = tuple(
        scope for name, below in table.table("gateways").tables() for scope in _gateway(name, below)
    )
    if not scopes:
        table.fail("has no gateway: add [gateways.NAME] with its url and scopes")
    return Config(
        path=path.absolute(),
        database=table.file("database", "modelwatch.db"),
        reports=table.file("reports", "reports"),
        deadline=_positive(table, "deadline", 600.0),
        scopes=scopes,
        watch=watched(table.table("watch"), scopes),
        destinations=destinations(table.table("destinations"), scopes),
        ping=ping(table),
        metrics=metrics(table),
    )


def _gateway(name: str, table: Table) -> list[Scope]:
    table.only(_GATEWAY)
    if not is_valid_name(name):
        table.fail(bad_name())
    gateway = Gateway(name, _url(table), _dialect(table), _settings(Limits(), table), spelling(table))
    thresholds = _settings(Thresholds(), table)
    scopes = [_scope(label, below, gateway, thresholds) for label, below in table.table("scopes").tables()]
    scopes += _keys(table, gateway, thresholds)
    if not scopes:
        table.fail("has no scopes: add e.g. `scopes.public = {}` to ask without a key")
    for group_scope in (scope.name for scope in scopes if scope.all_groups):
        clash = next((scope.name for scope in scopes if scope.name.startswith(f"{group_scope}.")), None)
        if clash:
            table.fail(f"names {clash} like a group of {group_scope}: give it a name without the dot")
    for scope, times in Counter(scope.name for scope in scopes).items():
        if times > 1:
            table.fail(f"names the scope {scope} {times} times: give each its own name")
    return scopes


def _scope(label: str, table: Table, gateway: Gateway, thresholds: Thresholds) -> Scope:
    table.only(_SCOPE)
    if not is_valid_name(label):
        table.fail(bad_name())
    own = replace(gateway, dialect=_dialect(table)) if "dialect" in table else gateway
    return Scope(
        name=f"{gateway.name}/{label}",
        gateway=own,
        credential=_credential(table),
        group=table.text("group"),
        all_groups=_all_groups(table),
        thresholds=_settings(thresholds, table),
    )


def _all_groups(table: Table) -> bool:
    value = table.text("groups")
    if value not in (None, "all"):
        table.fail('can only be "all": every group that this user may use', "groups")
    if value and not {"cookie", "access_token", "password"} & table.values.keys():
        table.fail(
            "needs a signed-in user: access_token and user_id, cookie, or username and password", "groups"
        )
    if value and "group" in table:
        table.fail("is told for each group by itself: leave it out beside `groups`", "group")
    return value is not None


def _keys(table: Table, gateway: Gateway, thresholds: Thresholds) -> list[Scope]:
    if table.text("keys") is None:
        return []
    return [
        Scope(f"{gateway.name}/{row.name}", gateway, Key(row.key), row.group, thresholds=thresholds)
        for row in read_keys(table.file("keys", ""))
    ]


def _credential(table: Table) -> Credential:
    ways = [way for way in _WAYS if way in table]
    if len(ways) > 1:
        table.fail(f"has {' and '.join(ways)}: a scope asks in one way, make two scopes of it")
    for lone, partner in (("user_id", "access_token"), ("username", "password"), ("password", "username")):
        if lone in table and partner not in table:
            table.fail(f"needs {partner} beside it", lone)
    match ways:
        case ["key"]:
            return Key(reference(table, "key"))
        case ["cookie"]:
            return Cookie(reference(table, "cookie"))
        case ["access_token"]:
            return AccessToken(reference(table, "access_token"), _user_id(table))
        case ["password"]:
            return Login(table.text("username") or "", reference(table, "password"))
        case _:
            return Anonymous()


def _user_id(table: Table) -> str:
    user_id = table.values.get("user_id")
    if (
        isinstance(user_id, bool)
        or not isinstance(user_id, int | str)
        or not (str(user_id).isascii() and str(user_id).isalnum())
    ):
        table.fail("needs `user_id` beside it: the number of the user to whom it belongs", "access_token")
    return str(user_id)


def _url(table: Table) -> str:
    url = table.text("url")
    if url is None:
        table.fail('has no url: write e.g. `url = "https://gateway.example"`')
    try:
        parts = urlsplit(url)
        port_is_good = parts.port != 0
    except ValueError:
        table.fail('is no web address: write e.g. "https://gateway.example"', "url")
    web = parts.scheme in ("http", "https") and parts.hostname and port_is_good
    if not web or not url.isprintable() or " " in url:
        table.fail('is no web address: write e.g. "https://gateway.example"', "url")
    if "@" in parts.netloc or parts.query or parts.fragment:
        table.fail("must be the bare address: no user, no `?…`, no `#…`; keys belong into a scope", "url")
    return url.rstrip("/")


def _dialect(table: Table) -> str:
    name = table.text("dialect") or AUTO
    if name != AUTO and name not in all_dialects():
        table.fail(f"{name!r} is not known: use {AUTO}, or one of {', '.join(all_dialects())}", "dialect")
    return name


def _settings(default: _Settings, table: Table) -> _Settings:
    given: dict[str, Any] = {
        item.name: _positive(table, item.name, getattr(default, item.name)) for item in fields(default)
    }
    return replace(default, **given)


def _positive(table: Table, key: str, default: float) -> float:
    value = table.number(key, default)
    if value < 0 or (value == 0 and key not in _MAY_BE_ZERO):
        table.fail("must be more than 0", key)
    if key == "max_loss" and value > 1:
        table.fail("is a share: write 0.25 for a quarter", key)
    return value
