-- The changes since :since by category, the latest of each category; those of watched models separately. The rules of
-- events are those of the stored query what_changed, from which `moved` to `found` are a copy; a model is missing as
-- long as its removal is pending. Gateways write some numbers as JSON strings, which keep their quotes here.
with runs as materialized (
    select id, started_at as at from snapshots where started_at >= :since
),
chosen as materialized (
    select id from scopes
),
moved as materialized (
    select runs.at, sightings.*, scopes.name as scope_name,
           exists (select 1 from chosen where chosen.id = scopes.id) as wanted
    from runs
    cross join sightings on sightings.snapshot = runs.id and sightings.outcome in ('moved', 'confirmed')
    join scopes on scopes.id = sightings.scope
),
moves as materialized (
    select at, snapshot, transition, min(scope) as scope, count(*) as scopes,
           group_concat(scope_name, ' ') as scope_names, max(wanted) as wanted
    from moved where outcome = 'moved' group by snapshot, transition
),
affected as materialized (
    select distinct changes.model from (select distinct transition from moved) as of
    cross join changes on changes.transition = of.transition and changes.kind in ('added', 'removed')
),
came as materialized (
    select changes.model << 32 | sightings.scope as place, sightings.id, sightings.snapshot
    from affected
    cross join changes on changes.model = affected.model and changes.kind = 'added'
    cross join sightings on sightings.transition = changes.transition and sightings.outcome = 'moved'
),
went as materialized (
    select changes.model << 32 | sightings.scope as place, sightings.id, sightings.transition, changes.model,
           changes.before, snapshots.started_at as at
    from affected
    cross join changes on changes.model = affected.model and changes.kind = 'removed'
    cross join sightings on sightings.transition = changes.transition and sightings.outcome = 'moved'
    join snapshots on snapshots.id = sightings.snapshot
),
levels as materialized (
    select went.place, went.id, went.model, min(max(count(earlier.id) - 1, 0), 3) as level
    from went
    left join went as earlier on earlier.place = went.place and earlier.id < went.id
        and earlier.at >= strftime('%Y-%m-%dT%H:%M:%SZ', went.at, '-30 days')
    group by went.place, went.id
),
confirmations as materialized (
    select confirmed.id, confirmed.flap_level, first.started_at as since_at, (
        select min(earliest.id) from sightings as earliest
        where earliest.transition = confirmed.transition and earliest.scope = confirmed.scope
        and earliest.outcome = 'moved' and earliest.snapshot >= confirmed.since) as move
    from (select distinct transition from went) as of
    cross join sightings as confirmed on confirmed.transition = of.transition
        and confirmed.outcome = 'confirmed'
    join snapshots as first on first.id = confirmed.since
),
departed as materialized (
    select levels.model, levels.id as move, confirmations.id as confirmation, confirmations.since_at
    from confirmations
    cross join levels on levels.id = confirmations.move and levels.level = confirmations.flap_level
),
removals as materialized (
    select changes.id as change, changes.model, departed.since_at, moved.*
    from moved
    join changes on changes.transition = moved.transition and changes.kind = 'removed'
    join departed on departed.confirmation = moved.id and departed.model = changes.model
    left join came on came.place = changes.model << 32 | moved.scope
        and came.snapshot > moved.since and came.snapshot <= moved.snapshot
    where moved.outcome = 'confirmed' and came.id is null
    and not exists (
        select 1 from records cross join listing_records
            on listing_records.listing = moved.listing and listing_records.record = records.id
        where records.model = changes.model)
),
additions as materialized (
    select changes.id as change, changes.model, changes.after as record, moved.*, max(went.id) as last
    from moved
    join changes on changes.transition = moved.transition and changes.kind = 'added'
    left join went on went.place = changes.model << 32 | moved.scope and went.id < moved.id
    where moved.outcome = 'moved'
    group by changes.id, moved.id
),
back as materialized (
    select additions.*, iif(kept.sighting >= coalesce(additions.last, 0), kept.record, went.before) as before,
           iif(kept.sighting >= coalesce(additions.last, 0), kept.left_at, min(departed.since_at)) as left_at
    from additions
    left join departures as kept on kept.scope = additions.scope and kept.model = additions.model
        and kept.sighting < additions.id
    left join went on went.place = additions.model << 32 | additions.scope and went.id = additions.last
    left join departed on departed.move = additions.last and departed.model = additions.model
        and departed.confirmation < additions.id
    group by additions.change, additions.id
),
found as (
    select moves.at, moves.snapshot, 'changed' as kind, changes.model, changes.id as change,
           changes.id as fields_of, moves.scope, moves.scopes, moves.scope_names, moves.wanted, null as since
    from moves
    join changes on changes.transition = moves.transition and changes.kind = 'changed'
    union all
    select at, snapshot, 'removed', model, change, null, scope, 1, scope_name, wanted, since_at
    from removals
    union all
    select at, snapshot, case when before is null then 'added' when left_at is null then 'changed'
                              else 'returned' end, model, change,
           iif(before is null or before = record, null, (
               select min(same.id) from changes as same
               where same.model = back.model and same.before = back.before and same.after = back.record)),
           scope, 1, scope_name, wanted, left_at
    from back where before is null or left_at is not null or before <> record
),
pending as (
    select moved.at, 'missing' as kind, changes.model, changes.id as change, null as fields_of, moved.scope, 1 as scopes
    from moved
    join missing on missing.transition = moved.transition and missing.scope = moved.scope
    join changes on changes.transition = moved.transition and changes.kind = 'removed'
    left join came on came.place = changes.model << 32 | moved.scope and came.id > moved.id
    where moved.outcome = 'moved' and came.id is null
),
categorised as materialized (
    select steps.*, changes.before, changes.after,
           case when steps.kind <> 'changed' then steps.kind else (
                select case when max(class = 'price' and difference > 0) then 'price_increase'
                            when max(class = 'lifecycle' and after is not null) then 'shutdown'
                            when max(class = 'limits' and difference < 0) then 'lower_limits'
                            when max(class = 'capabilities' and is_lost(before, after)) then 'lost_capabilities'
                            when max(class = 'price' and difference < 0) then 'price_decrease'
                            when max(class = 'limits' and difference > 0) then 'higher_limits'
                            when max(class in ('price', 'limits', 'capabilities', 'lifecycle'))
                            then 'changed' else 'other' end
                from (select fields.class, field_changes.before, field_changes.after,
                             cast(trim(field_changes.after, '"') as real)
                                 - cast(trim(field_changes.before, '"') as real) as difference
                      from field_changes join fields on fields.id = field_changes.field
                      where field_changes.change = steps.fields_of)) end as category
    from (select at, kind, model, change, fields_of, scope, scopes from found union all select * from pending) as steps
    join changes on changes.id = steps.change
),
ranked as (
    select *, row_number() over (partition by category, watched order by at desc, model) as place,
           count(*) over (partition by category, watched) as total
    from (select category, model, before, after, change, scope, max(at) as at, sum(scopes) as scopes,
                 category in ('removed', 'missing', 'price_increase', 'price_decrease', 'shutdown') and exists (
                     select 1 from json_each(:watched) as globs join models on models.id = categorised.model
                     where models.name = globs.value or models.name glob globs.value) as watched
          from categorised group by category, model, before, after)
)
select ranked.category, ranked.watched, ranked.total, ranked.at, ranked.scopes, ranked.change, ranked.model,
       models.name, scopes.name as scope,
       (select json_group_array(json_object('field', field, 'before', before, 'after', after)) from (
            select fields.name as field, field_changes.before, field_changes.after
            from field_changes join fields on fields.id = field_changes.field
            where field_changes.change = ranked.change and fields.class = case
                when category in ('price_increase', 'price_decrease') then 'price'
                when category in ('lower_limits', 'higher_limits') then 'limits'
                when category = 'lost_capabilities' then 'capabilities'
                when category = 'shutdown' then 'lifecycle' else fields.class end
            and fields.class not in ('text', 'counters', 'shape', 'other')
            order by fields.name like '%cache%', field_changes.id limit 2)) as fields
from ranked
join models on models.id = ranked.model
join scopes on scopes.id = ranked.scope
where ranked.place <= iif(category in ('removed', 'missing', 'returned', 'added', 'other'), 2 * :most, :most)
order by ranked.category, ranked.watched, ranked.place
