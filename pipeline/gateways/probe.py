"""Noise probe: request a list several times in a row, and find the fields that differ."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core import canonical, jsonpath
from pipeline.core.categories import categorise
from pipeline.core.text import choices, quoted
from pipeline.core.types import Listing, Scope
from pipeline.errors import FetchError, QuestionError, Unreadable
from pipeline.gateways.dialects import (
    AUTO,
    DEFAULT_DIALECT,
    Answer,
    Dialect,
    answer_dialect,
    request_dialect,
)
from pipeline.gateways.types import FetchOutcome, FetchRequest, FetchResult
from pipeline.gateways.variation import ANY, ELEMENT, Steps, Variation, format_path, generalise, variations

if TYPE_CHECKING:
    from pipeline.gateways.client import GatewayClient

_IMPORTANT_CATEGORIES = frozenset({"price", "limits", "lifecycle"})

# No `created` is close to this moment, so none is dropped as the time of the request.
_LONG_AGO = -(10**15)


class FieldDifference(Struct, frozen=True):
    """A field that is not the same in all answers.

    Args:
        path: its path, as the config writes it.
        models: the number of models in which it differs.
        values: the number of its values, in the model with the most.
        examples: two values of one model, as text; None where the field was absent.
        only_order: whether only the order of its elements differs.
        settled_by: why it needs no setting: `noise` or `sets` of the dialect, `time` (it is the time of the
            request), `copy` (an id is listed more than once, and one is kept); None where it needs a setting.
        category: price, limits, capabilities, lifecycle, text or other.
    """

    path: str
    models: int
    values: int
    examples: tuple[str | None, str | None]
    only_order: bool
    settled_by: str | None
    category: str

    @property
    def important(self) -> bool:
        """Whether people rely on this field: its category is price, limits or lifecycle."""
        return self.category in _IMPORTANT_CATEGORIES

    @property
    def is_nameable(self) -> bool:
        """Whether a path of the config means this field, and not every field."""
        return bool(set(self.path.replace(ELEMENT, "").split(".")) - {ANY})


class ProbeResult(Struct, frozen=True):
    """The comparison of several answers to one request.

    Args:
        sizes: the number of models in each answer.
        order_differs: whether the models came in another order.
        flapping: models that were not in all answers, by id.
        differences: fields that differ, by path.
        noise: paths to add to the noise.
        sets: paths to add to the sets.
        left: paths that differ even with these settings.
    """

    sizes: tuple[int, ...]
    order_differs: bool
    flapping: tuple[str, ...]
    differences: tuple[FieldDifference, ...]
    noise: tuple[str, ...]
    sets: tuple[str, ...]
    left: tuple[str, ...]


class ScopeProbe(Struct, frozen=True):
    """A probe of one scope.

    Args:
        asked: the dialect of the requests.
        read: the dialect of the readable answers; `asked` without one.
        times: the number of requests.
        result: the comparison of the answers; None for fewer than two readable answers.
        failures: the failed requests, by number from 1.
        incomplete: why the list may be one page of a longer one, and what to do; None for a whole list.
    """

    scope: Scope
    asked: Dialect
    read: Dialect
    times: int
    result: ProbeResult | None
    failures: Mapping[int, FetchError]
    incomplete: str | None = None

    @property
    def dialect_source(self) -> str:
        """How the dialect was found: `config`, `address`, `answer` or `default`."""
        if self.scope.gateway.dialect != AUTO:
            return "config"
        if self.asked.name != DEFAULT_DIALECT:
            return "address"
        return "answer" if self.read.name != DEFAULT_DIALECT else "default"

    @property
    def settings(self) -> dict[str, list[str]]:
        """The settings `noise` and `sets` for the gateway's table, if they need new paths."""
        if self.result is None:
            return {}
        own = self.scope.gateway.overrides
        paths = {"noise": (own.noise, self.result.noise), "sets": (own.sets, self.result.sets)}
        return {name: [*present, *new] for name, (present, new) in paths.items() if new}


def probed_scope(configured: Sequence[Scope], gateway: str, name: str | None) -> Scope:
    """Return a gateway's scope by its name, with or without the gateway's; its first where `name` is None.

    Raises:
        QuestionError: the config has no such gateway or scope.
    """
    gateways = list(dict.fromkeys(scope.gateway.name for scope in configured))
    if gateway not in gateways:
        existing = choices(gateway, gateways, none="there is none")
        raise QuestionError(f"no gateway is named {quoted(gateway)}: {existing}")
    # An `all_groups` scope puts its list together from other answers; there is no one list to repeat.
    scopes = [scope for scope in configured if scope.gateway.name == gateway and not scope.all_groups]
    found = [scope for scope in scopes if name in (None, scope.name, scope.name.partition("/")[2])]
    if found:
        return found[0]
    if not scopes:
        raise QuestionError(
            f"{gateway} has no list of its own to repeat, since its scopes ask for all groups of a user:"
            " add a scope with a key, or one without `groups`"
        )
    names = ", ".join(scope.name for scope in scopes)
    if user := _user_of_groups(configured, gateway, name or ""):
        raise QuestionError(
            f"{quoted(name or '')} has no list of its own to repeat: {user} asks for all groups of a user"
            f" at once. Probe another scope ({names}), or add one with a key of this group"
        )
    raise QuestionError(
        f"{gateway} has no scope {quoted(name or '')} with a list of its own: there are {names}"
    )


def _user_of_groups(configured: Sequence[Scope], gateway: str, name: str) -> str | None:
    """Return the scope of all groups that has this name, or to one of whose groups it may belong."""
    names = [scope.name for scope in configured if scope.gateway.name == gateway and scope.all_groups]
    asked = name if name.startswith(f"{gateway}/") else f"{gateway}/{name}"
    return next((each for each in names if asked == each or asked.startswith(f"{each}.")), None)


def probe_scope(
    scope: Scope,
    times: int,
    make_client: Callable[[], GatewayClient],
    on_answer: Callable[[], None] = lambda: None,
) -> ScopeProbe:
    """Request the list of a scope several times in a row and compare the answers.

    Args:
        scope: the scope to ask as.
        times: the number of requests.
        make_client: makes the client, inside the event loop.
        on_answer: called after each answer or failure.
    """
    asked = request_dialect(scope.gateway)
    read: Dialect | None = None
    answers: list[Answer] = []
    failures: dict[int, FetchError] = {}
    incomplete: str | None = None
    for number, outcome in enumerate(repeat_requests(scope, asked, times, make_client, on_answer), 1):
        match outcome:
            case FetchResult(answer):
                dialect = read or answer_dialect(scope.gateway, asked, answer)
                try:
                    incomplete = dialect.parse(answer).incomplete
                except Unreadable as error:
                    failures[number] = error
                else:
                    read = dialect
                    answers.append(answer)
            case FetchError():
                failures[number] = outcome
            case _:
                raise AssertionError("a request without validators was answered with 304")
    read = read or asked
    result = probe(read, answers) if len(answers) > 1 else None
    return ScopeProbe(scope, asked, read, times, result, failures, incomplete)


def repeat_requests(
    scope: Scope,
    dialect: Dialect,
    times: int,
    make_client: Callable[[], GatewayClient],
    on_answer: Callable[[], None] = lambda: None,
) -> list[FetchOutcome]:
    """Request a scope's list several times, one after the other; a failure is a value.

    Args:
        scope: the scope to ask as.
        dialect: the dialect of the requests.
        times: the number of requests.
        make_client: makes the client, inside the event loop.
        on_answer: called after each answer or failure.
    """

    async def request_all() -> list[FetchOutcome]:
        outcomes = []
        async with make_client() as client:
            for _ in range(times):
                request = FetchRequest(scope, dialect, dialect.pages)
                async with aclosing(client.fetch_all([request])) as answers:
                    outcomes += [outcome async for _, outcome in answers]
                on_answer()
        return outcomes

    return asyncio.run(request_all())


def probe(dialect: Dialect, answers: Sequence[Answer]) -> ProbeResult:
    """Compare answers to one request field by field, with noise and order included.

    Raises:
        Unreadable: one of them is not a list of models.
    """
    bare = replace(dialect, noise=(), sets=())
    raw = [bare.read(replace(answer, asked_at=_LONG_AGO)) for answer in answers]
    normalised = _varying([dialect.read(answer) for answer in answers])
    differences = _differences(_varying(raw), normalised.keys(), dialect)
    unsettled = [each for each in differences if each.settled_by is None and each.is_nameable]
    noise = tuple(each.path for each in unsettled if not each.only_order)
    sets = tuple(each.path for each in unsettled if each.only_order)
    improved = replace(dialect, noise=(*dialect.noise, *noise), sets=(*dialect.sets, *sets))
    left = _varying([improved.read(answer) for answer in answers])
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
"""By path: the models in which it differs, and how."""


def _varying(listings: Sequence[Listing]) -> _Varying:
    """Compare the records of each model that is in at least two answers."""
    found: dict[Steps, list[tuple[str, Variation]]] = {}
    for model in sorted(_in_any(listings)):
        bodies = [each.records[model].body for each in listings if model in each.records]
        if len(set(bodies)) > 1:
            for variation in variations([canonical.decode(body.encode()) for body in bodies]):
                found.setdefault(variation.at, []).append((model, variation))
    return found


def _differences(raw: _Varying, unsettled: Iterable[Steps], dialect: Dialect) -> tuple[FieldDifference, ...]:
    """Return the differences by path; those that the dialect settles are kept apart from the others."""
    found = [
        _difference(general, [each for steps in members for each in raw[steps]], settled_by)
        for settled_by, places in _by_settlement(raw, set(unsettled), dialect).items()
        for general, members in _by_general_form(places).items()
    ]
    return tuple(sorted(found, key=lambda each: (each.path, each.settled_by or "")))


def _by_settlement(raw: _Varying, unsettled: set[Steps], dialect: Dialect) -> dict[str | None, list[Steps]]:
    grouped: dict[str | None, list[Steps]] = {}
    for steps, found in raw.items():
        only_order = all(variation.only_order for _, variation in found)
        settled_by = None if steps in unsettled else _settled_by(steps, dialect, only_order=only_order)
        grouped.setdefault(settled_by, []).append(steps)
    return grouped


def _settled_by(steps: Steps, dialect: Dialect, *, only_order: bool) -> str:
    leaf = format_path(steps).replace(ELEMENT, f".{ANY}")
    if any(jsonpath.covers(jsonpath.parse(path), leaf) for path in dialect.noise):
        return "noise"
    if only_order and any(jsonpath.covers(jsonpath.parse(path), leaf) for path in dialect.sets):
        return "sets"
    return "time" if steps == ("created",) else "copy"


def _by_general_form(places: Iterable[Steps]) -> dict[Steps, list[Steps]]:
    grouped: dict[Steps, list[Steps]] = {}
    for steps, general in generalise(places).items():
        grouped.setdefault(general, []).append(steps)
    return grouped


def _difference(
    steps: Steps, found: Sequence[tuple[str, Variation]], settled_by: str | None
) -> FieldDifference:
    path = format_path(steps)
    first = found[0][1].texts
    return FieldDifference(
        path=path,
        models=len({model for model, _ in found}),
        values=max(len(variation.texts) for _, variation in found),
        examples=(first[0], first[1]),
        only_order=all(variation.only_order for _, variation in found),
        settled_by=settled_by,
        category=categorise(path),
    )
