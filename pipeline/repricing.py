"""What models cost at a time and cost now, scope by scope."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pipeline.events import changes
from pipeline.history import window
from pipeline.pricing import PriceChange
from pipeline.reports import Event
from pipeline.reports.netting import changed
from pipeline.store import Store


def repriced(
    store: Store, since: str, only: Callable[[str], bool], has: Callable[[str], bool]
) -> Iterator[tuple[str, str, tuple[PriceChange, ...]]]:
    """Give scope, model and prices of what costs something else than it did at a time (ISO 8601 UTC).

    A model that came later is compared with what it cost when it came. Only scopes for whose names `only`
    holds are looked at, and models for whose ids `has` holds.
    """
    wanted = [row["id"] for row in store.rows("select id, name from models") if has(row["name"])]
    steps: dict[tuple[str, str], list[Event]] = {}
    # What the run of that very time has found was so then.
    for event in (each for each in changes(store, window(store, since=since), wanted) if each.at > since):
        for scope in filter(only, event.scopes):
            steps.setdefault((scope, event.model), []).append(event)
    for (scope, model), of_it in sorted(steps.items()):
        prices, _ = changed(of_it)
        if prices:
            yield scope, model, prices
