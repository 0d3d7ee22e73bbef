-- The changes since :since by category, the latest of each category; those of watched models separately. The rules of
-- events are in events.sql, which is inserted at its name; a model is missing as long as its removal is pending.
-- Gateways write some numbers as JSON strings, which keep their quotes here. Prices are those of price_changes, and the
-- fields that repeat none of these; `lost` is that of a price before its loss.
with runs as materialized (
    select id, started_at as at from snapshots where started_at >= :since
),
chosen as materialized (
    select id from scopes
),
/* events.sql */,
pending as (
    select moved.at, 'missing' as kind, changes.model, changes.id as change, null as fields_of, moved.scope, moved.scopes,
           null as sighting
    from moved
    cross join missing on missing.transition = moved.transition and missing.scope = moved.scope
    cross join changes on changes.transition = moved.transition
        and changes.kind = iif(moved.outcome = 'moved', 'removed', null)
    left join came on came.place = changes.model << 32 | moved.scope and came.id > moved.id
    where came.id is null
),
alike_events as materialized (
    select event.kind, event.model, changes.before, changes.after, max(event.at) as at, sum(event.scopes) as scopes,
           event.change, event.fields_of, event.scope, event.sighting, (
               select min(fields.class) from field_changes join fields on fields.id = field_changes.field
               where field_changes.change = event.fields_of and 'price' in (fields.class, fields.shape_of)) as price_class
    from (select at, kind, model, change, fields_of, scope, scopes, sighting from found
          union all select * from pending) as event
    cross join changes on changes.id = event.change
    group by event.model, changes.before, changes.after, event.kind, nullif(event.fields_of, event.change),
             iif(exists (select 1 from regains where regains.sighting = event.sighting and regains.model = event.model),
                 event.sighting, null)
),
prices as materialized (
    select alike_events.*, iif(price_class is null, null, (
        select min(case when price_class <> 'price' and (before is not null or lost is null) then 7
                        when after > coalesce(before, lost) then 0 when after < coalesce(before, lost) then 4 else 6 end)
        from (select price.before, price.after, iif(price.before is not null, null, (
                  select was.amount from regains join record_prices as was on was.record = regains.record
                      and was.meter = price.meter and was.unit = price.unit
                      and was.from_tokens = price.from_tokens and was.window is price.window
                      and was.currency = price.currency
                  where regains.sighting = alike_events.sighting and regains.model = alike_events.model)) as lost
              from price_changes as price where price.change_id = alike_events.fields_of))) as by_prices
    from alike_events
),
steps as materialized (
    select prices.*, iif(by_prices = 0 or fields_of is null, null, (
        select min(case class
                   when 'price' then case when difference > 0 then 0 when difference < 0 then 4 else 6 end
                   when 'lifecycle' then iif(after is null, 6, 1)
                   when 'limits' then case when difference < 0 then 2 when difference > 0 then 5 else 6 end
                   when 'capabilities' then iif(is_lost(before, after), 3, 6) else 7 end)
        from (select iif(regains.id is null, others.class, coalesce(others.shape_of, others.class)) as class,
                     coalesce(regains.before, others.before) as before, others.after,
                     iif('price' in (others.class, others.shape_of)
                         and trim(others.after || coalesce(regains.before, others.before), '"')
                             glob '*[^0-9.eE+"-]*', null,
                         cast(trim(others.after, '"') as real)
                             - cast(trim(coalesce(regains.before, others.before), '"') as real)) as difference
              from changed_fields as others
              left join regains on regains.sighting = prices.sighting and regains.model = prices.model
                  and regains.field = others.field
              where others.change_id = prices.fields_of))) as by_fields
    from prices
),
categorised as (
    select steps.*,
           case when steps.kind <> 'changed' then steps.kind
                else case min(coalesce(by_fields, 7), coalesce(by_prices, 7))
                     when 0 then 'price_increase' when 1 then 'shutdown' when 2 then 'lower_limits'
                     when 3 then 'lost_capabilities' when 4 then 'price_decrease' when 5 then 'higher_limits'
                     when 6 then 'changed' else 'other' end end as category
    from steps
),
ranked as (
    select *, row_number() over (partition by category, watched order by at desc, model) as place,
           count(*) over (partition by category, watched) as total
    from (select category, model, before, after, change, scope, sighting, max(at) as at, sum(scopes) as scopes,
                 category in ('removed', 'missing', 'price_increase', 'price_decrease', 'shutdown')
                 and model in (
                     select models.id from json_each(:watched) as globs
                     join models on models.name = globs.value or models.name glob globs.value) as watched
          from categorised group by category, model, before, after)
)
select ranked.category, ranked.watched, ranked.total, ranked.at, ranked.scopes, ranked.change, ranked.model,
       models.name, scopes.name as scope,
       ranked.category like 'price%' and exists (
           select 1 from changed_fields as scales where scales.change_id = ranked.change and is_scale(scales.field)
       ) as is_scaled,
       (select json_group_array(json_object('field', field, 'currency', currency, 'unit', unit, 'before', before,
                                            'after', after)) from (
            select others.field, null as currency, null as unit, coalesce(regains.before, others.before) as before,
                   others.after, others.field_change_id as place,
                   iif(regains.id is null, others.class, coalesce(others.shape_of, others.class)) as own_class
            from changed_fields as others
            left join regains on regains.sighting = ranked.sighting and regains.model = ranked.model
                and regains.field = others.field
            where others.change_id = ranked.change
            union all
            select field, currency, unit, coalesce(before, lost), after, 0,
                   iif(before is null and lost is not null, 'price', class)
            from (
                          select price.*, iif(price.before is not null, null, (
                              select was.amount from regains join record_prices as was on was.record = regains.record
                                  and was.meter = price.meter and was.unit = price.unit
                                  and was.from_tokens = price.from_tokens and was.window is price.window
                                  and was.currency = price.currency
                              where regains.sighting = ranked.sighting and regains.model = ranked.model)) as lost
                          from price_changes as price where price.change_id = ranked.change))
        where own_class = case
                when category in ('price_increase', 'price_decrease') then 'price'
                when category in ('lower_limits', 'higher_limits') then 'limits'
                when category = 'lost_capabilities' then 'capabilities'
                when category = 'shutdown' then 'lifecycle' else own_class end
            and own_class not in ('text', 'counters', 'shape', 'other')
        order by field like '%cache%', place limit 2) as fields
from ranked
join models on models.id = ranked.model
join scopes on scopes.id = ranked.scope
where ranked.place <= iif(category in ('removed', 'missing', 'returned', 'added', 'other'), 2 * :most, :most)
order by ranked.category, ranked.watched, ranked.place
