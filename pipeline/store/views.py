"""Views: common questions by name, for any program that opens the file.

Many scopes share few listings, so the views read each listing once and not by scope. They look up names by
left joins, which SQLite omits when it counts rows, as Datasette does for each page ("The Omit LEFT JOIN
Optimization" in https://www.sqlite.org/optoverview.html).
"""

from __future__ import annotations

from pipeline.core.types import GROUP_PREFIX
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

_BEFORE, _AFTER = (f"trim(field_changes.{side}, '\"')" for side in ("before", "after"))
"""The values of a field as numbers, since gateways write some prices as JSON strings."""

_NO_NUMBER = "'*[^-+0-9.eE]*'"
_CHANGE = f"round(100.0 * cast({_AFTER} as real) / nullif(cast({_BEFORE} as real), 0) - 100, 9)"
PERCENT = f"""
    case when {_BEFORE} glob {_NO_NUMBER} or {_AFTER} glob {_NO_NUMBER} then null
        when abs({_CHANGE}) between 1e-9 and 0.1 then cast(printf('%.1g', {_CHANGE}) as real)
        else round({_CHANGE}, 1) end
"""
"""A change in percent, to a tenth; to its first digit if it is less than that."""

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

create view price_history as
select snapshots.started_at as at, gateways.name as gateway, models.name as model, fields.name as field,
       {_BEFORE} as before, {_AFTER} as after,
       {PERCENT.strip()} as percent,
       records.input_usd_per_1m, records.output_usd_per_1m,
       (select count(*) {_SAME_SIGHTINGS.strip()}) as scopes,
       (select group_concat(maker.name, ' ') {_SAME_SIGHTINGS.strip()}) as scope_names,
       models.id as model_id, changes.id as change_id, changes.after as record_id,
       sightings.snapshot as snapshot_id
from fields
join field_changes on field_changes.field = fields.id
join changes on changes.id = field_changes.change
join sightings on sightings.transition = changes.transition
join snapshots on snapshots.id = sightings.snapshot
left join records on records.id = changes.after
left join models on models.id = changes.model
left join gateways on gateways.id = models.gateway
where fields.class = 'price' and sightings.outcome = 'moved' and {_FIRST_SIGHTING.strip()};

create view health as
select scopes.name as scope, gateways.name as gateway, scopes.group_name, scopes.auth,
       case when not scopes.asked then 'retired'
            when sightings.outcome in {PROBLEMS} then sightings.outcome else 'ok' end as state,
       case when sightings.outcome in {PROBLEMS} then began.started_at end as state_since,
       iif(scopes.lists_groups, null, listings.size) as models,
       (select snapshots.started_at from snapshots where snapshots.id = (
            select max((select max(covering.id) from snapshots as covering
                        where covering.covered = coverage_scopes.coverage
                        and (sightings.outcome <> 'failed' or covering.id < began.id)))
            from coverage_scopes where coverage_scopes.scope = scopes.id)) as last_answered,
       case when sightings.outcome = 'failed' then sightings.error_class end as error_class, sightings.error,
       coalesce((sightings.outcome = 'failed' and exists ({URGENT_SIGHTING.strip()}))
                or (sightings.outcome = 'held' and sightings.error_class = 'anonymous'), 0) as urgent,
       scopes.id as scope_id, scopes.listing as listing_id, scopes.held as held_listing_id
from scopes
left join gateways on gateways.id = scopes.gateway
left join sightings on sightings.id = scopes.sighting
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
