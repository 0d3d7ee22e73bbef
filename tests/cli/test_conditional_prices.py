"""Prices with conditions, and of other units than tokens, on every surface."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cli.test_price_notation import DESTINATIONS, console, mail, plain_html
from support.browsing import Site, datasette_on, text
from support.e2e import Job

from pipeline.simulator import Gateway

LONG = {
    "input_cost_per_token": 1.25e-6,
    "output_cost_per_token": 1e-5,
    "input_cost_per_token_above_200k_tokens": 2.5e-6,
    "input_cost_per_token_batches": 6e-7,
}
TIERS = {
    "unit": "per_million_tokens",
    "input": 1,
    "output": 4,
    "tiers": [{"input": 2, "output": 6, "tier": {"type": "context", "size": 200000}}],
}
CHANGED = (
    "input above 200k tokens $2.50 → $5.00 per 1M tokens (+100 %)",
    "input, batch $0.60 → $0.30 per 1M tokens (−50 %)",
    "image $0.002 → $0.004 per image (+100 %)",
    "input above 200k tokens $2.00 → $3.00 per 1M tokens (+50 %)",
    "output above 1M tokens $9.00 per 1M tokens, new",
    "input CNY 4 → CNY 5 per 1M tokens (+25 %)",
)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """A home with two runs, between which only prices with conditions change."""
    made = Job(tmp_path_factory.mktemp("conditions"))
    with Gateway() as gateway:
        made.asks(gateway.url, scopes={"public": ""})
        made.configure(made.config.read_text("utf-8") + DESTINATIONS + '\n[watch]\nmodels = ["long"]\n')
        offer(gateway, LONG, TIERS, image=0.002, yuan=4)
        made.quick("run", at="2026-05-01T06:00:00Z")
        longer = LONG | {
            "input_cost_per_token_above_200k_tokens": 5e-6,
            "input_cost_per_token_batches": 3e-7,
        }
        more = {"output": 9, "tier": {"type": "context", "size": 1_000_000}}
        tiers = [TIERS["tiers"][0] | {"input": 3}, more]
        offer(gateway, longer, TIERS | {"tiers": tiers}, image=0.004, yuan=5)
        made.env["PRINTED"] = made.quick("run", at="2026-05-02T06:00:00Z").output
        yield made


def offer(gateway: Gateway, long: Any, tiers: Any, *, image: float, yuan: int) -> None:
    gateway.offers("long", **long)
    gateway.offers("sketch", price_per_image=image)
    gateway.offers("steps", pricing=tiers)
    gateway.offers("yuan", pricing={"input": yuan, "currency": "CNY", "unit": "per_million_tokens"})


def surfaces(job: Job) -> dict[str, str]:
    """Return the text of every surface that prints changes of prices."""
    pages = {path.name: path.read_text("utf-8") for path in (job.home / "pages").glob("*")}
    since = ("--since", "2026-05-01")
    return {
        "run": job.env["PRINTED"],
        "console": console(job),
        "changes": job.quick("changes").stdout,
        "diff": job.quick("diff", "2026-05-01T07:00Z", "now").stdout,
        "history": "".join(job.quick("history", m).stdout for m in ("long", "sketch", "steps", "yuan")),
        "report": job.quick("report", *since, "--as", "txt").stdout,
        "mail, text": mail(job)["text/plain"],
        "mail, html": plain_html(mail(job)["text/html"]),
        "page": plain_html(pages["latest.html"]),
        "markdown": pages["latest.md"].replace("\\", ""),
    }


@pytest.mark.parametrize(
    "surface",
    ["console", "changes", "diff", "history", "report", "mail, text", "mail, html", "page", "markdown"],
)
def test_changes_of_prices_with_conditions_are_written_in_the_usual_notation(job: Job, surface: str) -> None:
    text = " ".join(surfaces(job)[surface].split())
    for expected in CHANGED:
        assert expected in text
    # The fields that these prices are read from are not printed a second time.
    for field in ("input_cost_per_token_above", "price_per_image", "pricing.tiers", "pricing.input"):
        assert field not in text


def test_the_browser_has_the_prices_with_conditions_of_a_model_and_of_all(job: Job) -> None:
    site = Site(datasette_on(job.database))
    with closing(sqlite3.connect(job.database)) as database:
        ((model,),) = database.execute("select id from models where name = 'long'").fetchall()
    page = text(site.page(f"/modelwatch/models/{model}"))
    assert "Prices with conditions" in page
    for column in ("input above 200k", "input, batch", "$5", "$2.5"):
        assert column in page
    prices = text(site.page("/modelwatch/prices?_size=max"))
    assert all(part in prices for part in ("long", "batch", "200,000", "image", "CNY"))


def test_a_watched_model_with_another_price_for_long_prompts_is_urgent(job: Job) -> None:
    assert CHANGED[0] in " ".join(job.env["PRINTED"].split())
    assert CHANGED[0] in " ".join(job.quick("watch", "--since", "2026-05-01").stdout.split())
    severities = {row["model"]: row["severity"] for row in job.quick("changes", "--json").json()}
    assert severities == {"long": "urgent", "sketch": "breaking", "steps": "breaking", "yuan": "breaking"}


def test_json_has_the_conditions_and_csv_the_prices_in_usd(job: Job) -> None:
    report = json.loads((job.home / "reports" / "latest.json").read_text("utf-8"))
    prices = {each["model"]: each["prices"] for each in report["changes"]}
    assert prices["long"] == [
        {
            "name": "input, batch", "before": 0.6, "after": 0.3, "unit": "1M tokens", "source": "exact",
            "percent": -50, "window": "batch",
        },
        {
            "name": "input above 200k tokens", "before": 2.5, "after": 5, "unit": "1M tokens",
            "source": "exact", "percent": 100, "from_tokens": 200000,
        },
    ]  # fmt: skip
    assert prices["yuan"][0]["currency"] == "CNY"
    rows = {
        row["field"]: (row["before_usd_per_1m"], row["after_usd_per_1m"])
        for row in job.quick("changes", "--csv").rows()
    }
    assert rows["input_cost_per_token_above_200k_tokens"] == ("2.5", "5")
    assert rows["input_cost_per_token_batches"] == ("0.6", "0.3")
    assert rows["price_per_image"] == rows["pricing.input"] == ("", "")


def test_show_lists_the_prices_of_a_model_with_their_conditions(job: Job) -> None:
    shown = " ".join(job.quick("show", "long").stdout.split())
    assert "input $1.25 per 1M tokens output $10.00 per 1M tokens" in shown
    assert "input above 200k tokens $5.00 per 1M tokens" in shown
    assert "input, batch $0.30 per 1M tokens" in shown
    assert "image $0.004 per image" in " ".join(job.quick("show", "sketch").stdout.split())
    [at] = job.quick("show", "sketch", "--json").json()["gateways"]
    assert at["records"][0]["prices"] == [
        {
            "name": "image",
            "unit": "image",
            "from_tokens": 0,
            "window": None,
            "currency": "USD",
            "amount": 0.004,
        }
    ]


def test_the_first_answer_counts_the_prices_with_conditions(job: Job) -> None:
    text = job.quick("history", "long").stdout
    assert "input $1.25, output $10.00 per 1M tokens, 2 prices with conditions" in text


def test_prices_that_only_the_program_reads_anew_are_no_news(tmp_path: Path) -> None:
    job = Job(tmp_path)
    with Gateway() as gateway:
        gateway.offers("long", **LONG)
        job.asks(gateway.url, scopes={"public": ""})
        job.quick("run", at="2026-05-01T06:00:00Z")
        with sqlite3.connect(job.database) as connection:
            known = connection.execute("select * from record_prices").fetchall()
            connection.execute("delete from record_prices")
            connection.execute("pragma user_version = 1")
        connection.close()
        assert job.quick("run", at="2026-05-02T06:00:00Z").code == 0
        with sqlite3.connect(job.database) as connection:
            assert connection.execute("select * from record_prices").fetchall() == known
        connection.close()
        assert job.quick("changes").stdout == "no changes\n"
        assert job.quick("verify").code == 0
        gateway.offers("long", **LONG | {"input_cost_per_token_batches": 3e-7})
        job.quick("run", at="2026-05-03T06:00:00Z")
    assert "input, batch $0.60 → $0.30 per 1M tokens (−50 %)" in job.quick("changes").stdout


def test_a_price_in_another_currency_is_a_new_one(tmp_path: Path) -> None:
    job = Job(tmp_path / "home")
    per_million = {"unit": "per_million_tokens"}
    with Gateway() as gateway:
        job.asks(gateway.url, scopes={"public": ""})
        gateway.offers("heron", pricing={"input": 4, "output": 16, "currency": "USD"} | per_million)
        job.quick("run", at="2026-05-01T06:00:00Z")
        gateway.offers("heron", pricing={"input": 28, "output": 112, "currency": "CNY"} | per_million)
        job.quick("run", at="2026-05-02T06:00:00Z")
    text = job.quick("changes").stdout
    for expected in (
        "input $4.00 per 1M tokens, removed",
        "output $16.00 per 1M tokens, removed",
        "input CNY 28 per 1M tokens, new",
        "output CNY 112 per 1M tokens, new",
        "pricing.currency USD → CNY",
    ):
        assert expected in text
    assert "%" not in text
    rows = {row["field"]: row["after_usd_per_1m"] for row in job.quick("changes", "--csv").rows()}
    assert rows == {"pricing.input": "", "pricing.output": "", "pricing.currency": ""}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            {"input": "￥4/百万tokens"},
            {"input": "￥5/百万tokens"},
            "input CNY 4 → CNY 5 per 1M tokens (+25 %)",
        ),
        (
            {"input": 0.1, "unit": "hour"},
            {"input": 0.2, "unit": "hour"},
            "input $0.10 → $0.20 per hour (+100 %)",
        ),
        (
            {"tiers": [{"up_to": 8000, "input": 1}, {"input": 2}], "unit": "1M"},
            {"tiers": [{"up_to": 8000, "input": 1}, {"input": 3}], "unit": "1M"},
            "input above 8k tokens $2.00 → $3.00 per 1M tokens (+50 %)",
        ),
        (
            {"input": [1, 2], "thresholds": [8000], "unit": "1M"},
            {"input": [1, 3], "thresholds": [8000], "unit": "1M"},
            "input above 8k tokens $2.00 → $3.00 per 1M tokens (+50 %)",
        ),
        (
            {"input_micro_usd_per_1m": 2000000},
            {"input_micro_usd_per_1m": 3000000},
            "input $2.00 → $3.00 per 1M tokens (+50 %)",
        ),
        (
            {"video": [{"resolution": "720p", "cost_per_second": "0.1"}]},
            {"video": [{"resolution": "720p", "cost_per_second": "0.2"}]},
            "video, 720p $0.10 → $0.20 per second (+100 %)",
        ),
    ],
)
def test_a_change_of_a_price_is_one_line_however_it_is_written(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any], expected: str
) -> None:
    job = Job(tmp_path / "home")
    with Gateway() as gateway:
        job.asks(gateway.url, scopes={"public": ""})
        gateway.offers("heron", pricing=before)
        job.quick("run", at="2026-05-01T06:00:00Z")
        gateway.offers("heron", pricing=after)
        job.quick("run", at="2026-05-02T06:00:00Z")
    assert " ".join(job.quick("changes").stdout.split()) == (
        f"2026-05-02 06:00 local/public ~ heron {expected}"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            {"unit": "1M tokens", "input": 0.5, "output": 1.5},
            {"unit": "1K tokens", "input": 0.0005, "output": 0.0015},
        ),
        ({"unit": "cents per 1M", "input": 50, "output": 150}, {"unit": "1M", "input": 0.5, "output": 1.5}),
        ({"input": {"amount": 5, "scale": 1}}, {"input": {"amount": 50, "scale": 2}}),
    ],
)
def test_amounts_in_two_units_have_no_percentage(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any]
) -> None:
    job = Job(tmp_path / "home")
    with Gateway() as gateway:
        job.asks(gateway.url, scopes={"public": ""})
        gateway.offers("heron", pricing=before)
        job.quick("run", at="2026-05-01T06:00:00Z")
        gateway.offers("heron", pricing=after)
        job.quick("run", at="2026-05-02T06:00:00Z")
    text = job.quick("changes").stdout
    assert "~ heron" in text
    assert "%" not in text
