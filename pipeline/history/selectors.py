"""Read the words of a question: a time, a snapshot, scopes, scopes at one of them, models."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from fnmatch import fnmatchcase

from pipeline.core.text import printable as safe
from pipeline.core.times import minute
from pipeline.core.times import parse_moment as read
from pipeline.core.watchlist import is_glob, unmatched_glob
from pipeline.errors import QuestionError
from pipeline.history.compare import Side
from pipeline.history.runs import find_run
from pipeline.history.timeline import closest
from pipeline.store import Store, scope_states
from pipeline.store.catalog import NOW, Moment, began


def side(store: Store, word: str, now: datetime) -> Side:
    """Read one side: `2026-05-01`, `2d`, `now`, `#123`, `a/b`, `a/*`, a gateway, or `a/b@` and a moment.

    Raises:
        QuestionError: it is none of these, or more than one.
    """
    name, at, when = word.rpartition("@")
    if at:
        scopes = _scopes(store, name) if name else None
        moment = _moment(store, when, now)
        if scopes == frozenset():
            raise QuestionError(f"no scope is named {safe(name)}: {_known(store)}")
        if moment is None:
            raise QuestionError(
                f"{safe(when)!r} in {safe(word)} is no time and no snapshot: write {_MOMENTS}"
            )
        return Side(word, moment, scopes)
    scopes, moment = _scopes(store, word), _moment(store, word, now)
    if scopes and moment:
        raise QuestionError(f"{safe(word)} is a time and a scope: write @{safe(word)} or {safe(word)}@now")
    if not scopes and not moment:
        raise QuestionError(
            f"{safe(word)!r} is no time, no snapshot and no scope: write {_MOMENTS}; {_known(store)}"
        )
    return Side(word, moment or NOW, scopes or None)


_MOMENTS = "2026-05-01, 2d (ago), now or '#123'"


def _scopes(store: Store, word: str) -> frozenset[str]:
    """Give the scopes that a word means: the one of that name, a gateway's, or those that match."""
    rows = store.rows("""
        select scopes.name as scope, gateways.name as gateway from scopes
        join gateways on gateways.id = scopes.gateway
    """)
    exact = frozenset(row["scope"] for row in rows if row["scope"] == word)
    return exact or frozenset(
        row["scope"] for row in rows if row["gateway"] == word or fnmatchcase(row["scope"], word)
    )


def _moment(store: Store, word: str, now: datetime) -> Moment | None:
    """Read a moment; None when the word is none.

    Raises:
        QuestionError: it is before the history began, or there is no such snapshot.
    """
    if word == "now":
        return NOW
    if word.startswith("#"):
        return _run(store, word)
    try:
        at = read(word, now)
    except ValueError:
        return None
    return Moment(at=in_history(store, at))


def _run(store: Store, word: str) -> Moment:
    number = word[1:]
    if not (number.isascii() and number.isdigit() and len(number) < len(str(2**63))):
        raise QuestionError(f"{safe(word)!r} is no snapshot: write '#' and its number, such as '#123'")
    if find_run(store, int(number)) is None:
        newest = find_run(store)
        there = f"the newest is #{newest.snapshot}" if newest else "the job has not run yet"
        raise QuestionError(f"there is no snapshot {word}: {there}")
    return Moment(run=int(number))


def in_history(store: Store, at: str) -> str:
    """Give a time back if anything was known then.

    Raises:
        QuestionError: it is before the history began.
    """
    first = began(store)
    if first is None or at < first:
        since = f"begins at {minute(first)}" if first else "has not begun: `modelwatch run`"
        raise QuestionError(f"nothing is known of {minute(at)}: the history {since}")
    return at


def _known(store: Store) -> str:
    names = [safe(row["name"]) for row in store.rows("select name from scopes order by name limit 11")]
    more = " …" if len(names) > _NAMED else ""
    return f"there are {', '.join(names[:_NAMED])}{more}" if names else "there is no scope yet"


_NAMED = 10


def require_scopes(store: Store, globs: Iterable[str]) -> None:
    """Raise an error unless each glob matches a scope, so that a typing error does not look like no news.

    Raises:
        QuestionError: a glob matches no scope.
    """
    glob = unmatched_glob(globs, scope_states(store))
    if glob is not None:
        raise QuestionError(f"no scope matches {safe(glob)}: {_known(store)}")


def require_gateway(store: Store, gateway: str) -> None:
    """Raise an error unless a gateway has scopes.

    Raises:
        QuestionError: no gateway has this name.
    """
    gateways = dict.fromkeys(name.partition("/")[0] for name in sorted(scope_states(store)))
    if gateway not in gateways:
        there = f"there are {', '.join(map(safe, gateways))}" if gateways else "there is no gateway yet"
        raise QuestionError(f"no gateway is named {safe(gateway)}: {there}")


def named(store: Store, model: str) -> list[str]:
    """Give the ids that are meant: this one if there is such a model, else those that match it as a glob."""
    known = [row["name"] for row in store.rows("select distinct name from models order by name")]
    if model in known:
        return [model]
    return [name for name in known if fnmatchcase(name, model)] if is_glob(model) else []


def unknown(store: Store, model: str) -> str:
    """Say that nobody was ever offered a model, and which ids are like it."""
    like = closest(store, model)
    perhaps = f": did you mean {' or '.join(map(safe, like))}?" if like else ""
    return f"no scope was ever offered {safe(model)}{perhaps}"
