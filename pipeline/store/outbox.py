"""The tables `destinations` and `deliveries`: who has been sent which runs, and what waits to be sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable

from msgspec import Struct

from pipeline.store.database import Store
from pipeline.store.windows import FOREVER, Window

IsLive = Callable[[str | None], bool]
"""Returns whether a lease, by its end (ISO 8601 UTC), has not expired; None is no lease."""


class DestinationState(Struct, frozen=True):
    """A destination as recorded: up to which run it has been sent reports.

    Args:
        id: the row in `destinations`.
        reported_until: the last run that it has been sent, or that had nothing for it.
        reported_at: when that was decided (ISO 8601 UTC).
        token: the part of its message ids that is unique to this installation; None where it needs no ids.
    """

    id: int
    name: str
    reported_until: int
    reported_at: str
    token: str | None


class Delivery(Struct, frozen=True):
    """One report on its way to one recipient.

    Args:
        id: its number in the outbox.
        at: the start of the last run in the report (ISO 8601 UTC, as all times).
        since: the snapshot after which the report begins; 0 for the beginning of the history.
        until: the last snapshot in the report.
        state: waiting, sent, refused (not retried) or dropped (by the user).
        due_at: when to try next; None for at once.
        error: why the last try failed.
        leased_until: until when a process may be sending it, and others do not; None if none does.
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
    leased_until: str | None = None

    @property
    def window(self) -> Window:
        """The runs in the report; imported answers are history, not news."""
        return Window(self.since, self.until, start=FOREVER)


def newest_run(store: Store, *, before: int | None = None) -> int:
    """Return the id of the newest run (before another), imports excluded; 0 where there is none."""
    (row,) = store.rows(
        "select coalesce(max(id), 0) as run from snapshots"
        " where status <> 'imported' and (:before is null or id < :before)",
        {"before": before},
    )
    return int(row["run"])


def active_destinations(store: Store) -> dict[str, DestinationState]:
    """Return the destinations that were in the config when reports were last enqueued, by name."""
    rows = store.rows("select * from destinations where reported_until is not null")
    return {row["name"]: DestinationState(**row) for row in rows}


def add_destination(
    store: Store, name: str, *, reported_until: int, at: str, token: str | None
) -> DestinationState:
    """Insert a destination, or activate one that had left the config; it keeps its token.

    One that comes back skips what it was sent before it left.
    """
    store.connection.execute(
        """
        insert into destinations (name, reported_until, reported_at, token)
        values (:name, :reported_until, :at, :token)
        on conflict (name) do update set reported_at = excluded.reported_at,
            reported_until = max(excluded.reported_until, coalesce(
                (select max(until) from deliveries where destination = destinations.id), 0))
        """,
        {"name": name, "reported_until": reported_until, "at": at, "token": token},
    )
    (row,) = store.rows("select * from destinations where name = :name", {"name": name})
    return DestinationState(**row)


def set_reported(store: Store, destination: DestinationState, until: int | None, *, at: str) -> None:
    """Record up to which run a destination is done; None deactivates it."""
    store.connection.execute(
        "update destinations set reported_until = ?, reported_at = ? where id = ?",
        [until, at, destination.id],
    )


def destination_token(store: Store, name: str) -> str:
    """Return the token in a destination's message ids."""
    (row,) = store.rows("select token from destinations where name = :name", {"name": name})
    return str(row["token"])


def add_deliveries(
    store: Store,
    destination: DestinationState,
    recipients: Iterable[str],
    window: Window,
    *,
    run_started_at: str,
    message_id: str | None,
) -> None:
    """Insert a delivery for each recipient, due at once."""
    store.connection.executemany(
        """
        insert into deliveries (name, destination, recipient, since, until, message_id, state, attempts)
        values (:name, :destination, :recipient, :since, :until, :message_id, 'waiting', 0)
        """,
        [
            {
                "name": f"{destination.name} {run_started_at}",
                "destination": destination.id,
                "recipient": recipient,
                "since": window.since or None,
                "until": window.until,
                "message_id": message_id,
            }
            for recipient in recipients
        ],
    )


def deliveries(store: Store, *states: str) -> list[Delivery]:
    """Return the deliveries in these states, or all, oldest first."""
    rows = store.rows(
        """
        select deliveries.id, snapshots.started_at as at, destinations.name as destination,
               deliveries.recipient, coalesce(deliveries.since, 0) as since, deliveries.until,
               deliveries.message_id, deliveries.state, deliveries.attempts, deliveries.due_at,
               deliveries.sent_at, deliveries.error, deliveries.leased_until
        from deliveries
        join destinations on destinations.id = deliveries.destination
        join snapshots on snapshots.id = deliveries.until
        where :states is null or deliveries.state in (select value from json_each(:states))
        order by deliveries.until, deliveries.id
        """,
        {"states": json.dumps(states) if states else None},
    )
    return [Delivery(**row) for row in rows]


def update_deliveries(store: Store, changed: Collection[Delivery]) -> None:
    """Write the state, attempts, times and error of deliveries, inside an open transaction."""
    store.connection.executemany(
        "update deliveries set state = ?, attempts = ?, due_at = ?, sent_at = ?, error = ? where id = ?",
        [[each.state, each.attempts, each.due_at, each.sent_at, each.error, each.id] for each in changed],
    )


def record_attempt(store: Store, delivery: Delivery) -> None:
    """Write the result of an attempt, and end the lease.

    A delivery that was dropped meanwhile stays dropped, unless it was sent.
    """
    with store.transaction():
        store.connection.execute(
            """
            update deliveries set state = :state, attempts = :attempts, due_at = :due_at, sent_at = :sent_at,
                error = :error, leased_until = null
            where id = :id and (state = 'waiting' or :state = 'sent')
            """,
            {
                "id": delivery.id,
                "state": delivery.state,
                "attempts": delivery.attempts,
                "due_at": delivery.due_at,
                "sent_at": delivery.sent_at,
                "error": delivery.error,
            },
        )


def lease(store: Store, batch: Collection[Delivery], *, is_live: IsLive, until: str) -> list[Delivery]:
    """Lease deliveries to one destination, so that no other process sends them; return those leased.

    Left out are those that another process has sent, tried or dropped since they were read. None is leased
    while another process sends to the destination, so that its reports arrive in their order.

    Args:
        store: an open database; its lock is not needed.
        batch: the deliveries, as they were read.
        is_live: returns whether a lease, by its end, has not expired.
        until: the end of the lease (ISO 8601 UTC).
    """
    with store.transaction():
        now = {each.id: each for each in deliveries(store, "waiting")}
        destinations = {each.destination for each in batch}
        if any(each.destination in destinations and is_live(each.leased_until) for each in now.values()):
            return []
        leased = [each for each in batch if now.get(each.id) == each]
        store.connection.executemany(
            "update deliveries set leased_until = ? where id = ?", [[until, each.id] for each in leased]
        )
    return leased


def end_lease(store: Store, batch: Collection[Delivery], *, until: str) -> None:
    """End the lease, until this time, of deliveries that have no result."""
    with store.transaction():
        store.connection.executemany(
            "update deliveries set leased_until = null where id = ? and leased_until = ?",
            [[each.id, until] for each in batch],
        )


def unsent(store: Store) -> dict[str, int]:
    """Count the deliveries that are not sent: `waiting` to be tried, and `refused` for good."""
    rows = store.rows("select state, count(*) as deliveries from deliveries group by state")
    found = {row["state"]: row["deliveries"] for row in rows}
    return {state: found.get(state, 0) for state in ("waiting", "refused")}


class FailingRecipient(Struct, frozen=True):
    """A recipient whose last attempted delivery was not sent; times are starts of runs (ISO 8601 UTC).

    Args:
        since: the run of the first report that failed.
        last: the run of the last one.
        delivery: the number of the last one.
    """

    destination: str
    recipient: str
    since: str
    last: str
    delivery: int


def failing_recipients(store: Store) -> dict[tuple[str, str], FailingRecipient]:
    """Return the recipients that no delivery reached since one failed, by destination and recipient."""
    rows = store.rows(
        """
        select destinations.name as destination, deliveries.recipient, min(snapshots.started_at) as since,
               max(snapshots.started_at) as last, max(deliveries.id) as delivery
        from deliveries
        join destinations on destinations.id = deliveries.destination
        join snapshots on snapshots.id = deliveries.until
        where deliveries.state in ('waiting', 'refused') and deliveries.attempts > 0 and not exists (
            select 1 from deliveries as later
            where later.destination = deliveries.destination and later.recipient = deliveries.recipient
            and later.until >= deliveries.until and later.state = 'sent')
        group by destinations.id, deliveries.recipient
        """
    )
    return {(row["destination"], row["recipient"]): FailingRecipient(**row) for row in rows}


def shares_second(store: Store, snapshot: int, started_at: str) -> bool:
    """Return whether an earlier snapshot has the same start time, which is stored to the second."""
    rows = store.rows(
        "select 1 from snapshots where started_at = :at and id < :snapshot limit 1",
        {"at": started_at, "snapshot": snapshot},
    )
    return bool(rows)
