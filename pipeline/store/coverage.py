"""The state of each scope at the end of a run, and the holds and failures of a window."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from pipeline.core.types import GROUP_PREFIX, HoldKind
from pipeline.store.coverages import last_asked
from pipeline.store.database import Store
from pipeline.store.offers import pending_before
from pipeline.store.outcomes import PROBLEMS, SETS_LISTING, URGENT_SIGHTING
from pipeline.store.recurrences import UNSTEADY, Recurrence, kind_of, recurrence
from pipeline.store.runs import is_newest
from pipeline.store.windows import IN_TIME, IN_WINDOW, Window


class Coverage(Struct, frozen=True):
    """The state of one scope at the end of a run; times are starts of runs (ISO 8601 UTC).

    Args:
        auth: the kind of its credential, or `anonymous`.
        key: a hint that identifies its key.
        state: `ok`, `held`, `failed`, `retired` (no longer asked), or `new` (neither answered nor failed).
        state_since: when the hold or failure began.
        models: the size of its current listing; None before its first answer, and for a list of groups.
        held_models: the size of the held answer.
        pending_removals: the number of its models that are missing and not yet confirmed as removed.
        last_answered: its last complete answer.
        error_class: the class of the error, for a failure.
        message: why it is held or failed.
        cure: the end of this message that says what to do, for a failure; None where only general words fit.
        pending_models: the ids of these models, sorted.
        urgent: it fails or is held and needs a person: the failure is not transient, or has lasted for six
            hours; or a key gets the anonymous list.
        hold: why it is held, in one word; see `HoldKind`.
        listed_groups: for the scope that lists the groups of a user, their number.
        began: the snapshot with which the hold or failure began; for a hold, the one since which it has
            its present kind.
        recurrence: how often its problem came back, where the scope is unsteady.
    """

    scope: str
    gateway: str
    group: str | None
    auth: str
    key: str | None
    state: str
    state_since: str | None
    models: int | None
    held_models: int | None
    pending_removals: int
    last_asked: str | None
    last_answered: str | None
    error_class: str | None
    message: str | None
    urgent: bool = False
    pending_models: tuple[str, ...] = ()
    hold: str | None = None
    listed_groups: int | None = None
    began: int | None = None
    recurrence: Recurrence | None = None
    cure: str | None = None

    def is_same_problem(self, before: Coverage) -> bool:
        """Return whether its hold or failure is that of an earlier state of the scope."""
        return (before.state, before.state_since) == (self.state, self.state_since)

    def begins_after(self, snapshot: int) -> bool:
        """Return whether its hold or failure began after a snapshot, or its scope became unsteady by it."""
        began = self.recurrence.became if self.recurrence else self.began
        return began is not None and began > snapshot

    def lasts_after(self, snapshot: int) -> bool:
        """Return whether the problem of an unsteady scope has lasted for six hours only after a snapshot."""
        return self.recurrence is not None and (self.recurrence.lasts_since or 0) > snapshot


def coverage(
    store: Store, *, until: int | None = None, asked_only: bool = False, only: Iterable[str] | None = None
) -> tuple[Coverage, ...]:
    """Return the state of each scope at the end of a run, by name.

    Args:
        store: an open database.
        until: the snapshot of the run; None for the newest.
        asked_only: leave out scopes that this run did not ask.
        only: the names of the scopes; None for all.
    """
    which, chosen = (_ALL, ()) if only is None else (_NAMED, only)
    return tuple(_read(store, which, chosen, until, asked_only=asked_only))


def stream_coverage(store: Store) -> Iterator[Coverage]:
    """Yield the state of each scope after the newest run, by name, while the database is open."""
    return _read(store, _ALL, (), None)


def exceptional_coverage(
    store: Store, *, until: int | None = None, asked_only: bool = False
) -> tuple[Coverage, ...]:
    """Return the scopes that are held, failing or new, or have pending removals, by name.

    The cost follows their number, not that of all scopes. Arguments as for `coverage`; retired scopes are
    left out.
    """
    if until is None or _is_last(store, until):
        pending, sql = None, _EXCEPTIONAL_NOW
    else:
        pending, sql = _pending_models(store, until), _EXCEPTIONAL_THEN
    rows = store.stream(sql, {"until": until, "pending": json.dumps(sorted(pending or ()))})
    chosen = [number for (number,) in rows]
    found = _read(store, _WITH_ID, chosen, until, asked_only=asked_only, pending=pending)
    return tuple(each for each in found if each.state != "retired")


def _is_last(store: Store, snapshot: int) -> bool:
    """Return whether a snapshot is the last one, imports included."""
    return not store.rows("select 1 from snapshots where id > :snapshot limit 1", {"snapshot": snapshot})


class ScopeCounts(Struct, frozen=True):
    """The number of scopes of a gateway that are in each state; `retired` are no longer asked."""

    gateway: str
    ok: int = 0
    held: int = 0
    failed: int = 0
    new: int = 0
    retired: int = 0

    @property
    def asked(self) -> int:
        """The number of scopes that are, or were, asked."""
        return self.ok + self.held + self.failed + self.new


def count_scopes(store: Store, exceptional: Iterable[Coverage], *, until: int) -> tuple[ScopeCounts, ...]:
    """Return the number of scopes that a run asked, by gateway and their state after it.

    Args:
        store: an open database.
        exceptional: what `exceptional_coverage` returns for this run.
        until: its snapshot.
    """
    rows = store.stream(
        """
        select gateways.name, count(*) from coverage_scopes
        join scopes on scopes.id = coverage_scopes.scope
        join gateways on gateways.id = scopes.gateway
        where coverage_scopes.coverage = (select covered from snapshots where id = :until)
        group by scopes.gateway
        """,
        {"until": until},
    )
    return scope_counts(dict(rows), exceptional)


def scope_counts(asked: Mapping[str, int], exceptional: Iterable[Coverage]) -> tuple[ScopeCounts, ...]:
    """Return the number of scopes in each state, by gateway; `asked` has their number by gateway."""
    states = Counter((each.gateway, each.state) for each in exceptional)
    found = []
    for gateway in sorted(asked):
        held, failed, new = (states[gateway, state] for state in ("held", "failed", "new"))
        found.append(ScopeCounts(gateway, asked[gateway] - held - failed - new, held, failed, new))
    return tuple(found)


def count_scopes_now(store: Store) -> tuple[ScopeCounts, ...]:
    """Return the number of all scopes, by gateway and their present state."""
    states: dict[str, dict[str, int]] = {}
    for gateway, state, number in store.stream(_COUNTS_NOW):
        states.setdefault(gateway, {})[state] = number
    return tuple(ScopeCounts(gateway, **numbers) for gateway, numbers in sorted(states.items()))


_COUNTS_NOW = f"""
select gateways.name, case when not scopes.asked then 'retired'
                           when sightings.outcome in {PROBLEMS} then sightings.outcome
                           when scopes.listing is null then 'new' else 'ok' end as state, count(*)
from scopes join gateways on gateways.id = scopes.gateway
left join sightings on sightings.id = scopes.sighting
group by scopes.gateway, state
"""  # noqa: S608 - constants only


def count_failures(store: Store) -> dict[str, int]:
    """Return the number of scopes that fail now, by the class of the error."""
    rows = store.stream(
        """
        select sightings.error_class, count(*) from scopes
        join sightings on sightings.id = scopes.sighting
        where scopes.asked and sightings.outcome = 'failed' group by sightings.error_class
        """
    )
    return dict(rows)


def may_lack_models(store: Store) -> bool:
    """Return whether any scope has a pending removal or a held answer now."""
    sql = """
        select exists (select 1 from missing) or exists (
            select 1 from scopes join sightings on sightings.id = scopes.sighting
            where sightings.outcome = 'held')
    """
    return any(found for (found,) in store.stream(sql))


def retired_scopes(store: Store, most: int) -> tuple[str, ...]:
    """Return the first names of the scopes that are no longer asked; at most `most`."""
    rows = store.stream("select name from scopes where not asked order by name limit :most", {"most": most})
    return tuple(name for (name,) in rows)


def unasked_scopes(store: Store, run: int) -> Iterator[tuple[str, str, str]]:
    """Yield the scopes that a run did not ask, by name: the gateway, the name, and when they were asked last.

    Scopes that were never asked, are asked no longer, or are of other sites are left out.
    """
    yield from store.stream(_UNASKED, {"until": run})


_UNASKED = f"""
select gateways.name, scopes.name, snapshots.started_at from scopes
join gateways on gateways.id = scopes.gateway
join snapshots on snapshots.id = {last_asked("scopes", ":until")}
where scopes.asked and scopes.site is null and snapshots.id < :until order by scopes.name
"""  # noqa: S608 - constants only


def _pending_models(store: Store, until: int) -> dict[str, list[str]]:
    """Return the models whose removal was pending after a past run, by scope."""
    pending: dict[str, list[str]] = {}
    for scope, model in pending_before(store, until):
        pending.setdefault(scope, []).append(model)
    return pending


def _read(
    store: Store,
    which: str,
    chosen: Iterable[str] | Iterable[int],
    until: int | None,
    *,
    asked_only: bool = False,
    pending: Mapping[str, list[str]] | None = None,
) -> Iterator[Coverage]:
    """Yield the states of scopes by name: of all, or of those that are chosen by `_NAMED` or `_WITH_ID`."""
    if pending is None and until is not None and not is_newest(store, until):
        pending = _pending_models(store, until)
    parameters = {"until": until, "asked_only": asked_only, "chosen": json.dumps(sorted(chosen))}
    shared: dict[Any, Any] = {}
    for scope, key, missing, unsteady_by, *values in store.stream(_COVERAGE.replace(_ALL, which), parameters):
        # Thousands of scopes have the same texts.
        row = dict(zip(_COLUMNS, [shared.setdefault(value, value) for value in values], strict=True))
        names = json.loads(missing) if pending is None else pending.get(scope, [])
        if names and row["listed_groups"] is not None:
            names = [f"group {name.removeprefix(GROUP_PREFIX)}" for name in names]
        row["urgent"], row["hold"] = bool(row["urgent"]), _hold_kind(row["hold"])
        yield Coverage(
            scope=scope,
            key=key,
            pending_removals=len(names),
            pending_models=shared.setdefault(models := tuple(sorted(names)), models),
            recurrence=None if unsteady_by is None else recurrence(store, unsteady_by),
            **row,
        )


def _with_recurrence(store: Store, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with a `recurrence` in place of `unsteady_by`, the sighting of the problem."""
    sighting = row.pop("unsteady_by")
    return row | {"recurrence": None if sighting is None else recurrence(store, sighting)}


def _hold_kind(word: str | None) -> str | None:
    """Return why answers are held, by the word of a sighting."""
    return HoldKind.ALTERNATING if word == HoldKind.CURRENT else word


_URGENT_SIGHTING = URGENT_SIGHTING.replace("scopes.id", "current.id").strip()

_CHOSEN = "in (select value from json_each(:chosen))"

_ALL, _NAMED, _WITH_ID = "where true", f"where scopes.name {_CHOSEN}", f"where scopes.id {_CHOSEN}"
"""SQL: which scopes are read."""


_COLUMNS = (
    *("gateway", "group", "auth", "state", "state_since", "models", "listed_groups", "held_models"),
    *("last_asked", "last_answered", "error_class", "message", "cure", "hold", "urgent", "began"),
)
"""The columns of the statement after the first four."""

_COVERAGE = f"""
with point as (select coalesce(:until, (select max(id) from snapshots)) as until),
current as (
    select scopes.*, scopes.asked as asked_now, point.until, (
        select max(sightings.id) from sightings
        where sightings.scope = scopes.id and sightings.snapshot <= point.until
    ) as last_sighting, (
        select sightings.listing from sightings
        where sightings.scope = scopes.id and sightings.snapshot <= point.until
        and sightings.outcome in {SETS_LISTING} order by sightings.id desc limit 1
    ) as listing_then, {last_asked("scopes", "point.until")} as last_run
    from scopes, point where true
)
select current.name, current.key_hint,
       (select json_group_array(distinct models.name) from missing
        join changes on changes.transition = missing.transition and changes.kind = 'removed'
        join models on models.id = changes.model
        where missing.scope = current.id and missing.since <= current.until
        and changes.model not in (
            select records.model from listing_records join records on records.id = listing_records.record
            where listing_records.listing = current.listing)
       ),
       iif(last.outcome in {PROBLEMS} and last.flap_level >= {UNSTEADY}, last.id, null),
       gateways.name, current.group_name, current.auth,
       case when :until is null and not current.asked_now then 'retired'
            when last.outcome in {PROBLEMS} or last.outcome = 'retired' then last.outcome
            when current.listing_then is null then 'new' else 'ok' end,
       case when last.outcome in {PROBLEMS} then began.started_at end,
       iif(current.lists_groups, null, listings.size),
       iif(current.lists_groups, listings.size, null),
       case when last.outcome = 'held' then coalesce(last.shortened_from, held.size) end,
       asked.started_at,
       case when last.outcome = 'failed'
            then (select snapshots.started_at from snapshots
                  where snapshots.id = {last_asked("current", "began.id - 1")})
            else asked.started_at end,
       case when last.outcome = 'failed' then last.error_class end,
       case when last.outcome in {PROBLEMS} then reasons.name end,
       case when last.outcome = 'failed' then reasons.cure end,
       case when last.outcome = 'held' then last.error_class end,
       (last.outcome = 'failed' and exists (
           {_URGENT_SIGHTING} and severe.snapshot <= current.until))
       or (last.outcome = 'held' and last.error_class = 'anonymous'),
       case last.outcome when 'failed' then began.id when 'held' then (
            select min(same.snapshot) from sightings as same
            where same.scope = current.id and same.snapshot between began.id and last.snapshot
            and same.outcome = 'held' and {kind_of("same")} = {kind_of("last")}) end
from current
join gateways on gateways.id = current.gateway
left join sightings as last on last.id = current.last_sighting
left join reasons on reasons.id = last.reason
left join snapshots as began on began.id = coalesce(last.since, last.snapshot)
left join snapshots as asked on asked.id = current.last_run
left join listings on listings.id = current.listing_then
left join listings as held on held.id = last.listing
where not :asked_only or current.last_run = current.until
order by current.name
"""  # noqa: S608 - constants only

_EXCEPTIONAL_NOW = f"""
select scopes.id from scopes left join sightings on sightings.id = scopes.sighting
where sightings.outcome in {PROBLEMS} or scopes.listing is null
union select scope from missing
"""  # noqa: S608 - constants only
"""The ids of the scopes that may be held, failing or new, or have pending removals, after the newest run."""

_EXCEPTIONAL_THEN = f"""
select scope from (
    select scope, outcome, max(id) from sightings where snapshot <= :until group by scope)
where outcome in {PROBLEMS}
union
select coverage_scopes.scope from snapshots
join coverage_scopes on coverage_scopes.coverage = snapshots.covered
where snapshots.id = :until and not exists (
    select 1 from sightings where sightings.scope = coverage_scopes.scope
    and sightings.snapshot <= :until and sightings.outcome in {SETS_LISTING})
union
select scopes.id from json_each(:pending) as wanted join scopes on scopes.name = wanted.value
"""  # noqa: S608 - constants only
"""The same after a past run; `pending` has the names of the scopes with pending removals."""


class Recovery(Struct, frozen=True):
    """The end of a scope's hold or failure; times are starts of runs (ISO 8601 UTC).

    Args:
        at: when it ended.
        state: `held` or `failed`.
        accepted: the held list is now the current listing, or another one that lacks models with it.
        since: when it began.
        seconds: its duration.
        error_class: the class of its last error, for a failure.
        urgent: the failure was not transient, or lasted for six hours; or a key got the anonymous list.
        models: the size of the current listing from then on, and `models_before` that of the one during the
            hold or failure; None without one.
        hold: why it was held at last, in one word; see `HoldKind`.
        recurrence: how often the problem came back, where the scope was unsteady by it.
        steady: the scope has been well for a day after it was unsteady; `since` is the first time.
    """

    at: str
    scope: str
    gateway: str
    state: str
    accepted: bool
    since: str
    seconds: int
    error_class: str | None = None
    urgent: bool = False
    models: int | None = None
    models_before: int | None = None
    hold: str | None = None
    recurrence: Recurrence | None = None
    steady: bool = False

    @property
    def is_news(self) -> bool:
        """Whether its end is reported: not that of a problem that comes and goes, unless it had lasted."""
        comes_and_goes = self.recurrence is not None and self.recurrence.lasts_since is None
        return self.steady or self.accepted or not comes_and_goes


_LACKED = """
    not in (select records.model from listing_records
            cross join records on records.id = listing_records.record
            where listing_records.listing = problem.listing)
"""

# With plain joins, SQLite may begin with all records: https://www.sqlite.org/lang_select.html#side_note_special_handling_of_cross_join_
_ALSO_GONE = f"""
    2 * (select count(*) from changes
         where changes.transition = sightings.transition and changes.kind = 'removed'
         and changes.model {_LACKED.strip()})
    >= max(1, (select count(*) from transitions
               cross join listing_records on listing_records.listing = transitions.before
               cross join records on records.id = listing_records.record
               where transitions.id = sightings.transition and records.model {_LACKED.strip()}))
"""  # noqa: S608 - our own words
"""SQL: a sighting of a move removes at least half of the models that the held answer `problem` lacked."""


_CONFIRMED_BY_HOLD = """
    select 1 from sightings as confirmed
    where confirmed.scope = sightings.scope and confirmed.snapshot = sightings.snapshot
    and confirmed.transition = sightings.transition and confirmed.outcome = 'confirmed'
    and confirmed.since < sightings.snapshot
"""
"""SQL: the removals of a move are confirmed at once: all answers of the hold lacked the models."""


def _size_set_by(sighting: str) -> str:
    """Return SQL: the size of the listing that a scope has after a sighting of it."""
    return f"""
        select listings.size from sightings as setting join listings on listings.id = setting.listing
        where setting.scope = sightings.scope and {sighting} and setting.outcome in {SETS_LISTING}
        order by setting.id desc limit 1
    """  # noqa: S608 - our own words


def recoveries(store: Store, window: Window) -> tuple[Recovery, ...]:
    """Return the holds and failures that ended in a window, by time and scope."""
    rows = store.rows(
        f"""
        select snapshots.started_at as at, scopes.name as scope, gateways.name as gateway,
               problem.outcome as state,
               sightings.outcome = 'moved' and problem.outcome = 'held' and (
                   sightings.listing = problem.listing or {_ALSO_GONE.strip()}
                   or exists ({_CONFIRMED_BY_HOLD.strip()})) as accepted,
               began.started_at as since,
               max(0, strftime('%s', snapshots.started_at) - strftime('%s', began.started_at)) as seconds,
               (select last.error_class from sightings as last where last.scope = sightings.scope
                and last.id < sightings.id and last.outcome = problem.outcome
                order by last.id desc limit 1) as error_class,
               ({_size_set_by("setting.id <= sightings.id").strip()}) as models,
               ({_size_set_by("setting.id < sightings.id").strip()}) as models_before,
               exists ({URGENT_SIGHTING.strip()}) or exists (
                   select 1 from sightings as held where held.scope = sightings.scope
                   and held.id < sightings.id and held.snapshot >= began.id
                   and held.outcome = 'held' and held.error_class = 'anonymous') as urgent,
               sightings.outcome = 'recovered' and sightings.flap_level is not null as steady, (
                   select last.id from sightings as last where last.scope = sightings.scope
                   and last.id < sightings.id and last.outcome in {PROBLEMS}
                   and last.flap_level >= {UNSTEADY} and (sightings.flap_level is not null or not exists (
                       select 1 from sightings as part where part.scope = sightings.scope
                       and part.snapshot >= began.id and part.id < sightings.id
                       and coalesce(part.since, part.snapshot) = began.id and part.outcome in {PROBLEMS}
                       and coalesce(part.flap_level, 1) < {UNSTEADY}))
                   order by last.snapshot desc, last.id desc limit 1) as unsteady_by
        from sightings
        join snapshots on snapshots.id = sightings.snapshot
        join snapshots as began on began.id = sightings.since
        join sightings as problem on problem.scope = sightings.scope and problem.snapshot = sightings.since
            and problem.outcome in {PROBLEMS}
        join scopes on scopes.id = sightings.scope
        join gateways on gateways.id = scopes.gateway
        where {IN_WINDOW} and sightings.outcome in ('baseline', 'moved', 'recovered')
        order by snapshots.started_at, sightings.snapshot, scopes.name
        """,  # noqa: S608 - constants only
        asdict(window),
    )
    return tuple(_recovery(_with_recurrence(store, row)) for row in rows)


def _recovery(row: dict[str, Any]) -> Recovery:
    flags: dict[str, Any] = {flag: bool(row[flag]) for flag in ("accepted", "urgent", "steady")}
    if row["state"] == "held":
        flags |= {"error_class": None, "hold": _hold_kind(row["error_class"])}
    return Recovery(**row | flags)


def has_news(store: Store, window: Window) -> bool:
    """Return whether a window has a sighting; listings derived again under new parsing rules do not count."""
    sql = f"""
        select 1 from sightings join snapshots on snapshots.id = sightings.snapshot
        where {IN_WINDOW} and sightings.outcome <> 'reread' limit 1
    """  # noqa: S608 - constants only
    return bool(store.rows(sql, asdict(window)))


def scopes_asked(store: Store, window: Window) -> frozenset[str]:
    """Return the names of the scopes asked by the runs of a window, and by the last run before its end."""
    return frozenset(gateways_asked(store, window))


def gateways_asked(store: Store, window: Window) -> dict[str, str]:
    """Return the gateways of these scopes, by the names of the scopes."""
    # `accept` writes a run that asks no scope.
    rows = store.stream(
        f"""
        select distinct scopes.name, gateways.name from coverage_scopes
        join scopes on scopes.id = coverage_scopes.scope
        join gateways on gateways.id = scopes.gateway
        where coverage_scopes.coverage in (
            select snapshots.covered from snapshots
            where snapshots.id > :since and snapshots.id <= :until and {IN_TIME}
            union all
            select snapshots.covered from snapshots where snapshots.id = (
                select max(id) from snapshots as run
                where run.id <= :until and run.scopes > 0 and run.status <> 'imported'
                and run.started_at < :end))
        """,  # noqa: S608 - constants only
        asdict(window),
    )
    return dict(rows)


def scopes_of_lost_groups(store: Store, until: int) -> frozenset[str]:
    """Return the scopes whose group was gone after a run, by its snapshot."""
    rows = store.stream(
        """
        select scopes.name from sightings as last join scopes on scopes.id = last.scope
        where last.outcome = 'retired' and last.snapshot <= :until and not exists (
            select 1 from sightings as later where later.scope = last.scope and later.id > last.id
            and later.snapshot <= :until)
        """,
        {"until": until},
    )
    return frozenset(name for (name,) in rows)


def first_answers(store: Store, window: Window) -> tuple[tuple[str, str, int, bool], ...]:
    """Return the first answers in a window: gateway, scope, number of models, whether they are groups."""
    rows = store.rows(
        f"""
        select gateways.name as gateway, scopes.name as scope, listings.size as models,
               scopes.lists_groups
        from sightings
        join snapshots on snapshots.id = sightings.snapshot
        join scopes on scopes.id = sightings.scope
        join gateways on gateways.id = scopes.gateway
        join listings on listings.id = sightings.listing
        where {IN_WINDOW} and sightings.outcome = 'baseline'
        order by gateways.name, scopes.name
        """,  # noqa: S608 - constants only
        asdict(window),
    )
    return tuple((row["gateway"], row["scope"], row["models"], bool(row["lists_groups"])) for row in rows)


def models_missing_from_held(
    store: Store, holds: Mapping[tuple[str, str], str], *, until: int
) -> dict[tuple[str, str], list[str]]:
    """Return the models of the current listing that held answers lack, by hold; sorted.

    Args:
        store: an open database.
        holds: scope and beginning (ISO 8601 UTC) of each hold, each with the beginning of the first hold
            whose answers count for it.
        until: the last snapshot whose held answers count.
    """
    rows = store.rows(
        _MISSING_FROM_HELD,
        {"holds": json.dumps([[*hold, first] for hold, first in sorted(holds.items())]), "until": until},
    )
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        found.setdefault((row["scope"], row["since"]), []).append(row["model"])
    return found


_MISSING_FROM_HELD = f"""
    with held as (
        select distinct scopes.name as scope, hold.value ->> 1 as since, sightings.listing, (
            select earlier.listing from sightings as earlier
            where earlier.scope = sightings.scope and earlier.id < sightings.id
            and earlier.outcome in {SETS_LISTING} order by earlier.id desc limit 1) as current
        from json_each(:holds) as hold
        join scopes on scopes.name = hold.value ->> 0
        join sightings on sightings.scope = scopes.id and sightings.outcome = 'held'
            and sightings.snapshot <= :until
        join snapshots as began on began.id = coalesce(sightings.since, sightings.snapshot)
            and began.started_at between hold.value ->> 2 and hold.value ->> 1
    )
    select distinct held.scope, held.since, models.name as model from held
    join listing_records on listing_records.listing = held.current
    join records on records.id = listing_records.record
    join models on models.id = records.model
    where not exists (
        select 1 from listing_records as answered join records as theirs on theirs.id = answered.record
        where answered.listing = held.listing and theirs.model = records.model)
    order by held.scope, held.since, models.name
"""  # noqa: S608 - constants only
