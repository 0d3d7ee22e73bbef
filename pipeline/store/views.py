"""Views: the questions that people ask, answered by name in whatever opens the file."""

VIEWS = """
create view catalog as
select scopes.name as scope, gateways.name as gateway, scopes.group_name, models.name as model,
       records.owned_by, records.created, records.type, records.context_length, records.max_output,
       records.input_usd_per_1m, records.output_usd_per_1m, records.cache_read_usd_per_1m,
       records.cache_write_usd_per_1m, records.usd_per_call, records.price_source,
       records.input_modalities, records.output_modalities, records.features, records.endpoints,
       records.lifecycle, records.deprecated_at, records.aliases, records.body,
       scopes.id as scope_id, models.id as model_id, records.id as record_id
from scopes
join gateways on gateways.id = scopes.gateway
join listing_records on listing_records.listing = scopes.listing
join records on records.id = listing_records.record
join models on models.id = records.model
where scopes.asked;

create view change_log as
select snapshots.started_at as at, scopes.name as scope, gateways.name as gateway, scopes.group_name,
       case when sightings.outcome = 'moved' and changes.kind = 'removed' then 'missing' else changes.kind end
           as kind,
       models.name as model, fields.name as field, field_changes.before, field_changes.after,
       fields.class, sightings.id as sighting_id, scopes.id as scope_id, models.id as model_id,
       changes.id as change_id
from sightings
join snapshots on snapshots.id = sightings.snapshot
join scopes on scopes.id = sightings.scope
join gateways on gateways.id = scopes.gateway
join changes on changes.transition = sightings.transition
join models on models.id = changes.model
left join field_changes on field_changes.change = changes.id
left join fields on fields.id = field_changes.field
where sightings.outcome = 'moved' or (
    sightings.outcome = 'confirmed' and changes.kind = 'removed' and changes.model not in (
        select records.model from listing_records join records on records.id = listing_records.record
        where listing_records.listing = sightings.listing));

create view health as
select scopes.name as scope, gateways.name as gateway, scopes.group_name, scopes.auth,
       case when not scopes.asked then 'retired'
            when sightings.outcome in ('held', 'failed') then sightings.outcome else 'ok' end as state,
       case when sightings.outcome in ('held', 'failed') then since.started_at end as state_since,
       listings.size as models,
       (select snapshots.started_at from snapshots where snapshots.id = (
            select max((select max(covering.id) from snapshots as covering
                        where covering.covered = coverage_scopes.coverage
                        and (sightings.outcome <> 'failed' or covering.id < since.id)))
            from coverage_scopes where coverage_scopes.scope = scopes.id)) as last_answered,
       sightings.error_class, sightings.error,
       scopes.id as scope_id, scopes.listing as listing_id, scopes.held as held_listing_id
from scopes
join gateways on gateways.id = scopes.gateway
left join sightings on sightings.id = scopes.sighting
left join snapshots as since on since.id = coalesce(sightings.since, sightings.snapshot)
left join listings on listings.id = scopes.listing;

create view same_catalog as
select listings.name as listing, gateways.name as gateway, listings.size as models,
       count(*) as scopes, group_concat(scopes.name, ' ') as scope_names, listings.id as listing_id
from scopes
join listings on listings.id = scopes.listing
join gateways on gateways.id = scopes.gateway
where scopes.asked
group by listings.id;

create view matrix as
select models.name as model, gateways.name as gateway, count(*) as scopes,
       (select count(*) from scopes as all_scopes
        where all_scopes.gateway = gateways.id and all_scopes.listing is not null
        and all_scopes.asked) as of_scopes,
       group_concat(scopes.name, ' ') as offered_to, models.id as model_id
from scopes
join gateways on gateways.id = scopes.gateway
join listing_records on listing_records.listing = scopes.listing
join records on records.id = listing_records.record
join models on models.id = records.model
where scopes.asked
group by models.id;
"""
