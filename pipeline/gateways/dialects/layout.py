"""Where the rows of a list, and the ids in them, are in an answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from msgspec import Struct

from pipeline.core import jsonpath
from pipeline.core.facts import FactPaths
from pipeline.core.jsonpath import Path
from pipeline.gateways.dialects import signs

ENCLOSING = "^"
"""The member of a row that holds the object around it, while its id is made; no record has it."""

_PLACEHOLDER = re.compile(r"\{(\^?)([^{}]*)\}")
_OWNERS = ("id", "slug", "name", "provider", "key")
"""Where an object that holds a list of models has its own name, the likeliest first."""

_MAKERS = (
    *("vendor", "provider", "owner", "owned_by", "ownedBy", "organization", "organisation"),
    *("publisher", "developer", "creator", "maker", "company"),
)
"""Where such an object names the owner of its models."""

CERTAIN_IDS = ("model_id", "modelId", "model_name", "modelName", "model")
"""Names of ids that are nothing else, if each row has another."""

_LISTS_OF_MODELS = signs.words("models modellist")
_CONTAINERS = signs.words(
    "content data items list modellist models output payload records response result results"
)
_FACTS = ("owned_by", "context_length", "max_output", "price_source", "input_modalities", "output_modalities")
_SAMPLE = 20


class IdPath(Struct, frozen=True):
    """Where in a row the id of its model is: a path, or a text with paths in braces.

    `{provider}/{name}` joins two fields; `{^name}` is a field of the object around the list, and `{^}` the id
    or name of that object.

    Args:
        parts: texts, and paths with whether they begin in the object around the list.
        at: the path in a row for an id that stands elsewhere: a bare text, or the key of a record.
    """

    parts: tuple[str | tuple[bool, Path], ...]
    at: Path

    @classmethod
    @cache
    def parse(cls, text: str) -> IdPath:
        """Parse a path or a text with paths in braces.

        Raises:
            ValueError: it names no one place.
        """
        if "{" not in text and "}" not in text:
            path = one_place(text)
            return cls(((False, path),), path)
        parts: list[str | tuple[bool, Path]] = []
        end = 0
        for found in _PLACEHOLDER.finditer(text):
            parts += [text[end : found.start()]] if found.start() > end else []
            above, inner = bool(found[1]), found[2]
            parts.append((above, one_place(inner) if inner or not above else ()))
            end = found.end()
        parts += [text[end:]] if text[end:] else []
        own = [part[1] for part in parts if isinstance(part, tuple) and not part[0]]
        if any("{" in part or "}" in part for part in parts if isinstance(part, str)) or not own:
            raise ValueError(
                f"{text!r} is no id: write paths of a record in braces, such as '{{provider}}/{{name}}'"
            )
        return cls(tuple(parts), own[-1])

    @property
    def is_plain(self) -> bool:
        """Whether it is the path of one field."""
        return self.parts == ((False, self.at),)

    @property
    def has_enclosing(self) -> bool:
        """Whether a part is in the object around the list."""
        return any(isinstance(part, tuple) and part[0] for part in self.parts)

    def find(self, row: Any) -> Any:
        """Return the id of a row; None, or the value that is no text, where it has none."""
        if self.is_plain:
            return jsonpath.find(row, self.at)
        texts = [part if isinstance(part, str) else _part(row, part) for part in self.parts]
        return None if None in texts else "".join(text for text in texts if text)


def _part(row: Any, part: tuple[bool, Path]) -> str | None:
    """Return one part of an id as a text; None where the row has none."""
    above, path = part
    if not isinstance(row, Mapping):
        return None
    value = jsonpath.find(row.get(ENCLOSING), path or ("",)) if above else jsonpath.find(row, path)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value.strip() else None


def one_place(text: str) -> Path:
    """Parse a path that names one place.

    Raises:
        ValueError: it is no path, or has `*` or `[]`.
    """
    path = jsonpath.parse(text)
    if "*" in path:
        raise ValueError(f"{text!r} names many places with `*` or `[]`: name one, such as 'pricing.input'")
    return path


def certain_id(rows: Sequence[Any]) -> str | None:
    """Return the name of the ids of rows without a text at `id`; None where it is uncertain."""
    if not rows or not all(isinstance(row, dict) and not isinstance(row.get("id"), str) for row in rows):
        return None
    for name in CERTAIN_IDS:
        ids = {row.get(name) for row in rows if isinstance(row.get(name), str) and row[name].strip()}
        if len(ids) == len(rows):
            return name
    return None


class Placed(Struct, frozen=True):
    """A row that does not stand in one array of rows.

    Args:
        row: the value.
        key: its name in an object by id; None in an array.
        enclosing: the object around its list, with its id or name at ""; None without one.
    """

    row: Any
    key: str | None = None
    enclosing: Mapping[str, Any] | None = None

    @property
    def owner(self) -> str | None:
        """The owner that the object around its list names, or else the id or name of that object."""
        return _text_at(self.enclosing, (*_MAKERS, "")) if self.enclosing else None


def rows_by_id(value: Mapping[str, Any]) -> list[Placed]:
    """Return the rows of an object whose members are records."""
    return [Placed(row, key) for key, row in value.items()]


def nested_rows(value: Any, path: Path) -> list[Placed] | None:
    """Return the rows of the lists in a list, such as `providers.*.models`; None where no list is there.

    An object around a list gives its id or name to the rows; one without a list has no models.
    """
    lists = list(_lists(value, path, None))
    return [row for rows in lists for row in rows] if lists else None


def _lists(value: Any, path: Path, enclosing: Mapping[str, Any] | None) -> Iterator[list[Placed]]:
    if "*" not in path:
        found = jsonpath.find(value, path) if path else value
        if isinstance(found, list):
            yield [Placed(row, None, enclosing) for row in found]
        elif isinstance(found, dict) and all(isinstance(row, dict) for row in found.values()):
            yield [Placed(row, key, enclosing) for key, row in found.items()]
        return
    for key, each in _members(value, path):
        around = {**each, "": _name(each, key)} if isinstance(each, dict) else {"": key}
        yield from _lists(each, path[path.index("*") + 1 :], around)


def _members(value: Any, path: Path) -> list[tuple[str | None, Any]]:
    """Return the members of what is before the first `*` of a path, with their keys in an object."""
    star = path.index("*")
    outer = jsonpath.find(value, path[:star]) if star else value
    if isinstance(outer, dict):
        return list(outer.items())
    return [(None, each) for each in outer] if isinstance(outer, list) else []


def members_without_rows(value: Any, path: Path) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
    """Yield the objects around the lists in a list that have none, or an empty one, with id or name."""
    for key, each in _members(value, path):
        if isinstance(each, dict) and not any(_lists(each, path[path.index("*") + 1 :], None)):
            yield _name(each, key), each


def _name(value: Mapping[str, Any], key: str | None) -> str | None:
    """Return the id or name of an object with a list of models; its key where it has none."""
    return _text_at(value, _OWNERS) or key or _text_at(value, _MAKERS)


def _text_at(value: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """Return the first text at one of these names; None without one."""
    texts = (value.get(name) for name in names)
    return next((text for text in texts if isinstance(text, str) and text.strip()), None)


def list_by_id(
    envelope: Any, paths: tuple[str, ...], *, declared: bool
) -> tuple[Path, Mapping[str, Any]] | None:
    """Return an object of an envelope whose members are records, and its path; None where none is certain.

    Without a declaration there is one if each member is an object and no array stands beside it, and if it is
    named `models` or most of its members have facts of models.

    Args:
        envelope: the parsed answer.
        paths: the paths at which a list may be.
        declared: the config names the path.
    """
    for steps in sorted((jsonpath.parse(path) if path else () for path in paths), key=len, reverse=True):
        value = envelope if not steps else jsonpath.find(envelope, steps)
        if not isinstance(value, dict) or not all(isinstance(row, dict) for row in value.values()):
            continue
        if declared or _is_by_id(envelope, steps, value):
            return steps, value
    return None


def _is_by_id(envelope: Any, steps: Path, value: Mapping[str, Any]) -> bool:
    around = jsonpath.find(envelope, steps[:-1]) if steps else {}
    if not value or any(isinstance(beside, list) for beside in around.values()):
        return False
    if steps and signs.simplified(steps[-1]) in _LISTS_OF_MODELS:
        members = list(value.values())[:_SAMPLE]
        return has_ids(value) and all(
            not row or any(not isinstance(each, dict) for each in row.values()) for row in members
        )
    return is_object_by_id(value)


def is_object_by_id(value: Mapping[str, Any]) -> bool:
    """Return whether each member of an object is one, and most have facts of models."""
    members = list(value.values())
    if not members or not all(isinstance(row, dict) for row in members) or not has_ids(value):
        return False
    sample = members[:_SAMPLE]
    return 2 * sum(map(has_facts, sample)) >= len(sample)


def has_ids(value: Mapping[str, Any]) -> bool:
    """Return whether no name of a member is one that objects around lists have."""
    return not any(signs.simplified(name) in _CONTAINERS or signs.has_role(name) for name in value)


def has_facts(row: Mapping[str, Any]) -> bool:
    """Return whether a record has a fact that other objects than models hardly have."""
    facts = _FACT_PATHS(row)
    return any(getattr(facts, name) for name in _FACTS)


_FACT_PATHS = FactPaths()
