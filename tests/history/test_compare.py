"""Comparisons of two moments, and of two scopes."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.event_model import ANCHOR, History, histories, record_history
from support.fakes import Script, body, moment, record_run, result_of, row, scope

from pipeline.core.facts import PER_1K, PER_1M, FactPaths, Prices
from pipeline.core.prices import PriceChange
from pipeline.core.types import FieldChange, Gateway, Kind, Scope
from pipeline.errors import QuestionError
from pipeline.gateways.dialects import Answer, Dialect
from pipeline.history.compare import ComparedSide, Comparer, Comparison, Difference, compare
from pipeline.store import Store, read_listing
from pipeline.store.catalog import NOW, Moment, scope_listings

PLAIN = Dialect("plain")


def at(number: int, *scopes: str) -> ComparedSide:
    """Return the side of some scopes, or all, after a run."""
    return ComparedSide(f"#{number}", Moment(run=number), frozenset(scopes) or None)


def of(*scopes: str, moment: Moment = NOW) -> ComparedSide:
    """Return the side of some scopes."""
    return ComparedSide(" ".join(scopes), moment, frozenset(scopes))


def differences(found: Comparison) -> list[tuple[str, str]]:
    """Return the differences of the only part."""
    (part,) = found.parts
    return [(str(each.kind), each.model) for each in part.differences]


def forms(history: History, number: int) -> dict[str, dict[str, int]]:
    """Return the last offer to each scope after some runs: the form of each model."""
    found: dict[str, dict[str, int]] = {}
    for run in history[:number]:
        found |= {name: {**ANCHOR, **offer} for name, offer in run.items() if offer is not None}
    return found


def expected_differences(before: dict[str, int], after: dict[str, int]) -> tuple[Difference, ...]:
    """Return the differences between two offers."""
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
def test_two_moments_differ_as_their_last_offers_do(history: History, first: int, second: int) -> None:
    """In either order; scopes of one side only are not compared."""
    first, second = min(first, len(history)), min(second, len(history))
    with Store.open(None) as store:
        record_history(store, history, confirm=2)
        found = compare(store, at(first), at(second))
    before, after = forms(history, first), forms(history, second)
    assert {scope.scope for scope in found.only_after} == after.keys() - before.keys()
    assert {scope.scope for scope in found.only_before} == before.keys() - after.keys()
    by_scope = {old.scope: part.differences for part in found.parts for old, new in part.pairs}
    assert by_scope == {
        name: expected_differences(before[name], after[name]) for name in before.keys() & after.keys()
    }
    assert found.differs == (before != after)


@given(histories)
def test_two_scopes_differ_as_their_current_offers_do(history: History) -> None:
    """Fields of two gateways are not compared."""
    with Store.open(None) as store:
        record_history(store, history, confirm=2)
        now = forms(history, len(history))
        comparer = Comparer(store)
        for one, two in permutations(scope_listings(store), 2):
            expected = expected_differences(now[one.scope], now[two.scope])
            if one.gateway != two.gateway:
                expected = tuple(each for each in expected if each.kind != Kind.CHANGED)
            assert comparer.differences(one, two) == expected


def test_scopes_with_equal_differences_share_a_part(script: Script) -> None:
    for name in ("acme/a", "acme/b", "acme/c"):
        script.offers(name, "lyra")
    script.run()
    script.adds("acme/a", "vega").adds("acme/b", "vega").run()
    found = compare(script.store, at(1), at(2))
    assert [([new.scope for new in part.after], len(part.differences)) for part in found.parts] == [
        (["acme/a", "acme/b"], 1),
        (["acme/c"], 0),
    ]
    assert all(part.in_time for part in found.parts)


def test_one_scope_is_compared_with_each_of_many_but_itself(script: Script) -> None:
    script.offers("acme/a", "lyra").offers("acme/b", "lyra", "vega").offers("acme/c", "lyra", "vega").run()
    every = of("acme/a", "acme/b", "acme/c")
    found = compare(script.store, of("acme/a"), every)
    assert differences(found) == [("added", "vega")]
    assert [new.scope for new in found.parts[0].after] == ["acme/b", "acme/c"]
    assert differences(compare(script.store, every, of("acme/a"))) == [("removed", "vega")]


def test_two_sides_of_several_different_scopes_are_refused(script: Script) -> None:
    script.offers("acme/a", "lyra").offers("acme/b", "lyra").offers("acme/c", "lyra").run()
    with pytest.raises(QuestionError, match="name one scope on one side"):
        compare(script.store, of("acme/a", "acme/b"), of("acme/b", "acme/c"))


def test_a_side_without_scopes_has_those_of_the_other(script: Script) -> None:
    script.offers("acme/a", "lyra").offers("acme/b", "lyra").run()
    script.adds("acme/a", "vega").adds("acme/b", "pyxis").run()
    assert differences(compare(script.store, of("acme/a", moment=Moment(run=1)), at(2))) == [
        ("added", "vega")
    ]
    assert differences(compare(script.store, at(2), of("acme/b", moment=Moment(run=1)))) == [
        ("removed", "pyxis")
    ]


def test_a_side_without_an_answer_is_an_error_with_the_time_of_the_first_answer(script: Script) -> None:
    script.fails("acme/b").offers("acme/a", "lyra").run()
    script.fails("acme/c").offers("acme/b", "lyra").run()
    with pytest.raises(
        QuestionError, match=r"acme/b had no answer by then: its first answer was at 2026-09-20 07:00"
    ):
        compare(script.store, of("acme/b", moment=Moment(at=moment(1))), at(2))
    with pytest.raises(QuestionError, match="acme/c has never answered"):
        compare(script.store, of("acme/c"), of("acme/a"))


def test_a_retired_scope_has_no_differences_unless_it_is_named(script: Script) -> None:
    script.offers("acme/old", "lyra").offers("acme/prod", "lyra", "vega").run()
    results = {"acme/prod": script.result("acme/prod")}
    record_run(script.store, [script.scopes["acme/prod"]], results, all_scopes=True)
    found = compare(script.store, at(1), ComparedSide("now"))
    assert [scope.scope for scope in found.only_before] == ["acme/old"]
    assert (found.only_after, differences(found)) == ((), [])
    assert found.differs
    assert differences(compare(script.store, of("acme/old"), of("acme/prod"))) == [("added", "vega")]


def record_answer(store: Store, rules: Dialect, *rows: dict[str, Any], name: str = "acme/prod") -> None:
    """Record an answer that a dialect parsed."""
    record_run(store, [scope(name)], {name: result_of(rules.read(Answer((body(*rows),), 0)), rules)})


QUIETER = Dialect("plain", noise=("load",))


def test_new_parsing_rules_are_no_difference(store: Store) -> None:
    """Differences before and after them are joined."""
    record_answer(store, PLAIN, row("lyra", load=1, form=1), row("vega"))
    record_answer(store, PLAIN, row("lyra", load=2, form=2), row("vega"))
    record_answer(store, QUIETER, row("lyra", form=2), row("vega"))
    record_answer(store, QUIETER, row("lyra", form=3), row("pyxis"))
    whole = compare(store, at(1), at(4)).parts[0].differences
    assert [(each.kind, each.model) for each in whole] == [
        ("changed", "lyra"),
        ("added", "pyxis"),
        ("removed", "vega"),
    ]
    assert {(f.field, f.before, f.after) for f in whole[0].fields} == {("form", "1", "3"), ("load", "1", "2")}
    assert differences(compare(store, at(2), at(3))) == []
    back = compare(store, at(4), at(2)).parts[0].differences
    assert [(f.field, f.before, f.after) for f in back[0].fields] == [("form", "3", "2")]


def test_a_model_that_new_parsing_rules_exclude_is_no_difference(store: Store) -> None:
    """Nor is one that left before them and came back after."""
    strict = Dialect("plain", no_models=("vega",))
    record_answer(store, PLAIN, row("lyra"), row("vega"), row("pyxis"))
    record_answer(store, PLAIN, row("lyra"), row("vega"))
    record_answer(store, strict, row("lyra"), row("vega"))
    record_answer(store, strict, row("lyra"), row("vega"), row("pyxis"))
    (current,) = scope_listings(store)
    assert read_listing(store, current.listing).records.keys() == {"lyra", "pyxis"}
    assert differences(compare(store, at(1), at(4))) == []


def test_a_model_that_is_back_under_other_parsing_rules_is_compared_under_both(store: Store) -> None:
    record_answer(store, PLAIN, row("lyra"), row("vega", load=1, form=1))
    record_answer(store, PLAIN, row("lyra"))
    record_answer(store, QUIETER, row("lyra"))
    record_answer(store, QUIETER, row("lyra"), row("vega", form=2))
    (back,) = compare(store, at(1), at(4)).parts[0].differences
    assert [(f.field, f.before, f.after) for f in back.fields] == [("form", "1", "2")]


def test_lists_of_different_parsing_rules_are_compared_under_both(store: Store) -> None:
    record_answer(store, PLAIN, row("lyra", load=1, form=1), name="acme/a")
    record_answer(store, QUIETER, row("lyra", form=1), name="acme/b")
    record_answer(store, QUIETER, row("lyra", form=2), name="acme/c")
    assert differences(compare(store, of("acme/a"), of("acme/b"))) == []
    ((difference,),) = (part.differences for part in compare(store, of("acme/a"), of("acme/c")).parts)
    assert [(f.field, f.before, f.after) for f in difference.fields] == [("form", "1", "2")]


def test_gateways_are_compared_by_the_facts_that_both_records_have(store: Store) -> None:
    per_1m = Dialect("one", facts=FactPaths(prices=Prices(unit=PER_1M, input=("in",))))
    per_1k = Dialect("two", facts=FactPaths(prices=Prices(unit=PER_1K, input=("usd",))))
    answers = {
        "one/a": (per_1m, (row("lyra", **{"in": 2}), row("vega", **{"in": 3}), row("draco"))),
        "two/a": (per_1k, (row("lyra", usd=0.002), row("vega", usd=0.004, max_output=8), row("pyxis"))),
    }
    for name, (rules, rows) in answers.items():
        where = Scope(name, Gateway(name[:3], f"https://{name[:3]}.example"))
        record_run(store, [where], {name: result_of(rules.read(Answer((body(*rows),), 0)), rules)})
    (part,) = compare(store, of("one/a"), of("two/a")).parts
    assert part.differences == (
        Difference(Kind.REMOVED, "draco"),
        Difference(Kind.ADDED, "pyxis"),
        Difference(
            Kind.CHANGED,
            "vega",
            (FieldChange("input_usd_per_1m", "3", "4", "price"),),
            (PriceChange("input", Decimal(3), Decimal(4), "1M tokens", "exact"),),
        ),
    )
    (swapped,) = compare(store, of("two/a"), of("one/a")).parts
    (changed,) = (each for each in swapped.differences if each.fields)
    assert [(price.before, price.after) for price in changed.prices] == [(Decimal(4), Decimal(3))]


def test_fields_are_quiet_that_are_quiet_in_the_recorded_changes(store: Store) -> None:
    rules = Dialect("plain", quiet=("form",))
    for number in (1, 2, 3):
        record_answer(store, rules, row("lyra", form=number), row("vega", form=number))
    (part,) = compare(store, at(1), at(3)).parts
    assert [each.quiet for each in part.differences] == [True, True]
    assert [(f.field, f.category) for f in part.differences[0].fields] == [("form", "text")]


def test_fields_that_nearly_all_records_gained_or_lost_are_one_difference(store: Store) -> None:
    rules = Dialect("plain")
    models = ("altair", "deneb", "lyra", "rigel", "vega")
    record_answer(store, rules, *(row(model, context_length=8, old=model) for model in models))
    rows = [row(model, new=1) for model in models[:-1]]
    record_answer(store, rules, *rows, row("vega", context_length=16, old="vega", new=1))
    (part,) = compare(store, at(1), at(2)).parts
    assert part.differences == (
        Difference(Kind.CHANGED, "vega", (FieldChange("context_length", "8", "16", "limits"),)),
        Difference(Kind.SHAPE, "", (FieldChange("new", None, "1", "shape", "other"),), models=models),
        Difference(
            Kind.SHAPE,
            "",
            (
                FieldChange("context_length", "8", None, "shape", "limits"),
                FieldChange("old", "altair", None, "shape", "other"),
            ),
            models=models[:-1],
        ),
    )
    assert [each.quiet for each in part.differences] == [False, True, False]
