-- The changes since :since by category, the latest of each category; those of watched models separately.
-- One row for all scopes with the same transition. A model that returned before its removal was confirmed counts as
-- neither removed nor added. Gateways write some numbers as JSON strings, which keep their quotes here.
with moved as (
    select sightings.transition, sightings.outcome, max(snapshots.started_at) as at,
           max(sightings.id) as sighting, min(sightings.scope) as scope,
           count(distinct sightings.scope) as scopes, max(sightings.listing) as listing
    from snapshots
    join sightings on sightings.snapshot = snapshots.id and sightings.outcome in ('moved', 'confirmed')
    where snapshots.started_at >= :since
    group by sightings.transition, sightings.outcome
),
found as materialized (
    select moved.at, moved.sighting, moved.scopes, moved.scope, changes.id as change, changes.model,
           changes.before, changes.after,
           case when moved.outcome = 'confirmed' then 'removed' when changes.kind = 'removed' then 'missing'
                else changes.kind end as kind,
           case when changes.kind = 'added' then (
               select max(sightings.id) from changes as removal
               join sightings on sightings.transition = removal.transition and sightings.scope = moved.scope
               where removal.model = changes.model and removal.kind = 'removed'
               and sightings.outcome = 'moved' and sightings.id < moved.sighting) end as last_missing,
           case when changes.kind = 'added' then (
               select max(sightings.id) from changes as removal
               join sightings on sightings.transition = removal.transition and sightings.scope = moved.scope
               where removal.model = changes.model and removal.kind = 'removed'
               and sightings.outcome = 'confirmed' and sightings.id < moved.sighting) end as last_confirmed
    from moved
    join changes on changes.transition = moved.transition
    where case when moved.outcome = 'moved'
        then changes.kind <> 'removed' or exists (
            select 1 from missing where missing.transition = moved.transition)
        else changes.kind = 'removed' and not exists (
            select 1 from records cross join listing_records
            on listing_records.listing = moved.listing and listing_records.record = records.id
            where records.model = changes.model) end
),
categorised as materialized (
    select found.*,
           case when kind in ('removed', 'missing') then kind
                when kind = 'added' and last_confirmed > coalesce(last_missing, 0) then 'returned'
                when kind = 'added' and last_missing is null then iif(exists (
                    select 1 from departures where departures.scope = found.scope
                    and departures.model = found.model and departures.left_at is not null), 'returned', 'added')
                when kind = 'added' then 'flapped'
                else (
                    select case when max(class = 'price' and difference > 0) then 'price_increase'
                                when max(class = 'lifecycle' and after is not null) then 'shutdown'
                                when max(class = 'limits' and difference < 0) then 'lower_limits'
                                when max(class = 'price' and difference < 0) then 'price_decrease'
                                when max(class = 'limits' and difference > 0) then 'higher_limits'
                                when max(class in ('price', 'limits', 'capabilities', 'lifecycle'))
                                then 'changed' else 'other' end
                    from (select fields.class, field_changes.after,
                                 cast(trim(field_changes.after, '"') as real)
                                     - cast(trim(field_changes.before, '"') as real) as difference
                          from field_changes join fields on fields.id = field_changes.field
                          where field_changes.change = found.change)) end as category
    from found
),
ranked as (
    select *, row_number() over (partition by category, watched order by at desc, model) as place,
           count(*) over (partition by category, watched) as total
    from (select category, model, before, after, change, scope, max(at) as at, sum(scopes) as scopes,
                 category in ('removed', 'missing', 'price_increase', 'price_decrease', 'shutdown') and exists (
                     select 1 from json_each(:watched) as globs join models on models.id = categorised.model
                     where models.name = globs.value or models.name glob globs.value) as watched
          from categorised where category <> 'flapped' group by category, model, before, after)
)
select ranked.category, ranked.watched, ranked.total, ranked.at, ranked.scopes, ranked.change, ranked.model,
       models.name, scopes.name as scope,
       (select json_group_array(json_object('field', field, 'before', before, 'after', after)) from (
            select fields.name as field, field_changes.before, field_changes.after
            from field_changes join fields on fields.id = field_changes.field
            where field_changes.change = ranked.change and fields.class = case
                when category in ('price_increase', 'price_decrease') then 'price'
                when category in ('lower_limits', 'higher_limits') then 'limits'
                when category = 'shutdown' then 'lifecycle' else fields.class end
            and fields.class not in ('text', 'counters', 'shape', 'other')
            order by fields.name like '%cache%', field_changes.id limit 2)) as fields
from ranked
join models on models.id = ranked.model
join scopes on scopes.id = ranked.scope
where ranked.place <= iif(category in ('removed', 'missing', 'returned', 'added', 'other'), 2 * :most, :most)
order by ranked.category, ranked.watched, ranked.place
