"""Values that keep changing, and values that came back different, each a field of a model in a scope.

An episode of a value that keeps changing is a row of `flaps`. It begins with a change back to a value that
the field had within the last 7 days. It ends with a sighting: `settled` when the value is stable, `confirmed`
when the model is removed. Until then, a change to a value that the field had within 7 days is repeated, and
one to any other value is news.

A field that was lost, and is back within 7 days with another value, is a row of `regains`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from pipeline.core.categories import QUIET_CATEGORIES, SHAPE
from pipeline.core.diff import field_changes
from pipeline.core.impact import LOUD_SHAPES, is_same_value
from pipeline.core.jsonpath import generalise
from pipeline.core.times import shifted
from pipeline.core.types import FieldChange
from pipeline.store.bulk import BulkWriter
from pipeline.store.changes import ModelIds
from pipeline.store.database import Store
from pipeline.store.outcomes import sql_list
from pipeline.store.records import record_bodies
from pipeline.store.starts import trusted_start
from pipeline.store.windows import IN_WINDOW, Window

RETURN_DAYS = 7
"""A change to a value that the field had within so many days is a return."""

_QUIET = (*sorted(QUIET_CATEGORIES), SHAPE)

_CATEGORY = f"""
    case when fields.class = '{SHAPE}' and fields.shape_of in {sql_list(sorted(LOUD_SHAPES))}
         then fields.shape_of else fields.class end
"""
"""SQL: the category of a field that decides whether it has episodes; see `is_loud`."""


class Settled(Struct, frozen=True):
    """The episodes of a scope whose values are stable: rows of `flaps`, and the scope's current listing."""

    scope: int
    scope_name: str
    listing: int
    flaps: tuple[int, ...]


class FlapWriter:
    """A writer of `flaps`, for an open transaction of a process that holds the lock."""

    def __init__(self, store: Store, writer: BulkWriter) -> None:
        self._store = store
        self._writer = writer
        self._is_any_open: bool | None = None

    @property
    def is_any_open(self) -> bool:
        """Whether any value keeps changing at present."""
        if self._is_any_open is None:
            self._is_any_open = bool(self._store.rows("select 1 from flaps where ended is null limit 1"))
        return self._is_any_open

    def record_moves(self, moved: Collection[int], at: str) -> None:
        """Record the field changes of moves: those of open episodes, and returns that begin one.

        Args:
            moved: their sightings, all of one run; the pending removals are those from before it.
            at: the start of the run (ISO 8601 UTC).
        """
        parameters = {
            "moved": json.dumps(sorted(moved)),
            "readded": json.dumps(self._readded(moved)),
            "at": at,
            "since": shifted(at, -RETURN_DAYS * 24 * 3600),
        }
        (seen,) = self._store.rows(_SEEN, parameters)
        # The earlier changes of a model are looked up only for what is reported one by one.
        returns = self._store.rows(_RETURNED, parameters) if seen["loud"] else []
        repeated: set[tuple[object, str]] = set()
        if self.is_any_open:
            repeated = self._record_changes({row["flap"] for row in returns}, parameters)
        if seen["gained"]:
            self._record_regains({_place(row) for row in returns}, parameters)
        begun = [row for row in returns if row["flap"] is None and row["is_loud"] and not _is_alike(row)]
        rows = [
            {
                "name": f"{row['field']} of {row['model_name']}",
                "scope": row["scope"],
                "model": row["model"],
                "field": row["field"],
                "before": row["after"],
                "after": row["after"],
                "began_at": row["began_at"],
                "changes": row["changes"],
                "changed_at": at,
                "answers": 0,
                "counted_at": at,
                "announced": row["sighting"],
                "news": "[]",
                # Reports announce it with those of the list that keep changing, or leave it out with them.
                "repeated": int((row["sighting"], generalise(row["field"])) in repeated),
            }
            for row in begun
        ]
        self._writer.insert_new("flaps", rows)
        self._is_any_open = self._is_any_open or bool(rows)

    def _record_changes(
        self, returned: Collection[int | None], parameters: Mapping[str, str]
    ) -> set[tuple[object, str]]:
        """Record the changes of open episodes; those that are not in `returned` changed to a new value.

        Returns:
            The sightings and fields of the others, which are repeated.
        """
        changed = [row for row in self._store.rows(_CHANGED, parameters) if not _is_alike(row)]
        news = {row["id"] for row in changed if row["is_loud"] and row["id"] not in returned}
        self._store.connection.executemany(
            """
            update flaps set after = :after, changes = changes + 1, changed_at = :at,
                             answers = 0, counted_at = :at,
                             news = iif(:is_news, json_insert(news, '$[#]', :sighting), news),
                             repeated = iif(:is_news, 0, repeated + 1)
            where id = :id
            """,
            [{**row, "at": parameters["at"], "is_news": row["id"] in news} for row in changed],
        )
        return {(row["sighting"], generalise(row["field"])) for row in changed if row["id"] not in news}

    def _record_regains(
        self, returned: Collection[tuple[object, ...]], parameters: Mapping[str, str]
    ) -> None:
        """Record the fields that are back with a value that is neither the lost one nor in `returned`."""
        rows = [
            {
                "name": f"{row['field']} of {row['model_name']}",
                **{name: row[name] for name in ("scope", "model", "field", "before", "record", "sighting")},
            }
            for row in self._store.rows(_LOST, parameters)
            if _place(row) not in returned and not _is_alike(row)
        ]
        self._writer.insert_new("regains", rows)

    def _readded(self, moved: Collection[int]) -> list[tuple[object, ...]]:
        """Return the fields that differ in models that are back before their removal was confirmed."""
        pairs = self._store.rows(_READDED, {"moved": json.dumps(sorted(moved))})
        bodies = record_bodies(self._store, (pair[side] for pair in pairs for side in ("before", "after")))
        return [
            (pair["transition"], pair["scope"], pair["model"], *_as_row(field))
            for pair in pairs
            for field in field_changes(bodies[pair["before"]], bodies[pair["after"]])
        ]

    def end_removed(self, confirmed: Collection[int]) -> None:
        """End the episodes of models whose removal some sightings confirm."""
        if confirmed and self.is_any_open:
            rows = self._store.rows(_REMOVED, {"confirmed": json.dumps(sorted(confirmed))})
            self.end({row["id"]: row["sighting"] for row in rows})

    def count_answers(self, scopes: Collection[int], at: str, *, apart: float, at_most: int) -> None:
        """Count one more complete answer of scopes for each of their open episodes whose model is listed.

        Times later than the run come from a clock that was set back since; they do not delay the count.

        Args:
            scopes: those that gave a complete answer.
            at: the start of the run (ISO 8601 UTC).
            apart: the least seconds since the run that counted last, or that had the last change.
            at_most: the count is not raised above this.
        """
        parameters = {
            "scopes": json.dumps(sorted(scopes)),
            "at": at,
            "before": shifted(at, -apart),
            "at_most": at_most,
        }
        self._store.connection.execute(_COUNT, parameters)

    def settled(self, scopes: Collection[int], at: str, *, stable: float, answers: int) -> list[Settled]:
        """Return the open episodes of scopes whose value has been stable for some seconds and answers."""
        parameters = {
            "scopes": json.dumps(sorted(scopes)),
            "at": at,
            "before": shifted(at, -stable),
            "answers": answers,
        }
        by_scope: dict[tuple[int, str, int], list[int]] = {}
        for row in self._store.rows(_STABLE, parameters):
            by_scope.setdefault((row["scope"], row["scope_name"], row["listing"]), []).append(row["id"])
        return [Settled(*scope, tuple(flaps)) for scope, flaps in by_scope.items()]

    def end(self, sightings: Mapping[int, int]) -> None:
        """End episodes; `sightings` has the sighting that ends each, by its row."""
        self._store.connection.executemany(
            "update flaps set ended = ? where id = ?",
            [(sighting, number) for number, sighting in sightings.items()],
        )
        self._is_any_open = None


def _as_row(field: FieldChange) -> tuple[str, str | None, str | None, str]:
    return field.field, field.before, field.after, field.category


def _place(row: Mapping[str, object]) -> tuple[object, ...]:
    return row["sighting"], row["model"], row["field"]


def _is_alike(row: Mapping[str, Any]) -> bool:
    """Return whether both sides of a field are the same value, written in another way."""
    before, after = row["before"], row["after"]
    return before is not None and after is not None and is_same_value(before, after, row["meaning"])


def _is_unset(side: str, category: str) -> str:
    """Return as SQL whether a side of a field is absent or says so: a limit or an end also by 0 or false."""
    no_number = f"{category} in ('limits', 'lifecycle') and {side} in ('0', '-1', 'false')"
    return f"(coalesce({side}, 'null') in ('null', '') or ({no_number}))"


_OFFERED = """
    exists (
        select 1 from records cross join listing_records
            on listing_records.listing = scopes.listing and listing_records.record = records.id
        where records.model = flaps.model)
"""
"""SQL: the current listing of the scope has the model."""

# A transition is compared once for all scopes that made it: `now` has no scopes, except for models that are
# listed again.
_NOW = f"""
    with wanted as materialized (
        select sightings.id as sighting, sightings.scope, sightings.transition from json_each(:moved) as each
        join sightings on sightings.id = each.value
    ),
    now as materialized (
        select lists.transition, null as scope, changes.model, fields.name as field, field_changes.before,
               field_changes.after, {_CATEGORY.strip()} as class,
               coalesce(fields.shape_of, fields.class) as meaning
        from (select distinct transition from wanted) as lists
        cross join changes on changes.transition = lists.transition and changes.kind = 'changed'
        cross join field_changes on field_changes.change = changes.id
        cross join fields on fields.id = field_changes.field
        union all
        select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
               value ->> 6
        from json_each(:readded)
    )
"""  # noqa: S608 - our own words

_READDED = """
    select distinct moved.transition, moved.scope, added.model, removed.before, added.after
    from json_each(:moved) as each
    cross join sightings as moved on moved.id = each.value
    cross join missing on missing.scope = moved.scope
    cross join changes as removed on removed.transition = missing.transition and removed.kind = 'removed'
    cross join changes as added on added.model = removed.model and added.kind = 'added'
        and added.transition = moved.transition
    where removed.before <> added.after
"""

_CHANGED = f"""
    {_NOW}
    select flaps.id, wanted.sighting, now.field, now.before, now.after, now.meaning,
           now.class not in {sql_list(_QUIET)} as is_loud
    from flaps
    cross join wanted on wanted.scope = flaps.scope
    cross join now on now.transition = wanted.transition and now.model = flaps.model
        and now.field = flaps.field and (now.scope is null or now.scope = flaps.scope)
    where flaps.ended is null
"""  # noqa: S608 - our own words

_IN_DAYS = """
    exists (
        select 1 from snapshots where snapshots.id = earlier.snapshot
        and snapshots.started_at >= :since and snapshots.started_at <= :at)
"""

_LOUD = f"now.meaning not in {sql_list(_QUIET)}"

_GAINS = f"""
    {_LOUD} and {_is_unset("now.before", "now.meaning")} and not {_is_unset("now.after", "now.meaning")}
"""


def _past(condition: str) -> str:
    """Return SQL for the earlier changes, within some days, of the models whose change meets a condition."""
    # Without the unary plus, SQLite would search by outcome and id instead of by transition and scope:
    # https://www.sqlite.org/optoverview.html#disqualifying_where_clause_terms_using_unary_
    return f"""
        {_NOW},
        past as materialized (
            select lists.transition, changes.model, fields.name as field, field_changes.before,
                   field_changes.after, changes.before as record
            from (
                select distinct sightings.transition from snapshots
                cross join sightings on sightings.snapshot = snapshots.id and +sightings.outcome = 'moved'
                where snapshots.started_at >= :since and snapshots.started_at <= :at
            ) as lists
            cross join changes on changes.transition = lists.transition and changes.kind = 'changed'
                and changes.model in (select model from now where {condition})
            cross join field_changes on field_changes.change = changes.id
            cross join fields on fields.id = field_changes.field
        )
    """  # noqa: S608 - our own words


_RETURNED = f"""
    {_past(_LOUD)},
    returned as materialized (
        select wanted.sighting, wanted.scope, now.model, now.field, now.meaning, now.before, now.after,
               now.class not in {sql_list(_QUIET)} as is_loud, max(earlier.id) as first, (
                   select flaps.id from flaps where flaps.scope = wanted.scope and flaps.model = now.model
                   and flaps.field = now.field and flaps.ended is null) as flap
        from now
        cross join past on past.model = now.model and past.field = now.field and past.before is now.after
        cross join wanted on wanted.transition = now.transition
            and (now.scope is null or now.scope = wanted.scope)
        cross join sightings as earlier on earlier.transition = past.transition
            and earlier.scope = wanted.scope and +earlier.outcome = 'moved' and +earlier.id < wanted.sighting
        where {_LOUD} and {_IN_DAYS.strip()}
        group by wanted.sighting, now.model, now.field
    )
    select sighting, scope, model, field, meaning, before, after, is_loud, flap, null as model_name,
           null as began_at, null as changes
    from returned where flap is not null or not is_loud
    union all
    select returned.sighting, returned.scope, returned.model, returned.field, returned.meaning,
           returned.before, returned.after, returned.is_loud, null, models.name,
           snapshots.started_at, 1 + count(*)
    from (select * from returned where flap is null and is_loud) as returned
    cross join past on past.model = returned.model and past.field = returned.field
    cross join sightings as earlier on earlier.transition = past.transition
        and earlier.scope = returned.scope and +earlier.outcome = 'moved'
        and +earlier.id >= returned.first and +earlier.id < returned.sighting
    cross join models on models.id = returned.model
    cross join sightings as began on began.id = returned.first
    cross join snapshots on snapshots.id = began.snapshot
    group by returned.sighting, returned.model, returned.field
    order by sighting, model, field
"""  # noqa: S608 - our own words

_SEEN = f"""
    {_NOW}
    select exists (select 1 from now where {_LOUD}) as loud,
           exists (select 1 from now where {_GAINS.strip()}) as gained
"""  # noqa: S608 - our own words

# The row of the last loss: https://www.sqlite.org/lang_select.html#bare_columns_in_an_aggregate_query
_LOST = f"""
    {_past(_GAINS.strip())}
    select wanted.sighting, wanted.scope, now.model, models.name as model_name, now.field, now.meaning,
           past.before, now.after, past.record, max(earlier.id) as lost
    from now
    cross join past on past.model = now.model and past.field = now.field
        and not {_is_unset("past.before", "now.meaning")} and {_is_unset("past.after", "now.meaning")}
    cross join wanted on wanted.transition = now.transition
        and (now.scope is null or now.scope = wanted.scope)
    cross join sightings as earlier on earlier.transition = past.transition
        and earlier.scope = wanted.scope and +earlier.outcome = 'moved' and +earlier.id < wanted.sighting
    cross join models on models.id = now.model
    where {_GAINS.strip()} and {_IN_DAYS.strip()}
    group by wanted.sighting, now.model, now.field
    order by wanted.sighting, now.model, now.field
"""  # noqa: S608 - our own words

_REMOVED = """
    select flaps.id, confirmed.id as sighting from json_each(:confirmed) as each
    cross join sightings as confirmed on confirmed.id = each.value
    cross join flaps on flaps.scope = confirmed.scope and flaps.ended is null
    cross join changes as removed on removed.transition = confirmed.transition and removed.kind = 'removed'
        and removed.model = flaps.model
    where not exists (
        select 1 from records cross join listing_records
            on listing_records.listing = confirmed.listing and listing_records.record = records.id
        where records.model = flaps.model)
"""

_COUNT = f"""
    update flaps set answers = answers + 1, counted_at = :at
    where ended is null and answers < :at_most and (counted_at <= :before or counted_at > :at)
    and scope in (select value from json_each(:scopes))
    and exists (select 1 from scopes where scopes.id = flaps.scope and {_OFFERED.strip()})
"""  # noqa: S608 - our own words

_CHANGED_AT = trusted_start("(select max(id) from snapshots where started_at = flaps.changed_at)", ":at")

_STABLE = f"""
    select flaps.id, flaps.scope, scopes.name as scope_name, scopes.listing from flaps
    join scopes on scopes.id = flaps.scope
    where flaps.ended is null and flaps.answers >= :answers
    and (flaps.changed_at <= :before or flaps.changed_at > :at) and {_CHANGED_AT.strip()} <= :before
    and flaps.scope in (select value from json_each(:scopes)) and {_OFFERED.strip()}
    order by flaps.scope, flaps.id
"""  # noqa: S608 - our own words


class Episode(Struct, frozen=True):
    """A value that keeps changing in a scope.

    Args:
        announced: the sighting by which it first returned to an earlier value.
        ended: the sighting that ended the episode, if any.
        news: the sightings since by which it changed to a value that it had not had within 7 days.
    """

    announced: int
    ended: int | None
    news: frozenset[int]


Episodes = Mapping[tuple[int, str], Mapping[str, Sequence[Episode]]]
"""By scope and the id of the model, then by field."""


def episodes(store: Store, window: Window, models: ModelIds = None) -> Episodes:
    """Return the episodes that had not ended before a window, by scope and model, then by field."""
    rows = store.rows(
        """
        select flaps.scope, models.name as model, flaps.field, flaps.announced, flaps.ended, flaps.news
        from flaps
        join models on models.id = flaps.model
        left join sightings on sightings.id = flaps.ended
        where (flaps.ended is null or sightings.snapshot > :since)
        and (:models is null or flaps.model in (select value from json_each(:models)))
        order by flaps.id
        """,
        {"since": window.since, "models": None if models is None else json.dumps(sorted(models))},
    )
    found: dict[tuple[int, str], dict[str, list[Episode]]] = {}
    for row in rows:
        fields = found.setdefault((row["scope"], row["model"]), {})
        episode = Episode(row["announced"], row["ended"], frozenset(json.loads(row["news"])))
        fields.setdefault(row["field"], []).append(episode)
    return found


class Regain(Struct, frozen=True):
    """The value that a field had before it was lost, and the record of the model with it."""

    before: str
    record: int


Regains = Mapping[tuple[int, str], Mapping[str, Regain]]
"""By sighting and the id of the model, then by field."""


def regains(store: Store, window: Window, models: ModelIds = None) -> Regains:
    """Return the fields that came back in a window with another value than they had lost."""
    rows = store.rows(
        f"""
        select regains.sighting, models.name as model, regains.field, regains.before, regains.record
        from snapshots
        join sightings on sightings.snapshot = snapshots.id
        join regains on regains.sighting = sightings.id
        join models on models.id = regains.model
        where {IN_WINDOW} and (:models is null or regains.model in (select value from json_each(:models)))
        order by regains.id
        """,  # noqa: S608 - our own words
        {**asdict(window), "models": None if models is None else json.dumps(sorted(models))},
    )
    found: dict[tuple[int, str], dict[str, Regain]] = {}
    for row in rows:
        fields = found.setdefault((row["sighting"], row["model"]), {})
        fields[row["field"]] = Regain(row["before"], row["record"])
    return found


class SettledValue(Struct, frozen=True):
    """A value that kept changing, and is stable since a sighting.

    Args:
        id: the sighting, and `at` the start of its run (ISO 8601 UTC).
        imported: the answer was imported.
        record: the record of the model in the scope's listing.
        before: the value before the first change; None where the field was absent.
        after: the stable value.
        changes: the number of changes.
        began_at: the start of the run with the first change; `changed_at` with the last.
        category: the category of the field by its meaning in its last change in the scope before it settled;
            None where that was pruned.
        is_shape: nearly all models of the list gained or lost the field at that change.
        size: the number of models in the scope's listing.
        announced_before: the record before the change that announced it, likewise; `announced_after` the one
            after it.
    """

    id: int
    snapshot: int
    at: str
    imported: bool
    scope_name: str
    group_name: str | None
    gateway: str
    model: str
    owned_by: str | None
    record: int
    field: str
    before: str | None
    after: str | None
    changes: int
    began_at: str
    changed_at: str
    category: str | None
    is_shape: bool
    announced_before: int | None
    announced_after: int | None
    size: int


_NEVER_SET = f"""
    coalesce(last.shape_of, last.class) in ('price', 'limits', 'lifecycle')
    and {_is_unset("flaps.before", "coalesce(last.shape_of, last.class)")}
    and {_is_unset("flaps.after", "coalesce(last.shape_of, last.class)")}
    and not exists (
        select 1 from field_changes join fields on fields.id = field_changes.field
        where field_changes.change = announcing.id and fields.name = flaps.field
        and not ({_is_unset("field_changes.before", "coalesce(last.shape_of, last.class)")}
                 and {_is_unset("field_changes.after", "coalesce(last.shape_of, last.class)")}))
"""  # noqa: S608 - our own words
"""SQL: a price, limit or end was unset on both sides of the change that was announced, and is unset."""


def settled_values(store: Store, window: Window, models: ModelIds = None) -> list[SettledValue]:
    """Return the values that settled in a window, oldest first.

    A value that did not change after it was announced, or after its last news, is left out: it is the value
    that was reported.
    """
    rows = store.rows(
        f"""
        select flaps.ended as id, sightings.snapshot, snapshots.started_at as at,
               snapshots.status = 'imported' as imported, scopes.name as scope_name, scopes.group_name,
               gateways.name as gateway, models.name as model, records.owned_by, records.id as record,
               flaps.field, flaps.before, flaps.after, flaps.changes, flaps.began_at, flaps.changed_at,
               coalesce(last.shape_of, last.class) as category, last.class is '{SHAPE}' as is_shape,
               announcing.before as announced_before, announcing.after as announced_after,
               listings.size
        from flaps
        join sightings on sightings.id = flaps.ended and sightings.outcome = 'settled'
        join snapshots on snapshots.id = sightings.snapshot
        join scopes on scopes.id = flaps.scope
        join gateways on gateways.id = scopes.gateway
        join models on models.id = flaps.model
        join records on records.model = flaps.model
        join listing_records on listing_records.listing = sightings.listing
            and listing_records.record = records.id
        join listings on listings.id = sightings.listing
        left join fields as last on last.id = (
            select field_changes.field from changes
            join sightings as moved on moved.transition = changes.transition and moved.scope = flaps.scope
                and +moved.outcome = 'moved' and +moved.id < flaps.ended
            join field_changes on field_changes.change = changes.id
            join fields on fields.id = field_changes.field and fields.name = flaps.field
            where changes.model = flaps.model and changes.kind = 'changed'
            order by moved.id desc limit 1)
        left join sightings as announced on announced.id = flaps.announced
        left join changes as announcing on announcing.transition = announced.transition
            and announcing.model = flaps.model and announcing.kind = 'changed'
        where {IN_WINDOW} and not ({_NEVER_SET.strip()})
        and (:models is null or flaps.model in (select value from json_each(:models)))
        and flaps.repeated > 0
        order by flaps.ended, flaps.id
        """,  # noqa: S608 - our own words
        {**asdict(window), "models": None if models is None else json.dumps(sorted(models))},
    )
    return [
        SettledValue(**{**row, "imported": bool(row["imported"]), "is_shape": bool(row["is_shape"])})
        for row in rows
    ]
