"""The table `mutes`: scopes whose problems, and models whose changes, are not to be urgent for a time."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from pipeline.core.watchlist import matches_pattern
from pipeline.store.database import Store


class Mute(Struct, frozen=True):
    """A mute.

    Args:
        kind: `scope` or `model`.
        pattern: the name of a scope or the id of a model, or a glob of them.
        since: when it began (ISO 8601 UTC, as all times).
        until: when it ends by itself.
    """

    id: int
    kind: str
    pattern: str
    since: str
    until: str


class Mutes(Struct, frozen=True):
    """The mutes in force at one time."""

    all: tuple[Mute, ...] = ()

    def scope(self, name: str) -> str | None:
        """Return until when the problems of a scope are muted; None if they are not."""
        return self._until("scope", name)

    def model(self, name: str) -> str | None:
        """Return until when the changes of a model are muted; None if they are not."""
        return self._until("model", name)

    def _until(self, kind: str, name: str) -> str | None:
        found = (each.until for each in self.all if each.kind == kind and matches_pattern(each.pattern, name))
        return max(found, default=None)


NO_MUTES = Mutes()


def mutes(store: Store, at: str) -> Mutes:
    """Return the mutes in force at a time (ISO 8601 UTC)."""
    rows = store.rows(
        "select id, kind, name as pattern, since, until from mutes"
        " where since <= :at and until > :at and (ended_at is null or ended_at > :at)"
        " order by kind desc, name, id",
        {"at": at},
    )
    return Mutes(tuple(Mute(**row) for row in rows))


def mutes_ended(store: Store, since: str, at: str) -> Mutes:
    """Return the mutes that ended after one time, and not after another (ISO 8601 UTC)."""
    rows = store.rows(
        """
        select id, kind, pattern, since, until from (
            select id, kind, name as pattern, since, until, min(until, coalesce(ended_at, until)) as ended
            from mutes)
        where ended > :since and ended <= :at
        """,
        {"since": since, "at": at},
    )
    return Mutes(tuple(Mute(**row) for row in rows))


def add_mutes(store: Store, kind: str, patterns: Sequence[str], *, at: str, until: str) -> None:
    """Insert mutes; those in force of the same patterns end, inside an open transaction."""
    before = mutes(store, at).all
    end_mutes(store, [each for each in before if each.kind == kind and each.pattern in patterns], at=at)
    store.connection.executemany(
        "insert into mutes (name, kind, since, until) values (?, ?, ?, ?)",
        [[pattern, kind, at, until] for pattern in patterns],
    )


def end_mutes(store: Store, ended: Sequence[Mute], *, at: str) -> None:
    """End mutes at a time (ISO 8601 UTC), inside an open transaction."""
    store.connection.executemany(
        "update mutes set ended_at = ? where id = ?", [[at, each.id] for each in ended]
    )
