"""Read and validate `modelwatch.toml`: the top level, `[watch]`, `[ping]` and `[metrics]`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from pipeline.config.destinations import parse_destinations
from pipeline.config.gateways import parse_gateways, scope_globs
from pipeline.config.toml import Table, read_text
from pipeline.core.addresses import is_web_address
from pipeline.core.types import Scope, Share, is_reference
from pipeline.core.watchlist import NO_WATCH, Watch
from pipeline.delivery.types import PING_TIMEOUT, Destination, MailDirectory, Ping
from pipeline.errors import ConfigError

_TOP = frozenset(
    {"database", "reports", "share", "deadline", "gateways", "watch", "destinations", "ping", "metrics"}
)

_MAX_PING_TIMEOUT = 60

_METRICS_SUFFIX = ".prom"

_PASTED = frozenset("\"',")
"""Characters around an id that was copied from a list in JSON or Python."""


class Config(Struct, frozen=True):
    """The values of a config file; paths are absolute.

    Args:
        path: the file itself.
        database: the SQLite file.
        reports: the directory that reports are written to.
        deadline: seconds that one run may take; a scope without an answer by then fails.
        scopes: every scope of every gateway, in the file's order.
        watch: the watched models.
        destinations: those of the config, without the directory `reports`, in the file's order.
        ping: the check to ping; None for none.
        metrics: the file for node_exporter; None for none.
        share: who may read the database and what is written, beside their owner.
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
    share: Share = Share.OWNER


def load(path: Path) -> Config:
    """Read and validate a config file.

    Raises:
        ConfigError: names the file, the line or key, and what to write.
    """
    text = read_text(path, if_absent="there is no config yet: write one with `modelwatch init`")
    return parse(text, path)


def parse(text: str, path: Path) -> Config:
    """Validate the text of a config file that is, or will be, at `path`.

    Raises:
        ConfigError: names the file, the line or key, and what to write.
    """
    table = Table.parse(text, path)
    table.check_keys(_TOP)
    scopes = parse_gateways(table.table("gateways"))
    if not scopes:
        table.fail("has no gateway: add [gateways.NAME] with its url and scopes")
    share = table.choice("share", tuple(Share), Share.OWNER)
    return Config(
        path=path.absolute(),
        database=table.file("database", "modelwatch.db"),
        reports=table.file("reports", "reports"),
        deadline=table.positive("deadline", 600.0),
        scopes=scopes,
        watch=_watch(table.table("watch"), scopes),
        destinations=_shared(parse_destinations(table.table("destinations"), scopes), share),
        ping=_ping(table.table("ping")) if "ping" in table else None,
        metrics=_metrics(table.table("metrics")) if "metrics" in table else None,
        share=share,
    )


def _shared(destinations: Sequence[Destination], share: Share) -> tuple[Destination, ...]:
    """Return the destinations; mails in a directory are readable for those that `share` names."""
    return tuple(
        replace(each, channel=replace(each.channel, share=share))
        if isinstance(each.channel, MailDirectory)
        else each
        for each in destinations
    )


def _watch(table: Table, scopes: Sequence[Scope]) -> Watch:
    table.check_keys(("models", "file", "scopes"))
    models = list(table.texts("models", '["gpt-4o", "claude-*"]'))
    if table.text("file") is not None:
        models += _read_watch_list(table.file("file"))
    thresholds = {scope.name: scope.thresholds for scope in scopes}
    return Watch(tuple(dict.fromkeys(models)), scope_globs(table, scopes), thresholds)


def _read_watch_list(path: Path) -> Iterator[str]:
    """Yield the ids and globs in a file, one per line; a `#` at the start of a word begins a comment."""
    for number, line in enumerate(read_text(path).splitlines(), 1):
        text = line.strip()
        model = "" if text.startswith("#") else text.replace("\t#", " #").partition(" #")[0].strip()
        if model:
            _check_model(model, f"{path}:{number}")
            yield model


def _check_model(model: str, where: str) -> None:
    if not model.isprintable():
        raise ConfigError(
            "has a character that cannot be printed: write one id or glob per line", where=where
        )
    if len(model.split()) > 1:
        raise ConfigError(
            "has more than one word: write one id or glob per line, `?` where an id has a space", where=where
        )
    if _PASTED & set(model):
        raise ConfigError("has a quote or a comma: write the bare id or glob, one per line", where=where)


def _ping(table: Table) -> Ping:
    table.check_keys(("url", "timeout"))
    url = table.required("url", "env:PING_URL")
    if not (is_reference(url) or is_web_address(url)):
        table.fail('is neither a web address nor a reference to one: write e.g. "env:PING_URL"', "url")
    timeout = table.number("timeout", PING_TIMEOUT)
    if not 0 < timeout <= _MAX_PING_TIMEOUT:
        table.fail(
            f"must be more than 0 and at most {_MAX_PING_TIMEOUT} seconds, as it can delay the end of a run",
            "timeout",
        )
    return Ping(url, timeout)


def _metrics(table: Table) -> Path:
    table.check_keys(("file",))
    file = table.required_file("file", "/var/lib/node_exporter/modelwatch.prom")
    if file.suffix != _METRICS_SUFFIX or not file.name.isprintable():
        table.fail(f"must end in {_METRICS_SUFFIX}: node_exporter reads no other files", "file")
    return file
