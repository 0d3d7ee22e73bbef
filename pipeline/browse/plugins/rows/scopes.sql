-- ## What it sees now | its list, and how many scopes see exactly that one | catalog?scope_id=:id
select listings.id as "listings#", listings.name as list, listings.size as models,
       (select count(*) from scopes as alike where alike.listing = listings.id and alike.asked) as scopes
from scopes join listings on listings.id = scopes.listing
where scopes.id = :id

-- ## What happened to it | the latest first: moved lists, failures, holds | sightings?scope=:id&_sort_desc=id
select snapshots.started_at as at, sightings.outcome as kind, transitions.added, transitions.removed,
       transitions.changed, sightings.error_class as error, sightings.transition as "transitions#",
       transitions.name as transition, sightings.snapshot as "snapshots#", snapshots.name as run
from sightings
join snapshots on snapshots.id = sightings.snapshot
left join transitions on transitions.id = sightings.transition
where sightings.scope = :id
order by sightings.snapshot desc
limit 100
