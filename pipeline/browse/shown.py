"""How a table or view is shown, and what its columns are, in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


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
    "patience": "How many complete answers in a row had to miss a model",
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
