-- Subqueries for the events of the snapshots in `runs`; the last is `found`, with a row for each event. They follow the
-- rules of history/changes.py, and are part of changes.sql and of the stored query what_changed. `chosen` has the ids of
-- the scopes that matter: `wanted` is true for events of at least one of them. Scopes that made the same moves have the
-- same events: `alike` has one of them, with their number and names, and only its sightings are read. A changed record
-- has one row for all scopes with the same move, any other event one for each scope of `alike`. `place` is a model in a
-- scope, as one number, by which SQLite indexes subqueries. A field that came back with another value than was lost has
-- its value before the loss in `regains`, by `sighting`: the first of the scopes with the same move.
windowed as materialized (
    select distinct sightings.transition from runs
    cross join sightings on sightings.snapshot = runs.id and sightings.outcome in ('moved', 'confirmed')
),
affected as materialized (
    select distinct changes.model from windowed
    cross join changes on changes.transition = windowed.transition and changes.kind in ('added', 'removed')
),
movements as materialized (
    select transition from windowed
    union
    select changes.transition from affected
    cross join changes on changes.model = affected.model and changes.kind in ('added', 'removed')
),
pasts as materialized (
    select scope, group_concat(past, ';') as past
    from (select sightings.scope, sightings.snapshot || ',' || sightings.transition || iif(
                     sightings.outcome = 'moved', '', ',' || sightings.listing || ',' || coalesce(sightings.since, '') || ','
                     || coalesce(sightings.flap_level, '')) as past
          from movements
          cross join sightings on sightings.transition = movements.transition
              and sightings.outcome in ('moved', 'confirmed')
          order by sightings.scope, sightings.id)
    where scope not in (select id from scopes where lists_groups)
    group by scope
),
alike as materialized (
    select min(scopes.id) as scope, count(*) as scopes, group_concat(scopes.name, ' ') as scope_names,
           max(scopes.id in (select id from chosen)) as wanted
    from pasts join scopes on scopes.id = pasts.scope
    group by pasts.past, iif(exists (select 1 from regains where regains.scope = scopes.id)
                             or exists (select 1 from departures where departures.scope = scopes.id), scopes.id, 0)
),
moved as materialized (
    select runs.at, sightings.*, alike.scopes, alike.scope_names, alike.wanted
    from alike
    cross join movements
    cross join sightings on sightings.transition = movements.transition and sightings.scope = alike.scope
        and sightings.outcome in ('moved', 'confirmed')
    join runs on runs.id = sightings.snapshot
),
moves as materialized (
    select at, snapshot, transition, (
               select min(same.id) from sightings as same
               where same.snapshot = moved.snapshot and same.transition = moved.transition and same.outcome = 'moved'
           ) as sighting, min(scope) as scope, sum(scopes) as scopes, group_concat(scope_names, ' ') as scope_names,
           max(wanted) as wanted
    from moved where outcome = 'moved' group by snapshot, transition
),
came as materialized (
    select changes.model << 32 | sightings.scope as place, sightings.id, sightings.snapshot
    from affected
    cross join changes on changes.model = affected.model and changes.kind = 'added'
    cross join alike
    cross join sightings on sightings.transition = changes.transition and sightings.scope = alike.scope
        and sightings.outcome = 'moved'
),
went as materialized (
    select changes.model << 32 | sightings.scope as place, sightings.id, sightings.transition, changes.model,
           changes.before, snapshots.started_at as at
    from affected
    cross join changes on changes.model = affected.model and changes.kind = 'removed'
    cross join alike
    cross join sightings on sightings.transition = changes.transition and sightings.scope = alike.scope
        and sightings.outcome = 'moved'
    join snapshots on snapshots.id = sightings.snapshot
),
levels as materialized (
    select went.place, went.id, went.model, min(max(count(earlier.id) - 1, 0), 3) as level
    from went
    left join went as earlier on earlier.place = went.place and earlier.id < went.id
        and earlier.at >= strftime('%Y-%m-%dT%H:%M:%SZ', went.at, '-30 days')
    group by went.place, went.id
),
confirmations as materialized (
    select confirmed.id, confirmed.flap_level, first.started_at as since_at, (
        select min(earliest.id) from sightings as earliest
        where earliest.transition = confirmed.transition and earliest.scope = confirmed.scope
        and earliest.outcome = 'moved' and earliest.snapshot >= confirmed.since) as move
    from (select distinct transition from went) as of
    cross join alike
    cross join sightings as confirmed on confirmed.transition = of.transition and confirmed.scope = alike.scope
        and confirmed.outcome = 'confirmed'
    join snapshots as first on first.id = confirmed.since
),
departed as materialized (
    select levels.model, levels.id as move, confirmations.id as confirmation, confirmations.since_at
    from confirmations
    cross join levels on levels.id = confirmations.move and levels.level = confirmations.flap_level
),
removals as materialized (
    select changes.id as change, changes.model, departed.since_at, moved.*
    from moved
    join changes on changes.transition = moved.transition and changes.kind = 'removed'
    join departed on departed.confirmation = moved.id and departed.model = changes.model
    left join came on came.place = changes.model << 32 | moved.scope
        and came.snapshot > moved.since and came.snapshot <= moved.snapshot
    where moved.outcome = 'confirmed' and came.id is null
    and not exists (
        select 1 from records cross join listing_records
            on listing_records.listing = moved.listing and listing_records.record = records.id
        where records.model = changes.model)
),
additions as materialized (
    select changes.id as change, changes.model, changes.after as record, moved.*, max(went.id) as last
    from moved
    join changes on changes.transition = moved.transition and changes.kind = 'added'
    left join went on went.place = changes.model << 32 | moved.scope and went.id < moved.id
    where moved.outcome = 'moved'
    group by changes.id, moved.id
),
back as materialized (
    select additions.*, iif(kept.sighting >= coalesce(additions.last, 0), kept.record, went.before) as before,
           iif(kept.sighting >= coalesce(additions.last, 0), kept.left_at, min(departed.since_at)) as left_at
    from additions
    left join departures as kept on kept.scope = additions.scope and kept.model = additions.model
        and kept.sighting < additions.id
    left join went on went.place = additions.model << 32 | additions.scope and went.id = additions.last
    left join departed on departed.move = additions.last and departed.model = additions.model
        and departed.confirmation < additions.id
    group by additions.change, additions.id
),
found as (
    select moves.at, moves.snapshot, 'changed' as kind, changes.model, changes.id as change,
           changes.id as fields_of, moves.scope, moves.scopes, moves.sighting as names_of, moves.wanted, null as since,
           moves.sighting
    from moves
    join changes on changes.transition = moves.transition and changes.kind = 'changed'
    union all
    select at, snapshot, 'removed', model, change, null, scope, scopes, -scope, wanted, since_at, null
    from removals
    union all
    select at, snapshot, case when before is null then 'added' when left_at is null then 'changed'
                              else 'returned' end, model, change,
           iif(before is null or before = record, null, (
               select min(same.id) from changes as same
               where same.model = back.model and same.before = back.before and same.after = back.record)),
           scope, scopes, -scope, wanted, left_at, id
    from back where before is null or left_at is not null or before <> record
)
