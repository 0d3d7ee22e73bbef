-- ## Offered now | each distinct record, with the number of scopes that get it | catalog?model_id=:id
with lists as (
    select listing, count(*) as scopes, group_concat(name, ' ') as names from scopes
    where asked and listing is not null group by listing
)
select sum(lists.scopes) as scopes, group_concat(lists.names, ' ') as scope_names,
       records.input_usd_per_1m as input_usd, records.output_usd_per_1m as output_usd,
       records.cache_read_usd_per_1m as cache_read_usd, records.context_length, records.max_output,
       records.deprecated_at as shutdown, records.id as "records#", records.name as record
from records
join listing_records on listing_records.record = records.id
join lists on lists.listing = listing_records.listing
where records.model = :id
group by records.id
order by 1 desc
limit 100

-- ## Prices with conditions | those of the records that are offered now, and prices of other units and currencies | prices?model_id=:id
with lists as (
    select listing, count(*) as scopes from scopes where asked and listing is not null group by listing
)
select record_prices.meter, record_prices.unit, nullif(record_prices.from_tokens, 0) as above_tokens,
       record_prices.window, record_prices.currency as "currency#", record_prices.amount,
       sum(lists.scopes) as scopes, records.id as "records#", records.name as record
from records
join record_prices on record_prices.record = records.id
    and (record_prices.from_tokens > 0 or record_prices.window is not null or record_prices.currency <> 'USD'
         or record_prices.unit not in ('1M tokens', 'call')
         or record_prices.meter not in ('input', 'output', 'cache_read', 'cache_write', 'call'))
join listing_records on listing_records.record = records.id
join lists on lists.listing = listing_records.listing
where records.model = :id
group by records.id, record_prices.place
order by 7 desc, records.id, record_prices.place
limit 100

-- ## Price changes | the newest first; those of unknown unit as the gateway writes them | price_history?model_id=:id&_sort_desc=at
with made as materialized (
    select min(changes.id) as id, snapshots.started_at as at, count(distinct sightings.scope) as scopes
    from changes
    join sightings on sightings.transition = changes.transition and sightings.outcome = 'moved'
    join snapshots on snapshots.id = sightings.snapshot
    where changes.model = :id and changes.kind = 'changed'
    group by changes.before, changes.after, sightings.snapshot
)
select at, group_concat(distinct field) as field, currency as "currency#", unit as "unit#",
       iif(currency is null, trim(before, '"'), before) as before, iif(currency is null, trim(after, '"'), after) as after,
       scopes, id as "changes#", 'open' as change
from (
    /* changed_fields.sql */
)
where place = 0 or 'price' in (class, shape_of)
group by at, id, currency, unit, 5, 6, iif(currency is null, '', field)
order by at desc, min(place)
limit 60

-- ## Other changes | the newest first | change_log?model_id=:id&_sort_desc=at
with made as materialized (
    select min(changes.id) as id, snapshots.started_at as at, count(distinct sightings.scope) as scopes,
           case when changes.kind = 'removed' and sightings.outcome = 'moved' then 'missing' else changes.kind end as kind
    from changes
    join sightings on sightings.transition = changes.transition and sightings.outcome in ('moved', 'confirmed')
        and (sightings.outcome = 'moved' or changes.kind = 'removed')
    join snapshots on snapshots.id = sightings.snapshot
    where changes.model = :id
    group by changes.kind, changes.before, changes.after, sightings.outcome, sightings.snapshot
)
select made.at, made.kind, fields.name as field, field_changes.before, field_changes.after, made.scopes,
       made.id as "changes#", 'open' as change
from made
left join field_changes on field_changes.change = made.id
left join fields on fields.id = field_changes.field
where fields.class is not 'price' and fields.shape_of is not 'price'
order by made.at desc, made.id, field_changes.id
limit 60
