"""Differences between two listings, and between two records: laws, and changes of shape."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import strategies
from support.fakes import listing, offered

from pipeline.core.canonical import decode, encode, from_text
from pipeline.core.diff import FieldComparer, FieldRules, diff, field_changes
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


def test_a_quiet_path_is_quiet_in_any_category() -> None:
    (change,) = diff(one := listing(m=1), other := listing(m=2))
    assert [field.category for field in FieldComparer(one, other)(change)] == ["other"]
    assert [field.category for field in FieldComparer(one, other, FieldRules(("form",)))(change)] == ["text"]


def of_models(models: str, *having: str, **more: Any) -> Listing:
    """Return a listing of models with one-letter names, some of them with the field `form`."""
    return offered({model: ({"form": 1} if model in having else {}) | more for model in models})


def categories(before: Listing, after: Listing) -> dict[str, dict[str, tuple[str, str | None]]]:
    """Return the category of each changed field, and of its meaning, by model and field."""
    fields = FieldComparer(before, after)
    return {
        change.model: {field.field: (field.category, field.shape_of) for field in fields(change)}
        for change in diff(before, after)
    }


def same(models: str, field: str, *category: str | None) -> dict[str, dict[str, tuple[str | None, ...]]]:
    return {model: {field: category} for model in models}


def test_a_field_that_all_of_five_records_gain_or_lose_is_shape() -> None:
    plain, full = of_models("abcde"), of_models("abcde", *"abcde")
    assert categories(plain, full) == same("abcde", "form", "shape", "other")
    assert categories(full, plain) == same("abcde", "form", "shape", "other")


def test_a_field_that_four_of_five_records_gain_is_shape() -> None:
    found = categories(of_models("abcde"), of_models("abcde", *"abcd"))
    assert found == same("abcd", "form", "shape", "other")


def test_a_field_that_three_of_five_records_gain_or_lose_is_a_change_of_each() -> None:
    plain, full = of_models("abcde"), of_models("abcde", *"abc")
    assert categories(plain, full) == same("abc", "form", "other", None)
    assert categories(full, plain) == same("abc", "form", "other", None)


def test_a_list_of_four_has_no_shape() -> None:
    plain, full = of_models("abcd"), of_models("abcd", *"abcd")
    assert categories(plain, full) == same("abcd", "form", "other", None)
    assert categories(full, plain) == same("abcd", "form", "other", None)


def test_a_straggler_keeps_a_field_that_the_others_lose() -> None:
    full = of_models("abcde", *"abcde")
    assert categories(full, of_models("abcde", "e")) == same("abcd", "form", "shape", "other")
    assert categories(full, of_models("abcde", "d", "e")) == same("abc", "form", "other", None)


def test_a_straggler_that_changes_otherwise_has_kept_the_field() -> None:
    before = offered({model: {"form": 1, "old": 1} for model in "abcde"})
    after = offered({model: {"form": 2} for model in "abc"} | {m: {"form": 2, "old": 1} for m in "de"})
    assert categories(before, after)["a"] == {"form": ("other", None), "old": ("other", None)}


def test_a_loss_is_measured_among_the_records_that_had_the_field() -> None:
    had = of_models("abcdefghij", *"abcde")
    assert categories(had, of_models("abcdefghij")) == same("abcde", "form", "shape", "other")
    few = of_models("abcdefghij", *"abcd")
    assert categories(few, of_models("abcdefghij")) == same("abcd", "form", "other", None)


def test_a_gain_of_five_records_is_shape_if_none_had_the_field() -> None:
    after = of_models("abcdefghij", *"abcdef")
    assert categories(of_models("abcdefghij"), of_models("abcdefghij", *"abcde")) == same(
        "abcde", "form", "shape", "other"
    )
    assert categories(of_models("abcdefghij", "f"), after) == same("abcde", "form", "other", None)
    assert categories(of_models("abcdefghij"), of_models("abcdefghij", *"abcd")) == same(
        "abcd", "form", "other", None
    )


def test_models_that_come_or_go_do_not_count_for_a_shape() -> None:
    before, after = of_models("abcdexyz", *"xyz"), of_models("abcdeuvw", *"abcdu")
    found = categories(before, after)
    assert {model: found[model] for model in "abcd"} == same("abcd", "form", "shape", "other")
    assert all(not found[model] for model in "uvwxyz")


def test_a_gain_and_a_loss_in_one_step_are_two_shapes() -> None:
    before = offered({model: {"context_length": 8} for model in "abcde"})
    after = offered({model: {"limits": {"context": 8}} for model in "abcde"})
    shapes = {"context_length": ("shape", "limits"), "limits.context": ("shape", "limits")}
    assert categories(before, after) == dict.fromkeys("abcde", shapes)


def test_the_elements_of_arrays_have_one_shape() -> None:
    before = offered({model: {"hosts": [{"id": 1}]} for model in "abcde"})
    after = offered({m: {"hosts": [{"id": 1, "price": 2}, {"id": 2, "price": 3}]} for m in "abcde"})
    assert categories(before, after)["a"] == {
        "hosts.0.price": ("shape", "price"),
        "hosts.1.id": ("other", None),
        "hosts.1.price": ("shape", "price"),
    }


def test_a_field_that_another_record_had_before_is_a_change() -> None:
    before, after = listing("a", b=1), listing(a=1, b=1)
    (change,) = diff(before, after)
    assert FieldComparer(before, after)(change) == (FieldChange("form", None, "1", "other"),)


def test_added_and_removed_models_have_no_fields() -> None:
    before, after = listing("a"), listing("b")
    assert [FieldComparer(before, after)(change) for change in diff(before, after)] == [(), ()]


names = st.text(
    st.characters(exclude_categories=["C"], exclude_characters="\\"), max_size=3
) | st.sampled_from(["a.b", "0", "x", '"'])
nested = st.recursive(
    st.integers(0, 1), lambda inner: st.dictionaries(names, inner, max_size=3), max_leaves=4
)
branches = st.dictionaries(names, nested | st.lists(nested, max_size=2), max_size=3)
six_records = st.fixed_dictionaries(dict.fromkeys("abcdef", branches))
half = st.sampled_from([6, 3])


@given(six_records, six_records, half)
def test_a_field_is_shape_if_nearly_all_records_gain_or_lose_it(
    one: dict[str, Any], other: dict[str, Any], alike: int
) -> None:
    names_of = sorted(one)
    # Records that are the same on both sides count as well.
    other |= {model: one[model] for model in names_of[alike:]}
    before, after = (
        offered({model: _with_prefix(fields) for model, fields in offer.items()}) for offer in (one, other)
    )
    had, has = ({m: paths_of(side.records[m]) for m in names_of} for side in (before, after))
    for change in diff(before, after):
        for field in FieldComparer(before, after)(change):
            path = generalise(field.field)
            gained = sum(path in has[m] and path not in had[m] for m in names_of)
            lost = sum(path in had[m] and path not in has[m] for m in names_of)
            number_had = sum(path in had[m] for m in names_of)
            came = field.before is None and gained * 5 >= len(names_of) * 4
            went = field.after is None and number_had >= 5 and lost * 5 >= number_had * 4
            assert (field.category == "shape") == (came or went)


def _with_prefix(fields: dict[str, Any]) -> dict[str, Any]:
    return {f"x{name}": value for name, value in fields.items()}


def paths_of(record: Record) -> set[str]:
    """Return the paths of all fields of a record."""
    return {generalise(path) for path, _ in leaves(decode(record.body.encode()))}


@pytest.mark.parametrize("name", ["a\\b", "a\tb"])
def test_a_name_that_json_escapes_is_found_in_other_records(name: str) -> None:
    before = offered({model: {name: 1} for model in "abcdefgh"})
    after = offered({model: {name: 1} if model in "gh" else {} for model in "abcdefgh"})
    assert {each for fields in categories(before, after).values() for each in fields.values()} == {
        ("other", None)
    }
