-- The lists whose length is drawn: those that most scopes see now, each with one scope that stands for all.
-- Where a gateway has many, `place` is the list's place among its own. Scopes that are no longer asked stand in
-- where none is asked.
with seen as (
    select scopes.gateway, scopes.listing, min(scopes.id) as scope, count(*) as scopes,
           row_number() over (partition by scopes.gateway order by count(*) desc, min(scopes.id)) as place
    from scopes
    where scopes.listing is not null and scopes.asked = (select max(asked) from scopes)
    group by scopes.gateway, scopes.listing
)
select seen.scope, scopes.name, gateways.name as gateway, seen.scopes, seen.place, seen.listing,
       listings.size as models, count(*) over () as lists
from seen
join scopes on scopes.id = seen.scope
join gateways on gateways.id = seen.gateway
join listings on listings.id = seen.listing
order by seen.place, seen.scopes desc, scopes.name
limit 8
