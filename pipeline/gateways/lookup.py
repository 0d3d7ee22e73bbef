"""Live lookup: fetch the record of a single model at its own URL, and compare it with that in the list."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core import canonical
from pipeline.core.diff import field_changes
from pipeline.core.types import FieldChange, Scope
from pipeline.errors import FetchError, Unreadable
from pipeline.gateways.dialects import Answer, Dialect
from pipeline.gateways.dialects.envelope import parse_json, raise_for_error, raise_for_error_row

if TYPE_CHECKING:
    from pipeline.gateways.client import GatewayClient
from pipeline.gateways.faults import unexpected
from pipeline.gateways.http import Reply

_UNKNOWN_MODEL = re.compile(r"not[ _-]?found|does ?n[o']t exist|no such|unknown model|不存在", re.IGNORECASE)

_REQUESTED = re.compile(r"\S*/models\S*")
"""An address in a message: `Invalid URL (GET /v1/models/a)` says nothing of the model that it names."""

_NO_ADDRESS = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)


class Lookup(Struct, frozen=True):
    """A model to look up as one scope; `listed` is the body of its record in the list, None without one."""

    scope: Scope
    dialect: Dialect
    model: str
    listed: str | None


class Verdict(StrEnum):
    """The result of comparing a model's own record with that in the list.

    `not_found`: the gateway says that it has no such model. `no_address`: nothing there is about a model.
    """

    SAME = "same"
    DIFFERS = "differs"
    UNLISTED = "unlisted"
    NOT_FOUND = "not_found"
    NO_ADDRESS = "no_address"
    ERROR = "error"


class LookupResult(Struct, frozen=True):
    """The result of a lookup.

    Args:
        verdict: how the records compare.
        fields: for `differs`, the fields; `before` is the value in the list. For `unlisted`, the id that the
            record has instead of the one that was asked for.
        message: for `error`, the message.
        lenient: such a gateway may answer for models that it does not offer.
    """

    verdict: Verdict
    fields: tuple[FieldChange, ...] = ()
    message: str | None = None
    lenient: bool = False


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
                found = await _lookup(client, wanted)
                results[wanted.scope.name] = replace(found, lenient=wanted.dialect.lenient_records)
                on_answer()

            for wanted in lookups:
                group.create_task(look_up(wanted))
        return results

    return asyncio.run(look_up_all())


async def _lookup(client: GatewayClient, wanted: Lookup) -> LookupResult:
    verdict = Verdict.NO_ADDRESS
    for path in record_paths(wanted.dialect, wanted.model):
        try:
            reply = await client.get(wanted.scope, wanted.dialect, path)
            if not _is_no_record(reply.body, wanted):
                return compare_record(wanted, reply)
        except FetchError as error:
            if _is_unknown_model(error, wanted.model):
                verdict = Verdict.NOT_FOUND
            elif error.status not in _NO_ADDRESS:
                return LookupResult(Verdict.ERROR, message=error.message)
        except RecursionError as error:
            return LookupResult(Verdict.ERROR, message=unexpected(error).message)
    return LookupResult(verdict)


def _is_no_record(body: bytes, wanted: Lookup) -> bool:
    """Return whether a body is a web page, or a list: servers with one for any address send them."""
    if body.lstrip().startswith(b"<"):
        return True
    value = parse_json(body)
    inner = value.get("data") if isinstance(value, dict) else value
    if not isinstance(inner, list) or not inner:
        return False
    return len(inner) > 1 or wanted.dialect.find_id(inner[0]) != wanted.model


def record_paths(dialect: Dialect, model: str) -> Iterator[str]:
    """Yield the paths, below the URL of the list, at which a model's own record may be.

    The first encodes `/`, as one segment; the second keeps it, for servers that match the rest of the path.
    Segments `.` and `..` are encoded, since httpx would remove them
    (https://www.rfc-editor.org/rfc/rfc3986#section-5.2.4).
    """
    if dialect.id_at == "name":
        # The id is a resource name that begins with the collection: `models/gemini-2.5-pro`.
        # https://google.aip.dev/122
        model = model.removeprefix(f"{dialect.path.rpartition('/')[2]}/")
    forms = ("/".join(map(_segment, quote(model, safe=safe).split("/"))) for safe in ("", "/"))
    yield from dict.fromkeys(f"/{form}" for form in forms)


def _segment(quoted: str) -> str:
    return quoted.replace(".", "%2E") if quoted in (".", "..") else quoted


def _is_unknown_model(error: FetchError, model: str) -> bool:
    """Return whether an error is about the model: a 404 may also mean that there is no such address."""
    if error.status == HTTPStatus.NOT_FOUND:
        # The message begins with the address that was asked.
        said = _REQUESTED.sub("", error.problem.partition(f" answered {error.status}")[2])
        return "model" in said.lower() or "模型" in said or model in said
    # Some servers report an unknown model with status 200.
    unknown = error.status is None and isinstance(error, Unreadable)
    return unknown and bool(_UNKNOWN_MODEL.search(error.problem))


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
        # Some servers answer the model that an alias stands for: https://docs.anthropic.com/en/api/models
        others = (record.model for record in records if record.model != wanted.model)
        fields = tuple(FieldChange(wanted.dialect.id_at, None, other, "other") for other in others)
        return LookupResult(Verdict.UNLISTED, fields)
    listed = wanted.dialect.normalise(canonical.decode(wanted.listed.encode()))
    differing = field_changes(canonical.encode(listed), records[0].body)
    return LookupResult(Verdict.DIFFERS if differing else Verdict.SAME, differing)


def _row(value: Any, dialect: Dialect) -> Any:
    # A record may have a `status` or a `code` of its own, and an error may have an `id`.
    if dialect.find_id(value) is None or (isinstance(value, dict) and value.get("error")):
        raise_for_error(value)
    raise_for_error_row(value)
    inner = value.get("data") if isinstance(value, dict) else None
    candidates = (value, inner[0] if isinstance(inner, list) and len(inner) == 1 else inner)
    for row in candidates:
        if dialect.find_id(row) is not None:
            return row
    raise Unreadable("the answer is no record of a model")
