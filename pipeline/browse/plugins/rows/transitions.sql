-- ## Changes | by model and field, with the number of scopes | changes?transition=:id
select case when changes.kind = 'removed' and sightings.outcome = 'moved' then 'missing' else changes.kind end as kind,
       models.id as "models#", models.name as model, fields.name as field, field_changes.before,
       field_changes.after, count(distinct sightings.scope) as scopes, changes.id as "changes#", 'open' as change
from sightings
join changes on changes.transition = sightings.transition and (sightings.outcome = 'moved' or changes.kind = 'removed')
join models on models.id = changes.model
left join field_changes on field_changes.change = changes.id
left join fields on fields.id = field_changes.field
where sightings.transition = :id and sightings.outcome in ('moved', 'confirmed')
group by changes.id, sightings.outcome, field_changes.id
order by case changes.kind when 'removed' then 0 when 'changed' then 1 else 2 end, models.name, field_changes.id
limit 200

-- ## Scopes | the scopes with this transition | sightings?transition=:id
select snapshots.started_at as at, sightings.outcome, scopes.id as "scopes#", scopes.name as scope,
       sightings.snapshot as "snapshots#", snapshots.name as run
from sightings
join scopes on scopes.id = sightings.scope
join snapshots on snapshots.id = sightings.snapshot
where sightings.transition = :id
order by at, scopes.name
limit 20
