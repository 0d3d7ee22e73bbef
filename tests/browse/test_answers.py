"""The pages of `modelwatch browse`: one header, the answer first, drop-downs, CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import urllib.error
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.browsing import Site, browse_server, datasette_on, fetch, links, tags, text
from support.e2e import Job
from support.fakes import Script, scope

from pipeline.browse.datasette import configuration
from pipeline.browse.descriptions import DESCRIPTIONS
from pipeline.browse.plugins import sheets, start
from pipeline.browse.queries import QUERIES
from pipeline.store import Store

FORMULA = "=cmd|'/c calc'!A1"
WATCH = ("heron*", "wren", "nothing-like-it")


def record(job: Job) -> Job:
    """Record four runs of two scopes with USD prices, capabilities, a removal, and changes of both."""
    job.home.mkdir(parents=True)
    (job.home / "modelwatch.toml").write_text(
        '[gateways.acme]\nurl = "https://acme.example/v1"\n[gateways.acme.scopes]\nprod = {}\n'
        f"[watch]\nmodels = {json.dumps(WATCH)}\n"
    )
    with Store.open(job.database) as store:
        script = Script(store).has(scope("acme/prod", group="vip"), scope("acme/test"))
        for name in ("acme/prod", "acme/test"):
            script.offers(name, FORMULA, "lyra").offers_now[name] |= {
                "heron": priced(2, 8, context=200_000, features=["tools", "vision"], reads=["text", "image"]),
                "heron-mini": priced(0.5, 1, context=8_000, features=["tools"], reads=["text"]),
                "wren": priced(1, 3, context=64_000, features=[], reads=["text"]),
            }
        script.offers_now["acme/prod"]["plover"] = priced(
            9, 9, context=1_000_000, features=[], reads=["text"]
        )
        script.run()
        for name in ("acme/prod", "acme/test"):
            script.offers_now[name]["heron"] = script.offers_now[name]["heron"] | {
                "pricing": {"input": 3, "output": 8, "unit": "USD per 1M tokens"},
                "deprecation_date": "2026-12-24",
            }
        script.run()
        script.drops("acme/test", "wren").run(times=2)
        store.checkpoint()
    return job


def priced(
    one: float, other: float, *, context: int, features: list[str], reads: list[str]
) -> dict[str, Any]:
    """Return the fields of a model with prices in USD."""
    return {
        "pricing": {"input": one, "output": other, "unit": "USD per 1M tokens"},
        "context_length": context,
        "features": features,
        "input_modalities": reads,
        "output_modalities": ["text"],
        "owned_by": "birds",
    }


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return record(Job(tmp_path_factory.mktemp("answers") / "home"))


@pytest.fixture(scope="module")
def base(job: Job) -> Iterator[str]:
    with browse_server(job) as (url, _):
        yield url


def id_of(job: Job, table: str, name: str) -> int:
    with closing(sqlite3.connect(job.database)) as db:
        (row,) = db.execute(f"select id from {table} where name = ?", (name,)).fetchone()
    return int(row)


PATHS = (
    "/",
    "/modelwatch",
    *(f"/modelwatch/{name}" for name in DESCRIPTIONS),
    *(f"/modelwatch/{query.name}" for query in QUERIES),
    *(
        f"/modelwatch/{table}/1"
        for table in ("models", "records", "scopes", "listings", "changes", "snapshots")
    ),
    *(f"/modelwatch/{table}/1" for table in ("gateways", "sightings", "transitions", "field_changes")),
    "/modelwatch?sql=select+1",
)


@pytest.mark.parametrize("path", PATHS)
def test_every_page_has_the_search_and_the_navigation(base: str, path: str) -> None:
    page = fetch(base, path.partition("?")[0], **({"sql": "select 1"} if "sql" in path else {}))
    header = page[page.index("<header") : page.index("</header>")]
    assert 'action="/-/modelwatch/find"' in header
    assert re.findall(r">(\w+)</a>", header) == [
        *("modelwatch", "Models", "Changes", "Prices", "Compare", "Matrix", "Scopes", "More")
    ]


def test_every_place_of_the_navigation_exists_and_says_where_one_is(base: str) -> None:
    page = fetch(base, "/")
    header = page[page.index("<nav") : page.index("</nav>")]
    places = [link for link in links(header) if link.startswith("/modelwatch")]
    assert len(places) == 7
    for place in places:
        path, _, query = place.partition("?")
        shown = fetch(
            base, path, **dict(part.split("=") for part in query.split("&") if part and "_col" not in part)
        )
        assert 'aria-current="page"' in shown[: shown.index("</header>")], place


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_a_stored_query_begins_with_its_answer_under_a_plain_title(base: str, query: Any) -> None:
    page = fetch(base, f"/modelwatch/{query.name}")
    assert f"<h1>{query.title}</h1>" in page
    assert "Run SQL" not in page
    assert "<textarea" not in page
    answer = page.index("mw-answer") if "mw-answer" in page else page.index('class="empty"')
    assert answer < page.index("About this answer")
    assert not re.search(r"<th[^>]*>\w+_id<", page)


@pytest.mark.parametrize("name", ["offers", "models", "health", "change_log"])
def test_a_table_begins_with_its_rows_and_folds_what_describes_it(base: str, name: str) -> None:
    page = fetch(base, f"/modelwatch/{name}")
    assert f"<h1>{DESCRIPTIONS[name].title}</h1>" in page
    rows, about = page.index('<table class="rows-and-columns"'), page.index("About this table")
    assert rows < about < page.index("column-descriptions")
    assert "<details><summary>Filter and sort" in page[:rows]


def test_the_page_of_all_questions_has_plain_titles_and_no_sql_before_them(base: str) -> None:
    page = fetch(base, "/modelwatch")
    shown = text(page)
    for query in QUERIES:
        assert query.title in shown
    assert "State of each scope" in shown
    assert page.index("Questions") < page.index("Write SQL")


def select(page: str, name: str) -> list[str]:
    """Return the values of a drop-down."""
    (part,) = re.findall(rf'<select name="{name}">(.*?)</select>', page)
    return re.findall(r'<option value="([^"]*)"', part)


def test_forms_have_drop_downs_of_scopes_capabilities_modalities_and_classes(base: str) -> None:
    page = fetch(base, "/modelwatch/cheapest")
    assert select(page, "scope") == ["", "acme/*", "acme/prod", "acme/test"]
    assert select(page, "features") == ["", "tools", "vision"]
    assert select(page, "input_modality") == ["", "image", "text"]
    assert "128000" in select(page, "context_length")
    page = fetch(base, "/modelwatch/what_changed")
    assert "price" in select(page, "class")
    assert page.count('type="date"') == 2
    assert "plover" in select(fetch(base, "/modelwatch/who_sees"), "model")
    assert select(fetch(base, "/modelwatch/compare"), "other_scope") == ["", "acme/prod", "acme/test"]


def test_a_form_shows_the_present_choice_also_one_that_it_does_not_offer(base: str) -> None:
    page = fetch(base, "/modelwatch/cheapest", features="tools", scope="*/p*", context_length="100")
    assert '<option value="tools" selected>' in page
    assert '<option value="*/p*" selected>' in page
    assert '<option value="100" selected>' in page
    page = fetch(base, "/modelwatch/what_changed", since="2h", until="2026-12-01")
    assert '<input name="since" value="2h"' in page
    assert '<input type="date" name="until" value="2026-12-01">' in page


def test_many_scopes_are_proposed_while_one_is_written(tmp_path: Path) -> None:
    path = tmp_path / "modelwatch.db"
    with Store.open(path) as store:
        script = Script(store)
        for number in range(70):
            script.offers(f"acme/key-{number:02}", "lyra")
        script.run()
        site = Site(datasette_on(path, metadata=configuration(store, "modelwatch")))
    page = site.page("/modelwatch/cheapest")
    assert '<input name="scope" value="" list="proposed-scope"' in page
    assert "<option>acme/key-69</option>" in page


def rows(base: str, name: str, **parameters: str) -> list[dict[str, Any]]:
    """Return the rows of a stored query."""
    found: list[dict[str, Any]] = json.loads(
        fetch(base, f"/modelwatch/{name}.json", _shape="array", **parameters)
    )
    return found


def test_the_cheapest_models_are_chosen_by_context_capability_and_modality(base: str) -> None:
    def models(**need: str) -> list[str]:
        return [row["model"] for row in rows(base, "cheapest", **need)]

    assert models() == ["heron-mini", "wren", "heron", "plover"]
    assert models(features="tools") == ["heron-mini", "heron"]
    assert models(input_modality="image", output_modality="text") == ["heron"]
    assert models(context_length="64000") == ["wren", "heron", "plover"]
    assert models(output_modality="image") == []
    assert "Nothing for these choices" in text(fetch(base, "/modelwatch/cheapest", output_modality="image"))
    assert "$0.50" in fetch(base, "/modelwatch/cheapest")


def test_two_scopes_are_compared_by_models_prices_and_facts(base: str) -> None:
    found = rows(base, "compare", scope="acme/prod", other_scope="acme/test")
    assert [(row["difference"], row["model"]) for row in found] == [
        ("only acme/prod", "plover"),
        ("only acme/prod", "wren"),
    ]
    assert rows(base, "compare") == found
    back = rows(base, "compare", scope="acme/test", other_scope="acme/prod")
    assert {row["difference"] for row in back} == {"only acme/prod"}


def test_one_scope_is_compared_with_itself_at_another_time(base: str) -> None:
    found = rows(base, "compare", scope="acme/test", at="2026-09-20T06:30:00Z")
    assert [
        tuple(row[name] for name in ("difference", "model", "field", "first", "second")) for row in found
    ] == [
        ("only acme/test on 2026-09-20", "wren", None, None, None),
        ("differs", "heron", "input", 2.0, 3.0),
        ("differs", "heron", "shutdown", None, "2026-12-24"),
    ]
    assert [row["percent"] for row in found] == [None, 50.0, None]
    assert found[1]["unit"] == "USD per 1M tokens"


@pytest.mark.parametrize(
    ("parameters", "lists"),
    [
        ({}, "First list: acme/prod · second list: acme/test"),
        (
            {"scope": "acme/test", "other_scope": "acme/prod"},
            "First list: acme/test · second list: acme/prod",
        ),
        (
            {"scope": "acme/prod", "at": "2026-09-21"},
            "First list: acme/prod on 2026-09-21 · second list: acme/prod",
        ),
    ],
)
def test_a_comparison_names_both_lists(base: str, parameters: dict[str, str], lists: str) -> None:
    assert lists in text(fetch(base, "/modelwatch/compare", **parameters))


def test_a_comparison_of_equal_lists_says_so_and_names_them(base: str) -> None:
    sides = {"scope": "acme/prod", "at": "2026-09-21", "other_scope": "acme/prod", "other_at": "2026-09-21"}
    shown = text(fetch(base, "/modelwatch/compare", **sides))
    assert "second list: acme/prod on 2026-09-21 The lists do not differ in models, prices" in shown


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("compare", {"scope": "acme/nope"}, "scope is no scope: write its whole name, such as acme/prod"),
        ("compare", {"other_scope": "acme/*"}, "other_scope is no scope"),
        ("compare", {"at": "some day"}, "at is not a time"),
        ("what_changed", {"since": "soon"}, "since is not a time"),
    ],
)
def test_a_wrong_choice_is_an_error_beside_its_form(
    base: str, name: str, parameters: dict[str, str], message: str
) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        fetch(base, f"/modelwatch/{name}", **parameters)
    page = refused.value.read().decode()
    assert refused.value.code == 400
    assert re.search(rf'<p class="error">{message}', page)
    assert "<button>Show</button>" in page
    assert next(iter(parameters.values())) in page


@pytest.mark.parametrize(
    "path", ["/modelwatch/offers.csv", "/modelwatch/who_sees.csv", "/modelwatch/models.csv"]
)
def test_csv_for_spreadsheets_has_no_formula_and_the_other_has_ids_as_they_are(base: str, path: str) -> None:
    more = {"model": FORMULA} if "who_sees" in path else {"_stream": "on"}
    raw = fetch(base, path, **more)
    guarded = fetch(base, path, _sheet="1", **more)
    assert guarded.startswith("\ufeff")
    plain, safe = (list(csv.reader(io.StringIO(each))) for each in (raw, guarded.removeprefix("\ufeff")))
    assert any(FORMULA in row for row in plain)
    assert len(plain) == len(safe) > 1
    for before, after in zip(plain, safe, strict=True):
        for old, new in zip(before, after, strict=True):
            assert new == (f"'{old}" if old.startswith("=") else old)


def test_the_links_to_both_kinds_of_csv_stand_below_the_answer(base: str) -> None:
    for path in ("/modelwatch/offers", "/modelwatch/cheapest"):
        page = fetch(base, path)
        found = [link for link in links(page) if ".csv" in link]
        assert [("_sheet=1" in link) for link in found] == [True, False]
        for link in found:
            assert fetch(base, link.partition("?")[0], **({"_sheet": "1"} if "_sheet" in link else {}))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_csv_is_guarded_however_it_is_cut(size: int) -> None:
    whole = 'a,"=1\r\n+2",π\r\n-3,@x,"say ""=no"""\r\n'.encode()
    sheet = sheets._Sheet(None)  # type: ignore[arg-type]
    sheet._rest = ""
    cuts = range(0, len(whole), size)
    shown = "".join(sheet._complete(whole[at : at + size], is_last=at == cuts[-1]) for at in cuts)
    assert shown == 'a,"\'=1\r\n+2",π\r\n-3,\'@x,"say ""=no"""\r\n'


def test_the_start_page_has_a_panel_of_the_watched_models(base: str) -> None:
    page = fetch(base, "/")
    panel = next(text(part) for part in page.split("<section ") if 'id="watched"' in part)
    assert re.findall(r"(heron-mini|heron|wren) ", panel) == ["wren", "heron", "heron-mini"]
    assert "wren 1 of 2 scopes $1.00 $3.00" in panel
    assert "heron shutdown 2026-12-24 all 2 scopes $3.00 $8.00" in panel
    assert "heron-mini all 2 scopes $0.50 $1.00 never" in panel


def test_the_page_of_a_model_has_its_facts_and_the_whole_names_of_its_scopes(base: str, job: Job) -> None:
    shown = text(fetch(base, f"/modelwatch/models/{id_of(job, 'models', 'heron')}"))
    assert (
        "owner birds context 200,000 input modalities image, text output modalities text "
        "features tools, vision shutdown 2026-12-24" in shown
    )
    assert re.search(r"Offered now .* 2 acme/(prod acme/test|test acme/prod) \$3.00 \$8.00 200,000", shown)


def test_the_page_of_a_model_without_changes_says_so(base: str, job: Job) -> None:
    empty = "No change of this model is recorded."
    assert empty in text(fetch(base, f"/modelwatch/models/{id_of(job, 'models', 'lyra')}"))
    for changed in ("heron", "wren"):
        assert empty not in text(fetch(base, f"/modelwatch/models/{id_of(job, 'models', changed)}"))


def test_the_heading_of_a_change_has_its_model_then_both_sides(base: str, job: Job) -> None:
    with closing(sqlite3.connect(job.database)) as db:
        (change,) = db.execute("select min(id) from changes where name like '~ heron%'").fetchone()
    page = fetch(base, f"/modelwatch/changes/{change}")
    heading = text(page[page.index('<p class="mw-parents">') :].partition("</p>")[0])
    assert re.search(r"^ ?change · model heron · before heron@\w+ · after heron@\w+ · transition", heading)


def test_a_side_that_is_missing_is_aligned_as_the_number_beside_it(base: str, job: Job) -> None:
    with closing(sqlite3.connect(job.database)) as db:
        (change,) = db.execute("select min(id) from changes where name like '~ heron%'").fetchone()
    page = fetch(base, f"/modelwatch/changes/{change}")
    before = re.findall(r'<td class="mw-side mw-before( mw-num)?">(.*?)</td>', page)
    assert [(bool(right), text(side).strip()) for right, side in before] == [(True, "$2.00"), (False, "–")]


def test_the_page_of_a_change_has_every_scope_with_it(base: str, job: Job) -> None:
    with closing(sqlite3.connect(job.database)) as db:
        (change,) = db.execute("select min(id) from changes where name like '~ heron%'").fetchone()
    scopes = fetch(base, f"/modelwatch/changes/{change}").partition("<h2>Scopes<")[2]
    assert "acme/prod" in scopes
    assert "acme/test" in scopes


def test_the_start_page_is_made_again_after_a_run(job: Job, tmp_path: Path) -> None:
    path = tmp_path / "modelwatch.db"
    path.write_bytes(job.database.read_bytes())
    site = Site(datasette_on(path))
    before = site.page("/")
    assert site.page("/") == before
    with Store.open(path) as store:
        script = Script(store, runs=4).has(scope("acme/prod", group="vip")).offers("acme/prod", "osprey")
        script.run()
        assert ">osprey<" in site.page("/")


def steps_of(scopes: int) -> tuple[int, list[Any]]:
    """Return the steps of SQLite for the changes of the start page, and their rows, with so many scopes."""
    with Store.open(None) as store:
        script = Script(store)
        for number in range(scopes):
            script.offers(f"acme/key-{number}", "lyra", *(f"m{each}" for each in range(20)))
        script.run()
        for turn in range(4):
            for name in script.scopes:
                script.offers_now[name] |= {f"m{each}": {"context_length": turn} for each in range(20)}
                script.drops(name, "lyra") if turn == 1 else None
            script.run()
        taken = 0

        def count() -> int:
            nonlocal taken
            taken += 1
            return 0

        start.prepare_connection(store.connection)
        store.connection.set_progress_handler(count, 10)
        found = store.rows(start.QUERIES["changes"], {"since": "2026-01-01", "most": 100, "watched": "[]"})
        store.connection.set_progress_handler(None, 0)
        return taken * 10, [(row["category"], row["name"], row["scopes"] // scopes) for row in found]


def test_scopes_with_the_same_moves_are_read_once() -> None:
    few, rows_of_few = steps_of(3)
    many, rows_of_many = steps_of(60)
    assert rows_of_few == rows_of_many
    assert many < 2.5 * few


@pytest.mark.parametrize("unit", ["unit", "currency", "priceUnit"])
def test_no_percentage_stands_beside_a_price_whose_unit_changed_too(tmp_path: Path, unit: str) -> None:
    path = tmp_path / "modelwatch.db"
    with Store.open(path) as store:
        script = Script(store).offers("acme/prod", "lyra")
        for amount, scale in ((2, "lot"), (4000, "crate")):
            script.offers_now["acme/prod"]["heron"] = {"pricing": {"special": amount, unit: scale}}
            script.offers_now["acme/prod"]["wren"] = {"pricing": {"special": amount / 2, unit: "lot"}}
            script.run()
        site = Site(datasette_on(path, metadata=configuration(store, "modelwatch")))
        (change,) = store.rows("select min(id) as id from changes where name like '~ heron%'")
        model = store.rows("select id from models where name = 'heron'")[0]["id"]
    for page in (f"/modelwatch/changes/{change['id']}", f"/modelwatch/models/{model}"):
        assert "pricing.special" in text(site.page(page))
        assert "199,900%" not in text(site.page(page)).replace("+199900%", "199,900%"), page
    home = site.page("/")
    prices = next(part for part in home.split("<section ") if 'id="prices"' in part)
    assert ">wren<" in prices
    assert ">heron<" not in prices


def test_own_pages_have_no_inline_script_or_style(base: str) -> None:
    for path in ("/", "/modelwatch", "/modelwatch/cheapest", "/modelwatch/models/1"):
        for tag, attributes in tags(fetch(base, path)):
            assert tag != "style", path
            assert tag != "script" or attributes.get("src", "").startswith("/"), path
            assert not [name for name in attributes if name.startswith("on") or name == "style"], path
