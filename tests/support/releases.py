"""The database of each release as SQL text; run this module to write that of the newest again.

    PYTHONPATH=tests:. python -m support.releases

The schema of an unpublished release may still change in place: run this then. The text of a published one
never changes: a change of the schema is a migration, with a text of its own.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from support import TESTS

TEXTS = TESTS / "releases"
APPLIED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\+00:00")

VIRTUAL = re.compile(r"'(CREATE VIRTUAL TABLE [^']+)'")
SEARCH_OWN = re.compile(r"""(PRAGMA writable_schema|(CREATE TABLE|INSERT INTO|DELETE FROM) ['"]models_fts)""")


def newest() -> str:
    """Return the name of the newest migration, which names the release here."""
    from pipeline.store.schema import MIGRATIONS

    return MIGRATIONS[-1].__name__


def recorded() -> str:
    """Return a database with a short history, as this program writes it, as SQL text."""
    from pipeline.store import Store
    from support.fakes import Script

    with Store.open(None) as store:
        script = Script(store).offers("acme/prod", "lyra", vega=1).offers("acme/test", "lyra")
        script.offers_now["acme/prod"]["lyra"] = {"permission": [{"allow_view": True, "group": "vip"}]}
        script.run()
        script.adds("acme/prod", vega=2).fails("acme/test").run()
        script.drops("acme/prod", "vega").recovers("acme/test").run()
        ((application,),) = store.connection.execute("pragma application_id").fetchall()
        lines = _restorable(store.connection.iterdump())
        text = "\n".join([f"pragma application_id = {application};", *lines, ""])
    return APPLIED.sub("2026-11-01 00:00:00.000000+00:00", text)


def _restorable(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines, but let SQLite create and fill the tables of the search: their content may differ."""
    from pipeline.store.search import REFILL

    for line in lines:
        virtual = VIRTUAL.search(line)
        if virtual:
            yield f"{virtual[1]};"
        elif line == "COMMIT;":
            yield from (*(f"{statement};" for statement in REFILL), line)
        elif not SEARCH_OWN.match(line):
            yield line


def create(name: str, path: Path) -> Path:
    """Create the database of a release."""
    connection = sqlite3.connect(path)
    connection.executescript((TEXTS / f"{name}.sql").read_text("utf-8"))
    connection.close()
    return path


def broken(stop: Any) -> tuple[Any, ...]:
    """Return migrations of which the second stops in the middle."""

    def second(db: Any) -> None:
        db.execute("create table half (id integer primary key) strict")
        db.execute("update scopes set name = name || ' half'")
        stop()
        db.execute("create table whole (id integer primary key) strict")

    from pipeline.store.schema import initial

    return initial, second


if __name__ == "__main__":
    TEXTS.mkdir(exist_ok=True)
    (TEXTS / f"{newest()}.sql").write_text(recorded(), "utf-8")
