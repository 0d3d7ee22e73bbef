-- Models that are offered now and have a day on which they are said to end, from some days before the last run on.
with offered as (
    select listing, count(*) as scopes from scopes where asked and listing is not null group by listing
)
select records.deprecated_at as ends, models.id as model, models.name, gateways.name as gateway,
       sum(offered.scopes) as scopes, count(*) over () as many, records.deprecated_at < :today as passed
from offered
join listing_records on listing_records.listing = offered.listing
join records on records.id = listing_records.record and records.deprecated_at >= :since
join models on models.id = records.model
join gateways on gateways.id = models.gateway
group by records.deprecated_at, models.id
order by records.deprecated_at, gateways.name, models.name
limit :most
