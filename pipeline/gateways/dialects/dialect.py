"""A dialect: how one family of gateways writes its list, as values, and the reading of its answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from pipeline.core import canonical, jsonpath
from pipeline.core.facts import FactPaths, Facts
from pipeline.core.jsonpath import Path
from pipeline.core.types import Listing, Record
from pipeline.errors import Unreadable
from pipeline.gateways.dialects.envelope import describe_type, find_rows, parse_envelope
from pipeline.gateways.dialects.paging import Pages, Paging, Params, has_next_page, pages

REQUEST_TIME_WINDOW = 300
"""Seconds: a `created` this near to the moment of asking is the server's clock, not a fact."""


SETS = (
    "aliases",
    "architecture.input_modalities",
    "architecture.output_modalities",
    "enable_groups",
    "endpoints",
    "features",
    "input_modalities",
    "modalities.input",
    "modalities.output",
    "output_modalities",
    "supportedGenerationMethods",
    "supported_endpoint_types",
    "supported_features",
    "supported_parameters",
    "tags",
)
"""Fields whose order means nothing, by the names that most gateways use."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The bodies that make one complete list, and when they were asked for (Unix seconds)."""

    bodies: tuple[bytes, ...]
    asked_at: int


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a list, read: a record, or why it is left out; neither where it stands for no model.

    `created` is the row's own, in Unix seconds where it is a number.
    """

    record: Record | None = None
    left_out: str | None = None
    created: int | None = None


Recognises = Callable[[Any, list[dict[str, Any]]], bool]
"""Says of an answer's envelope and its rows whether they are in this dialect."""


def _nothing(_envelope: Any, _rows: list[dict[str, Any]]) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one family of gateways writes its list; values only, nothing is asked here.

    Args:
        name: what the config calls it.
        hosts: globs of host names, with a path behind them where it matters, that speak it.
        path: where the list is asked for, below the gateway's base.
        params: query parameters of every request.
        headers: headers of every request.
        key_header: the header that carries a key; `Authorization` carries it as a bearer token.
        paging: how the list is cut into pages.
        list_at: where in a body the array of records is, tried in turn; "" is the body itself.
        null_is_empty: the server writes null for a list of none.
        id_at: where in a record the model's id is.
        no_models: globs of ids that are no models: wildcards, sentinels, "" where it stands for none.
        noise: paths in a record that differ between answers though the world did not change.
        quiet: paths that are kept, and told only on request.
        sets: paths of arrays, or comma-joined texts, whose order means nothing.
        recognises: knows the dialect by the shape of an answer.
        facts: reads a record.
        reading: the rules a listing is read under, as canonical JSON: the same rules, the same text.
    """

    name: str
    hosts: tuple[str, ...] = ()
    path: str = "/v1/models"
    params: Params = ()
    headers: tuple[tuple[str, str], ...] = ()
    key_header: str = "Authorization"
    paging: Paging | None = None
    list_at: tuple[str, ...] = ("data",)
    null_is_empty: bool = False
    id_at: str = "id"
    no_models: tuple[str, ...] = ()
    noise: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
    sets: tuple[str, ...] = SETS
    recognises: Recognises = field(default=_nothing, repr=False)
    facts: Callable[[dict[str, Any]], Facts] = field(default_factory=FactPaths, repr=False)
    reading: str = field(init=False, repr=False, compare=False)
    _id: Path = field(init=False, repr=False, compare=False)
    _noise: tuple[Path, ...] = field(init=False, repr=False, compare=False)
    _sets: tuple[Path, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rules = {
            "dialect": self.name,
            "id": self.id_at,
            "no_models": sorted(self.no_models),
            "noise": sorted(self.noise),
            "sets": sorted(self.sets),
        }
        object.__setattr__(self, "reading", canonical.encode(rules))
        object.__setattr__(self, "_id", jsonpath.parse(self.id_at))
        object.__setattr__(self, "_noise", tuple(map(jsonpath.parse, self.noise)))
        object.__setattr__(self, "_sets", tuple(map(jsonpath.parse, self.sets)))

    def pages(self) -> Pages:
        """Give the requests that make one complete list."""
        return pages(self.path, self.params, self.paging, self.rows)

    def rows(self, body: bytes) -> tuple[Any, list[Any]]:
        """Open a body; gives its envelope and its rows. A row that is a text is a record of that id alone.

        Raises:
            Unreadable: it is no list of models; the message says what it is instead.
        """
        envelope = parse_envelope(body)
        found = find_rows(envelope, self.list_at, null_is_empty=self.null_is_empty)
        return envelope, [self._record_of(row) for row in found]

    def read(self, answer: Answer) -> Listing:
        """Read one complete answer into a listing.

        Raises:
            Unreadable: it is no list of models, or not all of it; the message says what it is instead.
        """
        return self.listing([self.row(row, answer.asked_at) for row in self._all_rows(answer.bodies)])

    def row(self, value: Any, asked_at: int) -> Row:
        """Read one row of a list, asked for at a moment in Unix seconds.

        Raises:
            Unreadable: its record is nested too deeply.
        """
        value = self._record_of(value)
        model = jsonpath.find(value, self._id)
        if isinstance(model, str) and self.is_no_model(model):
            return Row()
        if not isinstance(model, str) or not model.strip():
            what = f"its id is {describe_type(model)}" if isinstance(value, dict) else f"it is {describe_type(value)}"
            return Row(left_out=what)
        created = value.get("created")
        body = canonical.encode(self.told(_timeless(value, asked_at)))
        if canonical.is_deep(body):
            raise Unreadable(f"the record of {model} is nested too deeply")
        record = Record(storable_id(model), canonical.digest(body), body)
        return Row(record, created=created if isinstance(created, int) else None)

    def listing(self, rows: Sequence[Row]) -> Listing:
        """Make a listing of the rows of one complete answer.

        Raises:
            Unreadable: there are rows, and none has an id.
        """
        records = [row.record for row in rows if row.record]
        warnings = [] if len(records) == len(rows) else _left_out(rows)
        if rows and len(warnings) == len(rows):
            raise Unreadable(f"none of the {len(rows)} rows has a model id at {self.id_at!r}")
        folded = _folded(records, warnings)
        return Listing(folded, canonical.digest_of_records(folded.values()), self.reading, tuple(warnings))

    def told(self, row: dict[str, Any]) -> dict[str, Any]:
        """Give what a row says: noise left out, sets in one order."""
        # In this order: noise inside the members of a set would decide on their order.
        told: dict[str, Any] = jsonpath.remove(row, self._noise)
        for path in self._sets:
            if path[0] in told or path[0] == "*":
                told = jsonpath.transform(told, path, _in_order)
        return told

    def _record_of(self, row: Any) -> Any:
        if not isinstance(row, str) or not row.strip():
            return row
        for step in reversed(self._id):
            row = {step: row}
        return row

    def _all_rows(self, bodies: tuple[bytes, ...]) -> list[Any]:
        envelope, rows = None, []
        for body in bodies:
            envelope, found = self.rows(body)
            rows += found
        # Whoever recognised this dialect had asked in another, which knows nothing of further pages.
        if self.paging and has_next_page(self.paging, envelope, len(bodies), len(rows)):
            raise Unreadable(f"the list has more pages than were asked for: set `dialect` to {self.name!r}")
        return rows

    def is_no_model(self, model: str) -> bool:
        """Say whether an id is a wildcard or a sentinel, which no request could name."""
        return any(fnmatchcase(model, glob) for glob in self.no_models)


def _left_out(rows: Sequence[Row]) -> list[str]:
    return [
        f"row {number} of {len(rows)} is left out: {row.left_out}"
        for number, row in enumerate(rows, 1)
        if row.left_out
    ]


def _timeless(row: dict[str, Any], asked_at: int) -> dict[str, Any]:
    """Leave out a `created` that is the moment of asking, as many servers write it."""
    created = row.get("created")
    if isinstance(created, int) and abs(created - asked_at) <= REQUEST_TIME_WINDOW:
        return {key: value for key, value in row.items() if key != "created"}
    return row


def _in_order(value: Any) -> Any:
    match value:
        case list():
            return sorted(value, key=canonical.encode)
        case str() if "," in value:
            return ",".join(sorted(part.strip() for part in value.split(",")))
        case _:
            return value


def _folded(records: Sequence[Record], warnings: list[str]) -> dict[str, Record]:
    """Fold equal records of one id; of unequal ones keep the first in canonical order, and say so."""
    folded = {record.model: record for record in records}
    if len(folded) == len(records):
        return folded
    forms: dict[str, dict[str, Record]] = {}
    for record in records:
        forms.setdefault(record.model, {})[record.body] = record
    for model, bodies in forms.items():
        if len(bodies) > 1:
            warnings.append(f"{model} is listed {len(bodies)} times with different content; one is kept")
    return {model: bodies[min(bodies)] for model, bodies in forms.items()}


def storable_id(model: str) -> str:
    """Give a model's id as SQLite can hold it."""
    return model.replace("\x00", "\\u0000")
