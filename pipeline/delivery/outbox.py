"""The outbox: enqueue the reports that are due, and schedule the retries of failed deliveries."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core.times import compact, is_due, shifted
from pipeline.core.types import Severity
from pipeline.core.watchlist import Watch
from pipeline.delivery.channels import recipients
from pipeline.delivery.types import (
    MAX_WAIT,
    REPORTS,
    DeliveryResult,
    DeliveryStatus,
    Destination,
    Sendmail,
    Smtp,
)
from pipeline.errors import QuestionError
from pipeline.reports.summary import Summaries
from pipeline.reports.types import Incident, ResolvedIncident
from pipeline.store import Store
from pipeline.store import outbox as tables
from pipeline.store.coverage import has_news
from pipeline.store.outbox import Delivery, DestinationState
from pipeline.store.runs import last_run_of
from pipeline.store.windows import FOREVER, Window

MAX_ATTEMPTS = 20
"""The number of failed attempts after which a delivery is refused; `retry` resets it."""

_FIRST_WAIT = 300

_MAX_BACKOFF = 6 * 3600

_CALM_INTERVAL = timedelta(hours=6)
"""The shortest time between two reports with no other news than failures that pass."""


def enqueue(store: Store, destinations: Iterable[Destination], watch: Watch, *, at: str) -> None:
    """Insert the reports that are due into the outbox, inside an open transaction.

    Each report starts where the last one to its destination ended, so that the next run reports what an
    interrupted one did not. A new destination starts with the newest run; one that has left the config is
    deactivated.

    Args:
        store: an open database.
        destinations: those of the config, and the reports directory.
        watch: the watch list of the config.
        at: the current time (ISO 8601 UTC).
    """
    enqueuer = _Enqueuer(store, Summaries(store, watch), tables.newest_run(store), at)
    states = tables.active_destinations(store)
    for destination in destinations:
        name = destination.name
        enqueuer.enqueue(destination, states.pop(name) if name in states else enqueuer.activate(name))
    for state in states.values():
        tables.set_reported(store, state, None, at=at)


class _Enqueuer(Struct, frozen=True):
    """Enqueues reports up to the newest run."""

    store: Store
    summaries: Summaries
    newest: int
    at: str

    def activate(self, name: str) -> DestinationState:
        """Start to report to a destination."""
        from secrets import token_hex  # only new destinations need it

        if name == REPORTS:
            return tables.add_destination(self.store, name, reported_until=0, at=self.at, token=None)
        before = tables.newest_run(self.store, before=self.newest)
        return tables.add_destination(self.store, name, reported_until=before, at=self.at, token=token_hex(6))

    def enqueue(self, destination: Destination, state: DestinationState) -> None:
        """Insert the report of a destination if it is due and there is something to report."""
        window = Window(state.reported_until, self.newest, start=FOREVER)
        reported_at, now = datetime.fromisoformat(state.reported_at), datetime.fromisoformat(self.at)
        if window.since >= self.newest or not is_due(destination.schedule, reported_at, now):
            return
        news = has_news(self.store, window)
        if destination.name != REPORTS:
            # A long absence of a flapping model begins without a sighting.
            news = news or self.summaries.has_new_absences(window) or self.summaries.has_ended_mutes(window)
        if news and self._can_wait(destination, window, reported_at, now):
            return
        if destination.empty or (news and self._matters(destination, window)):
            self._insert(destination, state, window)
        if news or destination.empty or destination.schedule.every != "run":
            tables.set_reported(self.store, state, self.newest, at=self.at)

    def _can_wait(
        self, destination: Destination, window: Window, reported_at: datetime, now: datetime
    ) -> bool:
        """Return whether there is only news that is no hurry, and the last report is recent.

        That is news of transient failures that have not lasted. The window then stays open, and the next
        report includes this news.
        """
        each_run = destination.schedule.every == "run" and not destination.empty
        if destination.name == REPORTS or not each_run or abs(now - reported_at) >= _CALM_INTERVAL:
            return False
        summary = self.summaries.preview(window, destination.filter)
        new = [incident for incident in summary.incidents if incident.new]
        if summary.listed or summary.first_answers or any(each.missing_watched for each in new):
            return False
        problems: list[Incident | ResolvedIncident] = [*new, *summary.resolved]
        return bool(problems) and all(each.state == "failed" and _is_transient(each) for each in problems)

    def _matters(self, destination: Destination, window: Window) -> bool:
        """Return whether a window has anything that passes a destination's filter."""
        return (
            destination.name == REPORTS
            or self.summaries.preview(window, destination.filter).severity is not None
        )

    def _insert(self, destination: Destination, state: DestinationState, window: Window) -> None:
        run = last_run_of(self.store, window)
        name = f"{compact(run.started_at)}.{window.until}.{state.token}@{host_of(destination)}"
        tables.add_deliveries(
            self.store,
            state,
            recipients(destination.channel),
            window,
            run_started_at=run.started_at,
            message_id=f"<{name}>" if state.token else None,
        )


def _is_transient(problem: Incident | ResolvedIncident) -> bool:
    """Return whether a failure, open or ended, has not become urgent."""
    if isinstance(problem, Incident):
        return problem.severity != Severity.URGENT
    return not problem.urgent


def host_of(destination: Destination) -> str:
    """Return the domain in a destination's message ids: that of its sender, if it has one."""
    match destination.channel:
        case Smtp(sender=sender) | Sendmail(sender=sender):
            return sender.rpartition("@")[2].rstrip("> ")
        case _:
            return "modelwatch.invalid"


def thread_id(store: Store, destination: Destination) -> str:
    """Return the id that all messages for a destination refer to, which groups them; no message has it."""
    return f"<{tables.destination_token(store, destination.name)}@{host_of(destination)}>"


def record_result(store: Store, delivery: Delivery, result: DeliveryResult, *, at: str) -> Delivery:
    """Record the result of an attempt; return the updated delivery."""
    attempts = delivery.attempts + 1
    state, due_at, sent_at, error = "waiting", None, None, result.error
    match result.status:
        case DeliveryStatus.SENT:
            state, sent_at = "sent", at
        case DeliveryStatus.RETRY if result.retry_after == 0:
            pass
        case DeliveryStatus.RETRY if attempts < MAX_ATTEMPTS:
            due_at = shifted(at, _wait(attempts, result))
        case DeliveryStatus.RETRY:
            state, error = "refused", f"failed {attempts} times, last: {error}"
        case DeliveryStatus.REFUSED:
            state = "refused"
    now = replace(
        delivery,
        state=state,
        attempts=attempts,
        due_at=due_at,
        sent_at=sent_at,
        error=error,
        leased_until=None,
    )
    tables.record_attempt(store, now)
    return now


def _wait(attempts: int, result: DeliveryResult) -> float:
    """Return the seconds to the next attempt: doubled each time, and no less than the receiver asks for."""
    backoff: int = min(_FIRST_WAIT * 2 ** (attempts - 1), _MAX_BACKOFF)
    return min(max(backoff, result.retry_after or 0), MAX_WAIT)


def retry(store: Store, ids: Collection[int]) -> list[Delivery]:
    """Make deliveries that were not sent due at once; return those that changed.

    Raises:
        QuestionError: one is unknown or was sent; nothing is changed.
    """
    states = ("waiting", "refused", "dropped")
    return _update(store, ids, states, lambda each: replace(each, state="waiting", attempts=0, due_at=None))


def drop(store: Store, ids: Collection[int]) -> list[Delivery]:
    """Give up deliveries that were not sent; return those that changed.

    Raises:
        QuestionError: one is unknown, was sent or was dropped; nothing is changed.
    """
    states = ("waiting", "refused")
    return _update(store, ids, states, lambda each: replace(each, state="dropped", due_at=None))


def _update(
    store: Store, ids: Collection[int], states: Sequence[str], change: Callable[[Delivery], Delivery]
) -> list[Delivery]:
    """Change the deliveries with these ids, which must be in these states; return them."""
    # A process that sends may record a result at any time.
    with store.transaction():
        found = [each for each in tables.deliveries(store) if each.id in ids]
        unknown = set(ids) - {each.id for each in found}
        if unknown:
            raise QuestionError(
                f"no delivery has the number {_numbers(unknown)}: see `modelwatch outbox --all`"
            )
        done = {each.id for each in found if each.state not in states}
        if done:
            raise QuestionError(f"nothing to do for {_numbers(done)}: see `modelwatch outbox --all`")
        changed = list(map(change, found))
        tables.update_deliveries(store, changed)
    return changed


def _numbers(ids: Iterable[int]) -> str:
    return " or ".join(map(str, sorted(ids)))
