"""Write what a run found out: everything in bulk, and only what was not known before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline import canonical
from pipeline.diff import fields
from pipeline.facts import facts, permissions
from pipeline.store.database import Store
from pipeline.types import Change, Listing, Outcome, Record, Scope

_SHOWN_DIGITS = slice(2, 10)


@dataclass(frozen=True, slots=True)
class Sighting:
    """Something happened to a scope at a snapshot; ids are those of the tables."""

    scope: int
    scope_name: str
    outcome: Outcome
    listing: int | None = None
    transition: int | None = None
    since: int | None = None
    error_class: str | None = None
    error: str | None = None


class Ledger:
    """Writes into an open transaction; made anew for each."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._db = store.db

    def enroll(self, scopes: Sequence[Scope], hints: Mapping[str, str | None]) -> dict[str, int]:
        """Make the rows of gateways and scopes agree with the config; give scope ids by name."""
        gateways = {scope.gateway.name: scope.gateway for scope in scopes}.values()
        known = self._by_name("gateways")
        rows: list[dict[str, Any]] = [{"name": g.name, "url": g.url, "dialect": g.dialect} for g in gateways]
        gateway_ids = self._upsert("gateways", rows, known)
        known = self._by_name("scopes")
        rows = [
            {
                "name": scope.name,
                "gateway": gateway_ids[scope.gateway.name],
                "auth": scope.auth,
                "key_hint": hints.get(scope.name),
                "group_name": scope.group,
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
        for number, row in enumerate(fresh, self._next_id(table)):
            row["id"] = number
        self._insert(table, fresh)
        for row in rows:
            old = known.get(row["name"])
            if old and row != {key: old[key] for key in row}:
                self._db.table(table).update(old["id"], row)
        return {row["name"]: row["id"] if "id" in row else known[row["name"]]["id"] for row in rows}

    def coverage(self, scope_ids: Iterable[int]) -> int:
        """Give the id of a set of scopes, written once however often it is asked for."""
        members = sorted(scope_ids)
        digest = canonical.digest(json.dumps(members))
        found = self._store.rows("select id from coverages where digest = :digest", {"digest": digest})
        if found:
            return int(found[0]["id"])
        name = "1 scope" if len(members) == 1 else f"{len(members)} scopes"
        coverage = self._one("coverages", {"name": name, "digest": digest})
        self._insert("coverage_scopes", [{"coverage": coverage, "scope": scope} for scope in members])
        return coverage

    def listing(self, gateway: int, listing: Listing) -> int:
        """Give the id of a listing at a gateway, written with its records unless it is known."""
        identity = {"gateway": gateway, "digest": listing.digest, "reading": listing.reading}
        found = self._store.rows(
            "select id from listings where gateway = :gateway and digest = :digest and reading = :reading",
            identity,
        )
        if found:
            return int(found[0]["id"])
        records = self._records(gateway, listing)
        size = len(listing)
        row = identity | {
            "name": f"{size} model{'' if size == 1 else 's'} @{listing.digest[_SHOWN_DIGITS]}",
            "size": size,
            "warnings": json.dumps(listing.warnings, ensure_ascii=False) if listing.warnings else None,
        }
        listing_id = self._one("listings", row)
        self._insert(
            "listing_records", [{"listing": listing_id, "record": record} for record in sorted(records)]
        )
        return listing_id

    def _records(self, gateway: int, listing: Listing) -> list[int]:
        models = self._models(gateway, listing.records)
        digests = json.dumps([record.digest for record in listing.records.values()])
        found = self._store.rows(
            """
            select records.id, records.model, records.digest from json_each(:digests) as wanted
            join records on records.digest = wanted.value
            join models on models.id = records.model and models.gateway = :gateway
            """,
            {"digests": digests, "gateway": gateway},
        )
        known = {(row["model"], row["digest"]): row["id"] for row in found}
        fresh = [
            record
            for model, record in sorted(listing.records.items())
            if (models[model], record.digest) not in known
        ]
        first = self._next_id("records")
        ids = range(first, first + len(fresh))
        rows = [
            _record_row(number, models[record.model], record)
            for number, record in zip(ids, fresh, strict=True)
        ]
        self._insert("records", [row for row, _ in rows])
        self._permissions([permission for _, found in rows for permission in found])
        return [*known.values(), *ids]

    def _permissions(self, rows: list[dict[str, Any]]) -> None:
        numbered = [{"id": number, **row} for number, row in enumerate(rows, self._next_id("permissions"))]
        self._insert("permissions", numbered)

    def _models(self, gateway: int, names: Iterable[str]) -> dict[str, int]:
        wanted = sorted(names)
        found = self._store.rows(
            """
            select models.id, models.name from json_each(:names) as wanted
            join models on models.gateway = :gateway and models.name = wanted.value
            """,
            {"names": json.dumps(wanted), "gateway": gateway},
        )
        ids = {row["name"]: row["id"] for row in found}
        fresh = [name for name in wanted if name not in ids]
        rows = [
            {"id": number, "name": name, "gateway": gateway}
            for number, name in enumerate(fresh, self._next_id("models"))
        ]
        self._insert("models", rows)
        return ids | {row["name"]: row["id"] for row in rows}

    def transition(self, before: int, after: int, changes: Sequence[Change]) -> int:
        """Give the id of a move from one listing to another, written with its changes unless it is known."""
        sides = {"before": before, "after": after}
        found = self._store.rows(
            "select id from transitions where before = :before and after = :after", sides
        )
        if found:
            return int(found[0]["id"])
        counts = {
            kind: sum(change.kind == kind for change in changes) for kind in ("added", "removed", "changed")
        }
        name = f"+{counts['added']} -{counts['removed']} ~{counts['changed']}"
        transition = self._one("transitions", {"name": name, **sides, **counts})
        self._changes(transition, sides, changes)
        return transition

    def _changes(self, transition: int, sides: dict[str, int], changes: Sequence[Change]) -> None:
        rows = self._store.rows(
            """
            select records.id, records.digest, records.model, models.name from listing_records
            join records on records.id = listing_records.record
            join models on models.id = records.model
            where listing_records.listing in (:before, :after)
            """,
            sides,
        )
        models = {row["name"]: row["model"] for row in rows}
        records = {(row["name"], row["digest"]): row["id"] for row in rows}
        first = self._next_id("changes")
        self._insert(
            "changes",
            [
                {
                    "id": number,
                    "name": f"{_SIGNS[change.kind]} {change.model}",
                    "transition": transition,
                    "model": models[change.model],
                    "kind": str(change.kind),
                    "before": change.before and records[change.model, change.before.digest],
                    "after": change.after and records[change.model, change.after.digest],
                }
                for number, change in enumerate(changes, first)
            ],
        )
        self._field_changes(enumerate(changes, first))

    def _field_changes(self, changes: Iterable[tuple[int, Change]]) -> None:
        found = [
            (number, change, field)
            for number, change in changes
            if change.before and change.after
            for field in fields(change.before.body, change.after.body)
        ]
        self._insert(
            "field_changes",
            [
                {
                    "id": row_id,
                    "name": f"{change.model} {field.field}",
                    "change": number,
                    "field": field.field,
                    "before": field.before,
                    "after": field.after,
                    "class": field.category,
                }
                for row_id, (number, change, field) in enumerate(found, self._next_id("field_changes"))
            ],
        )

    def snapshot(self, row: Mapping[str, Any]) -> int:
        """Write the run's own row; gives its id."""
        return self._one("snapshots", row)

    def sightings(self, snapshot: int, sightings: Sequence[Sighting]) -> None:
        """Write what happened to scopes, and point each scope at its last sighting."""
        first = self._next_id("sightings")
        self._insert(
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
                    "error_class": sighting.error_class,
                    "error": sighting.error,
                }
                for number, sighting in enumerate(sightings, first)
            ],
        )
        pointers = [(number, sighting.scope) for number, sighting in enumerate(sightings, first)]
        self._db.conn.executemany("update scopes set sighting = ? where id = ?", pointers)

    def point(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Move scopes' refs; each row has id, listing, held, fingerprint, etag and last_modified."""
        self._db.conn.executemany(
            """
            update scopes set listing = :listing, held = :held, fingerprint = :fingerprint,
                              etag = :etag, last_modified = :last_modified
            where id = :id
            """,
            rows,
        )

    def missing(self) -> list[dict[str, Any]]:
        """Give the removals that are not effective yet."""
        return self._store.rows("select id, scope, transition, since, misses from missing order by id")

    def miss(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep removals in mind until they are effective; rows with an id are counted on, others are new."""
        fresh = [row for row in rows if row["id"] is None]
        counted = [(row["misses"], _missed(row), row["id"]) for row in rows if row["id"] is not None]
        self._db.conn.executemany("update missing set misses = ?, name = ? where id = ?", counted)
        first = self._next_id("missing")
        self._insert(
            "missing",
            [{**row, "id": number, "name": _missed(row)} for number, row in enumerate(fresh, first)],
        )

    def held_since(self, scope: int) -> int | None:
        """Give the snapshot at which a scope's answer was last held."""
        ((snapshot,),) = self._db.execute(
            "select max(snapshot) from sightings where scope = ? and outcome = 'held'", [scope]
        ).fetchall()
        return None if snapshot is None else int(snapshot)

    def forget_missing(self, ids: Iterable[int]) -> None:
        """Drop removals that are effective now, or were none."""
        self._db.conn.executemany("delete from missing where id = ?", [(number,) for number in ids])

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
        return self._one("deliveries", row)

    def _one(self, table: str, row: Mapping[str, Any]) -> int:
        number = self._next_id(table)
        self._insert(table, [{"id": number, **row}])
        return number

    def _insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            self._db.table(table).insert_all(map(dict, rows))

    def _next_id(self, table: str) -> int:
        ((last,),) = self._db.execute(f"select coalesce(max(id), 0) from {table}").fetchall()  # noqa: S608 - our own names
        return int(last) + 1


def _missed(row: Mapping[str, Any]) -> str:
    return "missed once" if row["misses"] == 1 else f"missed {row['misses']} times"


_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def _record_row(number: int, model: int, record: Record) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    body = canonical.decode(record.body.encode())
    name = f"{record.model}@{record.digest[_SHOWN_DIGITS]}"
    row = {"id": number, "name": name, "digest": record.digest, "model": model}
    row |= asdict(facts(body)) | {"body": record.body}
    return row, [{"name": name, "record": number, **asdict(permission)} for permission in permissions(body)]
