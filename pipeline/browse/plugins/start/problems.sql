-- The failing and held scopes, the longest first.
select scopes.id as scope, scopes.name, sightings.outcome as state, since.started_at as since,
       sightings.error_class, scopes.held as listing, count(*) over () as total
from sightings
join scopes on scopes.sighting = sightings.id and scopes.asked
left join snapshots as since on since.id = coalesce(sightings.since, sightings.snapshot)
where sightings.outcome in ('failed', 'held')
order by since.started_at, scopes.name
limit :most
