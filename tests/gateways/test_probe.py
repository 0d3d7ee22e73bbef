"""Probe: what differs between answers that should be one, and what to write into the config about it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core import canonical
from pipeline.gateways.dialects import Answer, all_dialects
from pipeline.gateways.probe import probe
from pipeline.gateways.variation import format_path, generalise, variations

ASKED_AT = 1_790_000_000

DIALECT = all_dialects()["openai"]


def answered(*rows, **envelope):
    """One answer with these rows."""
    return Answer((json.dumps({"object": "list", "data": rows, **envelope}).encode(),), ASKED_AT)


def probed(*fields, dialect=DIALECT):
    """A probe of one model, with these fields in one answer after the other."""
    return probe(dialect, [answered({"id": "alpha"} | each) for each in fields])


def found(result):
    """The differences in short: where, and what deals with them already."""
    return {each.path: each.settled_by for each in result.differences}


def test_equal_answers_differ_in_nothing():
    """The same twice gives an empty probe."""
    result = probed({"context_length": 8}, {"context_length": 8.0})
    assert (result.differences, result.noise, result.sets, result.left) == ((), (), (), ())
    assert (result.sizes, result.order_differs, result.flapping) == ((1, 1), False, ())


def test_a_field_that_differs_is_told_with_counts_and_examples():
    """In how many models it differs, how many values one of them had, and two of these."""
    rows = [[{"id": model, "load": load} for model in ("alpha", "beta")] for load in (1, 2, 2, 3)]
    (each,) = probe(DIALECT, [answered(*models) for models in rows]).differences
    assert (each.path, each.models, each.values, each.examples) == ("load", 2, 3, ("1", "2"))


def test_a_field_that_comes_and_goes_differs():
    """Absent is a value of its own, and is not null."""
    (each,) = probed({"load": None}, {}).differences
    assert each.examples == ("null", None)


def test_paths_are_written_for_all_elements_of_an_array():
    """What differs in any element differs at one path."""
    result = probed(*({"checks": [{"at": n}, {"at": n + 5, "good": True}]} for n in range(3)))
    assert result.noise == ("checks[].at",)
    assert result.differences[0].values == 3


def test_paths_are_written_for_all_keys_where_several_differ_in_the_same_field():
    """Providers come and go; what differs in two of them will differ in the third."""
    result = probed(*({"providers": {"x": {"lag": n}, "y": {"lag": -n}, "z": {"lag": 0}}} for n in (1, 2)))
    assert result.noise == ("providers.*.lag",)


def test_neighbouring_fields_are_not_made_one():
    """Two fields of one object that differ say nothing of the third."""
    result = probed(*({"load": {"now": n, "peak": -n, "most": 9}} for n in (1, 2)))
    assert result.noise == ("load.now", "load.peak")


def test_a_key_that_no_path_can_name_is_written_as_any_key():
    """A dot in a key would read as two steps."""
    result = probed(*({"load": {"eu.west": n, "fixed": 1}} for n in (1, 2)))
    assert (result.noise, result.left) == (("load.*",), ())


def test_a_field_that_no_path_can_name_is_never_advised():
    """`*` alone would leave out everything."""
    result = probed({"a.b": 1}, {"a.b": 2})
    assert [each.path for each in result.differences] == ["*"]
    assert (result.noise, result.left) == ((), ("*",))


@pytest.mark.parametrize(
    ("one", "other"),
    [(["a", "b"], ["b", "a"]), ("a,b", "b, a"), ([{"n": 1}, {"n": 2}], [{"n": 2}, {"n": 1}])],
    ids=["array", "text", "objects"],
)
def test_another_order_is_a_line_for_the_sets(one, other):
    """The same elements in another order are a set."""
    result = probed({"regions": one}, {"regions": other})
    assert (result.noise, result.sets, result.left) == ((), ("regions",), ())


def test_elements_that_have_names_are_compared_by_name():
    """Another order, and a value that differs inside, are two things."""
    first = [{"name": "x", "lag": 1}, {"name": "y", "lag": 2}]
    result = probed({"providers": first}, {"providers": [{"name": "y", "lag": 3}, {"name": "x", "lag": 1}]})
    assert (result.noise, result.sets, result.left) == (("providers[].lag",), ("providers",), ())


def test_what_is_sometimes_another_order_and_sometimes_another_value_is_noise():
    """A set that loses an element is no matter of order."""
    result = probed({"regions": ["a", "b"]}, {"regions": ["b", "a"]}, {"regions": ["a"]})
    assert (result.noise, result.sets) == (("regions",), ())


def test_what_the_dialect_deals_with_is_marked():
    """Its noise, its sets, and a `created` that is the moment of asking need no line."""
    rows = [
        {"permission": [{"id": str(n)}], "tags": ["a", "b"][:: 1 - 2 * n], "created": ASKED_AT + n}
        for n in (0, 1)
    ]
    result = probed(*rows)
    assert found(result) == {"created": "time", "permission[].id": "noise", "tags": "sets"}
    assert (result.noise, result.sets, result.left) == ((), (), ())


def test_a_created_that_is_no_moment_of_asking_needs_a_line():
    """A server's start, told by several servers, is noise like any other."""
    assert probed({"created": 1_700_000_000}, {"created": 1_700_000_900}).noise == ("created",)


def test_rows_of_one_id_are_settled_where_the_same_one_is_kept():
    """Which of them is kept may hang on noise; once that is left out, it does not."""
    noisy = replace(DIALECT, noise=("load",))
    rows = [
        [{"id": "alpha", "load": load, "owner": n} for n, load in enumerate(loads)]
        for loads in ((1, 2), (2, 1))
    ]
    result = probe(noisy, [answered(*each) for each in rows])
    assert found(result) == {"owner": "copy"}
    assert (result.noise, result.left) == ((), ())


def test_another_order_of_the_models_is_seen_apart():
    """The order of a list means nothing."""
    rows = ({"id": "alpha"}, {"id": "beta"})
    result = probe(DIALECT, [answered(*rows), answered(*reversed(rows))])
    assert (result.order_differs, result.differences, result.flapping) == (True, (), ())


def test_a_model_that_is_not_in_every_answer_flaps():
    """It is named, and is no other order."""
    result = probe(DIALECT, [answered({"id": "alpha"}, {"id": "beta"}), answered({"id": "alpha"})])
    assert (result.flapping, result.sizes, result.order_differs) == (("beta",), (2, 1), False)


leaf = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b", "a,b", "b,a"])
keys = st.sampled_from(["a", "b", "name", "x.y", "0", "", "[]"])
values = st.recursive(
    leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3)
)


@given(st.lists(values, min_size=2, max_size=3))
def test_values_vary_somewhere_just_when_they_differ(several):
    """No difference is missed, and none is made up."""
    several = [canonical.decode(json.dumps(value).encode()) for value in several]
    differ = len({canonical.encode(value) for value in several}) > 1
    places = list(variations(several))
    assert bool(places) == differ
    assert all(len(set(place.texts)) > 1 for place in places)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), values, max_size=3), min_size=2, max_size=3))
def test_what_is_advised_is_enough(rows):
    """Read with the lines advised the answers are the same, but for what no path can name."""
    answers = [answered({"id": "alpha"} | row) for row in rows]
    result = probe(DIALECT, answers)
    better = replace(DIALECT, noise=DIALECT.noise + result.noise, sets=DIALECT.sets + result.sets)
    assert result.left == ()
    assert len({better.read(answer).digest for answer in answers}) == 1
    again = probe(better, answers)
    assert (again.noise, again.sets, again.left) == ((), (), ())


def test_general_forms_keep_the_first_step_and_the_last_key():
    """These are the names of fields."""
    places = [("a", "x", "[]", "n"), ("a", "y", "[]", "n"), ("b", "x"), ("b", "y"), ("c", "n"), ("d", "n")]
    assert sorted({format_path(form) for form in generalise(places).values()}) == [
        "a.*[].n",
        "b.x",
        "b.y",
        "c.n",
        "d.n",
    ]
