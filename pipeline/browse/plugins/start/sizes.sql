-- The number of models in the current listings of some scopes, at the end of each day on which it changed.
select wanted.value as scope, max(snapshots.started_at) as at, listings.size as models
from json_each(:scopes) as wanted
join sightings on sightings.scope = wanted.value and sightings.outcome in ('baseline', 'moved', 'reread')
join snapshots on snapshots.id = sightings.snapshot
join listings on listings.id = sightings.listing
group by wanted.value, substr(snapshots.started_at, 1, :precision)
order by wanted.value, at
