"""What to set for a list, or for ids, at another place than a dialect expects: the lines for the config."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pipeline.core import canonical
from pipeline.core.text import printable
from pipeline.gateways.dialects.layout import has_facts, is_object_by_id

_IDS = (
    *("id", "model_id", "modelId", "model", "model_name", "modelName", "slug", "name", "key", "code"),
    *("identifier", "uid", "display_name", "displayName", "title"),
)
"""Names under which an id may be, the likeliest first."""

_DEEPEST = 5
_MOST_MEMBERS = 200
_MOST_NAMES = 12
_LONGEST_NAME = 40
_SAMPLE = 20


@dataclass(frozen=True, slots=True)
class _Found:
    """A list in an envelope: its path as the config writes it, and its rows."""

    path: str
    rows: Sequence[Any]

    @property
    def rank(self) -> tuple[bool, float, bool, int]:
        """How likely it is the list of models."""
        records = [row for row in self.rows[:_SAMPLE] if isinstance(row, dict)]
        share = sum(map(has_facts, records)) / len(records) if records else 0.0
        return "model" in self.path.lower(), share, id_name(records) is not None, len(self.rows)


def list_advice(envelope: Any) -> str | None:
    """Return where the likeliest list in an envelope is, with the lines to add; None where there is none."""
    found = max(_lists(envelope, "", 0), key=lambda each: each.rank, default=None)
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


def id_name(records: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the name of the likeliest id: each record has another text there."""
    for name in _IDS:
        texts = [record.get(name) for record in records]
        if all(isinstance(text, str) and text.strip() for text in texts) and len(set(texts)) == len(texts):
            return name if records else None
    return None


def named(*objects: Mapping[str, Any]) -> str:
    """Return the names of the members of objects, as a message shows them."""
    names = list(dict.fromkeys(name for each in objects[:_MOST_MEMBERS] for name in each))
    shown = ", ".join(f"`{printable(name, longest=_LONGEST_NAME)}`" for name in names[:_MOST_NAMES])
    return f"{shown} …" if len(names) > _MOST_NAMES else shown


def _id_to_set(found: _Found, records: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the id to set; None where that at `id` is right, or no name is likely."""
    name = id_name(records)
    if name or "[]" not in found.path:
        return None if name == "id" else name
    # Lists of several providers may have equal ids.
    inner = next((each for each in _IDS if all(isinstance(row.get(each), str) for row in records)), None)
    return f"{{^}}/{{{inner}}}" if inner else None


def _lists(value: Any, path: str, depth: int) -> Iterator[_Found]:
    """Yield the lists in a value that may be one of models."""
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        if path and is_object_by_id(value):
            yield _Found(path, [{"id": key, **row} for key, row in value.items()])
        for name, member in islice(value.items(), _MOST_MEMBERS):
            if name and "." not in name and "*" not in name and "[]" not in name:
                yield from _lists(member, f"{path}.{name}" if path else name, depth + 1)
    if isinstance(value, list) and value:
        if all(isinstance(row, dict) for row in value):
            yield _Found(path, value)
            yield from _nested(value, path, depth)
        elif "model" in path.lower() and all(isinstance(row, str) and row.strip() for row in value):
            yield _Found(path, value)


def _nested(rows: Sequence[Mapping[str, Any]], path: str, depth: int) -> Iterator[_Found]:
    """Yield the lists in the members of a list, by their path from its beginning."""
    found: dict[str, list[Any]] = {}
    for row in rows[:_MOST_MEMBERS]:
        for name, member in row.items():
            for each in _lists(member, name, depth + 1):
                found.setdefault(each.path, []).extend(each.rows)
    yield from (_Found(f"{path}[].{name}", inner) for name, inner in found.items())
