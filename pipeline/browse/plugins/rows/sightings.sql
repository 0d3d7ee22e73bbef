-- ## Changes | by model and field | changes
with made as materialized (
    select changes.id, case when changes.kind = 'removed' and sightings.outcome = 'moved' then 'missing'
                            else changes.kind end as kind,
           models.id as model_id, models.name as model, count(distinct sightings.scope) as scopes
    from sightings
    join changes on changes.transition = sightings.transition
        and (sightings.outcome = 'moved' or changes.kind = 'removed')
    join models on models.id = changes.model
    where sightings.id = :id and sightings.outcome in ('moved', 'confirmed')
    group by changes.id, sightings.outcome
    order by case changes.kind when 'removed' then 0 when 'changed' then 1 else 2 end, models.name
    limit 200
)
select kind, model_id as "models#", model, field, currency as "currency#", unit as "unit#", before, after, scopes, id as "changes#",
       'open' as change
from (
    select made.*, price.field, price.currency, price.unit, price.before, price.after, 0 as place
    from made join price_changes as price on price.change_id = made.id
    union all
    select made.*, others.field, null, null, others.before, others.after, others.field_change_id
    from made join changed_fields as others on others.change_id = made.id
    union all
    select made.*, null, null, null, null, null, 0 from made where kind <> 'changed')
order by case kind when 'changed' then 1 when 'added' then 2 else 0 end, model, place
limit 200
