-- ## Changes | by model and field, with the number of scopes | sightings?snapshot=:id
with made as materialized (
    select changes.id, case when changes.kind = 'removed' and sightings.outcome = 'moved' then 'missing'
                            else changes.kind end as kind,
           models.id as model_id, models.name as model, count(distinct sightings.scope) as scopes
    from sightings
    join changes on changes.transition = sightings.transition
        and (sightings.outcome = 'moved' or changes.kind = 'removed')
    join models on models.id = changes.model
    where sightings.snapshot = :id and sightings.outcome in ('moved', 'confirmed')
    group by changes.id, sightings.outcome
    order by case changes.kind when 'removed' then 0 when 'changed' then 1 else 2 end, models.name
    limit 100
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
limit 100

-- ## Outcomes | the scopes with a new listing, a failure or a held answer | sightings?snapshot=:id
select sightings.outcome, scopes.id as "scopes#", scopes.name as scope, transitions.added, transitions.removed,
       transitions.changed, sightings.error_class as error, sightings.transition as "transitions#",
       transitions.name as transition
from sightings
join scopes on scopes.id = sightings.scope
left join transitions on transitions.id = sightings.transition
where sightings.snapshot = :id
order by case sightings.outcome when 'failed' then 0 when 'held' then 1 else 2 end, scopes.name
limit 100
