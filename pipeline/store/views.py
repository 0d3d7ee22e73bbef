"""Views: common questions by name, for any program that opens the file.

Many scopes share few listings, so the views read each listing once and not by scope. They look up names by
left joins, which SQLite omits when it counts rows, as Datasette does for each page ("The Omit LEFT JOIN
Optimization" in https://www.sqlite.org/optoverview.html).
"""

from __future__ import annotations

from pipeline.core.prices import UNIT_FACTORS
from pipeline.core.types import GROUP_PREFIX
from pipeline.store.coverages import last_asked
from pipeline.store.outcomes import PROBLEMS, URGENT_SIGHTING

_OFFERED = """
    select record from listing_records where listing in (
        select listing from scopes where asked and not lists_groups)
"""

_LISTS = """
    with lists as materialized (
        select listing, count(*) as scopes, group_concat(name, ' ') as names
        from scopes where asked and not lists_groups and listing is not null group by listing)
"""

_LAST_ID = (1 << 63) - 1

_LAST_RUN = f"iif(sightings.outcome = 'failed', began.id - 1, {_LAST_ID})"
"""The last run that may have had an answer of a scope."""

_WITH_RECORD = """
    from listing_records join lists on lists.listing = listing_records.listing
    where listing_records.record = records.id
"""

_SAME_SIGHTINGS = """
    from sightings as alike join scopes as maker on maker.id = alike.scope
    where alike.snapshot = sightings.snapshot and alike.transition = sightings.transition
    and alike.outcome = sightings.outcome and alike.listing = sightings.listing
"""

_FLAPPING = """
    (select case flaps.announced when sightings.id then 'announced' else 'repeated' end from flaps
        where flaps.scope = sightings.scope and flaps.model = changes.model and flaps.field = fields.name
        and flaps.announced <= sightings.id and (flaps.ended is null or flaps.ended > sightings.id)
        and sightings.id not in (select value from json_each(flaps.news))
        and sightings.outcome = 'moved')
"""

_FIRST_SIGHTING = """
    sightings.scope not in (select id from scopes where lists_groups)
    and sightings.id = (select min(alike.id) from sightings as alike where alike.snapshot = sightings.snapshot
        and alike.transition = sightings.transition and alike.outcome = sightings.outcome
        and alike.listing = sightings.listing)
"""

_FACTS = """
       records.owned_by, records.created, records.type, records.context_length, records.max_output,
       records.input_usd_per_1m, records.output_usd_per_1m, records.cache_read_usd_per_1m,
       records.cache_write_usd_per_1m, records.usd_per_call, records.price_source,
       records.input_modalities, records.output_modalities, records.features, records.endpoints,
       records.lifecycle, records.deprecated_at, records.aliases
"""

_BEFORE, _AFTER = (f"trim(fields_of.{side}, '\"')" for side in ("before", "after"))
"""The values of a field as numbers, since gateways write some prices as JSON strings."""


def is_same_price(one: str, other: str) -> str:
    """Return SQL for whether two prices are of the same meter, unit and conditions."""
    return f"""{one}.meter = {other}.meter and {one}.unit = {other}.unit
        and {one}.from_tokens = {other}.from_tokens and {one}.window is {other}.window
        and {one}.currency = {other}.currency"""


def percent(before: str, after: str) -> str:
    """Return SQL for a change in percent, to a tenth; to its first digit if it is less than that.

    Null if a side is no number.
    """
    no_number = "'*[^-+0-9.eE]*'"
    change = f"round(100.0 * cast({after} as real) / nullif(cast({before} as real), 0) - 100, 9)"
    return f"""case when {before} glob {no_number} or {after} glob {no_number} then null
        when abs({change}) between 1e-9 and 0.1 then cast(printf('%.1g', {change}) as real)
        else round({change}, 1) end"""


PRICE_NAME = """
    iif(own.meter = 'call', 'a call', replace(own.meter, '_', ' '))
    || case when own.from_tokens = 0 then ''
            when own.from_tokens % 1000000 = 0 then ' above ' || (own.from_tokens / 1000000) || 'M tokens'
            when own.from_tokens % 1000 = 0 then ' above ' || (own.from_tokens / 1000) || 'k tokens'
            else printf(' above %,d tokens', own.from_tokens) end
    || coalesce(', ' || own.window, '')
"""
"""As `core.prices.price_name`, without the unit and the currency, which are columns of their own."""


def _is_number(side: str) -> str:
    return f"({side} glob '*[0-9]*' and {side} not glob '*[^0-9.eE+-]*')"


def is_side(side: str, amount: str) -> str:
    """Return SQL for whether a value of a field is an amount in a unit of `sizes`, or has its digits.

    Units are powers of ten, so the digits of a text are tested once.
    """
    digits = f"trim(replace(printf('%.12f', {amount}), '.', ''), '0')"
    is_amount = f"abs({side} * sizes.column1 - {amount}) <= 0.000001"
    return f"""case when {amount} is null then {side} is null or {side} not glob '*[0-9]*'
        when sizes.column1 <> 1 then {is_amount} and {_is_number(side)}
        when {_is_number(side)} then {is_amount}
        else instr(replace(replace({side}, '.', ''), ',', ''), {digits}) end"""


def _is_length(side: str) -> str:
    is_one = f"{side} + 0 in (0, new.from_tokens, new.from_tokens + 1)"
    return f"({side} is null or ({_is_number(side)} and {is_one}))"


SIZES = "(values " + ", ".join(f"({float(size)!r})" for size in dict.fromkeys(UNIT_FACTORS)) + ") as sizes"

_REPEATS_PRICE = f"""
    (exists (
        select 1 from record_prices as new, {SIZES}
        where new.record = changes.after and {is_side(_AFTER, "new.amount")} and (
            select {is_side(_BEFORE, "max(old.amount)")} from record_prices as old
            where old.record = changes.before and {is_same_price("old", "new")}))
    or (fields_of.before is not null and coalesce({_AFTER}, '') not glob '*[0-9]*' and exists (
        select 1 from record_prices as old, {SIZES}
        where old.record = changes.before and {is_side(_BEFORE, "old.amount")} and not exists (
            select 1 from record_prices as new
            where new.record = changes.after and {is_same_price("new", "old")})))
    or (fields.name glob '*.[0-9]*' and exists (
        select 1 from record_prices as new
        where new.record in (changes.before, changes.after) and new.from_tokens > 0 and (
            ({_is_length(_BEFORE)} and {_is_length(_AFTER)})
            or ((fields_of.before is null or fields_of.after is null)
                and coalesce({_BEFORE}, {_AFTER}) not glob '*[0-9]*')))))
"""  # noqa: S608 - our own words
"""Whether a field repeats a price of the table: its amount, where its tier begins, the label of a tier."""

_IS_PRICED = """
    exists (select 1 from field_changes join fields on fields.id = field_changes.field
        where field_changes.change = changes.id and 'price' in (fields.class, fields.shape_of))
"""
"""Whether a change has a field of a price; asked of each change, so that SQLite may begin with the newest."""

_LAST_NAME = "lower(replace(fields.name, rtrim(fields.name, replace(fields.name, '.', '')), ''))"
_SCALES = ("currency", "decimals", "exponent", "scale", "unit")
_AMOUNTS = ("price", "cost", "rate", "amount", "fee")

_IS_RESCALED = f"""
    exists (select 1 from field_changes join fields on fields.id = field_changes.field
        where field_changes.change = changes.id and 'price' in (fields.class, fields.shape_of)
        and ({" or ".join(f"{_LAST_NAME} glob '*{word}*'" for word in _SCALES)})
        and not ({" or ".join(f"rtrim({_LAST_NAME}, 's') glob '*{word}'" for word in _AMOUNTS)}))
"""  # noqa: S608 - our own words
"""Whether a change has another unit, currency or scale of amounts, by the rule of `core/prices.py`."""

VIEWS = f"""
create view catalog as
select scopes.name as scope, gateways.name as gateway, scopes.group_name, models.name as model,
       {_FACTS.strip()}, records.body,
       scopes.id as scope_id, models.id as model_id, records.id as record_id
from scopes
join listing_records on listing_records.listing = scopes.listing
left join records on records.id = listing_records.record
left join models on models.id = records.model
left join gateways on gateways.id = scopes.gateway
where scopes.asked and not scopes.lists_groups;

create view offers as {_LISTS.strip()}
select models.name as model, gateways.name as gateway,
       (select sum(lists.scopes) {_WITH_RECORD.strip()}) as scopes,
       {_FACTS.strip()},
       (select group_concat(lists.names, ' ') {_WITH_RECORD.strip()}) as scope_names,
       models.id as model_id, records.id as record_id
from records
left join models on models.id = records.model
left join gateways on gateways.id = models.gateway
where records.id in ({_OFFERED.strip()});

create view prices as {_LISTS.strip()}
select models.name as model, gateways.name as gateway, record_prices.meter, record_prices.unit,
       record_prices.from_tokens, record_prices.window, record_prices.currency, record_prices.amount,
       records.price_source, (select sum(lists.scopes) {_WITH_RECORD.strip()}) as scopes,
       (select group_concat(lists.names, ' ') {_WITH_RECORD.strip()}) as scope_names,
       models.id as model_id, records.id as record_id
from records
join record_prices on record_prices.record = records.id
left join models on models.id = records.model
left join gateways on gateways.id = models.gateway
where records.id in ({_OFFERED.strip()});

create view deprecations as {_LISTS.strip()}
select records.deprecated_at, records.lifecycle, models.name as model, gateways.name as gateway,
       records.owned_by, (select sum(lists.scopes) {_WITH_RECORD.strip()}) as scopes,
       (select group_concat(lists.names, ' ') {_WITH_RECORD.strip()}) as scope_names,
       models.id as model_id, records.id as record_id
from records
left join models on models.id = records.model
left join gateways on gateways.id = models.gateway
where records.id in ({_OFFERED.strip()})
and (records.deprecated_at is not null or records.lifecycle is not null);

create view coverage_scopes as
select coverages.id as coverage, coverage_spans.scope from coverage_spans
cross join coverages on coverages.series = coverage_spans.series
    and coverages.id between coverage_spans.since and coalesce(coverage_spans.until - 1, {_LAST_ID});

create view change_log as
select snapshots.started_at as at,
       case when sightings.outcome = 'moved' and changes.kind = 'removed' then 'missing' else changes.kind end
           as kind,
       gateways.name as gateway, models.name as model, fields.name as field,
       field_changes.before, field_changes.after, fields.class,
       (select count(*) {_SAME_SIGHTINGS.strip()}) as scopes,
       (select group_concat(maker.name, ' ') {_SAME_SIGHTINGS.strip()}) as scope_names,
       {_FLAPPING.strip()} as flapping,
       models.id as model_id, changes.id as change_id, sightings.transition as transition_id,
       sightings.snapshot as snapshot_id
from sightings
join snapshots on snapshots.id = sightings.snapshot
join changes on changes.transition = sightings.transition
left join models on models.id = changes.model
left join gateways on gateways.id = models.gateway
left join field_changes on field_changes.change = changes.id
left join fields on fields.id = field_changes.field
where {_FIRST_SIGHTING.strip()}
and sightings.outcome in ('moved', 'confirmed')
and (sightings.outcome = 'moved' or (changes.kind = 'removed' and not exists (
    select 1 from records cross join listing_records
        on listing_records.listing = sightings.listing and listing_records.record = records.id
    where records.model = changes.model)));

create view price_changes as
select gateways.name as gateway, models.name as model, {PRICE_NAME.strip()} as field,
       iif(own.record = changes.after, other.amount, own.amount) as before,
       iif(own.record = changes.after, own.amount, null) as after,
       iif(own.record = changes.after, {percent("other.amount", "own.amount")}, null) as percent,
       own.currency, own.unit, own.meter, own.from_tokens, own.window,
       (select min(fields.class) from field_changes join fields on fields.id = field_changes.field
        where field_changes.change = changes.id and 'price' in (fields.class, fields.shape_of)) as class,
       models.id as model_id, changes.id as change_id
from changes
join record_prices as own on own.record in (changes.before, changes.after)
left join record_prices as other
    on other.record = iif(own.record = changes.after, changes.before, changes.after)
    and {is_same_price("other", "own")}
left join models on models.id = changes.model
left join gateways on gateways.id = models.gateway
where changes.kind = 'changed' and (
    (other.record is not null and own.record = changes.after
     and abs(own.amount - other.amount) > 1e-12 * max(own.amount, other.amount)
     and exists (
        select 1 from field_changes join fields on fields.id = field_changes.field
        where field_changes.change = changes.id and 'price' in (fields.class, fields.shape_of)))
    or (other.record is null and exists (
        select 1 from field_changes as fields_of join fields on fields.id = fields_of.field
        where fields_of.change = changes.id and 'price' in (fields.class, fields.shape_of)
        and not coalesce({_is_number(_BEFORE)} and {_is_number(_AFTER)}, 0))));

create view changed_fields as
select fields.name as field, fields.class, fields.shape_of, fields_of.before, fields_of.after,
       fields_of.change as change_id, fields_of.id as field_change_id
from field_changes as fields_of
join fields on fields.id = fields_of.field
join changes on changes.id = fields_of.change
where 'price' not in (fields.class, coalesce(fields.shape_of, '')) or not {_REPEATS_PRICE.strip()};

create view price_history as
select snapshots.started_at as at, gateways.name as gateway, models.name as model,
       price.value ->> 0 as field, price.value ->> 1 as before, price.value ->> 2 as after,
       price.value ->> 3 as percent, price.value ->> 4 as currency, price.value ->> 5 as unit,
       records.input_usd_per_1m, records.output_usd_per_1m,
       (select count(*) {_SAME_SIGHTINGS.strip()}) as scopes,
       (select group_concat(maker.name, ' ') {_SAME_SIGHTINGS.strip()}) as scope_names,
       models.id as model_id, changes.id as change_id, changes.after as record_id,
       sightings.snapshot as snapshot_id
from changes
join sightings on sightings.transition = changes.transition
join snapshots on snapshots.id = sightings.snapshot
join json_each((select json_group_array(json_array(field, before, after, percent, currency, unit)) from (
    select field, before, after, percent, currency, unit from price_changes
    where change_id = changes.id and class = 'price'
    union all
    select field, {_BEFORE}, {_AFTER},
           case when not {_IS_RESCALED.strip()} then {percent(_BEFORE, _AFTER)} end, null, null
    from changed_fields as fields_of where change_id = changes.id and class = 'price') as both)) as price
left join records on records.id = changes.after
left join models on models.id = changes.model
left join gateways on gateways.id = models.gateway
where {_IS_PRICED.strip()} and sightings.outcome = 'moved' and {_FIRST_SIGHTING.strip()};

create view health as
select scopes.name as scope, gateways.name as gateway, scopes.group_name, scopes.auth,
       case when not scopes.asked then 'retired'
            when sightings.outcome in {PROBLEMS} then sightings.outcome else 'ok' end as state,
       case when sightings.outcome in {PROBLEMS} then began.started_at end as state_since,
       iif(scopes.lists_groups, null, listings.size) as models,
       (select snapshots.started_at from snapshots
        where snapshots.id = {last_asked("scopes", _LAST_RUN)}) as last_answered,
       case when sightings.outcome = 'failed' then sightings.error_class end as error_class,
       reasons.name as error,
       coalesce((sightings.outcome = 'failed' and exists ({URGENT_SIGHTING.strip()}))
                or (sightings.outcome = 'held' and sightings.error_class = 'anonymous'), 0) as urgent,
       scopes.id as scope_id, scopes.listing as listing_id, scopes.held as held_listing_id
from scopes
left join gateways on gateways.id = scopes.gateway
left join sightings on sightings.id = scopes.sighting
left join reasons on reasons.id = sightings.reason
left join snapshots as began on began.id = coalesce(sightings.since, sightings.snapshot)
left join listings on listings.id = scopes.listing;

create view groups as
select substr(models.name, {len(GROUP_PREFIX) + 1}) as group_name,
       gateways.name as gateway, scopes.name as user,
       records.body ->> 'ratio' as ratio, records.body ->> 'desc' as description,
       members.name as scope, listings.size as models, scopes.id as user_id, members.id as scope_id
from scopes
join gateways on gateways.id = scopes.gateway
join listing_records on listing_records.listing = scopes.listing
join records on records.id = listing_records.record
join models on models.id = records.model
left join scopes as members on members.gateway = scopes.gateway and members.asked
    and members.group_name = substr(models.name, {len(GROUP_PREFIX) + 1})
    and substr(members.name, 1, length(scopes.name) + 1) = scopes.name || '.'
left join listings on listings.id = members.listing
where scopes.asked and scopes.lists_groups;

create view same_catalog as
select listings.name as listing, gateways.name as gateway, listings.size as models,
       count(*) as scopes, group_concat(scopes.name, ' ') as scope_names, listings.id as listing_id
from scopes
join listings on listings.id = scopes.listing
join gateways on gateways.id = scopes.gateway
where scopes.asked and not scopes.lists_groups
group by listings.id;

create view matrix as {_LISTS.strip()}, asked as (
    select gateway, count(*) as scopes from scopes
    where asked and not lists_groups and listing is not null group by gateway
)
select models.name as model, gateways.name as gateway, sum(lists.scopes) as scopes,
       asked.scopes as of_scopes, group_concat(lists.names, ' ') as offered_to, models.id as model_id
from lists
join listing_records on listing_records.listing = lists.listing
join records on records.id = listing_records.record
join models on models.id = records.model
join gateways on gateways.id = models.gateway
join asked on asked.gateway = gateways.id
group by models.id;
"""  # noqa: S608 - our own words
