-- ## Changes | by model and field, with the number of scopes | changes?transition=:id
/* model_changes.sql: transition = :id */

-- ## Scopes | the scopes with this transition | sightings?transition=:id
select snapshots.started_at as at, sightings.outcome, scopes.id as "scopes#", scopes.name as scope,
       sightings.snapshot as "snapshots#", snapshots.name as run
from sightings
join scopes on scopes.id = sightings.scope
join snapshots on snapshots.id = sightings.snapshot
where sightings.transition = :id
order by at, scopes.name
limit 20
