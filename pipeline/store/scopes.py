"""Scopes and gateways as the database knows them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pipeline.core.types import ScopeState
from pipeline.store.database import Store


def scope_states(
    store: Store, only: Iterable[int] | None = None, *, own: bool = False
) -> dict[str, ScopeState]:
    """Return the state of every scope, or of `only` some by id, by its name; `own` leaves out other sites."""
    rows = store.stream(
        """
        select scopes.id, scopes.name, scopes.group_name, scopes.listing, listings.digest, listings.reading,
               scopes.held, sightings.outcome, sightings.error_class,
               coalesce(sightings.since, sightings.snapshot),
               scopes.fingerprint, scopes.etag, scopes.last_modified, sightings.snapshot,
               scopes.left_out, scopes.price_advice, sightings.flap_level
        from scopes
        left join listings on listings.id = scopes.listing
        left join sightings on sightings.id = scopes.sighting
        where (:only is null or scopes.id in (select value from json_each(:only)))
        and not (:own and scopes.site is not null)
        """,
        {"only": None if only is None else json.dumps(sorted(only)), "own": own},
    )
    # Many scopes have the same texts: each is kept once.
    texts: dict[Any, Any] = {}
    states = (ScopeState(*[texts.setdefault(each, each) for each in row]) for row in rows)
    return {state.name: state for state in states}


def scope_ids(store: Store, names: Iterable[str], users: Iterable[str] = ()) -> list[int]:
    """Return the ids of the recorded scopes of some names, and of the groups of some users' scopes."""
    rows = store.stream(
        """
        select id from scopes where name in (select value from json_each(:names))
        union
        select scopes.id from json_each(:users) as user
        join scopes on scopes.name > user.value || '.' and scopes.name < user.value || '/'
        """,
        {"names": json.dumps(list(names)), "users": json.dumps(list(users))},
    )
    return [number for (number,) in rows]


def asked_keys(store: Store, gateway: str) -> dict[str, str | None]:
    """Return the group of each scope of a gateway that runs ask with a key, by the scope's name."""
    rows = store.rows(
        """
        select scopes.name, scopes.group_name from scopes
        join gateways on gateways.id = scopes.gateway
        where gateways.name = :gateway and scopes.asked and scopes.auth = 'key' and scopes.site is null
        """,
        {"gateway": gateway},
    )
    return {row["name"]: row["group_name"] for row in rows}


def left_out_rows(store: Store) -> dict[str, str]:
    """Return which rows of the last accepted answer of a scope were left out, by the scope's name."""
    rows = store.rows("select name, left_out from scopes where left_out is not null")
    return {row["name"]: row["left_out"] for row in rows}


def scope_gateways(store: Store) -> dict[str, str]:
    """Return the gateway of every scope, by the scope's name; sorted."""
    rows = store.rows(
        """
        select scopes.name as scope, gateways.name as gateway from scopes
        join gateways on gateways.id = scopes.gateway
        order by scopes.name
        """
    )
    return {row["scope"]: row["gateway"] for row in rows}


def scope_groups(store: Store) -> dict[str, str]:
    """Return the group of each scope that has one, by the scope's name."""
    rows = store.rows("select name, group_name from scopes where group_name is not null")
    return {row["name"]: row["group_name"] for row in rows}


def keyless_scopes(store: Store) -> frozenset[str]:
    """Return the names of the scopes that ask without a key."""
    return frozenset(name for (name,) in store.stream("select name from scopes where auth <> 'key'"))


def snapshot_times(store: Store, scope: str) -> frozenset[str]:
    """Return the times (ISO 8601 UTC) of all snapshots that covered a scope or have a sighting of it."""
    rows = store.rows(
        """
        select snapshots.started_at as at from scopes
        join coverage_scopes on coverage_scopes.scope = scopes.id
        join snapshots on snapshots.covered = coverage_scopes.coverage
        where scopes.name = :scope
        union
        select snapshots.started_at from scopes
        join sightings on sightings.scope = scopes.id
        join snapshots on snapshots.id = sightings.snapshot
        where scopes.name = :scope
        """,
        {"scope": scope},
    )
    return frozenset(row["at"] for row in rows)


def gateway_url(store: Store, name: str) -> str | None:
    """Return the address of a gateway; None where it is unknown, or the database has no tables yet."""
    # A first import that was killed at its beginning leaves a file without tables.
    if not store.rows("select 1 from sqlite_master where name = 'gateways'"):
        return None
    rows = store.rows("select url from gateways where name = :name", {"name": name})
    return str(rows[0]["url"]) if rows else None
