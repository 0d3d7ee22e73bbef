"""What `/v1/models` says under `permission`: the documented flags of each entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.values import text

FLAGS = (
    "allow_create_engine",
    "allow_sampling",
    "allow_logprobs",
    "allow_search_indices",
    "allow_view",
    "allow_fine_tuning",
    "is_blocking",
)

Body = Mapping[str, Any]


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


def permissions(body: Body) -> tuple[Permission, ...]:
    """Read `permission`, an array that may be null, missing or hold what is no object."""
    entries = body.get("permission")
    if not isinstance(entries, list):
        return ()
    return tuple(_permission(entry) for entry in entries if isinstance(entry, dict))


def _permission(entry: Body) -> Permission:
    return Permission(
        **{flag: _flag(entry.get(flag)) for flag in FLAGS},
        organization=text(entry.get("organization")),
        group_name=text(entry.get("group")),
    )


def _flag(value: Any) -> int | None:
    return int(value) if isinstance(value, bool) else None
