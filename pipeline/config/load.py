"""Read and validate `modelwatch.toml`; all errors are reported at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from msgspec import Struct

from pipeline.config import schema
from pipeline.config.destinations import destination
from pipeline.config.gateways import GatewayScopes, check_globs, scopes_of
from pipeline.config.toml import Document, read_text
from pipeline.core.times import parse_duration
from pipeline.core.types import Engine, Gateway, KeyList, Scope, Share, is_reference
from pipeline.core.watchlist import NO_WATCH, NameTest, Watch
from pipeline.delivery.types import Destination, Ping

SCHEMA_FILE = Path(__file__).with_name("config.schema.json")
"""The JSON Schema of the config, which `reference` writes."""

NO_GATEWAY = "has no gateway: add [gateways.NAME] with its url and scopes"
"""The message for a config without one, unless it is that of a home that only merges, with destinations."""

_PASTED = frozenset("\"',")
"""Characters around an id that was copied from a list in JSON or Python."""


class Config(Struct, frozen=True):
    """The values of a config file; paths are absolute.

    Args:
        path: the file itself.
        database: the SQLite file.
        reports: the directory that reports are written to.
        keep_reports: seconds after which they are removed; 0 for never.
        deadline: seconds that one run may take; a scope without an answer by then fails.
        scopes: the scopes that tables and keys files name, in the file's order; of keys files only those that
            were wanted.
        gateways: every gateway, in the file's order.
        key_lists: the lists of keys that give more scopes when gateways are asked.
        watch: the watched models.
        destinations: those of the config, without the directory `reports`, in the file's order.
        ping: the check to ping; None for none.
        metrics: the file for node_exporter; None for none.
        share: who may read the database and what is written, beside their owner.
        engine: who asks the gateways.
    """

    path: Path
    database: Path
    reports: Path
    keep_reports: float
    deadline: float
    scopes: tuple[Scope, ...]
    gateways: tuple[Gateway, ...] = ()
    key_lists: tuple[KeyList, ...] = ()
    watch: Watch = NO_WATCH
    destinations: tuple[Destination, ...] = ()
    ping: Ping | None = None
    metrics: Path | None = None
    share: Share = Share.OWNER
    engine: Engine = Engine()


def schema_line(config: Path) -> str:
    """Return the comment in the first line of a config from which editors know its JSON Schema.

    See https://taplo.tamasfe.dev/configuration/directives.html#the-schema-directive.
    """
    home, checkout = config.absolute().parent, SCHEMA_FILE.parents[2]
    if home.parent == checkout:
        return f"#:schema ../{SCHEMA_FILE.relative_to(checkout).as_posix()}"
    return f"#:schema {SCHEMA_FILE.as_uri()}"


def load(path: Path, scopes: Sequence[str] = ()) -> Config:
    """Read and validate a config file.

    Args:
        path: the file.
        scopes: globs: of keys files only the scopes that match one are read; all without globs.

    Raises:
        ConfigError: a line for each error names the file, the line or key, and what to write.
    """
    write_one = "there is no config yet: write one with `modelwatch init`"
    text = read_text(path, if_absent=f"{write_one}, or name another home by --home or MODELWATCH_HOME")
    return parse(text, path, scopes)


def parse(text: str, path: Path, scopes: Sequence[str] = ()) -> Config:
    """Validate the text of a config file that is, or will be, at `path`; see `load`.

    Raises:
        ConfigError: a line for each error names the file, the line or key, and what to write.
    """
    document = Document(text, path)
    file = document.read(schema.File)
    wanted = NameTest(scopes)
    gateways = [scopes_of(name, table, document, wanted) for name, table in file.gateways.items()]
    if not gateways and not file.destinations and not document.has_errors(("gateways",)):
        document.fail((), NO_GATEWAY)
    known = () if document.has_errors(("gateways",)) else tuple(gateways)
    config = Config(
        path=path.absolute(),
        database=document.file(file.database),
        reports=document.file(file.reports),
        keep_reports=parse_duration(kept) if isinstance(kept := file.keep_reports, str) else kept,
        deadline=file.deadline,
        scopes=tuple(chain.from_iterable(each.scopes for each in gateways)),
        gateways=tuple(each.gateway for each in gateways),
        key_lists=tuple(each.key_list for each in gateways if each.key_list),
        watch=_watch(file.watch or schema.Watch(), known, document),
        destinations=tuple(
            destination(name, table, known, file, document) for name, table in file.destinations.items()
        ),
        ping=Ping(file.ping.url, file.ping.timeout) if file.ping else None,
        metrics=document.file(file.metrics.file) if file.metrics else None,
        share=file.share,
        engine=_engine(file, document),
    )
    document.raise_errors()
    return config


def _engine(file: schema.File, document: Document) -> Engine:
    """Return who asks the gateways; settings of workers that the engine does not have are noted."""
    useless = f'has no effect with engine = "{file.engine}": write engine = '
    if file.engine == "local" and file.workers is not None:
        document.fail(("workers",), f'{useless}"processes" or "dask"')
    if file.engine != "dask" and file.dask is not None:
        document.fail(("dask",), f'{useless}"dask"')
    dask = file.dask or schema.Dask()
    names = (dask.tls_ca_file, dask.tls_client_cert, dask.tls_client_key)
    files = tuple(str(document.file(name)) for name in names if name is not None)
    return Engine(file.engine, file.workers, dask.scheduler, files, dask.when_lost)


def named_files(text: str, path: Path) -> tuple[str, ...]:
    """Return the files of keys and of watched models that the text of a valid config names, as written."""
    file = Document(text, path).read(schema.File)
    names = (*(each.keys for each in file.gateways.values()), file.watch.file if file.watch else None)
    return tuple(dict.fromkeys(name for name in names if name is not None and not is_reference(name)))


def _watch(table: schema.Watch, gateways: Sequence[GatewayScopes], document: Document) -> Watch:
    """Return the watched models; `gateways` are all gateways, or none if they have errors."""
    models = [*table.models, *(_watch_list(table.file, document) if table.file is not None else ())]
    if gateways:
        check_globs(table.scopes, gateways, lambda message: document.fail(("watch", "scopes"), message))
    thresholds = {each.gateway.name: each.thresholds for each in gateways}
    thresholds |= {
        scope.name: scope.thresholds
        for each in gateways
        for scope in each.scopes
        if scope.thresholds is not each.thresholds
    }
    return Watch(tuple(dict.fromkeys(models)), table.scopes, thresholds)


def _watch_list(file: str, document: Document) -> Iterator[str]:
    """Yield the ids and globs in a file, one per line; a `#` at the start of a word begins a comment."""
    at = ("watch", "file")
    path, content = document.text_of(file, at)
    for number, line in enumerate((content or "").splitlines(), 1):
        text = line.strip()
        model = "" if text.startswith("#") else text.replace("\t#", " #").partition(" #")[0].strip()
        problem = _model_problem(model)
        if problem:
            document.fail_in(path, number, problem, at)
        elif model:
            yield model


def _model_problem(model: str) -> str | None:
    if not model.isprintable():
        return "has a character that cannot be printed: write one id or glob per line"
    if len(model.split()) > 1:
        return "has more than one word: write one id or glob per line, `?` where an id has a space"
    if _PASTED & set(model):
        return "has a quote or a comma: write the bare id or glob, one per line"
    return None
