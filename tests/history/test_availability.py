"""Who is offered what, and which scopes are offered the same."""

from __future__ import annotations

from support.fakes import Script, body, moment, record_run, result_of, row, scope

from pipeline.gateways.dialects import Answer, Dialect
from pipeline.history.availability import Nearest, alike, matrices
from pipeline.store import Store
from pipeline.sync.cache import RunCache
from pipeline.sync.run import decide_and_record


def test_a_matrix_says_who_is_offered_each_model(script: Script) -> None:
    """By gateway; what is offered to all is told from what is not."""
    script.offers("acme/a", "lyra", "vega").offers("acme/b", "lyra").offers("zeta/a", "lyra").run()
    one, two = matrices(script.store)
    assert (one.gateway, [known.scope for known in one.scopes]) == ("acme", ["acme/a", "acme/b"])
    assert one.offered == {"lyra": {"acme/a", "acme/b"}, "vega": {"acme/a"}}
    assert one.differing() == {"vega": {"acme/a"}}
    assert (two.gateway, two.differing()) == ("zeta", {})


def test_what_is_not_known_or_not_asked_is_in_no_matrix(script: Script) -> None:
    """A scope that never answered says nothing of any model; one that fails now says what it said."""
    script.fails("acme/new").offers("acme/old", "draco").offers("acme/prod", "lyra").run()
    script.fails("acme/prod")
    with script.store.transaction():
        names = ("acme/new", "acme/prod")
        heard = {name: script.result(name) for name in names}
        times = {"started_at": moment(2), "finished_at": moment(2)}
        decide_and_record(
            heard, [script.scopes[name] for name in names], RunCache(script.store), **times, all_scopes=True
        )
    (matrix,) = matrices(script.store)
    assert matrix.offered == {"lyra": {"acme/prod"}}


def test_scopes_with_the_same_list_are_one_set(script: Script) -> None:
    """The set of most scopes comes first; the others are told beside the list most like theirs."""
    script.has(scope("acme/a", group="vip"))
    script.offers("acme/a", *"lmno").offers("acme/b", *"lmno").offers("acme/c", *"lmnop")
    script.offers("acme/d", "l", "p", n=2).run()
    one, two, three = alike(script.store)
    assert (one.scopes, one.groups, one.models, one.nearest) == (("acme/a", "acme/b"), ("vip",), 4, None)
    assert (two.scopes, two.nearest) == (("acme/c",), Nearest("acme/a", ("p",), (), ()))
    assert (three.scopes, three.nearest) == (("acme/d",), Nearest("acme/c", (), ("m", "o"), ("n",)))


def test_only_what_is_asked_for_is_compared(script: Script) -> None:
    """Each gateway has sets of its own."""
    script.offers("acme/a", "lyra").offers("acme/b", "vega").offers("zeta/a", "lyra").run()
    found = alike(script.store, lambda known: known.scope != "acme/b")
    assert [(each.gateway, each.scopes, each.nearest) for each in found] == [
        ("acme", ("acme/a",), None),
        ("zeta", ("zeta/a",), None),
    ]


def test_lists_that_differ_in_their_reading_only_are_the_same(store: Store) -> None:
    """A scope that has not answered since a rule was added is not another for it."""
    for name, rules in (("acme/a", Dialect("plain")), ("acme/b", Dialect("plain", noise=("load",)))):
        answer = rules.read(Answer((body(row("lyra", load=1)),), 0))
        record_run(store, [scope(name)], {name: result_of(answer, rules)})
    (found,) = alike(store)
    assert found.scopes == ("acme/a", "acme/b")
