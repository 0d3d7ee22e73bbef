-- The time of the last change, to which the window is extended.
select max(snapshots.started_at) as at from (
    select snapshot from sightings where outcome in ('moved', 'confirmed')
    and scope not in (select id from scopes where lists_groups) order by id desc limit 100) as last
join snapshots on snapshots.id = last.snapshot
