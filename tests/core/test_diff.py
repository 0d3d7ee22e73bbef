"""Differences between two listings, and between two records: laws, and the categories of fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import strategies
from support.fakes import listing, offered

from pipeline.core.canonical import decode, encode, from_text
from pipeline.core.diff import FieldComparer, categorise, diff, field_changes
from pipeline.core.jsonpath import generalise, leaves
from pipeline.core.types import Change, FieldChange, Listing, Record


def patch(records: dict[str, Record], changes: tuple[Change, ...]) -> dict[str, Record]:
    """Apply changes to records; the records must have the state before each change."""
    patched = dict(records)
    for change in changes:
        assert patched.pop(change.model, None) == change.before
        if change.after is not None:
            patched[change.model] = change.after
    return patched


@given(strategies.listings(), strategies.listings())
def test_applying_the_changes_gives_the_other_listing(one: Listing, other: Listing) -> None:
    assert patch(dict(one.records), diff(one, other)) == dict(other.records)


@given(strategies.listings())
def test_a_listing_has_no_changes_against_itself(one: Listing) -> None:
    assert diff(one, one) == ()


@given(strategies.listings(), strategies.listings())
def test_the_reverse_diff_has_the_sides_swapped(one: Listing, other: Listing) -> None:
    assert diff(other, one) == tuple(Change(c.model, c.after, c.before) for c in diff(one, other))


@given(strategies.listings(), strategies.listings())
def test_changes_are_sorted_with_one_per_model(one: Listing, other: Listing) -> None:
    models = [change.model for change in diff(one, other)]
    assert models == sorted(set(models))
    assert all(change.before != change.after for change in diff(one, other))


@given(
    st.dictionaries(st.sampled_from(strategies.MODELS), st.fixed_dictionaries({"form": st.integers(0, 2)})),
    strategies.listings(),
    st.data(),
)
def test_the_order_of_rows_does_not_change_a_diff(
    offer: dict[str, Any], one: Listing, data: st.DataObject
) -> None:
    shuffled = dict(data.draw(st.permutations(list(offer.items()))))
    assert diff(offered(offer), offered(shuffled)) == ()
    assert diff(one, offered(offer)) == diff(one, offered(shuffled))


def test_models_are_added_removed_and_changed() -> None:
    one, other = listing("kept", "gone", moved=1), listing("kept", "new", moved=2)
    assert [(str(change.kind), change.model) for change in diff(one, other)] == [
        ("removed", "gone"),
        ("changed", "moved"),
        ("added", "new"),
    ]


def test_ids_that_differ_in_case_are_two_models() -> None:
    (gone,) = diff(listing("vega", "Vega"), listing("Vega"))
    assert (gone.model, gone.after) == ("vega", None)


@given(rows := strategies.objects.map(lambda value: {"id": "vega", **value}), rows)
def test_field_changes_are_exactly_the_leaves_that_differ(one: dict[str, Any], other: dict[str, Any]) -> None:
    old, new = dict(leaves(one)), dict(leaves(other))
    differing = {
        path
        for path in old.keys() | new.keys()
        if path not in old or path not in new or encode(old[path]) != encode(new[path])
    }
    found = field_changes(encode(one), encode(other))
    assert [field.field for field in found] == sorted(differing)
    for field in found:
        _agrees(field.before, field.field, old)
        _agrees(field.after, field.field, new)


def _agrees(text: str | None, path: str, side: dict[str, Any]) -> None:
    assert (text is None) == (path not in side)
    if text is not None:
        assert encode(from_text(text)) == encode(side[path])


@given(strategies.objects)
def test_a_record_has_no_field_changes_against_itself(one: dict[str, Any]) -> None:
    assert field_changes(encode(one), encode(one)) == ()


def test_an_absent_field_differs_from_null() -> None:
    found = field_changes('{"a":null,"n":8,"tags":["x"]}', '{"b":{"c":null},"n":"8","tags":["y"]}')
    assert found == (
        FieldChange("a", "null", None, "other"),
        FieldChange("b.c", None, "null", "other"),
        FieldChange("n", "8", '"8"', "other"),
        FieldChange("tags", '["x"]', '["y"]', "text"),
    )


def test_prices_keep_every_digit() -> None:
    (change,) = field_changes(
        encode(decode(b'{"pricing":{"input":0.1000000000000000000001}}')),
        encode(decode(b'{"pricing":{"input":0.10}}')),
    )
    assert (change.before, change.after, change.category) == ("0.1000000000000000000001", "0.1", "price")


@pytest.mark.parametrize(
    ("field", "sorted_as"),
    [
        ("pricing.input", "price"),
        ("pricing.cache_read", "price"),
        ("model_ratio", "price"),
        ("completion_ratio", "price"),
        ("quota_type", "price"),
        ("input_cost_per_token", "price"),
        ("context_length", "limits"),
        ("max_output", "limits"),
        ("top_provider.max_completion_tokens", "limits"),
        ("rate_limits.0.rpm", "limits"),
        ("supported_endpoint_types", "capabilities"),
        ("input_modalities", "capabilities"),
        ("features", "capabilities"),
        ("supported_parameters", "capabilities"),
        ("permission.0.allow_view", "capabilities"),
        ("deprecation_date", "lifecycle"),
        ("expiration_date", "lifecycle"),
        ("replacement", "lifecycle"),
        ("description", "text"),
        ("desc_en", "text"),
        ("owned_by", "text"),
        ("created", "text"),
        ("name", "text"),
        ("display_name", "text"),
        ("tags", "text"),
        ("object", "other"),
        ("root", "other"),
        ("parent", "other"),
        ("model_name_of_upstream", "other"),
    ],
)
def test_a_path_has_a_category(field: str, sorted_as: str) -> None:
    assert categorise(field) == sorted_as


def test_a_quiet_path_is_quiet_in_any_category() -> None:
    (change,) = diff(one := listing(m=1), other := listing(m=2))
    assert [field.category for field in FieldComparer(one, other)(change)] == ["other"]
    assert [field.category for field in FieldComparer(one, other, ("form",))(change)] == ["text"]


def test_a_field_new_to_all_records_is_shape() -> None:
    before, after = listing("a", "b"), listing(a=1, b=1)
    found = [FieldComparer(before, after)(change) for change in diff(before, after)]
    assert found == [(FieldChange("form", None, "1", "shape"),)] * 2
    gone = [FieldComparer(after, before)(change) for change in diff(after, before)]
    assert gone == [(FieldChange("form", "1", None, "shape"),)] * 2


def test_a_field_that_another_record_had_before_is_a_change() -> None:
    before, after = listing("a", b=1), listing(a=1, b=1)
    (change,) = diff(before, after)
    assert FieldComparer(before, after)(change) == (FieldChange("form", None, "1", "other"),)


def test_added_and_removed_models_have_no_fields() -> None:
    before, after = listing("a"), listing("b")
    assert [FieldComparer(before, after)(change) for change in diff(before, after)] == [(), ()]


def names_in(side: Listing) -> Iterator[str]:
    """Return the paths of all fields of all records."""
    for record in side.records.values():
        yield from (path for path, _ in leaves(decode(record.body.encode())))


names = st.text(
    st.characters(exclude_categories=["C"], exclude_characters="\\"), max_size=3
) | st.sampled_from(["a.b", "0", "x", '"'])
nested = st.recursive(
    st.integers(0, 1), lambda inner: st.dictionaries(names, inner, max_size=3), max_leaves=4
)
branches = st.dictionaries(names, nested | st.lists(nested, max_size=2), max_size=3)
two_records = st.fixed_dictionaries({"a": branches, "b": branches})


@given(two_records, two_records)
def test_a_field_is_shape_only_if_no_record_had_it(one: dict[str, Any], other: dict[str, Any]) -> None:
    before, after = (offered({m: {"x": fields} for m, fields in offer.items()}) for offer in (one, other))
    used = [set(map(generalise, names_in(side))) for side in (before, after)]
    for change in diff(before, after):
        for field in FieldComparer(before, after)(change):
            came = field.before is None and generalise(field.field) not in used[0]
            went = field.after is None and generalise(field.field) not in used[1]
            assert (field.category == "shape") == (came or went)


@pytest.mark.parametrize("name", ["a\\b", "a\tb"])
def test_a_name_that_json_escapes_is_found_in_other_records(name: str) -> None:
    before, after = offered({"m": {name: 1}, "n": {}}), offered({"m": {}, "n": {name: 1}})
    categories = [
        field.category for change in diff(before, after) for field in FieldComparer(before, after)(change)
    ]
    assert categories == ["other", "other"]
