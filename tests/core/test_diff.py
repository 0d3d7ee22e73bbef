"""What differs between two listings, and between two records: laws, and how fields are sorted."""

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
    """Do to some records what changes say was done; each must find what it says was there."""
    patched = dict(records)
    for change in changes:
        assert patched.pop(change.model, None) == change.before
        if change.after is not None:
            patched[change.model] = change.after
    return patched


@given(strategies.listings(), strategies.listings())
def test_patching_with_the_difference_gives_the_other(one: Listing, other: Listing) -> None:
    """patch(a, diff(a, b)) is b."""
    assert patch(dict(one.records), diff(one, other)) == dict(other.records)


@given(strategies.listings())
def test_nothing_differs_from_itself(one: Listing) -> None:
    """diff(a, a) is empty."""
    assert diff(one, one) == ()


@given(strategies.listings(), strategies.listings())
def test_the_way_back_is_the_way_there_turned_round(one: Listing, other: Listing) -> None:
    """diff(b, a) is diff(a, b) with each change's sides swapped."""
    assert diff(other, one) == tuple(Change(c.model, c.after, c.before) for c in diff(one, other))


@given(strategies.listings(), strategies.listings())
def test_changes_are_sorted_and_each_model_has_one(one: Listing, other: Listing) -> None:
    """The result is in order of ids, and every change has two different sides."""
    models = [change.model for change in diff(one, other)]
    assert models == sorted(set(models))
    assert all(change.before != change.after for change in diff(one, other))


@given(
    st.dictionaries(st.sampled_from(strategies.MODELS), st.fixed_dictionaries({"form": st.integers(0, 2)})),
    strategies.listings(),
    st.data(),
)
def test_order_of_rows_does_not_matter(offer: dict[str, Any], one: Listing, data: st.DataObject) -> None:
    """The same rows in another order differ from anything in the same way."""
    shuffled = dict(data.draw(st.permutations(list(offer.items()))))
    assert diff(offered(offer), offered(shuffled)) == ()
    assert diff(one, offered(offer)) == diff(one, offered(shuffled))


def test_each_kind_of_change() -> None:
    """A model comes, goes, or is said to be something else."""
    one, other = listing("kept", "gone", moved=1), listing("kept", "new", moved=2)
    assert [(str(change.kind), change.model) for change in diff(one, other)] == [
        ("removed", "gone"),
        ("changed", "moved"),
        ("added", "new"),
    ]


def test_ids_that_differ_in_case_are_two_models() -> None:
    """A gateway may offer both, so one that goes is removed, not renamed."""
    (gone,) = diff(listing("vega", "Vega"), listing("Vega"))
    assert (gone.model, gone.after) == ("vega", None)


@given(rows := strategies.objects.map(lambda value: {"id": "vega", **value}), rows)
def test_field_changes_name_exactly_the_leaves_that_differ(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    """Every leaf that differs is named once with both values, and no other is."""
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
    """Equal bodies have equal fields."""
    assert field_changes(encode(one), encode(one)) == ()


def test_a_field_that_comes_is_not_one_that_was_null() -> None:
    """Absent is None, null is the text `null`, and a number is not the string of it."""
    found = field_changes('{"a":null,"n":8,"tags":["x"]}', '{"b":{"c":null},"n":"8","tags":["y"]}')
    assert found == (
        FieldChange("a", "null", None, "other"),
        FieldChange("b.c", None, "null", "other"),
        FieldChange("n", "8", '"8"', "other"),
        FieldChange("tags", '["x"]', '["y"]', "text"),
    )


def test_prices_keep_every_digit() -> None:
    """A price is compared and shown exactly as it was sent."""
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
def test_fields_are_sorted_by_what_they_mean(field: str, sorted_as: str) -> None:
    """People look for prices and limits first; names and descriptions are quiet."""
    assert categorise(field) == sorted_as


def test_a_quiet_field_is_quiet_whatever_its_name() -> None:
    """A dialect, or the config, may say of any field that it is told only on request."""
    (change,) = diff(one := listing(m=1), other := listing(m=2))
    assert [field.category for field in FieldComparer(one, other)(change)] == ["other"]
    assert [field.category for field in FieldComparer(one, other, ("form",))(change)] == ["text"]


def test_a_field_that_comes_to_all_at_once_is_shape() -> None:
    """A new field of the gateway's is one thing that happened, not a change of every model."""
    before, after = listing("a", "b"), listing(a=1, b=1)
    found = [FieldComparer(before, after)(change) for change in diff(before, after)]
    assert found == [(FieldChange("form", None, "1", "shape"),)] * 2
    gone = [FieldComparer(after, before)(change) for change in diff(after, before)]
    assert gone == [(FieldChange("form", "1", None, "shape"),)] * 2


def test_a_field_that_others_had_before_is_news() -> None:
    """Where one record had the field already, getting it is a change of the one that gets it."""
    before, after = listing("a", b=1), listing(a=1, b=1)
    (change,) = diff(before, after)
    assert FieldComparer(before, after)(change) == (FieldChange("form", None, "1", "other"),)


def test_what_comes_or_goes_has_no_fields() -> None:
    """Added and removed models are told whole."""
    before, after = listing("a"), listing("b")
    assert [FieldComparer(before, after)(change) for change in diff(before, after)] == [(), ()]


def names_in(side: Listing) -> Iterator[str]:
    """Give the paths of all fields of all records."""
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
def test_a_field_is_shape_where_no_record_had_it(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Whatever names fields have, one is shape just where it is new to the list, or gone from it."""
    before, after = (offered({m: {"x": fields} for m, fields in offer.items()}) for offer in (one, other))
    used = [set(map(generalise, names_in(side))) for side in (before, after)]
    for change in diff(before, after):
        for field in FieldComparer(before, after)(change):
            came = field.before is None and generalise(field.field) not in used[0]
            went = field.after is None and generalise(field.field) not in used[1]
            assert (field.category == "shape") == (came or went)


@pytest.mark.parametrize("name", ["a\\b", "a\tb"])
def test_a_name_that_json_escapes_is_found_in_other_records(name: str) -> None:
    """A field that moves from one record to another is in use all the time, whatever its name."""
    before, after = offered({"m": {name: 1}, "n": {}}), offered({"m": {}, "n": {name: 1}})
    told = [
        field.category for change in diff(before, after) for field in FieldComparer(before, after)(change)
    ]
    assert told == ["other", "other"]
