-- What happened to models since a time, in kinds by how much it matters, the latest of each kind; those of
-- the models that somebody watches apart.
-- One row for all scopes that made the same move. A model that came back before its removal was confirmed
-- was never gone: that is no news. A number that a gateway writes as a text is kept in quotes.
with moved as (
    select sightings.transition, sightings.outcome, max(snapshots.started_at) as at,
           max(sightings.id) as sighting, min(sightings.scope) as scope,
           count(distinct sightings.scope) as scopes, max(sightings.listing) as listing
    from snapshots
    join sightings on sightings.snapshot = snapshots.id and sightings.outcome in ('moved', 'confirmed')
    where snapshots.started_at >= :since
    group by sightings.transition, sightings.outcome
),
happened as materialized (
    select moved.at, moved.sighting, moved.scopes, moved.scope, changes.id as change, changes.model,
           changes.before, changes.after,
           case when moved.outcome = 'confirmed' then 'removed' when changes.kind = 'removed' then 'missing'
                else changes.kind end as kind,
           case when changes.kind = 'added' then (
               select max(sightings.id) from changes as gone
               join sightings on sightings.transition = gone.transition and sightings.scope = moved.scope
               where gone.model = changes.model and gone.kind = 'removed'
               and sightings.outcome = 'moved' and sightings.id < moved.sighting) end as missed,
           case when changes.kind = 'added' then (
               select max(sightings.id) from changes as gone
               join sightings on sightings.transition = gone.transition and sightings.scope = moved.scope
               where gone.model = changes.model and gone.kind = 'removed'
               and sightings.outcome = 'confirmed' and sightings.id < moved.sighting) end as gone
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
judged as materialized (
    select happened.*,
           case when kind in ('removed', 'missing') then kind
                when kind = 'added' and gone > coalesce(missed, 0) then 'returned'
                when kind = 'added' and missed is null then iif(exists (
                    select 1 from departures where departures.scope = happened.scope
                    and departures.model = happened.model and departures.left_at is not null), 'returned', 'added')
                when kind = 'added' then 'flicker'
                else (
                    select case when max(class = 'price' and step > 0) then 'dearer'
                                when max(class = 'lifecycle' and after is not null) then 'ends'
                                when max(class = 'limits' and step < 0) then 'smaller'
                                when max(class = 'price' and step < 0) then 'cheaper'
                                when max(class = 'limits' and step > 0) then 'larger'
                                when max(class in ('price', 'limits', 'capabilities', 'lifecycle'))
                                then 'changed' else 'edited' end
                    from (select fields.class, field_changes.after,
                                 cast(trim(field_changes.after, '"') as real)
                                     - cast(trim(field_changes.before, '"') as real) as step
                          from field_changes join fields on fields.id = field_changes.field
                          where field_changes.change = happened.change)) end as word
    from happened
),
ranked as (
    select *, row_number() over (partition by word, watched order by at desc, model) as place,
           count(*) over (partition by word, watched) as alike
    from (select word, model, before, after, change, scope, max(at) as at, sum(scopes) as scopes,
                 word in ('removed', 'missing', 'dearer', 'cheaper', 'ends') and exists (
                     select 1 from json_each(:watched) as wanted join models on models.id = judged.model
                     where models.name = wanted.value or models.name glob wanted.value) as watched
          from judged where word <> 'flicker' group by word, model, before, after)
)
select ranked.word, ranked.watched, ranked.alike, ranked.at, ranked.scopes, ranked.change, ranked.model, models.name,
       scopes.name as scope,
       (select json_group_array(json_object('field', field, 'before', before, 'after', after)) from (
            select fields.name as field, field_changes.before, field_changes.after
            from field_changes join fields on fields.id = field_changes.field
            where field_changes.change = ranked.change and fields.class = case
                when word in ('dearer', 'cheaper') then 'price' when word in ('smaller', 'larger') then 'limits'
                when word = 'ends' then 'lifecycle' else fields.class end
            and fields.class not in ('text', 'shape', 'other')
            order by fields.name like '%cache%', field_changes.id limit 2)) as fields
from ranked
join models on models.id = ranked.model
join scopes on scopes.id = ranked.scope
where ranked.place <= iif(word in ('removed', 'missing', 'returned', 'added', 'edited'), 2 * :most, :most)
order by ranked.word, ranked.watched, ranked.place
