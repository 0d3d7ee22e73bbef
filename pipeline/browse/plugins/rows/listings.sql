-- ## Scopes | the scopes whose current listing this is | scopes?listing=:id
select scopes.id as "scopes#", scopes.name as scope, scopes.group_name,
       case when scopes.asked then 'active' else 'retired' end as state
from scopes where scopes.listing = :id
order by scopes.asked desc, scopes.name
limit 20

-- ## Transitions | the transitions to and from this listing | transitions?after=:id
select min(snapshots.started_at) as at, case when transitions.after = :id then 'to this listing' else 'from this listing' end as direction,
       transitions.added, transitions.removed, transitions.changed, count(distinct sightings.scope) as scopes,
       transitions.id as "transitions#", transitions.name as transition
from transitions
join sightings on sightings.transition = transitions.id
join snapshots on snapshots.id = sightings.snapshot
where transitions.before = :id or transitions.after = :id
group by transitions.id
order by at desc
limit 20

-- ## Models | with prices in USD per 1 million tokens where known | listing_records?listing=:id
select models.id as "models#", models.name as model, records.input_usd_per_1m as input_usd,
       records.output_usd_per_1m as output_usd, records.context_length, records.id as "records#",
       records.name as record
from listing_records
join records on records.id = listing_records.record
join models on models.id = records.model
where listing_records.listing = :id
order by models.name
limit 100
