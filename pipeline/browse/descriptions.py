"""Descriptions of tables, views and columns, for the pages of Datasette and for the documentation."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct, field

from pipeline.store import Store


class Description(Struct, frozen=True):
    """The description of a table or view, and how Datasette shows it.

    Attributes:
        text: what a row is; names in backquotes.
        columns: descriptions of columns that differ from those of `COLUMNS`.
        sort: the column to sort by; `-` before it sorts in descending order.
        facets: the columns whose values are counted above the rows; small tables or indexed columns only.
        search_column: the column with the id of a model, for the search of models.
        hidden: whether Datasette lists it only on request.
        title: the heading of its page; None for its name.
    """

    text: str
    columns: Mapping[str, str] = field(default_factory=dict)
    sort: str | None = None
    facets: tuple[str, ...] = ()
    search_column: str | None = None
    hidden: bool = False
    title: str | None = None


COLUMNS: Mapping[str, str] = {
    "id": "Number of the row",
    "name": "Name, shown where other rows refer to this one",
    "at": "Start of the run (UTC)",
    "gateway": "Gateway",
    "model": "Model, by the id that the gateway gives it",
    "scope": "Scope: a gateway, asked with one key, as one signed-in user, or anonymously",
    "group_name": "Group of users or keys, as the gateway or the config names it",
    "scopes": "Number of scopes",
    "scope_names": "Names of the scopes, separated by spaces",
    "owned_by": "Owner of the model, as the gateway states it",
    "created": "Creation time of the model, as the gateway states it (UTC)",
    "type": "Type of the model: chat, embedding, image …",
    "context_length": "Maximum length of a request and its response, in tokens",
    "max_output": "Maximum length of a response, in tokens",
    "input_usd_per_1m": "Price of input, in USD per 1 million tokens",
    "output_usd_per_1m": "Price of output, in USD per 1 million tokens",
    "cache_read_usd_per_1m": "Price of input read from the cache, in USD per 1 million tokens",
    "cache_write_usd_per_1m": "Price of input written to the cache, in USD per 1 million tokens",
    "usd_per_call": "Price per request, in USD",
    "price_source": "Source of the USD prices: exact, estimate or ratio (computed from ratios)",
    "input_modalities": "Accepted input, a JSON array: text, image, audio …",
    "output_modalities": "Produced output, a JSON array: text, image, audio …",
    "features": "Capabilities, a JSON array: tools, reasoning, vision …",
    "endpoints": "APIs that serve the model, a JSON array",
    "lifecycle": "Lifecycle stage, as the gateway states it: preview, deprecated …",
    "deprecated_at": "Announced shutdown date (UTC)",
    "aliases": "Other ids of the same model, a JSON array",
    "body": "Record as the gateway sent it, without noise, as JSON",
    "digest": "Digest of the content; equal content has the same digest",
    "kind": "Kind of change: added, removed or changed",
    "field": "Path of the changed field in the record",
    "class": "Class of the field: price, limits, capabilities, lifecycle, text, counters, shape or other",
    "before": "Value before the change",
    "after": "Value after the change",
    "listing": "Listing: one complete list of models",
    "snapshot": "Run",
    "transition": "Pair of listings, before and after",
    "since": "Run in which it began",
    "error_class": "Class of the error",
    "error": "Error message, without secrets",
    "flap_level": "Flap level of a removal; of a hold or failure, how many times it began in a row",
    "record": "Record of the model",
    "change": "Change that includes it",
    "model_id": "Id of the model in `models`",
    "record_id": "Id of the record in `records`",
    "scope_id": "Id of the scope in `scopes`",
    "listing_id": "Id of the listing in `listings`",
    "change_id": "Id of the change in `changes`",
    "transition_id": "Id of the transition in `transitions`",
    "snapshot_id": "Id of the run in `snapshots`",
}
"""Descriptions of columns by name, for every table and view that has none of its own."""

_PERMISSION = "1 if granted, 0 if not"
_AUTH = "How the gateway is asked: anonymous, key or session (a signed-in user)"
_SEARCH_COLUMNS = {
    "parts": "Model id, with its digits separated",
    "owner": "Owners of the model in its records",
    "title": "Names of the model in its records",
}
_CHANGED_SCOPES = {
    "scopes": "Number of scopes with this change",
    "scope_names": "Names of the scopes with this change, separated by spaces",
}

_PRICE = {
    "meter": "What is billed: input, output, cache_read, reasoning, input_audio, image, search …",
    "unit": "What the amount buys: `1M tokens`, `image`, `second`, `request`, `search` …",
    "from_tokens": "Length of the prompt, in tokens, above which the price holds",
    "window": "Another condition: `batch`, `flex`, `priority`, `1h` (of a cache), hours …",
    "currency": "USD, or what the record states",
    "amount": "Price of one unit, in the currency",
}

_CHANGED_PRICE = {
    "field": "Price with its condition: `input above 200k tokens`; the path of one of unknown unit",
    "percent": "Change in percent; negative for a decrease",
    "currency": f"{_PRICE['currency']}; empty for a price of unknown unit",
    "unit": "What the amounts buy: `1M tokens`, `call`, `image` …",
}

TABLES: Mapping[str, Description] = {
    "gateways": Description(
        "The watched gateways.",
        {"url": "Base URL", "dialect": "Format of its lists; `auto` until the first answer"},
        sort="name",
        title="Gateways",
    ),
    "models": Description(
        "Every model that a gateway has ever offered.",
        {
            "name": "Id of the model, as the gateway writes it. `group:NAME` is a group of users, which "
            "pages and exports leave out: see the view `groups`"
        },
        sort="name",
        facets=("gateway",),
        search_column="id",
        title="All models",
    ),
    "records": Description(
        "Every distinct record of a model: its description by the gateway.",
        {
            "name": "Model id and the beginning of the digest",
            "object": "Type of object, as the gateway states it: `model`",
            "root": "Model that it is based on, as the gateway states it",
            "parent": "Model that it was derived from, as the gateway states it",
        },
        sort="-id",
        facets=("owned_by",),
        search_column="model",
        title="Records of models",
    ),
    "permissions": Description(
        "The entries of `permission` in a record.",
        {
            "allow_create_engine": _PERMISSION,
            "allow_sampling": _PERMISSION,
            "allow_logprobs": _PERMISSION,
            "allow_search_indices": _PERMISSION,
            "allow_view": _PERMISSION,
            "allow_fine_tuning": _PERMISSION,
            "is_blocking": _PERMISSION,
            "organization": "Organization that it is granted to",
        },
        sort="id",
        hidden=True,
    ),
    "record_prices": Description(
        "The prices of each record, the plain ones too: one row for each meter, unit and condition.",
        {"place": "Place among the prices of the record", **_PRICE},
        title="Prices of records",
    ),
    "listings": Description(
        "Every distinct listing: a complete list of models, stored once for all scopes that get it.",
        {
            "name": "Number of models and the beginning of the digest",
            "size": "Number of models",
            "reading": "Rules of parsing: the dialect and the fields that are noise",
            "warnings": "Warnings about the answer, a JSON array",
        },
        sort="-id",
        facets=("gateway",),
        title="Lists of models",
    ),
    "listing_records": Description("The records of each listing.", hidden=True),
    "scopes": Description(
        "Every scope, with its current listing: a gateway, asked with one key, as one signed-in user, or "
        "anonymously.",
        {
            "name": "Name, `gateway/name`",
            "auth": _AUTH,
            "key_hint": "Kind of the reference to the secret, with the name of a variable; never the secret",
            "lists_groups": "1 if it lists the groups of a user, each with a scope of its own, and no models",
            "asked": "1 if runs ask it; 0 if it is retired",
            "listing": "Current listing: the last accepted one",
            "held": "Held listing: not accepted yet",
            "sighting": "Last entry in `sightings`",
            "fingerprint": "Digest of the bytes of the last answer, and of the settings `list` and `paging`",
            "etag": "ETag of the last answer",
            "last_modified": "Last-Modified of the last answer",
            "left_out": "Rows of its last accepted answer that no listing has, and why",
            "price_advice": "Prices of its current listing that give no figure, and what to set",
            "site": "Site whose database was merged; empty for a scope of this one",
        },
        sort="name",
        facets=("gateway", "group_name"),
        title="Scopes",
    ),
    "sites": Description(
        "The sites whose databases were merged, as `modelwatch merge` names them.",
        {
            "newest": "Id of the last run that was merged, in the database of the site",
            "forgotten": "JSON array: the scopes that were forgotten here, which merges leave out",
        },
        sort="name",
        hidden=True,
    ),
    "coverages": Description(
        "Every distinct set of scopes that a run has asked.",
        {"series": "First of the sets that this one is stored with, as differences"},
        sort="id",
        hidden=True,
    ),
    "coverage_spans": Description(
        "The scopes of the sets of each series: which scope was new in a set, and lacking in a later one.",
        {
            "series": "First set of the series",
            "since": "First set that has the scope",
            "until": "First later set that lacks it; null where the newest set has it",
        },
        sort="scope",
        hidden=True,
    ),
    "snapshots": Description(
        "Every run, and every import of an answer.",
        {
            "name": "Start",
            "started_at": "Start (UTC)",
            "finished_at": "End (UTC)",
            "status": "done, partial (some scopes failed), failed (all scopes failed) or imported",
            "covered": "Set of the scopes that were asked",
            "scopes": "Number of scopes that were asked",
            "answered": "Number of scopes that answered",
            "moved": "Number of scopes whose current listing changed",
            "held": "Number of scopes whose answer was held",
            "failed": "Number of scopes that failed",
            "site": "Site at which it ran; empty for a run of this database",
            "source": "Its id in the database of the site",
            "news": "1 if it was merged as news, which reports have",
        },
        sort="-started_at",
        title="Runs",
    ),
    "transitions": Description(
        "Every distinct pair of listings, before and after, stored once for all scopes that changed so.",
        {
            "name": "Number of models added, removed and changed",
            "before": "Listing before",
            "after": "Listing after",
            "added": "Number of models added",
            "removed": "Number of models removed",
            "changed": "Number of models changed",
        },
        sort="-id",
        title="Pairs of lists",
    ),
    "reasons": Description(
        "Why scopes failed and answers were held: each text once.",
        {
            "name": "Error message, without secrets; or why an answer is held",
            "cure": "The end of the message that says what to do; null where only general words fit",
        },
        sort="-id",
        title="Failures and holds",
    ),
    "sightings": Description(
        "The outcomes of each scope, by run; a run that found nothing new for a scope has no row.",
        {
            "outcome": "baseline (first answer), moved (new current listing), confirmed (removals), held, "
            "failed, recovered, reread (parsed by new rules), settled (a value is stable again) or retired "
            "(its group is gone)",
            "error_class": "Class of the error; for a held answer, why it is held, in one word",
            "reason": "Why the scope failed, or its answer is held",
            "added_bytes": "About how many bytes of new records a held list brought; null where few",
            "shortened_from": "Number of models of a held list of which only those are kept that the current "
            "listing had; null for a whole list",
            "source": "Its id in the database of the site, for a run of another site",
        },
        sort="-id",
        facets=("outcome",),
        title="Events of scopes",
    ),
    "missing": Description(
        "Pending removals: models that are missing, and not yet confirmed as removed.",
        {
            "misses": "Number of complete answers in a row without them",
            "counted_at": "Start of the run that counted the last of these answers (UTC)",
        },
        sort="id",
        hidden=True,
    ),
    "flaps": Description(
        "Values that keep changing, one row for each scope, model and field, from the first return to an "
        "earlier value until the value is stable.",
        {
            "field": "Path of the field",
            "before": "Value before the first change, to which the field returned",
            "after": "Value after the last change",
            "began_at": "Start of the run with the first change (UTC)",
            "changes": "Number of changes",
            "changed_at": "Start of the run with the last change (UTC)",
            "answers": "Number of complete answers since the last change, 3 at most",
            "counted_at": "Start of the run that counted the last of them, or of the last change (UTC)",
            "announced": "Id in `sightings` of the first return to an earlier value",
            "news": "JSON array: ids in `sightings` of later changes to a value that was new within 7 days",
            "repeated": "Number of changes since the last of these that was reported",
            "ended": "Sighting by which the value is stable, or the model removed; empty before that",
        },
        sort="-id",
        hidden=True,
    ),
    "regains": Description(
        "Fields that were lost and came back within 7 days with another value, one row for each scope, model "
        "and field.",
        {
            "field": "Path of the field",
            "before": "Value that was lost",
            "record": "Record of the model with this value",
            "sighting": "Sighting by which the field came back",
        },
        sort="-id",
        hidden=True,
    ),
    "departures": Description(
        "The state of removed models where pruning has deleted their history.",
        {
            "left_at": "Time of the removal (UTC); empty if it was not confirmed",
            "sighting": "Id of the deleted row of `sightings`",
        },
        sort="id",
        hidden=True,
    ),
    "changes": Description(
        "The changes of each transition, by model.",
        {
            "name": "Model, after `+` for added, `-` for removed or `~` for changed",
            "before": "Record before",
            "after": "Record after",
        },
        sort="-id",
        facets=("kind",),
        search_column="model",
        title="Changes of records",
    ),
    "fields": Description(
        "Every field that has ever changed.",
        {"name": "Path", "shape_of": "For the class shape: the class by the meaning of the field"},
        sort="name",
        hidden=True,
    ),
    "field_changes": Description(
        "The changed fields of each changed record.",
        sort="-id",
        facets=("field",),
        title="Changed fields",
    ),
    "destinations": Description(
        "The destinations of reports.",
        {
            "reported_until": "Last run that was reported to it",
            "reported_at": "Time of the last report to it (UTC)",
            "token": "Part of its message ids, unique to this installation",
        },
        sort="name",
        hidden=True,
    ),
    "deliveries": Description(
        "The outbox: reports that were sent, or wait to be sent.",
        {
            "destination": "Destination",
            "recipient": "Recipient",
            "since": "Run at which the report begins",
            "until": "Last run in the report",
            "message_id": "Id of the message",
            "state": "waiting, sent, refused or dropped",
            "attempts": "Number of attempts",
            "due_at": "Time of the next attempt (UTC)",
            "sent_at": "Time of delivery (UTC)",
            "leased_until": "Until when a process may be sending it (UTC)",
        },
        sort="-id",
        hidden=True,
    ),
    "mutes": Description(
        "What `modelwatch mute` has muted: scopes whose problems, and models whose changes, are not urgent.",
        {
            "name": "Name of a scope or id of a model, or a glob of them",
            "kind": "scope or model",
            "since": "When it began (UTC)",
            "until": "When it ends (UTC)",
            "ended_at": "When it was ended before that (UTC)",
        },
        sort="-until",
        hidden=True,
    ),
    "models_fts": Description("The full-text index of models.", _SEARCH_COLUMNS, hidden=True),
}

VIEWS: Mapping[str, Description] = {
    "offers": Description(
        "The models that are offered now, a row for each distinct record, with the scopes that get it. "
        "Retired scopes and imported history are left out.",
        {
            "scopes": "Number of scopes that get this record",
            "scope_names": "Names of the scopes that get this record, separated by spaces",
        },
        sort="model",
        facets=("gateway", "owned_by", "type"),
        search_column="model_id",
        title="Models offered now",
    ),
    "catalog": Description(
        "The models that are offered now, by scope.",
        search_column="model_id",
        title="Models offered now, by scope",
    ),
    "prices": Description(
        "The prices of the models that are offered now, with their conditions: a row for each price of each "
        "distinct record.",
        {
            **_PRICE,
            "scopes": "Number of scopes that get this record",
            "scope_names": "Names of the scopes that get this record, separated by spaces",
        },
        sort="model",
        facets=("meter", "unit", "window"),
        search_column="model_id",
        title="Prices with their conditions",
    ),
    "change_log": Description(
        "Every change, the newest first: a row for each changed field and each added or removed model, "
        "once for all scopes with this change.",
        {
            "kind": "added, changed, missing (pending removal) or removed (confirmed removal)",
            "flapping": "announced or repeated, for a value that keeps changing in the first of the scopes",
            **_CHANGED_SCOPES,
        },
        sort="-at",
        search_column="model_id",
        title="All changes, by field",
    ),
    "price_changes": Description(
        "The prices that differ between the records of each change, per `unit` in `currency`: a row for each "
        "price, also those with conditions.",
        {
            **_CHANGED_PRICE,
            "meter": _PRICE["meter"],
            "from_tokens": _PRICE["from_tokens"],
            "window": _PRICE["window"],
            "class": "price, or shape where nearly all records gained or lost its fields",
        },
        sort="-change_id",
        search_column="model_id",
        title="Prices that differ, by change",
    ),
    "changed_fields": Description(
        "The changed fields of each changed record, without those that repeat a price of `price_changes`.",
        {
            "shape_of": "For the class shape: the class by the meaning of the field",
            "field_change_id": "Id in `field_changes`",
        },
        sort="-field_change_id",
        hidden=True,
    ),
    "price_history": Description(
        "Every price change, the newest first: per `unit` in `currency`, or as the gateway writes a price of "
        "unknown unit, without `percent` where its unit, currency or scale changed too. The USD prices are "
        "those after the change.",
        {**_CHANGED_PRICE, **_CHANGED_SCOPES},
        sort="-at",
        search_column="model_id",
        title="All price changes",
    ),
    "deprecations": Description(
        "The offered models with an announced shutdown date or a lifecycle stage, the next shutdown first.",
        {
            "scopes": "Number of scopes that get it",
            "scope_names": "Names of the scopes that get it, separated by spaces",
        },
        sort="deprecated_at",
        facets=("gateway", "lifecycle"),
        search_column="model_id",
        title="Announced shutdowns",
    ),
    "matrix": Description(
        "The models that are offered now, with the scopes that each is offered to.",
        {
            "scopes": "Number of scopes that it is offered to",
            "of_scopes": "Number of scopes of the gateway",
            "offered_to": "Names of the scopes that it is offered to, separated by spaces",
        },
        sort="model",
        facets=("gateway",),
        search_column="model_id",
        title="Models and their scopes",
    ),
    "coverage_scopes": Description(
        "The scopes of each set that a run has asked.",
        {"coverage": "Set of scopes"},
        sort="coverage",
        hidden=True,
    ),
    "groups": Description(
        'The groups that signed-in users may use, by scopes with `groups = "all"`.',
        {
            "user": "Scope of the user, which lists the groups",
            "ratio": "Factor of the prices for this user: a number, or a text",
            "description": "Text of the gateway about it",
            "scope": "Scope of its models; empty if they were never known",
            "models": "Number of its models",
            "user_id": "Id in `scopes`",
        },
        sort="user",
        facets=("gateway", "user"),
        title="Groups of users",
    ),
    "same_catalog": Description(
        "The scopes that have the same current listing.",
        {
            "listing": "Current listing: number of models and the beginning of the digest",
            "models": "Number of models",
            "scopes": "Number of scopes with this listing",
            "scope_names": "Names of the scopes with this listing, separated by spaces",
        },
        sort="-scopes",
        title="Scopes with the same list",
    ),
    "health": Description(
        "The state of each scope, with its last answer and its current error.",
        {
            "auth": _AUTH,
            "state": "ok, held (the last answer is not accepted yet), failed or retired",
            "state_since": "Start of the failure or hold (UTC)",
            "models": "Number of models in the current listing",
            "last_answered": "Time of the last complete answer (UTC)",
            "urgent": "1 for a failure that needs a person: not a transient one, or one of six hours",
            "listing_id": "Id of the current listing in `listings`",
            "held_listing_id": "Id of the held listing in `listings`",
        },
        sort="scope",
        facets=("gateway", "state"),
        title="State of each scope",
    ),
    "model_words": Description("The content of `models_fts`.", _SEARCH_COLUMNS, hidden=True),
}

DESCRIPTIONS = {**TABLES, **VIEWS}
"""The descriptions of all tables and views of the schema."""

INTERNAL_TABLES = (
    "_sqlite_migrations",
    *(f"models_fts_{part}" for part in ("config", "content", "data", "docsize", "idx")),
    *(f"sqlite_stat{number}" for number in (1, 4)),
)
"""Tables that sqlite-utils and SQLite create for themselves."""


def without_backquotes(text: str) -> str:
    """Return a text for a page without Markdown, with quotation marks in place of backquotes."""
    return re.sub("`([^`]*)`", r"“\1”", text)


def describe_columns(store: Store) -> dict[str, dict[str, str]]:
    """Return the descriptions of the columns of each table and view in the database, in their order."""
    rows = store.rows(
        """
        select tables.name as parent, columns.name
        from pragma_table_list as tables, pragma_table_info(tables.name) as columns
        where tables.schema = 'main' order by tables.name, columns.cid
        """
    )
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        own = DESCRIPTIONS[row["parent"]].columns if row["parent"] in DESCRIPTIONS else {}
        text = own.get(row["name"], COLUMNS.get(row["name"]))
        found.setdefault(row["parent"], {}).update({row["name"]: text} if text else {})
    return found


class SchemaEntry(Struct, frozen=True):
    """A table or view of a new database: its columns, and those that reference another table."""

    name: str
    is_table: bool
    columns: tuple[str, ...]
    references: frozenset[str]


def schema_entries() -> list[SchemaEntry]:
    """Return the described tables and views of a new database, in the order of the schema."""
    with Store.open(None) as store:
        rows = store.rows("select name, type from sqlite_master order by rowid")
        return [_entry(store, row["name"], row["type"]) for row in rows if row["name"] in DESCRIPTIONS]


def _entry(store: Store, name: str, kind: str) -> SchemaEntry:
    columns = store.rows("select name from pragma_table_info(:table)", {"table": name})
    keys = store.rows('select "from" from pragma_foreign_key_list(:table)', {"table": name})
    return SchemaEntry(
        name, kind == "table", tuple(row["name"] for row in columns), frozenset(row["from"] for row in keys)
    )
