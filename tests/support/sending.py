"""Enqueue and send in one call, as commands do under the lock and after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipeline.core.types import Resolve
from pipeline.core.watchlist import Watch
from pipeline.delivery.outbox import enqueue
from pipeline.delivery.send import DeliverySummary, Sending
from pipeline.delivery.types import Destination
from pipeline.store import Store


def enqueue_and_send(
    store: Store,
    destinations: Sequence[Destination],
    watch: Watch,
    clock: Callable[[], str],
    resolve: Resolve,
    *,
    only: str | None = None,
) -> DeliverySummary:
    """Enqueue the reports that are due, then send the deliveries that are due; see `Sending`."""
    with store.transaction():
        enqueue(store, destinations, watch, at=clock())
    sending = Sending(destinations, watch, clock, resolve, only=only)
    sending.write(store)
    return sending.send(store)
