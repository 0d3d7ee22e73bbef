"""Our reading of a record: documented fields as columns for people, never part of its digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pipeline.canonical import as_text

PLACEHOLDERS = frozenset({0, 1626777600, 1677610602})
"""Values of `created` that server software writes for every model: they tell nothing."""

_MILLISECONDS_FROM = 100_000_000_000
_LATEST = 253_402_300_799  # the last second of the year 9999

FLAGS = (
    "allow_create_engine",
    "allow_sampling",
    "allow_logprobs",
    "allow_search_indices",
    "allow_view",
    "allow_fine_tuning",
    "is_blocking",
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the documented fields of a record say; `created` in ISO 8601, None when it tells nothing."""

    object: str | None
    owned_by: str | None
    created: str | None
    root: str | None
    parent: str | None


@dataclass(frozen=True, slots=True)
class Permission:
    """One entry of `permission[]`; flags as 0, 1 or None where the server leaves them out."""

    allow_create_engine: int | None
    allow_sampling: int | None
    allow_logprobs: int | None
    allow_search_indices: int | None
    allow_view: int | None
    allow_fine_tuning: int | None
    is_blocking: int | None
    organization: str | None
    group_name: str | None


def facts(body: Mapping[str, Any]) -> Facts:
    """Read the documented fields; a field of an unexpected type is given as its text."""
    return Facts(
        object=_text(body.get("object")),
        owned_by=_text(body.get("owned_by")),
        created=_time(body.get("created")),
        root=_text(body.get("root")),
        parent=_text(body.get("parent")),
    )


def permissions(body: Mapping[str, Any]) -> tuple[Permission, ...]:
    """Read `permission`, an array that may be null, missing or hold what is no object."""
    entries = body.get("permission")
    if not isinstance(entries, list):
        return ()
    return tuple(_permission(entry) for entry in entries if isinstance(entry, dict))


def _permission(entry: Mapping[str, Any]) -> Permission:
    return Permission(
        **{flag: _flag(entry.get(flag)) for flag in FLAGS},
        organization=_text(entry.get("organization")),
        group_name=_text(entry.get("group")),
    )


def _flag(value: Any) -> int | None:
    return int(value) if isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else as_text(value)


def _time(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value in PLACEHOLDERS:
        return None
    seconds = value / 1000 if value >= _MILLISECONDS_FROM else value
    if not 0 < seconds <= _LATEST:
        return None
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
