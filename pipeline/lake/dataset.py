"""The files of a dataset: one for each table and month, written again where the history is new.

The manifest says which history the files are made of. While runs only add to it, the months before the first
new run are left alone. Otherwise all months are made again; a file whose content is the same stays as it is.
"""

from __future__ import annotations

import filecmp
import re
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from pipeline import __version__
from pipeline.core.canonical import pretty
from pipeline.core.types import Share
from pipeline.errors import MissingPart, StoreError
from pipeline.extras import command_to_add
from pipeline.lake.tables import TABLES
from pipeline.store import Store
from pipeline.store.database import store_errors
from pipeline.store.export import BOUNDED, first_month_after, history_digest, months_of_runs, newest_rows
from pipeline.store.files import (
    atomic_write,
    clear_drafts,
    create_file,
    draft_directory,
    flush,
    make_directory,
    replace_file,
)
from pipeline.store.lock import lock_directory

if TYPE_CHECKING:
    import pyarrow as pa

MANIFEST = "_modelwatch.json"
"""Programs that read a directory of Parquet files skip names with `_`, as they skip those with a dot."""

FORMAT = "modelwatch/lake/1"
"""The layout of the files, and the meaning of their columns."""


class Export(Struct, frozen=True):
    """What an export did.

    Args:
        months: the months of the dataset.
        written: the files that are new or have another content, by their path in the dataset.
        removed: the files of months that the history no longer has.
        files: how many files the dataset has.
        size: their bytes.
    """

    months: tuple[str, ...]
    written: tuple[str, ...]
    removed: tuple[str, ...]
    files: int
    size: int


_OWN_PATH = re.compile(r"([a-z]+)/month=\d{4}-\d{2}/\1\.parquet", re.ASCII)
"""Only such files are removed: a manifest may come from elsewhere."""


class _Manifest(Struct, frozen=True):
    """What the files of a dataset are made of.

    Args:
        newest: the newest rows of the history, by table.
        digest: of the history up to them; empty while files are written.
        files: the size of each file, by its path.
        version: that of the program, whose rules for events may be others than those of the next.
        format: that of the files.
    """

    newest: Mapping[str, int]
    digest: str
    files: Mapping[str, int]
    version: str = __version__
    format: str = FORMAT

    def __post_init__(self) -> None:
        if self.digest and not self.newest.keys() >= set(BOUNDED):
            raise ValueError("a table is missing")
        if not all(map(_OWN_PATH.fullmatch, self.files)):
            raise ValueError("a file is not one of a dataset")


def write_dataset(store: Store, target: Path, share: Share) -> Export:
    """Write the history as Parquet files, or those that have changed since the last export.

    A reader sees whole files only: all new ones are made first, and then put in their places.

    Args:
        store: an open database.
        target: the directory.
        share: who may read new files and directories, beside their owner.

    Raises:
        MissingPart: pyarrow is not installed.
        Locked: another process writes there.
        StoreError: the directory has other files, or it cannot be written.
    """
    if find_spec("pyarrow") is None:
        raise MissingPart(f"pyarrow is not installed: run `{command_to_add('pyarrow', 'lake')}`")
    with store.read_transaction(), store_errors(target, effect="what was there is kept"):
        if target.exists() and not target.is_dir():
            raise StoreError("is a file: name a directory", path=target)
        make_directory(target, share)
        with lock_directory(target):
            clear_drafts(target)
            return _write(store, target, share)


def _write(store: Store, target: Path, share: Share) -> Export:
    old = _read_manifest(target)
    months = months_of_runs(store)
    files = {_path(table, month): (table, month) for month in months for table in TABLES}
    first = _first_new_month(store, old)
    stale = {
        path: part
        for path, part in files.items()
        if part[1] >= first or _size(target / path) != old.files.get(path)
    }
    removed = tuple(sorted(old.files.keys() - files.keys()))
    changed: list[str] = []
    if stale or removed:
        with draft_directory(target / "export") as drafts:
            # New files have the mode of files beside them.
            drafts.chmod(stat.S_IMODE(target.stat().st_mode))
            made = _make(store, target, drafts, stale, share)
            # Until the end, the next export would make all files again, and knows which are ours.
            known = {**dict.fromkeys(files, 0), **old.files}
            _write_manifest(target, _Manifest({}, "", known), share)
            for path, draft in made.items():
                make_directory((target / path).parent, share)
                replace_file(draft, target / path)
                changed.append(path)
        for path in removed:
            _remove(target, target / path)
        newest = newest_rows(store)
        sizes = {path: (target / path).stat().st_size for path in files}
        _write_manifest(target, _Manifest(newest, history_digest(store, newest), sizes), share)
    size = sum((target / path).stat().st_size for path in files)
    return Export(tuple(months), tuple(changed), removed, len(files), size)


def _path(table: str, month: str) -> str:
    return f"{table}/month={month}/{table}.parquet"


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return None


def _first_new_month(store: Store, old: _Manifest) -> str:
    """Return the month from which on the history is new; later than any month if nothing is."""
    is_same_program = (old.version, old.format) == (__version__, FORMAT)
    if not (old.digest and is_same_program and history_digest(store, old.newest) == old.digest):
        return ""
    return first_month_after(store, old.newest) or "~"


def _make(
    store: Store, target: Path, drafts: Path, stale: Mapping[str, tuple[str, str]], share: Share
) -> dict[str, Path]:
    """Write files beside the dataset; return those that differ from the present ones, by their paths."""
    from pipeline.lake.rows import MonthlyRows

    made = {}
    rows = MonthlyRows(store)
    for path, (table, month) in stale.items():
        draft = drafts / f"{table}.{month}"
        create_file(draft, share)
        _write_file(draft, TABLES[table].schema(), rows.batches(table, month))
        if (target / path).is_file() and filecmp.cmp(draft, target / path, shallow=False):
            draft.unlink()
        else:
            made[path] = draft
    return made


def _write_file(draft: Path, schema: pa.Schema, batches: Iterable[pa.Table]) -> None:
    from pyarrow.parquet import ParquetWriter

    # Without the schema of Arrow, whose types all have one in Parquet: other writers leave it out too.
    with (
        draft.open("wb") as file,
        ParquetWriter(file, schema, compression="zstd", store_schema=False) as writer,
    ):
        for batch in batches:
            writer.write_table(batch, row_group_size=batch.num_rows)
    flush(draft)


def _remove(target: Path, file: Path) -> None:
    """Remove a file of ours, and the directories that are empty without it."""
    file.unlink(missing_ok=True)
    with suppress(OSError):
        for directory in file.relative_to(target).parents[:-1]:
            (target / directory).rmdir()


def _read_manifest(target: Path) -> _Manifest:
    """Return the manifest of a dataset; an empty one for a new directory."""
    file = target / MANIFEST
    if not file.exists():
        others = sorted(path.name for path in target.iterdir() if not path.name.startswith("."))
        if others:
            raise StoreError(f"has {others[0]}, which no export wrote: name another directory", path=target)
        return _Manifest({}, "", {})
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Manifest)
    except ValueError:
        raise StoreError("is damaged: remove the directory, and export again", path=file) from None


def _write_manifest(target: Path, manifest: _Manifest, share: Share) -> None:
    atomic_write(target / MANIFEST, pretty(asdict(manifest)).encode(), share=share)
