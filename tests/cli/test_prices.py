"""Prices that give no figure: `check`, `import` and the page of a scope name the field and what to set."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.browsing import Site, datasette_on, text
from support.e2e import Job, Reply, Scripted, listing

from pipeline.simulator import Gateway

CHEAP = {"pricing": {"input": 0.02, "output": 0.04}}


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "home")


def advice_of(job: Job, *records: dict[str, Any], **settings: Any) -> str | None:
    """Return what `check` says about a list of these records, at a gateway with these settings."""
    body = listing({"id": f"lyra-{number}", **record} for number, record in enumerate(records))
    with Scripted(lambda _: Reply(body)) as server:
        job.asks(server.url, **settings)
        [row] = job.quick("check", "--json").json()
    assert row["answers"] == "yes"
    advice: str | None = row["advice"]
    return advice


def test_check_says_what_to_set_where_the_unit_of_prices_is_not_stated(job: Job) -> None:
    assert advice_of(job, CHEAP, CHEAP, {}) == (
        "2 of 3 records have `pricing.input`; no price is read:"
        ' set `prices = { unit = "…", input = "pricing.input", output = "pricing.output" }`;'
        " the unit is `token`, `1k`, `1m`, `cents_per_1m` or `cents_per_100m`"
    )


def test_advice_about_a_long_list_is_that_of_some_thousand_of_its_records(job: Job) -> None:
    records = [CHEAP if number % 2 else {"description": "x"} for number in range(2500)]
    found = advice_of(job, *records, CHEAP)
    assert found is not None
    assert re.match(r"\d{3} of 834 records have `pricing.input`; no price is read", found)


def test_advice_about_a_long_list_without_facts_counts_all_of_its_records(job: Job) -> None:
    found = advice_of(job, *({"weight": 7} for _ in range(2500)))
    assert found is not None
    assert found.startswith("2500 models: ")


def test_check_names_another_currency(job: Job) -> None:
    yuan = {"pricing": {"input": 4, "output": 16, "currency": "CNY"}}
    assert advice_of(job, yuan) == "1 of 1 record has `pricing.input` in CNY: no price in USD is read"


def test_check_warns_of_a_price_that_cannot_be(job: Job) -> None:
    assert advice_of(job, {"input_cost_per_token": 0.25}, {"input_cost_per_token": 2.5e-7}) == (
        "1 model with a price that cannot be, which gives no figure:"
        " lyra-0: input_cost_per_token is $250,000 per 1M tokens"
    )


@pytest.mark.parametrize(
    ("record", "settings"),
    [
        (CHEAP, {"prices": "unit"}),
        ({"pricing": {"prompt": "0.0000005", "completion": "0.000002"}, "architecture": {}}, {}),
        ({"pricing": {"image": 0.04}}, {}),
        ({"pricing": {"input": 0, "output": 0}}, {}),
        ({}, {}),
    ],
)
def test_check_is_silent_where_prices_are_read_or_there_are_none(
    job: Job, record: dict[str, Any], settings: dict[str, Any]
) -> None:
    body = listing([{"id": "lyra", **record}])
    with Scripted(lambda _: Reply(body)) as server:
        job.asks(server.url)
        if settings:
            text = job.config.read_text("utf-8")
            job.configure(text.replace("backoff", 'prices = { unit = "1m" }\nbackoff', 1))
        [row] = job.quick("check", "--json").json()
    assert (row["answers"], row["advice"]) == ("yes", None)


@pytest.mark.parametrize(
    ("record", "path"),
    [
        (
            {"vendors": {"north": {"pricing": {"input_per_million": 2.5}}}},
            "vendors.north.pricing.input_per_million",
        ),
        ({"official_price": {"input": 1}}, "official_price.input"),
        ({"pricing": {"input": [1, 2, 3]}}, "pricing.input"),
        ({"pricing": {"input": "₦2 / 1M"}}, "pricing.input"),
        ({"price": 0.5}, "price"),
    ],
)
def test_check_names_a_price_that_is_not_read_wherever_it_is(
    job: Job, record: dict[str, Any], path: str
) -> None:
    assert advice_of(job, record, {"context_length": 8192}) == (
        f"1 of 2 records has `{path}`; no price is read: set the unit and the paths of `prices`"
    )


def test_check_names_a_text_that_is_no_price(job: Job) -> None:
    text = {"pricing": {"input": "$0.50 - $1.00 / 1M", "output": "$2 / 1M"}}
    assert advice_of(job, text) == '`pricing.input` is "$0.50 - $1.00 / 1M", which is not read as a price'


def test_check_names_the_fields_where_nothing_but_ids_is_read(job: Job) -> None:
    assert advice_of(job, {"window": 4096, "rates": {"i": 1}}, {"ends": None}) == (
        "2 models: no context length, no price is read; the records have `rates`, `window`, `ends`:"
        " set `facts` and `prices` where they are among them"
    )


@pytest.mark.parametrize(
    "record",
    [{"owned_by": "quarry", "created": 1}, {"window": 1, "context_length": 8192}, {"permission": [1]}],
)
def test_check_is_silent_where_records_are_plain_or_have_facts(job: Job, record: dict[str, Any]) -> None:
    assert advice_of(job, record) is None


def test_a_text_with_currency_and_unit_is_a_price_whatever_its_name(job: Job) -> None:
    advice = advice_of(job, {"context_length": 8192, "rates": {"in": "0.25 USD / 1M", "label": "5 stars"}})
    assert advice == (
        '`rates.in` is "0.25 USD / 1M"; no price is read: set its path, as `prices = { input = "rates.in" }`'
    )


def test_import_says_what_to_set_on_standard_error(job: Job, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "models-2025-10-01.json").write_bytes(listing([{"id": "lyra", **CHEAP}]))
    done = job.quick("import", "acme/old", str(saved), "--dialect", "auto")
    assert done.code == 0
    assert "acme/old: 1 of 1 record has `pricing.input`; no price is read: set `prices" in done.stderr


UNREAD = "1 of 2 records has `pricing.input`; no price is read: set `prices = {"


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A gateway with a model that has a price without a unit."""
    with Gateway() as made:
        made.offers("lyra", **CHEAP)
        made.offers("vega")
        yield made


def notes(job: Job) -> str:
    """Return the page of the only scope in the browser, up to its history."""
    site = Site(datasette_on(job.database))
    return text(site.page("/modelwatch/scopes/1")).partition(" History ")[0]


def test_the_page_of_a_scope_says_what_to_set_until_it_is_set(job: Job, gateway: Gateway) -> None:
    job.asks(gateway.url, attempts=1)
    config = job.config.read_text("utf-8")
    job.quick("run", at="2026-05-01T06:00:00Z")
    assert f"Notes about its last accepted answer about note prices {UNREAD}" in notes(job)
    job.quick("run", at="2026-05-01T07:00:00Z")
    assert UNREAD in notes(job)
    job.configure(config.replace("backoff", 'prices = { unit = "1m" }\nbackoff', 1))
    job.quick("run", at="2026-05-01T08:00:00Z")
    assert "Notes" not in notes(job)
    job.configure(config)
    job.quick("rebuild")
    assert UNREAD in notes(job)
    gateway.offers("lyra", pricing={"input": "$2 / 1M"})
    job.quick("run", at="2026-05-01T09:00:00Z")
    assert "Notes" not in notes(job)


def test_the_page_of_a_scope_is_about_its_accepted_answer(job: Job, gateway: Gateway) -> None:
    gateway.offers(*"abcdefgh", pricing={"input": "$2 / 1M"})
    job.asks(gateway.url, attempts=1)
    job.quick("run", at="2026-05-01T06:00:00Z")
    gateway.drops(*"abcdefgh")
    assert job.quick("run", at="2026-05-01T07:00:00Z").code == 5
    assert "1 of 10 records has `pricing.input`" in notes(job)
    job.quick("accept", "local/public", at="2026-05-01T08:00:00Z")
    assert UNREAD in notes(job)


def test_the_page_of_a_scope_has_rows_left_out_and_prices_that_cannot_be(job: Job) -> None:
    body = listing([{"id": "lyra", "input_cost_per_token": 0.25}, {"id": ""}, {"id": "vega"}])
    with Scripted(lambda _: Reply(body)) as server:
        job.asks(server.url)
        job.quick("run")
    shown = notes(job)
    assert "lyra: input_cost_per_token is $250,000 per 1M tokens" in shown
    assert " rows 1 of 3 rows is left out" in shown
    assert "skipped" not in shown


def test_an_import_is_noted_on_the_page_of_its_scope(job: Job, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "models-2025-10-01.json").write_bytes(listing([{"id": "lyra", **CHEAP}, {"id": "vega"}]))
    job.quick("import", "acme/old", str(saved), "--dialect", "auto")
    assert UNREAD in notes(job)


def test_the_records_of_a_list_like_openrouters_have_prices_without_a_setting(job: Job) -> None:
    marks = {"architecture": {"modality": "text->text"}, "context_length": 8000}
    priced = {"pricing": {"prompt": "0.0000005", "completion": "0.0000015"}, **marks}
    # Some records lack the marks of the dialect, so the list as a whole is not recognised.
    body = listing([{"id": "a/one", "canonical_slug": "a/one", **priced}, {"id": "b/two", **priced}])
    with Scripted(lambda _: Reply(body)) as server:
        job.asks(server.url)
        assert job.quick("run").code == 0
    shown = job.quick("show", "b/two", "--json").stdout
    assert '"input_usd_per_1m": 0.5' in shown


@pytest.mark.parametrize(
    ("field", "before", "after"),
    [
        ("pricing", {"input": "$2.00 / 1M"}, {"input": "$3.00 / 1M"}),
        ("pricing", {"input": "0.002 USD per 1K tokens"}, {"input": "0.003 USD per 1K tokens"}),
        (
            "price",
            {"input": 200, "unit": "cents per 1M tokens"},
            {"input": 300, "unit": "cents per 1M tokens"},
        ),
        ("input_price_per_million", 2, 3),
    ],
)
def test_a_change_of_a_price_with_a_stated_unit_is_one_line_in_usd(
    job: Job, field: str, before: Any, after: Any
) -> None:
    bodies = iter([listing([{"id": "lyra", field: value}]) for value in (before, after)])
    with Scripted(lambda _: Reply(next(bodies))) as server:
        job.asks(server.url)
        for day in (1, 2):
            assert job.quick("run", at=f"2026-05-0{day}T06:00:00Z").code == 0
    assert job.quick("changes").stdout == (
        "2026-05-02 06:00  local/public\n  ~ lyra  input $2.00 → $3.00 per 1M tokens (+50 %)\n"
    )


def test_units_that_a_record_states_are_obeyed_by_a_run(job: Job, gateway: Gateway) -> None:
    gateway.offers("lyra", context_length="128K", pricing={"input": "$0.50 / 1M", "output": "1.5 USD/1M"})
    gateway.offers(
        "vega", context_window="1M", price={"input": 4, "currency": "CNY", "unit": "per_million_tokens"}
    )
    job.asks(gateway.url)
    job.quick("run")
    facts = {
        model: job.quick("show", model, "--json").json()["gateways"][0]["records"][0]["facts"]
        for model in ("lyra", "vega")
    }
    lyra = facts["lyra"]
    assert (lyra["context_length"], lyra["input_usd_per_1m"], lyra["output_usd_per_1m"]) == (128000, 0.5, 1.5)
    assert facts["vega"]["context_length"] == 1000000
    assert facts["vega"].get("input_usd_per_1m") is None


def test_check_says_what_to_set_where_a_configured_path_finds_no_price(job: Job) -> None:
    body = listing([{"id": "lyra", **CHEAP}])
    with Scripted(lambda _: Reply(body)) as server:
        job.asks(server.url)
        text = job.config.read_text("utf-8")
        prices = 'prices = { unit = "1m", input = "pricing.in" }'
        job.configure(text.replace("backoff", f"{prices}\nbackoff", 1))
        [row] = job.quick("check", "--json").json()
    assert "1 of 1 record has `pricing.input`; no price is read: set" in row["advice"]
