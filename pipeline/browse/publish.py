"""Publishing: a directory with a copy of the database without private data, and the files to serve it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.browse.datasette import ASSETS, arguments, configuration
from pipeline.core.canonical import pretty
from pipeline.errors import StoreError
from pipeline.store import Store, write_backup
from pipeline.store.database import store_errors
from pipeline.store.files import (
    clear_drafts,
    draft_directory,
    flush,
    follow_umask,
    make_directory,
    replace_directory,
)

DATABASE = "modelwatch.db"
CONFIG = "datasette.yaml"
INSPECT = "inspect.json"
MANIFEST = "published.json"
"""The names of the published files, which the next publication may replace."""

_REMOVE_PRIVATE = (
    "update scopes set key_hint = null, fingerprint = null, etag = null, last_modified = null",
    "update sightings set reason = null",
    "delete from reasons",
    "delete from deliveries",
    "delete from destinations",
    "delete from mutes",
)
"""Statements that remove references to secrets, validators of servers, errors, deliveries and mutes."""


def publish(source: Path, target: Path, names: Sequence[str] = ()) -> int:
    """Write the directory in one step, replace an earlier publication, and return the size in bytes.

    The names of scopes and groups are published. A server of the earlier publication continues to serve it.

    Args:
        source: the database.
        target: the directory.
        names: the only host names that a server of it answers to, beside addresses; none for any.

    Raises:
        StoreError: there is no database, the directory has other files, or it cannot be written.
    """
    with store_errors(target):
        _check(target)
        target = Path(os.path.realpath(target))
        make_directory(target.parent, None)
        clear_drafts(target.parent)
        with draft_directory(target) as draft:
            _write_database(source, draft / DATABASE)
            _write_other_files(draft, names)
            # It was private to this user while it had private data.
            follow_umask(draft)
            for path in (draft, *draft.rglob("*")):
                flush(path)
            replace_directory(draft, target)
        return sum(path.stat().st_size for path in target.rglob("*") if path.is_file())


def command(major: int) -> str:
    """Return the shell command that serves the publication from its directory.

    Args:
        major: the major version of Datasette.
    """
    start = ["datasette", "serve", "-i", DATABASE, "--inspect-file", INSPECT]
    return shlex.join([*start, *arguments(Path(CONFIG), major=major, assets=Path())])


def _check(target: Path) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise StoreError("is a file: name a directory", path=target)
    others = sorted({path.name for path in target.iterdir()} - _published(target / MANIFEST))
    if others:
        raise StoreError(f"has {others[0]}, which was not published: name another directory", path=target)


def _published(manifest: Path) -> set[str]:
    """Return the names of the published files, including the manifest; none without a valid manifest."""
    try:
        names = json.loads(manifest.read_bytes())
    except (FileNotFoundError, ValueError):
        return set()
    return {manifest.name, *names} if isinstance(names, list) else set()


def _write_database(source: Path, copy: Path) -> None:
    write_backup(source, copy, overwrite=False)
    with Store.open(copy) as store, store_errors(copy):
        with store.transaction():
            for statement in _REMOVE_PRIVATE:
                store.connection.execute(statement)
            for row in store.rows("select id, url from gateways"):
                store.connection.execute(
                    "update gateways set url = ? where id = ?", [_public_url(row["url"]), row["id"]]
                )
            store.connection.execute("insert into models_fts (models_fts) values ('optimize')")
        store.connection.execute("analyze")
        # Leaves no -wal file, and no removed data in unused pages.
        store.connection.execute("pragma journal_mode = delete").fetchall()
        store.connection.execute("vacuum")


def _public_url(url: str) -> str:
    """Return a URL without user, password, query and fragment."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _write_other_files(draft: Path, names: Sequence[str]) -> None:
    """Write the configuration, the counts of rows, plug-ins, templates, static files and the manifest."""
    with Store.read(draft / DATABASE) as store:
        (draft / CONFIG).write_text(
            pretty(configuration(store, Path(DATABASE).stem, names=names or None)), "utf-8"
        )
        (draft / INSPECT).write_text(pretty(_inspect(store, draft / DATABASE)), "utf-8")
    for name in ("plugins", "templates", "static"):
        shutil.copytree(ASSETS / name, draft / name, ignore=shutil.ignore_patterns("__pycache__"))
    (draft / MANIFEST).write_text(pretty(sorted(path.name for path in draft.iterdir())), "utf-8")


def _inspect(store: Store, file: Path) -> dict[str, object]:
    """Return the output of `datasette inspect`, which saves Datasette from counting rows."""
    names = [row["name"] for row in store.rows("select name from sqlite_master where type = 'table'")]
    counts = {name: {"count": count} for name in names for count in _count(store, name)}
    with file.open("rb") as content:
        digest = sha256(content.read()).hexdigest()
    found = {"hash": digest, "size": file.stat().st_size, "file": file.name, "tables": counts}
    return {file.stem: found}


def _count(store: Store, table: str) -> Iterator[int]:
    for (count,) in store.stream(f'select count(*) from "{table}"'):  # noqa: S608 - a name from the schema
        yield int(count)
