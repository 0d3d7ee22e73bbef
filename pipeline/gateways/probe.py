"""Ask gateways now, beside the job: a scope several times in a row, or models at their own addresses.

Find what flaps in a list: what differs between answers though the world did not change.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from pipeline.core import canonical, jsonpath
from pipeline.core.diff import categorise, field_changes
from pipeline.core.types import FieldChange, Listing, Scope
from pipeline.errors import FetchError, Unreadable
from pipeline.gateways.client import GatewayClient
from pipeline.gateways.dialects import Answer, Dialect
from pipeline.gateways.dialects.envelope import parse_envelope
from pipeline.gateways.http import Reply
from pipeline.gateways.types import FetchOutcome, FetchRequest
from pipeline.gateways.variation import ANY, ELEMENT, Steps, Variation, generalise, variations, format_path

_UNKNOWN = re.compile(r"not[ _-]?found|does ?n[o']t exist|no such|unknown model|不存在", re.IGNORECASE)


_NOT_FOUND = 404


def repeat_requests(
    scope: Scope,
    dialect: Dialect,
    times: int,
    fetcher: Callable[[], GatewayClient],
    on_answer: Callable[[], None] = lambda: None,
) -> list[FetchOutcome]:
    """Ask a scope for its list several times, one after the other; a failure is a value.

    Args:
        scope: as whom to ask.
        dialect: in which to ask.
        times: how often.
        fetcher: makes the fetcher, inside the event loop.
        on_answer: is called after each.
    """

    async def all_of_them() -> list[FetchOutcome]:
        results = []
        async with fetcher() as client:
            for _ in range(times):
                async with aclosing(
                    client.fetch_all([FetchRequest(scope, dialect, dialect.pages)])
                ) as answers:
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
class Lookup:
    """A model to look for, as one scope; `listed` is the body that its list had, None where it had none."""

    scope: Scope
    dialect: Dialect
    model: str
    listed: str | None


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What came of a look: for `differs` the fields, before as listed; for `error` what went wrong."""

    verdict: Verdict
    fields: tuple[FieldChange, ...] = ()
    message: str | None = None


def lookup(
    looks: Sequence[Lookup],
    fetcher: Callable[[], GatewayClient],
    on_answer: Callable[[], None] = lambda: None,
) -> dict[str, LookupResult]:
    """Ask for single models at their own addresses, all at once; gives what was seen, by scope."""

    async def all_of_them() -> dict[str, LookupResult]:
        seen: dict[str, LookupResult] = {}
        async with fetcher() as client, asyncio.TaskGroup() as group:

            async def one(wanted: Lookup) -> None:
                seen[wanted.scope.name] = await _lookup(client, wanted)
                on_answer()

            for wanted in looks:
                group.create_task(one(wanted))
        return seen

    return asyncio.run(all_of_them())


async def _lookup(client: GatewayClient, wanted: Lookup) -> LookupResult:
    for path in record_paths(wanted.dialect, wanted.model):
        try:
            return compare_record(wanted, await client.ask(wanted.scope, wanted.dialect, path))
        except FetchError as error:
            if not _is_unknown(error):
                return LookupResult(Verdict.ERROR, message=error.message)
    return LookupResult(Verdict.NOT_FOUND)


def record_paths(dialect: Dialect, model: str) -> Iterator[str]:
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


def compare_record(wanted: Lookup, reply: Reply) -> LookupResult:
    """Read a single record as the list's are read, and compare it with the list's.

    Raises:
        Unreadable: the answer is no record.
    """
    row = _row(parse_envelope(reply.body), wanted.dialect)
    body = canonical.encode({"data": [row]}).encode()
    as_list = replace(wanted.dialect, list_at=("data",), paging=None)
    records = list(as_list.read(Answer((body,), reply.time)).records.values())
    if wanted.listed is None or not records:
        return LookupResult(Verdict.UNLISTED)
    told = wanted.dialect.told(canonical.decode(wanted.listed.encode()))
    differing = field_changes(canonical.encode(told), records[0].body)
    return LookupResult(Verdict.DIFFERS if differing else Verdict.SAME, differing)


def _row(value: Any, dialect: Dialect) -> Any:
    inner = value.get("data") if isinstance(value, dict) else None
    candidates = (value, inner[0] if isinstance(inner, list) and len(inner) == 1 else inner)
    for row in candidates:
        if jsonpath.find(row, jsonpath.parse(dialect.id_at)) is not None:
            return row
    raise Unreadable("the answer is no record of a model")


IMPORTANT_CATEGORIES = frozenset({"price", "limits", "lifecycle"})
"""Categories of fields that nobody should leave out without a look."""


# No `created` is near to this moment, so none is taken for the moment of asking.
_LONG_AGO = -(10**15)


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that is not the same in all answers.

    Args:
        path: where it is, as the config writes it.
        models: in how many models it differs.
        values: how many different values it had, in the model where it had the most.
        examples: two of one model's values, as text; None where the field was absent.
        only_order: whether only the order of its elements differs.
        settled_by: what deals with it already: `noise` or `sets` of the dialect, `time` (it is the moment of
            asking), `copy` (an id is listed more than once, and one is kept); None when nothing does.
        category: what it means to its reader: price, limits, capabilities, lifecycle, text or other.
    """

    path: str
    models: int
    values: int
    examples: tuple[str | None, str | None]
    only_order: bool
    settled_by: str | None
    category: str

    @property
    def is_nameable(self) -> bool:
        """Whether a path of the config means this field, and not every field."""
        return bool(set(self.path.replace(ELEMENT, "").split(".")) - {ANY})


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What the same list, asked for several times, gave.

    Args:
        sizes: how many models each answer had.
        order_differs: whether the models came in another order.
        flapping: models that were not in all answers, by id.
        differences: fields that differ, by path.
        noise: paths to add to the noise.
        sets: paths to add to the sets.
        left: paths that would differ even with these added.
    """

    sizes: tuple[int, ...]
    order_differs: bool
    flapping: tuple[str, ...]
    differences: tuple[Difference, ...]
    noise: tuple[str, ...]
    sets: tuple[str, ...]
    left: tuple[str, ...]


def probe(dialect: Dialect, answers: Sequence[Answer]) -> ProbeResult:
    """Compare answers to one question field by field, noise and order left in.

    Raises:
        Unreadable: one of them is no list of models.
    """
    bare = replace(dialect, noise=(), sets=())
    raw = [bare.read(replace(answer, asked_at=_LONG_AGO)) for answer in answers]
    told = _varying([dialect.read(answer) for answer in answers])
    differences = _differences(_varying(raw), told.keys(), dialect)
    open_ones = [each for each in differences if each.settled_by is None and each.is_nameable]
    noise = tuple(each.path for each in open_ones if not each.only_order)
    sets = tuple(each.path for each in open_ones if each.only_order)
    better = replace(dialect, noise=(*dialect.noise, *noise), sets=(*dialect.sets, *sets))
    left = _varying([better.read(answer) for answer in answers])
    return ProbeResult(
        sizes=tuple(len(listing) for listing in raw),
        order_differs=_is_order_different(raw),
        flapping=tuple(sorted(_in_any(raw) - _in_all(raw))),
        differences=differences,
        noise=noise,
        sets=sets,
        left=tuple(sorted({format_path(steps) for steps in left})),
    )


def _in_any(listings: Iterable[Listing]) -> set[str]:
    return {model for listing in listings for model in listing.records}


def _in_all(listings: Sequence[Listing]) -> set[str]:
    return set.intersection(*(set(listing.records) for listing in listings))


def _is_order_different(listings: Sequence[Listing]) -> bool:
    common = _in_all(listings)
    return len({tuple(model for model in each.records if model in common) for each in listings}) > 1


_Varying = Mapping[Steps, Sequence[tuple[str, Variation]]]
"""By place: the models in which it differs, and how."""


def _varying(listings: Sequence[Listing]) -> _Varying:
    """Compare the records of each model that is in at least two answers."""
    found: dict[Steps, list[tuple[str, Variation]]] = {}
    for model in sorted(_in_any(listings)):
        bodies = [each.records[model].body for each in listings if model in each.records]
        if len(set(bodies)) > 1:
            for variation in variations([canonical.decode(body.encode()) for body in bodies]):
                found.setdefault(variation.at, []).append((model, variation))
    return found


def _differences(raw: _Varying, told: Iterable[Steps], dialect: Dialect) -> tuple[Difference, ...]:
    """Tell fields apart that the dialect deals with and those that it does not, and give each its path."""
    unsettled = set(told)
    found = [
        _difference(place, [each for steps in members for each in raw[steps]], settled_by)
        for settled_by, places in _by_cure(raw, unsettled, dialect).items()
        for place, members in _grouped(places).items()
    ]
    return tuple(sorted(found, key=lambda each: (each.path, each.settled_by or "")))


def _by_cure(raw: _Varying, unsettled: set[Steps], dialect: Dialect) -> dict[str | None, list[Steps]]:
    cures: dict[str | None, list[Steps]] = {}
    for steps, seen in raw.items():
        only_order = all(variation.only_order for _, variation in seen)
        cure = None if steps in unsettled else _cure(steps, dialect, only_order=only_order)
        cures.setdefault(cure, []).append(steps)
    return cures


def _cure(steps: Steps, dialect: Dialect, *, only_order: bool) -> str:
    leaf = format_path(steps).replace(ELEMENT, f".{ANY}")
    if any(jsonpath.covers(jsonpath.parse(noise), leaf) for noise in dialect.noise):
        return "noise"
    if only_order and any(jsonpath.covers(jsonpath.parse(ordered), leaf) for ordered in dialect.sets):
        return "sets"
    return "time" if steps == ("created",) else "copy"


def _grouped(places: Iterable[Steps]) -> dict[Steps, list[Steps]]:
    grouped: dict[Steps, list[Steps]] = {}
    for steps, general in generalise(places).items():
        grouped.setdefault(general, []).append(steps)
    return grouped


def _difference(place: Steps, seen: Sequence[tuple[str, Variation]], settled_by: str | None) -> Difference:
    path = format_path(place)
    first = seen[0][1].texts
    return Difference(
        path=path,
        models=len({model for model, _ in seen}),
        values=max(len(variation.texts) for _, variation in seen),
        examples=(first[0], first[1]),
        only_order=all(variation.only_order for _, variation in seen),
        settled_by=settled_by,
        category=categorise(path),
    )
