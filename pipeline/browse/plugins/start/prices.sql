-- Prices that moved since a time, by how far: of each model the step that was largest, of what is read from a cache only if nothing else moved.
with moved as (
    select sightings.transition, max(snapshots.started_at) as at, count(distinct sightings.scope) as scopes
    from snapshots
    join sightings on sightings.snapshot = snapshots.id and sightings.outcome = 'moved'
    where snapshots.started_at >= :since
    group by sightings.transition
),
steps as (
    select changes.id as change, changes.model, fields.name as field, moved.at, moved.scopes,
           field_changes.before, field_changes.after,
           100.0 * cast(field_changes.after as real) / cast(field_changes.before as real) - 100 as percent,
           row_number() over (partition by changes.model order by
               fields.name like '%cache%', abs(cast(field_changes.after as real) / cast(field_changes.before as real) - 1) desc,
               moved.at desc, field_changes.id) as place
    from moved
    join changes on changes.transition = moved.transition and changes.kind = 'changed'
    join field_changes on field_changes.change = changes.id
    join fields on fields.id = field_changes.field and fields.class = 'price'
    where cast(field_changes.before as real) > 0 and field_changes.after is not null
    and cast(field_changes.before as real) <> cast(field_changes.after as real)
)
select steps.model, models.name, steps.change, steps.field, steps.before, steps.after, steps.percent, steps.at,
       steps.scopes, count(*) over () as moved
from steps join models on models.id = steps.model
where steps.place = 1
order by abs(steps.percent) desc, steps.at desc, models.name
limit :most
