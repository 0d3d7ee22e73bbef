"""Differences between two listings, and between two records: values in, values out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from itertools import islice
from typing import Any

from msgspec import Struct, field

from pipeline.core import canonical, jsonpath
from pipeline.core.categories import QUIET, SHAPE, categorise_change
from pipeline.core.types import Change, FieldChange, Listing, Record

SHAPE_RECORDS = 5
"""The number of records from which a field that they gain or lose together may be a change of shape."""

SHAPE_SHARE = (4, 5)
"""The share of the records that must gain or lose a field together, as a fraction."""

Leaves = Mapping[str, Any]
"""The leaves of the members of a record that the other record does not have, by path."""

Differing = tuple[str, str | None, str | None]
"""A path, and its value before and after, as text; None where the field is absent."""

CategoriesOf = Callable[[Differing], tuple[str, str | None]]
"""Returns the category of a field and, if that is `shape`, the category of its meaning."""


class FieldRules(Struct, frozen=True):
    """A dialect's rules for the categories of fields.

    Args:
        quiet: its quiet paths.
        facts: by path, the category of the fact that is read there; see `categorise_change`.
    """

    quiet: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


NO_RULES = FieldRules()


def diff(before: Listing, after: Listing) -> tuple[Change, ...]:
    """Return the changes of models between two listings, by model id; empty for equal listings."""
    if before.digest == after.digest:
        return ()
    old, new = before.records, after.records
    # Cached rows give the same object in both listings, so most records need no comparison of digests.
    differing = [model for model in old.keys() | new.keys() if old.get(model) is not new.get(model)]
    changes = (Change(model, old.get(model), new.get(model)) for model in sorted(differing))
    return tuple(change for change in changes if _digest(change.before) != _digest(change.after))


def _digest(record: Record | None) -> str | None:
    return None if record is None else record.digest


def field_changes(
    before: str, after: str, categories_of: CategoriesOf | None = None
) -> tuple[FieldChange, ...]:
    """Return the fields in which two record bodies differ, by path.

    Args:
        before: a body in canonical JSON.
        after: the other.
        categories_of: by default, the category follows from the path and the values.
    """
    return _changes_of(_differing_leaves(before, after), categories_of or _own_categories)


def _changes_of(sides: tuple[Leaves, Leaves], categories_of: CategoriesOf) -> tuple[FieldChange, ...]:
    return tuple(FieldChange(*each, *categories_of(each)) for each in _differing(*sides))


def _own_categories(differing: Differing) -> tuple[str, None]:
    return categorise_change(*differing), None


def _differing(old: Leaves, new: Leaves) -> Iterator[Differing]:
    paths = [path for path in old.keys() | new.keys() if not _is_same(old.get(path), new.get(path))]
    for path in sorted(paths):
        before, after = _text(old, path), _text(new, path)
        if before != after:
            yield path, before, after


def _is_same(one: Any, other: Any) -> bool:
    """Return whether two leaves are the same text or number, which need no canonical form to be compared."""
    return type(one) is type(other) and isinstance(one, str | int | Decimal) and one == other


def _text(leaves: Leaves, path: str) -> str | None:
    return canonical.as_text(leaves[path]) if path in leaves else None


def _differing_leaves(before: str, after: str) -> tuple[Leaves, Leaves]:
    old, new = canonical.differing_members(before, after)
    return _leaves(old), _leaves(new)


def _leaves(members: Mapping[str, Any]) -> Leaves:
    return dict(jsonpath.leaves(members)) if members else {}


class FieldComparer:
    """A comparer of the fields of changed records, with a dialect's rules and the shapes of two listings.

    A field has the category `shape` if nearly all records gain or lose it: the gateway has changed the form
    of its list. The records are those of the models in both listings.

    * Lost: at least five of them had the field, and four fifths of those lose it.
    * Gained: four fifths of at least five records gain it; or five gain it, and none had it.

    Args:
        before: the earlier listing.
        after: the later one.
        rules: those of the dialect.
    """

    def __init__(self, before: Listing, after: Listing, rules: FieldRules = NO_RULES) -> None:
        self._quiet = [jsonpath.parse(path) for path in rules.quiet]
        self._is_quiet: dict[str, bool] = {}
        self._facts = rules.facts
        self._shapes = _Shapes(before, after)

    def __call__(self, change: Change) -> tuple[FieldChange, ...]:
        """Return the fields in which a changed record differs."""
        if change.before is None or change.after is None:
            return ()
        return _changes_of(self._shapes.leaves(change.before, change.after), self._categories)

    def _categories(self, differing: Differing) -> tuple[str, str | None]:
        path, before, after = differing
        if path not in self._is_quiet:
            self._is_quiet[path] = any(jsonpath.covers(quiet, path) for quiet in self._quiet)
        if self._is_quiet[path]:
            return QUIET, None
        meaning = categorise_change(path, before, after, self._facts)
        if (before is None or after is None) and self._shapes.has(path, lost=after is None):
            return SHAPE, meaning
        return meaning, None


class _Shapes:
    """The fields that nearly all common records of two listings gain or lose."""

    def __init__(self, before: Listing, after: Listing) -> None:
        self._before, self._after = before, after
        self._found: dict[tuple[str, bool], bool] = {}
        self._leaves: dict[tuple[str, str], tuple[Leaves, Leaves]] = {}

    def leaves(self, old: Record, new: Record) -> tuple[Leaves, Leaves]:
        """Return the leaves of each of two records that may differ."""
        key = (old.digest, new.digest)
        if key not in self._leaves:
            self._leaves[key] = _differing_leaves(old.body, new.body)
        return self._leaves[key]

    def has(self, path: str, *, lost: bool) -> bool:
        """Return whether nearly all records gain the field of a path, or lose it."""
        key = (jsonpath.generalise(path), lost)
        if key not in self._found:
            self._found[key] = self._is_lost(key[0]) if lost else self._is_gained(key[0])
        return self._found[key]

    def _is_gained(self, path: str) -> bool:
        gained = self._counts[0][path]
        if len(self._pairs) >= SHAPE_RECORDS and _is_nearly_all(gained, len(self._pairs)):
            return True
        return gained >= SHAPE_RECORDS and not self._count_having(path, 1)

    def _is_lost(self, path: str) -> bool:
        lost = self._counts[1][path]
        if not _is_nearly_all(lost, SHAPE_RECORDS):
            return False
        # If one more record than this had the field, those that lost it are not nearly all.
        had = self._count_having(path, lost * SHAPE_SHARE[1] // SHAPE_SHARE[0] + 1)
        return had >= SHAPE_RECORDS and _is_nearly_all(lost, had)

    @cached_property
    def _pairs(self) -> list[tuple[Record, Record]]:
        """The records of the models in both listings."""
        after = self._after.records
        return [(old, after[model]) for model, old in self._before.records.items() if model in after]

    @cached_property
    def _counts(self) -> tuple[Counter[str], Counter[str]]:
        """The numbers of records that gain, and that lose, each field; equal records do neither."""
        gained, lost = Counter[str](), Counter[str]()
        for old, new in self._pairs:
            if old.digest != new.digest:
                before, after = self.leaves(old, new)
                if before.keys() != after.keys():
                    had, has = _paths(before), _paths(after)
                    gained.update(has - had)
                    lost.update(had - has)
        return gained, lost

    def _count_having(self, path: str, most: int) -> int:
        """Count the records that had a field, up to a number of them."""
        # Records without the name need no parsing.
        name = f"{jsonpath.last_key(path)}:"
        steps = jsonpath.split(path)
        first = jsonpath.name_of(steps[0])
        had = (
            True
            for old, _ in self._pairs
            if name in old.body and jsonpath.has_leaf(canonical.only_member(old.body, first), steps)
        )
        return sum(islice(had, most))


def _paths(leaves: Leaves) -> frozenset[str]:
    return frozenset(map(jsonpath.generalise, leaves))


def _is_nearly_all(part: int, of: int) -> bool:
    share, whole = SHAPE_SHARE
    return part * whole >= of * share
