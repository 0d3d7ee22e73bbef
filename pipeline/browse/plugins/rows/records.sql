-- ## Offered now | the scopes that get this record | catalog?record_id=:id
select scopes.id as "scopes#", scopes.name as scope, scopes.group_name, scopes.listing as "listings#",
       listings.name as listing
from listing_records
join scopes on scopes.listing = listing_records.listing and scopes.asked
join listings on listings.id = scopes.listing
where listing_records.record = :id
order by scopes.name
limit 20

-- ## Changes | the changes to and from this record, by field | changes?after=:id
with made as materialized (
    select changes.id, min(snapshots.started_at) as at,
           case when changes.after = :id then 'to this record' else 'from this record' end as direction
    from changes
    join sightings on sightings.transition = changes.transition and sightings.outcome = 'moved'
    join snapshots on snapshots.id = sightings.snapshot
    where changes.before = :id or changes.after = :id
    group by changes.id
)
select at, direction, field, currency as "currency#", unit as "unit#", before, after, id as "changes#", 'open' as change
from (
    /* changed_fields.sql */
    union all
    select made.*, null, null, null, null, null, 0, null, null from made
    where not exists (select 1 from field_changes where field_changes.change = made.id))
order by at, id, place
limit 100

-- ## Prices | with their conditions | prices?record_id=:id
select meter, unit, nullif(from_tokens, 0) as above_tokens, window, currency as "currency#", amount
from record_prices
where record = :id
order by place
limit 100
