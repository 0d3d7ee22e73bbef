"""The noise probe: differences between answers, and the settings for them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.core import canonical
from pipeline.gateways.dialects import Answer, all_dialects
from pipeline.gateways.probe import probe
from pipeline.gateways.variation import format_path, generalise, variations

ASKED_AT = 1_790_000_000

DIALECT = all_dialects()["openai"]


def answered(*rows, **envelope):
    """Return an answer with these rows."""
    return Answer((json.dumps({"object": "list", "data": rows, **envelope}).encode(),), ASKED_AT)


def probed(*fields, dialect=DIALECT):
    """Probe one model that has these fields in successive answers."""
    return probe(dialect, [answered({"id": "alpha"} | each) for each in fields])


def found(result):
    """Return what settles each difference, by path."""
    return {each.path: each.settled_by for each in result.differences}


def test_equal_answers_have_no_differences():
    result = probed({"context_length": 8}, {"context_length": 8.0})
    assert (result.differences, result.noise, result.sets, result.left) == ((), (), (), ())
    assert (result.sizes, result.order_differs, result.flapping) == ((1, 1), False, ())


def test_a_difference_has_counts_and_examples():
    rows = [[{"id": model, "load": load} for model in ("alpha", "beta")] for load in (1, 2, 2, 3)]
    (each,) = probe(DIALECT, [answered(*models) for models in rows]).differences
    assert (each.path, each.models, each.values, each.examples) == ("load", 2, 3, ("1", "2"))


def test_an_absent_field_differs_from_null():
    (each,) = probed({"load": None}, {}).differences
    assert each.examples == ("null", None)


def test_differences_in_elements_of_an_array_have_one_path():
    result = probed(*({"checks": [{"at": n}, {"at": n + 5, "good": True}]} for n in range(3)))
    assert result.noise == ("checks[].at",)
    assert result.differences[0].values == 3


def test_differences_below_several_keys_have_one_path():
    result = probed(*({"providers": {"x": {"lag": n}, "y": {"lag": -n}, "z": {"lag": 0}}} for n in (1, 2)))
    assert result.noise == ("providers.*.lag",)


def test_neighbouring_fields_keep_their_own_paths():
    result = probed(*({"load": {"now": n, "peak": -n, "most": 9}} for n in (1, 2)))
    assert result.noise == ("load.now", "load.peak")


def test_a_key_that_no_path_can_spell_is_written_as_any_key():
    result = probed(*({"load": {"eu.west": n, "fixed": 1}} for n in (1, 2)))
    assert (result.noise, result.left) == (("load.*",), ())


def test_a_field_that_no_path_can_spell_is_not_suggested():
    result = probed({"a.b": 1}, {"a.b": 2})
    assert [each.path for each in result.differences] == ["*"]
    assert (result.noise, result.left) == ((), ("*",))


@pytest.mark.parametrize(
    ("one", "other"),
    [(["a", "b"], ["b", "a"]), ("a,b", "b, a"), ([{"n": 1}, {"n": 2}], [{"n": 2}, {"n": 1}])],
    ids=["array", "text", "objects"],
)
def test_another_order_is_suggested_as_a_set(one, other):
    result = probed({"regions": one}, {"regions": other})
    assert (result.noise, result.sets, result.left) == ((), ("regions",), ())


def test_elements_with_names_are_compared_by_name():
    first = [{"name": "x", "lag": 1}, {"name": "y", "lag": 2}]
    result = probed({"providers": first}, {"providers": [{"name": "y", "lag": 3}, {"name": "x", "lag": 1}]})
    assert (result.noise, result.sets, result.left) == (("providers[].lag",), ("providers",), ())


def test_a_set_with_other_elements_is_noise():
    result = probed({"regions": ["a", "b"]}, {"regions": ["b", "a"]}, {"regions": ["a"]})
    assert (result.noise, result.sets) == (("regions",), ())


def test_differences_settled_by_the_dialect_are_marked():
    rows = [
        {"permission": [{"id": str(n)}], "tags": ["a", "b"][:: 1 - 2 * n], "created": ASKED_AT + n}
        for n in (0, 1)
    ]
    result = probed(*rows)
    assert found(result) == {"created": "time", "permission[].id": "noise", "tags": "sets"}
    assert (result.noise, result.sets, result.left) == ((), (), ())


def test_a_created_that_is_not_the_request_time_is_noise():
    assert probed({"created": 1_700_000_000}, {"created": 1_700_000_900}).noise == ("created",)


def test_rows_of_one_id_are_settled_where_the_same_one_is_kept():
    noisy = replace(DIALECT, noise=("load",))
    rows = [
        [{"id": "alpha", "load": load, "owner": n} for n, load in enumerate(loads)]
        for loads in ((1, 2), (2, 1))
    ]
    result = probe(noisy, [answered(*each) for each in rows])
    assert found(result) == {"owner": "copy"}
    assert (result.noise, result.left) == ((), ())


def test_another_order_of_models_is_no_difference():
    rows = ({"id": "alpha"}, {"id": "beta"})
    result = probe(DIALECT, [answered(*rows), answered(*reversed(rows))])
    assert (result.order_differs, result.differences, result.flapping) == (True, (), ())


def test_a_model_missing_from_an_answer_is_flapping():
    result = probe(DIALECT, [answered({"id": "alpha"}, {"id": "beta"}), answered({"id": "alpha"})])
    assert (result.flapping, result.sizes, result.order_differs) == (("beta",), (2, 1), False)


leaf = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b", "a,b", "b,a"])
keys = st.sampled_from(["a", "b", "name", "x.y", "0", "", "[]"])
values = st.recursive(
    leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3)
)


@given(st.lists(values, min_size=2, max_size=3))
def test_values_have_variations_only_if_they_differ(several):
    several = [canonical.decode(json.dumps(value).encode()) for value in several]
    differ = len({canonical.encode(value) for value in several}) > 1
    places = list(variations(several))
    assert bool(places) == differ
    assert all(len(set(place.texts)) > 1 for place in places)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), values, max_size=3), min_size=2, max_size=3))
def test_the_suggested_paths_settle_every_difference(rows):
    answers = [answered({"id": "alpha"} | row) for row in rows]
    result = probe(DIALECT, answers)
    better = replace(DIALECT, noise=DIALECT.noise + result.noise, sets=DIALECT.sets + result.sets)
    assert result.left == ()
    assert len({better.read(answer).digest for answer in answers}) == 1
    again = probe(better, answers)
    assert (again.noise, again.sets, again.left) == ((), (), ())


def test_general_forms_keep_the_first_step_and_the_last_key():
    places = [("a", "x", "[]", "n"), ("a", "y", "[]", "n"), ("b", "x"), ("b", "y"), ("c", "n"), ("d", "n")]
    assert sorted({format_path(form) for form in generalise(places).values()}) == [
        "a.*[].n",
        "b.x",
        "b.y",
        "c.n",
        "d.n",
    ]
