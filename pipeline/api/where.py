"""Where config and database of a home are, how they are opened, and what the words of a question mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline import care
from pipeline import config as configs
from pipeline.care import DialectsOf
from pipeline.config import Config
from pipeline.errors import ConfigError, QuestionError
from pipeline.store import Store, writing
from pipeline.times import iso, moment
from pipeline.watchlist import NOTHING, Watch

When = datetime | str
"""A moment: a `datetime` (UTC unless it has a zone), or `2h`, `1d`, `3w` ago, a date, or a date and time."""

Globs = Sequence[str]
"""Globs of names; none means all."""


@dataclass(frozen=True, slots=True)
class Where:
    """The files of a home.

    Args:
        config_path: the config; None for a database alone.
        database_path: the database; None where the config says which.
    """

    config_path: Path | None
    database_path: Path | None = None

    def config(self) -> Config:
        """Read the config.

        Raises:
            ConfigError: there is none, or it cannot be used.
        """
        if self.config_path is None:
            raise ConfigError("stands alone, without a config: name its home", where=str(self.database_path))
        return configs.load(self.config_path)

    def known(self) -> Config | None:
        """Read the config, if there is one."""
        return self.config() if self.config_path and self.config_path.exists() else None

    def database(self) -> Path:
        """Give the database's file."""
        if self.database_path is not None:
            return self.database_path
        assert self.config_path
        known = self.known()
        return known.database if known else self.config_path.parent / "modelwatch.db"

    def watch(self) -> Watch:
        """Give the models that the config watches."""
        known = self.known()
        return known.watch if known else NOTHING

    def dialects(self) -> DialectsOf:
        """Give what finds the dialects in which a listing may have been read."""
        known = self.known()
        return care.dialects_of(known.scopes if known else ())

    def read(self) -> Store:
        """Open the database to look."""
        return Store.read(self.database())

    @contextmanager
    def opened(self) -> Iterator[Store]:
        """Open a database that is there to write, as the only one."""
        path = self.database()
        with writing(path, since=now(), there=True) as store:
            yield store


def now() -> str:
    """Give the time now in ISO 8601, UTC."""
    return iso(datetime.now(UTC))


def at(when: When) -> str:
    """Read a moment; gives ISO 8601, UTC.

    Raises:
        QuestionError: it is none.
    """
    if isinstance(when, datetime):
        return iso(when)
    try:
        return moment(when, datetime.now(UTC))
    except ValueError as error:
        raise QuestionError(str(error)) from error
