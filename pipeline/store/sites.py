"""The sites whose databases were merged into this one."""

from __future__ import annotations

import json
from collections.abc import Iterable

from msgspec import Struct

from pipeline.store.database import Store


class SiteState(Struct, frozen=True):
    """A site as far as it was merged.

    Args:
        name: its name, with which the names of its scopes begin.
        scopes: how many scopes it has here.
        last_run: the start of its newest run that was merged (ISO 8601 UTC); None where it was pruned.
    """

    name: str
    scopes: int
    last_run: str | None


def site_states(store: Store) -> tuple[SiteState, ...]:
    """Return the sites that were merged, by name."""
    rows = store.rows(
        """
        select sites.name, (select count(*) from scopes where scopes.site = sites.id) as scopes, (
            select started_at from snapshots where snapshots.site = sites.id order by source desc limit 1
        ) as last_run
        from sites order by sites.name
        """
    )
    return tuple(SiteState(**row) for row in rows)


def remember_forgotten(store: Store, names: Iterable[str]) -> None:
    """Let the next merges leave out scopes of sites, by name; must run before these are dropped."""
    ids = json.dumps(sorted(names))
    store.connection.execute(
        """
        update sites set forgotten = (
            select json_group_array(name) from (
                select value as name from json_each(sites.forgotten)
                union
                select substr(scopes.name, length(sites.name) + 2) from scopes
                where scopes.site = sites.id and scopes.name in (select value from json_each(:names))))
        where id in (select site from scopes where name in (select value from json_each(:names)))
        """,
        {"names": ids},
    )


def drop_empty_sites(store: Store) -> None:
    """Drop the sites without a scope, and their runs; the next merge begins with the first one again.

    Must run inside a transaction, after their scopes and sightings were dropped.
    """
    empty = "(select id from sites where id not in (select site from scopes where site is not null))"
    store.connection.execute(f"update snapshots set site = null, source = null where site in {empty}")  # noqa: S608 - constants
    store.connection.execute(f"delete from sites where id in {empty}")  # noqa: S608 - constants
