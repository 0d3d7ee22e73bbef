-- The time of the last change, to which the window is extended.
select max(snapshots.started_at) as at from (
    select snapshot from sightings where outcome in ('moved', 'confirmed') order by id desc limit 100) as last
join snapshots on snapshots.id = last.snapshot
