-- The most shared current listings, each with one of its scopes. `place` is the rank of the listing within its
-- gateway. Retired scopes count only where all scopes are retired.
with shared as (
    select scopes.gateway, scopes.listing, min(scopes.id) as scope, count(*) as scopes,
           row_number() over (partition by scopes.gateway order by count(*) desc, min(scopes.id)) as place
    from scopes
    where scopes.listing is not null and not scopes.lists_groups and scopes.asked = (select max(asked) from scopes)
    group by scopes.gateway, scopes.listing
)
select shared.scope, scopes.name, gateways.name as gateway, shared.scopes, shared.place, shared.listing,
       listings.size as models, count(*) over () as total
from shared
join scopes on scopes.id = shared.scope
join gateways on gateways.id = shared.gateway
join listings on listings.id = shared.listing
order by shared.place, shared.scopes desc, scopes.name
limit 8
