"""The golden answers of known gateways, through the command: models, facts, prices with conditions, ends."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support import TESTS
from support.e2e import Job, Reply, Scripted

GOLDEN = TESTS / "golden"
NOW = "2026-09-21T12:00:00Z"


def cases() -> list[Any]:
    """Return the golden answers of one body that are lists, with what is expected of each."""
    found = []
    for path in sorted(GOLDEN.glob("*/*.expected.json")):
        answer = path.with_name(path.name.replace(".expected", ""))
        expected = json.loads(path.read_bytes())
        if expected.get("models") and b'"_answer"' not in answer.read_bytes():
            name = f"{path.parent.name}/{answer.stem}"
            found.append(pytest.param(answer, expected, id=name))
    return found


def recorded(job: Job, answer: Path) -> None:
    """Run with a gateway that gives an answer, and record it."""
    with Scripted(lambda _: Reply(answer.read_bytes())) as server:
        job.asks(server.url, dialect=answer.parent.name, attempts=1, complete=True)
        done = job.quick("run", at=NOW)
    assert done.code == 0, done


def rows(job: Job, sql: str) -> list[Any]:
    """Return rows of the database."""
    with closing(sqlite3.connect(job.database)) as database:
        return database.execute(sql).fetchall()


PRICES = """
select models.name, meter || ' ' || amount || ' ' || currency || ' per ' || unit
    || iif(from_tokens, ', above ' || from_tokens, '') || iif(window is null, '', ', ' || window)
from record_prices
join records on records.id = record_prices.record
join models on models.id = records.model
"""


@pytest.mark.parametrize(("answer", "expected"), cases())
def test_a_golden_answer_is_recorded_by_a_run(tmp_path: Path, answer: Path, expected: Any) -> None:
    job = Job(tmp_path / "home")
    recorded(job, answer)
    names = ("context_length", "max_output", "input_usd_per_1m", "output_usd_per_1m", "deprecated_at")
    columns = ", ".join(names)
    found = {
        name: facts
        for name, *facts in rows(
            job, f"select models.name, {columns} from models join records on records.model = models.id"
        )
    }
    numbers = {
        model: [facts.get(name) if name == "deprecated_at" else number(facts.get(name)) for name in names]
        for model, facts in expected["models"].items()
    }
    assert found == numbers
    prices = {(model, priced(text)) for model, text in rows(job, PRICES)}
    wanted = {(model, priced(text)) for model, texts in expected.get("prices", {}).items() for text in texts}
    assert wanted <= prices


def number(value: Any) -> float | None:
    """Return a number that may be a text."""
    return None if value is None else float(value)


def priced(text: str) -> tuple[str, float, str]:
    """Return the meter, the amount and the rest of a price."""
    meter, amount, rest = text.split(" ", 2)
    return meter, float(amount), rest


def test_the_announced_end_of_venice_is_among_the_shutdowns(tmp_path: Path) -> None:
    job = Job(tmp_path / "home")
    recorded(job, GOLDEN / "venice" / "announced-end.json")
    done = job.quick("deprecations", "--days", "365", at=NOW)
    assert "2027-02-28" in done.stdout
    assert "orion-old" in done.stdout
