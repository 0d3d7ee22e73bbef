-- ## What it was | the record that was removed |
select records.input_usd_per_1m as input_usd, records.output_usd_per_1m as output_usd,
       records.cache_read_usd_per_1m as cache_read_usd, records.context_length, records.max_output,
       records.owned_by, records.type, records.body as "as the gateway wrote it",
       records.id as "records#", records.name as record
from changes join records on records.id = changes.before
where changes.id = :id and changes.kind = 'removed'

-- ## What it is | the record that was added |
select records.input_usd_per_1m as input_usd, records.output_usd_per_1m as output_usd,
       records.cache_read_usd_per_1m as cache_read_usd, records.context_length, records.max_output,
       records.owned_by, records.type, records.body as "as the gateway wrote it",
       records.id as "records#", records.name as record
from changes join records on records.id = changes.after
where changes.id = :id and changes.kind = 'added'

-- ## Before and after | field by field | field_changes?change=:id
select fields.name as field, fields.class as about, field_changes.before, field_changes.after
from field_changes join fields on fields.id = field_changes.field
where field_changes.change = :id
order by field_changes.id
limit 200

-- ## Who saw it | and when: a scope that misses a model, and later the confirmation that it is gone | change_log?change_id=:id
select snapshots.started_at as at,
       case when changes.kind = 'removed' and sightings.outcome = 'moved' then 'missing' else changes.kind end as kind,
       scopes.id as "scopes#", scopes.name as scope, sightings.snapshot as "snapshots#", snapshots.name as run
from changes
join sightings on sightings.transition = changes.transition and sightings.outcome in ('moved', 'confirmed')
    and (sightings.outcome = 'moved' or changes.kind = 'removed')
join scopes on scopes.id = sightings.scope
join snapshots on snapshots.id = sightings.snapshot
where changes.id = :id
order by at, scopes.name
limit 20
