"""What to set for a list, or for ids, at another place than a dialect expects: the lines for the config."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice, product
from typing import Any

from msgspec import Struct

from pipeline.core import canonical, jsonpath
from pipeline.core.text import printable
from pipeline.gateways.dialects.layout import IdPath, has_facts, has_ids, is_object_by_id
from pipeline.gateways.dialects.signs import simplified

_IDS = (
    *("id", "modelid", "model", "modelname", "modelcode", "modelslug", "modelkey", "modelidentifier", "slug"),
    *("name", "key", "code", "identifier", "uid", "displayname", "title"),
)
"""Names under which an id may be, as `simplified` gives them, the likeliest first."""

_OWNERS = (
    *("vendor", "provider", "owner", "ownedby", "organization", "org", "publisher", "author", "company"),
    *("namespace", "maker", "brand", "creator"),
)
"""Names of the text before the name of a model."""

_VARIANTS = (
    *("version", "variant", "revision", "release", "tag", "region", "location", "size", "quantization"),
    *("tier", "edition", "type", "endpoint", "channel", "group"),
)
"""Names of the text after the name of a model."""

_MOST_PARTS = 6
"""So many owners, and so many variants, are tried."""

_PATHS = re.compile(r"\{([^{}]+)\}")
_NEAR = 0.6
_LIKE_ID = re.compile(r"[-/.:]|\d")
_DEEPEST = 5
_MOST_MEMBERS = 200
_MOST_PLACES = 1000
"""So many objects and arrays of an answer are searched, which bounds the time."""
_MOST_NAMES = 12
_LONGEST_NAME = 40
_SAMPLE = 20


class _Found(Struct, frozen=True):
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


def id_advice(rows: Iterable[Any], id_at: str = "id") -> str | None:
    """Return which fields of rows may be the id, with the line to add; else which fields they have.

    Args:
        rows: those of a list without ids.
        id_at: where they were looked for; a name that is nearly one of a record is corrected.
    """
    records = [row for row in rows if isinstance(row, dict) and row]
    if not records:
        return None
    flat = [_flat(record) for record in records]
    if meant := _corrected(id_at, flat):
        return f"did you mean `id = {canonical.encode(meant)}`? The records have {named(*flat)}"
    if name := id_name(records):
        return f"each record has `{name}`: add `id = {canonical.encode(name)}`"
    if joined := _joined_id(records):
        return f"no field alone tells the records apart: add `id = {canonical.encode(joined)}`"
    return f"the records have {named(*flat)}"


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a record, and those of its objects by their paths."""
    found: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, dict) and value and _is_step(name):
            found |= {f"{name}.{inner}": each for inner, each in value.items()}
        else:
            found[name] = value
    return found


def _corrected(id_at: str, records: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the place of ids with the names that no record has replaced by near ones; None without any."""
    found = id_at
    names = sorted({name for record in records[:_MOST_MEMBERS] for name in record})
    for path in _PATHS.findall(id_at) or [id_at]:
        if path == "id" or path.startswith("^") or any(path in record for record in records):
            continue
        near = get_close_matches(path, names, n=1, cutoff=_NEAR)
        if not near:
            return None
        found = found.replace(f"{{{path}}}", f"{{{near[0]}}}") if "{" in found else near[0]
    return found if found != id_at else None


def _joined_id(records: Sequence[Mapping[str, Any]]) -> str | None:
    """Return an id of several fields that tells records apart; None without one."""
    main = id_name(records, unique=False)
    if main is None:
        return None
    owners, variants = (
        [path for path in _paths_named(records[0], names) if path != main and _is_text(records, path)]
        for names in (_OWNERS, _VARIANTS)
    )
    before = ["", *(f"{{{path}}}/" for path in owners[:_MOST_PARTS])]
    after = ["", *(f"-{{{path}}}" for path in variants[:_MOST_PARTS])]
    forms = sorted(product(before, after), key=lambda form: (bool(form[1]), not form[0]))
    for start, end in forms:
        joined = f"{start}{{{main}}}{end}"
        ids = [IdPath.parse(joined).find(record) for record in records] if start or end else []
        if ids and len(set(ids)) == len(ids):
            return joined
    return None


def _is_text(records: Sequence[Mapping[str, Any]], path: str) -> bool:
    """Return whether each record has a text at a path."""
    texts = (jsonpath.find(record, jsonpath.parse(path)) for record in records)
    return all(isinstance(text, str) and text.strip() for text in texts)


def id_name(records: Sequence[Mapping[str, Any]], *, unique: bool = True) -> str | None:
    """Return the path of the likeliest id: each record has a text there, another one if that is asked."""
    for path in _id_paths(records[0]) if records else ():
        if not _is_text(records, path):
            continue
        texts = {jsonpath.find(record, jsonpath.parse(path)) for record in records}
        if not unique or len(texts) == len(records):
            return path
    return None


def _id_paths(record: Mapping[str, Any]) -> list[str]:
    """Return the paths in a record at which an id may be: those in the record first, then the likeliest."""
    return _paths_named(record, _IDS)


def _paths_named(record: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Return the paths with the simplified names: those in the record first, in the order of the names."""
    inner = [(name, value) for name, value in record.items() if isinstance(value, dict) and _is_step(name)]
    return [
        *(own for name in names for own in record if simplified(own) == name and _is_step(own)),
        *(
            f"{outer}.{own}"
            for name in names
            for outer, value in inner
            for own in value
            if simplified(own) == name and _is_step(own)
        ),
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
