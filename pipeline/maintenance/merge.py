"""Merge the database of another site: what it recorded joins the history, with the name of the site.

The history of another site is appended. Its runs become snapshots of the status `imported`, so that, as with
imported answers, ids are in order of time within a scope and windows of time compare times. The columns
`source` of `snapshots` and `sightings` have the ids at the site, by which the next merge continues.

Content is matched by its natural keys: a gateway by name and URL, a record and a listing by digest, a field
by its path and class. What is known already is not stored again, so that scopes of several sites with the
same list share it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from pipeline.core.text import quoted
from pipeline.core.times import minute
from pipeline.core.types import SITE_MARK, is_valid_name, split_site
from pipeline.errors import QuestionError, StoreError
from pipeline.gateways.dialects import AUTO
from pipeline.maintenance.facts import DialectsOf, correct_facts
from pipeline.maintenance.joined_rows import JoinedRows, new, own, own_sighting
from pipeline.maintenance.rebuild import correct_changes, refuse_damage
from pipeline.store import LedgerWriter, Store
from pipeline.store.bulk import BulkWriter
from pipeline.store.database import store_errors
from pipeline.store.outcomes import PROBLEMS, SETS_LISTING
from pipeline.store.reasons import drop_unused_reasons


class MergeResult(Struct, frozen=True):
    """What joined the history.

    Args:
        site: the name of the site.
        runs: how many runs joined; 0 where all were known.
        since: the start of the first of them (ISO 8601 UTC).
        until: the start of the last one.
        scopes: how many scopes of the site are in the history.
        new_scopes: how many of them joined now.
        sightings: how many outcomes of scopes joined.
        moved: how many of these changed the current listing of a scope.
        forgotten: the scopes that were left out, since they were forgotten here; sorted, without the site.
        other_sites: the sites that are merged in the other database itself; they are left out.
    """

    site: str
    runs: int = 0
    since: str | None = None
    until: str | None = None
    scopes: int = 0
    new_scopes: int = 0
    sightings: int = 0
    moved: int = 0
    forgotten: tuple[str, ...] = ()
    other_sites: tuple[str, ...] = ()


def require_site_name(site: str) -> None:
    """Raise an error unless a text can be the name of a site.

    Raises:
        QuestionError: it cannot.
    """
    if not is_valid_name(site):
        raise QuestionError(
            f"{quoted(site)} is not a valid name of a site:"
            " use letters, digits and _ . - + @, and begin with a letter or digit"
        )


class OtherDatabase(Struct, frozen=True):
    """The database of another site: its path for messages, and that of a copy; see `working_copy`."""

    path: Path
    copy: Path


def merge(
    store: Store, other: OtherDatabase, site: str, dialects_of: DialectsOf, *, at: str, report: bool = False
) -> MergeResult:
    """Write what another site recorded since the last merge, all or nothing.

    Args:
        store: an open database; the caller holds its lock.
        other: the other database, with the present schema.
        site: the name of the site, which `require_site_name` accepts.
        dialects_of: returns the dialects that may have parsed a listing.
        at: the time now (ISO 8601 UTC).
        report: what joins is news of the next report; otherwise it is history only.

    Raises:
        StoreError: the other history is damaged, or does not continue what was merged; nothing was written.
    """
    with _attached(store, other):
        merger = _Merger(store, other, site)
        if not merger.has_news():
            return merger.nothing()
        with Store.read(other.copy) as theirs:
            theirs.path = other.path
            refuse_damage(theirs)
        with store.transaction():
            return merger.write(dialects_of, at=at, report=report)


def merged_already(store: Store, other: OtherDatabase, site: str) -> MergeResult | None:
    """Return the result of a merge by which nothing would join; None where something would. Write nothing.

    Raises:
        StoreError: the other history does not continue what was merged.
    """
    if not store.rows("select 1 from main.sqlite_master where name = 'sites'"):
        # It is empty, or is migrated by what writes it.
        return None
    with _attached(store, other):
        merger = _Merger(store, other, site)
        return None if merger.has_news() else merger.nothing()


@contextmanager
def _attached(store: Store, other: OtherDatabase) -> Iterator[None]:
    """Let a database be `theirs` in the block: https://www.sqlite.org/lang_attach.html."""
    with store_errors(other.path):
        store.connection.execute("attach cast(? as text) as theirs", [os.fsencode(other.copy.absolute())])
    try:
        yield
    finally:
        for (table,) in list(store.stream("select name from temp.sqlite_master where type = 'table'")):
            store.connection.execute(f"drop table temp.{table}")
        store.connection.execute("detach theirs")


class _Merger:
    """A merge of the attached database `theirs`."""

    def __init__(self, store: Store, other: OtherDatabase, site: str) -> None:
        self._store = store
        self._path = other.path
        self._site = site
        self._prefix = f"{site}{SITE_MARK}"
        rows = store.rows("select id, newest, forgotten from sites where name = :site", {"site": site})
        self._newest: int = rows[0]["newest"] if rows else 0
        self._forgotten: list[str] = json.loads(rows[0]["forgotten"]) if rows else []
        self._joined = JoinedRows(
            store, site=rows[0]["id"] if rows else None, newest=self._newest, prefix=self._prefix
        )

    def _refusal(self, message: str) -> StoreError:
        """Return the error of a history that does not continue what was merged."""
        return StoreError(
            f"{message}; nothing was merged: merge it as another site, or drop what was merged of this one by"
            f" `modelwatch forget '{self._prefix}*'` and merge again",
            path=self._path,
        )

    # What would join.

    def has_news(self) -> bool:
        """Return whether the other database has runs that are not merged yet.

        Raises:
            StoreError: its history is not the one that was merged before.
        """
        if self._newest:
            self._refuse_other_history()
        return bool(self._joined.value(f"select exists ({_NEW_RUNS})"))

    def _refuse_other_history(self) -> None:
        """Raise `StoreError` if the other history differs in a merged run, or in all of its scopes."""
        differing = self._joined.rows(_DIFFERING_RUN)
        if differing:
            theirs, ours = (minute(differing[0][side]) for side in ("theirs", "ours"))
            raise self._refusal(
                f"is another history than that of {self._site}: it has a run of {theirs} in place of that of"
                f" {ours}"
            )
        if not self._joined.value(_HAS_KNOWN_SCOPE):
            raise self._refusal(f"is another history than that of {self._site}: it has none of its scopes")
        earlier = self._joined.rows(_RUN_BEFORE_MERGED)
        if earlier:
            theirs, ours = (minute(earlier[0][side]) for side in ("theirs", "ours"))
            raise self._refusal(
                f"has a run of {theirs} that is not merged, and {self._site} is merged until {ours}"
            )

    def nothing(self) -> MergeResult:
        """Return the result where nothing joins."""
        return MergeResult(self._site, scopes=self._scopes(), other_sites=self._other_sites())

    def _scopes(self) -> int:
        return int(self._joined.value("select count(*) from main.scopes where site = :site"))

    def _other_sites(self) -> tuple[str, ...]:
        return tuple(row["name"] for row in self._joined.rows("select name from theirs.sites order by name"))

    # Writing.

    def write(self, dialects_of: DialectsOf, *, at: str, report: bool) -> MergeResult:
        """Write what is new; must run inside a transaction."""
        self._write_site()
        self._join_gateways()
        forgotten = self._join_scopes()
        self._refuse_gaps()
        self._join_runs(is_news=report)
        self._join_content()
        self._write_sightings()
        self._write_states()
        self._drop_what_was_dropped()
        self._correct_derived(dialects_of)
        result = self._result(forgotten)
        self._joined.run(
            "update sites set newest = :last, forgotten = :forgotten where id = :site",
            last=self._joined.value("select max(id) from theirs.snapshots where site is null"),
            forgotten=json.dumps(forgotten),
        )
        if report:
            # The next report ends with it, as after `accept`.
            LedgerWriter(self._store).snapshot_without_scopes(at, moved=result.moved)
        return result

    def _write_site(self) -> None:
        if self._joined.parameters["site"] is None:
            row = {"name": self._site, "newest": 0, "forgotten": "[]"}
            self._joined.parameters["site"] = BulkWriter(self._store).insert_one("sites", row)

    def _join_gateways(self) -> None:
        """Find the gateways of the site here, by name and URL; write those that are new.

        One whose scopes were merged before stays the same, whatever its URL is now.
        """
        self._joined.run(
            "create temp table joined_gateways (source integer primary key, id integer, is_new integer)"
        )
        ours = self._joined.rows("select id, name, url from main.gateways order by id")
        names = {row["name"] for row in ours}
        known = {(split_site(row["name"])[1], row["url"]): row["id"] for row in reversed(ours)}
        for row in self._joined.rows(_GATEWAYS):
            name = split_site(row["name"])[1]
            number = row["known"] or known.get((name, row["url"]))
            if number is None:
                own = name
                while own in names:
                    own = f"{self._prefix}{own}"
                names.add(own)
                new = {"own": own, "url": row["url"], "dialect": row["dialect"]}
                self._joined.run(
                    "insert into gateways (name, url, dialect) values (:own, :url, :dialect)", **new
                )
                number = self._joined.value("select id from main.gateways where name = :own", own=own)
            else:
                # An answer may have been recognised since.
                recognised = (
                    "update main.gateways set dialect = :dialect where id = :number and dialect = :auto"
                )
                self._joined.run(recognised, dialect=row["dialect"], number=number, auto=AUTO)
            self._joined.run(
                "insert into temp.joined_gateways values (:source, :number, 0)",
                source=row["id"],
                number=number,
            )

    def _join_scopes(self) -> list[str]:
        """Find the scopes of the site here, and write those that are new; return the forgotten ones."""
        self._joined.join("scopes", _JOINING_SCOPES, _SAME_SCOPE)
        left_out = [row["name"] for row in self._joined.rows(_LEFT_OUT_SCOPES)]
        unknown = [name for name in left_out if name not in self._forgotten]
        if unknown:
            scope = f"{self._prefix}{unknown[0]}"
            raise StoreError(
                f"{unknown[0]} is older than the last merge, and there is no {scope} here; nothing was"
                f" merged: if it was renamed at the site, `modelwatch rename {self._prefix}OLD {scope}` here,"
                " and merge again",
                path=self._path,
            )
        pointers = dict.fromkeys(
            ("listing", "held", "sighting", "fingerprint", "etag", "last_modified"), "null"
        )
        self._joined.insert("scopes", name=":prefix || theirs.name", site=":site", **pointers)
        return left_out

    def _refuse_gaps(self) -> None:
        """Raise `StoreError` if the new history of a scope does not follow that which was merged."""
        for row in self._joined.rows(_GAP):
            raise StoreError(
                f"the history of {row['name']} begins anew at the site, after {minute(row['at'])};"
                f" nothing was merged: `modelwatch forget {row['name']}`, and merge again",
                path=self._path,
            )

    def _join_runs(self, *, is_news: bool) -> None:
        """Write the new runs, with the sets of scopes that they asked."""
        self._joined.join(
            "coverages", "select covered from theirs.snapshots where id > :newest and site is null", "0"
        )
        ledger = LedgerWriter(self._store)
        for row in self._joined.rows("select source from temp.joined_coverages order by source"):
            members = self._joined.rows(_MEMBERS, **row)
            self._joined.run(
                "update temp.joined_coverages set id = :number where source = :source",
                number=ledger.coverage(each["id"] for each in members),
                **row,
            )
        known = (
            "select ours.id from main.snapshots as ours where ours.site = :site and ours.source = theirs.id"
        )
        self._joined.join("snapshots", "select id from theirs.snapshots where site is null", known)
        # Runs that were pruned at the site.
        self._joined.run(
            "insert or ignore into temp.joined_snapshots"
            " select source, id, 0 from main.snapshots where site = :site"
        )
        # Runs that were pruned here.
        self._joined.run("delete from temp.joined_snapshots where is_new and source <= :newest")
        self._joined.insert(
            "snapshots",
            status="'imported'",
            site=":site",
            source="theirs.id",
            news=f"theirs.status <> 'imported' and {int(is_news)}",
        )

    def _join_content(self) -> None:
        """Write what the new sightings and the states of scopes need, as far as it is new."""
        self._joined.create("new_sightings", _NEW_SIGHTINGS)
        self._joined.create("changed_holds", _CHANGED_HOLDS)
        self._joined.create("needed_transitions", _NEEDED_TRANSITIONS)
        self._joined.join("listings", _NEEDED_LISTINGS, _SAME_LISTING)
        self._joined.join("transitions", "select id from temp.needed_transitions", _SAME_TRANSITION)
        self._joined.join(
            "changes",
            f"select id from theirs.changes where transition in ({new('transitions')})",  # noqa: S608 - our own words
            "null",
        )
        self._joined.create("needed_records", _NEEDED_RECORDS)
        self._joined.join("models", _NEEDED_MODELS, _SAME_MODEL)
        self._joined.join("records", "select id from temp.needed_records", _SAME_RECORD)
        changed = (
            "select field from theirs.field_changes where change in (select source from temp.joined_changes)"
        )
        self._joined.join("fields", changed, _SAME_FIELD)
        self._joined.join(
            "reasons",
            _NEEDED_REASONS,
            "select id from main.reasons as ours where ours.digest = theirs.digest",
        )
        for table in ("models", "records", "listings", "transitions", "changes", "fields", "reasons"):
            self._joined.insert(table)
        for table, parent, column in (
            ("permissions", "records", "record"),
            ("record_prices", "records", "record"),
            ("listing_records", "listings", "listing"),
            ("field_changes", "changes", "change"),
        ):
            self._joined.insert_children(table, f"theirs.{column} in ({new(parent)})")

    def _write_sightings(self) -> None:
        self._joined.join("sightings", "select id from temp.new_sightings", "null")
        self._joined.insert("sightings", source="theirs.id")
        self._joined.run(_UPDATE_HOLDS)

    def _write_states(self) -> None:
        """Let the scopes of the site be in the state that they have there."""
        self._joined.run(_UPDATE_SCOPES)
        self._joined.run(_RETIRE_SCOPES)
        self._joined.create("now_missing", _NOW_MISSING)
        for statement in _WRITE_MISSING:
            self._joined.run(statement)
        self._joined.create("now_flaps", _NOW_FLAPS)
        for statement in _WRITE_FLAPS:
            self._joined.run(statement)
        in_new = "theirs.sighting in (select id from temp.new_sightings)"
        self._joined.insert_children("regains", in_new, sighting=own_sighting("theirs.sighting"))
        self._joined.insert_children(
            "departures",
            f"theirs.scope in ({new('scopes')})",
            sighting=f"coalesce({own_sighting('theirs.sighting')}, 0)",
        )

    def _drop_what_was_dropped(self) -> None:
        """Drop the sightings of problems and the held lists that the site has dropped since.

        Those in reports that wait to be sent stay.
        """
        dropped = self._joined.rows(_REPETITIONS)
        self._joined.run(
            "delete from main.sightings where id in (select value from json_each(:dropped))",
            dropped=json.dumps([row["id"] for row in dropped]),
        )
        drop_unused_reasons(self._store, [row["reason"] for row in dropped if row["reason"] is not None])
        ledger = LedgerWriter(self._store)
        for row in self._joined.rows("select distinct before as listing from temp.changed_holds order by 1"):
            ledger.drop_listing(row["listing"])

    def _correct_derived(self, dialects_of: DialectsOf) -> None:
        """Derive facts and changes by the rules of this program and config."""
        records, transitions = (
            {row["id"] for row in self._joined.rows(f"select id from temp.joined_{table} where is_new")}  # noqa: S608 - our own names
            for table in ("records", "transitions")
        )
        if records:
            correct_facts(self._store, dialects_of, only=records)
        if transitions:
            correct_changes(self._store, dialects_of, only=transitions)

    def _result(self, forgotten: list[str]) -> MergeResult:
        (runs,) = self._joined.rows(
            """
            select count(*) as runs, min(started_at) as since, max(started_at) as until from main.snapshots
            where id in (select id from temp.joined_snapshots where is_new)
            """
        )
        (sightings,) = self._joined.rows(
            """
            select count(*) as sightings, coalesce(sum(outcome = 'moved'), 0) as moved from theirs.sightings
            where id in (select id from temp.new_sightings)
            """
        )
        return MergeResult(
            self._site,
            scopes=self._scopes(),
            new_scopes=self._joined.value("select count(*) from temp.joined_scopes where is_new"),
            forgotten=tuple(forgotten),
            other_sites=self._other_sites(),
            **runs,
            **sightings,
        )


_NEW_RUNS = "select 1 from theirs.snapshots where site is null and id > :newest"

_DIFFERING_RUN = """
    select theirs.started_at as theirs, ours.started_at as ours from main.snapshots as ours
    join theirs.snapshots as theirs on theirs.id = ours.source
    where ours.site = :site and (theirs.site is not null
        or (theirs.started_at, theirs.finished_at) <> (ours.started_at, ours.finished_at))
    order by ours.id limit 1
"""

_HAS_KNOWN_SCOPE = """
    select exists (
        select 1 from theirs.scopes as theirs
        join main.scopes as ours on ours.name = :prefix || theirs.name and ours.site = :site
        where theirs.site is null)
"""

_RUN_BEFORE_MERGED = """
    select new.started_at as theirs, last.at as ours from theirs.snapshots as new
    join (select max(started_at) as at from main.snapshots where site = :site) as last
    where new.site is null and new.id > :newest and new.status <> 'imported' and new.started_at < last.at
    and not exists (select 1 from theirs.snapshots where id = :newest) limit 1
"""
"""A run before the last merged one, which is lacking there: it was pruned, or the history is another one."""

_GATEWAYS = """
    select gateways.id, gateways.name, gateways.url, gateways.dialect, (
        select ours.gateway from theirs.scopes as theirs
        join main.scopes as ours on ours.name = :prefix || theirs.name and ours.site = :site
        where theirs.gateway = gateways.id and theirs.site is null limit 1) as known
    from theirs.gateways where id in (select gateway from theirs.scopes where site is null) order by id
"""

_SAME_SCOPE = (
    "select ours.id from main.scopes as ours where ours.name = :prefix || theirs.name and ours.site = :site"
)

_OLD_SIGHTING = (
    "select 1 from theirs.sightings as old where old.scope = scopes.id and old.snapshot <= :newest"
)

_KNOWN_HERE = (
    "select 1 from main.scopes as ours where ours.name = :prefix || scopes.name and ours.site = :site"
)

_JOINING_SCOPES = f"""
    select id from theirs.scopes as scopes
    where site is null and (exists ({_KNOWN_HERE}) or not exists ({_OLD_SIGHTING}))
"""  # noqa: S608 - our own words

_LEFT_OUT_SCOPES = """
    select name from theirs.scopes
    where site is null and id not in (select source from temp.joined_scopes) order by name
"""

_GAP = f"""
    select ours.name, coalesce((
        select max(run.started_at) from main.sightings
        join main.snapshots as run on run.id = sightings.snapshot
        where sightings.scope = ours.id), '') as at
    from temp.joined_scopes as joined
    join main.scopes as ours on ours.id = joined.id
    left join main.listings as own on own.id = ours.listing
    left join theirs.listings as last on last.id = (
        select listing from theirs.sightings
        where scope = joined.source and snapshot <= :newest and outcome in {SETS_LISTING}
        order by id desc limit 1)
    where not joined.is_new and (own.digest is not last.digest or own.reading is not last.reading)
    and exists (select 1 from theirs.sightings where scope = joined.source and snapshot > :newest)
    order by ours.name limit 1
"""  # noqa: S608 - our own words

_MEMBERS = """
    select joined.id from theirs.coverage_scopes as members
    join temp.joined_scopes as joined on joined.source = members.scope
    where members.coverage = :source order by joined.id
"""

_NEW_SIGHTINGS = """
    select id from theirs.sightings
    where snapshot > :newest and scope in (select source from temp.joined_scopes)
"""

_CHANGED_HOLDS = """
    select ours.id, ours.listing as before, theirs.id as source from main.snapshots as run
    join main.sightings as ours on ours.snapshot = run.id and +ours.outcome = 'held'
    join theirs.sightings as theirs on theirs.id = ours.source and theirs.outcome = 'held'
    where run.site = :site and (ours.added_bytes is not theirs.added_bytes
        or ours.shortened_from is not theirs.shortened_from)
"""
"""The held lists that the site has shortened since."""

_UPDATE_HOLDS = f"""
    update main.sightings set listing = now.listing, added_bytes = now.added_bytes,
        shortened_from = now.shortened_from
    from (
        select held.id, {own("listings", "listing")} as listing, theirs.added_bytes, theirs.shortened_from
        from temp.changed_holds as held join theirs.sightings as theirs on theirs.id = held.source) as now
    where sightings.id = now.id
"""  # noqa: S608 - our own words

_NEEDED_TRANSITIONS = """
    select transition as id from theirs.sightings
    where id in (select id from temp.new_sightings) and transition is not null
    union select transition from theirs.missing where scope in (select source from temp.joined_scopes)
"""

_NEEDED_LISTINGS = """
    select listing from theirs.sightings where id in (select id from temp.new_sightings)
    union select listing from theirs.sightings where id in (select source from temp.changed_holds)
    union select before from theirs.transitions where id in (select id from temp.needed_transitions)
    union select after from theirs.transitions where id in (select id from temp.needed_transitions)
    union select listing from theirs.scopes where id in (select source from temp.joined_scopes)
    union select held from theirs.scopes where id in (select source from temp.joined_scopes)
"""

_NEEDED_RECORDS = f"""
    select record as id from theirs.listing_records where listing in ({new("listings")})
    union select before from theirs.changes
        where id in (select source from temp.joined_changes) and before is not null
    union select after from theirs.changes
        where id in (select source from temp.joined_changes) and after is not null
    union select record from theirs.regains where sighting in (select id from temp.new_sightings)
    union select record from theirs.departures where scope in ({new("scopes")})
"""  # noqa: S608 - our own words

_NEEDED_MODELS = f"""
    select model from theirs.records where id in (select id from temp.needed_records)
    union select model from theirs.changes where id in (select source from temp.joined_changes)
    union select model from theirs.flaps where scope in (select source from temp.joined_scopes)
    union select model from theirs.regains where sighting in (select id from temp.new_sightings)
    union select model from theirs.departures where scope in ({new("scopes")})
"""  # noqa: S608 - our own words

_NEEDED_REASONS = """
    select reason from theirs.sightings where id in (select id from temp.new_sightings)
"""

_SAME_LISTING = f"""
    select min(ours.id) from main.listings as ours
    where ours.gateway = {own("gateways", "gateway")} and ours.digest = theirs.digest
    and ours.reading = theirs.reading
"""  # noqa: S608 - our own words

_SAME_TRANSITION = f"""
    select ours.id from main.transitions as ours
    where ours.before = {own("listings", "before")} and ours.after = {own("listings", "after")}
"""  # noqa: S608 - our own words

_SAME_MODEL = f"""
    select ours.id from main.models as ours
    where ours.gateway = {own("gateways", "gateway")} and ours.name = theirs.name
"""  # noqa: S608 - our own words

_SAME_RECORD = f"""
    select ours.id from main.records as ours
    where ours.model = {own("models", "model")} and ours.digest = theirs.digest
"""  # noqa: S608 - our own words

_SAME_FIELD = """
    select ours.id from main.fields as ours where ours.name = theirs.name and ours.class = theirs.class
    and coalesce(ours.shape_of, '') = coalesce(theirs.shape_of, '')
"""

_STATE_COLUMNS = (
    "auth",
    "key_hint",
    "group_name",
    "lists_groups",
    "asked",
    "listing",
    "held",
    "sighting",
    "left_out",
    "price_advice",
)

_UPDATE_SCOPES = f"""
    update main.scopes set {", ".join(f"{column} = now.{column}" for column in _STATE_COLUMNS)}
    from (
        select joined.id as own, theirs.auth, theirs.key_hint, theirs.group_name, theirs.lists_groups,
               theirs.asked, {own("listings", "listing")} as listing, {own("listings", "held")} as held,
               (select ours.id from main.sightings as ours
                where ours.scope = joined.id and ours.source = theirs.sighting) as sighting,
               theirs.left_out, theirs.price_advice
        from temp.joined_scopes as joined cross join theirs.scopes as theirs on theirs.id = joined.source
    ) as now
    where scopes.id = now.own
    and ({" or ".join(f"scopes.{column} is not now.{column}" for column in _STATE_COLUMNS)})
"""  # noqa: S608 - our own words

_RETIRE_SCOPES = """
    update main.scopes set asked = 0
    where site = :site and asked and id not in (select id from temp.joined_scopes)
"""

_NOW_MISSING = f"""
    select theirs.id as source, theirs.name, {own("scopes", "scope")} as scope,
           {own("transitions", "transition")} as transition, {own("snapshots", "since")} as since,
           theirs.flap_level, theirs.misses, theirs.counted_at
    from theirs.missing as theirs where theirs.scope in (select source from temp.joined_scopes)
"""  # noqa: S608 - our own words

_SAME_MISSING = """
    now.scope = missing.scope and now.transition = missing.transition and now.since = missing.since
    and now.flap_level = missing.flap_level
"""

_WRITE_MISSING = (
    f"""
    delete from main.missing where scope in (select id from main.scopes where site = :site)
    and not exists (select 1 from temp.now_missing as now where {_SAME_MISSING})
    """,  # noqa: S608 - our own words
    f"""
    update main.missing set name = now.name, misses = now.misses, counted_at = now.counted_at
    from temp.now_missing as now where {_SAME_MISSING}
    """,  # noqa: S608 - our own words
    f"""
    insert into main.missing (name, scope, transition, since, flap_level, misses, counted_at)
    select name, scope, transition, since, flap_level, misses, counted_at from temp.now_missing as now
    where not exists (select 1 from main.missing where {_SAME_MISSING}) order by source
    """,  # noqa: S608 - our own words
)

_NEWS = f"""(
    select json_group_array(id) from (
        select ours.id from json_each(theirs.news) as each
        join main.sightings as ours on ours.scope = {own("scopes", "scope")} and ours.source = each.value
        order by ours.id))"""  # noqa: S608 - our own words

_NOW_FLAPS = f"""
    select * from (
        select theirs.id as source, theirs.name, {own("scopes", "scope")} as scope,
               {own("models", "model")} as model, theirs.field, theirs.before, theirs.after, theirs.began_at,
               theirs.changes, theirs.changed_at, theirs.answers, theirs.counted_at,
               coalesce({own_sighting("theirs.announced")}, 0) as announced, {_NEWS} as news, theirs.repeated,
               {own_sighting("theirs.ended")} as ended, theirs.ended is null as is_open
        from theirs.flaps as theirs where theirs.scope in (select source from temp.joined_scopes))
    where is_open or ended is not null
"""  # noqa: S608 - our own words
"""An episode whose end was pruned here is left out."""

_FLAP_COLUMNS = (
    "name",
    "before",
    "after",
    "began_at",
    "changes",
    "changed_at",
    "answers",
    "counted_at",
    "news",
    "repeated",
    "ended",
)

_SAME_FLAP = """
    now.scope = flaps.scope and now.model = flaps.model and now.field = flaps.field
    and now.announced = flaps.announced
"""

_WRITE_FLAPS = (
    f"""
    update main.flaps set {", ".join(f"{column} = now.{column}" for column in _FLAP_COLUMNS)}
    from temp.now_flaps as now where {_SAME_FLAP}
    """,  # noqa: S608 - our own words
    f"""
    insert into main.flaps (scope, model, field, announced, {", ".join(_FLAP_COLUMNS)})
    select scope, model, field, announced, {", ".join(_FLAP_COLUMNS)} from temp.now_flaps as now
    where not exists (select 1 from main.flaps where {_SAME_FLAP}) order by source
    """,  # noqa: S608 - our own words
)

_REPETITIONS = f"""
    select ours.id, ours.reason from main.snapshots as run
    cross join main.sightings as ours on ours.snapshot = run.id and +ours.outcome in {PROBLEMS}
    cross join temp.joined_scopes as joined on joined.id = ours.scope and not joined.is_new
    where run.site = :site
    and ours.snapshot < coalesce((
        select min(coalesce(since, until)) from main.deliveries where state = 'waiting'), ours.snapshot + 1)
    and ours.source > (
        select min(first.id) from theirs.sightings as first where first.scope = joined.source)
    and not exists (select 1 from theirs.sightings as kept where kept.id = ours.source)
"""  # noqa: S608 - our own words
"""What the site has pruned stays: it is from before the first sighting that the site has of the scope."""
