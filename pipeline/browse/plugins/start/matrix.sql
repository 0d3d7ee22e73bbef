-- The models that only some listings of a gateway have, with these listings.
with lists as (
    select cast(value ->> 'listing' as integer) as listing, value ->> 'gateway' as gateway from json_each(:listings)
),
offered as (
    select lists.gateway, records.model, json_group_array(lists.listing) as listings, count(*) as many
    from lists
    join listing_records on listing_records.listing = lists.listing
    join records on records.id = listing_records.record
    group by records.model
    having count(*) < (select count(*) from lists as all_lists where all_lists.gateway = lists.gateway)
)
select offered.gateway, offered.model, models.name, offered.listings, offered.many,
       count(*) over (partition by offered.gateway) as total
from offered join models on models.id = offered.model
order by offered.gateway, offered.many desc, models.name
limit :most
