"""Prices whose text states a currency or a unit, on the surfaces that print and export them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.e2e import Job

from pipeline.simulator import Gateway

DAYS = ("2026-05-01T06:00:00Z", "2026-05-02T06:00:00Z", "2026-05-03T06:00:00Z")
YUAN = {"currency": "CNY", "unit": "1M tokens", "output": 8}
FACTS = {
    "context_length": 200000,
    "max_output_tokens": 8192,
    "input_modalities": ["image", "text"],
    "output_modalities": ["text"],
    "supported_features": ["tools"],
}


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """A home with two runs, between which prices of each kind rise; all models are watched."""
    made = Job(tmp_path_factory.mktemp("stated"))
    with Gateway() as gateway:
        made.asks(gateway.url, name="lake")
        made.configure(made.config.read_text("utf-8") + '\n[watch]\nmodels = ["*"]\n')
        gateway.offers("plain", pricing={"input": "$0.50 / 1M", "output": "$2 / 1M"}, **FACTS)
        gateway.offers("yuan", pricing={"input": 2, **YUAN})
        gateway.offers("text", price={"input": "0.5元/百万tokens"})
        gateway.offers("spelled", price={"input": "0.5元/百万tokens"})
        gateway.offers("credits", price={"input": "5 credits"})
        gateway.offers("asked", price={"input": "on request"})
        gateway.offers("stage", status="stable")
        gateway.offers("same", price={"input": "7 credits"})
        made.quick("run", at=DAYS[0])
        gateway.offers("plain", pricing={"input": "$0.40 / 1M", "output": "$2 / 1M"}, **FACTS)
        gateway.offers("yuan", pricing={"input": 3, **YUAN})
        gateway.offers("text", price={"input": "0.9元/百万tokens"})
        gateway.offers("spelled", price={"input": "CNY 0.9 per 1M tokens"})
        gateway.offers("credits", price={"input": "9 credits"})
        gateway.offers("asked", price={"input": "$1 / 1M"})
        gateway.offers("stage", status="deprecated")
        made.env["PRINTED"] = made.quick("run", at=DAYS[1]).output
        yield made


def lines(text: str, model: str) -> list[str]:
    """Return the lines of a model in a report of changes, without its id."""
    found = [line for line in text.splitlines() if f" {model}" in line]
    return [line.partition(f" {model}  ")[2] for line in found]


@pytest.mark.parametrize(
    ("model", "line"),
    [
        ("text", "input CNY 0.5 → CNY 0.9 per 1M tokens (+80 %)"),
        ("spelled", "input CNY 0.5 → CNY 0.9 per 1M tokens (+80 %)"),
        ("yuan", "input CNY 2 → CNY 3 per 1M tokens (+50 %)"),
        ("asked", "input $1.00 per 1M tokens, new"),
        ("credits", "price.input 5 credits → 9 credits"),
    ],
)
def test_a_change_of_a_price_is_printed_once_however_it_is_written(job: Job, model: str, line: str) -> None:
    assert lines(job.quick("changes").stdout, model) == [line]


def test_watch_judges_each_price_and_stage_as_the_run_did(job: Job) -> None:
    checked = job.quick("watch", "--json", "--since", "2026-05-01T12:00Z", at=DAYS[1]).json()
    urgent = {each["model"] for each in checked["models"] if each["urgent"]}
    reported = {each["model"] for each in job.quick("changes", "--json").json() if each["urgent"]}
    assert urgent == reported == {"plain", "yuan", "text", "spelled", "credits", "asked", "stage"}
    kinds = {each["model"]: [found["kind"] for found in each["findings"]] for each in checked["models"]}
    assert kinds["credits"] == ["repriced"]
    assert kinds["stage"] == ["stage"]
    shown = job.quick("watch", "credits", "stage", "--since", "2026-05-01T12:00Z", at=DAYS[1]).stdout
    assert "price.input 5 credits → 9 credits since 2026-05-02 06:00: lake/public" in shown
    assert "status stable → deprecated since 2026-05-02 06:00: lake/public" in shown
    rows = job.quick("watch", "credits", "yuan", "--csv", "--since", "2026-05-01T12:00Z", at=DAYS[1]).rows()
    assert [(row["field"], row["price"], row["before"], row["after"], row["currency"]) for row in rows] == [
        ("price.input", "", "5 credits", "9 credits", ""),
        ("", "input in CNY", "2", "3", "CNY"),
    ]


def test_a_price_in_words_that_is_back_needs_no_attention(tmp_path: Path) -> None:
    job = Job(tmp_path)
    with Gateway() as gateway:
        job.asks(gateway.url, name="lake")
        job.configure(job.config.read_text("utf-8") + '\n[watch]\nmodels = ["credits"]\n')
        for day, price in zip(DAYS, ("5 credits", "9 credits", "5 credits"), strict=True):
            gateway.offers("credits", price={"input": price})
            job.quick("run", at=day)
    assert job.quick("watch", "--exit-code", "--since", "2026-05-01T12:00Z", at=DAYS[2]).code == 0


def test_csv_has_the_prices_per_unit_with_currency_and_unit(job: Job) -> None:
    columns = ("before_usd_per_1m", "after_usd_per_1m", "before_price", "after_price", "currency", "unit")
    found = job.quick("changes", "--csv").rows()
    rows = {row["model"]: tuple(row[column] for column in columns) for row in found}
    assert rows["plain"] == ("0.5", "0.4", "0.5", "0.4", "USD", "1M tokens")
    assert rows["yuan"] == ("", "", "2", "3", "CNY", "1M tokens")
    assert rows["text"] == ("", "", "0.5", "0.9", "CNY", "1M tokens")
    assert rows["asked"] == ("", "1", "", "1", "USD", "1M tokens")
    assert rows["credits"] == ("",) * 6
    compared = job.quick("diff", "2026-05-01T07:00Z", "now", "--csv").rows()
    of_diff = {row["model"]: tuple(row[column] for column in columns) for row in compared}
    assert {model: of_diff[model] for model in rows} == rows


def test_history_shows_plain_prices_in_another_currency(job: Job) -> None:
    text = job.quick("history", "yuan").stdout
    assert "offered, in the first answer; input CNY 2, output CNY 8 per 1M tokens\n" in text


def test_csv_and_json_of_models_have_prices_and_facts(job: Job) -> None:
    rows = {row["model"]: row for row in job.quick("models", "--csv").rows()}
    columns = (
        "context_length", "max_output", "input_usd_per_1m", "output_usd_per_1m", "input_modalities",
        "output_modalities", "features", "other_prices", "records",
    )  # fmt: skip
    expected = ("200000", "8192", "0.4", "2", "image text", "text", "tools", "", "1")
    assert tuple(rows["plain"][column] for column in columns) == expected
    assert rows["yuan"]["input_usd_per_1m"] == ""
    assert rows["yuan"]["other_prices"] == "input CNY 3 per 1M tokens; output CNY 8 per 1M tokens"
    [plain] = job.quick("models", "plain", "--json").json()
    [facts] = plain["facts"]
    assert (facts["scopes"], facts["input_usd_per_1m"], facts["features"]) == (
        ["lake/public"],
        0.4,
        ["tools"],
    )
    [yuan] = job.quick("models", "yuan", "--json").json()
    assert [(each["currency"], each["amount"]) for each in yuan["facts"][0]["prices"]] == [
        ("CNY", 3),
        ("CNY", 8),
    ]
    assert json.loads(yuan["records"][0])["pricing"]["input"] == 3
    table = job.quick("models").stdout
    assert table.split()[:4] == ["model", "input", "output", "context"]
    assert "input CNY 3 per 1M tokens, output CNY 8 per 1M tokens" in table


def test_models_of_several_records_have_the_facts_of_the_most_scopes(tmp_path: Path) -> None:
    job = Job(tmp_path, {"ONE": "sk-one-12345678", "TWO": "sk-two-12345678"})
    with Gateway() as gateway:
        gateway.key(job.env["ONE"], group="vip")
        gateway.key(job.env["TWO"], group="vip")
        gateway.offers("heron", context_length=1000)
        gateway.offers("heron", to="vip", context_length=2000)
        scopes = {"public": "", "one": 'key = "env:ONE"', "two": 'key = "env:TWO"'}
        job.asks(gateway.url, name="lake", scopes=scopes)
        job.quick("run", at=DAYS[0])
    [row] = job.quick("models", "--csv").rows()
    assert (row["context_length"], row["records"]) == ("2000", "2")
    [model] = job.quick("models", "--json").json()
    assert {each["context_length"]: each["scopes"] for each in model["facts"]} == {
        1000: ["lake/public"],
        2000: ["lake/one", "lake/two"],
    }
