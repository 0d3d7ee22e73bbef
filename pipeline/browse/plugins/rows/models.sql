-- ## Offered now | each distinct record, with the number of scopes that get it | catalog?model_id=:id
with lists as (
    select listing, count(*) as scopes, min(id) as scope from scopes
    where asked and listing is not null group by listing
)
select sum(lists.scopes) as scopes, min(lists.scope) as "scopes#", min(scopes.name) as "for example",
       records.input_usd_per_1m as input_usd, records.output_usd_per_1m as output_usd,
       records.cache_read_usd_per_1m as cache_read_usd, records.context_length, records.max_output,
       records.deprecated_at as shutdown, records.id as "records#", records.name as record
from records
join listing_records on listing_records.record = records.id
join lists on lists.listing = listing_records.listing
join scopes on scopes.id = lists.scope
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
    select changes.id, max(snapshots.started_at) as at, count(distinct sightings.scope) as scopes
    from changes
    join sightings on sightings.transition = changes.transition and sightings.outcome = 'moved'
    join snapshots on snapshots.id = sightings.snapshot
    where changes.model = :id and changes.kind = 'changed'
    group by changes.id
)
select at, group_concat(distinct field) as field, currency as "currency#", unit as "unit#", before, after, scopes,
       id as "changes#", 'open' as change
from (
    select made.*, price.field, price.currency, price.unit, price.before, price.after, 0 as place
    from made join price_changes as price on price.change_id = made.id
    union all
    select made.*, others.field, null, null, trim(others.before, '"'), trim(others.after, '"'),
           others.field_change_id
    from made join changed_fields as others on others.change_id = made.id
    where 'price' in (others.class, others.shape_of))
group by id, currency, unit, before, after, iif(currency is null, '', field)
order by at desc, min(place)
limit 60

-- ## Other changes | the newest first | change_log?model_id=:id&_sort_desc=at
select snapshots.started_at as at,
       case when changes.kind = 'removed' and sightings.outcome = 'moved' then 'missing' else changes.kind end as kind,
       fields.name as field, field_changes.before, field_changes.after,
       count(distinct sightings.scope) as scopes, changes.id as "changes#", 'open' as change
from changes
join sightings on sightings.transition = changes.transition and sightings.outcome in ('moved', 'confirmed')
    and (sightings.outcome = 'moved' or changes.kind = 'removed')
join snapshots on snapshots.id = sightings.snapshot
left join field_changes on field_changes.change = changes.id
left join fields on fields.id = field_changes.field
where changes.model = :id and fields.class is not 'price' and fields.shape_of is not 'price'
group by changes.id, sightings.outcome, field_changes.id
order by at desc, changes.id, field_changes.id
limit 60
