"""The tables of a dataset: their columns, with the types of Arrow, and what each means."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from pipeline.store.export import RECORD_FACTS

if TYPE_CHECKING:
    import pyarrow as pa


class Type(StrEnum):
    """A type of values, as the documentation names it."""

    TEXT = "string"
    TEXTS = "list of strings"
    NUMBER = "int64"
    AMOUNT = "decimal(38, 15)"
    TIME = "timestamp, UTC"
    DATE = "date"

    def arrow(self) -> pa.DataType:
        """Return the type of Arrow. Amounts are between 1e-15 and 2**53, see `core.values`."""
        import pyarrow as pa

        types: dict[str, pa.DataType] = {
            Type.TEXT: pa.string(),
            Type.TEXTS: pa.list_(pa.string()),
            Type.NUMBER: pa.int64(),
            Type.AMOUNT: pa.decimal128(AMOUNT_DIGITS, AMOUNT_PLACES),
            Type.TIME: pa.timestamp("us", tz="UTC"),
            Type.DATE: pa.date32(),
        }
        return types[self]


AMOUNT_DIGITS = 38
"""Digits of amounts: those of the largest decimals that all readers know."""

AMOUNT_PLACES = 15
"""Decimal places of amounts."""


class Column(Struct, frozen=True):
    """A column of a table: its type, and what it means."""

    type: Type
    text: str


class Table(Struct, frozen=True):
    """A table of a dataset.

    Attributes:
        text: what a row is.
        columns: by name, in their order; new ones are appended.
    """

    text: str
    columns: Mapping[str, Column]

    def schema(self) -> pa.Schema:
        """Return the schema of its files."""
        import pyarrow as pa

        return pa.schema([(name, column.type.arrow()) for name, column in self.columns.items()])


_RUN = {
    "run": Column(Type.NUMBER, "Number of the run, as in `#118`"),
    "run_at": Column(Type.TIME, "Start of the run"),
}

_SCOPE = {
    "scope": Column(Type.TEXT, "Scope: a gateway, asked with one key, as one signed-in user, or anonymously"),
    "gateway": Column(Type.TEXT, "Gateway"),
    "group_name": Column(Type.TEXT, "Group of the scope, as the gateway or the config names it now"),
}

_MODEL = {"model": Column(Type.TEXT, "Model, by the id that the gateway gives it")}

_VALID = {
    "valid_from": Column(Type.TIME, "Start of the run since which the row holds, also in an earlier month"),
    "valid_until": Column(Type.TIME, "Start of the run that ended it; null if none did in this month"),
}

_USD = "in USD per 1 million tokens"

_FACTS = {
    "owned_by": Column(Type.TEXT, "Owner of the model, as the gateway states it"),
    "created": Column(Type.TIME, "Creation time of the model, as the gateway states it"),
    "type": Column(Type.TEXT, "Type of the model: chat, embedding, image …"),
    "context_length": Column(Type.NUMBER, "Maximum length of a request and its response, in tokens"),
    "max_output": Column(Type.NUMBER, "Maximum length of a response, in tokens"),
    "input_usd_per_1m": Column(Type.AMOUNT, f"Price of input, {_USD}"),
    "output_usd_per_1m": Column(Type.AMOUNT, f"Price of output, {_USD}"),
    "cache_read_usd_per_1m": Column(Type.AMOUNT, f"Price of input read from the cache, {_USD}"),
    "cache_write_usd_per_1m": Column(Type.AMOUNT, f"Price of input written to the cache, {_USD}"),
    "usd_per_call": Column(Type.AMOUNT, "Price per request, in USD"),
    "price_source": Column(
        Type.TEXT, "Source of the USD prices: exact, estimate or ratio (computed from ratios)"
    ),
    "input_modalities": Column(Type.TEXTS, "Accepted input: text, image, audio …"),
    "output_modalities": Column(Type.TEXTS, "Produced output: text, image, audio …"),
    "features": Column(Type.TEXTS, "Capabilities: tools, reasoning, vision …"),
    "endpoints": Column(Type.TEXTS, "APIs that serve the model"),
    "lifecycle": Column(Type.TEXT, "Lifecycle stage, as the gateway states it: preview, deprecated …"),
    "deprecated_at": Column(Type.DATE, "Announced shutdown date"),
    "aliases": Column(Type.TEXTS, "Other ids of the same model"),
}

_FIELD = {
    "field": Column(Type.TEXT, "Path of the changed field in the record; null for a whole model"),
    "before": Column(Type.TEXT, "Value before the change, as JSON; null where there was none"),
    "after": Column(Type.TEXT, "Value after the change, as JSON; null where there is none"),
    "class": Column(
        Type.TEXT, "Class of the field: price, limits, capabilities, lifecycle, text, counters, shape …"
    ),
}

TABLES: Mapping[str, Table] = {
    "runs": Table(
        "A run over all scopes, or an import of saved answers, with its totals.",
        {
            **_RUN,
            "finished_at": Column(Type.TIME, "End of the run"),
            "status": Column(Type.TEXT, "done, partial (some scopes failed), failed (all did) or imported"),
            "scopes": Column(Type.NUMBER, "Number of scopes that were asked"),
            "answered": Column(Type.NUMBER, "Number of scopes that answered"),
            "moved": Column(Type.NUMBER, "Number of scopes whose current listing changed"),
            "held": Column(Type.NUMBER, "Number of scopes whose answer was held"),
            "failed": Column(Type.NUMBER, "Number of scopes that failed"),
        },
    ),
    "coverage": Table(
        "A time for which a scope was in one state; none while it was not asked.",
        {
            **_SCOPE,
            "auth": Column(Type.TEXT, "How the gateway is asked: anonymous, key or session"),
            "state": Column(Type.TEXT, "ok, held or failed"),
            "reason": Column(Type.TEXT, "Class of the error, or why answers were held, in one word"),
            **_VALID,
        },
    ),
    "catalog": Table(
        "A time for which a scope was offered a model with the same facts.",
        {**_SCOPE, **_MODEL, **_VALID, **{name: _FACTS[name] for name in RECORD_FACTS}},
    ),
    "prices": Table(
        "A time for which a scope was offered a model at one price; a row for each meter and condition.",
        {
            **_SCOPE,
            **_MODEL,
            "meter": Column(
                Type.TEXT, "What is billed: input, output, cache_read, reasoning, image, search …"
            ),
            "unit": Column(Type.TEXT, "What the amount buys: 1M tokens, image, second, request, search …"),
            "from_tokens": Column(
                Type.NUMBER, "Length of the prompt, in tokens, above which the price holds; 0 for any"
            ),
            "condition": Column(
                Type.TEXT, "Another condition: batch, flex, priority, 1h (of a cache), hours …; null for none"
            ),
            "currency": Column(Type.TEXT, "USD, or what the record states"),
            "amount": Column(Type.AMOUNT, "Price of one unit, in the currency"),
            "price_source": _FACTS["price_source"],
            **_VALID,
        },
    ),
    "changes": Table(
        "A change as a run recorded it: a row for each changed field and each added or removed model, once "
        "for all scopes that had it; as the view `change_log`.",
        {
            **_RUN,
            "kind": Column(
                Type.TEXT, "added, changed, missing (pending removal) or removed (confirmed removal)"
            ),
            "gateway": _SCOPE["gateway"],
            **_MODEL,
            **_FIELD,
            "flapping": Column(Type.TEXT, "announced or repeated, for a value that keeps changing"),
            "scopes": Column(Type.TEXTS, "Scopes with this change"),
        },
    ),
    "events": Table(
        "A change as reports show it: removals when they are confirmed, returns as such, changes of form in "
        "one; a row for each field, as `modelwatch changes --csv` without a list of watched models.",
        {
            **_RUN,
            "kind": Column(Type.TEXT, "added, removed, returned, changed, shape or group"),
            "gateway": _SCOPE["gateway"],
            "model": Column(Type.TEXT, "Model; empty for a change of several models or of a group"),
            **_FIELD,
            "scopes": Column(Type.TEXTS, "Scopes with this change"),
            "groups": Column(Type.TEXTS, "Groups of these scopes; the group that changed"),
            "since": Column(Type.TIME, "When a removed model was first missing, or a returned one had left"),
            "away_seconds": Column(Type.NUMBER, "How long a returned model was away"),
            "severity": Column(Type.TEXT, "How severe it is by itself: breaking, notable or quiet"),
            "flapping": Column(Type.TEXT, "announced, repeated or settled, for a value that keeps changing"),
            "models": Column(Type.TEXTS, "Models of a change of several models, or of a group"),
            "shape_of": Column(Type.TEXT, "For the class shape: the class by the meaning of the field"),
            "before_price": Column(Type.AMOUNT, "Price before, per unit in the currency"),
            "after_price": Column(Type.AMOUNT, "Price after, per unit in the currency"),
            "currency": Column(Type.TEXT, "USD, or what the record states"),
            "unit": Column(Type.TEXT, "What the prices buy: 1M tokens, call, image …"),
        },
    ),
}
"""The tables, by name."""
