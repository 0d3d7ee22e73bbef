"""The start page, the pages of rows and the cells: content, links, and model ids that could harm them."""

from __future__ import annotations

import ast
import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
from support.browsing import (
    BROWSE,
    HOSTILE,
    SHUTDOWNS,
    Site,
    datasette_on,
    links,
    record_everything,
    tags,
    text,
)
from support.fakes import Script

from pipeline.browse.datasette import configuration
from pipeline.browse.plugins import assets, cells, prices, related
from pipeline.browse.plugins import start as start_page
from pipeline.browse.plugins.cells import percent
from pipeline.history.changes import find_events
from pipeline.store import Store
from pipeline.store.windows import time_window


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("home") / "modelwatch.db"
    record_everything(path)
    return path


@pytest.fixture(scope="module")
def site(database: Path) -> Site:
    """The site with the configuration of `browse`."""
    with Store.read(database) as store:
        return Site(datasette_on(database, metadata=configuration(store, "modelwatch")))


@pytest.fixture(scope="module")
def start(site: Site) -> str:
    return site.page("/")


def card(page: str, name: str) -> str:
    """Return a card of the start page."""
    return next(part for part in page.split("<section ") if f'id="{name}"' in part)


def test_the_start_page_has_the_last_run_and_totals(start: str) -> None:
    shown = text(start)
    assert 'datetime="2026-09-20T11:00:00Z" data-how="ago"' in start
    assert "4 of 5 scopes answered · 3 gateways" in shown
    assert "since 2026-09-20" in shown


def test_recent_changes_are_sorted_by_severity(start: str) -> None:
    found = re.findall(r'class="mw-badge mw-(\w+)">', card(start, "recent"))
    assert found == [
        "removed",
        "missing",
        "price_increase",
        "shutdown",
        "price_decrease",
        "returned",
        "added",
        "other",
    ]


def test_changes_of_watched_models_come_first_and_are_urgent(database: Path) -> None:
    watch = {"plugins": {"modelwatch": {"watch": ["her*", "nothing-like-it"]}}}
    recent = card(Site(datasette_on(database, metadata=watch)).page("/"), "recent")
    labels = re.findall(r'class="mw-badge mw-\w+">([^<]*)<', recent)
    assert labels[:3] == ["urgent: price increase", "urgent: price decrease", "removed"]
    assert "urgent" not in "".join(labels[2:])


def test_a_change_has_before_after_and_percent(start: str) -> None:
    assert "wren input $2.00 $3.00 per 1M +50% 2 scopes" in text(card(start, "recent"))


def test_price_changes_are_sorted_by_size(start: str) -> None:
    shown = text(card(start, "prices"))
    assert "heron input $5.00 $2.50 per 1M ▼ −50%" in shown
    assert "wren input $2.00 $3.00 per 1M ▲ +50%" in shown
    assert shown.index("−50%") < shown.index("+20%")


def test_the_matrix_has_a_column_for_each_list(start: str) -> None:
    matrix = card(start, "availability")
    assert "public" in text(matrix)
    assert text(matrix).count("yes") > 0
    assert ">heron<" not in matrix


def test_failing_and_held_scopes_have_their_start(start: str) -> None:
    shown = card(start, "problems")
    assert "failed other/late Unreachable" in text(shown)
    assert "held other/held" in text(shown)
    assert re.findall(r'datetime="(.*?)"', shown) == ["2026-09-20T10:00:00Z", "2026-09-20T11:00:00Z"]


def test_failing_scopes_come_first_if_there_are_any(start: str, tmp_path: Path) -> None:
    """Otherwise the card stands among the others."""
    assert start.index('id="problems"') < start.index('id="recent"')
    path = tmp_path / "modelwatch.db"
    with Store.open(path) as store:
        Script(store).offers("acme/prod", "lumen").run()
    quiet = Site(datasette_on(path)).page("/")
    assert quiet.index('id="problems"') > quiet.index('id="recent"')
    assert quiet.count('id="problems"') == 1


def test_the_size_of_a_price_change_is_its_factor_up_or_down(tmp_path: Path) -> None:
    """A change to 0 is the largest; a price that was removed has none."""
    path = tmp_path / "modelwatch.db"
    moves = {"double": (1, 2), "tenth": (10, 0.9), "tenfold": (1, 10), "free": (1, 0), "gone": (1, 50)}
    with Store.open(path) as store:
        script = Script(store).offers("acme/prod", "lumen", *moves)
        for side in (0, 1):
            for name, sides in moves.items():
                script.offers_now["acme/prod"][name] = {"pricing": {"input": sides[side]}}
            script.run()
        script.adds("acme/prod", "gone").run()
    shown = text(card(Site(datasette_on(path)).page("/"), "prices"))
    assert re.findall(r"(\w+) pricing.input", shown) == ["free", "tenth", "tenfold", "double"]


def test_the_start_page_of_an_imported_history_has_no_last_run(database: Path, tmp_path: Path) -> None:
    path = tmp_path / "modelwatch.db"
    shutil.copy(database, path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("update snapshots set status = 'imported'")
        db.execute("update scopes set asked = 0")
        db.commit()
    shown = text(Site(datasette_on(path)).page("/"))
    assert (
        "There was no run yet; the last answer that was merged or imported is from 2026-09-20 11:00 UTC"
        in shown
    )
    assert "Last run" not in shown
    assert "all scopes are retired or imported" in shown


@pytest.mark.parametrize(
    ("words", "found"), [("hero", True), ("HER", True), ('her"', True), ("her*", True), ("her lum", False)]
)
def test_the_search_of_the_start_page_finds_beginnings_of_words(
    site: Site, words: str, *, found: bool
) -> None:
    answer = site.get(f"/-/modelwatch/find?database=modelwatch&q={quote(words)}")
    assert answer.status_code == 302
    page = site.page(answer.headers["location"])
    assert (">heron<" in page) == found
    assert ">lumen<" not in page


def test_the_search_of_the_start_page_redirects_only_to_models(site: Site) -> None:
    assert site.get("/-/modelwatch/find?database=modelwatch&q=").headers["location"] == "/modelwatch/models"
    assert site.get("/-/modelwatch/find?database=//elsewhere.example&q=x").status_code == 404


def test_announced_shutdowns_are_sorted_by_date(start: str) -> None:
    assert f"{SHUTDOWNS[0]} teal acme: 2" in text(card(start, "shutdowns"))
    assert f"{SHUTDOWNS[1]} teal acme: 1" in text(card(start, "shutdowns"))


def test_the_numbers_of_the_chart_are_a_table(start: str) -> None:
    rows = re.findall(r'<tr><td>(.*?)</td><td><time datetime="(.*?)".*?</td><td class="num">(\d+)', start)
    assert ("acme/prod", "2026-09-20T08:00:00Z", "12") in rows
    assert [at for name, at, _ in rows if name == "acme/prod"][-1] == "2026-09-20T11:00:00Z"


def test_every_link_of_the_start_page_works_and_has_a_title(site: Site, start: str) -> None:
    found = links(start)
    assert len(found) > 40
    for link in sorted(set(found)):
        assert site.get(link).status_code == 200, link
    main = tags(start[start.index("<main>") : start.index("</main>")])
    assert not [attributes for tag, attributes in main if tag == "a" and not attributes.get("title")]


def test_the_start_page_and_the_reports_have_the_same_changes(tmp_path: Path) -> None:
    """A model that was briefly missing has no change; one that returns after its removal is `returned`."""
    path = tmp_path / "modelwatch.db"
    with Store.open(path) as store:
        script = Script(store).offers("acme/prod", "lumen", "slate", "heron")
        script.run()
        script.drops("acme/prod", "lumen", "slate").run(times=1)
        script.adds("acme/prod", "lumen").run(times=2)
        script.adds("acme/prod", "slate", "kite").run()
        reported = {(str(event.kind), event.model) for event in find_events(store, time_window(store))}
    page = card(Site(datasette_on(path)).page("/"), "recent")
    parts = re.findall(r'<tbody class="(\w+)">(.*?)</tbody>', page, flags=re.DOTALL)
    shown = {
        (kind, model)
        for kind, part in parts
        for model in ("lumen", "slate", "heron", "kite")
        if model in part
    }
    assert shown == reported == {("removed", "slate"), ("returned", "slate"), ("added", "kite")}


def test_an_empty_database_and_one_run_have_texts_in_place_of_tables(tmp_path: Path) -> None:
    path = tmp_path / "modelwatch.db"
    with Store.open(path) as store:
        assert "The database is empty. Start the first run with modelwatch run" in text(
            Site(datasette_on(path)).page("/")
        )
        Script(store).offers("acme/prod", "lumen").run()
    shown = text(Site(datasette_on(path)).page("/"))
    assert "No changes in the last 7 days" in shown
    assert "No price rose or fell in the last 7 days" in shown
    assert "The only scope is healthy" in shown
    assert "With a second one" in shown
    assert "No offered model has an announced shutdown date" in shown


def test_the_window_is_extended_to_the_last_change(tmp_path: Path) -> None:
    path = tmp_path / "modelwatch.db"
    with Store.open(path) as store:
        script = Script(store).offers("acme/prod", "lumen")
        script.run()
        script.adds("acme/prod", "kite").run()
        script.run(times=24 * 8)
    site = Site(datasette_on(path))
    assert '<strong title="before the last run">30 days</strong>' in site.page("/")
    assert "No changes in the last 7 days" in text(site.page("/?days=7"))
    assert ">kite<" in site.page("/?days=90")
    assert site.page("/?days=99999") == site.page("/?days=x")


def test_other_databases_are_linked_and_their_pages_unchanged(database: Path, tmp_path: Path) -> None:
    foreign, second = tmp_path / "birds.db", tmp_path / "second.db"
    with closing(sqlite3.connect(foreign)) as db:
        db.execute("create table notes (id integer primary key, at text, said text)")
        db.execute("insert into notes values (1, '2026-01-01T00:00:00Z', '\u202b\u05d0\u202c')")
        db.commit()
    shutil.copy(database, second)
    site = Site(datasette_on(foreign, second, database))
    assert "Other databases: birds" in text(site.page("/"))
    assert 'aria-current="page">second<' in site.page("/")
    assert 'aria-current="page">modelwatch<' in site.page("/?database=modelwatch")
    page = site.get("/birds/notes")
    assert "\u202b\u05d0\u202c" in page.text
    assert "<time" not in page.text
    assert "modelwatch/" not in page.text
    assert "content-security-policy" not in page.headers
    alone = Site(datasette_on(foreign))
    assert "No database here was written by modelwatch" in text(alone.page("/"))
    assert "birds" in alone.page("/")


def test_links_and_files_follow_the_base_url(database: Path) -> None:
    site = Site(datasette_on(database, settings={"base_url": "/watch/"}))
    page = site.page("/")
    files = re.findall(r'(?:src|href)="(/[^"]*\.(?:js|css))"', page)
    assert len(files) == 6
    for address in [*files, *links(page)]:
        assert address.startswith(("/watch/", "?"))
    for address in files:
        assert site.get(address.removeprefix("/watch")).status_code == 200


def test_the_start_page_loads_nothing_inline_or_from_elsewhere(site: Site, start: str) -> None:
    policy = site.get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    for tag, attributes in tags(start):
        assert tag != "style"
        assert tag != "script" or attributes["src"].startswith("/")
        assert tag != "link" or attributes["href"].startswith("/")
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
    lenient = site.get("/modelwatch/catalog").headers["content-security-policy"]
    assert "default-src 'self'" in lenient
    assert "eval" not in lenient


@pytest.mark.parametrize(
    "path", ["/", "/modelwatch", "/modelwatch/catalog", "/modelwatch/models/1", "/-/settings"]
)
@pytest.mark.parametrize(
    "directive",
    ["object-src 'none'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'self'"],
)
def test_every_page_forbids_plug_ins_other_bases_forms_elsewhere_and_frames(
    site: Site, path: str, directive: str
) -> None:
    policy = site.get(path).headers["content-security-policy"]
    assert directive in policy.split("; ")


def test_no_type_of_an_answer_is_guessed(site: Site, start: str) -> None:
    (address,) = re.findall(r'src="(/[^"]*times\.js)"', start)
    for path in ("/", "/modelwatch/models", "/modelwatch/models.json", address):
        assert site.get(path).headers["x-content-type-options"] == "nosniff"


def test_static_files_are_immutable_and_no_path_leads_out_of_their_directory(site: Site, start: str) -> None:
    (address,) = re.findall(r'src="(/[^"]*times\.js)"', start)
    answer = site.get(address)
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/javascript")
    assert site.get(address.replace("times.js", "..%2Fplugins%2Fstart.py")).status_code == 404


ROWS = sorted(file.stem for file in (BROWSE / "plugins" / "rows").glob("*.sql"))


@pytest.mark.parametrize("table", ROWS)
def test_every_row_has_sections_whose_links_work(site: Site, database: Path, table: str) -> None:
    with closing(sqlite3.connect(database)) as db:
        ids = [row[0] for row in db.execute(f"select id from {table} order by id limit 6")]
    followed = set()
    for row in ids:
        page = site.page(f"/modelwatch/{table}/{row}")
        assert '<h1 class="mw-name">' in page
        followed |= set(links(page))
    assert any("mw-section" in site.page(f"/modelwatch/{table}/{row}") for row in ids)
    for link in sorted(followed):
        assert site.get(link).status_code == 200, link


def id_of(database: Path, table: str, name: str) -> int:
    """Return the id of a row by its name."""
    with closing(sqlite3.connect(database)) as db:
        (row,) = db.execute(f"select id from {table} where name like ?", (name,)).fetchone()
    return int(row)


def test_the_page_of_a_model_has_offers_prices_and_changes(site: Site, database: Path) -> None:
    page = site.page(f"/modelwatch/models/{id_of(database, 'models', 'heron')}")
    shown = text(page)
    assert "gateway router" in shown
    assert re.search(r"Offered now .* 1 router/prod \$6.00 \$20.00 128,000", shown)
    assert re.search(r"Prices over time .*UTC \$6.00 \$20.00 .*UTC \$5.00 \$20.00 ", shown)
    assert "input $5.00 $6.00 per 1M tokens +20%" in shown
    assert page.count('<figure class="mw-chart"') == 1


def section(page: str, title: str) -> str:
    """Return the text of a section of the page of a row."""
    return next(text(part) for part in page.split("<section ") if f"<h2>{title}</h2>" in part)


def points(page: str) -> list[tuple[str, str, str]]:
    """Return the points of the chart of prices: line, time and price."""
    drawn = page[page.index('<table id="mw-prices"') :]
    return re.findall(
        r'<tr><td>(.*?)</td><td><time datetime="(.*?)">.*?</td><td>(.*?)</td>',
        drawn[: drawn.index("</table>")],
    )


def test_a_missing_price_is_a_gap_in_its_line(tmp_path: Path) -> None:
    path = tmp_path / "modelwatch.db"
    with Store.open(path) as store:
        script = Script(store).offers("acme/prod", "lumen")
        for price in (3, 6, None, 4):
            script.offers_now["acme/prod"]["heron"] = {} if price is None else {"pricing": {"input": price}}
            script.run()
        script.drops("acme/prod", "heron").run(times=3)
        script.adds("acme/prod", heron=1).offers_now["acme/prod"]["heron"] = {"pricing": {"input": 5}}
        script.run(times=4)
    site = Site(datasette_on(path))
    page = site.page(f"/modelwatch/models/{id_of(path, 'models', 'heron')}")
    hours = [(at[11:13], value) for _, at, value in points(page)]
    assert hours == [
        ("06", "3.0"),
        ("07", "6.0"),
        ("08", "6.0"),
        ("08", "–"),
        ("09", "4.0"),
        ("10", "4.0"),
        ("10", "–"),
        ("13", "5.0"),
        ("16", "5.0"),
    ]
    prices, others = (section(page, title) for title in ("Price changes", "Other changes"))
    assert "pricing.input 6 –" in prices
    assert "removed" in others
    assert "pricing" not in others


def test_the_page_of_a_model_has_its_prices_with_conditions(tmp_path: Path) -> None:
    path = tmp_path / "modelwatch.db"
    with Store.open(path) as store:
        script = Script(store).offers("acme/prod", "lumen")
        for price in ("0.000004", "0.000005"):
            script.offers_now["acme/prod"]["heron"] = {
                "input_cost_per_token": "0.000002",
                "input_cost_per_token_above_200k_tokens": price,
                "output_cost_per_image": "0.04",
            }
            script.run()
    site = Site(datasette_on(path))
    page = site.page(f"/modelwatch/models/{id_of(path, 'models', 'heron')}")
    shown = section(page, "Prices with conditions")
    assert "input 1M tokens 200,000" in shown or "input 1M tokens 200000" in shown
    assert "output image" in shown
    assert {label for label, _, _ in points(page)} == {"input above 200k", "input", "output per image"}
    assert re.search(r"input above 200k \$/1M .* \$5.00", text(page))
    record = site.page(f"/modelwatch/records/{id_of(path, 'records', 'heron@%')}")
    assert "output image" in section(record, "Prices")
    assert "heron" in text(site.page("/modelwatch/prices"))


def test_fields_with_equal_prices_share_a_line_and_a_row(tmp_path: Path) -> None:
    path = tmp_path / "modelwatch.db"
    with Store.open(path) as store:
        script = Script(store)
        for price in (1, 2):
            for name, factor in (("acme/prod", 1), ("acme/vip", 3)):
                script.offers(name, "lumen").offers_now[name]["heron"] = {
                    "cost": {"input": price * factor},
                    "metadata": {"pricing": {"input": str(price * factor)}},
                }
            script.run()
    page = Site(datasette_on(path)).page(f"/modelwatch/models/{id_of(path, 'models', 'heron')}")
    assert {label for label, _, _ in points(page)} == {
        f"cost.input = metadata.pricing.input (acme/{name})" for name in ("prod", "vip")
    }
    assert section(page, "Price changes").count("cost.input, metadata.pricing.input") == 2


def test_the_page_of_a_removal_has_the_removed_record(site: Site, database: Path) -> None:
    page = site.page(f"/modelwatch/changes/{id_of(database, 'changes', '- slate%')}")
    assert '"id":"slate"' in section(page, "Removed record").replace(" ", "")


def test_the_page_of_a_listing_has_its_scopes_only(site: Site, database: Path) -> None:
    with closing(sqlite3.connect(database)) as db:
        (listing,) = db.execute("select listing from scopes where name = 'acme/public'").fetchone()
    page = site.page(f"/modelwatch/listings/{listing}")
    scopes = text(page[page.index("<h2>Scopes<") : page.index("<h2>Transitions<")])
    assert "acme/public" in scopes
    assert "acme/prod" not in scopes


def test_cells_have_times_badges_and_folded_json(site: Site) -> None:
    page = site.page("/modelwatch/change_log?field=note.a")
    assert '<time datetime="2026-09-20T09:00:00Z" data-how="at">2026-09-20 09:00 UTC</time>' in page
    assert '<span class="mw-badge mw-changed">changed</span>' in page
    assert '<details class="mw-json"><summary>' in site.page("/modelwatch/records?_col=body")
    assert ">tools, vision<" in site.page("/modelwatch/change_log?field=tags")


PAGES = (
    "/",
    "/modelwatch",
    "/modelwatch/models",
    "/modelwatch/models?_facet=name&_sort=name",
    "/modelwatch/records",
    "/modelwatch/records?_facet=model",
    "/modelwatch/changes?_labels=on&_facet=model",
    "/modelwatch/field_changes",
    "/modelwatch/catalog?_facet=model",
    "/modelwatch/change_log?_facet=model",
    "/modelwatch/matrix",
    "/modelwatch?sql=select+*+from+models",
    "/modelwatch/models?name__contains=%E2%80%AE",
)


def harmless(page: str) -> None:
    """Assert that hostile ids in a page have no effect."""
    for tag, attributes in tags(page):
        assert attributes.get("src") != "x"
        assert not [name for name in attributes if name.startswith("on")], tag
    assert "<script>alert" not in page
    assert not set("\u202e\u202c\u200b") & set(page)


@pytest.mark.parametrize("path", PAGES)
def test_hostile_ids_have_no_effect_on_any_page(site: Site, path: str) -> None:
    harmless(site.page(path))


def test_hostile_ids_are_shown_escaped_and_complete(site: Site, database: Path) -> None:
    models = site.page("/modelwatch/models")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in models
    assert "acme/\\u202egnp.exe\\u202c" in models
    with closing(sqlite3.connect(database)) as db:
        for table in ("models", "records", "changes"):
            for (row,) in db.execute(f"select id from {table}").fetchall():
                harmless(site.page(f"/modelwatch/{table}/{row}"))


def test_a_long_id_is_cut_and_folded_on_its_own_page(tmp_path: Path) -> None:
    path = tmp_path / "modelwatch.db"
    name = "long-" * 50
    with Store.open(path) as store:
        script = Script(store).offers("acme/prod", "two\nlines\tand a tab").offers("acme/batch", "lumen")
        script.run()
        script.adds("acme/prod", name).run()
    site = Site(datasette_on(path))
    for page in (
        "/",
        "/modelwatch/matrix",
        "/modelwatch/models",
        "/modelwatch/offers",
        "/modelwatch/change_log",
    ):
        # Datasette 1.0 has the label of a row in an attribute too.
        shown = re.sub('data-row-label="[^"]*"', "", site.page(page))
        assert "long-long-" in shown
        assert "long-" * 50 not in shown, page
    assert "two\\u000alines\\u0009and a tab" in site.page("/modelwatch/matrix")
    own = site.page(f"/modelwatch/models/{id_of(path, 'models', 'long%')}")
    heading = own[own.index("<h1") : own.index("</h1>")]
    assert name in heading
    assert name not in heading[: heading.index("</summary>")]
    assert "long-" * 100 not in re.sub('data-row-label="[^"]*"', "", own[own.index("</h1>") :])


def test_names_in_tables_link_to_their_rows(site: Site, database: Path) -> None:
    for table in ("models", "scopes", "gateways", "listings", "snapshots"):
        with closing(sqlite3.connect(database)) as db:
            (row, name) = db.execute(f"select id, name from {table} order by id limit 1").fetchone()
        page = site.page(f"/modelwatch/{table}")
        link = next(part for part in page.split("<a ") if f'title="{table} {row}"' in part)
        assert link.startswith(f'href="/modelwatch/{table}/{row}"')
        assert name[:10] in link


def test_the_heading_of_a_row_is_its_name(site: Site, database: Path) -> None:
    for table, name in (("models", "heron"), ("scopes", "acme/prod"), ("listings", "%models%")):
        page = site.page(f"/modelwatch/{table}/{id_of(database, table, name)}")
        assert page.count("<h1") == 1
        assert name.strip("%") in page[page.index("<h1") : page.index("</h1>")]
        assert "There is nothing" not in page


def test_the_title_of_a_stored_query_is_the_title_of_its_page(site: Site) -> None:
    page = site.page("/modelwatch/what_changed")
    assert "<title>Changes between two times · modelwatch</title>" in page


def test_json_and_csv_have_ids_unchanged(site: Site) -> None:
    assert HOSTILE[2] in site.page("/modelwatch/models.csv")
    assert HOSTILE[2] in {
        row["name"] for row in json.loads(site.page("/modelwatch/models.json?_shape=array"))
    }


@pytest.mark.parametrize(
    ("after", "before", "expected"),
    [
        ("3", "2", "+50%"),
        ("0.1859", "0.169", "+10%"),
        ("0.464", "0.478", "−2.9%"),
        ("1", "1", "±0%"),
        ("1", "0", ""),
        ("1", None, ""),
        ("word", "2", ""),
        ("1e-9", "1e-6", "−99.9%"),
        ("100.01", "100", "+0.01%"),
        ("0.3", "0.1", "+200%"),
    ],
)
def test_percent_has_two_digits_and_is_empty_without_numbers(
    after: str, before: str | None, expected: str
) -> None:
    assert percent(after, before) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "–"),
        ("256000", "256,000"),
        ("0.0031", "0.0031"),
        ('["a","b"]', "a, b"),
        ("[1", "[1"),
        ("NaN", "NaN"),
    ],
)
def test_values_have_thousands_separators_and_words_of_lists(value: str | None, expected: str) -> None:
    assert cells.value(value) == expected


def test_plugins_import_nothing_of_this_program() -> None:
    """A published copy is served where this program is not installed."""
    for file in (BROWSE / "plugins").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = (
                [alias.name for alias in getattr(node, "names", [])] if isinstance(node, ast.Import) else []
            )
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.startswith("pipeline")], file


QUERIES = sorted(
    file
    for file in (BROWSE / "plugins").rglob("*.sql")
    if file.parent.name != "shared" and (file.parent.name, file.stem) != ("start", "events")
)
LARGE = {
    "records",
    "record_prices",
    "listing_records",
    "changes",
    "field_changes",
    "sightings",
    "permissions",
}


@pytest.mark.parametrize("file", QUERIES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_no_query_of_a_page_scans_a_large_table(database: Path, file: Path) -> None:
    is_of_start = file.parent.name == "start"
    text = start_page.QUERIES[file.stem] if is_of_start else related.whole(file.read_text("utf-8"))
    parts = [part for part in re.split(r"^-- ## .*\n", text, flags=re.MULTILINE) if part.strip()]
    values = {
        "id": 1,
        "since": "2026",
        "most": 3,
        "today": "2026",
        "scopes": "[1]",
        "listings": "[]",
        "precision": 9,
        "watched": "[]",
    }
    with closing(sqlite3.connect(database)) as db:
        start_page.prepare_connection(db)
        for sql in parts:
            plan = [row[3] for row in db.execute(f"explain query plan {sql}", values)]
            aliases = {alias: table for table, alias in re.findall(r"(?:from|join) (\w+) as (\w+)", sql)}
            scanned = {found[1] for step in plan if (found := re.match(r"SCAN (\w+)", step))}
            assert not {aliases.get(name, name) for name in scanned} & LARGE, plan


def test_plugins_identify_a_database_by_the_same_views(store: Store) -> None:
    """Each has its own copy of the set, since plug-ins cannot import each other."""
    (views,) = {plugin.OURS for plugin in (assets, cells, prices, related, start_page)}
    assert views <= {row["name"] for row in store.rows("select name from sqlite_master where type = 'view'")}
