"""A database as each release made it, kept as SQL text; run this file to write the newest anew.

    python tests/releases.py

While a release is being made its schema may still change in place: run this then. Once it is out, its text
stays as it is for ever, and a change of the schema is a migration, with a text of its own.
"""

from __future__ import annotations

import re
import sqlite3
import sys
from pathlib import Path

TEXTS = Path(__file__).parent / "releases"
APPLIED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\+00:00")


def newest() -> str:
    """Give the name of the newest migration: that is what its release is called here."""
    from pipeline.store.schema import MIGRATIONS

    return MIGRATIONS[-1].__name__


def lived() -> str:
    """Give a short history as this program records it, as SQL text."""
    from fakes import Script

    from pipeline.store import Store

    with Store.open(None) as store:
        script = Script(store).offers("acme/prod", "lyra", vega=1).offers("acme/test", "lyra")
        script.offers_now["acme/prod"]["lyra"] = {"permission": [{"allow_view": True, "group": "vip"}]}
        script.run()
        script.adds("acme/prod", vega=2).fails("acme/test").run()
        script.drops("acme/prod", "vega").recovers("acme/test").run()
        ((application,),) = store.connection.execute("pragma application_id").fetchall()
        text = "\n".join([f"pragma application_id = {application};", *store.connection.iterdump(), ""])
    return APPLIED.sub("2026-11-01 00:00:00.000000+00:00", text)


def made(name: str, path: Path) -> Path:
    """Make the database that a release left."""
    connection = sqlite3.connect(path)
    connection.executescript((TEXTS / f"{name}.sql").read_text("utf-8"))
    connection.close()
    return path


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
    TEXTS.mkdir(exist_ok=True)
    (TEXTS / f"{newest()}.sql").write_text(lived(), "utf-8")
