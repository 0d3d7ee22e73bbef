"""The reference of the config, in Markdown and as the JSON Schema for editors; both follow from `schema`.

`python -m pipeline.config.reference` writes `config.schema.json` anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import cleandoc
from typing import Any, get_args

from msgspec import json
from msgspec.structs import FieldInfo, fields

from pipeline.config import schema
from pipeline.config.kinds import TimeOfDay, metas, toml
from pipeline.config.load import SCHEMA_FILE
from pipeline.core.types import Limits, Thresholds
from pipeline.gateways.dialects import AUTO, FACT_NAMES, all_dialects

_MEANING = re.compile(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", re.MULTILINE)

_DESTINATIONS: tuple[type[schema.Destination], ...] = get_args(schema.AnyDestination)


def keys(kind: type[schema.Table]) -> str:
    """Return a Markdown table of the keys of a table; a mark shows those that scopes have too."""
    shared = set() if kind in (schema.File, schema.Dask) else set(schema.Shared.__struct_fields__)
    rows = []
    for each in sorted(fields(kind), key=lambda each: each.name in shared):
        if kind is schema.Scope and each.name not in shared:
            rows.append((f"`{each.encode_name}`", f"`{toml(dict(_examples(each)))}`", _meaning(kind, each)))
        elif kind is not schema.Scope and list(_examples(each)):
            lines = (f"`{key} = {toml(value)}`" for key, value in reversed([*_examples(each)]))
            mark = " •" if each.name in shared else ""
            rows.append((f"`{each.encode_name}`{mark}", "<br>".join(lines), _meaning(kind, each)))
    return _table(("key", "example", "meaning"), rows)


def destination_keys() -> str:
    """Return a Markdown table of the keys of destinations, with the types that have them."""
    types: dict[tuple[str, str, str], list[str]] = {}
    types["`type`", '`type = "smtp"`', _meanings(schema.Destination)["type"]] = []
    for kind in _DESTINATIONS:
        for each in fields(kind):
            example = f"`{each.encode_name} = {toml(dict(_examples(each))[each.encode_name])}`"
            row = (f"`{each.encode_name}`", example, _meaning(kind, each))
            types.setdefault(row, []).append(str(kind.__struct_config__.tag))
    every = [[], [str(kind.__struct_config__.tag) for kind in _DESTINATIONS]]
    rows = (
        (key, "all" if names in every else ", ".join(names), example, meaning)
        for (key, example, meaning), names in types.items()
    )
    return _table(("key", "for", "example", "meaning"), rows)


def json_schema() -> bytes:
    """Return the JSON Schema of the config, as editors of TOML know it: draft 7, without references."""
    found = json.schema(schema.File, schema_hook=TimeOfDay.schema)
    tables = {each.__name__: each for each in _tables(schema.Table)}
    for name, table in found["$defs"].items():
        if name not in tables:
            continue  # the choices of a text
        meanings = _meanings(tables[name])
        table["description"] = cleandoc(tables[name].__doc__ or "").partition("\n\nArgs:")[0]
        for key, each in table["properties"].items():
            each["description"] = meanings[key]
            for settings in (Limits(), Thresholds()):
                if (
                    hasattr(settings, key)
                    and name in ("Gateway", "Scope")
                    and key != "timeout" * (name == "Scope")
                ):
                    each["default"] = getattr(settings, key)
    gateway = found["$defs"]["Gateway"]["properties"]
    gateway["facts"] |= {
        "properties": {name: {"type": "string"} for name in FACT_NAMES},
        "additionalProperties": False,
    }
    for table in ("Gateway", "Scope"):
        found["$defs"][table]["properties"]["dialect"]["enum"] = [AUTO, *all_dialects()]
    whole = {"$schema": "http://json-schema.org/draft-07/schema#", **_inlined(found, found["$defs"])}
    return json.format(json.encode(whole), indent=1) + b"\n"


def _tables(kind: type[schema.Table]) -> Iterator[type[schema.Table]]:
    for each in kind.__subclasses__():
        yield from (each, *_tables(each))


def _inlined(value: Any, tables: dict[str, Any]) -> Any:
    """Return a JSON Schema without references, null, and defaults that say nothing."""
    if isinstance(value, list):
        return [_inlined(each, tables) for each in value]
    if not isinstance(value, dict):
        return value
    whole = {
        key: each for key, each in value.items() if key not in ("$defs", "$ref", "discriminator", "title")
    }
    if "$ref" in value:
        whole = {**tables[value["$ref"].rpartition("/")[2]], **whole}
    if "anyOf" in whole:
        whole["anyOf"] = [each for each in whole["anyOf"] if each != {"type": "null"}]
        if len(whole["anyOf"]) == 1:
            whole = {**whole.pop("anyOf")[0], **whole}
            return _inlined(whole, tables)
    if whole.get("default", True) in (None, [], {}):
        del whole["default"]
    return {key: _inlined(each, tables) for key, each in whole.items() if key != "title"}


def _meanings(kind: type[schema.Table]) -> dict[str, str]:
    """Return the meaning of each key, from the docstrings of a table and of those that it extends."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        found |= {
            name: " ".join(text.split()) for name, text in _MEANING.findall(cleandoc(each.__doc__ or ""))
        }
    return found


def _meaning(kind: type[schema.Table], each: FieldInfo) -> str:
    return _meanings(kind)[each.encode_name]


def _examples(each: FieldInfo) -> Iterator[tuple[str, Any]]:
    """Yield the first example of a key, and what it needs beside it; nothing for a table of its own."""
    for about in metas(each.type):
        if about.examples and about.extra:
            yield each.encode_name, about.examples[0]
            yield from about.extra["beside"]
            return


def _table(headings: tuple[str, ...], rows: Any) -> str:
    lines = (f"| {' | '.join(row)} |" for row in (headings, ("---",) * len(headings), *rows))
    return "\n" + "\n".join(lines) + "\n\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_bytes(json_schema())
