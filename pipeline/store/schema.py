"""The tables and indexes, and the migrations of older databases."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.store.coverages import add_set
from pipeline.store.digests import reason_digest
from pipeline.store.search import SEARCH
from pipeline.store.views import VIEWS

if TYPE_CHECKING:
    from sqlite_utils import Database


TABLES = """
create table gateways (
    id integer primary key,
    name text not null unique,
    url text not null,
    dialect text not null
) strict;

create table models (
    id integer primary key,
    name text not null,
    gateway integer not null references gateways(id),
    unique (gateway, name)
) strict;
create index models_name on models(name);

create table records (
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
create index records_owned_by on records(owned_by);

create table permissions (
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
create index permissions_record on permissions(record);

create table record_prices (
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

create table listings (
    id integer primary key,
    name text not null,
    gateway integer not null references gateways(id),
    digest text not null,
    size integer not null,
    reading text not null,
    warnings text
) strict;
create index listings_digest on listings(gateway, digest);

create table listing_records (
    listing integer not null references listings(id),
    record integer not null references records(id),
    primary key (listing, record)
) strict, without rowid;
create index listing_records_record on listing_records(record);

create table sites (
    id integer primary key,
    name text not null unique,
    newest integer not null,
    forgotten text not null
) strict;

create table scopes (
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
create index scopes_gateway on scopes(gateway);
create index scopes_group_name on scopes(group_name);
create index scopes_listing on scopes(listing);
create index scopes_held on scopes(held);
create index scopes_sighting on scopes(sighting);
create index scopes_site on scopes(site) where site is not null;

create table coverages (
    id integer primary key,
    name text not null,
    digest text not null unique,
    series integer not null
) strict;
create index coverages_series on coverages(series);

create table coverage_spans (
    scope integer not null references scopes(id),
    series integer not null,
    since integer not null,
    until integer,
    primary key (scope, series, since)
) strict, without rowid;

create table snapshots (
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
create unique index snapshots_site on snapshots(site, source) where site is not null;
create index snapshots_covered on snapshots(covered);
create index snapshots_started_at on snapshots(started_at);

create table transitions (
    id integer primary key,
    name text not null,
    before integer not null references listings(id),
    after integer not null references listings(id),
    added integer not null,
    removed integer not null,
    changed integer not null,
    unique (before, after)
) strict;
create index transitions_after on transitions(after);

create table reasons (
    id integer primary key,
    name text not null,
    digest text not null unique,
    cure text
) strict;

create table sightings (
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
create index sightings_snapshot on sightings(snapshot, transition, outcome, listing);
create index sightings_scope on sightings(scope, snapshot);
create index sightings_transition on sightings(transition, scope) where transition is not null;
create index sightings_outcome on sightings(outcome);
create index sightings_listing on sightings(listing) where listing is not null;
create index sightings_since on sightings(since) where since is not null;
create index sightings_flap_level on sightings(flap_level) where flap_level is not null;
create index sightings_reason on sightings(reason) where reason is not null;

create table missing (
    id integer primary key,
    name text not null,
    scope integer not null references scopes(id),
    transition integer not null references transitions(id),
    since integer not null references snapshots(id),
    flap_level integer not null,
    misses integer not null,
    counted_at text not null
) strict;
create index missing_scope on missing(scope);
create index missing_transition on missing(transition);
create index missing_since on missing(since);

create table flaps (
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
create index flaps_scope on flaps(scope, model, field);
create index flaps_model on flaps(model);
create index flaps_ended on flaps(ended);

create table regains (
    id integer primary key,
    name text not null,
    scope integer not null references scopes(id),
    model integer not null references models(id),
    field text not null,
    before text not null,
    record integer not null references records(id),
    sighting integer not null references sightings(id)
) strict;
create index regains_scope on regains(scope);
create index regains_model on regains(model);
create index regains_record on regains(record);
create index regains_sighting on regains(sighting, model, field);

create table departures (
    id integer primary key,
    name text not null,
    scope integer not null references scopes(id),
    model integer not null references models(id),
    record integer not null references records(id),
    left_at text,
    sighting integer not null,
    unique (scope, model)
) strict;
create index departures_model on departures(model);
create index departures_record on departures(record);

create table changes (
    id integer primary key,
    name text not null,
    transition integer not null references transitions(id),
    model integer not null references models(id),
    kind text not null check (kind in ('added', 'removed', 'changed')),
    before integer references records(id),
    after integer references records(id)
) strict;
create index changes_transition on changes(transition, kind);
create index changes_model on changes(model, kind);
create index changes_kind on changes(kind);
create index changes_before on changes(before);
create index changes_after on changes(after);

create table fields (
    id integer primary key,
    name text not null,
    class text not null,
    shape_of text
) strict;
create unique index fields_name on fields(name, class, coalesce(shape_of, ''));
create index fields_class on fields(class);

create table field_changes (
    id integer primary key,
    change integer not null references changes(id),
    field integer not null references fields(id),
    before text,
    after text
) strict;
create index field_changes_change on field_changes(change);
create index field_changes_field on field_changes(field);

create table destinations (
    id integer primary key,
    name text not null unique,
    reported_until integer,
    reported_at text not null,
    token text
) strict;

create table deliveries (
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
create index deliveries_destination on deliveries(destination, until);
create index deliveries_state on deliveries(state);
create index deliveries_since on deliveries(since);
create index deliveries_until on deliveries(until);

create table mutes (
    id integer primary key,
    name text not null,
    kind text not null check (kind in ('scope', 'model')),
    since text not null,
    until text not null,
    ended_at text
) strict;
create index mutes_until on mutes(until);
"""


def initial(db: Database) -> None:
    """Create every table, index, view and trigger in its present form; a new database needs nothing else."""
    _run(db, TABLES + VIEWS)
    for statement in SEARCH:
        db.execute(statement)


def standard_names(db: Database) -> None:
    """Rename columns, the view of deprecations, and the scopes without a credential."""
    _drop_views(db)
    _run(
        db,
        """
        alter table destinations rename column told to reported_until;
        alter table destinations rename column told_at to reported_at;
        alter table sightings rename column patience to flap_level;
        alter table missing rename column patience to flap_level;
        """,
    )
    auth = "case auth when 'nobody' then 'anonymous' else auth end"
    _recreate(db, "scopes", auth=auth, lists_groups="0", left_out="null", price_advice="null")


def changing_values(db: Database) -> None:
    """Add values that keep changing, prices with conditions, classes behind shapes, and times of counts.

    Scopes that list groups instead of models are marked.
    """
    _drop_views(db)
    groups = "select id from listings where reading ->> 'dialect' = 'new-api-groups'"
    lists_groups = f"coalesce(listing in ({groups}), 0)"
    _recreate(db, "scopes", lists_groups=lists_groups, left_out="null", price_advice="null")
    _recreate(db, "fields", shape_of="null")
    _recreate(db, "missing", counted_at="(select started_at from snapshots where id = since)")
    _run(db, _statements("flaps"))
    _run(db, _statements("regains"))
    _run(db, _statements("record_prices"))


def unread_prices(db: Database) -> None:
    """Add prices without a figure, what to do about a failure, views of changed prices, and leases.

    The next run fills in the first, as its rules have changed.
    """
    _drop_views(db)
    _recreate(db, "scopes", price_advice="null")
    _recreate(db, "deliveries", leased_until="null")


def unquoted_references(db: Database) -> None:
    """Remove the words of commands and the paths of files from what older versions stored of references.

    The view `price_history` begins at the newest run.
    """
    # Nothing of them remains on free pages either: https://www.sqlite.org/pragma.html#pragma_secure_delete
    db.execute("pragma secure_delete = on")
    db.execute("""
        update scopes set key_hint = substr(key_hint, 1, instr(key_hint, ':'))
        where key_hint glob 'file:*' or key_hint glob 'command:*'
    """)
    columns = [("sightings", "error"), ("sightings", "cure"), ("deliveries", "error")]
    for table, column in columns if _has_column(db, "sightings", "cure") else [columns[0], columns[2]]:
        for row in db.table(table).rows_where(f"{column} glob '*file:*' or {column} glob '*command:*'"):
            db.table(table).update(row["id"], {column: _unquoted(row[column])})
    _rename_recipients(db)
    _drop_views(db)


def shortened_holds(db: Database) -> None:
    """Add what held lists brought, and from how many models those that are not kept whole were shortened.

    The view `price_history` has no percent of raw amounts whose unit, currency or scale changed too.
    """
    _drop_views(db)


def mutes(db: Database) -> None:
    """Add the table of what is muted."""
    _run(
        db,
        """
create table mutes (
    id integer primary key,
    name text not null,
    kind text not null check (kind in ('scope', 'model')),
    since text not null,
    until text not null,
    ended_at text
) strict;
create index mutes_until on mutes(until);
    """,
    )


def shared_rows(db: Database) -> None:
    """Store each text of a failure or hold once, and each set of scopes as its difference from another."""
    _drop_views(db)
    _share_reasons(db)
    _share_coverages(db)


def _share_reasons(db: Database) -> None:
    _run(db, _statements("reasons"))
    lacking = [name for name in _NEW_IN_SIGHTINGS if not _has_column(db, "sightings", name)]
    cure = "null" if "cure" in lacking else "cure"
    texts = db.execute(
        f"select error, {cure} from sightings where error is not null group by 1, 2 order by min(id)"  # noqa: S608 - our own names
    ).fetchall()
    reasons = {(error, cure): number for number, (error, cure) in enumerate(texts, 1)}
    db.conn.executemany(
        "insert into reasons (id, name, digest, cure) values (?, ?, ?, ?)",
        [(number, error, reason_digest(error, cure), cure) for (error, cure), number in reasons.items()],
    )
    db.conn.create_function("reason_of", 2, lambda *key: reasons.get(key), deterministic=True)
    new = {name: "null" for name in lacking if name != "cure"}
    _recreate(db, "sightings", reason=f"reason_of(error, {cure})", **new)
    db.conn.create_function("reason_of", 2, None)


def _share_coverages(db: Database) -> None:
    db.execute("drop index coverage_scopes_scope")
    db.execute("alter table coverage_scopes rename to coverage_scopes_before")
    sets = db.execute("select id from coverages order by id").fetchall()
    db.execute("pragma legacy_alter_table = on")
    db.execute("alter table coverages rename to coverages_before")
    db.execute("pragma legacy_alter_table = off")
    _run(db, _statements("coverages"))
    _run(db, _statements("coverage_spans"))
    members = "select scope from coverage_scopes_before where coverage = ? order by scope"
    for (number,) in sets:
        add_set(db.conn, number, [scope for (scope,) in db.execute(members, [number])])
    db.execute("drop table coverage_scopes_before")
    db.execute("drop table coverages_before")


def sites(db: Database) -> None:
    """Add the sites whose databases were merged, and what joined with each."""
    _drop_views(db)
    _run(db, _statements("sites"))
    for table in ("scopes", "snapshots", "sightings"):
        _recreate(db, table, news="0")
    _run(db, VIEWS)


_NEW_IN_SIGHTINGS = ("cure", "added_bytes", "shortened_from")
"""The columns of `sightings` that the first releases lack; `shared_rows` adds them."""

_QUOTED = re.compile(
    r"(^(?:failed \d+ times, last: )?(?:no (?:complete )?answer from )?|is the sign-in in )"
    r"(command|file):(?! for a key )"
)
"""Where the errors of older versions quote a reference: a gateway may say `file:` anywhere else."""

_AFTER = re.compile(
    r" (?:is empty|holds |has characters|cannot be |answered \d|redirects to |is not |within \d|needs Apprise"
    r"|valid\?)"
    r"|: (?:no answer within|Apprise could not)"
)

_FILE_READ = re.compile(r"(?<=; nothing was sent): .*: ", re.DOTALL)


def _unquoted(text: str) -> str:
    """Return an error without the words of references.

    These may be any, so that only what follows the last of our own words remains.
    """
    found = _QUOTED.search(text)
    if not found:
        return text
    rest = text[found.end() :]
    after = [each.start() for each in _AFTER.finditer(rest)]
    kept = _FILE_READ.sub(": ", rest[after[-1] :]) if after else " …"
    return f"{text[: found.end()]}{kept}"


def _rename_recipients(db: Database) -> None:
    """Name recipients by the kinds of their references, numbered in each report, as in the config."""
    rows = db.execute("""
        select id, destination, until, recipient from deliveries
        where recipient glob 'file:*' or recipient glob 'command:*' order by id
    """)
    numbers: dict[tuple[int, int, str], list[str]] = {}
    for key, destination, until, recipient in rows.fetchall():
        name = f"{recipient.partition(':')[0]}:"
        known = numbers.setdefault((destination, until, name), [])
        if recipient not in known:
            known.append(recipient)
        number = known.index(recipient) + 1
        new = name if number == 1 else f"{name} ({number})"
        db.execute("update deliveries set recipient = ? where id = ?", [new, key])


def _run(db: Database, script: str) -> None:
    """Execute statements one by one, since `executescript` would commit the transaction.

    See https://docs.python.org/3/library/sqlite3.html#sqlite3.Cursor.executescript.
    """
    for statement in script.split(";\n"):
        if statement.strip():
            db.execute(statement)


def _has_column(db: Database, table: str, column: str) -> bool:
    return column in db.table(table).columns_dict


def _drop_views(db: Database) -> None:
    """Drop the views, except for the one that the triggers of the search read.

    The last migration that drops them creates them again, when all tables have their present form.
    """
    views = "select name from sqlite_master where type = 'view' and name <> 'model_words'"
    for (view,) in db.execute(views).fetchall():
        db.execute(f"drop view {view}")


def _recreate(db: Database, table: str, **values: str) -> None:
    """Create a table again in its present form and copy its rows, since SQLite cannot alter constraints.

    References from other tables keep its name, since foreign keys are off and the old table is renamed in the
    legacy mode: https://www.sqlite.org/pragma.html#pragma_legacy_alter_table. No view may exist meanwhile.

    Args:
        db: the database, in a transaction, with foreign keys off.
        table: its name.
        values: by column, the SQL expression of its new value; null for any other new column.
    """
    old = f"{table}_before"
    before = set(db.table(table).columns_dict)
    db.execute("pragma legacy_alter_table = on")
    db.execute(f"alter table {table} rename to {old}")
    db.execute("pragma legacy_alter_table = off")
    indexes = "select name from sqlite_master where type = 'index' and tbl_name = ? and sql is not null"
    for (index,) in db.execute(indexes, [old]).fetchall():
        db.execute(f"drop index {index}")
    _run(db, _statements(table))
    columns = [column.name for column in db.table(table).columns]
    source = ", ".join(values.get(column, column if column in before else "null") for column in columns)
    db.execute(f"insert into {table} ({', '.join(columns)}) select {source} from {old}")  # noqa: S608 - our own names
    db.execute(f"drop table {old}")


def _statements(table: str) -> str:
    """Return the statements that create a table and its indexes in their present form."""
    statements = [each for each in TABLES.split(";\n") if re.search(rf"(table|on) {table}\b", each)]
    return ";\n".join(statements)


MIGRATIONS: tuple[Callable[[Database], None], ...] = (
    initial,
    standard_names,
    changing_values,
    unread_prices,
    unquoted_references,
    shortened_holds,
    mutes,
    shared_rows,
    sites,
)
"""The migrations, oldest first; sqlite-utils records each by its name."""
