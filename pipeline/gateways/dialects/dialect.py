"""A dialect: the list format of one family of gateways, as values, and the parser that they drive."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
"""Seconds: a `created` this close to the time of the request is the server's clock, not a fact."""

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
"""Fields whose order has no meaning, by the names that most gateways use."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The bodies of one complete list, and when they were requested (Unix seconds)."""

    bodies: tuple[bytes, ...]
    asked_at: int


@dataclass(frozen=True, slots=True)
class Row:
    """A parsed row: a record, or the reason why it is skipped; neither for an id that is not a model.

    `created` is the value in the row (Unix seconds) if it is an integer.
    """

    record: Record | None = None
    skipped: str | None = None
    created: int | None = None


@dataclass(frozen=True, slots=True)
class GroupAnswers:
    """The groups of one user as a list, an answer for each group by name, and one for a lost group."""

    groups: Answer
    models: Mapping[str, Answer]
    empty: Answer


@dataclass(frozen=True, slots=True)
class Groups:
    """How a dialect lists the groups of a signed-in user, and the models of each.

    Args:
        pages: returns the requests.
        split: turns their bodies into one answer per group; raises Unreadable.
        models_dialect: the name of the dialect of a group's models; the groups themselves are in this one.
    """

    pages: Callable[[], Pages]
    split: Callable[[Answer], GroupAnswers]
    models_dialect: str


Recognises = Callable[[Any, list[dict[str, Any]]], bool]
"""Returns whether an envelope and its rows are in this dialect."""


def _never(_envelope: Any, _rows: list[dict[str, Any]]) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Dialect:
    """The list format of one family of gateways; it does no I/O.

    Args:
        name: its name in the config.
        hosts: globs of its host names, followed by a path where that matters.
        path: the path of the list, below the gateway's base.
        params: query parameters of every request.
        headers: headers of every request.
        key_header: the header for a key; in `Authorization` it is a bearer token.
        paging: how the list is cut into pages.
        list_at: paths of the array of records in a body, tried in turn; "" is the body itself.
        null_is_empty: the server writes null for an empty list.
        id_at: the path of the model's id in a record.
        no_models: globs of ids that are not models: wildcards, sentinels, "".
        noise: paths in a record that differ between answers without a change of the model.
        quiet: paths that are stored, and reported only on request.
        sets: paths of arrays, or comma-joined texts, whose order has no meaning.
        recognises: returns whether an answer has the marks of this dialect.
        facts: reads the facts of a record.
        groups: how the groups of a user are listed; None for a dialect without groups.
        reading: the rules of parsing a listing, as canonical JSON: equal rules give equal text.
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
    recognises: Recognises = field(default=_never, repr=False)
    facts: Callable[[dict[str, Any]], Facts] = field(default_factory=FactPaths, repr=False)
    groups: Groups | None = field(default=None, repr=False)
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
        """Return the requests of one complete list."""
        return pages(self.path, self.params, self.paging, self.rows)

    def read(self, answer: Answer) -> Listing:
        """Parse one complete answer.

        Raises:
            Unreadable: it is not a list of models, or not complete; the message says why.
        """
        return self.listing([self.row(row, answer.asked_at) for row in self._all_rows(answer.bodies)])

    def rows(self, body: bytes) -> tuple[Any, list[Any]]:
        """Return the envelope and the rows of a body; a row that is a text becomes a record of that id.

        Raises:
            Unreadable: it is not a list of models; the message says why.
        """
        envelope = parse_envelope(body)
        rows = find_rows(envelope, self.list_at, null_is_empty=self.null_is_empty)
        return envelope, [self._as_record(row) for row in rows]

    def row(self, value: Any, asked_at: int) -> Row:
        """Parse one row of a list that was requested at `asked_at` (Unix seconds).

        Raises:
            Unreadable: its record is nested too deeply.
        """
        value = self._as_record(value)
        model = jsonpath.find(value, self._id)
        if isinstance(model, str) and self.is_no_model(model):
            return Row()
        if not isinstance(model, str) or not model.strip():
            is_object = isinstance(value, dict)
            return Row(
                skipped=f"its id is {describe_type(model)}" if is_object else f"it is {describe_type(value)}"
            )
        created = value.get("created")
        body = canonical.encode(self.normalise(_without_request_time(value, asked_at)))
        if canonical.is_deep(body):
            raise Unreadable(f"the record of {model} is nested too deeply")
        record = Record(storable_id(model), canonical.digest(body), body)
        return Row(record, created=created if isinstance(created, int) else None)

    def listing(self, rows: Sequence[Row]) -> Listing:
        """Return the listing of the rows of one complete answer.

        Raises:
            Unreadable: there are rows, but none has an id.
        """
        records = [row.record for row in rows if row.record]
        warnings = [] if len(records) == len(rows) else _skipped_rows(rows)
        if rows and len(warnings) == len(rows):
            raise Unreadable(f"none of the {len(rows)} rows has a model id at {self.id_at!r}")
        by_model = _unique(records, warnings)
        return Listing(
            by_model, canonical.digest_of_records(by_model.values()), self.reading, tuple(warnings)
        )

    def normalise(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row without noise, with its sets sorted."""
        # Noise first: in the members of a set it would affect their order.
        normal: dict[str, Any] = jsonpath.remove(row, self._noise)
        for path in self._sets:
            if path[0] in normal or path[0] == "*":
                normal = jsonpath.transform(normal, path, _sorted)
        return normal

    def is_no_model(self, model: str) -> bool:
        """Return whether an id is a wildcard or a sentinel, which no request could name."""
        return any(fnmatchcase(model, glob) for glob in self.no_models)

    def _as_record(self, row: Any) -> Any:
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
        # An answer recognised by its shape was requested in the default dialect, without its further pages.
        if self.paging and has_next_page(self.paging, envelope, len(bodies), len(rows)):
            raise Unreadable(
                f"the list has more pages than were requested: set `dialect = {canonical.encode(self.name)}`"
            )
        return rows


def _skipped_rows(rows: Sequence[Row]) -> list[str]:
    return [
        f"row {number} of {len(rows)} is skipped: {row.skipped}"
        for number, row in enumerate(rows, 1)
        if row.skipped
    ]


def _without_request_time(row: dict[str, Any], asked_at: int) -> dict[str, Any]:
    """Return a row without its `created` if that is the time of the request, as many servers write it."""
    created = row.get("created")
    if isinstance(created, int) and abs(created - asked_at) <= REQUEST_TIME_WINDOW:
        return {key: value for key, value in row.items() if key != "created"}
    return row


def _sorted(value: Any) -> Any:
    match value:
        case list():
            return sorted(value, key=canonical.encode)
        case str() if "," in value:
            return ",".join(sorted(part.strip() for part in value.split(",")))
        case _:
            return value


def _unique(records: Sequence[Record], warnings: list[str]) -> dict[str, Record]:
    """Return one record per model: of several the first in canonical order; warn if they differ."""
    by_model = {record.model: record for record in records}
    if len(by_model) == len(records):
        return by_model
    variants: dict[str, dict[str, Record]] = {}
    for record in records:
        variants.setdefault(record.model, {})[record.body] = record
    for model, bodies in variants.items():
        if len(bodies) > 1:
            warnings.append(f"{model} is listed {len(bodies)} times with different content; one is kept")
    return {model: bodies[min(bodies)] for model, bodies in variants.items()}


def storable_id(model: str) -> str:
    """Return a model's id with NUL escaped, since SQLite's functions end a text there.

    See https://www.sqlite.org/nulinstr.html.
    """
    return model.replace("\x00", "\\u0000")
