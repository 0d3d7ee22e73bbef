-- Subqueries for the events of the snapshots in `runs`; the last is `found`, with a row for each event. They follow the
-- rules of history/changes.py, and are part of changes.sql and of the stored query what_changed. `chosen` has the ids of
-- the scopes that matter: `wanted` is true for events of at least one of them. Scopes that made the same moves have the
-- same events: `alike` has one of them, with their number and names, and only its sightings are read, in `own`. A changed
-- record has one row for all scopes with the same move, any other event one for each scope of `alike`. `place` is a model in
-- a scope, as one number, by which SQLite indexes subqueries. A field that came back with another value than was lost has
-- its value before the loss in `regains`, by `sighting`: the first of the scopes with the same move.
--
-- The moves of `runs` are in `here`, other moves of the same models in `elsewhere`, and those of later imports in
-- `between_runs`. `makers` has the scopes of each move as one text. Few texts differ, so scopes are compared by the texts
-- that name them; only confirmations that differ by scope are read one by one.
--
-- A join with a condition on the inner table alone lets SQLite read this whole table first, for a Bloom filter
-- (https://www.sqlite.org/optoverview.html#the_bloom_filter_optimization), or for an index. So large tables are read by
-- `in`, or their conditions name the outer table too. `+outcome` keeps SQLite from the index of outcomes, in which each of
-- them has a large part of the table.
here as materialized (
    select snapshot, transition, outcome, listing, min(id) as first, max(id) as last from sightings
    where snapshot in (select id from runs) and +outcome in ('moved', 'confirmed')
    group by snapshot, transition, outcome, listing
),
windowed as materialized (
    select distinct transition from here
),
affected as materialized (
    select distinct model from changes
    where transition in (select transition from windowed) and kind in ('added', 'removed')
),
movements as materialized (
    select transition from windowed
    union
    select transition from changes where model in (select model from affected) and kind in ('added', 'removed')
),
elsewhere as materialized (
    select snapshot, transition, outcome, listing from sightings
    where id in (
        select id from sightings
        where transition in (select transition from movements)
        and (id < (select min(first) from here) or id > (select max(last) from here)))
    and +outcome in ('moved', 'confirmed')
),
between_runs as materialized (
    select snapshot, transition, outcome, listing from sightings
    where snapshot in (
        select id from snapshots
        where id between (select min(id) from runs) and (select max(id) from runs) and id not in (select id from runs))
    and transition in (select transition from movements) and outcome in ('moved', 'confirmed')
),
made as materialized (
    select snapshot, transition, outcome, listing from here
    union
    select * from elsewhere
    union
    select * from between_runs
),
makers as materialized (
    select made.*, (
               select json_array(
                          group_concat(same.scope),
                          made.outcome = 'moved' or (
                              min(same.since) is max(same.since) and count(same.since) in (0, count(*))
                              and min(same.flap_level) is max(same.flap_level)
                              and count(same.flap_level) in (0, count(*))))
               from sightings as same
               where same.snapshot = made.snapshot and same.transition = made.transition
               and same.outcome = made.outcome and same.listing = made.listing) as scopes
    from made
),
pasts as materialized (
    select scope, group_concat(past, ';') as past
    from (select value as scope, sets.id || '' as past
          from (select row_number() over () as id, members
                from (select distinct scopes ->> 0 as members from makers where scopes ->> 1)) as sets
          cross join json_each('[' || sets.members || ']')
          union all
          select sightings.scope, sightings.snapshot || ',' || sightings.transition || ',' || sightings.listing || ','
                 || coalesce(sightings.since, '') || ',' || coalesce(sightings.flap_level, '')
          from makers
          cross join sightings on sightings.snapshot = makers.snapshot and sightings.transition = makers.transition
              and sightings.outcome = makers.outcome and sightings.listing = makers.listing
          where not makers.scopes ->> 1
          order by 1, 2)
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
own as materialized (
    select * from sightings
    where transition in (select transition from movements) and scope in (select scope from alike)
    and +outcome in ('moved', 'confirmed')
),
moved as materialized (
    select runs.at, own.*, alike.scopes, alike.scope_names, alike.wanted
    from own
    join alike on alike.scope = own.scope
    join runs on runs.id = own.snapshot
),
moves as materialized (
    select at, snapshot, transition, (
               select min(here.first) from here
               where here.snapshot = moved.snapshot and here.transition = moved.transition and here.outcome = 'moved'
           ) as sighting, min(scope) as scope, sum(scopes) as scopes, group_concat(scope_names, ' ') as scope_names,
           max(wanted) as wanted
    from moved where outcome = 'moved' group by snapshot, transition
),
came as materialized (
    select changes.model << 32 | own.scope as place, own.id, own.snapshot
    from own
    cross join changes on changes.transition = own.transition and changes.kind = iif(own.outcome = 'moved', 'added', null)
),
went as materialized (
    select changes.model << 32 | own.scope as place, own.id, own.transition, changes.model, changes.before,
           snapshots.started_at as at
    from own
    cross join changes on changes.transition = own.transition and changes.kind = iif(own.outcome = 'moved', 'removed', null)
    join snapshots on snapshots.id = own.snapshot
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
    from own as confirmed
    join snapshots as first on first.id = confirmed.since
    where confirmed.outcome = 'confirmed' and confirmed.transition in (select transition from went)
),
departed as materialized (
    select levels.model, levels.id as move, confirmations.id as confirmation, confirmations.since_at
    from confirmations
    cross join levels on levels.id = confirmations.move and levels.level = confirmations.flap_level
),
removals as materialized (
    select changes.id as change, changes.model, departed.since_at, moved.*
    from moved
    cross join changes on changes.transition = moved.transition
        and changes.kind = iif(moved.outcome = 'confirmed', 'removed', null)
    join departed on departed.confirmation = moved.id and departed.model = changes.model
    left join came on came.place = changes.model << 32 | moved.scope
        and came.snapshot > moved.since and came.snapshot <= moved.snapshot
    where came.id is null
    and not exists (
        select 1 from records cross join listing_records
            on listing_records.listing = moved.listing and listing_records.record = records.id
        where records.model = changes.model)
),
additions as materialized (
    select changes.id as change, changes.model, changes.after as record, moved.*, max(went.id) as last
    from moved
    cross join changes on changes.transition = moved.transition
        and changes.kind = iif(moved.outcome = 'moved', 'added', null)
    left join went on went.place = changes.model << 32 | moved.scope and went.id < moved.id
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
