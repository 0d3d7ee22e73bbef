"""What every table, view and column is, in words: for whoever browses, and for the documentation.

How a table or view is shown, and what its columns are, in words.

What every table is, in words.

What every view is, in words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.store import Store


@dataclass(frozen=True, slots=True)
class Shown:
    """How a table or view is shown.

    Attributes:
        says: what a row of it is.
        columns: what its columns are, where `COLUMNS` does not say it.
        sort: the column that it is sorted by; with a `-` before it the greatest comes first.
        facets: the columns whose values are counted above the rows; each is small or has an index.
        found_by: the column that holds a model's id, by which a search for models finds rows.
        hidden: whether only those see it who ask for it: it serves the program, not people.
    """

    says: str
    columns: Mapping[str, str] = field(default_factory=dict)
    sort: str | None = None
    facets: tuple[str, ...] = ()
    found_by: str | None = None
    hidden: bool = False


COLUMNS: Mapping[str, str] = {
    "id": "The row's number in this database",
    "name": "What the row is called wherever something points at it",
    "at": "When: the start of the run that saw it (UTC)",
    "gateway": "The gateway",
    "model": "The model: its id as the gateway writes it",
    "scope": "The place that was asked from: a gateway, as one key, one signed-in user, or nobody",
    "group_name": "The group of users or keys, as the gateway or the config calls it",
    "scopes": "How many scopes",
    "scope_names": "Which scopes, separated by spaces",
    "owned_by": "Whose model the gateway says it is",
    "created": "When the model was made, as the gateway says (UTC)",
    "type": "What the model is for: chat, embedding, image …",
    "context_length": "The most that fits into a request and its answer, in tokens",
    "max_output": "The longest answer, in tokens",
    "input_usd_per_1m": "Price of what is sent, in USD per 1 million tokens",
    "output_usd_per_1m": "Price of what is answered, in USD per 1 million tokens",
    "cache_read_usd_per_1m": "Price of what is read from the cache, in USD per 1 million tokens",
    "cache_write_usd_per_1m": "Price of what is written to the cache, in USD per 1 million tokens",
    "usd_per_call": "Price of a request, in USD",
    "price_source": "How the prices are known: exact, an estimate, or reckoned from the gateway's ratios",
    "input_modalities": "What may be sent, a JSON array: text, image, audio …",
    "output_modalities": "What is answered, a JSON array: text, image, audio …",
    "features": "What the model can do, a JSON array: tools, reasoning, vision …",
    "endpoints": "The APIs that it answers at, a JSON array",
    "lifecycle": "At what stage of its life the gateway says it is: preview, deprecated …",
    "deprecated_at": "When it is announced to end (UTC)",
    "aliases": "Other ids of the same model, a JSON array",
    "body": "The record as the gateway sent it, without its noise, as JSON",
    "digest": "Names the content: equal content has an equal digest",
    "kind": "What happened: added, removed or changed",
    "field": "The field of the record that changed, as a path",
    "class": "What the field is about: price, limits, capabilities, lifecycle, text, shape or other",
    "before": "What it was",
    "after": "What it is since",
    "listing": "The complete list of models that it is about",
    "snapshot": "The run",
    "transition": "The move from one list to another",
    "since": "The run at which it began",
    "error_class": "What kind of failure it was",
    "error": "What went wrong, in words; secrets removed",
    "flap_level": "0 to 3; each level doubles the answers that must miss a model before its removal is confirmed",
    "record": "What the gateway said of the model",
    "change": "The change that it is part of",
    "model_id": "Number of the model in `models`",
    "record_id": "Number of the record in `records`",
    "scope_id": "Number of the scope in `scopes`",
    "listing_id": "Number of the list in `listings`",
    "change_id": "Number of the change in `changes`",
    "transition_id": "Number of the move in `transitions`",
    "snapshot_id": "Number of the run in `snapshots`",
}
"""What a column of this name is in every table and view that does not say otherwise."""


def plain(says: str) -> str:
    """Write what is said for a page that knows no Markdown."""
    return re.sub("`([^`]*)`", r"“\1”", says)


_GRANT = "Whether the gateway grants it: 1 or 0"


TABLES: Mapping[str, Shown] = {
    "gateways": Shown(
        "The gateways that are watched.",
        {
            "url": "Where it is asked",
            "dialect": "How it writes its list; `auto` until it has answered",
        },
        sort="name",
    ),
    "models": Shown(
        "Every model that was ever offered, under the id that its gateway gives it.",
        {"name": "The model's id, as the gateway writes it"},
        sort="name",
        facets=("gateway",),
        found_by="id",
    ),
    "records": Shown(
        "Everything that a gateway ever said of a model: a row for each form that its record had.",
        {
            "name": "The model's id and the beginning of the digest",
            "object": "What the gateway calls it: `model`",
            "root": "The model that it comes from, as the gateway says",
            "parent": "The model that it was made from, as the gateway says",
        },
        sort="-id",
        facets=("owned_by",),
        found_by="model",
    ),
    "permissions": Shown(
        "What `permission` in a record grants, where a gateway says so.",
        {
            "allow_create_engine": _GRANT,
            "allow_sampling": _GRANT,
            "allow_logprobs": _GRANT,
            "allow_search_indices": _GRANT,
            "allow_view": _GRANT,
            "allow_fine_tuning": _GRANT,
            "is_blocking": _GRANT,
            "organization": "To whom",
        },
        sort="id",
        hidden=True,
    ),
    "listings": Shown(
        "Every distinct list of models that was ever answered, once, whoever sees it.",
        {
            "name": "How many models, and the beginning of the digest",
            "size": "How many models are in it",
            "reading": "The rules that it was read under: the dialect, and what counts as noise",
            "warnings": "What was odd about the answer, a JSON array",
        },
        sort="-id",
        facets=("gateway",),
    ),
    "listing_records": Shown("Which records are in which list.", hidden=True),
    "scopes": Shown(
        "The places that are asked from, and the list that each sees now.",
        {
            "name": "The gateway and the key's alias, GATEWAY/KEY",
            "auth": "As whom it asks: nobody, key or session (a signed-in user)",
            "key_hint": "Where its secret is kept, never the secret",
            "asked": "1 while it is asked; 0 when it is retired",
            "listing": "The list that it sees now",
            "held": "A list that it was told and that is not believed yet",
            "sighting": "The last thing that happened to it",
            "fingerprint": "Names the last answer, byte for byte",
            "etag": "What the server calls the last answer",
            "last_modified": "When the server says that the last answer was made",
        },
        sort="name",
        facets=("gateway", "group_name"),
    ),
    "coverages": Shown("Which sets of scopes runs have asked.", sort="id", hidden=True),
    "coverage_scopes": Shown(
        "Which scopes are in which set.", {"coverage": "The set of scopes"}, hidden=True
    ),
    "snapshots": Shown(
        "Every run of the job, and every answer that was imported.",
        {
            "name": "When it began",
            "started_at": "When it began (UTC)",
            "finished_at": "When it ended (UTC)",
            "status": "done, partial (some scopes failed), failed (all did) or imported",
            "covered": "The set of scopes that were asked",
            "scopes": "How many scopes were asked",
            "answered": "How many answered",
            "moved": "How many see another list than before",
            "held": "How many gave an answer that is not believed yet",
            "failed": "How many gave no answer",
        },
        sort="-started_at",
    ),
    "transitions": Shown(
        "Every move from one list to another, once for all the scopes that made it.",
        {
            "name": "How many models were added, removed and changed",
            "before": "The list before",
            "after": "The list after",
            "added": "How many models were added",
            "removed": "How many models were removed",
            "changed": "How many models changed",
        },
        sort="-id",
    ),
    "sightings": Shown(
        "What happened to each scope, run by run; a run in which nothing happened to it has no row.",
        {
            "outcome": "baseline (the first answer), moved, confirmed (a removal), held, failed, recovered "
            "or reread (under new rules)",
        },
        sort="-id",
        facets=("outcome",),
    ),
    "missing": Shown(
        "Removals that wait to be confirmed.",
        {"misses": "How many complete answers in a row have missed it"},
        sort="id",
        hidden=True,
    ),
    "departures": Shown(
        "How models had left, where the history of it was pruned.",
        {"left_at": "When it had left (UTC)", "sighting": "The number that the sighting had"},
        sort="id",
        hidden=True,
    ),
    "changes": Shown(
        "What differs between two lists, model by model.",
        {
            "name": "The model, with + added, - removed or ~ changed before it",
            "before": "The record before",
            "after": "The record after",
        },
        sort="-id",
        facets=("kind",),
        found_by="model",
    ),
    "fields": Shown(
        "The fields that ever changed.", {"name": "The field, as a path"}, sort="name", hidden=True
    ),
    "field_changes": Shown(
        "What differs in a changed record, field by field.",
        sort="-id",
        facets=("field",),
    ),
    "destinations": Shown(
        "Where reports go.",
        {
            "reported_until": "The last run that was reported to it",
            "reported_at": "When the last report to it was made (UTC)",
            "token": "Made up once, to name what is sent there",
        },
        sort="name",
        hidden=True,
    ),
    "deliveries": Shown(
        "The reports that were sent, or wait to be.",
        {
            "destination": "Where it goes",
            "recipient": "To whom",
            "until": "The last run that it tells of",
            "message_id": "Names the message",
            "state": "waiting, sent, refused or dropped",
            "attempts": "How often it was tried",
            "due_at": "When it is tried next (UTC)",
            "sent_at": "When it was handed over (UTC)",
        },
        sort="-id",
        hidden=True,
    ),
    "models_fts": Shown(
        "The words by which a model is found.",
        {
            "parts": "The id with its digits set apart",
            "owner": "Whose model its records say it is",
            "title": "What its records call it",
        },
        hidden=True,
    ),
}


VIEWS: Mapping[str, Shown] = {
    "offers": Shown(
        "What is offered now: each model once in each form, with the scopes that see it so. What was only "
        "imported, and scopes that are asked no more, are not in it.",
        {"scopes": "How many scopes see it so", "scope_names": "Which scopes see it so, separated by spaces"},
        sort="model",
        facets=("gateway", "owned_by", "type"),
        found_by="model_id",
    ),
    "catalog": Shown(
        "What is offered now, scope by scope.",
        found_by="model_id",
    ),
    "change_log": Shown(
        "What changed, newest first: a row for each field, and for each model added or removed, "
        "once for all the scopes to which it happened.",
        {
            "kind": "added, changed, missing (not yet confirmed) or removed (confirmed)",
            "scopes": "To how many scopes it happened",
            "scope_names": "To which scopes it happened, separated by spaces",
        },
        sort="-at",
        facets=("gateway", "kind", "class"),
        found_by="model_id",
    ),
    "price_history": Shown(
        "Every change of a price, newest first. `before` and `after` are as the gateway writes them; "
        "the prices in USD are what they came to.",
        {
            "percent": "By how much it rose, in percent; less than 0 where it fell",
            "scopes": "To how many scopes it happened",
            "scope_names": "To which scopes it happened, separated by spaces",
        },
        sort="-at",
        found_by="model_id",
    ),
    "deprecations": Shown(
        "Which of the models that are offered now are announced to end, the first to end first.",
        {"scopes": "How many scopes see it", "scope_names": "Which scopes see it, separated by spaces"},
        sort="deprecated_at",
        facets=("gateway", "lifecycle"),
        found_by="model_id",
    ),
    "matrix": Shown(
        "Which model is offered to which scopes now.",
        {
            "scopes": "To how many scopes it is offered",
            "of_scopes": "How many scopes of the gateway see a list",
            "offered_to": "To which scopes it is offered, separated by spaces",
        },
        sort="model",
        facets=("gateway",),
        found_by="model_id",
    ),
    "same_catalog": Shown(
        "Which scopes see exactly the same list now.",
        {
            "listing": "The list: how many models, and the beginning of its digest",
            "models": "How many models are in it",
            "scopes": "How many scopes see it",
            "scope_names": "Which scopes see it, separated by spaces",
        },
        sort="-scopes",
    ),
    "health": Shown(
        "How each scope stands: when it last answered, and what is wrong where something is.",
        {
            "auth": "As whom it asks: nobody, key or session (a signed-in user)",
            "state": "ok, held (its answer is not believed yet), failed or retired",
            "state_since": "Since when it is held or failed (UTC)",
            "models": "How many models it sees",
            "last_answered": "When it last gave a complete answer (UTC)",
            "held_listing_id": "Number, in `listings`, of the list that is held",
        },
        sort="scope",
        facets=("gateway", "state"),
    ),
    "model_words": Shown(
        "What `models_fts` is filled with.",
        {
            "parts": "The id with its digits set apart",
            "owner": "Whose model its records say it is",
            "title": "What its records call it",
        },
        hidden=True,
    ),
}


SHOWN = {**TABLES, **VIEWS}
"""Every table and view of ours."""


HIDDEN = (
    "_sqlite_migrations",
    *(f"models_fts_{part}" for part in ("config", "content", "data", "docsize", "idx")),
    *(f"sqlite_stat{number}" for number in (1, 4)),
)
"""What others made for their own use, sqlite-utils and SQLite."""


def columns_of(store: Store) -> dict[str, dict[str, str]]:
    """Give what is known of the columns of every table and view that is there, in their order."""
    rows = store.rows(
        """
        select tables.name as whose, columns.name
        from pragma_table_list as tables, pragma_table_info(tables.name) as columns
        where tables.schema = 'main' order by tables.name, columns.cid
        """
    )
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        shown = SHOWN.get(row["whose"], Shown(""))
        says = shown.columns.get(row["name"], COLUMNS.get(row["name"]))
        found.setdefault(row["whose"], {}).update({row["name"]: says} if says else {})
    return found


@dataclass(frozen=True, slots=True)
class SchemaEntry:
    """A described table or view of a new database: its columns, and those that reference another table."""

    name: str
    is_table: bool
    columns: tuple[str, ...]
    references: frozenset[str]


def schema_entries() -> list[SchemaEntry]:
    """Return the described tables and views of a new database, in the order of the schema."""
    with Store.open(None) as store:
        rows = store.rows("select name, type from sqlite_master order by rowid")
        return [_entry(store, row["name"], row["type"]) for row in rows if row["name"] in SHOWN]


def _entry(store: Store, name: str, kind: str) -> SchemaEntry:
    columns = store.rows("select name from pragma_table_info(:table)", {"table": name})
    keys = store.rows('select "from" from pragma_foreign_key_list(:table)', {"table": name})
    return SchemaEntry(
        name, kind == "table", tuple(row["name"] for row in columns), frozenset(row["from"] for row in keys)
    )
