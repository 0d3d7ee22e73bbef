"""Parse a recorded listing again under new rules, so that these are not reported as changes at a gateway."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from pipeline.core import canonical, jsonpath
from pipeline.core.types import Listing, Record
from pipeline.gateways.dialects import Dialect, storable_id


def reparse(recorded: Listing, dialect: Dialect, new: Listing) -> Listing:
    """Return a recorded listing as a dialect parses it now.

    The recorded bodies lack the fields that the old rules dropped as noise, and the recorded listing the ids
    that were no models; these are taken from `new`, the listing of the present answer.
    """
    # Of an older list, nothing says which records the answer would have offered to the caller.
    only = new.records if dialect.select and not _rules(recorded.reading).get("select") else None
    regained = sorted(set(_noise(recorded.reading)) - set(dialect.noise))
    no_models: list[str] = _rules(recorded.reading).get("no_models", [])
    records = {
        name: record
        for name, record in new.records.items()
        if any(fnmatchcase(name, glob) for glob in no_models)
    }
    for name, record in recorded.records.items():
        body = canonical.decode(record.body.encode())
        found = dialect.find_id(body)
        model = storable_id(found) if isinstance(found, str) and found.strip() else name
        if not dialect.is_no_model(model) and (only is None or model in only):
            records[model] = _record(
                model, dialect.normalise(_with_fields_of(new.records.get(model), body, regained))
            )
    return Listing(records, canonical.digest_of_records(records.values()), dialect.reading)


def _noise(reading: str) -> list[str]:
    noise: list[str] = _rules(reading).get("noise", [])
    return noise


def _rules(reading: str) -> dict[str, Any]:
    rules: dict[str, Any] = canonical.decode(reading.encode())
    return rules


def _with_fields_of(new: Record | None, body: Any, paths: Sequence[str]) -> Any:
    if new is None or not paths:
        return body
    source = canonical.decode(new.body.encode())
    for path in paths:
        body = jsonpath.graft(body, source, jsonpath.parse(path))
    return body


def _record(model: str, body: Any) -> Record:
    text = canonical.encode(body)
    return Record(model, canonical.digest(text), text)
