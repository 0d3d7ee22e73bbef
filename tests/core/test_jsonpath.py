"""Paths into JSON values: parse them, find, remove and replace values, list leaves."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import strategies

from pipeline.core.jsonpath import (
    Path,
    covers,
    find,
    generalise,
    graft,
    has_leaf,
    leaves,
    parse,
    remove,
    split,
    transform,
)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("id", ("id",)),
        ("pricing.input", ("pricing", "input")),
        ("permission[].id", ("permission", "*", "id")),
        ("permission.*.id", ("permission", "*", "id")),
        ("tags[]", ("tags", "*")),
        ("*", ("*",)),
        ("rows[][].x", ("rows", "*", "*", "x")),
    ],
)
def test_a_path_is_names_joined_by_dots(text: str, path: Path) -> None:
    assert parse(text) == path


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "[]"])
def test_a_path_with_an_empty_step_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="names joined by dots") as refused:
        parse(text)
    assert repr(text) in str(refused.value)


def test_find_returns_the_value_or_none() -> None:
    value = {"data": {"rows": [1]}, "none": None}
    assert find(value, ("data", "rows")) == [1]
    assert find(value, ("data",)) == {"rows": [1]}
    assert [find(value, path) for path in [("none", "x"), ("data", "rows", "0"), ("x",)]] == [None] * 3
    assert find([1], ("0",)) is None


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("b", {"a": {"x": 1, "y": 2}, "c": [{"x": 3}, 4, {"y": 5}]}),
        ("a.x", {"a": {"y": 2}, "b": None, "c": [{"x": 3}, 4, {"y": 5}]}),
        ("a.*", {"a": {}, "b": None, "c": [{"x": 3}, 4, {"y": 5}]}),
        ("c[].x", {"a": {"x": 1, "y": 2}, "b": None, "c": [{}, 4, {"y": 5}]}),
        ("c[]", {"a": {"x": 1, "y": 2}, "b": None, "c": []}),
        ("*.x", {"a": {"y": 2}, "b": None, "c": [{"x": 3}, 4, {"y": 5}]}),
        ("*", {}),
        ("c.x", {"a": {"x": 1, "y": 2}, "b": None, "c": [{"x": 3}, 4, {"y": 5}]}),
        ("nowhere.x", {"a": {"x": 1, "y": 2}, "b": None, "c": [{"x": 3}, 4, {"y": 5}]}),
        ("b.x", {"a": {"x": 1, "y": 2}, "b": None, "c": [{"x": 3}, 4, {"y": 5}]}),
    ],
)
def test_remove_drops_everything_at_a_path(path: str, left: Any) -> None:
    value = {"a": {"x": 1, "y": 2}, "b": None, "c": [{"x": 3}, 4, {"y": 5}]}
    assert remove(value, [parse(path)]) == left


def test_remove_takes_paths_in_any_order() -> None:
    value = {"a": {"x": 1, "y": 2}, "b": 3}
    cuts = [parse("a.x"), parse("b")]
    assert remove(value, cuts) == remove(value, cuts[::-1]) == {"a": {"y": 2}}


paths = st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=3).map(tuple)
trees = st.recursive(
    strategies.scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)


@given(trees, st.lists(paths, max_size=3))
def test_remove_copies_and_is_idempotent(value: Any, cuts: list[Path]) -> None:
    before = copy.deepcopy(value)
    left = remove(value, cuts)
    assert value == before
    assert remove(left, cuts) == left


@given(trees)
def test_a_value_can_be_rebuilt_from_its_leaves(value: Any) -> None:
    assert _rebuilt(dict(leaves(value)), value) == value


def _rebuilt(found: dict[str, Any], like: Any, prefix: str = "") -> Any:
    """Rebuild a value from leaves in the shape of another, and use up each leaf."""
    join = f"{prefix}." if prefix else ""
    match like:
        case dict() if like:
            return {key: _rebuilt(found, item, f"{join}{key}") for key, item in like.items()}
        case list() if any(isinstance(item, dict) for item in like):
            return [_rebuilt(found, item, f"{join}{index}") for index, item in enumerate(like)]
        case _:
            return found[prefix]


def test_leaves_descend_into_objects_and_arrays_of_objects() -> None:
    value = {
        "id": "m",
        "price": {"in": 1, "out": None},
        "tags": ["x", "y"],
        "limits": [{"rpm": 5}, 7],
        "e": {},
        "n": [],
    }
    assert dict(leaves(value)) == {
        "id": "m",
        "price.in": 1,
        "price.out": None,
        "tags": ["x", "y"],
        "limits.0.rpm": 5,
        "limits.1": 7,
        "e": {},
        "n": [],
    }


def test_names_that_need_quotes_are_quoted() -> None:
    value = {"gpt-4.1": {"in": 1}, "gpt-4": {"1": {"in": 2}}, "": 3, "a[]": 4, "rows": [{"0": 5}]}
    assert dict(leaves(value)) == {
        '"gpt-4.1".in': 1,
        'gpt-4."1".in': 2,
        '""': 3,
        '"a[]"': 4,
        'rows.0."0"': 5,
    }


@given(strategies.objects)
def test_every_leaf_has_a_path_of_its_own(value: dict[str, Any]) -> None:
    found = [path for path, _ in leaves(value)]
    assert len(found) == len(set(found))


def test_transform_changes_everything_at_a_path() -> None:
    value = {"a": [{"x": 1}, {"y": 2}, 3], "b": {"x": 4}}
    assert transform(value, parse("a[].x"), str) == {"a": [{"x": "1"}, {"y": 2}, 3], "b": {"x": 4}}
    assert transform(value, parse("*.x"), str) == {"a": [{"x": 1}, {"y": 2}, 3], "b": {"x": "4"}}
    assert transform(value, parse("nowhere.x"), str) == value == {"a": [{"x": 1}, {"y": 2}, 3], "b": {"x": 4}}


@pytest.mark.parametrize(
    ("path", "leaf", "covered"),
    [
        ("pricing", "pricing.input", True),
        ("pricing.input", "pricing.input", True),
        ("pricing.input", "pricing", False),
        ("pricing.*", "pricing", False),
        ("rows[].x", "rows.3.x", True),
        ("rows[]", "rows.3.x.y", True),
        ("*.x", "a.x", True),
        ("price", "pricing", False),
        ("gpt-4.1", '"gpt-4.1"', False),
    ],
)
def test_a_path_covers_leaves_at_it_or_below(path: str, leaf: str, covered: bool) -> None:  # noqa: FBT001
    assert covers(parse(path), leaf) == covered


def test_the_general_form_of_a_leaf_has_no_indexes() -> None:
    assert [generalise(leaf) for leaf in ("a.0.b.12", "a", 'a."0"')] == ["a.*.b.*", "a", 'a."0"']


@pytest.mark.parametrize(
    ("path", "gives"),
    [
        ("x", {"x": 9, "rows": [{"k": 1}, {"k": 2}], "m": {"a": {"v": 1}}}),
        ("rows[].t", {"rows": [{"k": 1, "t": 7}, {"k": 2}], "m": {"a": {"v": 1}}}),
        ("m.*.t", {"rows": [{"k": 1}, {"k": 2}], "m": {"a": {"v": 1, "t": 8}}}),
        ("nowhere", {"rows": [{"k": 1}, {"k": 2}], "m": {"a": {"v": 1}}}),
        ("nowhere.t", {"rows": [{"k": 1}, {"k": 2}], "m": {"a": {"v": 1}}}),
    ],
)
def test_graft_takes_the_values_of_the_other(path: str, gives: Any) -> None:
    value = {"rows": [{"k": 1}, {"k": 2}], "m": {"a": {"v": 1}}}
    other = {"x": 9, "rows": [{"t": 7}, {}], "m": {"a": {"t": 8}, "b": {"t": 9}}}
    assert graft(value, other, parse(path)) == gives


def test_arrays_of_another_length_are_not_grafted() -> None:
    assert graft({"rows": [{"k": 1}]}, {"rows": [{"t": 1}, {"t": 2}]}, parse("rows[].t")) == {
        "rows": [{"k": 1}]
    }


@given(trees, paths)
def test_a_removed_field_can_be_grafted_back(value: Any, path: Path) -> None:
    if path[-1] != "*":
        assert graft(remove(value, [path]), value, path) == value


@given(strategies.objects, strategies.objects)
def test_a_value_has_the_leaves_at_the_general_forms_of_its_own_leaves_and_no_others(
    value: dict[str, Any], other: dict[str, Any]
) -> None:
    own = {generalise(leaf) for leaf, _ in leaves(value)}
    for path in own | {generalise(leaf) for leaf, _ in leaves(other)}:
        assert has_leaf(value, split(path)) is (path in own)
