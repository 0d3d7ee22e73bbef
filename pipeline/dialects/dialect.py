"""A dialect: which requests give the whole list, where the records are, and what in them is noise."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import Any

from pipeline import canonical, paths
from pipeline.errors import Unreadable
from pipeline.types import Listing, Record

REQUEST_TIME_WINDOW = 300
"""Seconds: a `created` this near to the moment of asking is the server's clock, not a fact."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a dialect wants asked: a path below the gateway's base, e.g. `/v1/models`."""

    path: str
    params: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The bodies that make one complete list, and when they were asked for (Unix seconds)."""

    bodies: tuple[bytes, ...]
    asked_at: int


Pages = Generator[Request, bytes, tuple[bytes, ...]]
"""Yields the requests it wants, is sent their bodies, and returns those that make the list."""


def _one_page() -> Pages:
    body = yield Request("/v1/models")
    return (body,)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one family of gateways writes its list; values only, nothing is asked here.

    Args:
        name: what the config calls it.
        noise: paths in a record that differ between answers though the world did not change.
        pages: gives the requests that make one complete list.
        list_at: where in a body the array of records is.
        id_at: where in a record the model's id is.
    """

    name: str
    noise: tuple[str, ...] = ()
    pages: Callable[[], Pages] = field(default=_one_page)
    list_at: str = "data"
    id_at: str = "id"

    @property
    def reading(self) -> str:
        """The rules a listing was read under, as canonical JSON: the same rules, the same text."""
        return canonical.encode({"dialect": self.name, "noise": sorted(self.noise)})

    def read(self, answer: Answer) -> Listing:
        """Read one complete answer into a listing.

        Raises:
            Unreadable: it is no list of models; the message says what it is instead.
        """
        rows = [row for body in answer.bodies for row in self._rows(body)]
        warnings: list[str] = []
        identified = self._identified(rows, warnings)
        if rows and not identified:
            raise Unreadable(f"none of the {len(rows)} rows has a model id at {self.id_at!r}")
        noise = tuple(paths.parse(path) for path in self.noise)
        records = _records(
            ((model, _told(row, noise, answer.asked_at)) for model, row in identified), warnings
        )
        listed = canonical.digest_of_set(record.digest for record in records.values())
        return Listing(records, listed, self.reading, tuple(warnings))

    def _rows(self, body: bytes) -> list[Any]:
        value = _json(body)
        if not isinstance(value, dict):
            raise Unreadable(f"the answer is {_kind(value)}, not an object with the list at {self.list_at!r}")
        _refuse_errors(value)
        rows = paths.find(value, paths.parse(self.list_at))
        if not isinstance(rows, list):
            raise Unreadable(f"{self.list_at!r} is {_kind(rows)}, not the list of models")
        return rows

    def _identified(self, rows: list[Any], warnings: list[str]) -> list[tuple[str, dict[str, Any]]]:
        at = paths.parse(self.id_at)
        identified = []
        for number, row in enumerate(rows, 1):
            model = paths.find(row, at)
            if isinstance(model, str) and model.strip():
                identified.append((_storable(model), row))
            else:
                warnings.append(f"row {number} of {len(rows)} has no model id and is left out")
        return identified


def _json(body: bytes) -> Any:
    try:
        return canonical.decode(body)
    except ValueError as error:
        raise Unreadable(_not_json(body, error)) from error


def _not_json(body: bytes, error: ValueError) -> str:
    start = body[:200].decode("utf-8", "replace").strip().lower()
    if not start:
        return "the answer is empty"
    if start.startswith(("<!doctype", "<html", "<?xml", "<head", "<body")):
        return "the answer is a web page, not JSON: see that `url` is the address of the API"
    if "nested" in str(error):
        return "the answer is nested too deeply to be a list of models"
    return "the answer is not JSON, or was cut off on its way"


def _refuse_errors(value: dict[str, Any]) -> None:
    problem = value.get("error")
    if problem:
        raise Unreadable(f"the gateway answered with an error: {_message(problem)}")
    if value.get("success") is False:
        raise Unreadable(f"the gateway answered success: false: {_message(value)}")


def _message(problem: Any) -> str:
    if isinstance(problem, dict):
        problem = problem.get("message") or problem.get("msg") or problem.get("code") or problem
    return canonical.as_text(problem)[:300]


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null or missing"
        case bool():
            return "true or false"
        case str():
            return "a text"
        case list():
            return "an array"
        case dict():
            return "an object"
        case _:
            return "a number"


def _told(row: dict[str, Any], noise: Iterable[paths.Path], asked_at: int) -> dict[str, Any]:
    told: dict[str, Any] = paths.without(row, noise)
    created = told.get("created")
    if isinstance(created, int) and abs(created - asked_at) <= REQUEST_TIME_WINDOW:
        del told["created"]
    return told


def _records(rows: Iterable[tuple[str, dict[str, Any]]], warnings: list[str]) -> dict[str, Record]:
    """Fold equal rows of one id; of unequal ones keep the first in canonical order, and say so."""
    spellings: dict[str, set[str]] = {}
    for model, row in rows:
        spellings.setdefault(model, set()).add(canonical.encode(row))
    for model, bodies in spellings.items():
        if len(bodies) > 1:
            warnings.append(f"{model} is listed {len(bodies)} times with different content; one is kept")
    kept = ((model, min(bodies)) for model, bodies in spellings.items())
    return {model: Record(model, canonical.digest(body), body) for model, body in kept}


def _storable(model: str) -> str:
    return model.replace("\x00", "\\u0000")
