"""Differences between two listings, and between two records: values in, values out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from pipeline.core import canonical, jsonpath
from pipeline.core.types import Change, FieldChange, Listing, Record

PRICE_PATTERN = r"pric|cost|ratio(?!n)|fee|billing|quota_type|per_1[km]"
"""Matches the paths of price fields, in any case, except for paths of the lifecycle."""

PATTERNS = (
    (
        "lifecycle",
        r"deprecat|expir|shutdown|sunset|retire|lifecycle|archived|(^|[._])eol([._]|$)|replacement",
    ),
    ("price", PRICE_PATTERN),
    ("text", r"desc|display|^name$|\.name$|title|icon|^owned_by$|^created|tags?$|url|order$"),
    (
        "capabilities",
        r"modalit|feature|capabilit|support|endpoint|permission|tool|reason|(?<!re)vision|type|param",
    ),
    ("limits", r"context|max_|limit|token(?!iz)|length|window|tpm|rpm"),
)
"""The category of a field by its path; the first pattern that matches decides."""

_CATEGORIES = tuple((category, re.compile(pattern, re.IGNORECASE)) for category, pattern in PATTERNS)

QUIET = "text"
"""The category that is stored and hashed but reported only on request: names, descriptions, owners."""

SHAPE = "shape"
"""The category of fields that appear in, or vanish from, all records at once: reported in one line."""

Differing = tuple[str, str | None, str | None]
"""A path, and its value before and after, as text; None where the field is absent."""


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
    before: str, after: str, category_of: Callable[[Differing], str] | None = None
) -> tuple[FieldChange, ...]:
    """Return the fields in which two record bodies differ, by path.

    Args:
        before: a body in canonical JSON.
        after: the other.
        category_of: returns the category of a field; `categorise` its path by default.
    """
    return tuple(
        FieldChange(*each, category_of(each) if category_of else categorise(each[0]))
        for each in _differing(before, after)
    )


def _differing(before: str, after: str) -> Iterator[Differing]:
    old, new = map(_leaves, canonical.differing_members(before, after))
    for path in sorted(old.keys() | new.keys()):
        if old.get(path) != new.get(path):
            yield path, old.get(path), new.get(path)


def _leaves(members: Mapping[str, Any]) -> dict[str, str]:
    return {path: canonical.as_text(leaf) for path, leaf in jsonpath.leaves(members)} if members else {}


@lru_cache(4096)
def categorise(path: str) -> str:
    """Return the category of a field: price, limits, capabilities, lifecycle, text or other."""
    return next((name for name, pattern in _CATEGORIES if pattern.search(path)), "other")


class FieldComparer:
    """A comparer of the fields of changed records, with the quiet paths and the shapes of two listings.

    If all records of a listing gain or lose a field, the gateway has changed the form of its list. The field
    has the category `shape` then, so that it does not count as a change of every model.
    """

    def __init__(self, before: Listing, after: Listing, quiet: tuple[str, ...] = ()) -> None:
        self._before = before
        self._after = after
        self._quiet = [jsonpath.parse(path) for path in quiet]
        self._in_use: dict[tuple[bool, str], bool] = {}

    def __call__(self, change: Change) -> tuple[FieldChange, ...]:
        """Return the fields in which a changed record differs."""
        if change.before is None or change.after is None:
            return ()
        return field_changes(change.before.body, change.after.body, self._category)

    def _category(self, differing: Differing) -> str:
        path, before, after = differing
        if any(jsonpath.covers(quiet, path) for quiet in self._quiet):
            return QUIET
        if before is None and not self._is_in_use(self._before, path):
            return SHAPE
        if after is None and not self._is_in_use(self._after, path):
            return SHAPE
        return categorise(path)

    def _is_in_use(self, listing: Listing, path: str) -> bool:
        key = (listing is self._before, jsonpath.generalise(path))
        if key not in self._in_use:
            # Records without the name need no parsing.
            name = f"{jsonpath.last_key(path)}:"
            self._in_use[key] = any(
                name in record.body and jsonpath.has_leaf(canonical.decode(record.body.encode()), key[1])
                for record in listing.records.values()
            )
        return self._in_use[key]
