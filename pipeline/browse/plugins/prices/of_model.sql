-- The records of a model over time, for one scope of each of the four most shared current listings: a row for each
-- new record, and one without a record where the model was missing.
with mine as materialized (select id from records where model = :id),
offering as materialized (select listing from listing_records where record in (select id from mine)),
changed_for as materialized (
    select distinct sightings.scope from changes
    join sightings on sightings.transition = changes.transition and sightings.outcome = 'moved'
    where changes.model = :id
),
chosen as materialized (
    select min(scopes.id) as scope from scopes
    where scopes.listing in (select listing from offering) or scopes.id in (select scope from changed_for)
    group by scopes.listing
    order by max(scopes.asked) desc, scopes.listing in (select listing from offering) desc, count(*) desc, 1
    limit 4
),
steps as (
    select sightings.scope, sightings.id, sightings.snapshot, changes.after as record
    from changes
    cross join sightings on sightings.transition = changes.transition and sightings.outcome = 'moved'
        and sightings.scope in (select scope from chosen)
    where changes.model = :id
    union all
    select chosen.scope, sightings.id, sightings.snapshot, (
        select listing_records.record from mine
        join listing_records on listing_records.listing = sightings.listing and listing_records.record = mine.id)
    from chosen
    cross join sightings indexed by sightings_scope on sightings.scope = chosen.scope
        and sightings.outcome in ('baseline', 'reread')
)
select snapshots.started_at as at, steps.scope, scopes.name as scope_name, health.last_answered as until, steps.record,
       records.name as record_name, records.body, (
           select json_group_array(json_array(currency,
               replace(meter, '_', ' ') || iif(unit in ('1M tokens', meter), '', ' per ' || unit)
               || case when from_tokens = 0 then ''
                       when from_tokens % 1000000 = 0 then ' above ' || (from_tokens / 1000000) || 'M'
                       when from_tokens % 1000 = 0 then ' above ' || (from_tokens / 1000) || 'k'
                       else printf(' above %,d', from_tokens) end
               || coalesce(', ' || window, ''), amount))
           from (select * from record_prices where record_prices.record = records.id
                 order by from_tokens > 0 or window is not null, place)
       ) as prices
from steps
join snapshots on snapshots.id = steps.snapshot
join scopes on scopes.id = steps.scope
join health on health.scope_id = steps.scope
left join records on records.id = steps.record
order by steps.scope, at, steps.id
