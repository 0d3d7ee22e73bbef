"""Make a directory to hand out: a copy of the database without what is private, and what shows it."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import urlsplit

from pipeline.browse.datasette import OWN, configuration, words
from pipeline.core.canonical import pretty
from pipeline.errors import StoreError
from pipeline.store import Store, write_backup
from pipeline.store.backup import flush
from pipeline.store.database import store_errors

DATABASE = "modelwatch.db"


CONFIG = "datasette.yaml"


INSPECT = "inspect.json"


MARK = "published.json"
"""Says what was written, so that it may be written over."""


_FORGET = (
    "update scopes set key_hint = null, fingerprint = null, etag = null, last_modified = null",
    "update sightings set error = null",
    "delete from deliveries",
    "delete from destinations",
)
"""Where secrets are kept, what servers called their answers, why requests failed, where reports went."""


def publish(source: Path, target: Path) -> int:
    """Write the directory, whole or not at all, in place of one published before; gives its size in bytes.

    Names of scopes and groups stay: they are what it tells of. Who serves the old one goes on with it.

    Raises:
        StoreError: there is no database, what stands there was not published, or it cannot be written.
    """
    _refuse(target)
    with store_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        # Nobody else can look into it before what is private is out of it.
        draft = Path(mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        _database(source, draft / DATABASE)
        with store_errors(target):
            _beside(draft)
            for path in draft.rglob("*"):
                flush(path)
            _swap(draft, target)
            return sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def command(release: int) -> str:
    """Give the command line that serves it, to be typed in the directory itself."""
    start = ["datasette", "serve", "-i", DATABASE, "--inspect-file", INSPECT]
    return shlex.join([*start, *words(Path(CONFIG), release=release, own=Path())])


def _refuse(target: Path) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise StoreError("is a file: name a directory", path=target)
    there = {path.name for path in target.iterdir()}
    strange = sorted(there - _published(target / MARK))
    if strange:
        raise StoreError(f"has {strange[0]}, which was not published: name another directory", path=target)


def _published(mark: Path) -> set[str]:
    """Give the names of a mark and of what was written beside it; none where no mark of ours is."""
    try:
        names = json.loads(mark.read_bytes())
    except (FileNotFoundError, ValueError):
        return set()
    return {mark.name, *names} if isinstance(names, list) else set()


def _database(source: Path, copy: Path) -> None:
    write_backup(source, copy, overwrite=False)
    copy.chmod(0o644)
    with Store.open(copy) as store, store_errors(copy):
        with store.transaction():
            for statement in _FORGET:
                store.connection.execute(statement)
            for row in store.rows("select id, url from gateways"):
                store.connection.execute(
                    "update gateways set url = ? where id = ?", [_bare(row["url"]), row["id"]]
                )
            store.connection.execute("insert into models_fts (models_fts) values ('optimize')")
        store.connection.execute("analyze")
        # What was taken out is in no unused page either, and there is no second file beside it.
        store.connection.execute("pragma journal_mode = delete").fetchall()
        store.connection.execute("vacuum")


def _bare(url: str) -> str:
    """Take user, password and whatever follows the path out of an address."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _beside(draft: Path) -> None:
    """Write what shows the database: its configuration, its counts, and our own pages."""
    with Store.read(draft / DATABASE) as store:
        (draft / CONFIG).write_text(pretty(configuration(store, Path(DATABASE).stem)), "utf-8")
        (draft / INSPECT).write_text(pretty(_inspected(store, draft / DATABASE)), "utf-8")
    for name in ("plugins", "templates", "static"):
        if (OWN / name).is_dir():
            shutil.copytree(OWN / name, draft / name, ignore=shutil.ignore_patterns("__pycache__"))
    (draft / MARK).write_text(pretty(sorted(path.name for path in draft.iterdir())), "utf-8")
    draft.chmod(0o755)


def _inspected(store: Store, file: Path) -> dict[str, object]:
    """Give what `datasette inspect` finds out: with it an immutable database is never counted again."""
    names = [row["name"] for row in store.rows("select name from sqlite_master where type = 'table'")]
    counts = {name: {"count": count} for name in names for count in _count(store, name)}
    with file.open("rb") as content:
        digest = sha256(content.read()).hexdigest()
    found = {"hash": digest, "size": file.stat().st_size, "file": file.name, "tables": counts}
    return {file.stem: found}


def _count(store: Store, table: str) -> Iterator[int]:
    for (count,) in store.stream(f'select count(*) from "{table}"'):  # noqa: S608 - a name of our own
        yield int(count)


def _swap(draft: Path, target: Path) -> None:
    """Put the new directory in the place of the old one."""
    old = draft.with_name(f"{draft.name}.old")
    if target.exists():
        target.rename(old)
    try:
        draft.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    flush(target.parent)
    shutil.rmtree(old, ignore_errors=True)
