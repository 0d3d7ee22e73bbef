-- Prices that moved since a time, by how far: of each model the step that was largest, of what is read from a cache only if nothing else moved.
-- To a tenth is as far as to ten times, and to nothing is furthest. A price that is no longer said moved nowhere.
-- A number that a gateway writes as a text is kept in quotes.
with moved as (
    select sightings.transition, max(snapshots.started_at) as at, count(distinct sightings.scope) as scopes
    from snapshots
    join sightings on sightings.snapshot = snapshots.id and sightings.outcome = 'moved'
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
told as (
    select *, 100 * now / was - 100 as percent, coalesce(max(now / was, was / now), 9e999) as far,
           row_number() over (
               partition by model
               order by field like '%cache%', coalesce(max(now / was, was / now), 9e999) desc, at desc, id) as place
    from steps where was > 0 and now >= 0 and now <> was and not exists (
        select 1 from changes as gone
        join field_changes on field_changes.change = gone.id and field_changes.after is null
        join fields on fields.id = field_changes.field and fields.name = steps.field
        join moved as later on later.transition = gone.transition and later.at > steps.at
        where gone.model = steps.model and gone.kind = 'changed')
)
select told.model, models.name, told.change, told.field, told.before, told.after, told.percent, told.at, told.scopes,
       count(*) over () as moved
from told join models on models.id = told.model
where told.place = 1
order by told.far desc, told.at desc, models.name
limit :most
