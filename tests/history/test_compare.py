"""Two sides compared: what happened in between, or what one scope has and the other has not."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store.test_store_catalog import models
from support.event_model import ANCHOR, History, histories, record_history
from support.fakes import Script, body, moment, record_run, result_of, row, scope

from pipeline.core.facts import PER_1K, PER_1M, FactPaths, Prices
from pipeline.core.types import FieldChange, Gateway, Kind, Scope
from pipeline.gateways.dialects import Answer, Dialect
from pipeline.history.compare import Comparer, Contrast, Difference, Side, contrast
from pipeline.store import Store
from pipeline.store.catalog import NOW, Moment, known
from pipeline.sync.cache import RunCache
from pipeline.sync.run import decide_and_record

PLAIN = Dialect("plain")


def at(number: int, *scopes: str) -> Side:
    """Give the side of some scopes, or all, after a run."""
    return Side(f"#{number}", Moment(run=number), frozenset(scopes) or None)


def of(*scopes: str, moment: Moment = NOW) -> Side:
    """Give the side of some scopes."""
    return Side(" ".join(scopes), moment, frozenset(scopes))


def said(found: Contrast) -> list[tuple[str, str]]:
    """Give what differs in the one part that there is."""
    (part,) = found.parts
    return [(str(each.kind), each.model) for each in part.differences]


def forms(history: History, number: int) -> dict[str, dict[str, int]]:
    """Say what each scope was last offered after so many runs."""
    found: dict[str, dict[str, int]] = {}
    for run in history[:number]:
        found |= {name: {**ANCHOR, **offer} for name, offer in run.items() if offer is not None}
    return found


def should_differ(before: dict[str, int], after: dict[str, int]) -> tuple[Difference, ...]:
    """Say what differs between two offers."""
    found = []
    for model in sorted(before.keys() | after.keys()):
        was, now = before.get(model), after.get(model)
        if was is None:
            found.append(Difference(Kind.ADDED, model))
        elif now is None:
            found.append(Difference(Kind.REMOVED, model))
        elif was != now:
            fields = (FieldChange("form", str(was), str(now), "other"),)
            found.append(Difference(Kind.CHANGED, model, fields))
    return tuple(found)


@given(histories, st.integers(1, 9), st.integers(1, 9))
def test_two_moments_differ_in_what_their_offers_differ(history: History, first: int, second: int) -> None:
    """Forwards and backwards, scope by scope; scopes of one side alone are named, not compared."""
    first, second = min(first, len(history)), min(second, len(history))
    with Store.open(None) as store:
        record_history(store, history, confirm=2)
        found = contrast(store, at(first), at(second))
    before, after = forms(history, first), forms(history, second)
    assert {known.scope for known in found.came} == after.keys() - before.keys()
    assert {known.scope for known in found.went} == before.keys() - after.keys()
    told = {old.scope: part.differences for part in found.parts for old, new in part.pairs}
    assert told == {name: should_differ(before[name], after[name]) for name in before.keys() & after.keys()}
    assert found.differs == (before != after)


@given(histories)
def test_two_scopes_differ_in_what_they_are_offered(history: History) -> None:
    """By model id, whatever their histories; of two gateways only what both tell in one unit."""
    with Store.open(None) as store:
        record_history(store, history, confirm=2)
        now = forms(history, len(history))
        comparer = Comparer(store)
        for one, two in permutations(known(store), 2):
            expected = should_differ(now[one.scope], now[two.scope])
            if one.gateway != two.gateway:
                expected = tuple(each for each in expected if each.kind != Kind.CHANGED)
            assert comparer.between(one, two) == expected


def test_scopes_that_differ_alike_are_told_together(script: Script) -> None:
    """With what they have in common, and those that do not differ apart."""
    for name in ("acme/a", "acme/b", "acme/c"):
        script.offers(name, "lyra")
    script.run()
    script.adds("acme/a", "vega").adds("acme/b", "vega").run()
    found = contrast(script.store, at(1), at(2))
    assert [([new.scope for new in part.after], len(part.differences)) for part in found.parts] == [
        (["acme/a", "acme/b"], 1),
        (["acme/c"], 0),
    ]
    assert all(part.in_time for part in found.parts)


def test_one_scope_is_compared_with_each_of_many(script: Script) -> None:
    """And never with itself at the same moment."""
    script.offers("acme/a", "lyra").offers("acme/b", "lyra", "vega").offers("acme/c", "lyra", "vega").run()
    every = of("acme/a", "acme/b", "acme/c")
    found = contrast(script.store, of("acme/a"), every)
    assert said(found) == [("added", "vega")]
    assert [new.scope for new in found.parts[0].after] == ["acme/b", "acme/c"]
    assert said(contrast(script.store, every, of("acme/a"))) == [("removed", "vega")]


def test_sides_of_several_scopes_each_are_refused(script: Script) -> None:
    """It is unclear which belongs to which."""
    script.offers("acme/a", "lyra").offers("acme/b", "lyra").offers("acme/c", "lyra").run()
    with pytest.raises(LookupError, match="name one scope on one side"):
        contrast(script.store, of("acme/a", "acme/b"), of("acme/b", "acme/c"))


def test_a_moment_alone_is_that_of_the_scopes_of_the_other_side(script: Script) -> None:
    """So that one scope can be compared with itself in few words."""
    script.offers("acme/a", "lyra").offers("acme/b", "lyra").run()
    script.adds("acme/a", "vega").adds("acme/b", "pyxis").run()
    assert said(contrast(script.store, of("acme/a", moment=Moment(run=1)), at(2))) == [("added", "vega")]
    assert said(contrast(script.store, at(2), of("acme/b", moment=Moment(run=1)))) == [("removed", "pyxis")]


def test_a_scope_that_was_not_known_then_is_an_error(script: Script) -> None:
    """It says when the scope first answered, or that it never has."""
    script.fails("acme/b").offers("acme/a", "lyra").run()
    script.fails("acme/c").offers("acme/b", "lyra").run()
    with pytest.raises(LookupError, match=r"acme/b then: its first answer was at 2026-09-20 07:00"):
        contrast(script.store, of("acme/b", moment=Moment(at=moment(1))), at(2))
    with pytest.raises(LookupError, match="acme/c has never answered"):
        contrast(script.store, of("acme/c"), of("acme/a"))


def test_a_retired_scope_is_told_as_gone_and_can_be_named(script: Script) -> None:
    """Its models were not removed; what it was last offered can be compared."""
    script.offers("acme/old", "lyra").offers("acme/prod", "lyra", "vega").run()
    with script.store.transaction():
        times = {"started_at": moment(2), "finished_at": moment(2)}
        scopes = [script.scopes["acme/prod"]]
        decide_and_record(
            {"acme/prod": script.result("acme/prod")},
            scopes,
            RunCache(script.store),
            **times,
            all_scopes=True,
        )
    found = contrast(script.store, at(1), Side("now"))
    assert ([each.scope for each in found.went], found.came, said(found)) == (["acme/old"], (), [])
    assert found.differs
    assert said(contrast(script.store, of("acme/old"), of("acme/prod"))) == [("added", "vega")]


def says(store: Store, rules: Dialect, *rows: dict[str, Any], name: str = "acme/prod") -> None:
    """Record an answer as a dialect reads it."""
    record_run(store, [scope(name)], {name: result_of(rules.read(Answer((body(*rows),), 0)), rules)})


QUIETER = Dialect("plain", noise=("load",))


def test_a_change_of_reading_is_no_difference(store: Store) -> None:
    """What is noise now is none then, and what happened before and after it is told in one."""
    says(store, PLAIN, row("lyra", load=1, form=1), row("vega"))
    says(store, PLAIN, row("lyra", load=2, form=2), row("vega"))
    says(store, QUIETER, row("lyra", form=2), row("vega"))
    says(store, QUIETER, row("lyra", form=3), row("pyxis"))
    whole = contrast(store, at(1), at(4)).parts[0].differences
    assert [(each.kind, each.model) for each in whole] == [
        ("changed", "lyra"),
        ("added", "pyxis"),
        ("removed", "vega"),
    ]
    assert {(f.field, f.before, f.after) for f in whole[0].fields} == {("form", "1", "3"), ("load", "1", "2")}
    assert said(contrast(store, at(2), at(3))) == []
    back = contrast(store, at(4), at(2)).parts[0].differences
    assert [(f.field, f.before, f.after) for f in back[0].fields] == [("form", "3", "2")]


def test_a_model_that_a_new_reading_leaves_out_is_no_difference(store: Store) -> None:
    """Nor is one that went and came back around it."""
    strict = Dialect("plain", no_models=("vega",))
    says(store, PLAIN, row("lyra"), row("vega"), row("pyxis"))
    says(store, PLAIN, row("lyra"), row("vega"))
    says(store, strict, row("lyra"), row("vega"))
    says(store, strict, row("lyra"), row("vega"), row("pyxis"))
    assert models(store)["acme/prod"] == {"lyra", "pyxis"}
    assert said(contrast(store, at(1), at(4))) == []


def test_a_model_that_is_back_under_another_reading(store: Store) -> None:
    """It is compared with what it was, by the rules of both."""
    says(store, PLAIN, row("lyra"), row("vega", load=1, form=1))
    says(store, PLAIN, row("lyra"))
    says(store, QUIETER, row("lyra"))
    says(store, QUIETER, row("lyra"), row("vega", form=2))
    (back,) = contrast(store, at(1), at(4)).parts[0].differences
    assert [(f.field, f.before, f.after) for f in back.fields] == [("form", "1", "2")]


def test_scopes_that_were_read_under_other_rules(store: Store) -> None:
    """They are compared under the rules of both."""
    says(store, PLAIN, row("lyra", load=1, form=1), name="acme/a")
    says(store, QUIETER, row("lyra", form=1), name="acme/b")
    says(store, QUIETER, row("lyra", form=2), name="acme/c")
    assert said(contrast(store, of("acme/a"), of("acme/b"))) == []
    ((difference,),) = (part.differences for part in contrast(store, of("acme/a"), of("acme/c")).parts)
    assert [(f.field, f.before, f.after) for f in difference.fields] == [("form", "1", "2")]


def test_gateways_are_compared_by_what_both_tell(store: Store) -> None:
    """Prices in one unit, lengths in tokens; other words for the same are no difference."""
    per_1m = Dialect("one", facts=FactPaths(prices=Prices(unit=PER_1M, input=("in",))))
    per_1k = Dialect("two", facts=FactPaths(prices=Prices(unit=PER_1K, input=("usd",))))
    answers = {
        "one/a": (per_1m, (row("lyra", **{"in": 2}), row("vega", **{"in": 3}), row("draco"))),
        "two/a": (per_1k, (row("lyra", usd=0.002), row("vega", usd=0.004, max_output=8), row("pyxis"))),
    }
    for name, (rules, rows) in answers.items():
        where = Scope(name, Gateway(name[:3], f"https://{name[:3]}.example"))
        record_run(store, [where], {name: result_of(rules.read(Answer((body(*rows),), 0)), rules)})
    (part,) = contrast(store, of("one/a"), of("two/a")).parts
    assert part.differences == (
        Difference(Kind.REMOVED, "draco"),
        Difference(Kind.ADDED, "pyxis"),
        Difference(Kind.CHANGED, "vega", (FieldChange("input_usd_per_1m", "3", "4", "price"),)),
    )


def test_what_is_quiet_in_changes_is_quiet_here(store: Store) -> None:
    """Also what a dialect says is, and a field that all records gained."""
    rules = Dialect("plain", quiet=("rank",))
    for number in (1, 2, 3):
        says(store, rules, row("lyra", rank=number), row("vega", rank=number))
    says(store, rules, row("lyra", rank=3, new=1), row("vega", rank=3, new=1))
    (part,) = contrast(store, at(1), at(4)).parts
    assert [each.quiet for each in part.differences] == [True, True]
    assert {f.field: f.category for f in part.differences[0].fields} == {"new": "shape", "rank": "text"}
