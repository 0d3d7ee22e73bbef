"""What every table is, in words."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.browse.shown import Shown

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
            "told": "The last run that it was told of",
            "told_at": "When it was told last (UTC)",
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
