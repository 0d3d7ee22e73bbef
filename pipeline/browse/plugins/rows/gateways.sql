-- ## Current listings | each distinct one, with the number of scopes that have it | same_catalog
select listings.id as "listings#", listings.name as listing, listings.size as models, count(*) as scopes,
       min(scopes.id) as "scopes#", min(scopes.name) as "for example"
from scopes join listings on listings.id = scopes.listing
where scopes.gateway = :id and scopes.asked
group by listings.id
order by 4 desc
limit 100

-- ## Scopes | all scopes of this gateway | scopes?gateway=:id
select scopes.id as "scopes#", scopes.name as scope, scopes.group_name, scopes.auth as "asked as",
       case when not scopes.asked then 'retired'
            when sightings.outcome in ('failed', 'held') then sightings.outcome else 'ok' end as state,
       listings.size as models
from scopes
left join listings on listings.id = scopes.listing
left join sightings on sightings.id = scopes.sighting
where scopes.gateway = :id
order by scopes.name
limit 100
