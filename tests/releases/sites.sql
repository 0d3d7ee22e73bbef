pragma application_id = 1836016759;
BEGIN TRANSACTION;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
INSERT INTO "_sqlite_migrations" VALUES(1,'modelwatch','initial','2026-11-01 00:00:00.000000+00:00');
INSERT INTO "_sqlite_migrations" VALUES(2,'modelwatch','standard_names','2026-11-01 00:00:00.000000+00:00');
INSERT INTO "_sqlite_migrations" VALUES(3,'modelwatch','changing_values','2026-11-01 00:00:00.000000+00:00');
INSERT INTO "_sqlite_migrations" VALUES(4,'modelwatch','unread_prices','2026-11-01 00:00:00.000000+00:00');
INSERT INTO "_sqlite_migrations" VALUES(5,'modelwatch','unquoted_references','2026-11-01 00:00:00.000000+00:00');
INSERT INTO "_sqlite_migrations" VALUES(6,'modelwatch','shortened_holds','2026-11-01 00:00:00.000000+00:00');
INSERT INTO "_sqlite_migrations" VALUES(7,'modelwatch','mutes','2026-11-01 00:00:00.000000+00:00');
INSERT INTO "_sqlite_migrations" VALUES(8,'modelwatch','shared_rows','2026-11-01 00:00:00.000000+00:00');
INSERT INTO "_sqlite_migrations" VALUES(9,'modelwatch','sites','2026-11-01 00:00:00.000000+00:00');
CREATE TABLE changes (
    id integer primary key,
    name text not null,
    transition integer not null references transitions(id),
    model integer not null references models(id),
    kind text not null check (kind in ('added', 'removed', 'changed')),
    before integer references records(id),
    after integer references records(id)
) strict;
INSERT INTO "changes" VALUES(1,'~ vega',1,2,'changed',2,4);
INSERT INTO "changes" VALUES(2,'- vega',2,2,'removed',4,NULL);
CREATE TABLE coverage_spans (
    scope integer not null references scopes(id),
    series integer not null,
    since integer not null,
    until integer,
    primary key (scope, series, since)
) strict, without rowid;
INSERT INTO "coverage_spans" VALUES(1,1,1,NULL);
INSERT INTO "coverage_spans" VALUES(2,1,1,NULL);
CREATE TABLE coverages (
    id integer primary key,
    name text not null,
    digest text not null unique,
    series integer not null
) strict;
INSERT INTO "coverages" VALUES(1,'2 scopes','017716bd895af807332f40868fc19b227a',1);
CREATE TABLE deliveries (
    id integer primary key,
    name text not null,
    destination integer not null references destinations(id),
    recipient text not null,
    since integer references snapshots(id),
    until integer not null references snapshots(id),
    message_id text,
    state text not null check (state in ('waiting', 'sent', 'refused', 'dropped')),
    attempts integer not null,
    due_at text,
    sent_at text,
    error text,
    leased_until text
) strict;
CREATE TABLE departures (
    id integer primary key,
    name text not null,
    scope integer not null references scopes(id),
    model integer not null references models(id),
    record integer not null references records(id),
    left_at text,
    sighting integer not null,
    unique (scope, model)
) strict;
CREATE TABLE destinations (
    id integer primary key,
    name text not null unique,
    reported_until integer,
    reported_at text not null,
    token text
) strict;
CREATE TABLE field_changes (
    id integer primary key,
    change integer not null references changes(id),
    field integer not null references fields(id),
    before text,
    after text
) strict;
INSERT INTO "field_changes" VALUES(1,1,1,'1','2');
CREATE TABLE fields (
    id integer primary key,
    name text not null,
    class text not null,
    shape_of text
) strict;
INSERT INTO "fields" VALUES(1,'form','other',NULL);
CREATE TABLE flaps (
    id integer primary key,
    name text not null,
    scope integer not null references scopes(id),
    model integer not null references models(id),
    field text not null,
    before text,
    after text,
    began_at text not null,
    changes integer not null,
    changed_at text not null,
    answers integer not null,
    counted_at text not null,
    announced integer not null,
    news text not null,
    repeated integer not null,
    ended integer references sightings(id)
) strict;
CREATE TABLE gateways (
    id integer primary key,
    name text not null unique,
    url text not null,
    dialect text not null
) strict;
INSERT INTO "gateways" VALUES(1,'acme','https://acme.example/v1','one-api');
CREATE TABLE listing_records (
    listing integer not null references listings(id),
    record integer not null references records(id),
    primary key (listing, record)
) strict, without rowid;
INSERT INTO "listing_records" VALUES(1,1);
INSERT INTO "listing_records" VALUES(3,1);
INSERT INTO "listing_records" VALUES(4,1);
INSERT INTO "listing_records" VALUES(1,2);
INSERT INTO "listing_records" VALUES(2,3);
INSERT INTO "listing_records" VALUES(3,4);
CREATE TABLE listings (
    id integer primary key,
    name text not null,
    gateway integer not null references gateways(id),
    digest text not null,
    size integer not null,
    reading text not null,
    warnings text
) strict;
INSERT INTO "listings" VALUES(1,'2 models @3697fd02',1,'013697fd029f3f2f2fac1239157b79a02b',2,'{"dialect":"one-api","id":"id","no_models":[""],"noise":["permission[].created","permission[].id"],"rules":3,"sets":["aliases","architecture.input_modalities","architecture.output_modalities","enable_groups","endpoints","features","input_modalities","modalities.input","modalities.output","output_modalities","supportedGenerationMethods","supported_endpoint_types","supported_features","supported_parameters","tags"]}',NULL);
INSERT INTO "listings" VALUES(2,'1 model @fa4dc07c',1,'01fa4dc07c9bc4c79a0e03fa3028c441e0',1,'{"dialect":"one-api","id":"id","no_models":[""],"noise":["permission[].created","permission[].id"],"rules":3,"sets":["aliases","architecture.input_modalities","architecture.output_modalities","enable_groups","endpoints","features","input_modalities","modalities.input","modalities.output","output_modalities","supportedGenerationMethods","supported_endpoint_types","supported_features","supported_parameters","tags"]}',NULL);
INSERT INTO "listings" VALUES(3,'2 models @d802401b',1,'01d802401b0d481707dd610cf023027a67',2,'{"dialect":"one-api","id":"id","no_models":[""],"noise":["permission[].created","permission[].id"],"rules":3,"sets":["aliases","architecture.input_modalities","architecture.output_modalities","enable_groups","endpoints","features","input_modalities","modalities.input","modalities.output","output_modalities","supportedGenerationMethods","supported_endpoint_types","supported_features","supported_parameters","tags"]}',NULL);
INSERT INTO "listings" VALUES(4,'1 model @aa7da34e',1,'01aa7da34eb7a37a3e0c6b1f106f0cd969',1,'{"dialect":"one-api","id":"id","no_models":[""],"noise":["permission[].created","permission[].id"],"rules":3,"sets":["aliases","architecture.input_modalities","architecture.output_modalities","enable_groups","endpoints","features","input_modalities","modalities.input","modalities.output","output_modalities","supportedGenerationMethods","supported_endpoint_types","supported_features","supported_parameters","tags"]}',NULL);
CREATE TABLE missing (
    id integer primary key,
    name text not null,
    scope integer not null references scopes(id),
    transition integer not null references transitions(id),
    since integer not null references snapshots(id),
    flap_level integer not null,
    misses integer not null,
    counted_at text not null
) strict;
INSERT INTO "missing" VALUES(1,'missed once',1,2,3,0,1,'2026-09-20T08:00:00Z');
CREATE TABLE models (
    id integer primary key,
    name text not null,
    gateway integer not null references gateways(id),
    unique (gateway, name)
) strict;
INSERT INTO "models" VALUES(1,'lyra',1);
INSERT INTO "models" VALUES(2,'vega',1);
CREATE VIRTUAL TABLE models_fts using fts5 (name, parts, owner, title);
CREATE TABLE mutes (
    id integer primary key,
    name text not null,
    kind text not null check (kind in ('scope', 'model')),
    since text not null,
    until text not null,
    ended_at text
) strict;
CREATE TABLE permissions (
    id integer primary key,
    name text not null,
    record integer not null references records(id),
    allow_create_engine integer,
    allow_sampling integer,
    allow_logprobs integer,
    allow_search_indices integer,
    allow_view integer,
    allow_fine_tuning integer,
    is_blocking integer,
    organization text,
    group_name text
) strict;
INSERT INTO "permissions" VALUES(1,'lyra@8bc32781',1,NULL,NULL,NULL,NULL,1,NULL,NULL,NULL,'vip');
CREATE TABLE reasons (
    id integer primary key,
    name text not null,
    digest text not null unique,
    cure text
) strict;
INSERT INTO "reasons" VALUES(1,'the connection was reset','016492ee7d3dd9d89c7447513af066f908',NULL);
CREATE TABLE record_prices (
    record integer not null references records(id),
    place integer not null,
    meter text not null,
    unit text not null,
    from_tokens integer not null,
    window text,
    currency text not null,
    amount real not null,
    primary key (record, place)
) strict, without rowid;
CREATE TABLE records (
    id integer primary key,
    name text not null,
    digest text not null,
    model integer not null references models(id),
    object text,
    owned_by text,
    created text,
    root text,
    parent text,
    type text,
    context_length integer,
    max_output integer,
    input_usd_per_1m real,
    output_usd_per_1m real,
    cache_read_usd_per_1m real,
    cache_write_usd_per_1m real,
    usd_per_call real,
    price_source text check (price_source in ('exact', 'estimate', 'ratio')),
    input_modalities text,
    output_modalities text,
    features text,
    endpoints text,
    lifecycle text,
    deprecated_at text,
    aliases text,
    body text not null,
    unique (model, digest)
) strict;
INSERT INTO "records" VALUES(1,'lyra@8bc32781','018bc3278194834f8103d1929b353c2ad5',1,'model','acme',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"id":"lyra","object":"model","owned_by":"acme","permission":[{"allow_view":true,"group":"vip"}]}');
INSERT INTO "records" VALUES(2,'vega@7a08c396','017a08c3963f8ae560eb878b2bfa14f98d',2,'model','acme',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"form":1,"id":"vega","object":"model","owned_by":"acme"}');
INSERT INTO "records" VALUES(3,'lyra@9bf4bce8','019bf4bce88bdb99cbe87f31fbe49f2128',1,'model','acme',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"id":"lyra","object":"model","owned_by":"acme"}');
INSERT INTO "records" VALUES(4,'vega@1aebe62e','011aebe62e5849657a89b69e1b59d92050',2,'model','acme',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"form":2,"id":"vega","object":"model","owned_by":"acme"}');
CREATE TABLE regains (
    id integer primary key,
    name text not null,
    scope integer not null references scopes(id),
    model integer not null references models(id),
    field text not null,
    before text not null,
    record integer not null references records(id),
    sighting integer not null references sightings(id)
) strict;
CREATE TABLE scopes (
    id integer primary key,
    name text not null unique,
    gateway integer not null references gateways(id),
    auth text not null check (auth in ('anonymous', 'key', 'session')),
    key_hint text,
    group_name text,
    lists_groups integer not null default 0 check (lists_groups in (0, 1)),
    asked integer not null default 1 check (asked in (0, 1)),
    listing integer references listings(id),
    held integer references listings(id),
    sighting integer references sightings(id),
    fingerprint text,
    etag text,
    last_modified text,
    left_out text,
    price_advice text,
    site integer references sites(id)
) strict;
INSERT INTO "scopes" VALUES(1,'acme/prod',1,'key','env:ACME_PROD',NULL,0,1,4,NULL,5,'01aa7da34eb7a37a3e0c6b1f106f0cd969',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "scopes" VALUES(2,'acme/test',1,'key','env:ACME_TEST',NULL,0,1,2,NULL,6,'01fa4dc07c9bc4c79a0e03fa3028c441e0',NULL,NULL,NULL,NULL,NULL);
CREATE TABLE sightings (
    id integer primary key,
    snapshot integer not null references snapshots(id),
    scope integer not null references scopes(id),
    outcome text not null
        check (outcome in ('baseline', 'moved', 'confirmed', 'held', 'failed', 'recovered', 'reread',
                           'settled', 'retired')),
    listing integer references listings(id),
    transition integer references transitions(id),
    since integer references snapshots(id),
    flap_level integer,
    error_class text,
    reason integer references reasons(id),
    added_bytes integer,
    shortened_from integer,
    source integer
) strict;
INSERT INTO "sightings" VALUES(1,1,1,'baseline',1,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "sightings" VALUES(2,1,2,'baseline',2,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "sightings" VALUES(3,2,1,'moved',3,1,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "sightings" VALUES(4,2,2,'failed',NULL,NULL,NULL,NULL,'Unreachable',1,NULL,NULL,NULL);
INSERT INTO "sightings" VALUES(5,3,1,'moved',4,2,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "sightings" VALUES(6,3,2,'recovered',2,NULL,2,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE sites (
    id integer primary key,
    name text not null unique,
    newest integer not null,
    forgotten text not null
) strict;
CREATE TABLE snapshots (
    id integer primary key,
    name text not null,
    started_at text not null,
    finished_at text not null,
    status text not null check (status in ('done', 'partial', 'failed', 'imported')),
    covered integer not null references coverages(id),
    scopes integer not null,
    answered integer not null,
    moved integer not null,
    held integer not null,
    failed integer not null,
    site integer references sites(id),
    source integer,
    news integer not null default 0 check (news in (0, 1))
) strict;
INSERT INTO "snapshots" VALUES(1,'2026-09-20T06:00:00Z','2026-09-20T06:00:00Z','2026-09-20T06:00:00Z','done',1,2,2,0,0,0,NULL,NULL,0);
INSERT INTO "snapshots" VALUES(2,'2026-09-20T07:00:00Z','2026-09-20T07:00:00Z','2026-09-20T07:00:00Z','partial',1,2,1,1,0,1,NULL,NULL,0);
INSERT INTO "snapshots" VALUES(3,'2026-09-20T08:00:00Z','2026-09-20T08:00:00Z','2026-09-20T08:00:00Z','done',1,2,2,1,0,0,NULL,NULL,0);
CREATE TABLE transitions (
    id integer primary key,
    name text not null,
    before integer not null references listings(id),
    after integer not null references listings(id),
    added integer not null,
    removed integer not null,
    changed integer not null,
    unique (before, after)
) strict;
INSERT INTO "transitions" VALUES(1,'+0 -0 ~1',1,3,0,0,1);
INSERT INTO "transitions" VALUES(2,'+0 -1 ~0',3,4,0,1,0);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX models_name on models(name);
CREATE INDEX records_owned_by on records(owned_by);
CREATE INDEX permissions_record on permissions(record);
CREATE INDEX listings_digest on listings(gateway, digest);
CREATE INDEX listing_records_record on listing_records(record);
CREATE INDEX scopes_gateway on scopes(gateway);
CREATE INDEX scopes_group_name on scopes(group_name);
CREATE INDEX scopes_listing on scopes(listing);
CREATE INDEX scopes_held on scopes(held);
CREATE INDEX scopes_sighting on scopes(sighting);
CREATE INDEX scopes_site on scopes(site) where site is not null;
CREATE INDEX coverages_series on coverages(series);
CREATE UNIQUE INDEX snapshots_site on snapshots(site, source) where site is not null;
CREATE INDEX snapshots_covered on snapshots(covered);
CREATE INDEX snapshots_started_at on snapshots(started_at);
CREATE INDEX transitions_after on transitions(after);
CREATE INDEX sightings_snapshot on sightings(snapshot, transition, outcome, listing);
CREATE INDEX sightings_scope on sightings(scope, snapshot);
CREATE INDEX sightings_transition on sightings(transition, scope) where transition is not null;
CREATE INDEX sightings_outcome on sightings(outcome);
CREATE INDEX sightings_listing on sightings(listing) where listing is not null;
CREATE INDEX sightings_since on sightings(since) where since is not null;
CREATE INDEX sightings_flap_level on sightings(flap_level) where flap_level is not null;
CREATE INDEX sightings_reason on sightings(reason) where reason is not null;
CREATE INDEX missing_scope on missing(scope);
CREATE INDEX missing_transition on missing(transition);
CREATE INDEX missing_since on missing(since);
CREATE INDEX flaps_scope on flaps(scope, model, field);
CREATE INDEX flaps_model on flaps(model);
CREATE INDEX flaps_ended on flaps(ended);
CREATE INDEX regains_scope on regains(scope);
CREATE INDEX regains_model on regains(model);
CREATE INDEX regains_record on regains(record);
CREATE INDEX regains_sighting on regains(sighting, model, field);
CREATE INDEX departures_model on departures(model);
CREATE INDEX departures_record on departures(record);
CREATE INDEX changes_transition on changes(transition, kind);
CREATE INDEX changes_model on changes(model, kind);
CREATE INDEX changes_kind on changes(kind);
CREATE INDEX changes_before on changes(before);
CREATE INDEX changes_after on changes(after);
CREATE UNIQUE INDEX fields_name on fields(name, class, coalesce(shape_of, ''));
CREATE INDEX fields_class on fields(class);
CREATE INDEX field_changes_change on field_changes(change);
CREATE INDEX field_changes_field on field_changes(field);
CREATE INDEX deliveries_destination on deliveries(destination, until);
CREATE INDEX deliveries_state on deliveries(state);
CREATE INDEX deliveries_since on deliveries(since);
CREATE INDEX deliveries_until on deliveries(until);
CREATE INDEX mutes_until on mutes(until);
CREATE VIEW catalog as
select scopes.name as scope, gateways.name as gateway, scopes.group_name, models.name as model,
       records.owned_by, records.created, records.type, records.context_length, records.max_output,
       records.input_usd_per_1m, records.output_usd_per_1m, records.cache_read_usd_per_1m,
       records.cache_write_usd_per_1m, records.usd_per_call, records.price_source,
       records.input_modalities, records.output_modalities, records.features, records.endpoints,
       records.lifecycle, records.deprecated_at, records.aliases, records.body,
       scopes.id as scope_id, models.id as model_id, records.id as record_id
from scopes
join listing_records on listing_records.listing = scopes.listing
left join records on records.id = listing_records.record
left join models on models.id = records.model
left join gateways on gateways.id = scopes.gateway
where scopes.asked and not scopes.lists_groups;
CREATE VIEW offers as with lists as materialized (
        select listing, count(*) as scopes, group_concat(name, ' ') as names
        from scopes where asked and not lists_groups and listing is not null group by listing)
select models.name as model, gateways.name as gateway,
       (select sum(lists.scopes) from listing_records join lists on lists.listing = listing_records.listing
    where listing_records.record = records.id) as scopes,
       records.owned_by, records.created, records.type, records.context_length, records.max_output,
       records.input_usd_per_1m, records.output_usd_per_1m, records.cache_read_usd_per_1m,
       records.cache_write_usd_per_1m, records.usd_per_call, records.price_source,
       records.input_modalities, records.output_modalities, records.features, records.endpoints,
       records.lifecycle, records.deprecated_at, records.aliases,
       (select group_concat(lists.names, ' ') from listing_records join lists on lists.listing = listing_records.listing
    where listing_records.record = records.id) as scope_names,
       models.id as model_id, records.id as record_id
from records
left join models on models.id = records.model
left join gateways on gateways.id = models.gateway
where records.id in (select record from listing_records where listing in (
        select listing from scopes where asked and not lists_groups));
CREATE VIEW prices as with lists as materialized (
        select listing, count(*) as scopes, group_concat(name, ' ') as names
        from scopes where asked and not lists_groups and listing is not null group by listing)
select models.name as model, gateways.name as gateway, record_prices.meter, record_prices.unit,
       record_prices.from_tokens, record_prices.window, record_prices.currency, record_prices.amount,
       records.price_source, (select sum(lists.scopes) from listing_records join lists on lists.listing = listing_records.listing
    where listing_records.record = records.id) as scopes,
       (select group_concat(lists.names, ' ') from listing_records join lists on lists.listing = listing_records.listing
    where listing_records.record = records.id) as scope_names,
       models.id as model_id, records.id as record_id
from records
join record_prices on record_prices.record = records.id
left join models on models.id = records.model
left join gateways on gateways.id = models.gateway
where records.id in (select record from listing_records where listing in (
        select listing from scopes where asked and not lists_groups));
CREATE VIEW deprecations as with lists as materialized (
        select listing, count(*) as scopes, group_concat(name, ' ') as names
        from scopes where asked and not lists_groups and listing is not null group by listing)
select records.deprecated_at, records.lifecycle, models.name as model, gateways.name as gateway,
       records.owned_by, (select sum(lists.scopes) from listing_records join lists on lists.listing = listing_records.listing
    where listing_records.record = records.id) as scopes,
       (select group_concat(lists.names, ' ') from listing_records join lists on lists.listing = listing_records.listing
    where listing_records.record = records.id) as scope_names,
       models.id as model_id, records.id as record_id
from records
left join models on models.id = records.model
left join gateways on gateways.id = models.gateway
where records.id in (select record from listing_records where listing in (
        select listing from scopes where asked and not lists_groups))
and (records.deprecated_at is not null or records.lifecycle is not null);
CREATE VIEW coverage_scopes as
select coverages.id as coverage, coverage_spans.scope from coverage_spans
cross join coverages on coverages.series = coverage_spans.series
    and coverages.id between coverage_spans.since and coalesce(coverage_spans.until - 1, 9223372036854775807);
CREATE VIEW change_log as
select snapshots.started_at as at,
       case when sightings.outcome = 'moved' and changes.kind = 'removed' then 'missing' else changes.kind end
           as kind,
       gateways.name as gateway, models.name as model, fields.name as field,
       field_changes.before, field_changes.after, fields.class,
       (select count(*) from sightings as alike join scopes as maker on maker.id = alike.scope
    where alike.snapshot = sightings.snapshot and alike.transition = sightings.transition
    and alike.outcome = sightings.outcome and alike.listing = sightings.listing) as scopes,
       (select group_concat(maker.name, ' ') from sightings as alike join scopes as maker on maker.id = alike.scope
    where alike.snapshot = sightings.snapshot and alike.transition = sightings.transition
    and alike.outcome = sightings.outcome and alike.listing = sightings.listing) as scope_names,
       (select case flaps.announced when sightings.id then 'announced' else 'repeated' end from flaps
        where flaps.scope = sightings.scope and flaps.model = changes.model and flaps.field = fields.name
        and flaps.announced <= sightings.id and (flaps.ended is null or flaps.ended > sightings.id)
        and sightings.id not in (select value from json_each(flaps.news))
        and sightings.outcome = 'moved') as flapping,
       models.id as model_id, changes.id as change_id, sightings.transition as transition_id,
       sightings.snapshot as snapshot_id
from sightings
join snapshots on snapshots.id = sightings.snapshot
join changes on changes.transition = sightings.transition
left join models on models.id = changes.model
left join gateways on gateways.id = models.gateway
left join field_changes on field_changes.change = changes.id
left join fields on fields.id = field_changes.field
where sightings.scope not in (select id from scopes where lists_groups)
    and sightings.id = (select min(alike.id) from sightings as alike where alike.snapshot = sightings.snapshot
        and alike.transition = sightings.transition and alike.outcome = sightings.outcome
        and alike.listing = sightings.listing)
and sightings.outcome in ('moved', 'confirmed')
and (sightings.outcome = 'moved' or (changes.kind = 'removed' and not exists (
    select 1 from records cross join listing_records
        on listing_records.listing = sightings.listing and listing_records.record = records.id
    where records.model = changes.model)));
CREATE VIEW price_changes as
select gateways.name as gateway, models.name as model, iif(own.meter = 'call', 'a call', replace(own.meter, '_', ' '))
    || case when own.from_tokens = 0 then ''
            when own.from_tokens % 1000000 = 0 then ' above ' || (own.from_tokens / 1000000) || 'M tokens'
            when own.from_tokens % 1000 = 0 then ' above ' || (own.from_tokens / 1000) || 'k tokens'
            else printf(' above %,d tokens', own.from_tokens) end
    || coalesce(', ' || own.window, '') as field,
       iif(own.record = changes.after, other.amount, own.amount) as before,
       iif(own.record = changes.after, own.amount, null) as after,
       iif(own.record = changes.after, case when other.amount glob '*[^-+0-9.eE]*' or own.amount glob '*[^-+0-9.eE]*' then null
        when abs(round(100.0 * cast(own.amount as real) / nullif(cast(other.amount as real), 0) - 100, 9)) between 1e-9 and 0.1 then cast(printf('%.1g', round(100.0 * cast(own.amount as real) / nullif(cast(other.amount as real), 0) - 100, 9)) as real)
        else round(round(100.0 * cast(own.amount as real) / nullif(cast(other.amount as real), 0) - 100, 9), 1) end, null) as percent,
       own.currency, own.unit, own.meter, own.from_tokens, own.window,
       (select min(fields.class) from field_changes join fields on fields.id = field_changes.field
        where field_changes.change = changes.id and 'price' in (fields.class, fields.shape_of)) as class,
       models.id as model_id, changes.id as change_id
from changes
join record_prices as own on own.record in (changes.before, changes.after)
left join record_prices as other
    on other.record = iif(own.record = changes.after, changes.before, changes.after)
    and other.meter = own.meter and other.unit = own.unit
        and other.from_tokens = own.from_tokens and other.window is own.window
        and other.currency = own.currency
left join models on models.id = changes.model
left join gateways on gateways.id = models.gateway
where changes.kind = 'changed' and (
    (other.record is not null and own.record = changes.after
     and abs(own.amount - other.amount) > 1e-12 * max(own.amount, other.amount)
     and exists (
        select 1 from field_changes join fields on fields.id = field_changes.field
        where field_changes.change = changes.id and 'price' in (fields.class, fields.shape_of)))
    or (other.record is null and exists (
        select 1 from field_changes as fields_of join fields on fields.id = fields_of.field
        where fields_of.change = changes.id and 'price' in (fields.class, fields.shape_of)
        and not coalesce((trim(fields_of.before, '"') glob '*[0-9]*' and trim(fields_of.before, '"') not glob '*[^0-9.eE+-]*') and (trim(fields_of.after, '"') glob '*[0-9]*' and trim(fields_of.after, '"') not glob '*[^0-9.eE+-]*'), 0))));
CREATE VIEW changed_fields as
select fields.name as field, fields.class, fields.shape_of, fields_of.before, fields_of.after,
       fields_of.change as change_id, fields_of.id as field_change_id
from field_changes as fields_of
join fields on fields.id = fields_of.field
join changes on changes.id = fields_of.change
where 'price' not in (fields.class, coalesce(fields.shape_of, '')) or not (exists (
        select 1 from record_prices as new, (values (1000000.0), (1000.0), (1.0), (0.01), (0.0001), (0.001), (1e-06), (1e-09)) as sizes
        where new.record = changes.after and case when new.amount is null then trim(fields_of.after, '"') is null or trim(fields_of.after, '"') not glob '*[0-9]*'
        when sizes.column1 <> 1 then abs(trim(fields_of.after, '"') * sizes.column1 - new.amount) <= 0.000001 and (trim(fields_of.after, '"') glob '*[0-9]*' and trim(fields_of.after, '"') not glob '*[^0-9.eE+-]*')
        when (trim(fields_of.after, '"') glob '*[0-9]*' and trim(fields_of.after, '"') not glob '*[^0-9.eE+-]*') then abs(trim(fields_of.after, '"') * sizes.column1 - new.amount) <= 0.000001
        else instr(replace(replace(trim(fields_of.after, '"'), '.', ''), ',', ''), trim(replace(printf('%.12f', new.amount), '.', ''), '0')) end and (
            select case when max(old.amount) is null then trim(fields_of.before, '"') is null or trim(fields_of.before, '"') not glob '*[0-9]*'
        when sizes.column1 <> 1 then abs(trim(fields_of.before, '"') * sizes.column1 - max(old.amount)) <= 0.000001 and (trim(fields_of.before, '"') glob '*[0-9]*' and trim(fields_of.before, '"') not glob '*[^0-9.eE+-]*')
        when (trim(fields_of.before, '"') glob '*[0-9]*' and trim(fields_of.before, '"') not glob '*[^0-9.eE+-]*') then abs(trim(fields_of.before, '"') * sizes.column1 - max(old.amount)) <= 0.000001
        else instr(replace(replace(trim(fields_of.before, '"'), '.', ''), ',', ''), trim(replace(printf('%.12f', max(old.amount)), '.', ''), '0')) end from record_prices as old
            where old.record = changes.before and old.meter = new.meter and old.unit = new.unit
        and old.from_tokens = new.from_tokens and old.window is new.window
        and old.currency = new.currency))
    or (fields_of.before is not null and coalesce(trim(fields_of.after, '"'), '') not glob '*[0-9]*' and exists (
        select 1 from record_prices as old, (values (1000000.0), (1000.0), (1.0), (0.01), (0.0001), (0.001), (1e-06), (1e-09)) as sizes
        where old.record = changes.before and case when old.amount is null then trim(fields_of.before, '"') is null or trim(fields_of.before, '"') not glob '*[0-9]*'
        when sizes.column1 <> 1 then abs(trim(fields_of.before, '"') * sizes.column1 - old.amount) <= 0.000001 and (trim(fields_of.before, '"') glob '*[0-9]*' and trim(fields_of.before, '"') not glob '*[^0-9.eE+-]*')
        when (trim(fields_of.before, '"') glob '*[0-9]*' and trim(fields_of.before, '"') not glob '*[^0-9.eE+-]*') then abs(trim(fields_of.before, '"') * sizes.column1 - old.amount) <= 0.000001
        else instr(replace(replace(trim(fields_of.before, '"'), '.', ''), ',', ''), trim(replace(printf('%.12f', old.amount), '.', ''), '0')) end and not exists (
            select 1 from record_prices as new
            where new.record = changes.after and new.meter = old.meter and new.unit = old.unit
        and new.from_tokens = old.from_tokens and new.window is old.window
        and new.currency = old.currency)))
    or (fields.name glob '*.[0-9]*' and exists (
        select 1 from record_prices as new
        where new.record in (changes.before, changes.after) and new.from_tokens > 0 and (
            ((trim(fields_of.before, '"') is null or ((trim(fields_of.before, '"') glob '*[0-9]*' and trim(fields_of.before, '"') not glob '*[^0-9.eE+-]*') and trim(fields_of.before, '"') + 0 in (0, new.from_tokens, new.from_tokens + 1))) and (trim(fields_of.after, '"') is null or ((trim(fields_of.after, '"') glob '*[0-9]*' and trim(fields_of.after, '"') not glob '*[^0-9.eE+-]*') and trim(fields_of.after, '"') + 0 in (0, new.from_tokens, new.from_tokens + 1))))
            or ((fields_of.before is null or fields_of.after is null)
                and coalesce(trim(fields_of.before, '"'), trim(fields_of.after, '"')) not glob '*[0-9]*')))));
CREATE VIEW price_history as
select snapshots.started_at as at, gateways.name as gateway, models.name as model,
       price.value ->> 0 as field, price.value ->> 1 as before, price.value ->> 2 as after,
       price.value ->> 3 as percent, price.value ->> 4 as currency, price.value ->> 5 as unit,
       records.input_usd_per_1m, records.output_usd_per_1m,
       (select count(*) from sightings as alike join scopes as maker on maker.id = alike.scope
    where alike.snapshot = sightings.snapshot and alike.transition = sightings.transition
    and alike.outcome = sightings.outcome and alike.listing = sightings.listing) as scopes,
       (select group_concat(maker.name, ' ') from sightings as alike join scopes as maker on maker.id = alike.scope
    where alike.snapshot = sightings.snapshot and alike.transition = sightings.transition
    and alike.outcome = sightings.outcome and alike.listing = sightings.listing) as scope_names,
       models.id as model_id, changes.id as change_id, changes.after as record_id,
       sightings.snapshot as snapshot_id
from changes
join sightings on sightings.transition = changes.transition
join snapshots on snapshots.id = sightings.snapshot
join json_each((select json_group_array(json_array(field, before, after, percent, currency, unit)) from (
    select field, before, after, percent, currency, unit from price_changes
    where change_id = changes.id and class = 'price'
    union all
    select field, trim(fields_of.before, '"'), trim(fields_of.after, '"'),
           case when not exists (select 1 from field_changes join fields on fields.id = field_changes.field
        where field_changes.change = changes.id and 'price' in (fields.class, fields.shape_of)
        and (lower(replace(fields.name, rtrim(fields.name, replace(fields.name, '.', '')), '')) glob '*currency*' or lower(replace(fields.name, rtrim(fields.name, replace(fields.name, '.', '')), '')) glob '*decimals*' or lower(replace(fields.name, rtrim(fields.name, replace(fields.name, '.', '')), '')) glob '*exponent*' or lower(replace(fields.name, rtrim(fields.name, replace(fields.name, '.', '')), '')) glob '*scale*' or lower(replace(fields.name, rtrim(fields.name, replace(fields.name, '.', '')), '')) glob '*unit*')
        and not (rtrim(lower(replace(fields.name, rtrim(fields.name, replace(fields.name, '.', '')), '')), 's') glob '*price' or rtrim(lower(replace(fields.name, rtrim(fields.name, replace(fields.name, '.', '')), '')), 's') glob '*cost' or rtrim(lower(replace(fields.name, rtrim(fields.name, replace(fields.name, '.', '')), '')), 's') glob '*rate' or rtrim(lower(replace(fields.name, rtrim(fields.name, replace(fields.name, '.', '')), '')), 's') glob '*amount' or rtrim(lower(replace(fields.name, rtrim(fields.name, replace(fields.name, '.', '')), '')), 's') glob '*fee')) then case when trim(fields_of.before, '"') glob '*[^-+0-9.eE]*' or trim(fields_of.after, '"') glob '*[^-+0-9.eE]*' then null
        when abs(round(100.0 * cast(trim(fields_of.after, '"') as real) / nullif(cast(trim(fields_of.before, '"') as real), 0) - 100, 9)) between 1e-9 and 0.1 then cast(printf('%.1g', round(100.0 * cast(trim(fields_of.after, '"') as real) / nullif(cast(trim(fields_of.before, '"') as real), 0) - 100, 9)) as real)
        else round(round(100.0 * cast(trim(fields_of.after, '"') as real) / nullif(cast(trim(fields_of.before, '"') as real), 0) - 100, 9), 1) end end, null, null
    from changed_fields as fields_of where change_id = changes.id and class = 'price') as both)) as price
left join records on records.id = changes.after
left join models on models.id = changes.model
left join gateways on gateways.id = models.gateway
where exists (select 1 from field_changes join fields on fields.id = field_changes.field
        where field_changes.change = changes.id and 'price' in (fields.class, fields.shape_of)) and sightings.outcome = 'moved' and sightings.scope not in (select id from scopes where lists_groups)
    and sightings.id = (select min(alike.id) from sightings as alike where alike.snapshot = sightings.snapshot
        and alike.transition = sightings.transition and alike.outcome = sightings.outcome
        and alike.listing = sightings.listing);
CREATE VIEW health as
select scopes.name as scope, gateways.name as gateway, scopes.group_name, scopes.auth,
       case when not scopes.asked then 'retired'
            when sightings.outcome in ('failed', 'held') then sightings.outcome else 'ok' end as state,
       case when sightings.outcome in ('failed', 'held') then began.started_at end as state_since,
       iif(scopes.lists_groups, null, listings.size) as models,
       (select snapshots.started_at from snapshots
        where snapshots.id = coalesce((
        select near.id from snapshots as near
        where near.id = (select max(id) from snapshots where id <= iif(sightings.outcome = 'failed', began.id - 1, 9223372036854775807) and site is scopes.site)
        and exists (select 1 from coverage_scopes
                    where coverage_scopes.coverage = near.covered and coverage_scopes.scope = scopes.id)), (
        select max((select max(covering.id) from snapshots as covering
                    where covering.covered = coverage_scopes.coverage and covering.id <= iif(sightings.outcome = 'failed', began.id - 1, 9223372036854775807)))
        from coverage_scopes where coverage_scopes.scope = scopes.id))) as last_answered,
       case when sightings.outcome = 'failed' then sightings.error_class end as error_class,
       reasons.name as error,
       coalesce((sightings.outcome = 'failed' and exists (select 1 from sightings as severe
    join snapshots as run on run.id = severe.snapshot
    where severe.scope = scopes.id and coalesce(severe.since, severe.snapshot) = began.id
    and severe.outcome = 'failed' and (severe.error_class not in ('Throttled', 'Unreachable')
         or strftime('%s', run.started_at) - strftime('%s', coalesce((
        select later.started_at from snapshots as later
        where later.id >= began.id and +later.started_at <= run.started_at
        and iif(later.status = 'imported', later.id = began.id, later.started_at >= coalesce((
            select early.started_at from snapshots as early
            where early.id < began.id and early.started_at <= run.started_at and early.status <> 'imported'
            order by early.started_at desc limit 1), ''))
        order by later.id limit 1), run.started_at)) >= 19440)))
                or (sightings.outcome = 'held' and sightings.error_class = 'anonymous'), 0) as urgent,
       scopes.id as scope_id, scopes.listing as listing_id, scopes.held as held_listing_id
from scopes
left join gateways on gateways.id = scopes.gateway
left join sightings on sightings.id = scopes.sighting
left join reasons on reasons.id = sightings.reason
left join snapshots as began on began.id = coalesce(sightings.since, sightings.snapshot)
left join listings on listings.id = scopes.listing;
CREATE VIEW groups as
select substr(models.name, 7) as group_name,
       gateways.name as gateway, scopes.name as user,
       records.body ->> 'ratio' as ratio, records.body ->> 'desc' as description,
       members.name as scope, listings.size as models, scopes.id as user_id, members.id as scope_id
from scopes
join gateways on gateways.id = scopes.gateway
join listing_records on listing_records.listing = scopes.listing
join records on records.id = listing_records.record
join models on models.id = records.model
left join scopes as members on members.gateway = scopes.gateway and members.asked
    and members.group_name = substr(models.name, 7)
    and substr(members.name, 1, length(scopes.name) + 1) = scopes.name || '.'
left join listings on listings.id = members.listing
where scopes.asked and scopes.lists_groups;
CREATE VIEW same_catalog as
select listings.name as listing, gateways.name as gateway, listings.size as models,
       count(*) as scopes, group_concat(scopes.name, ' ') as scope_names, listings.id as listing_id
from scopes
join listings on listings.id = scopes.listing
join gateways on gateways.id = scopes.gateway
where scopes.asked and not scopes.lists_groups
group by listings.id;
CREATE VIEW matrix as with lists as materialized (
        select listing, count(*) as scopes, group_concat(name, ' ') as names
        from scopes where asked and not lists_groups and listing is not null group by listing), asked as (
    select gateway, count(*) as scopes from scopes
    where asked and not lists_groups and listing is not null group by gateway
)
select models.name as model, gateways.name as gateway, sum(lists.scopes) as scopes,
       asked.scopes as of_scopes, group_concat(lists.names, ' ') as offered_to, models.id as model_id
from lists
join listing_records on listing_records.listing = lists.listing
join records on records.id = listing_records.record
join models on models.id = records.model
join gateways on gateways.id = models.gateway
join asked on asked.gateway = gateways.id
group by models.id;
CREATE VIEW model_words as
    select models.id, models.name, replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(models.name, '0', ' 0 '), '1', ' 1 '), '2', ' 2 '), '3', ' 3 '), '4', ' 4 '), '5', ' 5 '), '6', ' 6 '), '7', ' 7 '), '8', ' 8 '), '9', ' 9 ') as parts,
           coalesce((select group_concat(word, char(10)) from (
            select distinct replace(coalesce(owned_by, ''), char(10), ' ') as word from records where records.model = models.id order by word)), '') as owner, coalesce((select group_concat(word, char(10)) from (
            select distinct replace(coalesce(case when json_valid(body) then coalesce(json_extract(body, '$.display_name'), json_extract(body, '$.displayName'), json_extract(body, '$.name')) end, ''), char(10), ' ') as word from records where records.model = models.id order by word)), '') as title
    from models;
CREATE TRIGGER models_found after insert on models begin insert into models_fts (rowid, name, parts, owner, title) select * from model_words where id = new.id; end;
CREATE TRIGGER models_lost after delete on models begin delete from models_fts where rowid = old.id; end;
CREATE TRIGGER models_renamed after update of name on models begin
        delete from models_fts where rowid = old.id; insert into models_fts (rowid, name, parts, owner, title) select * from model_words where id = new.id;
    end;
CREATE TRIGGER records_found after insert on records when exists (
        select 1 from models_fts where rowid = new.model
        and (instr(char(10) || owner || char(10), char(10) || replace(coalesce(new.owned_by, ''), char(10), ' ') || char(10)) = 0 or instr(char(10) || title || char(10), char(10) || replace(coalesce(case when json_valid(new.body) then coalesce(json_extract(new.body, '$.display_name'), json_extract(new.body, '$.displayName'), json_extract(new.body, '$.name')) end, ''), char(10), ' ') || char(10)) = 0)
    ) begin 
    update models_fts set (owner, title) = (select owner, title from model_words where id = new.model)
    where rowid = new.model;
 end;
CREATE TRIGGER records_lost after delete on records begin 
    update models_fts set (owner, title) = (select owner, title from model_words where id = old.model)
    where rowid = old.model;
 end;
CREATE TRIGGER records_reread after update of owned_by, body, model on records begin
        
    update models_fts set (owner, title) = (select owner, title from model_words where id = old.model)
    where rowid = old.model;
 
    update models_fts set (owner, title) = (select owner, title from model_words where id = new.model)
    where rowid = new.model;

    end;
delete from models_fts;
insert into models_fts (rowid, name, parts, owner, title) select * from model_words;
insert into models_fts (models_fts) values ('optimize');
COMMIT;
