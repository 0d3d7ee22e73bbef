-- ## Changes | by model and field, with the number of scopes | sightings?snapshot=:id
/* model_changes.sql: snapshot = :id */

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
