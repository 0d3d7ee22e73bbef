"""Ask gateways now, beside the job: a scope several times in a row, or models at their own addresses."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from pipeline import canonical, paths
from pipeline.dialects import Answer, Dialect
from pipeline.dialects.envelope import opened
from pipeline.diff import fields
from pipeline.errors import FetchError, Unreadable
from pipeline.fetch import Ask, Result
from pipeline.fetch.exchange import Reply
from pipeline.fetch.fetcher import Fetcher
from pipeline.types import FieldChange, Scope

_UNKNOWN = re.compile(r"not[ _-]?found|does ?n[o']t exist|no such|unknown model|不存在", re.IGNORECASE)
_NOT_FOUND = 404


def ask_again(
    scope: Scope,
    dialect: Dialect,
    times: int,
    fetcher: Callable[[], Fetcher],
    on_answer: Callable[[], None] = lambda: None,
) -> list[Result]:
    """Ask a scope for its list several times, one after the other; a failure is a value.

    Args:
        scope: as whom to ask.
        dialect: in which to ask.
        times: how often.
        fetcher: makes the fetcher, inside the event loop.
        on_answer: is called after each.
    """

    async def all_of_them() -> list[Result]:
        results = []
        async with fetcher() as client:
            for _ in range(times):
                async with aclosing(client.fetch_all([Ask(scope, dialect, dialect.pages)])) as answers:
                    results += [result async for _, result in answers]
                on_answer()
        return results

    return asyncio.run(all_of_them())


class Verdict(StrEnum):
    """What a model's own address says, beside the list."""

    SAME = "same"
    DIFFERS = "differs"
    UNLISTED = "unlisted"
    NOT_FOUND = "not_found"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Look:
    """A model to look for, as one scope; `listed` is the body that its list had, None where it had none."""

    scope: Scope
    dialect: Dialect
    model: str
    listed: str | None


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a look: for `differs` the fields, before as listed; for `error` what went wrong."""

    verdict: Verdict
    fields: tuple[FieldChange, ...] = ()
    message: str | None = None


def look(
    looks: Sequence[Look], fetcher: Callable[[], Fetcher], on_answer: Callable[[], None] = lambda: None
) -> dict[str, Seen]:
    """Ask for single models at their own addresses, all at once; gives what was seen, by scope."""

    async def all_of_them() -> dict[str, Seen]:
        seen: dict[str, Seen] = {}
        async with fetcher() as client, asyncio.TaskGroup() as group:

            async def one(wanted: Look) -> None:
                seen[wanted.scope.name] = await _look(client, wanted)
                on_answer()

            for wanted in looks:
                group.create_task(one(wanted))
        return seen

    return asyncio.run(all_of_them())


async def _look(client: Fetcher, wanted: Look) -> Seen:
    for path in addresses(wanted.dialect, wanted.model):
        try:
            return compared(wanted, await client.ask(wanted.scope, wanted.dialect, path))
        except FetchError as error:
            if not _is_unknown(error):
                return Seen(Verdict.ERROR, message=error.message)
    return Seen(Verdict.NOT_FOUND)


def addresses(dialect: Dialect, model: str) -> Iterator[str]:
    """Give where a model's own record may be, behind the address of the list, to be tried in turn.

    First with `/` encoded, as one step; then plain, for servers that take what follows as it is.
    """
    if dialect.id_at == "name":
        # There the id is the name of a resource, which begins with the collection's.
        model = model.removeprefix(f"{dialect.path.rpartition('/')[2]}/")
    forms = (quote(model, safe=safe) for safe in ("", "/"))
    yield from dict.fromkeys(f"/{form}" for form in forms)


def _is_unknown(error: FetchError) -> bool:
    if error.status is not None:
        return error.status == _NOT_FOUND
    # Some servers say so in an answer whose status is 200.
    return isinstance(error, Unreadable) and bool(_UNKNOWN.search(error.message))


def compared(wanted: Look, reply: Reply) -> Seen:
    """Read a single record as the list's are read, and compare it with the list's.

    Raises:
        Unreadable: the answer is no record.
    """
    row = _row(opened(reply.body), wanted.dialect)
    body = canonical.encode({"data": [row]}).encode()
    as_list = replace(wanted.dialect, list_at=("data",), paging=None)
    records = list(as_list.read(Answer((body,), reply.time)).records.values())
    if wanted.listed is None or not records:
        return Seen(Verdict.UNLISTED)
    told = wanted.dialect.told(canonical.decode(wanted.listed.encode()))
    differing = fields(canonical.encode(told), records[0].body)
    return Seen(Verdict.DIFFERS if differing else Verdict.SAME, differing)


def _row(value: Any, dialect: Dialect) -> Any:
    inner = value.get("data") if isinstance(value, dict) else None
    candidates = (value, inner[0] if isinstance(inner, list) and len(inner) == 1 else inner)
    for row in candidates:
        if paths.find(row, paths.parse(dialect.id_at)) is not None:
            return row
    raise Unreadable("the answer is no record of a model")
