"""Write reports as files: whole or not at all, named after their run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import DeliveryError

_DRAFT = ".draft"


def write_files(directory: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write texts by file name, each whole or not at all; gives the paths.

    Raises:
        DeliveryError: the directory or a file cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # Drafts of a run that was killed: whoever writes now holds the lock.
        for draft in directory.glob(f".*{_DRAFT}"):
            draft.unlink(missing_ok=True)
        for name, text in texts.items():
            _replace(directory / name, text)
    except OSError as error:
        raise DeliveryError(f"{directory}: the report cannot be written: {error.strerror}") from error
    return [directory / name for name in texts]


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}{_DRAFT}")
    try:
        with draft.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            # It is marked as written in a database that outlives a loss of power; so must the file.
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
