"""Prices on the pages: those of texts, of other currencies and with conditions, as `changes` writes them."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from support.browsing import Site, datasette_on, text
from support.e2e import Job

from pipeline.browse.datasette import configuration
from pipeline.browse.plugins.cells import price
from pipeline.browse.plugins.start import QUERIES, prepare_connection
from pipeline.reports.render.locales import Locale
from pipeline.simulator import Gateway
from pipeline.store import Store

YUAN = {"currency": "CNY", "unit": "1M tokens"}
LONG = "input_cost_per_token_above_200k_tokens"


def tiers(price: float) -> dict[str, object]:
    """Return prices with a tier for long prompts."""
    tier = {"input": price, "output": 6, "tier": {"type": "context", "size": 200000}}
    return {"unit": "per_million_tokens", "input": 1.25, "output": 4, "tiers": [tier]}


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A home with two runs, between which prices of each kind change."""
    made = Job(tmp_path_factory.mktemp("prices"))
    with Gateway() as gateway:
        made.asks(gateway.url, name="lake")
        gateway.offers("words", price={"input": "$0.50 / 1M", "output": "$2 / 1M"})
        gateway.offers("yuan", pricing={"input": 2, "output": 8, **YUAN})
        gateway.offers("spelled", price={"input": "0.5元/百万tokens"})
        gateway.offers("long", input_cost_per_token=1.25e-6, **{LONG: 2.5e-6})
        gateway.offers("steps", pricing=tiers(2.5))
        gateway.offers("credits", price={"input": "5 credits"})
        gateway.offers("plain", cost={"input": 0.04})
        gateway.offers("both", price={"input": "$1 / 1M", "rush": "5 credits"}, context_length=8000)
        gateway.offers("fresh", price={"output": "$2 / 1M"})
        gateway.offers("gone", price={"input": "$1 / 1M", "output": "$2 / 1M"})
        gateway.offers("tiny", price_per_image=0.002)
        made.quick("run", at="2026-05-01T06:00:00Z")
        gateway.offers("words", price={"input": "$0.40 / 1M", "output": "$2 / 1M"})
        gateway.offers("yuan", pricing={"input": 3, "output": 8, **YUAN})
        gateway.offers("spelled", price={"input": "0.9元/百万tokens"})
        gateway.offers("long", input_cost_per_token=1.25e-6, **{LONG: 3e-6})
        gateway.offers("steps", pricing=tiers(2.75))
        gateway.offers("credits", price={"input": "9 credits"})
        gateway.offers("plain", cost={"input": 0.05})
        gateway.offers("both", price={"input": "$3 / 1M", "rush": "7 credits"}, context_length=4000)
        gateway.offers("fresh", price={"input": "$1 / 1M", "output": "$2 / 1M"})
        gateway.offers("gone", price={"output": "$2 / 1M"})
        gateway.offers("tiny", price_per_image=0.004)
        made.quick("run", at="2026-05-02T06:00:00Z")
    return made


@pytest.fixture(scope="module")
def site(job: Job) -> Site:
    with Store.read(job.database) as store:
        metadata = configuration(store, "modelwatch")
    return Site(datasette_on(job.database, metadata=metadata))


EXPECTED = {
    "words": [("input", 0.5, 0.4, -20.0, "USD", "1M tokens")],
    "yuan": [("input", 2.0, 3.0, 50.0, "CNY", "1M tokens")],
    "spelled": [("input", 0.5, 0.9, 80.0, "CNY", "1M tokens")],
    "long": [("input above 200k tokens", 2.5, 3.0, 20.0, "USD", "1M tokens")],
    "steps": [("input above 200k tokens", 2.5, 2.75, 10.0, "USD", "1M tokens")],
    "credits": [("price.input", "5 credits", "9 credits", None, None, None)],
    "plain": [("cost.input", "0.04", "0.05", 25.0, None, None)],
    "both": [
        ("input", 1.0, 3.0, 200.0, "USD", "1M tokens"),
        ("price.rush", "5 credits", "7 credits", None, None, None),
    ],
    "fresh": [("input", None, 1.0, None, "USD", "1M tokens")],
    "gone": [("input", 1.0, None, None, "USD", "1M tokens")],
    "tiny": [("image", 0.002, 0.004, 100.0, "USD", "image")],
}


def test_price_history_has_each_price_once_with_its_currency_and_unit(job: Job) -> None:
    with closing(sqlite3.connect(job.database)) as db:
        rows = db.execute(
            "select model, field, before, after, percent, currency, unit from price_history order by 1, 2"
        ).fetchall()
    found: dict[str, list[tuple[object, ...]]] = {}
    for model, *row in rows:
        found.setdefault(model, []).append(tuple(row))
    assert found == EXPECTED


SHOWN = {
    "words": "input $0.50 $0.40 per 1M tokens −20%",
    "yuan": "input CNY 2 CNY 3 per 1M tokens +50%",
    "spelled": "input CNY 0.5 CNY 0.9 per 1M tokens +80%",
    "long": "input above 200k tokens $2.50 $3.00 per 1M tokens +20%",
    "steps": "input above 200k tokens $2.50 $2.75 per 1M tokens +10%",
    "credits": "price.input 5 credits 9 credits",
    "fresh": "input – $1.00 per 1M tokens",
    "gone": "input $1.00 per 1M tokens –",
    "tiny": "image $0.002 $0.004 per image +100%",
}


def address(job: Job, table: str, name: str) -> str:
    """Return the address of the first row with a name."""
    with closing(sqlite3.connect(job.database)) as db:
        (id_,) = db.execute(f"select min(id) from {table} where name like ?", [name]).fetchone()
    return f"/modelwatch/{table}/{id_}"


@pytest.mark.parametrize("model", sorted(SHOWN))
def test_the_pages_of_rows_write_prices_as_changes_does(job: Job, site: Site, model: str) -> None:
    pages = {
        "change": address(job, "changes", f"~ {model}"),
        "model": address(job, "models", model),
        "record": address(job, "records", f"{model}@%"),
        "run": address(job, "snapshots", "2026-05-02%"),
        "transition": address(job, "transitions", "%"),
    }
    for name, page in pages.items():
        # The class of the field stands between its name and its values there.
        shown = re.sub(r" price (?=[$–C5])", " ", text(site.page(page)))
        assert SHOWN[model] in shown, name


def test_the_start_page_has_rises_and_falls_of_every_kind_of_price(site: Site) -> None:
    page = site.page("/")
    cards = {
        name: next(part for part in page.split("<section ") if f'id="{name}"' in part)
        for name in ("recent", "prices")
    }
    prices = text(cards["prices"])
    for line in (
        "words input $0.50 $0.40 per 1M ▼ −20%",
        "yuan input CNY 2 CNY 3 per 1M ▲ +50%",
        "steps input above 200k tokens $2.50 $2.75 per 1M ▲ +10%",
        "plain cost.input 0.04 0.05 ▲ +25%",
    ):
        assert line in prices
    assert "fresh" not in prices
    assert "gone" not in prices


def test_changes_are_categorised_by_the_prices_that_were_read(job: Job, site: Site) -> None:
    del site
    query = QUERIES["changes"]
    with closing(sqlite3.connect(job.database)) as db:
        prepare_connection(db)
        db.row_factory = sqlite3.Row
        rows = db.execute(query, {"since": "2026", "most": 50, "watched": "[]"}).fetchall()
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["category"], set()).add(row["name"])
    assert found == {
        "price_increase": {"yuan", "spelled", "long", "steps", "plain", "both", "tiny"},
        "price_decrease": {"words"},
        "changed": {"credits", "fresh", "gone"},
    }


def test_prices_in_another_currency_are_drawn_in_it(job: Job, site: Site) -> None:
    page = site.page(address(job, "models", "yuan"))
    assert 'data-unit="CNY "' in page
    assert re.search(
        r"in CNY per 1 million tokens.*input CNY/1M output CNY/1M.* CNY 3 CNY 8 .* CNY 2 CNY 8", text(page)
    )


@pytest.mark.parametrize("amount", [0, 0.5, 2.5, 20, 1000, 1234.5, 0.002, 1e-07])
def test_pages_write_an_amount_as_reports_do(amount: float) -> None:
    assert price(amount) == Locale("en").money(Decimal(str(amount)))


def test_a_price_that_a_list_lost_and_regained_higher_as_a_text_is_a_rise(tmp_path: Path) -> None:
    job = Job(tmp_path)
    with Gateway() as gateway:
        job.asks(gateway.url, name="lake")
        for day, price_now in (("01", "$1 / 1M"), ("02", None), ("03", "$2 / 1M")):
            for model in "abcdef":
                gateway.offers(model, **({"price": {"input": price_now}} if price_now else {}))
            job.quick("run", at=f"2026-05-{day}T06:00:00Z")
    page = text(Site(datasette_on(job.database)).page("/"))
    assert re.search(r"price increase 6 a input \$1.00 \$2.00 per 1M \+100%", page)


@pytest.mark.parametrize(
    ("model", "sides"),
    [
        ("words", "price.input $0.50 $0.40 per 1M"),
        ("yuan", "pricing.input CNY 2 CNY 3 per 1M"),
        ("long", f"{LONG} $2.50 $3.00 per 1M"),
        ("gone", "price.input $1.00 per 1M"),
        ("credits", "price.input 5 credits 9 credits"),
        ("plain", "cost.input 0.04 0.05"),
        ("tiny", "price_per_image $0.002 $0.004 per image"),
    ],
)
def test_the_page_of_changes_writes_prices_as_the_start_page_does(site: Site, model: str, sides: str) -> None:
    page = site.page("/modelwatch/what_changed?since=2026-05-01")
    lines = [text(line) for line in page.split("<tr") if f"{model} " in text(line)]
    assert any(f"{model} {sides}" in line for line in lines), lines
