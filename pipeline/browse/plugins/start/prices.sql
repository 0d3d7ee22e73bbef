-- The largest price change of each model since :since, the largest first; one of a cache price only where no other
-- price changed. The size is the factor, up or down alike; a change to 0 is the largest. Prices that were removed
-- later are left out. Prices are those of price_changes, and the fields with numbers that repeat none of these; gateways
-- write some numbers as JSON strings, which keep their quotes here. Where the unit changed too, they have no size.
-- `priced` has the changes with a field of the class price; scopes are counted for the rows that are shown.
with runs as materialized (
    select id, started_at as at from snapshots where started_at >= :since
),
here as materialized (
    select snapshot, transition, max(id) as sighting from sightings
    where snapshot in (select id from runs) and +outcome = 'moved'
    group by snapshot, transition
),
moved as materialized (
    select here.transition, max(runs.at) as at
    from here join runs on runs.id = here.snapshot
    where not exists (
        select 1 from sightings join scopes on scopes.id = sightings.scope
        where sightings.id = here.sighting and scopes.lists_groups)
    group by here.transition
),
priced as materialized (
    select changes.id, changes.model, moved.at
    from moved
    cross join changes on changes.transition = moved.transition and changes.kind = 'changed'
    where exists (
        select 1 from field_changes
        where field_changes.change = changes.id and field_changes.field in (select id from fields where class = 'price'))
),
steps as materialized (
    select priced.id as change, priced.model, priced.at, price.field, price.currency, price.unit, price.before, price.after,
           price.before as was, 1.0 * price.after as now, 0 as place
    from priced
    cross join price_changes as price on price.change_id = priced.id
    union all
    select priced.id, priced.model, priced.at, others.field, null, null, others.before, others.after,
           cast(trim(others.before, '"') as real), cast(trim(others.after, '"') as real), others.field_change_id
    from priced
    cross join changed_fields as others on others.change_id = priced.id
    where others.class = 'price' and coalesce(trim(others.before, '"'), '') not glob '*[^0-9.eE+-]*'
    and coalesce(trim(others.after, '"'), '') not glob '*[^0-9.eE+-]*'
    and not exists (
        select 1 from changed_fields as scales where scales.change_id = priced.id and is_scale(scales.field))
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
select shown.model, shown.name, shown.change, shown.field, shown.currency, shown.unit, shown.before, shown.after,
       shown.percent, shown.at, (
           select count(distinct sightings.scope) from changes
           join sightings on sightings.transition = changes.transition and +sightings.outcome = 'moved'
           where changes.id = shown.change and sightings.snapshot in (select id from runs)) as scopes, shown.total
from (
    select ranked.*, models.name, count(*) over () as total
    from ranked join models on models.id = ranked.model
    where ranked.rank = 1
    order by ranked.factor desc, ranked.at desc, models.name
    limit :most) as shown
order by shown.factor desc, shown.at desc, shown.name
