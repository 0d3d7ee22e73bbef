"""Live lookup: fetch the record of a single model at its own URL, and compare it with that in the list."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pipeline.core import canonical, jsonpath
from pipeline.core.diff import field_changes
from pipeline.core.types import FieldChange, Scope
from pipeline.errors import FetchError, Unreadable
from pipeline.gateways.dialects import Answer, Dialect
from pipeline.gateways.dialects.envelope import parse_json, raise_for_error, raise_for_error_row

if TYPE_CHECKING:
    from pipeline.gateways.client import GatewayClient
    from pipeline.gateways.http import Reply

_UNKNOWN_MODEL = re.compile(r"not[ _-]?found|does ?n[o']t exist|no such|unknown model|不存在", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Lookup:
    """A model to look up as one scope; `listed` is the body of its record in the list, None without one."""

    scope: Scope
    dialect: Dialect
    model: str
    listed: str | None


class Verdict(StrEnum):
    """The result of comparing a model's own record with that in the list."""

    SAME = "same"
    DIFFERS = "differs"
    UNLISTED = "unlisted"
    NOT_FOUND = "not_found"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class LookupResult:
    """The result of a lookup.

    Args:
        verdict: how the records compare.
        fields: for `differs`, the fields; `before` is the value in the list.
        message: for `error`, the message.
    """

    verdict: Verdict
    fields: tuple[FieldChange, ...] = ()
    message: str | None = None


def lookup(
    lookups: Sequence[Lookup],
    make_client: Callable[[], GatewayClient],
    on_answer: Callable[[], None] = lambda: None,
) -> dict[str, LookupResult]:
    """Look models up, all at once.

    Args:
        lookups: at most one per scope.
        make_client: makes the client, inside the event loop.
        on_answer: called after each result.

    Returns:
        The results by scope.
    """

    async def look_up_all() -> dict[str, LookupResult]:
        results: dict[str, LookupResult] = {}
        async with make_client() as client, asyncio.TaskGroup() as group:

            async def look_up(wanted: Lookup) -> None:
                results[wanted.scope.name] = await _lookup(client, wanted)
                on_answer()

            for wanted in lookups:
                group.create_task(look_up(wanted))
        return results

    return asyncio.run(look_up_all())


async def _lookup(client: GatewayClient, wanted: Lookup) -> LookupResult:
    for path in record_paths(wanted.dialect, wanted.model):
        try:
            return compare_record(wanted, await client.get(wanted.scope, wanted.dialect, path))
        except FetchError as error:
            if not _is_unknown_model(error):
                return LookupResult(Verdict.ERROR, message=error.message)
    return LookupResult(Verdict.NOT_FOUND)


def record_paths(dialect: Dialect, model: str) -> Iterator[str]:
    """Yield the paths, below the URL of the list, at which a model's own record may be.

    The first encodes `/`, as one segment; the second keeps it, for servers that match the rest of the path.
    """
    if dialect.id_at == "name":
        # The id is a resource name that begins with the collection: `models/gemini-2.5-pro`.
        # https://google.aip.dev/122
        model = model.removeprefix(f"{dialect.path.rpartition('/')[2]}/")
    forms = (quote(model, safe=safe) for safe in ("", "/"))
    yield from dict.fromkeys(f"/{form}" for form in forms)


def _is_unknown_model(error: FetchError) -> bool:
    if error.status is not None:
        return error.status == HTTPStatus.NOT_FOUND
    # Some servers report an unknown model with status 200.
    return isinstance(error, Unreadable) and bool(_UNKNOWN_MODEL.search(error.message))


def compare_record(wanted: Lookup, reply: Reply) -> LookupResult:
    """Parse a single record as a row of the list, and compare it with the list's.

    Raises:
        Unreadable: the answer is not a record.
    """
    row = _row(parse_json(reply.body), wanted.dialect)
    body = canonical.encode({"data": [row]}).encode()
    as_list = replace(wanted.dialect, list_at=("data",), paging=None, success=())
    records = list(as_list.read(Answer((body,), reply.time)).records.values())
    if wanted.listed is None or not records:
        return LookupResult(Verdict.UNLISTED)
    listed = wanted.dialect.normalise(canonical.decode(wanted.listed.encode()))
    differing = field_changes(canonical.encode(listed), records[0].body)
    return LookupResult(Verdict.DIFFERS if differing else Verdict.SAME, differing)


def _row(value: Any, dialect: Dialect) -> Any:
    at = jsonpath.parse(dialect.id_at)
    # A record may have a `status` or a `code` of its own, and an error may have an `id`.
    if jsonpath.find(value, at) is None or (isinstance(value, dict) and value.get("error")):
        raise_for_error(value)
    raise_for_error_row(value)
    inner = value.get("data") if isinstance(value, dict) else None
    candidates = (value, inner[0] if isinstance(inner, list) and len(inner) == 1 else inner)
    for row in candidates:
        if jsonpath.find(row, at) is not None:
            return row
    raise Unreadable("the answer is no record of a model")
