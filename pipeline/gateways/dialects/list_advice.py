"""What to set for a list, or for ids, at another place than a dialect expects: the lines for the config."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pipeline.core import canonical, jsonpath
from pipeline.core.text import printable
from pipeline.gateways.dialects.layout import has_facts, has_ids, is_object_by_id

_IDS = (
    *("id", "model_id", "modelId", "model", "model_name", "modelName", "slug", "name", "key", "code"),
    *("identifier", "uid", "display_name", "displayName", "title"),
)
"""Names under which an id may be, the likeliest first."""

_LIKE_ID = re.compile(r"[-/.:]|\d")
_DEEPEST = 5
_MOST_MEMBERS = 200
_MOST_PLACES = 1000
"""So many objects and arrays of an answer are searched, which bounds the time."""
_MOST_NAMES = 12
_LONGEST_NAME = 40
_SAMPLE = 20


@dataclass(frozen=True, slots=True)
class _Found:
    """A list in an envelope: its path as the config writes it, and its rows.

    It is uncertain where only the keys of an object look like ids.
    """

    path: str
    rows: Sequence[Any]
    is_uncertain: bool = False

    @property
    def is_likely(self) -> bool:
        """Whether it may be the list of models: texts only under a fitting name."""
        return isinstance(self.rows[0], dict) or "model" in self.path.lower() or self.path.endswith("*")

    @property
    def rank(self) -> tuple[bool, bool, bool, float, int]:
        """How likely it is the list of models."""
        records = [row for row in self.rows[:_SAMPLE] if isinstance(row, dict)]
        share = sum(map(has_facts, records)) / len(records) if records else 0.0
        has_id = not records or id_name(records, unique=False) is not None
        is_certain = has_id and not self.is_uncertain
        return "model" in self.path.lower(), is_certain, has_id, share, len(self.rows)


def list_advice(envelope: Any) -> str | None:
    """Return where the likeliest list in an envelope is, with the lines to add; None where there is none."""
    # Texts may be ids only where the name of their list says so, or that of a provider.
    likely = (each for each in _lists(envelope, "", 0, iter(range(_MOST_PLACES))) if each.is_likely)
    found = max(likely, key=lambda each: each.rank, default=None)
    if found is None:
        return None
    lines = [f"list = {canonical.encode(found.path)}"]
    records = [row for row in found.rows if isinstance(row, dict)]
    if records and (name := _id_to_set(found, records)):
        lines.append(f"id = {canonical.encode(name)}")
    where = f"at `{printable(found.path)}`" if found.path else "the answer itself"
    return f"the list may be {where}: add {' and '.join(f'`{printable(line)}`' for line in lines)}"


def id_advice(rows: Iterable[Any]) -> str | None:
    """Return which field of rows may be the id, with the line to add; else which fields they have."""
    records = [row for row in rows if isinstance(row, dict) and row]
    if not records:
        return None
    if name := id_name(records):
        return f"each record has `{name}`: add `id = {canonical.encode(name)}`"
    return f"the records have {named(*records)}"


def id_name(records: Sequence[Mapping[str, Any]], *, unique: bool = True) -> str | None:
    """Return the path of the likeliest id: each record has a text there, another one if that is asked."""
    for path in _id_paths(records[0]) if records else ():
        texts = [jsonpath.find(record, jsonpath.parse(path)) for record in records]
        are_texts = all(isinstance(text, str) and text.strip() for text in texts)
        if are_texts and (not unique or len(set(texts)) == len(texts)):
            return path
    return None


def _id_paths(record: Mapping[str, Any]) -> list[str]:
    """Return the paths in a record at which an id may be: those in the record first, then the likeliest."""
    inner = [(name, value) for name, value in record.items() if isinstance(value, dict) and _is_step(name)]
    return [
        *(name for name in _IDS if name in record),
        *(f"{outer}.{name}" for name in _IDS for outer, value in inner if name in value),
    ]


def _is_step(name: str) -> bool:
    """Return whether a name can be written in a path."""
    return bool(name) and not any(mark in name for mark in (".", "*", "[]", "{", "}"))


def named(*objects: Mapping[str, Any]) -> str:
    """Return the names of the members of objects, as a message shows them."""
    names = list(dict.fromkeys(name for each in objects[:_MOST_MEMBERS] for name in each))
    shown = ", ".join(f"`{printable(name, longest=_LONGEST_NAME)}`" for name in names[:_MOST_NAMES])
    return f"{shown} …" if len(names) > _MOST_NAMES else shown


def _id_to_set(found: _Found, records: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the id to set; None where that at `id` is right, or no name is likely."""
    name = id_name(records)
    if name or not {"*", "[]"} & set(found.path.replace("[]", ".*").split(".")):
        return None if name == "id" else name
    # Lists of several providers may have equal ids.
    inner = id_name(records, unique=False)
    return f"{{^}}/{{{inner}}}" if inner else None


def _lists(value: Any, path: str, depth: int, left: Iterator[int]) -> Iterator[_Found]:
    """Yield the lists in a value that may be one of models, as long as there are numbers left."""
    if depth > _DEEPEST or not isinstance(value, dict | list) or next(left, None) is None:
        return
    if isinstance(value, dict):
        is_certain = is_object_by_id(value)
        if path and (is_certain or _has_keys_like_ids(value)):
            yield _Found(path, [{"id": key, **row} for key, row in value.items()], not is_certain)
        members = {name: each for name, each in islice(value.items(), _MOST_MEMBERS) if _is_step(name)}
        above = f"{path}." if path else ""
        if _is_by_provider(members):
            for each in _together(members.values(), depth, left):
                yield _Found(f"{above}*{each.path and '.'}{each.path}", each.rows, each.is_uncertain)
            return
        for name, member in members.items():
            yield from _lists(member, f"{above}{name}", depth + 1, left)
    if isinstance(value, list) and value:
        if all(isinstance(row, dict) for row in value):
            yield _Found(path, value)
            yield from _nested(value, path, depth, left)
        elif all(isinstance(row, str) and row.strip() for row in value):
            yield _Found(path, value)


def _nested(
    rows: Sequence[Mapping[str, Any]], path: str, depth: int, left: Iterator[int]
) -> Iterator[_Found]:
    """Yield the lists in the members of a list, by their path from its beginning."""
    for each in _together(rows[:_MOST_MEMBERS], depth, left):
        if each.path:
            yield _Found(f"{path}[].{each.path}" if path else f"*.{each.path}", each.rows, each.is_uncertain)


def _together(values: Iterable[Any], depth: int, left: Iterator[int]) -> list[_Found]:
    """Return the lists in several values, those at one path as one."""
    found: dict[str, list[Any]] = {}
    uncertain: set[str] = set()
    for value in values:
        for each in _lists(value, "", depth + 1, left):
            found.setdefault(each.path, []).extend(each.rows)
            uncertain |= {each.path} if each.is_uncertain else set()
    return [_Found(path, rows, path in uncertain) for path, rows in found.items()]


def _has_keys_like_ids(value: Mapping[str, Any]) -> bool:
    """Return whether the members of an object are objects with a common name, and its keys look like ids."""
    members = list(value.values())
    if not members or not all(isinstance(row, dict) and row for row in members) or not has_ids(value):
        return False
    return bool(set.intersection(*map(set, members))) and all(_LIKE_ID.search(key) for key in value)


def _is_by_provider(members: Mapping[str, Any]) -> bool:
    """Return whether the members of an object are lists of models, or have one, by the name of a provider."""
    if len(members) < 2 or not has_ids(members) or any("model" in name.lower() for name in members):  # noqa: PLR2004
        return False
    if _are(list, members.values()):
        rows = [row for each in members.values() for row in each]
        return _are(dict, rows) or _are(str, rows)
    return _are(dict, members.values()) and _share_a_list(members.values())


def _are(kind: type, values: Iterable[Any]) -> bool:
    return all(isinstance(each, kind) for each in values)


def _share_a_list(values: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether objects have a list, or an object of objects, at a common name."""
    names = [{name for name, inner in each.items() if _may_be_list(inner)} for each in values]
    return bool(set.intersection(*names))


def _may_be_list(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, dict) and bool(value) and _are(dict, value.values()))
