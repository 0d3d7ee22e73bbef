"""Random histories of three scopes, and a short model that computes the expected events."""

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
"""A model that is always offered: an empty list would be held."""

Offer = Mapping[str, int]
"""The value of the field `form` of each model, by its id."""

History = Sequence[Mapping[str, Offer | None]]
"""The offer to each scope in each run, by its name: None if it failed, no entry if it was not asked."""


class ScopeEvent(NamedTuple):
    """An event of one model in one scope; `forms` are the values of its field before and after a change."""

    run: int
    scope: str
    kind: Kind
    model: str
    since: int | None = None
    forms: tuple[int, int] | None = None


def expected_events(history: History, confirm: int) -> Iterator[ScopeEvent]:
    """Yield the events of each scope by the rules of removals and returns."""
    for name in NAMES:
        forms: dict[str, int] = {}
        missed: dict[str, list[int]] = {}
        removals: Counter[str] = Counter()
        for number, run in enumerate(history, 1):
            offer = run.get(name)
            if offer is None:
                continue
            for model in sorted(forms.keys() | offer.keys()) if forms else ():
                before, after, misses = forms.get(model), offer.get(model), missed.get(model, [])
                sides = None if before is None or after is None or before == after else (before, after)
                if after is None and model not in ANCHOR:
                    removals[model] += not misses
                    missed[model] = [*misses, number]
                    if len(missed[model]) == misses_needed(confirm, removals[model]):
                        yield ScopeEvent(number, name, Kind.REMOVED, model, missed[model][0])
                elif before is None:
                    yield ScopeEvent(number, name, Kind.ADDED, model)
                elif misses and len(misses) >= misses_needed(confirm, removals[model]):
                    yield ScopeEvent(number, name, Kind.RETURNED, model, misses[0], sides)
                elif sides:
                    yield ScopeEvent(number, name, Kind.CHANGED, model, forms=sides)
            forms |= {**ANCHOR, **offer}
            missed = {model: runs for model, runs in missed.items() if model not in offer}


def misses_needed(confirm: int, times: int) -> int:
    """Return how many misses confirm a removal: doubled for each removal of the model after the second."""
    return confirm << min(max(times - 2, 0), 3)


def record_history(store: Store, history: History, confirm: int) -> None:
    """Record a history in which no answer is ever held."""
    thresholds = Thresholds(max_loss=1.0, floor=100, confirm=confirm, confirm_after=0.0)
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
