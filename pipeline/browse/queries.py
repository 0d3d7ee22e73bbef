"""Stored queries of Datasette: each with its parameters, title, description and SQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct

from pipeline.browse.descriptions import without_backquotes
from pipeline.store.outcomes import SETS_LISTING
from pipeline.store.views import PRICE_NAME, SIZES, is_same_price, is_side, percent


class Query(Struct, frozen=True):
    """A stored query; a parameter that the reader leaves empty is the empty string."""

    name: str
    title: str
    description: str
    params: tuple[str, ...]
    sql: str

    def configuration(self) -> dict[str, Any]:
        """Return the query as an entry of Datasette's configuration."""
        return {
            "title": self.title,
            "description": without_backquotes(" ".join(self.description.split())),
            "params": list(self.params),
            "sql": self.sql.strip(),
            # Shows the rows first; a link shows the SQL.
            "hide_sql": True,
        }


# SQLite counts the days of the week from Sunday: https://www.sqlite.org/lang_datefunc.html
_WEEKDAYS = (
    ("sunday", "sun"),
    ("monday", "mon"),
    ("tuesday", "tue"),
    ("wednesday", "wed"),
    ("thursday", "thu"),
    ("friday", "fri"),
    ("saturday", "sat"),
)


def time_parameter(name: str, default: str) -> str:
    """Return SQL that parses a time as the commands do.

    A parameter that is not a time raises an SQL error with a message, since `json_extract` quotes its path.

    Args:
        name: of the parameter.
        default: the SQL expression for an empty parameter.
    """
    message = f"{name} is not a time: write 2h, 3d, yesterday, monday, 2026-05-01 or 2026-05-01T08:00Z"
    days = " ".join(
        f"when '{day}' then strftime('%Y-%m-%dT00:00:00Z', 'now', '-6 days', 'weekday {number}')"
        for number, names in enumerate(_WEEKDAYS)
        for day in names
    )
    return f"""case when :{name} = '' then {default} else coalesce(
        case lower(:{name}) when 'now' then strftime('%Y-%m-%dT%H:%M:%SZ', 'now')
        when 'today' then strftime('%Y-%m-%dT00:00:00Z', 'now')
        when 'yesterday' then strftime('%Y-%m-%dT00:00:00Z', 'now', '-1 day') {days} end, case
        when :{name} glob '[0-9]*[mhdw]' and trim(:{name}, '0123456789') in ('m', 'h', 'd', 'w')
        then strftime('%Y-%m-%dT%H:%M:%SZ', 'now', printf('-%d minutes', cast(:{name} as integer)
            * case substr(:{name}, -1) when 'm' then 1 when 'h' then 60 when 'd' then 1440 else 10080 end))
        when lower(:{name}) glob '[0-9]* ago'
        then strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-' || (cast(:{name} as integer)
            * case rtrim(trim(substr(lower(:{name}), 1, length(:{name}) - 4), '0123456789 '), 's')
            when 'minute' then 1 when 'hour' then 60 when 'day' then 1440 when 'week' then 10080
            when 'month' then 43200 when 'year' then 525600 end) || ' minutes')
        when :{name} glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'
        then strftime('%Y-%m-%dT%H:%M:%SZ', :{name}) end, json_extract('0', '{message}')) end"""


def _within(column: str, days: int) -> str:
    """Return a condition on a time by `since` (default: `days` before the last run) and `until`."""
    start = f"(select strftime('%Y-%m-%dT%H:%M:%SZ', max(started_at), '-{days} days') from snapshots)"  # noqa: S608
    since, until = time_parameter("since", start), time_parameter("until", "'9999'")
    return f"{column} >= {since} and {column} < {until}"


def _models_of(condition: str) -> str:
    """Return SQL for the models of the scopes with a condition; a listing that scopes share is read once."""
    return f"""
        select model from records where id in (
            select record from listing_records where listing in (
                select listing from scopes where asked and {condition}))"""  # noqa: S608 - our own words


_MOST = 401
"""The rows of a long answer: one more than the server returns, so that it says that there are more."""


def _has_all(parameter: str, column: str) -> str:
    """Return a condition: a JSON array has each word of a parameter, which commas separate."""
    words = f"'[' || replace(json_quote(replace({parameter}, ' ', '')), ',', '\",\"') || ']'"
    return f"""not exists (
    select 1 from json_each({words}) as wanted
    where wanted.value <> '' and wanted.value not in (select value from json_each({column})))"""  # noqa: S608


def _scope_named(parameter: str) -> str:
    """Return SQL for the id of a scope; a name that no scope has raises an SQL error that says so."""
    message = f"{parameter} is no scope: write its whole name, such as acme/prod"
    return f"coalesce((select id from scopes where name = :{parameter}), json_extract('0', '{message}'))"  # noqa: S608


def _listing_at(side: str) -> str:
    """Return SQL for the listing of a scope at a moment, `first` or `second`."""
    return f"""(
        select sightings.listing from sightings join snapshots on snapshots.id = sightings.snapshot
        where sightings.scope = {side}.scope and sightings.outcome in {SETS_LISTING}
        and snapshots.started_at <= moments.{side}
        order by snapshots.started_at desc, sightings.id desc limit 1)"""  # noqa: S608 - our own words


_FACTS = ", ".join(
    f"json_array('{name}', own.{column}, pair.{column})"
    for name, column in {
        "context": "context_length",
        "max output": "max_output",
        "owner": "owned_by",
        "type": "type",
        "input": "input_modalities",
        "output": "output_modalities",
        "features": "features",
        "endpoints": "endpoints",
        "lifecycle": "lifecycle",
        "shutdown": "deprecated_at",
    }.items()
)
"""The facts of two records, `own` and `pair`, that a comparison shows."""

_TIMES = "Times are UTC, such as 2026-05-01 or 2026-05-01T06:00:00Z, or 2h, 3d, 2w (ago), yesterday, monday."


EVENTS = (Path(__file__).parent / "plugins" / "start" / "events.sql").read_text("utf-8").rstrip()
"""Subqueries for the events of the snapshots in `runs`; the file describes them.

It is beside the plug-ins, which read it too, since these import nothing of the package.
"""

_BEFORE, _AFTER = (f"trim(newest.{side}, '\"')" for side in ("before", "after"))

_WHAT_CHANGED = Query(
    "what_changed",
    "Changes between two times",
    f"""
    The changes that `modelwatch changes` reports, from `since` up to, but not including, `until`, the newest
    first, once for all scopes with the same change: a removal when it is confirmed, and a return when the
    model is back. A model that is back before that is no row, unless its record changed. A field that is back
    within 7 days with another value is a change from the value that was lost. Default: the 7 days
    before the last run. `scope` is a glob of scope names, such as aihubmix/*. `class` is a class of fields:
    price, limits, capabilities, lifecycle, text, counters, other, or shape (fields that nearly all records
    gained or lost). Default: all but shape. `price_before` and `price_after` are the prices of a field per
    `unit` in `currency`, where these are known. {_TIMES}
    """,
    ("since", "until", "scope", "class"),
    f"""
with busy as materialized (
    select snapshots.id, snapshots.started_at as at, iif(:scope <> '' or :class <> '', 0, (
               select count(distinct changes.model)
               from (select distinct transition from sightings
                     where snapshot = snapshots.id and outcome = 'moved'
                     and scope not in (select id from scopes where lists_groups)) as made
               cross join changes on changes.transition = made.transition and changes.kind = 'changed'
               where exists (select 1 from field_changes join fields on fields.id = field_changes.field
                             where field_changes.change = changes.id and fields.class <> 'shape'))) as rows
    from snapshots where {_within("started_at", 7)}
),
runs as materialized (
    select id, at from (
        select id, at, sum(rows) over (
            order by at desc, id desc rows between unbounded preceding and 1 preceding) as newer
        from busy)
    where coalesce(newer, 0) < {_MOST}
),
chosen as materialized (
    select id from scopes where :scope = '' or name glob :scope
),
{EVENTS},
names as materialized (
    select sighting as of, scope_names from moves
    union all
    select -scope, scope_names from alike
),
newest as (
    select found.at, found.snapshot, found.kind, found.model, fields.name as field,
           coalesce(regains.before, field_changes.before) as before, field_changes.after,
           iif(regains.id is null, fields.class, coalesce(fields.shape_of, fields.class)) as class,
           sum(found.scopes) as scopes, json_group_array(found.names_of) as names_of,
           min(found.change) as change, found.since, gateways.name as gateway, models.name as name
    from found
    join models on models.id = found.model
    join gateways on gateways.id = models.gateway
    left join field_changes on field_changes.change = found.fields_of
    left join fields on fields.id = field_changes.field
    left join regains on regains.sighting = found.sighting and regains.model = found.model
        and regains.field = fields.name and found.kind = 'changed'
    where case when :class = '' then fields.class is not 'shape' or regains.id is not null
               else iif(regains.id is null, fields.class, coalesce(fields.shape_of, fields.class)) = :class
          end
    group by 1, found.snapshot, found.model, 3, found.since, 5, 6, 7, 8
    having max(found.wanted)
    order by found.at desc, found.snapshot desc, gateway, models.name, field
    limit {_MOST}
)
select at, kind, gateway, name as model, field, before, after, class, scopes, (
           select group_concat(names.scope_names, ' ') from json_each(names_of) join names on names.of = value
       ) as scope_names, model as model_id, change as change_id, since, price ->> 0 as price_before,
       price ->> 1 as price_after, price ->> 2 as currency, price ->> 3 as unit
from (select newest.*, iif(class = 'price' and kind = 'changed', (
          select iif(min(sides) = max(sides), min(sides), null) from (
              select json_array(price.before, price.after, price.currency, price.unit) as sides
              from price_changes as price, {SIZES}
              where price.change_id = newest.change and {is_side(_BEFORE, "price.before")}
              and {is_side(_AFTER, "price.after")})), null) as price
      from newest)
order by at desc, snapshot desc, gateway, name, field
""",  # noqa: S608 - our own words
)


_ONLY_SEEN_BY = Query(
    "only_seen_by",
    "Models offered to some scopes only",
    """
    Models that are offered now to scopes matching `scope`, but not to scopes matching `not_seen_by`. Both
    are globs of scope names, such as aihubmix/prod or aihubmix/*. With `scope` alone: models that no other
    scope is offered. With neither: models that exactly one scope is offered.
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
    Every price change of `model`, the newest first, per `unit` in `currency`; a price of unknown unit by its
    path, as the gateway writes it. `model` is the id as the gateway writes it. Default: the newest of all
    models.
    """,
    ("model",),
    f"""
with found as (
    select price_history.* from models cross join price_history on price_history.model_id = models.id
    where models.name = :model
    union all
    select * from (select * from price_history where :model = '' order by at desc limit {_MOST // 2})
)
select at, gateway, model, field, before, after, percent, currency, unit, input_usd_per_1m, output_usd_per_1m,
       sum(scopes) as scopes, group_concat(scope_names, ' ') as scope_names, model_id,
       min(change_id) as change_id
from found
group by at, snapshot_id, model_id, field, currency, unit, before, after, input_usd_per_1m, output_usd_per_1m
order by at desc, snapshot_id desc, model, field
limit {_MOST}
""",  # noqa: S608 - our own words
)


_CHEAPEST = Query(
    "cheapest",
    "Cheapest models for a need",
    """
    Offered models by the USD price of 1 million tokens of input plus 1 million tokens of output, the
    cheapest first. Models without a known price are left out. `features` are required capabilities,
    separated by commas, such as tools, reasoning. `context_length` is the minimum in tokens. `input_modality`
    and `output_modality` are what a model must accept and produce, such as image. `scope` is a glob of scope
    names; at least one of them is offered the model. Empty parameters exclude nothing.
    """,
    ("context_length", "features", "input_modality", "output_modality", "scope"),
    f"""
select model, gateway, input_usd_per_1m, output_usd_per_1m,
       round(input_usd_per_1m + coalesce(output_usd_per_1m, 0), 6) as input_and_output_usd_per_1m,
       context_length, max_output, input_modalities, output_modalities, features, type, price_source, scopes,
       model_id, record_id
from offers
where input_usd_per_1m is not null
and (:context_length = '' or context_length >= cast(:context_length as integer))
and {_has_all(":features", "features")}
and {_has_all(":input_modality", "input_modalities")}
and {_has_all(":output_modality", "output_modalities")}
and (:scope = '' or exists (
    select 1 from listing_records join scopes on scopes.listing = listing_records.listing and scopes.asked
    where listing_records.record = record_id and scopes.name glob :scope))
order by input_and_output_usd_per_1m, model
limit {_MOST}
""",  # noqa: S608 - our own words
)


_SIDES = f"""
first as (
    select case when :scope <> '' then {_scope_named("scope")} else (
        select min(id) from scopes where listing is not null and not lists_groups
        group by listing order by max(asked) desc, count(*) desc, min(id) limit 1) end as scope
),
second as (
    select case when :other_scope <> '' then {_scope_named("other_scope")}
                when :at <> '' or :other_at <> '' then first.scope
                else coalesce((
                    select min(other.id) from scopes join scopes as other
                        on other.gateway = scopes.gateway and other.listing <> scopes.listing
                        and other.asked and not other.lists_groups
                    where scopes.id = first.scope
                    group by other.listing order by count(*) desc, min(other.id) limit 1), first.scope)
                end as scope
    from first
),
moments as (
    select case when :at = '' and :other_at = '' and first.scope = second.scope
                then (select strftime('%Y-%m-%dT%H:%M:%SZ', max(started_at), '-7 days') from snapshots)
                else {time_parameter("at", "'9999'")} end as first,
           {time_parameter("other_at", "'9999'")} as second
    from first, second
),
lists as materialized (
    select {_listing_at("first")} as first, {_listing_at("second")} as second
    from first, second, moments
)"""  # noqa: S608 - our own words

_COMPARE = Query(
    "compare",
    "Differences of two scopes, or of two days",
    f"""
    The models that only one of two lists has, and those that differ in prices, limits, capabilities or dates.
    The first list is that of `scope` on the day `at`, the second that of `other_scope` on the day `other_at`.
    An empty day means now, and a day its beginning. Default: the scope of the most shared list, and another
    of its gateway with another list; if there is none, the same scope 7 days before the last run and now.
    {_TIMES}
    """,
    ("scope", "at", "other_scope", "other_at"),
    f"""
with {_SIDES.strip()},
names as (
    select (select name from scopes, first where scopes.id = first.scope)
               || iif(moments.first < '9999', ' on ' || substr(moments.first, 1, 10), '') as first,
           (select name from scopes, second where scopes.id = second.scope)
               || iif(moments.second < '9999', ' on ' || substr(moments.second, 1, 10), '') as second
    from moments
),
-- The page reads the names of both lists with the part above.
own as materialized (
    select records.* from lists cross join listing_records on listing_records.listing = lists.first
    join records on records.id = listing_records.record
),
other as materialized (
    select records.* from lists cross join listing_records on listing_records.listing = lists.second
    join records on records.id = listing_records.record
),
pairs as materialized (
    select own.model, own.id as first, other.id as second from own join other on other.model = own.model
    where other.id <> own.id
),
differences as (
    select 1 as place, 'only ' || names.first as difference, own.model, null as field, null as first,
           null as second, null as percent, null as unit, own.id as record
    from own, names where own.model not in (select model from other)
    union all
    select 2, 'only ' || names.second, other.model, null, null, null, null, null, other.id
    from other, names where other.model not in (select model from own)
    union all
    select 3, 'differs', pairs.model, {PRICE_NAME}, own.amount, pair.amount,
           {percent("own.amount", "pair.amount")}, own.currency || ' per ' || own.unit, pairs.second
    from pairs
    cross join record_prices as own on own.record = pairs.first
    left join record_prices as pair on pair.record = pairs.second and {is_same_price("pair", "own")}
    where pair.amount is null or abs(own.amount - pair.amount) > 1e-12 * max(own.amount, pair.amount)
    union all
    select 3, 'differs', pairs.model, {PRICE_NAME}, null, own.amount, null,
           own.currency || ' per ' || own.unit, pairs.second
    from pairs
    cross join record_prices as own on own.record = pairs.second
    where not exists (select 1 from record_prices as pair
                      where pair.record = pairs.first and {is_same_price("pair", "own")})
    union all
    select 4, 'differs', pairs.model, fact.value ->> 0, fact.value ->> 1, fact.value ->> 2, null, null,
           pairs.second
    from pairs
    cross join records as own on own.id = pairs.first
    cross join records as pair on pair.id = pairs.second
    join json_each(json_array({_FACTS})) as fact
    where fact.value ->> 1 is not fact.value ->> 2
)
select differences.difference, models.name as model, differences.field, differences.first, differences.second,
       differences.percent, differences.unit, differences.model as model_id, differences.record as record_id
from differences join models on models.id = differences.model
order by differences.place > 2, differences.place * (differences.place < 3), models.name, differences.place,
         differences.field
limit {_MOST}
""",  # noqa: S608 - our own words
)


_LOST_AND_RETURNED = Query(
    "lost_and_returned",
    "Missing and returned models",
    f"""
    Every time a model went missing from `since` up to, but not including, `until`, the newest first: for
    which scopes, and when it returned, if it did. Default: the 90 days before the last run. {_TIMES}
    """,
    ("since", "until"),
    f"""
with lost as (
    select sightings.id as sighting, sightings.scope, changes.model, snapshots.started_at as at
    from snapshots
    join sightings on sightings.snapshot = snapshots.id and sightings.outcome = 'moved'
        and sightings.scope not in (select id from scopes where lists_groups)
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
    Number of scopes asked, answered, failed and held for each day from `since` up to, but not including,
    `until`. Default: the 30 days before the last run. {_TIMES}
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
    "Scopes that are offered a model",
    """
    The scopes that are offered `model` now, with the record that each gets. `model` is the id as the gateway
    writes it. Default: all models that only some scopes of their gateway are offered.
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
    "Scopes with the same models",
    """
    Current listings with the scopes that share them, the most shared first. `gateway` is the name of a
    gateway. Default: all gateways.
    """,
    ("gateway",),
    """
select * from same_catalog where :gateway = '' or gateway = :gateway order by gateway, scopes desc
""",
)


QUERIES = (
    _WHAT_CHANGED,
    _CHEAPEST,
    _COMPARE,
    _PRICES_OF,
    _WHO_SEES,
    _ONLY_SEEN_BY,
    _LOST_AND_RETURNED,
    _SAME_LISTS,
    _COVERAGE_BY_DAY,
)
"""All stored queries, in the order in which they are listed."""
