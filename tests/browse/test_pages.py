"""The pages of Datasette that are ours: what they say, where they lead, and that no name does harm."""

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
from support.browsing import BROWSE, ENDS, HOSTILE, Site, links, served, tags, tell, text
from support.fakes import Script

from pipeline.browse import configuration
from pipeline.browse.plugins import cells
from pipeline.browse.plugins.cells import percent
from pipeline.browse.plugins.prices import PRICE
from pipeline.core.diff import PATTERNS
from pipeline.history.changes import find_events
from pipeline.store import Store
from pipeline.store.changes import window


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("home") / "modelwatch.db"
    tell(path)
    return path


@pytest.fixture(scope="module")
def site(database: Path) -> Site:
    return Site(served(database))


@pytest.fixture(scope="module")
def start(site: Site) -> str:
    return site.page("/")


def card(page: str, name: str) -> str:
    """Give one part of the start page."""
    return next(part for part in page.split("<section ") if f'id="{name}"' in part)


def test_the_start_page_says_how_fresh_it_is(start: str) -> None:
    """The last run, how many of its scopes answered, and since when there is a history stand on top."""
    said = text(start)
    assert 'datetime="2026-09-20T11:00:00Z" data-how="ago"' in start
    assert "4 of 5 scopes answered · 3 gateways" in said
    assert "since 2026-09-20" in said


def test_what_changed_is_told_by_its_weight(start: str) -> None:
    """Removed models come first, dearer ones before cheaper ones, and what merely came last."""
    told = re.findall(r'class="mw-badge mw-(\w+)">', card(start, "changed"))
    assert told == ["removed", "missing", "dearer", "ends", "cheaper", "returned", "added", "edited"]


def test_what_somebody_depends_on_comes_first(database: Path) -> None:
    """What the config watches is urgent where it went or has another price: by id or by glob."""
    watch = {"plugins": {"modelwatch": {"watch": ["her*", "nothing-like-it"]}}}
    changed = card(Site(served(database, metadata=watch)).page("/"), "changed")
    told = re.findall(r'class="mw-badge mw-\w+">([^<]*)<', changed)
    assert told[:3] == ["urgent: dearer", "urgent: cheaper", "removed"]
    assert "urgent" not in "".join(told[2:])


def test_a_change_stands_with_both_sides_and_by_how_much(start: str) -> None:
    """Before, after and percent stand side by side, and the percent leads to every field that changed."""
    assert "wren pricing.input 2 3 +50% 2 scopes" in text(card(start, "changed"))


def test_prices_that_moved_are_told_by_how_far(start: str) -> None:
    """The price that moved furthest comes first, with its direction in a sign beside the colour."""
    said = text(card(start, "prices"))
    assert "heron pricing.input 5 2.5 ▼ −50%" in said
    assert "wren pricing.input 2 3 ▲ +50%" in said
    assert said.index("−50%") < said.index("+20%")


def test_the_matrix_has_a_column_for_each_list(start: str) -> None:
    """Scopes that see the same list are one column, and only models that differ have a row."""
    seen = card(start, "seen")
    assert "public" in text(seen)
    assert text(seen).count("yes") > 0
    assert ">heron<" not in seen


def test_what_is_silent_is_named_with_since_when(start: str) -> None:
    """A scope that fails and one whose list is held stand there with the time at which that began."""
    said = card(start, "troubles")
    assert "failed other/late Unreachable" in text(said)
    assert "held other/held" in text(said)
    assert re.findall(r'datetime="(.*?)"', said) == ["2026-09-20T10:00:00Z", "2026-09-20T11:00:00Z"]


def test_what_is_silent_comes_first(start: str, tmp_path: Path) -> None:
    """Nobody scrolls past what needs attention; where nothing does, it stands among the rest."""
    assert start.index('id="troubles"') < start.index('id="changed"')
    path = tmp_path / "modelwatch.db"
    with Store.open(path) as store:
        Script(store).offers("acme/prod", "lumen").run()
    quiet = Site(served(path)).page("/")
    assert quiet.index('id="troubles"') > quiet.index('id="changed"')
    assert quiet.count('id="troubles"') == 1


def test_a_price_cut_to_a_tenth_moved_as_far_as_one_raised_tenfold(tmp_path: Path) -> None:
    """How far is the factor, either way; to nothing is furthest, and a price that went moved nowhere."""
    path = tmp_path / "modelwatch.db"
    moves = {"double": (1, 2), "tenth": (10, 0.9), "tenfold": (1, 10), "free": (1, 0), "gone": (1, 50)}
    with Store.open(path) as store:
        script = Script(store).offers("acme/prod", "lumen", *moves)
        for side in (0, 1):
            for name, prices_ in moves.items():
                script.offers_now["acme/prod"][name] = {"pricing": {"input": prices_[side]}}
            script.run()
        script.adds("acme/prod", "gone").run()
    said = text(card(Site(served(path)).page("/"), "prices"))
    assert re.findall(r"(\w+) pricing.input", said) == ["free", "tenth", "tenfold", "double"]


def test_what_was_only_imported_is_said_to_be(database: Path, tmp_path: Path) -> None:
    """No run is told of where none was, and that nothing is known to be offered now."""
    path = tmp_path / "modelwatch.db"
    shutil.copy(database, path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("update snapshots set status = 'imported'")
        db.execute("update scopes set asked = 0")
        db.commit()
    said = text(Site(served(path)).page("/"))
    assert "The job has not run yet; the last answer that was imported is from 2026-09-20 11:00 UTC" in said
    assert "Last run" not in said
    assert "no scope is asked, so nothing is known to be offered now" in said


@pytest.fixture(scope="module")
def configured(database: Path) -> Site:
    """The site with what `browse` tells Datasette of the database."""
    with Store.read(database) as store:
        return Site(served(database, metadata=configuration(store, "modelwatch")))


@pytest.mark.parametrize(
    ("words", "found"), [("hero", True), ("HER", True), ('her"', True), ("her*", True), ("her lum", False)]
)
def test_the_box_finds_beginnings_of_words(configured: Site, words: str, *, found: bool) -> None:
    """Whoever types the first letters of an id is led to its models; of several words each must be there."""
    answer = configured.get(f"/-/modelwatch/find?database=modelwatch&q={quote(words)}")
    assert answer.status_code == 302
    page = configured.page(answer.headers["location"])
    assert (">heron<" in page) == found
    assert ">lumen<" not in page


def test_the_box_leads_nowhere_else(site: Site) -> None:
    """With nothing in it all models are shown, and a database that is not there is not found."""
    assert site.get("/-/modelwatch/find?database=modelwatch&q=").headers["location"] == "/modelwatch/models"
    assert site.get("/-/modelwatch/find?database=//elsewhere.example&q=x").status_code == 404


def test_announced_ends_are_told_by_day(start: str) -> None:
    """A model that is still offered stands under the day on which it is said to end."""
    assert f"{ENDS[0]} teal acme: 2" in text(card(start, "ends"))
    assert f"{ENDS[1]} teal acme: 1" in text(card(start, "ends"))


def test_what_the_chart_draws_can_be_read(start: str) -> None:
    """The numbers behind the chart are a table, each line from its first answer to the last run."""
    rows = re.findall(r'<tr><td>(.*?)</td><td><time datetime="(.*?)".*?</td><td class="num">(\d+)', start)
    assert ("acme/prod", "2026-09-20T08:00:00Z", "12") in rows
    assert [at for name, at, _ in rows if name == "acme/prod"][-1] == "2026-09-20T11:00:00Z"


def test_every_link_of_the_start_page_leads_somewhere(site: Site, start: str) -> None:
    """Each is answered, and those in the page say in a title what they lead to."""
    found = links(start)
    assert len(found) > 40
    for link in sorted(set(found)):
        assert site.get(link).status_code == 200, link
    main = tags(start[start.index("<main>") : start.index("</main>")])
    assert not [attributes for tag, attributes in main if tag == "a" and not attributes.get("title")]


def test_the_start_page_tells_what_the_command_tells(tmp_path: Path) -> None:
    """A model that was missed for a moment is no news, one that is back after its removal is `returned`."""
    path = tmp_path / "modelwatch.db"
    with Store.open(path) as store:
        script = Script(store).offers("acme/prod", "lumen", "slate", "heron")
        script.run()
        script.drops("acme/prod", "lumen", "slate").run(times=1)
        script.adds("acme/prod", "lumen").run(times=2)
        script.adds("acme/prod", "slate", "kite").run()
        told = {(str(event.kind), event.model) for event in find_events(store, window(store))}
    page = card(Site(served(path)).page("/"), "changed")
    parts = re.findall(r'<tbody class="(\w+)">(.*?)</tbody>', page, flags=re.DOTALL)
    shown = {
        (kind, model)
        for kind, part in parts
        for model in ("lumen", "slate", "heron", "kite")
        if model in part
    }
    assert shown == told == {("removed", "slate"), ("returned", "slate"), ("added", "kite")}


def test_an_empty_database_says_what_would_be_there(tmp_path: Path) -> None:
    """Before the first run the page says which command makes it, and after it each part what it waits for."""
    path = tmp_path / "modelwatch.db"
    with Store.open(path) as store:
        assert "No run has written to this database yet" in text(Site(served(path)).page("/"))
        Script(store).offers("acme/prod", "lumen").run()
    said = text(Site(served(path)).page("/"))
    assert "Nothing changed in these 7 days" in said
    assert "No price moved in these 7 days" in said
    assert "The only scope answers" in said
    assert "With a second scope" in said
    assert "No model that is offered now has a day on which it ends" in said


def test_the_window_is_widened_to_the_last_change(tmp_path: Path) -> None:
    """Where nothing changed in a week the page looks back further, and the reader may choose."""
    path = tmp_path / "modelwatch.db"
    with Store.open(path) as store:
        script = Script(store).offers("acme/prod", "lumen")
        script.run()
        script.adds("acme/prod", "kite").run()
        script.run(times=24 * 8)
    site = Site(served(path))
    assert '<strong title="before the last run">30 days</strong>' in site.page("/")
    assert "Nothing changed in these 7 days" in text(site.page("/?days=7"))
    assert ">kite<" in site.page("/?days=90")
    assert site.page("/?days=99999") == site.page("/?days=x")


def test_other_databases_are_listed_plainly(database: Path, tmp_path: Path) -> None:
    """A foreign database has a link and its own pages untouched; of two of ours each has a start page."""
    foreign, second = tmp_path / "birds.db", tmp_path / "second.db"
    with closing(sqlite3.connect(foreign)) as db:
        db.execute("create table notes (id integer primary key, at text, said text)")
        db.execute("insert into notes values (1, '2026-01-01T00:00:00Z', '\u202b\u05d0\u202c')")
        db.commit()
    shutil.copy(database, second)
    site = Site(served(foreign, second, database))
    assert "Other databases: birds" in text(site.page("/"))
    assert 'aria-current="page">second<' in site.page("/")
    assert 'aria-current="page">modelwatch<' in site.page("/?database=modelwatch")
    page = site.get("/birds/notes")
    assert "\u202b\u05d0\u202c" in page.text
    assert "<time" not in page.text
    assert "modelwatch/" not in page.text
    assert "content-security-policy" not in page.headers
    alone = Site(served(foreign))
    assert "None of these databases was written by modelwatch" in text(alone.page("/"))
    assert "birds" in alone.page("/")


def test_below_a_base_url_everything_is_found(database: Path) -> None:
    """Behind a proxy links and files stand below its path."""
    site = Site(served(database, settings={"base_url": "/watch/"}))
    page = site.page("/")
    files = re.findall(r'(?:src|href)="(/[^"]*\.(?:js|css))"', page)
    assert len(files) == 5
    for address in [*files, *links(page)]:
        assert address.startswith(("/watch/", "?"))
    for address in files:
        assert site.get(address.removeprefix("/watch")).status_code == 200


def test_the_start_page_loads_nothing_inline_or_from_elsewhere(site: Site, start: str) -> None:
    """Its policy forbids both, and it has neither script nor style in it."""
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


def test_files_are_served_by_name_alone(site: Site, start: str) -> None:
    """A file is kept for ever under an address with its digest, and no path leads out of their directory."""
    (address,) = re.findall(r'src="(/[^"]*times\.js)"', start)
    answer = site.get(address)
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/javascript")
    assert site.get(address.replace("times.js", "..%2Fplugins%2Fstart.py")).status_code == 404


ROWS = sorted(file.stem for file in (BROWSE / "plugins" / "rows").glob("*.sql"))


@pytest.mark.parametrize("table", ROWS)
def test_every_row_leads_to_its_neighbours(site: Site, database: Path, table: str) -> None:
    """The page of each row has a section with links, and each link of the first rows is answered."""
    with closing(sqlite3.connect(database)) as db:
        ids = [row[0] for row in db.execute(f"select id from {table} order by id limit 6")]
    followed = set()
    for row in ids:
        page = site.page(f"/modelwatch/{table}/{row}")
        assert '<h1 class="mw-name">' in page
        followed |= set(links(page))
    assert any('class="mw-section"' in site.page(f"/modelwatch/{table}/{row}") for row in ids)
    for link in sorted(followed):
        assert site.get(link).status_code == 200, link


def id_of(database: Path, table: str, name: str) -> int:
    """Give the id of a row by its name."""
    with closing(sqlite3.connect(database)) as db:
        (row,) = db.execute(f"select id from {table} where name like ?", (name,)).fetchone()
    return int(row)


def test_a_models_page_has_its_prices_and_changes(site: Site, database: Path) -> None:
    """What it costs to whom, what its price did as lines and numbers, and each change with both sides."""
    page = site.page(f"/modelwatch/models/{id_of(database, 'models', 'heron')}")
    said = text(page)
    assert "gateway router" in said
    assert re.search(r"Offered now .* 1 router/prod \$6 \$20 128,000", said)
    assert re.search(r"Prices over time .*UTC \$6 \$20 .*UTC \$5 \$20 ", said)
    assert "pricing.prompt 0.000005 0.000006 +20%" in said
    assert page.count('<figure class="mw-chart"') == 1


def section(page: str, title: str) -> str:
    """Give what a part of a row's page says."""
    return next(text(part) for part in page.split("<section ") if f"<h2>{title}</h2>" in part)


def points(page: str) -> list[tuple[str, str, str]]:
    """Give what the chart of a model's prices draws: line, time and price."""
    drawn = page[page.index('<table id="mw-prices"') :]
    return re.findall(
        r'<tr><td>(.*?)</td><td><time datetime="(.*?)">.*?</td><td>(.*?)</td>',
        drawn[: drawn.index("</table>")],
    )


def test_a_price_that_is_gone_ends_its_line(tmp_path: Path) -> None:
    """Where a price, or its model, was gone the line breaks, and it goes on to the last answer."""
    path = tmp_path / "modelwatch.db"
    with Store.open(path) as store:
        script = Script(store).offers("acme/prod", "lumen")
        for price in (3, 6, None, 4):
            script.offers_now["acme/prod"]["heron"] = {} if price is None else {"pricing": {"input": price}}
            script.run()
        script.drops("acme/prod", "heron").run(times=3)
        script.adds("acme/prod", heron=1).offers_now["acme/prod"]["heron"] = {"pricing": {"input": 5}}
        script.run(times=4)
    site = Site(served(path))
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
    moved, others = (section(page, title) for title in ("What its price did", "What happened to it"))
    assert "pricing.input 6 –" in moved
    assert "removed" in others
    assert "pricing" not in others


def test_prices_that_say_the_same_are_told_once(tmp_path: Path) -> None:
    """A price that is written twice is one line, column and row; scopes that differ have one each."""
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
    page = Site(served(path)).page(f"/modelwatch/models/{id_of(path, 'models', 'heron')}")
    assert {label for label, _, _ in points(page)} == {
        f"cost.input = metadata.pricing.input (acme/{name})" for name in ("prod", "vip")
    }
    assert section(page, "What its price did").count("cost.input, metadata.pricing.input") == 2


def test_prices_are_known_by_the_names_that_changes_are_classed_by() -> None:
    """What is drawn as a price is what `diff` calls one."""
    assert dict(PATTERNS)["price"] == PRICE.pattern


def test_a_removal_shows_what_was_removed(site: Site, database: Path) -> None:
    """The page of a removed model's change has what it cost and all that its record said."""
    page = site.page(f"/modelwatch/changes/{id_of(database, 'changes', '- slate%')}")
    assert '"id":"slate"' in section(page, "What it was").replace(" ", "")


def test_a_listings_page_names_who_sees_exactly_it(site: Site, database: Path) -> None:
    """All scopes with this list are named, and no other."""
    with closing(sqlite3.connect(database)) as db:
        (listing,) = db.execute("select listing from scopes where name = 'acme/public'").fetchone()
    page = site.page(f"/modelwatch/listings/{listing}")
    seen = text(page[page.index("Who sees exactly") : page.index("Where it came from")])
    assert "acme/public" in seen
    assert "acme/prod" not in seen


def test_cells_read_well(site: Site) -> None:
    """Times stand in an element that the reader's zone is filled into, JSON is folded, kinds have a badge."""
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
    """Fail on a page in which a hostile name does anything."""
    for tag, attributes in tags(page):
        assert attributes.get("src") != "x"
        assert not [name for name in attributes if name.startswith("on")], tag
    assert "<script>alert" not in page
    assert not set("\u202e\u202c\u200b") & set(page)


@pytest.mark.parametrize("path", PAGES)
def test_no_name_does_harm_on_any_page(site: Site, path: str) -> None:
    """Markup is escaped, and characters that hide or turn round what stands beside them are written out."""
    harmless(site.page(path))


def test_a_hostile_name_is_shown_as_it_is(site: Site, database: Path) -> None:
    """Its own pages have it in letters, with what would not be seen as an escape, and nothing is dropped."""
    models = site.page("/modelwatch/models")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in models
    assert "acme/\\u202egnp.exe\\u202c" in models
    with closing(sqlite3.connect(database)) as db:
        for table in ("models", "records", "changes"):
            for (row,) in db.execute(f"select id from {table}").fetchall():
                harmless(site.page(f"/modelwatch/{table}/{row}"))


def test_a_name_without_end_is_cut(tmp_path: Path) -> None:
    """Five thousand letters are cut wherever they stand beside others, and folded on their own page."""
    path = tmp_path / "modelwatch.db"
    name = "long-" * 1000
    with Store.open(path) as store:
        script = Script(store).offers("acme/prod", "two\nlines\tand a tab").offers("acme/batch", "lumen")
        script.run()
        script.adds("acme/prod", name).run()
    site = Site(served(path))
    for page in (
        "/",
        "/modelwatch/matrix",
        "/modelwatch/models",
        "/modelwatch/offers",
        "/modelwatch/change_log",
    ):
        # 1.0 keeps a row's label in an attribute, too, which nobody sees.
        shown = re.sub('data-row-label="[^"]*"', "", site.page(page))
        assert "long-long-" in shown
        assert "long-" * 100 not in shown, page
    assert "two\\u000alines\\u0009and a tab" in site.page("/modelwatch/matrix")
    own = site.page(f"/modelwatch/models/{id_of(path, 'models', 'long%')}")
    heading = own[own.index("<h1") : own.index("</h1>")]
    assert name in heading
    assert name not in heading[: heading.index("</summary>")]
    assert "long-" * 100 not in re.sub('data-row-label="[^"]*"', "", own[own.index("</h1>") :])


def test_names_lead_to_what_they_name(site: Site, database: Path) -> None:
    """In the tables it is the name that is clicked, and not the number before it."""
    for table in ("models", "scopes", "gateways", "listings", "snapshots"):
        with closing(sqlite3.connect(database)) as db:
            (row, name) = db.execute(f"select id, name from {table} order by id limit 1").fetchone()
        page = site.page(f"/modelwatch/{table}")
        link = next(part for part in page.split("<a ") if f'title="{table} {row}"' in part)
        assert link.startswith(f'href="/modelwatch/{table}/{row}"')
        assert name[:10] in link


def test_a_row_is_headed_by_its_name(site: Site, database: Path) -> None:
    """The name is the heading, once, and what has nothing to say is not there."""
    for table, name in (("models", "heron"), ("scopes", "acme/prod"), ("listings", "%models%")):
        page = site.page(f"/modelwatch/{table}/{id_of(database, table, name)}")
        assert page.count("<h1") == 1
        assert name.strip("%") in page[page.index("<h1") : page.index("</h1>")]
        assert "There is nothing" not in page


def test_a_stored_query_is_called_by_its_title(configured: Site) -> None:
    """The tab of the browser says what the question is, and not its SQL."""
    page = configured.page("/modelwatch/what_changed")
    assert "<title>What changed between two dates · modelwatch</title>" in page


def test_machines_get_names_as_they_are(site: Site) -> None:
    """JSON and CSV have every character of a name: only what people look at is made plain."""
    assert HOSTILE[2] in site.page("/modelwatch/models.csv")
    assert HOSTILE[2] in {
        row["name"] for row in json.loads(site.page("/modelwatch/models.json?_shape=array"))
    }


@pytest.mark.parametrize(
    ("after", "before", "said"),
    [
        ("3", "2", "+50%"),
        ("0.1859", "0.169", "+10%"),
        ("0.464", "0.478", "−2.9%"),
        ("1", "1", "±0%"),
        ("1", "0", ""),
        ("1", None, ""),
        ("word", "2", ""),
        ("1e-9", "1e-6", "−100%"),
    ],
)
def test_a_change_is_told_in_percent(after: str, before: str | None, said: str) -> None:
    """Two digits matter; where a side is no number, or the first is nothing, there is no percent."""
    assert percent(after, before) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"),
        ("256000", "256,000"),
        ("0.0031", "0.0031"),
        ('["a","b"]', "a, b"),
        ("[1", "[1"),
        ("NaN", "NaN"),
    ],
)
def test_a_side_is_told_in_few_words(value: str | None, said: str) -> None:
    """Numbers have their thousands apart, lists of words are words, all else is as it is."""
    assert cells.value(value) == said


def test_plugins_stand_alone() -> None:
    """A published copy is served where this program is not installed: what is loaded needs nothing of it."""
    for file in (BROWSE / "plugins").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = (
                [alias.name for alias in getattr(node, "names", [])] if isinstance(node, ast.Import) else []
            )
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.startswith("pipeline")], file


QUESTIONS = sorted((BROWSE / "plugins").rglob("*.sql"))
LARGE = {"records", "listing_records", "changes", "field_changes", "sightings", "permissions"}


@pytest.mark.parametrize("file", QUESTIONS, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_no_question_reads_a_large_table_from_end_to_end(database: Path, file: Path) -> None:
    """Whatever grows with the length of the history is reached by an index."""
    parts = [
        part for part in re.split(r"^-- ## .*\n", file.read_text("utf-8"), flags=re.MULTILINE) if part.strip()
    ]
    values = {
        "id": 1,
        "since": "2026",
        "most": 3,
        "today": "2026",
        "scopes": "[1]",
        "lists": "[]",
        "precision": 9,
        "watched": "[]",
    }
    with closing(sqlite3.connect(database)) as db:
        db.create_function("nothing", 0, lambda: None)
        db.create_function("is_price", 1, lambda _: None)
        for sql in parts:
            plan = [row[3] for row in db.execute(f"explain query plan {sql}", values)]
            aliases = dict(re.findall(r"join (\w+) as (\w+)", sql))
            scanned = {found[1] for step in plan if (found := re.match(r"SCAN (\w+)", step))}
            assert not {aliases.get(name, name) for name in scanned} & LARGE, plan
