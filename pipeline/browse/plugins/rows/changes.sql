-- ## Removed record | the last record before the removal |
select records.input_usd_per_1m as input_usd, records.output_usd_per_1m as output_usd,
       records.cache_read_usd_per_1m as cache_read_usd, records.context_length, records.max_output,
       records.owned_by, records.type, records.body as "record by the gateway",
       records.id as "records#", records.name as record
from changes join records on records.id = changes.before
where changes.id = :id and changes.kind = 'removed'

-- ## Added record | the first record |
select records.input_usd_per_1m as input_usd, records.output_usd_per_1m as output_usd,
       records.cache_read_usd_per_1m as cache_read_usd, records.context_length, records.max_output,
       records.owned_by, records.type, records.body as "record by the gateway",
       records.id as "records#", records.name as record
from changes join records on records.id = changes.after
where changes.id = :id and changes.kind = 'added'

-- ## Changed fields | prices, then the other fields, each with its value before and after | field_changes?change=:id
with made as (select :id as id)
select field, class, currency as "currency#", unit as "unit#", before, after from (
    /* changed_fields.sql */
)
order by place
limit 200

-- ## Scopes | the scopes with this change; a removal is missing first and removed once it is confirmed | change_log?change_id=:id
select snapshots.started_at as at,
       case when changes.kind = 'removed' and sightings.outcome = 'moved' then 'missing' else changes.kind end as kind,
       scopes.id as "scopes#", scopes.name as scope, sightings.snapshot as "snapshots#", snapshots.name as run
from changes as one
join changes on changes.model = one.model and changes.kind = one.kind and changes.before is one.before
    and changes.after is one.after
join sightings on sightings.transition = changes.transition and sightings.outcome in ('moved', 'confirmed')
    and (sightings.outcome = 'moved' or changes.kind = 'removed')
join scopes on scopes.id = sightings.scope
join snapshots on snapshots.id = sightings.snapshot
where one.id = :id
order by at, scopes.name
limit 20
