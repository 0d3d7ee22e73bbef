"""Parse the selectors of a question: moments, snapshots, scopes, gateways and models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from fnmatch import fnmatchcase

from pipeline.core.text import choices, did_you_mean, quoted
from pipeline.core.text import printable as safe
from pipeline.core.times import iso, minute, parse_moment
from pipeline.core.watchlist import is_glob, matches, unmatched_glob
from pipeline.errors import QuestionError
from pipeline.history.compare import ComparedSide
from pipeline.history.model import similar_models
from pipeline.store import Store
from pipeline.store.catalog import NOW, Moment, ScopeListing, history_start
from pipeline.store.models import model_names
from pipeline.store.runs import find_run, last_start
from pipeline.store.scopes import scope_gateways
from pipeline.store.windows import Window, time_window

When = datetime | str
"""A moment: a `datetime` (UTC unless it has a zone), or a text that `core.times.parse_moment` reads."""

_MOMENTS = "2026-05-01, 2d (ago), yesterday, now or '#123'"


def parse_time(when: When, now: datetime) -> str:
    """Parse a moment; return ISO 8601 UTC.

    Raises:
        QuestionError: `when` is no time.
    """
    if isinstance(when, datetime):
        return iso(when)
    try:
        return parse_moment(when, now)
    except ValueError as error:
        raise QuestionError(str(error)) from error


def parse_side(store: Store, side: When, now: datetime) -> ComparedSide:
    """Parse one side of a comparison.

    Args:
        store: an open database.
        side: a moment (`2026-05-01`, `2d`, `now`, `#123`); or a scope, a glob of scopes, or a gateway; or
            both, with `@` between the scopes and the moment.
        now: the time that `2d` is relative to.

    Raises:
        QuestionError: the side is none of these, or both a moment and a scope.
    """
    text = iso(side) if isinstance(side, datetime) else side
    name, at, when = text.rpartition("@")
    if at:
        scopes = _find_scopes(store, name) if name else None
        moment = _parse_moment(store, when, now)
        if scopes == frozenset():
            raise QuestionError(f"no scope is named {quoted(name)}: {_existing_scopes(store, name)}")
        if moment is None:
            raise QuestionError(
                f"{safe(when)!r} in {safe(text)} is no time and no snapshot: write {_MOMENTS}"
            )
        return ComparedSide(text, moment, scopes)
    scopes, moment = _find_scopes(store, text), _parse_moment(store, text, now)
    if scopes and moment:
        raise QuestionError(f"{safe(text)} is a time and a scope: write @{safe(text)} or {safe(text)}@now")
    if not scopes and not moment:
        near = did_you_mean(text, scope_gateways(store))
        raise QuestionError(
            f"{safe(text)!r} is no time, no snapshot and no scope: "
            + (near or f"write {_MOMENTS}; {_existing_scopes(store, text)}")
        )
    return ComparedSide(text, moment or NOW, scopes or None)


def _find_scopes(store: Store, text: str) -> frozenset[str]:
    """Return the scope of this name; else the scopes of this gateway, and those that match as a glob."""
    gateways = scope_gateways(store)
    if text in gateways:
        return frozenset({text})
    return frozenset(
        scope for scope, gateway in gateways.items() if gateway == text or fnmatchcase(scope, text)
    )


def _parse_moment(store: Store, text: str, now: datetime) -> Moment | None:
    """Return a moment; None where the text is not one.

    Raises:
        QuestionError: it is before the history, or there is no such snapshot.
    """
    if text == "now":
        return NOW
    if text.startswith("#"):
        return _parse_snapshot(store, text)
    try:
        at = parse_moment(text, now)
    except ValueError:
        return None
    return Moment(at=require_history(store, at))


def _parse_snapshot(store: Store, text: str) -> Moment:
    number = text[1:]
    if not (number.isascii() and number.isdigit() and len(number) < len(str(2**63))):
        raise QuestionError(f"{safe(text)!r} is no snapshot: write '#' and its number, such as '#123'")
    if find_run(store, int(number)) is None:
        newest = find_run(store)
        hint = f"the newest is #{newest.snapshot}" if newest else "the job has not run yet"
        raise QuestionError(f"there is no snapshot {text}: {hint}")
    return Moment(run=int(number))


def require_history(store: Store, at: str) -> str:
    """Return a time (ISO 8601 UTC) unchanged if it is not before the history.

    Raises:
        QuestionError: it is before the history.
    """
    start = history_start(store)
    if start is None:
        raise QuestionError(f"there is no data for {minute(at)}: start the history with `modelwatch run`")
    if at < start:
        raise QuestionError(f"there is no data for {minute(at)}: the history begins at {minute(start)}")
    return at


def require_order(since: str | None, until: str | None) -> None:
    """Raise an error unless a window (ISO 8601 UTC, None for no bound) has room for a run.

    Raises:
        QuestionError: `until` is not after `since`.
    """
    if since is not None and until is not None and until <= since:
        raise QuestionError(
            f"--until ({minute(until)} UTC) must be after --since ({minute(since)} UTC): nothing is between"
        )


def report_window(store: Store, *, since: str, until: str | None) -> Window:
    """Return the window of a report on the runs from `since` until before `until` (ISO 8601 UTC).

    Raises:
        QuestionError: `until` is not after `since`, or there was no run between them.
    """
    require_order(since, until)
    last = last_start(store, before=until)
    if last is None or last < since:
        period = f"between {minute(since)} and {minute(until)}" if until else f"since {minute(since)}"
        raise QuestionError(f"there was no run {period}: {_nearest_run(store, last)}")
    return time_window(store, since=since, until=until)


def _nearest_run(store: Store, last: str | None) -> str:
    start = history_start(store)
    if start is None:
        return "start the history with `modelwatch run`"
    return f"the last one before was at {minute(last)}" if last else f"the history begins at {minute(start)}"


def _existing_scopes(store: Store, asked: str) -> str:
    return choices(asked, scope_gateways(store), none="there is no scope yet")


def require_scopes(store: Store, globs: Iterable[str]) -> None:
    """Raise an error unless each glob matches a scope: a misspelt glob must not look like a lack of news.

    Raises:
        QuestionError: a glob matches no scope.
    """
    glob = unmatched_glob(globs, scope_gateways(store))
    if glob is not None:
        raise QuestionError(f"no scope matches {quoted(glob)}: {_existing_scopes(store, glob)}")


def scope_test(store: Store, globs: Sequence[str]) -> Callable[[str], bool]:
    """Return the test for the names of scopes that match one of some globs; without globs, all do.

    Raises:
        QuestionError: a glob matches no scope.
    """
    require_scopes(store, globs)
    return lambda scope: matches(scope, globs)


def listing_test(
    store: Store, globs: Sequence[str], gateway: str | None = None
) -> Callable[[ScopeListing], bool]:
    """Return the test for scopes of a gateway (None for any) that match one of some globs.

    Raises:
        QuestionError: there is no such gateway, or a glob matches no scope.
    """
    if gateway is not None:
        require_gateway(store, gateway)
    is_selected = scope_test(store, globs)
    return lambda listing: gateway in (None, listing.gateway) and is_selected(listing.scope)


def selected_scopes(store: Store, globs: Sequence[str]) -> list[str]:
    """Return the names of the scopes that match one of some globs, sorted.

    Raises:
        QuestionError: there is no glob, or one matches no scope.
    """
    if not globs:
        raise QuestionError("no scope is named: see `modelwatch scopes`")
    return sorted(filter(scope_test(store, globs), scope_gateways(store)))


def require_gateway(store: Store, gateway: str) -> None:
    """Raise an error unless a gateway has a scope.

    Raises:
        QuestionError: no gateway with scopes has this name.
    """
    gateways = dict.fromkeys(scope_gateways(store).values())
    if gateway not in gateways:
        existing = choices(gateway, gateways, none="there is no gateway yet")
        raise QuestionError(f"no gateway is named {quoted(gateway)}: {existing}")


def matching_models(store: Store, pattern: str) -> list[str]:
    """Return the model with this id; else the ids that match the pattern as a glob, sorted."""
    names = model_names(store)
    if pattern in names:
        return [pattern]
    return [name for name in names if fnmatchcase(name, pattern)] if is_glob(pattern) else []


def unknown_model(store: Store, model: str) -> str:
    """Return the error message for a model that no scope was ever offered, with similar ids."""
    similar = similar_models(store, model)
    hint = f": did you mean {' or '.join(map(safe, similar))}?" if similar else ""
    return f"no scope has ever been offered {quoted(model)}{hint}"
