"""A dialect: the list format of one family of gateways, as values, and the parser that they drive."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from msgspec import Struct, field

from pipeline.core import canonical, jsonpath
from pipeline.core.diff import FieldRules
from pipeline.core.facts import FactPaths, Facts
from pipeline.core.jsonpath import Path
from pipeline.core.limits import MAX_MODELS, MAX_NAME, MAX_RECORD
from pipeline.core.masking import MASK
from pipeline.core.text import count, printable
from pipeline.core.types import GROUP_PREFIX, LeftOutRows, Listing, Record
from pipeline.errors import Unreadable
from pipeline.gateways.dialects.envelope import (
    Success,
    describe_type,
    error_of_row,
    find_message,
    find_rows,
    list_path,
    lost_list,
    parse_envelope,
    raise_for_error_row,
)
from pipeline.gateways.dialects.fact_categories import fact_categories
from pipeline.gateways.dialects.layout import ENCLOSING, IdPath, Placed
from pipeline.gateways.dialects.list_advice import id_advice
from pipeline.gateways.dialects.paging import Pages, Paging, has_next_page, pages
from pipeline.gateways.dialects.signs import (
    WHOLE,
    Params,
    certain_sign,
    doubtful_sign,
    first_page_sign,
    following,
    full_page_reason,
    incomplete_reason,
)

RULES = 3
"""The version of the rules by which answers are accepted as lists; part of every `reading`."""

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


class Answer(Struct, frozen=True):
    """The bodies of one complete list, and when they were requested (Unix seconds).

    `url` is the address of the last body, "" for saved answers; `headers` are those about pages, by body.
    """

    bodies: tuple[bytes, ...]
    asked_at: int
    url: str = ""
    headers: tuple[Mapping[str, Any], ...] = ()


class ReadAnswer(Struct, frozen=True):
    """A parsed answer.

    Args:
        listing: its records.
        incomplete: why it may be one page of a longer list, and what to do about it.
        message: the gateway's message beside an empty list.
    """

    listing: Listing
    incomplete: str | None = None
    message: str | None = None


class Row(Struct, frozen=True):
    """A parsed row: a record, or the reason why it is skipped; neither for an id that is not a model.

    `value` is a skipped row that is an object. `created` is the value in the row (Unix seconds) if it is an
    integer; `wrong_price` is a price that cannot be.
    """

    record: Record | None = None
    skipped: str | None = None
    value: dict[str, Any] | None = None
    created: int | None = None
    wrong_price: str | None = None


class GroupAnswers(Struct, frozen=True):
    """The groups of one user as a list, each with the id of `group_record`, and their answers by name.

    Instead of an answer, a group may have the reason why its models are unknown.
    """

    groups: Answer
    models: Mapping[str, Answer | Unreadable]


def group_record(group: str) -> str:
    """Return the id of a group in the list of groups."""
    return f"{GROUP_PREFIX}{group}"


class Groups(Struct, frozen=True):
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


class Dialect(Struct, frozen=True, dict=True):
    """The list format of one family of gateways; it does no I/O.

    Args:
        name: its name in the config.
        hosts: globs of its host names, followed by a path where that matters.
        path: the path of the list, below the gateway's base.
        params: query parameters of every request; those of the config may be references to secrets.
        headers: headers of every request; those of the config may be references to secrets.
        body: the JSON to send by POST; "" for a list that is requested by GET.
        key_header: the header for a key.
        key_scheme: the word before the key in its header, "raw" for none; None: `Bearer` in `Authorization`.
        key_param: the query parameter for a key; "" for a header.
        paging: how the list is cut into pages.
        list_at: paths of the array of records in a body, tried in turn; "" is the body itself. A path such as
            `providers.*.models` is that of lists in a list.
        by_id: an object at `list_at` is a list too, whose keys are the ids of records without one.
        null_is_empty: the server writes null for an empty list.
        id_at: the path of the model's id in a record, or a text with paths in braces; see `IdPath`.
        no_models: globs of ids that are not models: wildcards, sentinels, "".
        noise: paths in a record that differ between answers without a change of the model.
        quiet: paths that are stored, and reported only on request.
        sets: paths of arrays, or comma-joined texts, whose order has no meaning.
        not_totals: names in an envelope that look like the number of its models, and count something else.
        complete: the pages of `paging` are the whole list, whatever an answer says.
        success: the values that an envelope must have; without them, the usual signs of errors count.
        recognises: returns whether an answer has the marks of this dialect.
        select: returns the rows that are offered to the caller, by the envelope; None: all are.
        facts: reads the facts of a record.
        groups: how the groups of a user are listed; None for a dialect without groups.
        has_records: each model may have an address of its own, its id below the address of the list.
        lenient_records: this address may answer for models that the caller is not offered.
    """

    name: str
    hosts: tuple[str, ...] = ()
    path: str = "/v1/models"
    params: Params = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    key_header: str = "Authorization"
    key_scheme: str | None = None
    key_param: str = ""
    paging: Paging | None = None
    list_at: tuple[str, ...] = ("data",)
    by_id: bool = False
    null_is_empty: bool = False
    id_at: str = "id"
    no_models: tuple[str, ...] = ()
    noise: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
    sets: tuple[str, ...] = SETS
    not_totals: frozenset[str] = frozenset()
    complete: bool = False
    success: Success = ()
    recognises: Recognises = _never
    select: Callable[[Any, list[Any]], list[Any]] | None = None
    facts: Callable[[dict[str, Any]], Facts] = field(default_factory=FactPaths)
    groups: Groups | None = None
    has_records: bool = True
    lenient_records: bool = False

    @cached_property
    def reading(self) -> str:
        """The rules of parsing a listing, as canonical JSON: equal rules give equal text."""
        rules: dict[str, Any] = {
            "rules": RULES,
            "dialect": self.name,
            "id": self.id_at,
            "no_models": sorted(self.no_models),
            "noise": sorted(self.noise),
            "sets": sorted(self.sets),
        }
        if self.complete:
            rules["complete"] = True
        if self.success:
            rules["success"] = dict(self.success)
        if self.select:
            rules["select"] = True
        return canonical.encode(rules)

    @cached_property
    def _id(self) -> IdPath:
        return IdPath.parse(self.id_at)

    @cached_property
    def _noise(self) -> tuple[Path, ...]:
        return tuple(map(jsonpath.parse, self.noise))

    @cached_property
    def _sets(self) -> tuple[Path, ...]:
        return tuple(map(jsonpath.parse, self.sets))

    @property
    def field_rules(self) -> FieldRules:
        """The rules for the categories of the fields of its records."""
        return FieldRules(self.quiet, fact_categories(self.facts))

    def pages(self) -> Pages:
        """Return the requests of one complete list."""
        return self.pages_by(self.rows)

    def pages_by(self, rows: Callable[[bytes], tuple[Any, Sequence[Any]]]) -> Pages:
        """Return the requests of one complete list, whose bodies are parsed by a function like `rows`."""
        return pages(
            self.path,
            self.params,
            self.paging,
            rows,
            list_path=self._list_path,
            complete=self.complete,
            body=self.body,
        )

    def read(self, answer: Answer) -> Listing:
        """Parse one complete answer.

        Raises:
            Unreadable: it is not a list of models, or not complete; the message says why.
        """
        return self.parse(answer).listing

    def parse(self, answer: Answer, *, max_models: int = MAX_MODELS) -> ReadAnswer:
        """Parse one answer, and find whether it may be incomplete.

        Args:
            answer: the answer.
            max_models: the rows that it may have.

        Raises:
            Unreadable: it is not a list of models, or not complete; the message says why.
        """
        pages = [self.rows(body) for body in answer.bodies]
        selected = (self.select(*page) if self.select else page[1] for page in pages)
        rows = [row for found in selected for row in found]
        check_number(len(rows), max_models)
        if len(rows) == 1:
            raise_for_error_row(rows[0])
        incomplete = self.doubts([(envelope, len(found)) for envelope, found in pages], answer)
        message = None if rows else find_message(envelope for envelope, _ in pages)
        parsed = [self.row(row, answer.asked_at) for row in rows]
        listing = self.listing(parsed)
        lost = self.lost_rows(parsed, [envelope for envelope, _ in pages])
        return ReadAnswer(listing, incomplete or lost, message)

    def lost_rows(self, rows: Sequence[Row], envelopes: Sequence[Any] = ()) -> str | None:
        """Return why a list may lack models: an error where a record, or a list in the list, should be."""
        if self.complete:
            return None
        skipped = ((number, row.value) for number, row in enumerate(rows, 1) if row.skipped)
        errors = (
            f"row {n} of {len(rows)} is an error: {text}" for n, v in skipped if (text := error_of_row(v))
        )
        lost = (
            f"of the lists in the list, {text}"
            for each in envelopes
            if (text := lost_list(each, self.list_at))
        )
        reason = next(errors, None) or next(lost, None)
        return reason and f"{reason.rstrip('.')}; so the list may lack models: set {WHOLE}"

    def rows(self, body: bytes) -> tuple[Any, list[Any]]:
        """Return the envelope and the rows of a body; a text becomes a record of that id.

        Raises:
            Unreadable: it is not a list of models; the message says why.
        """
        envelope = parse_envelope(body, self.success)
        rows = find_rows(
            envelope, self.list_at, null_is_empty=self.null_is_empty, by_id=self.by_id, success=self.success
        )
        return envelope, [self._as_record(row) for row in rows]

    def row(self, value: Any, asked_at: int) -> Row:
        """Parse one row of a list that was requested at `asked_at` (Unix seconds).

        Raises:
            Unreadable: its record is nested too deeply.
        """
        value = self._as_record(value)
        model = self.find_id(value)
        if self._id.has_enclosing and isinstance(value, dict):
            value = {name: inner for name, inner in value.items() if name != ENCLOSING}
        if isinstance(model, str) and self.is_no_model(model):
            return Row()
        if not isinstance(model, str) or not model.strip():
            if not isinstance(value, dict):
                return Row(skipped=f"it is {describe_type(value)}")
            return Row(skipped=f"its id is {describe_type(model)}", value=value)
        created = value.get("created")
        body = canonical.encode(self.normalise(_without_request_time(value, asked_at)))
        check_record(model, body)
        record = Record(storable_id(model), canonical.digest(body), body)
        return Row(
            record,
            created=created if isinstance(created, int) else None,
            wrong_price=self._wrong_price(value) if may_have_price(body) else None,
        )

    def listing(self, rows: Sequence[Row]) -> Listing:
        """Return the listing of the rows of one complete answer.

        Raises:
            Unreadable: there are rows, but none has an id.
        """
        records = [row.record for row in rows if row.record]
        skipped = [] if len(records) == len(rows) else _skipped_rows(rows)
        if rows and len(skipped) == len(rows):
            reason = f"none of the {len(rows)} rows has a model id at {self.id_at!r}"
            raise Unreadable(reason, cure=id_advice((row.value for row in rows), self.id_at))
        by_model, repeated = _unique(records)
        cure = self._cure_of_equal_ids() if repeated else ""
        warnings = [f"row {number} of {len(rows)} is skipped: {why}" for number, why in skipped]
        warnings += [
            f"{model} is listed {number} times with different content; one is kept{cure}"
            for model, number in repeated.items()
        ]
        warnings += [*_wrong_prices(rows), *_masked_ids(by_model)]
        return Listing(
            by_model,
            canonical.digest_of_records(by_model.values()),
            self.reading,
            tuple(warnings),
            _left_out(len(rows), skipped, repeated, cure) if skipped or repeated else None,
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

    def _wrong_price(self, row: dict[str, Any]) -> str | None:
        """Return the first price of a row that cannot be, with its figure; None without one."""
        found = self.facts.impossible_prices(row) if isinstance(self.facts, FactPaths) else ()
        return next((f"{path} is ${figure.normalize():,f} per 1M tokens" for path, figure in found), None)

    def find_id(self, row: Any) -> Any:
        """Return the id of a row, or the value at its place that is none."""
        return self._id.find(row)

    def _cure_of_equal_ids(self) -> str:
        """Return what to set where lists in a list have equal ids; "" for one list."""
        is_nested = any("*" in jsonpath.parse(path) for path in self.list_at if path)
        return f': add `id = "{{^}}/{{{self.id_at}}}"`' if is_nested and self._id.is_plain else ""

    def _list_path(self, envelope: Any) -> Path:
        return list_path(envelope, self.list_at, by_id=self.by_id)

    def _as_record(self, row: Any) -> Any:
        """Return a row as a record; one outside a plain array gets its id and owner from around it."""
        if isinstance(row, str) and row.strip():
            return jsonpath.put({}, self._id.at, row)
        if not isinstance(row, Placed):
            return row
        record = self._as_record(row.row)
        if not isinstance(record, dict):
            return record
        if row.key is not None and jsonpath.find(record, self._id.at) is None:
            record = jsonpath.put(record, self._id.at, row.key)
        if row.owner and self.facts(record).owned_by is None:
            record = {**record, "owned_by": row.owner}
        return {**record, ENCLOSING: row.enclosing} if self._id.has_enclosing else record

    def doubts(self, pages: Sequence[tuple[Any, int]], answer: Answer) -> str | None:
        """Return why an answer may be one page of a longer list, and what to do; None for a whole list.

        Args:
            pages: the envelope of each page, and its number of rows.
            answer: with the address of the last page, and the headers of all.

        Raises:
            Unreadable: the list certainly has more pages; the message has the sign, and the setting to add.
        """
        if self.complete or not pages:
            return None
        paths = [self._list_path(envelope) for envelope, _ in pages]
        (first, _), (last, rows) = pages[0], pages[-1]
        number, records = len(pages), sum(count for _, count in pages)
        headers = answer.headers or ({},) * number
        paging = None if self.paging is None or self.paging.is_guess else self.paging
        # An answer recognised by its shape was requested in the default dialect, without its further pages.
        if paging and has_next_page(paging, last, headers[-1], number, records):
            raise Unreadable(
                "the list has more pages than were requested",
                cure=f"set `dialect = {canonical.encode(self.name)}`, or {WHOLE}",
            )
        next_page = None if paging else following(last, paths[-1], rows=rows, records=records, pages=number)
        sign = None if paging else first_page_sign(first, paths[0])
        if sign is None and next_page and next_page.certain:
            sign = next_page.sign
        known = paging.cursor_paths if paging else frozenset[Path]()
        sign = sign or certain_sign(
            last, paths[-1], pages=number, records=records, url=answer.url, known=known, headers=headers[-1]
        )
        if sign:
            raise Unreadable(f"the list has more pages than were read ({sign})", cure=sign.cure)
        if next_page:
            return full_page_reason(next_page.sign, rows)
        found = (
            doubtful_sign(envelope, at, records=records, not_totals=self.not_totals, headers=of_page)
            for (envelope, _), at, of_page in zip(pages, paths, headers, strict=True)
        )
        total = max((each for each in found if each), key=lambda each: int(each.value), default=None)
        return incomplete_reason(total, records) if total else None


def check_number(rows: int, max_models: int) -> None:
    """Refuse a list with more rows than are to be parsed.

    Raises:
        Unreadable: it has.
    """
    if rows > max_models:
        cure = "if it is right, raise `max_models`"
        raise Unreadable(f"the list has {rows:,} models, more than {max_models:,}", cure=cure)


def check_record(model: str, body: str) -> None:
    """Refuse a record, as canonical JSON, beyond the limits of one.

    Raises:
        Unreadable: it is too large or too deep, or a name in it, or its id, is too long.
    """
    which = f"the record of {printable(model, longest=_SHOWN_ID)}"
    noise = "if it is no part of the model, set `noise`"
    if len(body) > MAX_RECORD:
        raise Unreadable(f"{which} has more than {MAX_RECORD:,} characters", cure=noise)
    if len(model) > MAX_NAME:
        raise Unreadable(f"an id has {len(model):,} characters, more than {MAX_NAME}: {model[:_SHOWN_ID]}…")
    if (longest := canonical.longest_name(body)) > MAX_NAME:
        raise Unreadable(f"{which} has a name of {longest:,} characters, more than {MAX_NAME}", cure=noise)
    if canonical.is_deep(body):
        raise Unreadable(f"{which} is nested too deeply")


_SHOWN_ID = 60


def may_have_price(body: str) -> bool:
    """Return whether a record, as text, has a name or value that may be a price."""
    return any(part in body for part in _OF_PRICES)


_OF_PRICES = ("pric", "Pric", "cost", "Cost", "per_1", "per_m", "Per1", "PerM", "价格")


def _wrong_prices(rows: Sequence[Row]) -> list[str]:
    """Return a warning about the models with a price that cannot be; none where all prices can."""
    wrong = [row for row in rows if row.wrong_price]
    if not wrong:
        return []
    model = wrong[0].record.model if wrong[0].record else ""
    which = f"{printable(model)}: {wrong[0].wrong_price}"
    return [f"{count(len(wrong), 'model')} with a price that cannot be, which gives no figure: {which}"]


def _masked_ids(models: Collection[str]) -> list[str]:
    """Return a warning about the ids that hold a masked secret; none without such an id."""
    masked = [model for model in models if MASK in model]
    if not masked:
        return []
    which = (
        f"{count(len(masked), 'model')} with `{MASK}` for a secret in the id, such as {printable(masked[0])}"
    )
    return [f"{which}: what is no secret, write it in the config as it is, not as a reference"]


def _skipped_rows(rows: Sequence[Row]) -> list[tuple[int, str]]:
    """Return the number of each row without a usable id, from 1, and what it has instead."""
    return [(number, row.skipped) for number, row in enumerate(rows, 1) if row.skipped]


def _left_out(
    rows: int, skipped: Sequence[tuple[int, str]], repeated: Mapping[str, int], cure: str
) -> LeftOutRows:
    return LeftOutRows(
        rows,
        len(skipped),
        sum(repeated.values()) - len(repeated),
        "row {}: {}".format(*skipped[0]) if skipped else "",
        f"{printable(next(iter(repeated), ''))}{cure}",
    )


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


def _unique(records: Sequence[Record]) -> tuple[dict[str, Record], dict[str, int]]:
    """Return one record per model, of several the first in canonical order; and how many differ, by model."""
    by_model = {record.model: record for record in records}
    if len(by_model) == len(records):
        return by_model, {}
    variants: dict[str, dict[str, Record]] = {}
    for record in records:
        variants.setdefault(record.model, {})[record.body] = record
    repeated = {model: len(bodies) for model, bodies in variants.items() if len(bodies) > 1}
    return {model: bodies[min(bodies)] for model, bodies in variants.items()}, repeated


def storable_id(model: str) -> str:
    """Return a model's id with NUL escaped, since SQLite's functions end a text there.

    See https://www.sqlite.org/nulinstr.html.
    """
    return model.replace("\x00", "\\u0000")
