-- ## Current listing | with the number of scopes that have it | catalog?scope_id=:id
select listings.id as "listings#", listings.name as listing, listings.size as models,
       (select count(*) from scopes as alike where alike.listing = listings.id and alike.asked) as scopes
from scopes join listings on listings.id = scopes.listing
where scopes.id = :id

-- ## Notes | about its last accepted answer |
select 'prices' as about, price_advice as note from scopes where id = :id and price_advice is not null
union all
select 'prices', warnings.value from scopes join listings on listings.id = scopes.listing
join json_each(listings.warnings) as warnings
where scopes.id = :id and warnings.value like '% with a price that cannot be, %'
union all
select 'rows', left_out from scopes where id = :id and left_out is not null

-- ## History | new listings, failures, held answers and recoveries, the newest first | sightings?scope=:id&_sort_desc=id
select snapshots.started_at as at, sightings.outcome, transitions.added, transitions.removed,
       transitions.changed, sightings.error_class as error, sightings.transition as "transitions#",
       transitions.name as transition, sightings.snapshot as "snapshots#", snapshots.name as run
from sightings
join snapshots on snapshots.id = sightings.snapshot
left join transitions on transitions.id = sightings.transition
where sightings.scope = :id
order by sightings.snapshot desc
limit 100
