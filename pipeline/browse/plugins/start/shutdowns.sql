-- Offered models with an announced shutdown date, from :since on.
with offered as (
    select listing, count(*) as scopes from scopes where asked and listing is not null group by listing
)
select records.deprecated_at as shutdown, models.id as model, models.name, gateways.name as gateway,
       sum(offered.scopes) as scopes, count(*) over () as total, records.deprecated_at < :today as passed
from offered
join listing_records on listing_records.listing = offered.listing
join records on records.id = listing_records.record and records.deprecated_at >= :since
join models on models.id = records.model
join gateways on gateways.id = models.gateway
group by records.deprecated_at, models.id
order by records.deprecated_at, gateways.name, models.name
limit :most
