"""Prices, limits and dates that a gateway writes in another way: kept, and never reported as a change.

Neither is a price whose field is as before, where only its unit cannot be concluded any more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.e2e import Job, Reply, Scripted, valid

WATCH = '[watch]\nmodels = ["m0"]\n'
MODELS = [f"m{number}" for number in range(10)]

FIRST = '{"pricing": {"prompt": 0.000002, "completion": 0.00001}}'
SPELLINGS = [
    FIRST,
    '{"pricing": {"prompt": "0.000002", "completion": "0.00001"}}',
    '{"pricing": {"prompt": "0.0000020", "completion": "0.0000100"}}',
    '{"pricing": {"prompt": "2e-06", "completion": "1E-05"}}',
]
LIMITS = ['{"context_length": 8192}', '{"context_length": "8192"}', '{"context_length": 8192.0}']
DATE = '{"shutdown_date": "2026-12-20"}'
DATES = [
    '"2026-12-20T00:00:00Z"',
    '"2026-12-20T00:00:00+00:00"',
    '"2026-12-20T00:00:00.000Z"',
    '"2026-12-20 00:00:00"',
    '"2026/12/20"',
    '"2026-12-20T17:30:00Z"',
    "1797724800",
    "1797724800000",
    '"1797724800"',
    '"1797724800000"',
]
TIERS = [
    '{"pricing": {"tiers": [{"min": 0, "price": "0.10"}]}, "costs": [0.1, 0.2], "unit_cost": "$0.10"}',
    '{"pricing": {"tiers": [{"min": 0, "price": 0.1}]}, "costs": ["0.1", "0.20"], "unit_cost": 0.1}',
]


class Play:
    """A gateway that answers with given fields in every record, and a home that watches one model."""

    def __init__(self, job: Job, server: Scripted) -> None:
        self.job = job
        self.body = b""
        self.hours = 0
        job.configure(WATCH)
        job.asks(server.url)

    def run(self, fields: str) -> tuple[int, str]:
        """Answer with these fields, as they are written, and run; return exit status and standard error."""
        rows = (f'{{"id": "{model}", "object": "model", {fields.strip()[1:]}' for model in MODELS)
        self.body = f'{{"object": "list", "data": [{", ".join(rows)}]}}'.encode()
        self.hours += 1
        done = self.job.quick("run", at=f"2026-05-01T{self.hours:02}:00:00Z")
        return done.code, done.stderr

    def changes(self) -> list[dict[str, Any]]:
        """Return the events of models as JSON."""
        return [valid(change, "change") for change in self.job.quick("changes", "--all", "--json").json()]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    plays: list[Play] = []
    with Scripted(lambda _: Reply(plays[0].body)) as server:
        plays.append(Play(Job(tmp_path / "home"), server))
        yield plays[0]


def check_quiet(play: Play) -> None:
    """Check that the changes of a run are kept, and quiet everywhere."""
    events = play.changes()
    assert events
    for event in events:
        assert (event["quiet"], event["urgent"], event["severity"]) == (True, False, "quiet")
        assert event["prices"] == []
    assert play.job.quick("changes").stdout.startswith("no changes")
    assert "+0 %" not in play.job.quick("changes", "--all").output
    assert "quiet" in {row["severity"] for row in play.job.quick("changes", "--all", "--csv").rows()}
    assert play.job.quick("verify").code == 0


@pytest.mark.parametrize("second", SPELLINGS[1:])
def test_the_same_price_in_another_spelling_is_quiet(play: Play, second: str) -> None:
    assert play.run(FIRST) == (0, "")
    assert play.run(second) == (0, "")
    check_quiet(play)


def test_the_two_spellings_are_shown_as_they_are_written(play: Play) -> None:
    play.run('{"input_cost": 0.5, "output_cost": "1.5", "context_length": 8192}')
    play.run('{"input_cost": "0.50", "output_cost": 1.5, "context_length": "8192"}')
    text = play.job.quick("changes", "--all").stdout
    for part in ('input_cost 0.5 → "0.50"', 'output_cost "1.5" → 1.5', 'context 8192 → "8192"'):
        assert part in text


def test_the_same_number_in_another_spelling_is_the_same_record(play: Play) -> None:
    assert play.run(FIRST) == (0, "")
    assert play.run('{"pricing": {"prompt": 2e-6, "completion": 1.0e-5}}') == (0, "")
    assert play.changes() == []


@pytest.mark.parametrize("fields", [LIMITS, TIERS], ids=["limits", "tiers"])
def test_the_same_limits_and_lists_of_prices_in_another_spelling_are_quiet(
    play: Play, fields: list[str]
) -> None:
    for each in [*fields, fields[0]]:
        assert play.run(each) == (0, "")
    check_quiet(play)


@pytest.mark.parametrize("price", ["0." + "0" * 4000 + "1", "1e-16"])
def test_an_amount_that_no_price_can_be_is_shown_as_it_is_written(play: Play, price: str) -> None:
    play.run(FIRST)
    code, error = play.run(f'{{"pricing": {{"prompt": "{price}", "completion": "0.00001"}}}}')
    assert code == 0
    assert "$0" not in error
    assert "%" not in error
    assert len(error) < 400
    rows = play.job.quick("changes", "--csv").rows()
    figures = [row["after_usd_per_1m"] for row in rows if row["field"] == "pricing.prompt"]
    assert set(figures) == {""}


def test_a_price_in_another_spelling_that_rises_is_reported(play: Play) -> None:
    play.run(FIRST)
    code, error = play.run('{"pricing": {"prompt": "0.000003", "completion": "0.00001"}}')
    assert code == 0
    assert "m0" in error
    assert "input $2.00 → $3.00 per 1M tokens (+50 %)" in error
    assert "output" not in error
    events = play.changes()
    assert {event["severity"] for event in events} == {"breaking", "urgent"}
    (prices,) = {json.dumps([price["name"] for price in event["prices"]]) for event in events}
    assert json.loads(prices) == ["input"]


@pytest.mark.parametrize("second", DATES)
def test_the_same_shutdown_date_in_another_spelling_is_quiet_and_begins_no_episode(
    play: Play, second: str
) -> None:
    for fields in (DATE, f'{{"shutdown_date": {second}}}', DATE):
        assert play.run(fields) == (0, "")
    check_quiet(play)
    assert "flapping" not in json.dumps(play.changes())


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('"2026-12-20"', '"2026-12-20T23:00:00-05:00"'),
        ('"2026-12-20T00:00:00Z"', '"2026-12-20T12:00:00Z"'),
        ('"2026/12/20"', '"2026/12/21"'),
        ('"1797724800"', '"1797811200"'),
    ],
)
def test_another_day_or_another_time_of_the_same_day_is_reported(play: Play, first: str, second: str) -> None:
    play.run(f'{{"shutdown_date": {first}}}')
    code, error = play.run(f'{{"shutdown_date": {second}}}')
    assert code == 0
    assert "m0  shutdown" in error


def test_the_two_spellings_of_a_date_are_shown_as_they_are_written(play: Play) -> None:
    play.run(DATE)
    play.run('{"shutdown_date": 1797724800}')
    assert "2026-12-20 → 1797724800" in play.job.quick("changes", "--all").stdout.replace('"', "")


BOTH = '{"pricing": {"prompt": "0.000002", "completion": "0.000008"}}'
"""Prices whose unit both of them show together."""


@pytest.mark.parametrize(
    ("value", "reported"),
    [
        ("null", "input $2.00 per 1M tokens, removed"),
        ('""', "input $2.00 per 1M tokens, removed"),
        ('"0.5"', "pricing.prompt 0.000002 → 0.5 (+24,999,900 %)"),
        ("5", "pricing.prompt 0.000002 → 5 (+249,999,900 %)"),
    ],
)
@pytest.mark.parametrize("is_other", [False, True], ids=["prompt", "completion"])
def test_a_price_whose_field_is_as_before_is_neither_removed_nor_new(
    play: Play, value: str, reported: str, *, is_other: bool
) -> None:
    names = ("completion", "prompt") if is_other else ("prompt", "completion")
    first = f'{{"pricing": {{"{names[0]}": "0.000002", "{names[1]}": "0.000008"}}}}'
    if is_other:
        reported = reported.replace("input", "output").replace("prompt", "completion")
    play.run(first)
    code, error = play.run(f'{{"pricing": {{"{names[0]}": {value}, "{names[1]}": "0.000008"}}}}')
    assert code == 0
    assert error == f"modelwatch: ! ~ m0  {reported}  local/public\n"
    kept = "input" if is_other else "output"
    assert kept not in {price["name"] for event in play.changes() for price in event["prices"]}
    text = play.job.quick("history", "m0").stdout
    assert reported.split(" per ")[0] in text
    assert text.count(f"{kept} $8.00") == 1
    play.run(first)
    assert kept not in {price["name"] for event in play.changes() for price in event["prices"]}


def test_equal_prices_are_told_apart_by_their_names(play: Play) -> None:
    play.run('{"pricing": {"prompt": "0.000002", "completion": "0.000002"}}')
    code, error = play.run('{"pricing": {"prompt": "0.000002", "completion": null}}')
    assert code == 0
    assert error == "modelwatch: ! ~ m0  output $2.00 per 1M tokens, removed  local/public\n"


@pytest.mark.parametrize("at_first", [False, True])
def test_a_currency_that_changes_changes_every_price(play: Play, *, at_first: bool) -> None:
    bodies = [BOTH.replace('"0.000008"', f'"0.000008", "currency": "{each}"') for each in ("USD", "CNY")]
    if at_first:
        bodies.reverse()
    play.run(bodies[0])
    code, error = play.run(bodies[1])
    assert code == 0
    for part in ("input", "output"):
        assert part in error


def test_a_small_change_of_a_price_has_a_percentage_other_than_zero(play: Play) -> None:
    play.run(BOTH)
    code, error = play.run(BOTH.replace('"0.000002"', '"0.0000020001"'))
    assert code == 0
    assert "input $2.00 → $2.0001 per 1M tokens (+0.005 %)" in error
