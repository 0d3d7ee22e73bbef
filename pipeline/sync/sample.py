"""A made-up history of two answers, for a report that shows a receiver what reports are like."""

from __future__ import annotations

from pipeline.core import canonical
from pipeline.core.times import shifted
from pipeline.core.types import Gateway, Scope
from pipeline.gateways.reader import AnswerReader
from pipeline.store import Store
from pipeline.store.windows import Window, time_window
from pipeline.sync.archives import SavedAnswer
from pipeline.sync.cache import RunCache
from pipeline.sync.run import decide_and_record

_SCOPE = Scope("example/prod", Gateway("example", "https://gateway.example"), group="default")

_LISTS = (
    {"heron-2": ("2.5", "10", 128_000), "lyra-mini": ("0.15", "0.6", 32_000)},
    {"heron-2": ("3", "12", 128_000), "lyra-mini": ("0.15", "0.6", 64_000), "vega-1": ("1", "4", 200_000)},
)
"""The lists: by model, the price of input and output in USD per 1M tokens, and the context length."""


def record_sample(store: Store, at: str) -> Window:
    """Record two answers, an hour apart, in an empty database; return the window of what changed.

    Args:
        store: the database.
        at: the time of the second (ISO 8601 UTC).
    """
    cache = RunCache(store)
    reader = AnswerReader({})
    window = time_window(store)
    for models, time in zip(_LISTS, (shifted(at, -3600), at), strict=True):
        window = Window(time_window(store).until, window.until)
        body = {"object": "list", "data": [_record(name, *values) for name, values in models.items()]}
        saved = SavedAnswer(time, canonical.encode(body).encode(), _SCOPE.name)
        results = {_SCOPE.name: reader.read_archived(_SCOPE, saved.answer)}
        with store.transaction():
            decide_and_record(results, (_SCOPE,), cache, started_at=time, finished_at=time)
    return Window(window.since, time_window(store).until)


def _record(name: str, price_in: str, price_out: str, context: int) -> dict[str, object]:
    pricing = {"input": price_in, "output": price_out, "currency": "USD", "unit": "per_1m_tokens"}
    return {
        "id": name,
        "object": "model",
        "owned_by": "example",
        "context_length": context,
        "pricing": pricing,
    }
