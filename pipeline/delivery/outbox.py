"""The outbox: who is owed which report, what became of it on its way, and when it is tried again."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pipeline.core.times import compact, is_due, iso
from pipeline.core.watchlist import Watch
from pipeline.delivery.channels import recipients
from pipeline.delivery.types import DeliveryResult, DeliveryStatus, Destination, Sendmail, Smtp
from pipeline.history.runs import any_news, last_run_of
from pipeline.reports.summary import Summaries
from pipeline.store import Store
from pipeline.store.changes import FOREVER, Window

FILES = "reports"
"""The destination that is always there: CSV and JSON in the reports directory."""


ATTEMPTS = 20
"""So often a report is tried before it is given up, until somebody asks for it again."""


_OFTEN = 3


_PAUSE = timedelta(hours=6)
"""Of a scope that fell into trouble so often within a day, and of nothing else, is told after a pause."""


_FIRST_WAIT = 300


_LONGEST_USUAL_WAIT = 6 * 3600


LONGEST_WAIT = 24 * 3600
"""No report waits longer for its next try (seconds), whatever its receiver asks for."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One report on its way to one recipient.

    Args:
        id: its number in the outbox.
        at: the start of the last run that it tells of (ISO 8601 UTC, as all times).
        since: the snapshot after which it begins; 0 for the beginning of the history.
        until: the last run that it tells of.
        state: waiting, sent, refused (it is not tried again) or dropped.
        due_at: when it is tried again; None where at once.
        error: why it was not taken the last time.
    """

    id: int
    at: str
    destination: str
    recipient: str
    since: int
    until: int
    message_id: str | None
    state: str
    attempts: int
    due_at: str | None
    sent_at: str | None
    error: str | None

    @property
    def window(self) -> Window:
        """The runs that it tells of; what was imported is history and no news."""
        return Window(self.since, self.until, start=FOREVER)


def enqueue(store: Store, destinations: Iterable[Destination], watch: Watch, *, at: str) -> None:
    """Put into the outbox what each destination is to be told by now, inside a transaction that is open.

    Each goes on where its last report ended: a program that was cut off before is put right by the next run.
    One that is new begins with the newest run; one that has left the config is told nothing more.

    Args:
        store: an open database.
        destinations: all that there are.
        watch: the models that the config watches.
        at: now, in ISO 8601 UTC.
    """
    newest = _last_run(store)
    known = {
        row["name"]: row for row in store.rows("select * from destinations where reported_until is not null")
    }
    briefs = Summaries(store, watch)
    for each in destinations:
        row = known.pop(each.name, None) or _enroll(store, each.name, newest, at)
        _owe(briefs, store, each, row, newest, at)
    for row in known.values():
        _move(store, row, None, at)


def _last_run(store: Store, before: int | None = None) -> int:
    """Give the newest run (before another), 0 where there is none; what was imported is none."""
    (row,) = store.rows(
        "select coalesce(max(id), 0) as run from snapshots"
        " where status <> 'imported' and (:before is null or id < :before)",
        {"before": before},
    )
    return int(row["run"])


def _enroll(store: Store, name: str, newest: int, at: str) -> dict[str, Any]:
    from secrets import token_hex  # it is loaded once in the life of a destination

    files = name == FILES
    row = {"name": name, "reported_until": 0 if files else _last_run(store, newest), "reported_at": at}
    # It makes the ids of mails this installation's own, and stays the same for ever.
    row["token"] = None if files else token_hex(6)
    # One that comes again is not told again what it was told before it left.
    store.connection.execute(
        """
        insert into destinations (name, reported_until, reported_at, token)
        values (:name, :reported_until, :reported_at, :token)
        on conflict (name) do update set reported_at = excluded.reported_at,
            reported_until = max(excluded.reported_until, coalesce(
                (select max(until) from deliveries where destination = destinations.id), 0))
        """,
        row,
    )
    (found,) = store.rows("select * from destinations where name = :name", {"name": name})
    return found


def _owe(
    briefs: Summaries, store: Store, destination: Destination, row: dict[str, Any], newest: int, at: str
) -> None:
    due = is_due(destination.rhythm, datetime.fromisoformat(row["reported_at"]), datetime.fromisoformat(at))
    window = Window(row["reported_until"], newest, start=FOREVER)
    if not due or window.since >= newest:
        return
    happened = any_news(store, window)
    if happened and _can_wait(briefs, store, destination, window, row["reported_at"], at):
        return
    if destination.empty or (happened and _matters(briefs, destination, window)):
        _deliver(store, destination, row, window)
    if happened or destination.empty or destination.rhythm.every != "run":
        _move(store, row, newest, at)


def _can_wait(
    briefs: Summaries, store: Store, destination: Destination, window: Window, told_at: str, at: str
) -> bool:
    """Say whether all the news is of scopes that keep failing and recovering, which is told now and then.

    The window stays open meanwhile, so that all of it is told in the end, and with whatever else happens.
    """
    now = datetime.fromisoformat(at)
    lately = abs(now - datetime.fromisoformat(told_at)) < _PAUSE
    if destination.name == FILES or destination.rhythm.every != "run" or destination.empty or not lately:
        return False
    brief = briefs.short(window, destination.filter)
    new = [trouble for trouble in brief.troubles if trouble.new]
    scopes = {scope for trouble in new for scope in trouble.scopes}
    scopes |= {scope for end in brief.ended for scope in end.scopes}
    more = brief.told or brief.started or any(trouble.watched for trouble in new)
    return bool(scopes) and not more and scopes <= _unsteady(store, iso(now - timedelta(days=1)))


def _unsteady(store: Store, since: str) -> set[str]:
    """Give the scopes that fell into trouble again and again since a time."""
    rows = store.rows(
        """
        select scopes.name from sightings
        join snapshots on snapshots.id = sightings.snapshot join scopes on scopes.id = sightings.scope
        where snapshots.started_at >= :since and sightings.outcome in ('failed', 'held')
        group by scopes.id having count(distinct coalesce(sightings.since, sightings.snapshot)) >= :often
        """,
        {"since": since, "often": _OFTEN},
    )
    return {row["name"] for row in rows}


def _matters(briefs: Summaries, destination: Destination, window: Window) -> bool:
    """Say whether there is anything in a window that a destination wants to be told."""
    return destination.name == FILES or briefs.short(window, destination.filter).severity is not None


def _move(store: Store, row: dict[str, Any], told: int | None, at: str) -> None:
    """Remember up to which run a destination has been told, or need not be."""
    store.connection.execute(
        "update destinations set reported_until = ?, reported_at = ? where id = ?", [told, at, row["id"]]
    )


def _deliver(store: Store, destination: Destination, row: dict[str, Any], window: Window) -> None:
    run = last_run_of(store, window)
    host = _host(destination)
    token = row["token"]
    message_id = f"<{compact(run.started_at)}.{window.until}.{token}@{host}>" if token else None
    for recipient in recipients(destination.channel):
        store.connection.execute(
            """
            insert into deliveries (name, destination, recipient, since, until, message_id, state, attempts)
            values (:name, :destination, :recipient, :since, :until, :message_id, 'waiting', 0)
            """,
            {
                "name": f"{destination.name} {run.started_at}",
                "destination": row["id"],
                "recipient": recipient,
                "since": window.since or None,
                "until": window.until,
                "message_id": message_id,
            },
        )


def _host(destination: Destination) -> str:
    """Give what the ids of a destination's messages end with: the sender's host, where there is one."""
    match destination.channel:
        case Smtp(sender=sender) | Sendmail(sender=sender):
            return sender.rpartition("@")[2].rstrip("> ")
        case _:
            return "modelwatch.invalid"


def deliveries(store: Store, *states: str) -> list[Delivery]:
    """Give the deliveries in some states, or all, oldest first."""
    if not states:
        return _found(store, "1")
    return _found(
        store, "deliveries.state in (select value from json_each(:states))", states=json.dumps(states)
    )


def _found(store: Store, which: str, **values: object) -> list[Delivery]:
    rows = store.rows(
        f"""
        select deliveries.id, snapshots.started_at as at, destinations.name as destination,
               deliveries.recipient, coalesce(deliveries.since, 0) as since, deliveries.until,
               deliveries.message_id, deliveries.state, deliveries.attempts, deliveries.due_at,
               deliveries.sent_at, deliveries.error
        from deliveries
        join destinations on destinations.id = deliveries.destination
        join snapshots on snapshots.id = deliveries.until
        where {which} order by deliveries.until, deliveries.id
        """,  # noqa: S608 - our own words
        values,
    )
    return [Delivery(**row) for row in rows]


def thread(store: Store, destination: Destination) -> str:
    """Give the id, of no message, that all reports to a destination refer to."""
    (row,) = store.rows("select token from destinations where name = :name", {"name": destination.name})
    return f"<{row['token']}@{_host(destination)}>"


def settle(store: Store, delivery: Delivery, receipt: DeliveryResult, *, at: str) -> Delivery:
    """Write down what became of a delivery; gives it as it is now."""
    attempts = delivery.attempts + 1
    state, due_at, sent_at, error = "waiting", None, None, receipt.error
    match receipt.fate:
        case DeliveryStatus.SENT:
            state, sent_at = "sent", at
        case DeliveryStatus.LATER if receipt.retry_after == 0:
            due_at = None
        case DeliveryStatus.LATER if attempts < ATTEMPTS:
            due_at = iso(datetime.fromisoformat(at) + timedelta(seconds=_wait(attempts, receipt)))
        case DeliveryStatus.LATER:
            state, error = "refused", f"given up after {attempts} tries: {error}"
        case DeliveryStatus.NEVER:
            state = "refused"
    with store.transaction():
        store.connection.execute(
            "update deliveries set state = ?, attempts = ?, due_at = ?, sent_at = ?, error = ? where id = ?",
            [state, attempts, due_at, sent_at, error, delivery.id],
        )
    return replace(delivery, state=state, attempts=attempts, due_at=due_at, sent_at=sent_at, error=error)


def _wait(attempts: int, receipt: DeliveryResult) -> float:
    """Give the seconds until the next try: twice as many each time, and as many as the receiver asks for."""
    usual: int = min(_FIRST_WAIT * 2 ** (attempts - 1), _LONGEST_USUAL_WAIT)
    return min(max(usual, receipt.retry_after or 0), LONGEST_WAIT)


def retry(store: Store, ids: Collection[int]) -> list[Delivery]:
    """Let deliveries that were refused or dropped, or have to wait, be tried at once; gives them."""
    return _set(
        store, ids, ("waiting", "refused", "dropped"), "state = 'waiting', attempts = 0, due_at = null"
    )


def drop(store: Store, ids: Collection[int]) -> list[Delivery]:
    """Let deliveries never be tried again; gives those that had not been sent."""
    return _set(store, ids, ("waiting", "refused"), "state = 'dropped', due_at = null")


def _set(store: Store, ids: Collection[int], of: Sequence[str], change: str) -> list[Delivery]:
    wanted = [each for each in deliveries(store, *of) if each.id in ids]
    with store.transaction():
        store.connection.executemany(
            f"update deliveries set {change} where id = ?",  # noqa: S608 - our own words
            [[each.id] for each in wanted],
        )
    return wanted
