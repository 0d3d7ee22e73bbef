"""The write side of the ledger: scopes, snapshots, sightings and pending removals."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import asdict

from pipeline.core.shards import Shard
from pipeline.core.types import SITE_MARK, Change, Digest, Listing, Outcome, Scope, ScopeState
from pipeline.store.bulk import BulkWriter, RowIds
from pipeline.store.coverages import add_set
from pipeline.store.database import Store
from pipeline.store.digests import set_digest
from pipeline.store.flapping import flap_levels
from pipeline.store.flaps import FlapWriter
from pipeline.store.listings import RecordReader, WrittenListing, drop_listing, write_listing
from pipeline.store.outcomes import HOLD_OUTCOMES, SETS_LISTING
from pipeline.store.reasons import write_reasons
from pipeline.store.recurrences import (
    LastProblem,
    ProblemKind,
    UnsteadyScope,
    has_unsteady,
    last_problems,
    unsteady_scopes,
)
from pipeline.store.repetitions import drop_repetitions
from pipeline.store.runs import trusted_starts
from pipeline.store.transitions import FieldsOf, write_transition


class Sighting(Struct, frozen=True):
    """An outcome of a scope at a snapshot; ids are those of the tables."""

    scope: int
    scope_name: str
    outcome: Outcome
    listing: int | None = None
    transition: int | None = None
    since: int | None = None
    flap_level: int | None = None
    error_class: str | None = None
    error: str | None = None
    cure: str | None = None
    added_bytes: int | None = None


class Snapshot(Struct, frozen=True):
    """One run, and how many of its scopes answered, moved, were held or failed.

    Times are ISO 8601 UTC; status is done, partial, failed or imported; `covered` is a row of `coverages`.
    """

    started_at: str
    finished_at: str
    status: str
    covered: int
    scopes: int
    answered: int
    moved: int
    held: int
    failed: int


class PendingRemoval(Struct):
    """The removals of one flap level in a scope's move.

    Args:
        scope: the scope that moved.
        transition: its move.
        since: the first snapshot without the models.
        flap_level: the level.
        misses: how many complete answers lack them.
        counted_at: the start of the run that counted last (ISO 8601 UTC).
        since_at: the start of the first snapshot without them, by the clock of the present run.
        id: the row; None for a new one.
    """

    scope: int
    transition: int
    since: int
    flap_level: int
    misses: int
    counted_at: str
    since_at: str
    id: int | None = None


class HoldRow(NamedTuple):
    """A sighting that holds an answer of a scope, or ends a hold.

    Args:
        outcome: `held`, or one that ends holds.
        snapshot: the run.
        at: its start (ISO 8601 UTC).
        listing: the held or the current listing.
        kind: why it is held.
        began: the snapshot with which the hold began.
        reason: why it is held, for people.
        digest: that of the list; None where the listing has only a part of it.
    """

    outcome: str
    snapshot: int
    at: str
    listing: int | None
    kind: str | None
    began: int
    reason: str | None
    digest: Digest | None


class LargeHold(NamedTuple):
    """A held list that brought many new records.

    Args:
        sighting: the row in `sightings`.
        listing: the list.
        size: how many models it has.
        current: the listing that was the current one then.
        is_history: it was the current listing of a scope since.
    """

    sighting: int
    listing: int
    size: int
    current: int
    is_history: bool


class AnonymousScope(NamedTuple):
    """A scope without a key: its name, the reading of its listing, and its last listings, newest first."""

    name: str
    reading: str
    listings: tuple[int, ...]


_SIGHTING_COLUMNS = (
    *(
        "snapshot",
        "scope",
        "outcome",
        "listing",
        "transition",
        "since",
        "flap_level",
        "error_class",
        "reason",
    ),
    "added_bytes",
)


class EnrolledIds(NamedTuple):
    """The rows of gateways and scopes, by name."""

    gateways: dict[str, int]
    scopes: dict[str, int]


_FEW_ROWS = 1_000


def _user_or_scope(name: str, users: Iterable[str]) -> str:
    """Return the scope of the user for that of a group, and the name of another scope as it is."""
    return next((user for user in users if name.startswith(f"{user}.")), name)


class LedgerWriter:
    """A writer of runs, for an open transaction: in bulk, and only rows that are new."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection = store.connection
        self._writer = BulkWriter(store)
        self._ids = RowIds(store)
        self.flaps = FlapWriter(store, self._writer)
        self._coverages: dict[tuple[int, ...], int] = {}
        self._none_pending = False
        self._may_be_unsteady: bool | None = None

    def listing(self, gateway: int, listing: Listing, read: RecordReader) -> WrittenListing:
        """Write a listing at a gateway, with its records and facts, if it is new."""
        return write_listing(self._writer, self._ids, gateway, listing, read)

    def transition(self, sides: tuple[int, int], changes: Sequence[Change], fields_of: FieldsOf) -> int:
        """Return the id of the transition between two listings; write it with its changes if it is new."""
        return write_transition(self._writer, self._ids, sides, changes, fields_of)

    def enroll(
        self, scopes: Sequence[Scope], dialects: Mapping[str, str], *, asked: bool = True
    ) -> EnrolledIds:
        """Write the rows of gateways and scopes where they differ from the config; return their ids.

        Args:
            scopes: every scope of this run.
            dialects: the dialect that was recognised for a gateway, by its name.
            asked: runs ask these scopes; if not, they are kept as history only.
        """
        self._rename_gateways_of_sites({scope.gateway.name: scope.gateway.url for scope in scopes})
        known = dict(self._store.stream("select name, dialect from gateways"))
        gateways = self._write_named(
            "gateways",
            ("name", "url", "dialect"),
            (
                (
                    gateway.name,
                    gateway.url,
                    dialects.get(gateway.name) or known.get(gateway.name) or gateway.dialect,
                )
                for gateway in {scope.gateway.name: scope.gateway for scope in scopes}.values()
            ),
        )
        columns = ("name", "gateway", "auth", "key_hint", "group_name", "lists_groups", "asked")
        rows = (
            (
                scope.name,
                gateways[scope.gateway.name],
                scope.auth,
                scope.key_hint,
                scope.group,
                int(scope.all_groups),
                int(asked),
            )
            for scope in scopes
        )
        return EnrolledIds(gateways, self._write_named("scopes", columns, rows))

    def _rename_gateways_of_sites(self, urls: Mapping[str, str]) -> None:
        """Give other names to gateways that only other sites have, where one of this database takes theirs.

        One with the same URL is the same gateway; `urls` has those of this database, by name.
        """
        rows = self._store.rows(
            """
            select gateways.id, gateways.name, gateways.url, sites.name as site, min(sites.id) from sites
            join scopes on scopes.site = sites.id
            join gateways on gateways.id = scopes.gateway
            where not exists (
                select 1 from scopes as own where own.gateway = gateways.id and own.site is null)
            group by gateways.id
            """
        )
        self._connection.executemany(
            "update gateways set name = ? where id = ?",
            [
                (f"{row['site']}{SITE_MARK}{row['name']}", row["id"])
                for row in rows
                if urls.get(row["name"], row["url"]) != row["url"]
            ],
        )

    def _write_named(
        self, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]
    ) -> dict[str, int]:
        """Write rows, whose first column is their name, where they differ; return their ids by name."""
        wanted = {row[0]: row for row in rows}
        ids: dict[str, int] = {}
        changed = []
        # Of thousands, reading all rows in their order is faster than looking for each.
        few = len(wanted) <= _FEW_ROWS
        where = " where name in (select value from json_each(:names))" if few else ""
        names = {"names": json.dumps(list(wanted))} if few else {}
        for number, *old in self._store.stream(f"select id, {', '.join(columns)} from {table}{where}", names):  # noqa: S608 - our own names
            row = wanted.get(old[0])
            if row is not None:
                ids[row[0]] = number
                if row != tuple(old):
                    changed.append((*row, number))
        assignments = ", ".join(f"{column} = ?" for column in columns)
        self._connection.executemany(f"update {table} set {assignments} where id = ?", changed)  # noqa: S608 - our own names
        new = [row for name, row in wanted.items() if name not in ids]
        written = self._writer.insert_values(table, columns, len(new), new)
        return ids | dict(zip((row[0] for row in new), written, strict=True))

    def retire_others(self, scope_ids: Collection[int], shard: Shard | None = None) -> None:
        """Mark all scopes except these, which are asked, or all others of a shard as no longer asked.

        Their history stays; scopes of other sites stay as they are. The scopes of a user's groups are in the
        shard of the user's scope.
        """
        ((asked,),) = self._store.stream("select count(*) from scopes where asked and site is null")
        if asked <= len(scope_ids):
            return
        kept = {"kept": json.dumps(sorted(scope_ids))}
        found = self._store.stream(
            """
            select id, name from scopes
            where asked and site is null and id not in (select value from json_each(:kept))
            """,
            kept,
        )
        users = [name for (name,) in self._store.stream("select name from scopes where lists_groups")]
        self.retire([each for each, name in found if not shard or _user_or_scope(name, users) in shard])

    def retire(self, scope_ids: Iterable[int]) -> None:
        """Mark scopes as no longer asked; their history stays."""
        self._connection.executemany(
            "update scopes set asked = 0 where id = ?", [(each,) for each in scope_ids]
        )

    def has_or_misses(self, scope: int, model: str) -> bool:
        """Return whether a scope lists a model, or its removal is pending; True before the first answer."""
        rows = self._store.rows(
            """
            select 1 from scopes where scopes.id = :scope and (scopes.listing is null or exists (
                select 1 from listing_records
                join records on records.id = listing_records.record
                join models on models.id = records.model
                where listing_records.listing = scopes.listing and models.name = :model
            ) or exists (
                select 1 from missing
                join changes on changes.transition = missing.transition and changes.kind = 'removed'
                join models on models.id = changes.model
                where missing.scope = scopes.id and models.name = :model
            ))
            """,
            {"scope": scope, "model": model},
        )
        return bool(rows)

    def coverage(self, scope_ids: Iterable[int]) -> int:
        """Return the id of a set of scopes; write it if it is new."""
        members = tuple(sorted(scope_ids))
        if members not in self._coverages:
            self._coverages[members] = self._coverage(members)
        return self._coverages[members]

    def _coverage(self, members: tuple[int, ...]) -> int:
        digest = set_digest(members)
        found = self._store.rows("select id from coverages where digest = :digest", {"digest": digest})
        if found:
            return int(found[0]["id"])
        (number,) = self._writer.new_ids("coverages", 1)
        add_set(self._connection, number, members)
        return number

    def snapshot(self, snapshot: Snapshot) -> int:
        """Write the row of a run; return its id."""
        return self._writer.insert_one("snapshots", {"name": snapshot.started_at, **asdict(snapshot)})

    def snapshot_without_scopes(self, at: str, *, moved: int) -> int:
        """Write the row of a run at a time that asked no scope and moved some; return its id."""
        counts = {"scopes": 0, "answered": 0, "moved": moved, "held": 0, "failed": 0}
        return self.snapshot(Snapshot(at, at, "done", self.coverage([]), **counts))

    def sightings(self, snapshot: int, sightings: Sequence[Sighting]) -> list[int]:
        """Write sightings and point each scope at its last one; return their ids."""
        if not sightings:
            return []
        if any(sighting.flap_level is not None for sighting in sightings):
            self._may_be_unsteady = None
        texts = {(each.error, each.cure) for each in sightings if each.error is not None}
        reasons = write_reasons(self._writer, sorted(texts, key=str))
        ids = self._writer.insert_values(
            "sightings",
            _SIGHTING_COLUMNS,
            len(sightings),
            (
                (
                    snapshot,
                    each.scope,
                    str(each.outcome),
                    each.listing,
                    each.transition,
                    each.since,
                    each.flap_level,
                    each.error_class,
                    None if each.error is None else reasons[each.error, each.cure],
                    each.added_bytes,
                )
                for each in sightings
            ),
        )
        self._connection.executemany(
            "update scopes set sighting = ? where id = ?",
            ((number, sighting.scope) for number, sighting in zip(ids, sightings, strict=True)),
        )
        return list(ids)

    def point(self, states: Iterable[ScopeState]) -> None:
        """Write the pointers of scopes, and what describes their last accepted answers."""
        self._connection.executemany(
            """
            update scopes set listing = :listing, held = :held, fingerprint = :fingerprint,
                              etag = :etag, last_modified = :last_modified, left_out = :left_out,
                              price_advice = :price_advice
            where id = :id
            """,
            map(asdict, states),
        )

    def pending_removals(self, at: str) -> list[PendingRemoval]:
        """Return the removals that are not confirmed yet.

        Args:
            at: the start of the run (ISO 8601 UTC) by whose clock they began; see `trusted_starts`.
        """
        if self._none_pending:
            return []
        found = self._store.rows(
            """
            select scope, transition, since, flap_level, misses, counted_at, id from missing
            where scope not in (select id from scopes where site is not null) order by id
            """
        )
        self._none_pending = not found
        starts = trusted_starts(self._store, {row["since"] for row in found}, at)
        return [PendingRemoval(**row, since_at=starts[row["since"]]) for row in found]

    def update_pending(self, counted: Iterable[PendingRemoval], settled: Iterable[int]) -> None:
        """Write the misses of pending removals, old and new, and drop those that are settled, by id."""
        self._connection.executemany("delete from missing where id = ?", [(number,) for number in settled])
        new, known = [], []
        for removal in counted:
            self._none_pending = False
            row = asdict(removal)
            del row["since_at"]
            row["name"] = "missed once" if removal.misses == 1 else f"missed {removal.misses} times"
            if removal.id is None:
                del row["id"]
                new.append(row)
            else:
                known.append(row)
        self._connection.executemany(
            "update missing set misses = :misses, counted_at = :counted_at, name = :name where id = :id",
            known,
        )
        self._writer.insert_new("missing", new)

    def flap_levels(self, sightings: Iterable[int]) -> dict[tuple[int, int], int]:
        """Return the flap level of each model that moves removed, by sighting and model."""
        moved = list(sightings)
        return flap_levels(self._store, moved) if moved else {}

    def hold_rows(self, since: str, until: str) -> dict[int, list[HoldRow]]:
        """Return the sightings of the holds since a time, and of those open then, by scope.

        The runs since a time are those from the first one between `since` and `until`, the time now (both ISO
        8601 UTC): a clock may have been wrong.
        """
        (first,) = self._store.rows(
            """
            select coalesce(
                (select min(id) from snapshots where started_at >= :since and started_at <= :until),
                (select max(id) + 1 from snapshots)) as run
            """,
            {"since": since, "until": until},
        )
        rows = self._store.stream(
            f"""
            select sightings.scope, sightings.outcome, sightings.snapshot, snapshots.started_at,
                   sightings.listing, sightings.error_class, coalesce(sightings.since, sightings.snapshot),
                   reasons.name, iif(sightings.shortened_from is null, listings.digest, null)
            from (select id from scopes where held is not null
                  union select scope from sightings where snapshot >= :first and +outcome = 'held') as held
            left join sightings as early on early.id = (
                select ended.id from sightings as ended
                where ended.scope = held.id and ended.snapshot < :first
                and ended.outcome in {HOLD_OUTCOMES} and ended.outcome <> 'held'
                order by ended.snapshot desc, ended.id desc limit 1)
            cross join sightings on sightings.scope = held.id and sightings.outcome in {HOLD_OUTCOMES}
                and sightings.snapshot >= coalesce(early.snapshot, 0)
                and sightings.id > coalesce(early.id, 0)
            join snapshots on snapshots.id = sightings.snapshot
            left join listings on listings.id = sightings.listing
            left join reasons on reasons.id = sightings.reason
            order by sightings.scope, sightings.id
            """,  # noqa: S608 - constants only
            {"first": first["run"]},
        )
        found: dict[int, list[HoldRow]] = {}
        for scope, *row in rows:
            found.setdefault(scope, []).append(HoldRow(*row))
        return found

    def added_by_hold(self, listing: int) -> int | None:
        """Return the bytes that a listing brought when it was first held; None where few, or never held."""
        (row,) = self._store.rows(
            "select max(added_bytes) as added from sightings where listing = :listing", {"listing": listing}
        )
        added: int | None = row["added"]
        return added

    def drop_repetitions(self, scopes: Iterable[int], at: str) -> None:
        """Delete the sightings of the problems of scopes that repeat others, at the start of a run."""
        drop_repetitions(self._store, scopes, at)

    def large_holds(self, scope: int) -> list[LargeHold]:
        """Return the held lists of a scope that are kept whole and brought many new records, newest first."""
        rows = self._store.rows(
            f"""
            select held.id as sighting, held.listing, listings.size, (
                       select last.listing from sightings as last
                       where last.scope = held.scope and last.id < held.id and last.outcome in {SETS_LISTING}
                       order by last.id desc limit 1) as current,
                   exists (select 1 from sightings as other
                           where other.listing = held.listing and other.outcome <> 'held') as is_history
            from sightings as held join listings on listings.id = held.listing
            where held.scope = :scope and held.outcome = 'held' and held.added_bytes is not null
            order by held.id desc
            """,  # noqa: S608 - constants only
            {"scope": scope},
        )
        return [LargeHold(**row) for row in rows]

    def shorten_hold(self, hold: LargeHold, listing: int | None) -> None:
        """Let a held answer have a listing with a part of its models; with None, it keeps its own."""
        self._connection.execute(
            """
            update sightings set added_bytes = null, listing = coalesce(:listing, listing),
                   shortened_from = iif(:listing is null, null, :size)
            where id = :sighting
            """,
            {"sighting": hold.sighting, "listing": listing, "size": hold.size},
        )

    def drop_listing(self, listing: int) -> bool:
        """Delete a listing, and the records that only it has, if nothing refers to it; return whether."""
        rows = self._store.rows(
            """
            select exists (select 1 from sightings where listing = :listing)
                   or exists (select 1 from scopes where listing = :listing)
                   or exists (select 1 from scopes where held = :listing)
                   or exists (select 1 from transitions where before = :listing)
                   or exists (select 1 from transitions where after = :listing) as is_needed
            """,
            {"listing": listing},
        )
        if rows[0]["is_needed"]:
            return False
        drop_listing(self._store, listing)
        self._ids = RowIds(self._store)
        return True

    def anonymous_scopes(self, gateway: str, at_most: int) -> list[AnonymousScope]:
        """Return the anonymous scopes of a gateway that are asked, with so many of their last listings."""
        rows = self._store.rows(
            f"""
            select scopes.name, listings.reading, sightings.listing from gateways
            join scopes on scopes.gateway = gateways.id and scopes.auth = 'anonymous' and scopes.asked
                and scopes.site is null
            join listings on listings.id = scopes.listing
            join sightings on sightings.scope = scopes.id and sightings.outcome in {SETS_LISTING}
            where gateways.name = :gateway and sightings.id in (
                select last.id from sightings as last
                where last.scope = scopes.id and last.outcome in {SETS_LISTING}
                order by last.id desc limit :at_most)
            order by scopes.id, sightings.id desc
            """,  # noqa: S608 - constants only
            {"gateway": gateway, "at_most": at_most},
        )
        found: dict[tuple[str, str], list[int]] = {}
        for row in rows:
            found.setdefault((row["name"], row["reading"]), []).append(row["listing"])
        return [AnonymousScope(*key, tuple(listings)) for key, listings in found.items()]

    def accepted_parts(self) -> frozenset[int]:
        """Return the scopes whose current listing `accept` took, held since it may have more pages."""
        rows = self._store.stream(
            """
            select moved.scope from snapshots
            join sightings as moved on moved.snapshot = snapshots.id
            join sightings as held on held.id = (
                select before.id from sightings as before
                where before.scope = moved.scope and before.snapshot <= moved.snapshot
                and +before.outcome = 'held' and before.id < moved.id
                order by before.snapshot desc, before.id desc limit 1)
            where snapshots.covered = (select id from coverages where digest = :empty)
            and moved.id = (
                select last.id from sightings as last
                where last.scope = moved.scope and +last.outcome in ('baseline', 'moved')
                order by last.snapshot desc, last.id desc limit 1)
            and held.error_class = 'incomplete' and held.listing = moved.listing
            """,
            {"empty": set_digest(())},
        )
        return frozenset(scope for (scope,) in rows)

    def last_problems(self, kinds: Iterable[ProblemKind]) -> dict[ProblemKind, LastProblem]:
        """Return the last problems of scopes, by scope and kind, of those that had one."""
        return last_problems(self._store, kinds)

    def unsteady_scopes(self, at: str) -> list[UnsteadyScope]:
        """Return the scopes that are unsteady at a time (ISO 8601 UTC)."""
        if self._may_be_unsteady is None:
            self._may_be_unsteady = has_unsteady(self._store)
        return unsteady_scopes(self._store, at) if self._may_be_unsteady else []

    def held_since(self, scope: int) -> int | None:
        """Return the snapshot at which a scope's answer was last held."""
        ((snapshot,),) = self._connection.execute(
            "select max(snapshot) from sightings where scope = ? and outcome = 'held'", [scope]
        ).fetchall()
        return None if snapshot is None else int(snapshot)

    def is_missing(self, transition: int, listing: int) -> bool:
        """Return whether a listing still lacks any model that a transition removed."""
        rows = self._store.rows(
            """
            select 1 from changes where transition = :transition and kind = 'removed' and not exists (
                select 1 from records cross join listing_records
                    on listing_records.listing = :listing and listing_records.record = records.id
                where records.model = changes.model
            ) limit 1
            """,
            {"transition": transition, "listing": listing},
        )
        return bool(rows)
