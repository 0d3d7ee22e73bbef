"""Matrices of models and scopes, and sets of scopes with equal lists."""

from __future__ import annotations

from support.fakes import Script, body, record_run, result_of, row, scope

from pipeline.gateways.dialects import Answer, Dialect
from pipeline.history.availability import NearestList, equal_scopes, matrices
from pipeline.store import Store


def test_a_matrix_has_the_scopes_that_are_offered_each_model_of_a_gateway(script: Script) -> None:
    script.offers("acme/a", "lyra", "vega").offers("acme/b", "lyra").offers("zeta/a", "lyra").run()
    one, two = matrices(script.store)
    assert (one.gateway, [scope.scope for scope in one.scopes]) == ("acme", ["acme/a", "acme/b"])
    assert one.offered == {"lyra": {"acme/a", "acme/b"}, "vega": {"acme/a"}}
    assert one.differing() == {"vega": {"acme/a"}}
    assert (two.gateway, two.differing()) == ("zeta", {})


def test_a_matrix_has_failing_scopes_but_no_retired_ones_or_ones_without_an_answer(script: Script) -> None:
    script.fails("acme/new").offers("acme/old", "draco").offers("acme/prod", "lyra").run()
    script.fails("acme/prod")
    results = {name: script.result(name) for name in ("acme/new", "acme/prod")}
    record_run(script.store, [script.scopes[name] for name in results], results, all_scopes=True)
    (matrix,) = matrices(script.store)
    assert matrix.offered == {"lyra": {"acme/prod"}}


def test_the_largest_set_comes_first_and_others_are_compared_with_the_most_similar(script: Script) -> None:
    script.has(scope("acme/a", group="vip"))
    script.offers("acme/a", *"lmno").offers("acme/b", *"lmno").offers("acme/c", *"lmnop")
    script.offers("acme/d", "l", "p", n=2).run()
    one, two, three = equal_scopes(script.store)
    assert (one.scopes, one.groups, one.models, one.nearest) == (("acme/a", "acme/b"), ("vip",), 4, None)
    assert (two.scopes, two.nearest) == (("acme/c",), NearestList("acme/a", ("p",), (), ()))
    assert (three.scopes, three.nearest) == (("acme/d",), NearestList("acme/c", (), ("m", "o"), ("n",)))


def test_each_gateway_has_sets_of_its_own_from_the_selected_scopes(script: Script) -> None:
    script.offers("acme/a", "lyra").offers("acme/b", "vega").offers("zeta/a", "lyra").run()
    found = equal_scopes(script.store, lambda scope: scope.scope != "acme/b")
    assert [(each.gateway, each.scopes, each.nearest) for each in found] == [
        ("acme", ("acme/a",), None),
        ("zeta", ("zeta/a",), None),
    ]


def test_lists_that_differ_only_in_their_parsing_rules_are_equal(store: Store) -> None:
    """A scope that has not answered since a rule was added is in the same set."""
    for name, rules in (("acme/a", Dialect("plain")), ("acme/b", Dialect("plain", noise=("load",)))):
        answer = rules.read(Answer((body(row("lyra", load=1)),), 0))
        record_run(store, [scope(name)], {name: result_of(answer, rules)})
    (found,) = equal_scopes(store)
    assert found.scopes == ("acme/a", "acme/b")
