-- The changes of some sightings by model and field, with the number of scopes: removals first, then changes.
with made as materialized (
    select changes.id, case when changes.kind = 'removed' and made_by.outcome = 'moved' then 'missing'
                            else changes.kind end as kind,
           models.id as model_id, models.name as model, made_by.scopes
    from (
        select transition, outcome, count(distinct scope) as scopes from sightings
        where /* condition */ and outcome in ('moved', 'confirmed')
        group by transition, outcome) as made_by
    join changes on changes.transition = made_by.transition
        and (made_by.outcome = 'moved' or changes.kind = 'removed')
    join models on models.id = changes.model
    order by case changes.kind when 'removed' then 0 when 'changed' then 1 else 2 end, models.name
    limit 100
)
select kind, model_id as "models#", model, field, currency as "currency#", unit as "unit#", before, after, scopes,
       id as "changes#", 'open' as change
from (
    /* changed_fields.sql */
    union all
    select made.*, null, null, null, null, null, 0, null, null from made where kind <> 'changed')
order by case kind when 'changed' then 1 when 'added' then 2 else 0 end, model, place
limit 100
