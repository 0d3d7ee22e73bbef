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
select min(snapshots.started_at) as at, case when changes.after = :id then 'to this record' else 'from this record' end as direction,
       fields.name as field, field_changes.before, field_changes.after, changes.id as "changes#",
       'open' as change
from changes
join sightings on sightings.transition = changes.transition and sightings.outcome = 'moved'
join snapshots on snapshots.id = sightings.snapshot
left join field_changes on field_changes.change = changes.id
left join fields on fields.id = field_changes.field
where changes.before = :id or changes.after = :id
group by changes.id, field_changes.id
order by at, changes.id, field_changes.id
limit 100

-- ## Prices | with their conditions | prices?record_id=:id
select meter, unit, nullif(from_tokens, 0) as above_tokens, window, currency, amount
from record_prices
where record = :id
order by place
limit 100
