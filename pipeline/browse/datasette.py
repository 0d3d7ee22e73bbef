"""The configuration with which Datasette shows the database well: one value, the same for 0.65 and 1.0.

Start Datasette on the database, with what makes it read well.
"""

from __future__ import annotations

import shlex
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from pipeline.browse.descriptions import HIDDEN, SHOWN, TABLES, Shown, columns_of, plain
from pipeline.browse.queries import QUERIES
from pipeline.store import Store

SETTINGS = {
    # Suggestions try every column at every page; what helps is among the facets that are configured.
    "suggest_facets": "off",
    # Facets stand above the rows: a long one would push them off the screen.
    "default_facet_size": "5",
    "truncate_cells_html": "200",
    # A stored query shows no second page: more rows than this take longer to draw than anybody waits.
    "max_returned_rows": "400",
}
"""Datasette's settings: 0.65 takes them from the command line only, so both are given them there."""


def configuration(store: Store, database: str, watch: Sequence[str] = ()) -> dict[str, Any]:
    """Give what Datasette calls metadata and, from 1.0 on, config; where it has both it is given as both.

    Args:
        store: the open database, whose tables and columns are described.
        database: what Datasette calls it: the name of its file without the ending.
        watch: ids and globs of models that somebody depends on: the start page tells of them first.
    """
    there = columns_of(store)
    shown = {
        name: _shown(each, there[name], is_table=name in TABLES)
        for name, each in SHOWN.items()
        if name in there
    }
    return {
        "title": "modelwatch",
        "description": "Which models the gateways really offer, to every key and group, and what changed.",
        "plugins": {"modelwatch": {"watch": list(watch)}},
        "databases": {
            database: {
                "description": "The whole history. Begin with the views: offers (what is offered now), "
                "change_log, matrix, health.",
                "tables": shown | {name: {"hidden": True} for name in HIDDEN},
                "queries": {query.name: query.configured() for query in QUERIES},
            }
        },
    }


def _shown(shown: Shown, columns: dict[str, str], *, is_table: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "description": plain(shown.says),
        "columns": {name: plain(says) for name, says in columns.items()},
    }
    if shown.sort:
        found["sort_desc" if shown.sort.startswith("-") else "sort"] = shown.sort.removeprefix("-")
    if shown.facets:
        found["facets"] = list(shown.facets)
    if is_table and "name" in columns:
        found["label_column"] = "name"
    if shown.found_by:
        found |= {"fts_table": "models_fts", "fts_pk": shown.found_by}
    if shown.hidden:
        found["hidden"] = True
    return found


OWN = Path(__file__).parent
"""Where our plugins and templates are, in directories of these names; what they show is in `static`."""


LOOPBACK = "127.0.0.1"


EVERYWHERE = "0.0.0.0"  # noqa: S104 - only who asks for it gets it


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; port 0 is any that is free."""

    host: str = LOOPBACK
    port: int = 8001

    def free(self) -> Address:
        """Give the same address with the port that it will be.

        Raises:
            OSError: something listens there already, or this user may not.
        """
        with socket.create_server((self.host, self.port)) as probe:
            return Address(self.host, probe.getsockname()[1])


def major() -> int | None:
    """Give the first number of Datasette's version; None when it is not installed."""
    if find_spec("datasette") is None:
        return None
    try:
        return int(version("datasette").partition(".")[0])
    except (PackageNotFoundError, ValueError):
        return 0


def words(config: Path, *, release: int, own: Path = OWN) -> list[str]:
    """Give what Datasette is told beside the database.

    Args:
        config: the generated file; 0.65 knows metadata only, 1.0 has metadata and config.
        release: the first number of Datasette's version.
        own: where what is in `OWN` is found by whoever starts it.
    """
    found = ["-m", str(config), *(["-c", str(config)] if release else [])]
    for option, name in (("--plugins-dir", "plugins"), ("--template-dir", "templates")):
        if (OWN / name).is_dir():
            found += [option, str(own / name)]
    for name, value in SETTINGS.items():
        found += ["--setting", name, value]
    return found


def command(database: Path, config: Path, *, release: int) -> str:
    """Give the command line that somebody types who starts a Datasette of their own."""
    return shlex.join(["datasette", "serve", str(database), *words(config, release=release)])


def serve(database: Path, config: Path, address: Address, *, release: int, shows: bool) -> NoReturn:
    """Serve until somebody ends it; `shows` opens a browser. Leaves by `SystemExit`, as Datasette ends.

    Datasette opens the file to read only, and sees what the job writes meanwhile.
    """
    # Its server would end the process on the spot, and leave our file behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    listens = ["--host", address.host, "--port", str(address.port), *["--open"] * shows]
    arguments = ["serve", str(database), *words(config, release=release), *listens]
    from datasette.cli import cli

    cli.main(arguments, prog_name="datasette")
    sys.exit(0)
