"""What every view is, in words."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.browse.shown import Shown

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
    "lifecycle": Shown(
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
