"""Stored queries: the questions that take a parameter, each with a name, a description and its SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.browse.descriptions import plain


@dataclass(frozen=True, slots=True)
class Query:
    """A question: Datasette asks for its parameters, and one that is left empty is the empty text."""

    name: str
    title: str
    says: str
    params: tuple[str, ...]
    sql: str

    def configured(self) -> dict[str, Any]:
        """Give it as Datasette's configuration has it."""
        return {
            "title": self.title,
            "description": plain(" ".join(self.says.split())),
            "params": list(self.params),
            "sql": self.sql.strip(),
            # The answer comes first; who wants the SQL clicks for it.
            "hide_sql": True,
        }


def moment(name: str, otherwise: str) -> str:
    """Read a time as the command does; one that is none is an error that says so, in every form."""
    said = f"{name} is no time, write 2h, 1d, 3w, 2026-05-01 or 2026-05-01T08:00Z"
    return f"""case when :{name} = '' then {otherwise} else coalesce(case
        when :{name} glob '[0-9]*[mhdw]' and trim(:{name}, '0123456789') in ('m', 'h', 'd', 'w')
        then strftime('%Y-%m-%dT%H:%M:%SZ', 'now', printf('-%d minutes', cast(:{name} as integer)
            * case substr(:{name}, -1) when 'm' then 1 when 'h' then 60 when 'd' then 1440 else 10080 end))
        when :{name} glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'
        then strftime('%Y-%m-%dT%H:%M:%SZ', :{name}) end, json_extract('0', '{said}')) end"""


def _within(column: str, days: int) -> str:
    """Limit a time by `since` and `until`; without `since`, to so many days before the last run."""
    lately = f"(select strftime('%Y-%m-%dT%H:%M:%SZ', max(started_at), '-{days} days') from snapshots)"  # noqa: S608
    return f"""{column} >= {moment("since", lately)} and {column} < {moment("until", "'9999'")}"""


def _models_of(which: str) -> str:
    """Find the models that some scopes are offered; a list that many see is looked at once."""
    return f"""
        select model from records where id in (
            select record from listing_records where listing in (
                select listing from scopes where asked and {which}))"""  # noqa: S608 - our own words


_TIMES = "Times are UTC: 2026-05-01 or 2026-05-01T06:00:00Z; or how long ago: 2h, 1d, 3w."


_WHAT_CHANGED = Query(
    "what_changed",
    "What changed between two dates",
    f"""
    What changed from `since` on and before `until`, newest first, once for all the scopes to which it
    happened; left empty: the seven days before the last run. `scope` is a glob of scopes, such as
    aihubmix/*. `class` is what it is about: price, limits, capabilities, lifecycle, text or other; left
    empty it is all of these, without shape, which is fields that all records gain or lose. {_TIMES}
    """,
    ("since", "until", "scope", "class"),
    f"""
with moves as materialized (
    select snapshots.started_at as at, sightings.snapshot, sightings.transition, sightings.outcome,
           sightings.listing, count(*) as scopes, group_concat(scopes.name, ' ') as scope_names
    from snapshots
    join sightings on sightings.snapshot = snapshots.id and sightings.outcome in ('moved', 'confirmed')
    join scopes on scopes.id = sightings.scope
    where {_within("snapshots.started_at", 7)}
    group by sightings.snapshot, sightings.transition, sightings.outcome, sightings.listing
    having :scope = '' or max(scopes.name glob :scope)
)
select moves.at, case when moves.outcome = 'moved' and changes.kind = 'removed' then 'missing'
                      else changes.kind end as kind,
       gateways.name as gateway, models.name as model, fields.name as field, field_changes.before,
       field_changes.after, fields.class, sum(moves.scopes) as scopes,
       group_concat(moves.scope_names, ' ') as scope_names, models.id as model_id,
       min(changes.id) as change_id
from moves
join changes on changes.transition = moves.transition
join models on models.id = changes.model
join gateways on gateways.id = models.gateway
left join field_changes on field_changes.change = changes.id
left join fields on fields.id = field_changes.field
where (moves.outcome = 'moved' or (changes.kind = 'removed' and not exists (
    select 1 from records cross join listing_records
        on listing_records.listing = moves.listing and listing_records.record = records.id
    where records.model = changes.model)))
and case when :class = '' then fields.class is not 'shape' else fields.class = :class end
group by moves.at, moves.snapshot, changes.model, 2, field, field_changes.before, field_changes.after, class
order by moves.at desc, moves.snapshot desc, gateway, model, field
""",  # noqa: S608 - our own words
)


_ONLY_SEEN_BY = Query(
    "only_seen_by",
    "Models that only one key sees",
    """
    The models that scopes matching `scope` are offered now and scopes matching `not_seen_by` are not. Both
    are globs, such as aihubmix/prod or aihubmix/*. With `scope` alone: those that no other scope is
    offered. With both left empty: the models that exactly one scope is offered.
    """,
    ("scope", "not_seen_by"),
    f"""
select model, gateway, scopes, of_scopes, offered_to, model_id from matrix
where case when :scope = '' and :not_seen_by = '' then scopes = 1 else
    model_id in ({_models_of("(:scope = '' or name glob :scope)")})
    and model_id not in ({
        _models_of("case when :not_seen_by = '' then name not glob :scope else name glob :not_seen_by end")
    })
end
order by gateway, model
""",  # noqa: S608 - our own words
)


_PRICES_OF = Query(
    "prices_of",
    "Price history of a model",
    """
    Every change of a price of `model`, an id as its gateway writes it, newest first. Left empty: of all
    models.
    """,
    ("model",),
    """
with found as (
    select * from price_history where model_id in (select id from models where name = :model)
    union all
    select * from price_history where :model = ''
)
select at, gateway, model, field, before, after, percent, input_usd_per_1m, output_usd_per_1m,
       sum(scopes) as scopes, group_concat(scope_names, ' ') as scope_names, model_id,
       min(change_id) as change_id
from found
group by at, snapshot_id, model_id, field, before, after, input_usd_per_1m, output_usd_per_1m
order by at desc, snapshot_id desc, model, field
""",
)


_CHEAPEST = Query(
    "cheapest",
    "Cheapest models that can do something",
    """
    What is offered now, by the price of a million tokens sent and a million answered, in USD; what has no
    known price is left out. `features` are those that a model must have, separated by commas, such as
    tools, reasoning; `context_length` is the least that it must take, in tokens; `scope` is a glob of
    scopes of which one must see it. What is left empty asks for nothing.
    """,
    ("features", "context_length", "scope"),
    """
select round(input_usd_per_1m + coalesce(output_usd_per_1m, 0), 6) as input_and_output_usd_per_1m,
       model, gateway, input_usd_per_1m, output_usd_per_1m, context_length, max_output, type, features,
       price_source, scopes, model_id, record_id
from offers
where input_usd_per_1m is not null
and (:context_length = '' or context_length >= cast(:context_length as integer))
and not exists (
    select 1
    from json_each('[' || replace(json_quote(replace(:features, ' ', '')), ',', '","') || ']') as wanted
    where wanted.value <> '' and wanted.value not in (select value from json_each(offers.features)))
and (:scope = '' or exists (
    select 1 from listing_records join scopes on scopes.listing = listing_records.listing and scopes.asked
    where listing_records.record = record_id and scopes.name glob :scope))
order by input_and_output_usd_per_1m, model
""",
)


_LOST_AND_RETURNED = Query(
    "lost_and_returned",
    "Models lost and returned",
    f"""
    Each time that a model was missing from an answer, from `since` on and before `until`, latest first: to
    which scopes, and when it was back, if it is. Left empty: the ninety days before the last run. {_TIMES}
    """,
    ("since", "until"),
    f"""
with lost as (
    select sightings.id as sighting, sightings.scope, changes.model, snapshots.started_at as at
    from snapshots
    join sightings on sightings.snapshot = snapshots.id and sightings.outcome = 'moved'
    join changes on changes.transition = sightings.transition and changes.kind = 'removed'
    where {_within("snapshots.started_at", 90)}
), back as (
    select lost.*, (
        select min(later.id) from changes as added
        join sightings as later on later.transition = added.transition and later.outcome = 'moved'
            and later.scope = lost.scope and later.id > lost.sighting
        where added.model = lost.model and added.kind = 'added') as returned
    from lost
)
select back.at as lost_at, snapshots.started_at as returned_at,
       round(julianday(snapshots.started_at) - julianday(back.at), 1) as away_days,
       models.name as model, gateways.name as gateway, count(*) as scopes,
       group_concat(scopes.name, ' ') as scope_names, models.id as model_id
from back
join models on models.id = back.model
join gateways on gateways.id = models.gateway
join scopes on scopes.id = back.scope
left join sightings on sightings.id = back.returned
left join snapshots on snapshots.id = sightings.snapshot
group by back.at, snapshots.started_at, back.model
order by lost_at desc, model
""",  # noqa: S608 - our own words
)


_COVERAGE_BY_DAY = Query(
    "coverage_by_day",
    "Coverage by day",
    f"""
    How many scopes were asked, day by day from `since` on and before `until`, and how many of them answered,
    failed, or gave an answer that was held. Left empty: the thirty days before the last run. {_TIMES}
    """,
    ("since", "until"),
    f"""
select substr(started_at, 1, 10) as day, count(*) as runs, sum(scopes) as asked, sum(answered) as answered,
       sum(failed) as failed, sum(held) as held, sum(moved) as moved,
       round(100.0 * sum(answered) / nullif(sum(scopes), 0), 1) as percent_answered
from snapshots
where {_within("started_at", 30)}
group by day
order by day desc
""",  # noqa: S608 - our own words
)


_WHO_SEES = Query(
    "who_sees",
    "Who sees a model",
    """
    The scopes that are offered `model` now, an id as its gateway writes it, and in which form. Left empty:
    of all the models that some scopes of a gateway are offered and others are not.
    """,
    ("model",),
    """
with wanted as materialized (
    select id from models where name = :model
    union all
    select model_id from matrix where :model = '' and scopes < of_scopes
)
select models.name as model, gateways.name as gateway, scopes.name as scope, scopes.group_name,
       records.owned_by, records.context_length, records.max_output, records.input_usd_per_1m,
       records.output_usd_per_1m, models.id as model_id, records.id as record_id, scopes.id as scope_id
from wanted
cross join models on models.id = wanted.id
cross join gateways on gateways.id = models.gateway
cross join records on records.model = models.id
cross join listing_records on listing_records.record = records.id
cross join scopes on scopes.listing = listing_records.listing and scopes.asked
""",
)


_SAME_LISTS = Query(
    "same_lists",
    "Lists that are exactly the same",
    """
    Which scopes see exactly the same list now, the list that most see first. `gateway` left empty: of all
    gateways.
    """,
    ("gateway",),
    """
select * from same_catalog where :gateway = '' or gateway = :gateway order by gateway, scopes desc
""",
)


QUERIES = (
    _WHAT_CHANGED,
    _PRICES_OF,
    _CHEAPEST,
    _WHO_SEES,
    _ONLY_SEEN_BY,
    _LOST_AND_RETURNED,
    _SAME_LISTS,
    _COVERAGE_BY_DAY,
)
"""In the order in which people ask them."""
