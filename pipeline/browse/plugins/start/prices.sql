-- The largest price change of each model since :since, the largest first; one of a cache price only where no other
-- price changed. The size is the factor, up or down alike; a change to 0 is the largest. Prices that were removed
-- later are left out. Prices are those of price_changes, and the fields with numbers that repeat none of these; gateways
-- write some numbers as JSON strings, which keep their quotes here. Where the unit changed too, they have no size.
with moved as (
    select sightings.transition, max(snapshots.started_at) as at, count(distinct sightings.scope) as scopes
    from snapshots
    join sightings on sightings.snapshot = snapshots.id and sightings.outcome = 'moved'
        and sightings.scope not in (select id from scopes where lists_groups)
    where snapshots.started_at >= :since
    group by sightings.transition
),
steps as materialized (
    select changes.id as change, changes.model, moved.at, moved.scopes, price.field, price.currency, price.unit,
           price.before, price.after, price.before as was, 1.0 * price.after as now, 0 as place
    from moved
    join changes on changes.transition = moved.transition and changes.kind = 'changed'
    join price_changes as price on price.change_id = changes.id
    where price.class = 'price'
    union all
    select changes.id, changes.model, moved.at, moved.scopes, others.field, null, null, others.before, others.after,
           cast(trim(others.before, '"') as real), cast(trim(others.after, '"') as real), others.field_change_id
    from moved
    join changes on changes.transition = moved.transition and changes.kind = 'changed'
    join changed_fields as others on others.change_id = changes.id
    where others.class = 'price' and coalesce(trim(others.before, '"'), '') not glob '*[^0-9.eE+-]*'
    and coalesce(trim(others.after, '"'), '') not glob '*[^0-9.eE+-]*'
    and not exists (
        select 1 from changed_fields as scales where scales.change_id = changes.id and is_scale(scales.field))
),
removed as materialized (
    select model, field, currency, unit, max(at) as at from steps where after is null
    group by model, field, currency, unit
),
ranked as (
    select steps.*, 100 * now / was - 100 as percent, coalesce(max(now / was, was / now), 9e999) as factor,
           row_number() over (
               partition by steps.model
               order by steps.field like '%cache%', coalesce(max(now / was, was / now), 9e999) desc, steps.at desc,
                        place) as rank
    from steps
    left join removed on removed.model = steps.model and removed.field = steps.field
        and removed.currency is steps.currency and removed.unit is steps.unit and removed.at > steps.at
    where was > 0 and now >= 0 and now <> was and removed.model is null
)
select ranked.model, models.name, ranked.change, ranked.field, ranked.currency, ranked.unit, ranked.before, ranked.after,
       ranked.percent, ranked.at, ranked.scopes, count(*) over () as total
from ranked join models on models.id = ranked.model
where ranked.rank = 1
order by ranked.factor desc, ranked.at desc, models.name
limit :most
