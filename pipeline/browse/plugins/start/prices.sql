-- The largest price change of each model since :since, the largest first; one of a cache price only where no other
-- price changed. The size is the factor, up or down alike; a change to 0 is the largest. Prices that were removed
-- later are left out. Gateways write some numbers as JSON strings, which keep their quotes here.
with moved as (
    select sightings.transition, max(snapshots.started_at) as at, count(distinct sightings.scope) as scopes
    from snapshots
    join sightings on sightings.snapshot = snapshots.id and sightings.outcome = 'moved'
        and sightings.scope not in (select id from scopes where lists_groups)
    where snapshots.started_at >= :since
    group by sightings.transition
),
steps as (
    select changes.id as change, changes.model, fields.name as field, moved.at, moved.scopes,
           field_changes.before, field_changes.after, field_changes.id,
           cast(trim(field_changes.before, '"') as real) as was, cast(trim(field_changes.after, '"') as real) as now
    from moved
    join changes on changes.transition = moved.transition and changes.kind = 'changed'
    join field_changes on field_changes.change = changes.id and field_changes.after is not null
    join fields on fields.id = field_changes.field and fields.class = 'price'
),
ranked as (
    select *, 100 * now / was - 100 as percent, coalesce(max(now / was, was / now), 9e999) as factor,
           row_number() over (
               partition by model
               order by field like '%cache%', coalesce(max(now / was, was / now), 9e999) desc, at desc, id) as place
    from steps where was > 0 and now >= 0 and now <> was and not exists (
        select 1 from changes as removal
        join field_changes on field_changes.change = removal.id and field_changes.after is null
        join fields on fields.id = field_changes.field and fields.name = steps.field
        join moved as later on later.transition = removal.transition and later.at > steps.at
        where removal.model = steps.model and removal.kind = 'changed')
)
select ranked.model, models.name, ranked.change, ranked.field, ranked.before, ranked.after, ranked.percent, ranked.at,
       ranked.scopes, count(*) over () as total
from ranked join models on models.id = ranked.model
where ranked.place = 1
order by ranked.factor desc, ranked.at desc, models.name
limit :most
