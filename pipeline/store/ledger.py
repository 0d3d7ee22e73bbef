"""Write what a run found out: everything in bulk, and only what was not known before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.core import canonical
from pipeline.core.types import Change, Listing, Outcome, Scope
from pipeline.store.bulk import RowIds, BulkWriter
from pipeline.store.contents import FactsOf, FieldsOf, write_listing, write_transition
from pipeline.store.database import Store
from pipeline.store.flapping import flap_levels


@dataclass(frozen=True, slots=True)
class Sighting:
    """Something happened to a scope at a snapshot; ids are those of the tables."""

    scope: int
    scope_name: str
    outcome: Outcome
    listing: int | None = None
    transition: int | None = None
    since: int | None = None
    flap_level: int | None = None
    error_class: str | None = None
    error: str | None = None


class LedgerWriter:
    """Writes into open transactions; whoever has one holds the database's lock."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection = store.connection
        self._writer = BulkWriter(store)
        self._ids = RowIds(store)
        self._coverages: dict[tuple[int, ...], int] = {}
        self._none_missing = False

    def listing(self, gateway: int, listing: Listing, facts_of: FactsOf) -> int:
        """Give the id of a listing at a gateway, written with records and facts unless it is known."""
        return write_listing(self._writer, self._ids, gateway, listing, facts_of)

    def transition(self, sides: tuple[int, int], changes: Sequence[Change], fields_of: FieldsOf) -> int:
        """Give the id of a move from one listing to another, written with its changes unless it is known."""
        return write_transition(self._writer, self._ids, sides, changes, fields_of)

    def enroll(
        self,
        scopes: Sequence[Scope],
        hints: Mapping[str, str | None],
        spoken: Mapping[str, str],
        *,
        asked: bool = True,
    ) -> dict[str, int]:
        """Make the rows of gateways and scopes agree with the config; give scope ids by name.

        Args:
            scopes: every scope of this run.
            hints: where each scope's secret is kept, by its name.
            spoken: the dialect that a gateway was found to speak, by its name.
            asked: runs ask these scopes; others are kept as history only.
        """
        gateways = {scope.gateway.name: scope.gateway for scope in scopes}.values()
        known = self._by_name("gateways")
        rows: list[dict[str, Any]] = [
            {
                "name": gateway.name,
                "url": gateway.url,
                "dialect": spoken.get(gateway.name)
                or known.get(gateway.name, {}).get("dialect")
                or gateway.dialect,
            }
            for gateway in gateways
        ]
        gateway_ids = self._upsert("gateways", rows, known)
        known = self._by_name("scopes")
        rows = [
            {
                "name": scope.name,
                "gateway": gateway_ids[scope.gateway.name],
                "auth": scope.auth,
                "key_hint": hints.get(scope.name),
                "group_name": scope.group,
                "asked": int(asked),
            }
            for scope in scopes
        ]
        return self._upsert("scopes", rows, known)

    def _by_name(self, table: str) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in self._store.rows(f"select * from {table}")}  # noqa: S608 - our own names

    def _upsert(
        self, table: str, rows: list[dict[str, Any]], known: dict[str, dict[str, Any]]
    ) -> dict[str, int]:
        fresh = [row for row in rows if row["name"] not in known]
        for number, row in zip(self._writer.ids(table, len(fresh)), fresh, strict=True):
            row["id"] = number
        self._writer.insert(table, fresh)
        for row in rows:
            old = known.get(row["name"])
            if old and row != {key: old[key] for key in row}:
                self._store.db.table(table).update(old["id"], row)
        return {row["name"]: row["id"] if "id" in row else known[row["name"]]["id"] for row in rows}

    def retire_others(self, scope_ids: Iterable[int]) -> None:
        """Mark the scopes that are no longer asked: what they were offered is history."""
        self._connection.execute(
            "update scopes set asked = 0 where asked and id not in (select value from json_each(?))",
            [json.dumps(sorted(scope_ids))],
        )

    def coverage(self, scope_ids: Iterable[int]) -> int:
        """Give the id of a set of scopes, written once however often it is asked for."""
        members = tuple(sorted(scope_ids))
        if members not in self._coverages:
            self._coverages[members] = self._coverage(members)
        return self._coverages[members]

    def _coverage(self, members: tuple[int, ...]) -> int:
        digest = canonical.digest(json.dumps(members))
        found = self._store.rows("select id from coverages where digest = :digest", {"digest": digest})
        if found:
            return int(found[0]["id"])
        name = "1 scope" if len(members) == 1 else f"{len(members)} scopes"
        coverage = self._writer.one("coverages", {"name": name, "digest": digest})
        self._writer.link("coverage_scopes", ("coverage", "scope"), coverage, members)
        return coverage

    def snapshot(self, row: Mapping[str, Any]) -> int:
        """Write the run's own row; gives its id."""
        return self._writer.one("snapshots", row)

    def sightings(self, snapshot: int, sightings: Sequence[Sighting]) -> list[int]:
        """Write what happened to scopes, and point each scope at its last sighting; gives their ids."""
        if not sightings:
            return []
        numbers = self._writer.ids("sightings", len(sightings))
        self._writer.insert(
            "sightings",
            [
                {
                    "id": number,
                    "name": f"{sighting.scope_name} {sighting.outcome}",
                    "snapshot": snapshot,
                    "scope": sighting.scope,
                    "outcome": str(sighting.outcome),
                    "listing": sighting.listing,
                    "transition": sighting.transition,
                    "since": sighting.since,
                    "flap_level": sighting.flap_level,
                    "error_class": sighting.error_class,
                    "error": sighting.error,
                }
                for number, sighting in zip(numbers, sightings, strict=True)
            ],
        )
        self._connection.executemany(
            "update scopes set sighting = ? where id = ?",
            [(number, sighting.scope) for number, sighting in zip(numbers, sightings, strict=True)],
        )
        return list(numbers)

    def point(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Move scopes' refs; each row has id, listing, held, fingerprint, etag and last_modified."""
        self._connection.executemany(
            """
            update scopes set listing = :listing, held = :held, fingerprint = :fingerprint,
                              etag = :etag, last_modified = :last_modified
            where id = :id
            """,
            rows,
        )

    def missing(self) -> list[dict[str, Any]]:
        """Give the removals that are not effective yet."""
        if self._none_missing:
            return []
        found = self._store.rows(
            "select id, scope, transition, since, flap_level, misses from missing order by id"
        )
        self._none_missing = not found
        return found

    def miss(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep removals in mind until they are effective; rows with an id are counted on, others are new."""
        if not rows:
            return
        self._none_missing = False
        fresh = [row for row in rows if row["id"] is None]
        counted = [(row["misses"], _missed(row), row["id"]) for row in rows if row["id"] is not None]
        self._connection.executemany("update missing set misses = ?, name = ? where id = ?", counted)
        numbers = self._writer.ids("missing", len(fresh))
        self._writer.insert(
            "missing",
            [{**row, "id": number, "name": _missed(row)} for number, row in zip(numbers, fresh, strict=True)],
        )

    def levels(self, sightings: Iterable[int]) -> dict[tuple[int, int], int]:
        """Give how often the models have left before that moves removed, by sighting and model."""
        moved = list(sightings)
        return flap_levels(self._store, moved) if moved else {}

    def held_since(self, scope: int) -> int | None:
        """Give the snapshot at which a scope's answer was last held."""
        ((snapshot,),) = self._connection.execute(
            "select max(snapshot) from sightings where scope = ? and outcome = 'held'", [scope]
        ).fetchall()
        return None if snapshot is None else int(snapshot)

    def forget_missing(self, ids: Iterable[int]) -> None:
        """Drop removals that are effective now, or were none."""
        self._connection.executemany("delete from missing where id = ?", [(number,) for number in ids])

    def still_missing(self, transition: int, listing: int) -> bool:
        """Say whether any model that a transition removed is still not in a listing."""
        rows = self._store.rows(
            """
            select 1 from changes where transition = :transition and kind = 'removed' and model not in (
                select records.model from listing_records join records on records.id = listing_records.record
                where listing_records.listing = :listing
            ) limit 1
            """,
            {"transition": transition, "listing": listing},
        )
        return bool(rows)

    def deliver(self, row: Mapping[str, Any]) -> int:
        """Write a delivery; gives its id."""
        return self._writer.one("deliveries", row)


def _missed(row: Mapping[str, Any]) -> str:
    return "missed once" if row["misses"] == 1 else f"missed {row['misses']} times"
