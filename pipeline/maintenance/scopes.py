"""Forget scopes, or rename scopes and gateways."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence

from pipeline.core.text import did_you_mean, quoted
from pipeline.core.types import is_valid_name, split_site
from pipeline.errors import QuestionError
from pipeline.gateways.dialects import dialect_of
from pipeline.maintenance.collect import drop, drop_ids, drop_unneeded
from pipeline.maintenance.coverages import drop_scopes
from pipeline.maintenance.facts import DialectsOf, correct_facts
from pipeline.store import Store, scope_states
from pipeline.store.digests import set_digest
from pipeline.store.sites import drop_empty_sites, remember_forgotten


def forget(store: Store, names: Sequence[str], dialects_of: DialectsOf) -> Mapping[str, int]:
    """Drop scopes, and everything that only they needed, in one transaction; return the counts by table."""
    with store.transaction():
        states = scope_states(store)
        remember_forgotten(store, names)
        ids = json.dumps([states[name].id for name in names])
        dropped: Counter[str] = Counter()
        store.connection.execute(
            "update scopes set listing = null, held = null, sighting = null"
            " where id in (select value from json_each(?))",
            [ids],
        )
        for table in ("missing", "departures", "flaps", "regains", "sightings"):
            drop(store, table, "scope in (select value from json_each(:ids))", ids, dropped)
        drop_scopes(store, ids)
        drop(store, "scopes", "id in (select value from json_each(:ids))", ids, dropped)
        drop_empty_sites(store)
        _drop_empty_runs(store, dropped)
        drop_unneeded(store, dropped)
        # The first listing of a record may have been dropped, on which its facts depend.
        correct_facts(store, dialects_of)
        unused = "id not in (select gateway from scopes) and id not in (select gateway from models)"
        unused += " and id not in (select gateway from listings)"
        drop(store, "gateways", unused, ids, dropped)
        return {table: rows for table, rows in dropped.items() if rows}


def _drop_empty_runs(store: Store, dropped: Counter[str]) -> None:
    """Drop runs that asked none of the remaining scopes, unless they are referred to; keep the last run."""
    rows = store.stream(
        """
        select id from snapshots where covered in (select id from coverages where digest = :empty)
        and id not in (select snapshot from sightings)
        and id not in (select since from sightings where since is not null)
        and id not in (select since from missing)
        and id not in (select since from deliveries where since is not null)
        and id not in (select until from deliveries)
        and id not in (select reported_until from destinations where reported_until is not null)
        and id <> (select max(id) from snapshots)
        """,
        {"empty": set_digest([])},
    )
    drop_ids(store, "snapshots", [number for (number,) in rows], dropped)


def rename(store: Store, old: str, new: str) -> list[tuple[str, str]]:
    """Rename a scope, or a gateway with all its scopes; return each scope's old and new name.

    Args:
        store: an open database; the caller holds its lock.
        old: the present name: `gateway/key`, or `gateway`.
        new: the new name, of the same kind.

    Raises:
        QuestionError: `old` is unknown, or `new` is taken, not a valid name, or of another gateway or site.
    """
    (gateway, slash, _), (new_gateway, new_slash, new_label) = old.partition("/"), new.partition("/")
    (site, _), (new_site, name_there) = split_site(gateway), split_site(new_gateway)
    if site != new_site:
        raise QuestionError(
            f"{old} and {new}: a scope stays with its site; name two of {site or 'this database'}"
        )
    if not is_valid_name(name_there) or (new_slash and not is_valid_name(new_label)):
        raise QuestionError(
            f"{quoted(new)} is not a valid name: "
            "use letters, digits and _ . - + @, and begin with a letter or digit"
        )
    if slash != new_slash:
        raise QuestionError(f"{old} and {new}: name two scopes, gateway/name, or two gateways")
    if slash and gateway != new_gateway:
        raise QuestionError(
            f"{old} cannot move to another gateway, which has other models; "
            f"to rename the gateway itself: `modelwatch rename {gateway} {new_gateway}`"
        )
    names = set(scope_states(store)) if slash else {row["name"] for row in store.rows(_GATEWAYS)}
    if old not in names:
        raise QuestionError(f"{old} is unknown: {did_you_mean(old, names) or 'see `modelwatch scopes`'}")
    if new == old:
        raise QuestionError(f"{new} is already its name: give another one")
    if new in names:
        raise QuestionError(f"{new} exists, with a history of its own: forget it first, or use another name")
    return (rename_scope if slash else rename_gateway)(store, old, new)


_GATEWAYS = "select name from gateways"


def rename_scope(store: Store, old: str, new: str) -> list[tuple[str, str]]:
    """Rename a scope and keep its history; return every renamed scope with its new name.

    The names of a user's groups begin with the name of the user's scope, so these scopes are renamed too. The
    next answer is read in full, since a renamed scope may have another key.
    """
    with store.transaction():
        states = scope_states(store)
        dialect = dialect_of(states[old].reading)
        grouped = dialect is not None and dialect.groups is not None
        below = [name for name in states if grouped and name.startswith(f"{old}.")]
        renamed = [(name, new + name.removeprefix(old)) for name in (old, *below)]
        for name, new_name in renamed:
            _rename(store, states[name].id, new_name)
        return renamed


def rename_gateway(store: Store, old: str, new: str) -> list[tuple[str, str]]:
    """Rename a gateway and all its scopes; return each scope with its new name."""
    with store.transaction():
        store.connection.execute("update gateways set name = ? where name = ?", [new, old])
        ids = {name: state.id for name, state in scope_states(store).items() if name.startswith(f"{old}/")}
        renamed = [(name, new + name.removeprefix(old)) for name in sorted(ids)]
        for name, new_name in renamed:
            _rename(store, ids[name], new_name)
        return renamed


def _rename(store: Store, scope: int, name: str) -> None:
    validators = dict.fromkeys(("fingerprint", "etag", "last_modified"))
    store.db.table("scopes").update(scope, {"name": name, **validators})
