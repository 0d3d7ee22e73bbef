-- ## Changes | by model and field, with the number of scopes | sightings?snapshot=:id
select case when changes.kind = 'removed' and sightings.outcome = 'moved' then 'missing' else changes.kind end as kind,
       models.id as "models#", models.name as model, fields.name as field, field_changes.before,
       field_changes.after, count(distinct sightings.scope) as scopes, changes.id as "changes#", 'open' as change
from sightings
join changes on changes.transition = sightings.transition and (sightings.outcome = 'moved' or changes.kind = 'removed')
join models on models.id = changes.model
left join field_changes on field_changes.change = changes.id
left join fields on fields.id = field_changes.field
where sightings.snapshot = :id and sightings.outcome in ('moved', 'confirmed')
group by changes.id, sightings.outcome, field_changes.id
order by case changes.kind when 'removed' then 0 when 'changed' then 1 else 2 end, models.name, field_changes.id
limit 100

-- ## Outcomes | the scopes with a new listing, a failure or a held answer | sightings?snapshot=:id
select sightings.outcome, scopes.id as "scopes#", scopes.name as scope, transitions.added, transitions.removed,
       transitions.changed, sightings.error_class as error, sightings.transition as "transitions#",
       transitions.name as transition
from sightings
join scopes on scopes.id = sightings.scope
left join transitions on transitions.id = sightings.transition
where sightings.snapshot = :id
order by case sightings.outcome when 'failed' then 0 when 'held' then 1 else 2 end, scopes.name
limit 100
