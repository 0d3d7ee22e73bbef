"""The text of a first config: commented, with the answers of `modelwatch init`."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from msgspec import Struct

_CONFIG = """\
# modelwatch: the gateways to ask, and the keys to ask with. Try it with `modelwatch check`.
#
# Paths are relative to this file. Uncomment what you want to change.

# database = "modelwatch.db"      # the SQLite file with the history
# reports = "reports"             # the directory of the CSV and JSON reports
# deadline = 600                  # seconds that one run may take

[gateways.{name}]
url = {url}

{keys}
# dialect = "auto"                # the format of the gateway's list
# concurrency = 8                 # requests at a time
# timeout = 30                    # seconds to wait for an answer
# attempts = 4                    # tries, when it cannot be reached or asks to slow down
# max_loss = 0.25                 # hold an answer that lacks more than this share of the models…
# floor = 3                       # …and more than this many
# confirm = 2                     # a model is removed when so many complete answers in a row lack it…
# confirm_after = "2h"            # …for so long

# Each scope is one place to ask from. Do not write secrets here, but references to them:
# "env:NAME" (a variable), "file:PATH" (a file, or a systemd credential), "command:PROGRAM ARGUMENTS".
[gateways.{name}.scopes]
{scopes}
# mine = {{ access_token = "file:token", user_id = 17 }}
# browser = {{ cookie = "env:SESSION" }}
# login = {{ username = "me", password = "command:pass show gateway" }}
{destinations}
# The models that you depend on, as ids or globs: see `modelwatch watch`. Reports mark their urgent changes.
# [watch]
# models = ["some-model", "vendor/*"]

# Monitor the job: a check at healthchecks.io or a compatible server, and a file for node_exporter.
# [ping]
# url = "env:PING_URL"
# [metrics]
# file = "modelwatch.prom"
"""

_NO_KEYS_FILE = """\
# keys = "keys.csv"               # many keys: CSV `name,key,group` by reference; "command:…" prints the keys\
"""

_PUBLIC = "public = {}                       # anonymous: the gateway's default group"

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
"""A key without quotes: https://toml.io/en/v1.0.0#keys."""

_OWN_DOMAIN = ("co", "com", "org", "net", "edu", "gov", "ac")
"""Labels below which countries have the domains of companies: `example.co.uk`."""


class KeyAnswer(Struct, frozen=True):
    """A key of the config: the name of its scope, the reference to it, and a label for reports."""

    name: str
    reference: str
    group: str | None = None


class MailAnswer(Struct, frozen=True):
    """A destination of mail; `security` is empty where the default fits, `at` for a mail after each run."""

    to: tuple[str, ...]
    server: str
    sender: str
    port: int | None = None
    security: str = ""
    user: str | None = None
    password: str | None = None
    at: str | None = None
    zone: str | None = None


class Answers(Struct, frozen=True):
    """What a first config says.

    Args:
        url: of the gateway.
        name: of the gateway.
        keys: by reference, never a secret.
        keys_file: the path of a CSV file of keys.
        anonymous: ask without a key too; so does a config without keys.
        mail: a destination; None for none.
        chats: further destinations: their types, and references to the addresses of their webhooks.
    """

    url: str
    name: str
    keys: tuple[KeyAnswer, ...] = ()
    keys_file: str | None = None
    anonymous: bool = False
    mail: MailAnswer | None = None
    chats: tuple[tuple[str, str], ...] = ()


def first_config(answers: Answers) -> str:
    """Return the text of a config."""
    keys = _NO_KEYS_FILE if answers.keys_file is None else f"keys = {_toml(answers.keys_file)}"
    return _CONFIG.format(
        name=_toml_key(answers.name),
        url=_toml(answers.url),
        keys=keys,
        scopes="\n".join(_scopes(answers)),
        destinations="\n".join((*_mail(answers.mail), *_chats(answers.chats))),
    )


def gateway_name(url: str) -> str:
    """Return a name for a gateway, from its address: `aihubmix` of `https://api.aihubmix.com/v1`."""
    host = urlsplit(url).hostname or ""
    try:
        return "local" if ipaddress.ip_address(host).is_loopback else "gateway"
    except ValueError:
        pass  # it is a name, not an address
    labels = [label for label in host.split(".") if label]
    if len(labels) < 2:  # noqa: PLR2004 - a name and its top-level domain
        return "local" if host == "localhost" else host or "gateway"
    above = labels[:-1]
    return above[-2] if len(above) > 1 and above[-1] in _OWN_DOMAIN else above[-1]


def _scopes(answers: Answers) -> Iterator[str]:
    for key in answers.keys:
        group = f", group = {_toml(key.group)}" if key.group else ""
        yield f"{_toml_key(key.name)} = {{ key = {_toml(key.reference)}{group} }}"
    has_keys = bool(answers.keys or answers.keys_file)
    if answers.anonymous or not has_keys:
        yield _PUBLIC
    if not has_keys:
        yield '# prod = { key = "env:PROD_KEY", group = "vip" }'


def _mail(mail: MailAnswer | None) -> Iterator[str]:
    yield ""
    if mail is None:
        return
    yield "# Reports by mail."
    yield "[destinations.mail]"
    yield 'type = "smtp"'
    values = {
        "server": mail.server,
        "port": mail.port,
        "security": mail.security,
        "user": mail.user,
        "password": mail.password,
        "from": mail.sender,
        "to": list(mail.to),
        "every": "day" if mail.at else None,
        "at": mail.at,
        "zone": mail.zone if mail.at else None,
    }
    for key, value in values.items():
        if value or value == 0:
            yield f"{key} = {_toml(value)}"
    yield ""


def _chats(chats: Iterable[tuple[str, str]]) -> Iterator[str]:
    for kind, reference in chats:
        yield f"[destinations.{_toml_key(kind)}]"
        yield f"type = {_toml(kind)}"
        yield f"url = {_toml(reference)}"
        yield ""


def _toml_key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _toml(name)


def _toml(value: object) -> str:
    """Return a text, a number or a list as TOML: basic strings have the escapes of JSON."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
