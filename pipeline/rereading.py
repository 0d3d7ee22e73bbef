"""Read a recorded listing again under new rules, so that those do not look like a change of the world."""

from __future__ import annotations

from typing import Any

from pipeline import canonical, paths
from pipeline.dialects import Dialect, storable
from pipeline.types import Listing, Record


def reread(old: Listing, dialect: Dialect, new: Listing) -> Listing:
    """Give a recorded listing as a dialect reads it now.

    A field that the old rules had dropped is in no recorded body: it is taken as it comes in `new`, the
    answer at hand.
    """
    regained = sorted(set(_noise(old.reading)) - set(dialect.noise))
    at = paths.parse(dialect.id_at)
    records = {}
    for known, record in old.records.items():
        body = canonical.decode(record.body.encode())
        named = paths.find(body, at)
        model = storable(named) if isinstance(named, str) and named.strip() else known
        if not dialect.is_no_model(model):
            told = dialect.told(_regained(body, new.records.get(model), regained))
            records[model] = _record(model, told)
    return Listing(records, canonical.digest_of_records(records.values()), dialect.reading)


def _noise(reading: str) -> list[str]:
    noise: list[str] = canonical.decode(reading.encode()).get("noise", [])
    return noise


def _regained(body: Any, new: Record | None, regained: list[str]) -> Any:
    if new is None or not regained:
        return body
    now = canonical.decode(new.body.encode())
    for path in regained:
        body = paths.grafted(body, now, paths.parse(path))
    return body


def _record(model: str, body: Any) -> Record:
    text = canonical.encode(body)
    return Record(model, canonical.digest(text), text)
