"""The rules of stored values: times, JSON, names and validators, whatever their meaning.

A value that breaks one was not written by this program, so the commands need not expect it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from pipeline.core import canonical
from pipeline.gateways.dialects import all_dialects
from pipeline.store import Store
from pipeline.store.integrity import undecodable_rows


class ValueProblem(NamedTuple):
    """A value that breaks a rule; `derived` if `rebuild` writes it anew. `id` is None without an id."""

    table: str
    id: int | None
    message: str
    derived: bool = False


_TIMES = {
    "snapshots": ("started_at", "finished_at"),
    "missing": ("counted_at",),
    "flaps": ("began_at", "changed_at", "counted_at"),
    "departures": ("left_at",),
    "destinations": ("reported_at",),
    "deliveries": ("due_at", "sent_at", "leased_until"),
    "records": ("created",),
}
"""The columns of times, by table."""

_SETS = ("input_modalities", "output_modalities", "features", "endpoints", "aliases")

_DERIVED = {"records"}
"""The tables whose values here are derived."""


def _is_time(column: str) -> str:
    return f"strftime('%Y-%m-%dT%H:%M:%SZ', {column}) is {column}"


def _is_array(column: str, kind: str) -> str:
    return f"""case when not json_valid({column}) then 0 when json_type({column}) <> 'array' then 0
        else not exists (select 1 from json_each({column}) as item where item.type <> '{kind}') end"""  # noqa: S608 - our own names


_HAS_CONTROLS = "glob '*[' || char(1) || '-' || char(31) || ']*'"

_RULES: tuple[tuple[str, str, str], ...] = (
    *((table, f"{column} is null or {_is_time(column)}", f"its {column} is no time")
      for table, columns in _TIMES.items() for column in columns),
    *(("records", f"{column} is null or {_is_array(column, 'text')}", f"its {column} is no list in JSON")
      for column in _SETS),
    ("records", "deprecated_at is null or date(deprecated_at) is deprecated_at",
     "its deprecated_at is no date"),
    ("records",
     "name is (select models.name from models where models.id = model) || '@' || substr(digest, 3, 8)",
     "its name is not that of its model and digest"),
    ("listings", f"warnings is null or {_is_array('warnings', 'text')}", "its warnings are no list in JSON"),
    ("listings", "name like '% @' || substr(digest, 3, 8)", "its name is not that of its digest"),
    ("flaps", _is_array("news", "integer"), "its news is no list of sightings in JSON"),
    ("snapshots", "name is started_at", "its name is not its time"),
    ("snapshots", "min(scopes, answered, moved, held, failed) >= 0", "it has a negative count"),
    ("scopes",
     """site is not null
     or substr(name, 1, instr(name, '/') - 1) is (select gateways.name from gateways where id = gateway)""",
     "its name does not begin with that of its gateway"),
    ("scopes",
     """instr(name, ':') = 0 and site is null
     or substr(name, 1, instr(name, ':') - 1) is (select sites.name from sites where id = site)""",
     "its name does not begin with that of its site"),
    ("sites", _is_array("forgotten", "text"), "its forgotten scopes are no list in JSON"),
    ("snapshots", "(site is null) = (source is null)", "it has a site, and no number there"),
    ("scopes", "fingerprint is null or (fingerprint <> '' and fingerprint not glob '*[^0-9a-f]*')",
     "its fingerprint is no digest"),
    ("scopes", f"coalesce(etag, '') not {_HAS_CONTROLS} and coalesce(last_modified, '') not {_HAS_CONTROLS}",
     "its etag or last_modified cannot be sent"),
    ("destinations", "token is not null or name = 'reports'", "its token is missing"),
    ("deliveries", "attempts >= 0", "its number of attempts is negative"),
)  # fmt: skip
"""Table, SQL that is true for a right row, and the message for another."""


def value_problems(store: Store) -> Iterator[ValueProblem]:
    """Yield the values that break a rule."""
    for table, number in undecodable_rows(store):
        yield ValueProblem(table, number, "it has text that is not UTF-8")
    for table, rule, message in _RULES:
        rows = store.stream(f"select id from {table} where not coalesce({rule}, 0) order by id")  # noqa: S608 - our own rules
        for (number,) in rows:
            yield ValueProblem(table, number, message, table in _DERIVED)
    yield from _reading_problems(store)


def _reading_problems(store: Store) -> Iterator[ValueProblem]:
    rows = list(store.stream("select id, cast(reading as blob) from listings order by id"))
    times = Counter(reading for _, reading in rows)
    times |= {dialect.reading.encode(): len(rows) + 1 for dialect in all_dialects().values()}
    messages = {reading: _reading_problem(reading, times) for reading in times}
    for number, reading in rows:
        message = messages[reading]
        if message:
            yield ValueProblem("listings", number, message)


def _reading_problem(reading: bytes, times: Counter[bytes]) -> str | None:
    try:
        rules: Any = canonical.decode_strictly(reading)
    except ValueError:
        return "its reading is not JSON"
    if not isinstance(rules, dict) or not isinstance(rules.get("dialect"), str):
        return "its reading names no dialect"
    if canonical.encode(rules).encode() != reading:
        return "its reading is not canonical JSON"
    if any(times[other] > times[reading] and _is_flipped(reading, other) for other in times):
        return "its reading differs in one letter from that of other listings"
    return None


def _is_flipped(one: bytes, other: bytes) -> bool:
    """Return whether two texts differ in one letter, in one of its bits; digits may count versions."""
    if len(one) != len(other):
        return False
    differing = [(left, right) for left, right in zip(one, other, strict=True) if left != right]
    if len(differing) != 1:
        return False
    ((left, right),) = differing
    return (left ^ right).bit_count() == 1 and not (chr(left).isdigit() and chr(right).isdigit())
