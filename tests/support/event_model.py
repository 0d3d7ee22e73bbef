"""Random histories of three scopes, and a short model of the events that they should give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from pipeline.core.types import Kind, Thresholds
from pipeline.store import Store
from support.fakes import Script, scope

NAMES = ("acme/one", "acme/two", "zeta/one")
ANCHOR = {"anchor": 0}
"""A model that is always there: an empty list would be held."""

Offer = Mapping[str, int]
"""The form of each model, by its id."""

History = Sequence[Mapping[str, Offer | None]]
"""What each scope was offered in each run, by name; None where it failed, absent where not asked."""


class ScopeEvent(NamedTuple):
    """What one scope hears of one model in one run; forms are those before and after, where they differ."""

    run: int
    scope: str
    kind: Kind
    model: str
    since: int | None = None
    forms: tuple[int, int] | None = None


def expected_events(history: History, confirm: int) -> Iterator[ScopeEvent]:
    """Say what should be told: this is the rule of removals and returns, scope by scope."""
    for name in NAMES:
        forms: dict[str, int] = {}
        missed: dict[str, list[int]] = {}
        left: Counter[str] = Counter()
        for number, run in enumerate(history, 1):
            offer = run.get(name)
            if offer is None:
                continue
            for model in sorted(forms.keys() | offer.keys()) if forms else ():
                was, now, away = forms.get(model), offer.get(model), missed.get(model, [])
                sides = None if was is None or now is None or was == now else (was, now)
                if now is None and model not in ANCHOR:
                    left[model] += not away
                    missed[model] = [*away, number]
                    if len(missed[model]) == misses_needed(confirm, left[model]):
                        yield ScopeEvent(number, name, Kind.REMOVED, model, missed[model][0])
                elif was is None:
                    yield ScopeEvent(number, name, Kind.ADDED, model)
                elif away and len(away) >= misses_needed(confirm, left[model]):
                    yield ScopeEvent(number, name, Kind.RETURNED, model, away[0], sides)
                elif sides:
                    yield ScopeEvent(number, name, Kind.CHANGED, model, forms=sides)
            forms |= {**ANCHOR, **offer}
            missed = {model: runs for model, runs in missed.items() if model not in offer}


def misses_needed(confirm: int, times: int) -> int:
    """Say how many misses it takes: twice as many for each time that a model left after the second."""
    return confirm << min(max(times - 2, 0), 3)


def record_history(store: Store, history: History, confirm: int) -> None:
    """Record a history in which no answer is ever held."""
    thresholds = Thresholds(max_loss=1.0, floor=100, confirm=confirm)
    script = Script(store).has(*(scope(name, thresholds=thresholds) for name in NAMES))
    for run in history:
        for name, offer in run.items():
            if offer is None:
                script.fails(name)
            else:
                script.offers(name, **ANCHOR, **offer)
        script.run(*run)


presences = st.fixed_dictionaries({}, optional={"lyra": st.integers(0, 1), "vega": st.just(0)})
answers = st.one_of(presences, presences, presences, st.none())
histories_of_one_scope = st.lists(st.fixed_dictionaries({"acme/one": answers}), min_size=1, max_size=10)
histories = st.lists(
    st.fixed_dictionaries({"acme/one": answers}, optional={"acme/two": answers, "zeta/one": answers}),
    min_size=1,
    max_size=9,
)
