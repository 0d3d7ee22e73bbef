"""Datasette on the database: its configuration, its command line, and the server of `modelwatch browse`.

Both supported releases, 0.65 and 1.0, get the same configuration: 0.65 reads it as metadata only, 1.0 as
metadata and config.
"""

from __future__ import annotations

import re
import shlex
import signal
import socket
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from msgspec import Struct

from pipeline.browse.descriptions import (
    DESCRIPTIONS,
    INTERNAL_TABLES,
    TABLES,
    Description,
    describe_columns,
    without_backquotes,
)
from pipeline.browse.queries import QUERIES
from pipeline.errors import StoreError
from pipeline.store import Store

ASSETS = Path(__file__).parent
"""The directory with the directories `plugins`, `templates` and `static`."""

LOOPBACK = "127.0.0.1"
ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 - only for `--public`

SETTINGS = {
    # Suggestions query every column on every page; `Description.facets` names the useful ones.
    "suggest_facets": "off",
    # Facets stand above the rows, which longer ones would push off the screen.
    "default_facet_size": "5",
    "truncate_cells_html": "200",
    # A stored query has no second page, and a page with more rows takes seconds to draw.
    "max_returned_rows": "400",
}
"""Datasette's settings, passed on the command line, since 0.65 reads them nowhere else."""


class Address(Struct, frozen=True):
    """An address to listen on; port 0 means any free port."""

    host: str = LOOPBACK
    port: int = 8001

    def free(self) -> Address:
        """Return the address with its actual port.

        Raises:
            OSError: the port is taken or not permitted.
        """
        with socket.create_server((self.host, self.port)) as probe:
            return Address(self.host, probe.getsockname()[1])


_NOT_IN_URIS = re.compile("[?#%\ud800-\udfff]")
"""What has a meaning of its own in a URI, or cannot be in one."""


def configuration(
    store: Store, database: str, watch: Sequence[str] = (), names: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return the content of `datasette.yaml`.

    Args:
        store: the open database, for the tables and columns that it has.
        database: its name in Datasette: that of its file without the suffix.
        watch: ids and globs of watched models, for the start page.
        names: the host names that the server answers to, beside those of this machine and addresses; None for
            any.
    """
    columns = describe_columns(store)
    tables = {
        name: _table(description, columns[name], is_table=name in TABLES)
        for name, description in DESCRIPTIONS.items()
        if name in columns
    }
    return {
        "title": "modelwatch",
        "description": "Models that LLM gateways offer to each key and group, and how they changed.",
        "plugins": {"modelwatch": {"watch": list(watch)} | ({} if names is None else {"names": list(names)})},
        "databases": {
            database: {
                "description": "The whole history. Start with the views offers (models offered now), "
                "change_log, matrix and health.",
                "tables": tables | {name: {"hidden": True} for name in INTERNAL_TABLES},
                "queries": {query.name: query.configuration() for query in QUERIES},
            }
        },
    }


def major_version() -> int | None:
    """Return the major version of Datasette; None if it is not installed."""
    if find_spec("datasette") is None:
        return None
    try:
        return int(version("datasette").partition(".")[0])
    except (PackageNotFoundError, ValueError):
        return 0


def arguments(config: Path, *, major: int, assets: Path = ASSETS, sql: bool = True) -> list[str]:
    """Return the arguments of `datasette serve` that follow the database.

    Args:
        config: the file with the configuration.
        major: the major version of Datasette.
        assets: the directory with plug-ins and templates, as seen from the working directory.
        sql: allow queries of the visitor's own.
    """
    found = ["-m", str(config), *(["-c", str(config)] if major else [])]
    found += ["--plugins-dir", str(assets / "plugins"), "--template-dir", str(assets / "templates")]
    for name, value in (SETTINGS if sql else SETTINGS | {"default_allow_sql": "off"}).items():
        found += ["--setting", name, value]
    return found


def check_path(path: Path) -> None:
    """Check that Datasette can open a path: it puts it into a URI of SQLite as it is.

    See https://github.com/simonw/datasette/blob/0.65/datasette/database.py and
    https://www.sqlite.org/uri.html. Such a URI may name another file, which would be made.

    Raises:
        StoreError: it cannot.
    """
    if _NOT_IN_URIS.search(str(path)):
        why = "Datasette opens no path with `?`, `#`, `%` or letters that are not UTF-8: use other names"
        raise StoreError(why, path=path)


def openable(database: Path, directory: Path) -> Path:
    """Return a path of a database that Datasette can open: its own, or a link in another directory.

    Raises:
        StoreError: the name of its file prevents it.
        OSError: the link cannot be made.
    """
    if not _NOT_IN_URIS.search(str(database)):
        return database
    check_path(Path(database.name))
    link = directory / database.name
    link.symlink_to(database.absolute())
    return link


def command(database: Path, config: Path, *, major: int) -> str:
    """Return the shell command that serves the database."""
    return shlex.join(["datasette", "serve", str(database), *arguments(config, major=major)])


def serve(
    database: Path,
    config: Path,
    address: Address,
    *,
    major: int,
    opens: bool,
    sql: bool,
    immutable: bool = False,
) -> NoReturn:
    """Serve the database until a signal ends the process by `SystemExit`.

    Datasette opens the file read-only and sees what runs write meanwhile.

    Args:
        database: the file.
        config: the file with the configuration.
        address: where to listen.
        major: the major version of Datasette.
        opens: open a browser.
        sql: allow queries of the visitor's own.
        immutable: open it as a file that nobody changes, where SQLite can write no log beside it.
    """
    # Uvicorn would end the process without the clean-up of the caller.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    listen = ["--host", address.host, "--port", str(address.port), *["--open"] * opens]
    from datasette.cli import cli

    file = [*["--immutable"] * immutable, str(database)]
    cli.main(["serve", *file, *arguments(config, major=major, sql=sql), *listen], prog_name="datasette")
    sys.exit(0)


_LABELS = ("name", "outcome")
"""The columns by which other rows refer to a row: `sightings` has no name of its own."""


def _table(description: Description, columns: dict[str, str], *, is_table: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "description": without_backquotes(description.text),
        "columns": {name: without_backquotes(text) for name, text in columns.items()},
    }
    if description.title:
        found["title"] = description.title
    if description.sort:
        direction = "sort_desc" if description.sort.startswith("-") else "sort"
        found[direction] = description.sort.removeprefix("-")
    if description.facets:
        found["facets"] = list(description.facets)
    label = next((column for column in _LABELS if column in columns), None)
    if is_table and label:
        found["label_column"] = label
    if description.search_column:
        found |= {"fts_table": "models_fts", "fts_pk": description.search_column}
    if description.hidden:
        found["hidden"] = True
    return found
