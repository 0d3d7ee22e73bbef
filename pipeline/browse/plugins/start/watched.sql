-- The watched models, those first that are missing for some scopes: how many scopes of their gateway are offered each, its
-- lowest prices, its next shutdown date, and its last change.
with wanted as materialized (
    select distinct models.id, models.name, models.gateway from json_each(:watched) as globs
    join models on models.name = globs.value or models.name glob globs.value
    where models.name not glob 'group:*'
),
lists as materialized (
    select listing, count(*) as scopes from scopes
    where asked and not lists_groups and listing is not null group by listing
),
asked as materialized (
    select gateway, count(*) as scopes from scopes where asked and not lists_groups group by gateway
),
offered as (
    select wanted.id, sum(lists.scopes) as scopes, min(records.input_usd_per_1m) as input_usd,
           min(records.output_usd_per_1m) as output_usd, max(records.context_length) as context_length,
           min(records.deprecated_at) as shutdown
    from wanted
    cross join records on records.model = wanted.id
    cross join listing_records on listing_records.record = records.id
    cross join lists on lists.listing = listing_records.listing
    group by wanted.id
),
shown as (
    select wanted.id as model, wanted.name, gateways.name as gateway, coalesce(offered.scopes, 0) as scopes,
           coalesce(asked.scopes, 0) as of_scopes, offered.input_usd, offered.output_usd, offered.context_length,
           offered.shutdown, count(*) over () as total
    from wanted
    join gateways on gateways.id = wanted.gateway
    left join offered on offered.id = wanted.id
    left join asked on asked.gateway = wanted.gateway
    order by coalesce(offered.scopes, 0) = coalesce(asked.scopes, 0), offered.shutdown is null, offered.shutdown,
             wanted.name, gateways.name
    limit :most
)
select shown.*, (
           select max(snapshots.started_at) from changes
           join sightings on sightings.transition = changes.transition and sightings.outcome in ('moved', 'confirmed')
           join snapshots on snapshots.id = sightings.snapshot
           where changes.model = shown.model) as changed
from shown
order by scopes = of_scopes, shutdown is null, shutdown, name, gateway
