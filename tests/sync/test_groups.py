"""The groups of a New-API user: those that vanish retire once that is confirmed, and may come back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_string
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from support.browsing import Site, datasette_on, page_by_command, text
from support.e2e import Done, Job, valid

from pipeline.browse.datasette import configuration
from pipeline.browse.queries import QUERIES
from pipeline.core.shards import Shard
from pipeline.core.times import iso
from pipeline.core.types import Kind
from pipeline.maintenance import dialects_of, verify
from pipeline.reports.summary import summarise
from pipeline.reports.types import Filter
from pipeline.simulator import Gateway
from pipeline.store import Store
from pipeline.store.windows import time_window

BEGIN = datetime(2026, 5, 1, 8, tzinfo=UTC)
MODELS = [f"model-{number:03}" for number in range(208)]
TOKEN = "ada-access-token-1234"


class Groups:
    """A home that asks for all groups of a user of a gateway, half-hourly."""

    def __init__(self, job: Job, gateway: Gateway) -> None:
        self.job = job
        self.gateway = gateway
        self.at = BEGIN

    def run(self, *, times: int = 1, only: tuple[str, ...] = ()) -> Done:
        """Run so many times, all scopes or `only` those of an option; return the last run."""
        for _ in range(times):
            done = self.job.quick("run", "--verbose", *only, at=iso(self.at))
            self.at += timedelta(minutes=30)
        return done

    def changes(self) -> list[dict[str, Any]]:
        """Return the events of the reports so far, oldest first."""
        found: list[dict[str, Any]] = self.command("changes", "--since", "2026-01-01", "--json").json()
        return found

    def events(self) -> list[tuple[str, str]]:
        """Return the kind and the model of each event; of a group, its name and what happened."""
        return [(each["kind"], each["model"] or _of_group(each)) for each in self.changes()]

    def command(self, *arguments: str) -> Done:
        """Run a command that reads, at the time of the next run."""
        return self.job.quick(*arguments, at=iso(self.at))

    def coverage(self) -> dict[str, dict[str, Any]]:
        """Return each scope as `scopes` shows it."""
        found = self.job.quick("scopes", "--json", at=iso(self.at)).json()
        return {each["scope"]: each for each in found}

    def outcomes(self, scope: str) -> list[str]:
        """Return the outcomes of all sightings of a scope."""
        with Store.read(self.job.database) as store:
            assert [problem for each in verify(store, dialects_of(())) for problem in each.problems] == []
            rows = store.rows(
                "select outcome from sightings join scopes on scopes.id = sightings.scope"
                " where scopes.name = :scope order by sightings.id",
                {"scope": scope},
            )
        return [row["outcome"] for row in rows]


def _of_group(event: dict[str, Any]) -> str:
    (group,) = event["groups"]
    sides = next((field for field in event["fields"] if field["field"] == "group"), None)
    return f"{group} {'changed' if sides is None else 'new' if 'after' in sides else 'gone'}"


@contextmanager
def at_a_gateway(home: Path) -> Iterator[Groups]:
    """Yield a home that asks a gateway as ada for the models of all her groups."""
    with Gateway() as gateway:
        gateway.group("vip")
        gateway.group("svip", ratio=0.5)
        gateway.offers("lyra", "vega", to="vip")
        gateway.offers(*MODELS, to="svip")
        gateway.user("ada", group="vip", access_token="ada-access-token-1234")
        job = Job(home, env={"TOKEN": "ada-access-token-1234"})
        user = gateway.accounts.users[0].id
        inside = f'access_token = "env:TOKEN", user_id = {user}, groups = "all"'
        job.asks(gateway.url, scopes={"ada": inside}, confirm_after="2h")
        yield Groups(job, gateway)


@pytest.fixture
def groups(tmp_path: Path) -> Iterator[Groups]:
    with at_a_gateway(tmp_path / "home") as found:
        yield found


def test_a_deleted_group_is_one_removal_and_its_scope_retires(groups: Groups) -> None:
    groups.run()
    groups.gateway.group("svip", usable=False)
    for _ in range(4):
        done = groups.run()
        assert done.code == 0
        assert groups.events() == []
        scope = groups.coverage()["local/ada.svip"]
        assert (scope["state"], scope["models"], scope["last_answered"]) == ("ok", 208, iso(BEGIN))
    done = groups.run()
    assert "group svip is gone (208 models)" in done.stdout + done.stderr
    assert groups.events() == [("group", "svip gone")]
    assert groups.coverage()["local/ada.svip"]["state"] == "retired"
    groups.run(times=20)
    assert groups.events() == [("group", "svip gone")]
    assert groups.outcomes("local/ada.svip") == ["baseline", "retired"]
    assert groups.coverage()["local/ada.svip"]["last_answered"] == iso(BEGIN)


def _shard_of(name: str) -> str:
    return next(f"{number}/97" for number in range(1, 98) if name in Shard(number, 97))


@pytest.mark.parametrize("only", [("--scope", "local/ada"), ("--shard", _shard_of("local/ada"))])
def test_a_run_of_a_user_alone_asks_and_retires_the_groups(groups: Groups, only: tuple[str, str]) -> None:
    groups.run(only=only)
    assert groups.run(only=only).stdout == "no changes; 4 of 4 scopes answered\n"
    groups.gateway.group("svip", usable=False)
    groups.run(times=5, only=only)
    assert groups.events() == [("group", "svip gone")]
    assert groups.outcomes("local/ada.svip") == ["baseline", "retired"]
    assert groups.outcomes("local/ada.vip") == ["baseline"]


def test_the_shards_of_others_do_not_retire_the_groups_of_a_user(groups: Groups) -> None:
    groups.run()
    for name in ("local/ada.vip", "local/ada.svip"):
        assert groups.run(only=("--shard", _shard_of(name))).code == 0
    assert {each["state"] for each in groups.coverage().values()} == {"ok"}
    groups.job.configure(groups.job.config.read_text().replace("scopes.ada", "scopes.eve"))
    groups.run(only=("--shard", _shard_of("local/ada")))
    found = groups.coverage()
    assert {found[f"local/{name}"]["state"] for name in ("ada", "ada.vip", "ada.svip")} == {"retired"}


def test_a_group_that_is_gone_for_an_hour_is_no_news(groups: Groups) -> None:
    groups.run()
    groups.gateway.group("svip", usable=False)
    groups.run(times=2)
    groups.gateway.group("svip", ratio=0.5)
    groups.run(times=6)
    assert groups.events() == []
    assert groups.outcomes("local/ada.svip") == ["baseline"]
    assert groups.coverage()["local/ada.svip"]["state"] == "ok"


def test_a_group_that_comes_back_is_compared_with_its_last_list(groups: Groups) -> None:
    groups.run()
    groups.gateway.group("svip", usable=False)
    groups.run(times=8)
    groups.gateway.group("svip", ratio=0.5)
    groups.gateway.offers("new", to="svip")
    groups.run()
    assert groups.events() == [("group", "svip gone"), ("group", "svip new"), ("added", "new")]
    assert groups.outcomes("local/ada.svip") == ["baseline", "retired", "moved"]
    assert groups.coverage()["local/ada.svip"]["state"] == "ok"
    assert groups.coverage()["local/ada.svip"]["models"] == 209


def test_a_group_that_comes_back_with_the_same_list_answers_again(groups: Groups) -> None:
    groups.run()
    groups.gateway.group("svip", usable=False)
    groups.run(times=8)
    groups.gateway.group("svip", ratio=0.5)
    done = groups.run(times=2)
    assert done.code == 0
    assert groups.events() == [("group", "svip gone"), ("group", "svip new")]
    assert groups.outcomes("local/ada.svip") == ["baseline", "retired", "recovered"]
    assert groups.coverage()["local/ada.svip"]["state"] == "ok"
    groups.gateway.group("svip", usable=False)
    groups.run(times=8)
    assert groups.outcomes("local/ada.svip")[3:] == ["retired"]


def test_a_user_whose_groups_fail_loses_none(groups: Groups) -> None:
    groups.run()
    groups.gateway.fails("broken", at="/api/user/self/groups")
    assert groups.run(times=8).code != 0
    groups.gateway.heals()
    assert groups.run().code == 0
    assert groups.events() == []
    assert groups.outcomes("local/ada.svip")[0] == "baseline"
    assert "retired" not in groups.outcomes("local/ada.svip")


def test_a_deleted_group_that_failed_before_is_retired(groups: Groups) -> None:
    groups.run()
    groups.gateway.fails("broken", at="/api/pricing")
    groups.run()
    groups.gateway.heals()
    groups.gateway.group("svip", usable=False)
    groups.run(times=6)
    assert groups.outcomes("local/ada.svip") == ["baseline", "failed", "retired"]
    assert groups.coverage()["local/ada.svip"]["state"] == "retired"
    assert groups.run().code == 0


def ada(gateway: Gateway, **ratios: float) -> None:
    """Let the user have the private group svip, and pay ratios of her own."""
    gateway.user("ada", group="vip", access_token=TOKEN, groups=["svip"], ratios=ratios)


@pytest.fixture
def private(groups: Groups) -> Groups:
    """A home at a New-API of 2025: the price list shows an access token the public groups and ratios only."""
    groups.gateway.runs("new-api-2025")
    groups.gateway.group("vip", ratio=0.8)
    groups.gateway.group("svip", ratio=0.8, usable=False)
    groups.gateway.offers("lyra", "vega", to="vip", model_ratio=1.25, completion_ratio=4)
    groups.gateway.offers(*MODELS, to="svip", model_ratio=1.25, completion_ratio=4)
    ada(groups.gateway, svip=0.3)
    return groups


def input_prices(groups: Groups, model: str) -> dict[str, float]:
    """Return the input price of a model in USD per 1M tokens, by scope."""
    (at,) = groups.command("show", model, "--json").json()["gateways"]
    return {
        scope: record["facts"]["input_usd_per_1m"] for record in at["records"] for scope in record["scopes"]
    }


@pytest.mark.parametrize("server", ["new-api-2025", "new-api-2026"])
def test_a_private_group_has_its_models_at_the_ratio_of_the_user(private: Groups, server: str) -> None:
    private.gateway.runs(server)
    private.gateway.offers("common", to="all", model_ratio=1.25)
    assert private.run().code == 0
    found = {name: scope["models"] for name, scope in private.coverage().items()}
    assert found == {"local/ada": None, "local/ada.default": 1, "local/ada.svip": 209, "local/ada.vip": 3}
    assert input_prices(private, "model-000") == {"local/ada.svip": 0.75}
    assert input_prices(private, "lyra") == {"local/ada.vip": 2}
    prices = {"local/ada.default": 2.5, "local/ada.svip": 0.75, "local/ada.vip": 2}
    assert input_prices(private, "common") == prices


def test_the_group_auto_has_the_first_of_its_groups_with_the_model(private: Groups) -> None:
    private.gateway.auto(["vip", "default"])
    private.gateway.runs("new-api-2026")
    private.gateway.offers("lyra", "extra", model_ratio=1.25)
    assert private.run().code == 0
    assert input_prices(private, "lyra") == {
        "local/ada.auto": 2,
        "local/ada.default": 2.5,
        "local/ada.vip": 2,
    }
    assert input_prices(private, "extra") == {"local/ada.auto": 2.5, "local/ada.default": 2.5}
    (auto,) = (each for each in private.coverage()["local/ada"]["groups"] if each["group"] == "auto")
    assert (auto["ratio"], auto["models"]) == ("auto", 3)


def test_an_anonymous_price_list_has_the_models_of_public_groups(private: Groups) -> None:
    config = private.job.config.read_text("utf-8")
    prices = f'[gateways.prices]\nurl = "{private.gateway.url}"\nscopes.public = {{}}\n'
    private.job.configure(f'{config}{prices}dialect = "new-api-pricing"\n')
    private.run()
    assert private.coverage()["prices/public"]["models"] == 2
    assert private.coverage()["local/ada.svip"]["models"] == 208


def test_a_group_that_the_price_list_names_no_more_fails_and_keeps_its_list(private: Groups) -> None:
    private.run()
    private.gateway.drops(*MODELS, of="svip")
    done = private.run(times=12)
    assert done.code == 3
    scope = private.coverage()["local/ada.svip"]
    assert (scope["state"], scope["models"]) == ("failed", 208)
    assert "the price list has no group 'svip', so that its models are unknown" in scope["error"]["message"]
    assert 'no_models = ["group:svip"]' in scope["error"]["message"]
    assert private.events() == []
    private.gateway.offers(*MODELS, to="svip", model_ratio=1.25, completion_ratio=4)
    assert private.run().code == 0
    assert private.events() == []


def test_a_group_of_no_models_is_left_out(private: Groups) -> None:
    config = private.job.config.read_text()
    private.job.configure(config.replace("[gateways.local]", '[gateways.local]\nno_models = ["group:svip"]'))
    assert private.run().code == 0
    assert list(private.coverage()) == ["local/ada", "local/ada.default", "local/ada.vip"]
    assert [each["group"] for each in private.coverage()["local/ada"]["groups"]] == ["default", "vip"]
    assert private.gateway.requests[-1].place == "/api/pricing"


def test_another_ratio_of_the_user_is_reported_once_for_the_group(private: Groups) -> None:
    private.job.configure(f'{private.job.config.read_text()}[watch]\nmodels = ["model-007"]\n')
    private.run()
    ada(private.gateway, svip=0.6)
    done = private.run()
    line = "! ~ ratio of group svip 0.3 → 0.6 (prices of 208 models +100 %), with the watched model-007"
    assert [each for each in done.stdout.splitlines() if "group svip" in each] == [line]
    loud = [each for each in private.changes() if not each["quiet"]]
    assert [(each["kind"], each["groups"], each["scopes"]) for each in loud] == [
        ("group", ["svip"], ["local/ada"])
    ]
    assert (loud[0]["model"], loud[0]["listed"], len(loud[0]["models"])) == ("", 208, 208)
    assert loud[0]["fields"] == [{"field": "ratio", "class": "price", "before": 0.3, "after": 0.6}]
    valid(loud[0], "change")
    (row,) = (row for row in private.command("changes", "--csv").rows() if row["kind"] == "group")
    assert (row["field"], row["before"], row["after"], row["groups"]) == ("ratio", "0.3", "0.6", "svip")
    assert (row["model"], row["models"], row["severity"]) == ("", "208", "urgent")
    assert private.job.latest()["totals"]["group"] == 1
    printed = private.command("report", "--as", "txt", "--since", "2026-05-01T08:15Z").stdout
    assert printed.count("+100 %") == 1
    assert "ratio of group svip 0.3 → 0.6 (prices of 208 models +100 %)" in printed
    assert input_prices(private, "model-000") == {"local/ada.svip": 1.5}


def test_a_new_group_and_one_that_is_gone_are_reported_in_words(groups: Groups) -> None:
    groups.run()
    groups.gateway.group("gold", ratio=2)
    groups.gateway.offers("x", to="gold")
    groups.run()
    groups.gateway.group("svip", usable=False)
    groups.run(times=6)
    assert groups.events() == [("group", "gold new"), ("group", "svip gone")]
    for event in groups.changes():
        valid(event, "change")
    lines = groups.command("changes").stdout
    assert "  + group gold is new (1 model)\n" in lines
    assert "  - group svip is gone (208 models), missing since" in lines
    report = ("report", "--since", "2026-05-01T08:15Z", "--as")
    assert "group svip is gone (208 models)" in groups.command(*report, "txt").stdout
    assert "group svip is gone (208 models)" in text(groups.command(*report, "html").stdout)
    assert "failed" not in groups.command(*report, "txt").stdout


COMMANDS = (
    ("models",),
    ("models", "--json"),
    ("models", "--at", "2026-05-01T09:00"),
    ("matrix",),
    ("matrix", "--json"),
    ("same",),
    ("same", "--json"),
    ("scopes",),
    ("scopes", "--json"),
    ("scopes", "--csv"),
    ("status",),
    ("check",),
    ("watch", "*"),
    ("history", "[lgv]*"),
    ("deprecations",),
    ("changes", "--all", "--json"),
    ("changes", "--all", "--csv"),
    ("changes", "--each", "--all"),
    ("diff", "2026-05-01T08:15", "now"),
    ("diff", "local/ada.vip", "local/ada.svip"),
    ("diff", "local/*@2026-05-01T08:15", "local/*"),
    ("report", "--as", "json"),
    ("report", "--as", "csv"),
    ("report", "--as", "html"),
    ("report", "--as", "md"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_takes_a_group_for_a_model(changed: Groups, command: tuple[str, ...]) -> None:
    done = changed.command(*command)
    assert done.stdout
    assert "group:" not in done.output


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Groups]:
    """A home whose groups came, went and changed; no test of it writes."""
    with at_a_gateway(tmp_path_factory.mktemp("changed")) as groups:
        groups.job.configure(f'{groups.job.config.read_text()}[metrics]\nfile = "modelwatch.prom"\n')
        groups.run()
        groups.gateway.group("gold", ratio=2)
        groups.gateway.group("vip", ratio=0.9)
        groups.run()
        groups.gateway.group("svip", usable=False)
        groups.run(times=6)
        yield groups


def test_a_group_is_no_model_to_ask_for(changed: Groups) -> None:
    for command in ("show", "history"):
        done = changed.command(command, "group:vip")
        assert (done.code, done.stdout) == (2, "")
    done = changed.command("diff", "local/ada", "local/ada.vip")
    assert done.code == 2
    assert "local/ada lists groups, not models: compare the scopes of groups, local/ada.*" in done.stderr


def test_scopes_have_the_groups_of_a_user(changed: Groups) -> None:
    found = changed.coverage()["local/ada"]
    assert (found["models"], found["listed_groups"]) == (None, 3)
    groups = {each["group"]: (each["ratio"], each["models"], each["scope"]) for each in found["groups"]}
    assert groups == {
        "default": (1, 0, "local/ada.default"),
        "gold": (2, 0, "local/ada.gold"),
        "vip": (0.9, 2, "local/ada.vip"),
    }
    rows = {row["scope"]: row for row in changed.command("scopes", "--csv").rows()}
    assert (rows["local/ada"]["groups"], rows["local/ada"]["models"]) == ("default gold vip", "")
    assert rows["local/ada.vip"]["groups"] == ""
    assert (
        'modelwatch_models{gateway="local",scope="local/ada"'
        not in (changed.job.home / "modelwatch.prom").read_text()
    )


@pytest.fixture
def site(changed: Groups) -> Site:
    """The browser on the database of a home whose groups came, went and changed."""
    with Store.read(changed.job.database) as store:
        settings = configuration(store, "modelwatch")
    return Site(datasette_on(changed.job.database, metadata=settings))


VIEWS = (
    "catalog",
    "offers",
    "prices",
    "deprecations",
    "change_log",
    "price_history",
    "same_catalog",
    "matrix",
)
PAGES = ("models", "health", *VIEWS, *(query.name for query in QUERIES))


@pytest.mark.parametrize("page", ["/", *(f"/modelwatch/{name}" for name in PAGES)])
def test_no_page_of_the_browser_takes_a_group_for_a_model(site: Site, page: str) -> None:
    assert re.findall("group:[a-z]+", site.page(page)) == []


def test_the_search_of_the_browser_finds_no_group(site: Site) -> None:
    assert "group:vip" not in site.page("/modelwatch/models?_search=vip")


EXPORTS = ("models", "records", "catalog", "offers", "prices", "change_log")
FORMS = ("csv?_stream=on", "csv?_size=max&_labels=on", "json?_shape=array&_size=max")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("table", EXPORTS)
def test_no_export_of_the_browser_has_a_group(site: Site, table: str, form: str) -> None:
    exported = site.page(f"/modelwatch/{table}.{form}")
    assert re.search("lyra|model-", exported)
    assert "group:" not in exported


@pytest.mark.parametrize("form", FORMS)
def test_the_groups_of_the_browser_have_an_export_of_their_own(site: Site, form: str) -> None:
    exported = site.page(f"/modelwatch/groups.{form}")
    assert all(name in exported for name in ("gold", "0.9", "local/ada.vip"))
    assert "model-" not in exported


def test_the_published_copy_exports_models_and_groups_apart(changed: Groups, tmp_path: Path) -> None:
    target = tmp_path / "public"
    serve = next(
        line
        for line in changed.command("publish", str(target)).stdout.splitlines()
        if "datasette serve" in line
    )
    pages = {
        name: page_by_command(target, serve, f"/modelwatch/{name}.csv?_stream=on")
        for name in ("models", "records", "groups")
    }
    assert [name for name, page in pages.items() if "group:" in page] == []
    assert [pages[name].count("model-") > 0 for name in pages] == [True, True, False]
    assert "gold" in pages["groups"]


def test_the_browser_has_a_view_of_groups_with_their_ratios(site: Site) -> None:
    shown = text(site.page("/modelwatch/groups"))
    assert all(name in shown for name in ("gold", "vip", "0.9", "local/ada.vip"))
    assert "svip" not in shown


def test_a_pending_removal_of_a_group_names_the_group(groups: Groups) -> None:
    groups.run()
    groups.gateway.group("svip", usable=False)
    groups.run()
    status = groups.command("status").stdout
    assert "local/ada.svip: group svip may be gone (1 of 2 answers)" in status
    assert status.count("svip may be gone") == 1
    assert "not asked since" not in status
    assert "3 of 3 scopes answered" in status
    assert "3 of 3 scopes are healthy" in status


def summary_of(home: Groups, **wanted: tuple[str, ...]) -> list[tuple[tuple[str, ...], int, bool]]:
    """Return the net changes of groups that a destination gets: group, number of models, reverted."""
    with Store.read(home.job.database) as store:
        found = summarise(
            store, time_window(store, since=iso(BEGIN + timedelta(minutes=1))), wanted=Filter(**wanted)
        )
    return [
        (each.groups, len(each.models), each.reverted) for each in found.changes if each.kind == Kind.GROUP
    ]


def test_a_destination_selects_groups_by_name_and_by_their_models(groups: Groups) -> None:
    groups.run()
    groups.gateway.group("svip", ratio=0.6)
    groups.run()
    assert summary_of(groups) == summary_of(groups, groups=("svip",)) == [(("svip",), 208, False)]
    assert summary_of(groups, models=("model-00?",)) == [(("svip",), 10, False)]
    assert summary_of(groups, groups=("vip",)) == summary_of(groups, models=("lyra",)) == []


def test_a_group_that_was_gone_and_is_back_is_one_net_change(groups: Groups) -> None:
    groups.run()
    groups.gateway.group("svip", usable=False)
    groups.run(times=6)
    groups.gateway.group("svip", ratio=0.5)
    groups.run(times=2)
    assert summary_of(groups) == [(("svip",), 208, True)]
    printed = groups.command("report", "--as", "txt", "--since", "2026-05-01T08:15Z").stdout
    assert "group svip is back after 3 h (208 models)" in printed


@pytest.fixture
def watched(groups: Groups) -> Groups:
    """A home that watches a model of two groups and one of the group svip, and writes mails for each run."""
    groups.gateway.offers("lyra", to="svip")
    groups.job.configure(
        f'{groups.job.config.read_text()}[watch]\nmodels = ["lyra", "model-007"]\n[destinations.team]\n'
        'type = "eml"\ndirectory = "mails"\nfrom = "mw@acme.example"\nto = ["a@acme.example"]\n'
    )
    return groups


def mails(home: Groups) -> list[str]:
    """Return the mails so far, oldest first, each with its subject on one line."""
    found = []
    for path in sorted((home.job.home / "mails").rglob("*.eml")):
        mail = message_from_string(path.read_text("utf-8"), policy=default)
        body = mail.get_body(("plain",))
        assert body is not None
        found.append(" ".join([str(mail["subject"]), *body.get_content().split()]))
    return found


def gone(home: Groups, *, runs: int) -> Done:
    """Run once with the group svip, and so many times without it; return the last run."""
    home.run()
    home.gateway.group("svip", usable=False)
    return home.run(times=runs)


def test_the_first_mail_counts_the_groups_of_a_user(watched: Groups) -> None:
    watched.run()
    (mail,) = mails(watched)
    assert "local/ada: 3 groups" in mail
    assert "local/ada: 3 models" not in mail


def test_watch_says_that_a_model_is_gone_with_its_group(watched: Groups) -> None:
    gone(watched, runs=6)
    lines = watched.command("watch").stdout.splitlines()
    text = "      gone with group svip since 2026-05-01 08:30: local/ada.svip"
    assert lines[:4] == ["! lyra  offered to local/ada.vip", text, "! model-007  offered to no scope", text]
    (finding,) = watched.command("watch", "lyra", "--json").json()["models"][0]["findings"]
    assert (finding["kind"], finding["group"], finding["urgent"]) == ("missing", "svip", True)
    assert [row["group"] for row in watched.command("watch", "lyra", "--csv").rows()] == ["svip"]
    watched.gateway.group("svip", ratio=0.5)
    watched.run()
    assert "lyra  OK, offered to local/ada.svip local/ada.vip" in watched.command("watch").stdout


def test_a_model_that_was_removed_before_its_group_is_not_gone_with_it(watched: Groups) -> None:
    watched.run()
    watched.gateway.drops("lyra", of="svip")
    watched.run(times=6)
    watched.gateway.group("svip", usable=False)
    watched.run(times=6)
    text = watched.command("watch", "lyra").stdout
    assert "removed, missing since 2026-05-01 08:30: local/ada.svip" in text
    assert "group" not in text


def test_a_pending_loss_of_a_group_with_a_watched_model_is_mailed_at_once_and_once(watched: Groups) -> None:
    done = gone(watched, runs=1)
    text = "may be gone with group svip since 2026-05-01 08:30, 1 of 2 answers"
    assert f"! lyra  {text}" in done.stdout
    shown = watched.command("watch", "lyra").stdout
    assert text in shown
    assert "! lyra  offered to local/ada.vip\n" in shown
    _, mail = mails(watched)
    assert mail.startswith("[modelwatch] urgent: 2 models missing with group svip, not confirmed yet")
    assert "lyra, model-007: missing with group svip from local/ada.svip" in mail
    assert "Missing from 1 of 2 answers" in mail
    watched.run(times=3)
    assert len(mails(watched)) == 2
    watched.run()
    assert len(mails(watched)) == 3
    assert "group svip is gone (209 models), with the watched lyra, model-007" in mails(watched)[2]
    assert "offered again" not in mails(watched)[2]


def test_a_log_names_a_pending_loss_of_a_group_once(watched: Groups) -> None:
    watched.run()
    watched.gateway.group("svip", usable=False)
    first = watched.job.quick("run", at=iso(watched.at))
    second = watched.job.quick("run", at=iso(watched.at + timedelta(minutes=30)))
    assert "! lyra  may be gone with group svip" in first.stderr
    assert "may be gone" not in second.stderr


def test_a_group_that_is_back_before_its_loss_is_confirmed_has_its_models_back(watched: Groups) -> None:
    gone(watched, runs=2)
    watched.gateway.group("svip", ratio=0.5)
    watched.run()
    assert "lyra, model-007: offered again in local/ada.svip after 1 h" in mails(watched)[-1]
    assert watched.events() == []
    assert "may be gone" not in watched.command("status").stdout


def test_a_renamed_group_is_new_and_gone(watched: Groups) -> None:
    watched.run()
    watched.gateway.group("svip", usable=False)
    watched.gateway.group("gold", ratio=0.5)
    watched.gateway.offers("lyra", *MODELS, to="gold")
    watched.run(times=6)
    assert watched.events() == [("group", "gold new"), ("group", "svip gone")]
    text = watched.command("watch", "model-007").stdout
    assert "! model-007  offered to local/ada.gold\n" in text
    assert "gone with group svip since 2026-05-01 08:30: local/ada.svip" in text


def test_history_says_from_when_to_when_the_group_of_a_model_was_gone(watched: Groups) -> None:
    history = ("history", "lyra", "--scope", "*.svip")
    gone(watched, runs=1)
    text = watched.command(*history).stdout
    assert "2026-05-01 08:30  may be gone with group svip, to be confirmed by the next answers" in text
    assert "now               offered in the last list of group svip" in text
    watched.run(times=5)
    lost = "2026-05-01 10:30  gone with group svip, missing since 2026-05-01 08:30"
    text = watched.command(*history).stdout
    assert lost in text
    assert "now               not offered, group svip is gone" in text
    watched.gateway.group("svip", ratio=0.5)
    watched.run()
    lines = watched.command(*history).stdout.splitlines()
    assert [line.strip() for line in lines[-3:]] == [
        lost,
        "2026-05-01 11:30  back with group svip after 3 h",
        "now               offered",
    ]
    (timeline,) = watched.command(*history, "--json").json()
    kinds = [(step["kind"], step["group"]) for step in timeline["steps"][1:]]
    assert kinds == [("group_gone", "svip"), ("group_returned", "svip")]


def test_the_models_of_a_group_are_on_offer_until_its_loss_is_confirmed(watched: Groups) -> None:
    def offering(command: str, *options: str) -> bool:
        return "model-007" in watched.command(command, *options).stdout

    gone(watched, runs=1)
    assert offering("models")
    assert offering("matrix", "--all")
    assert "3 scopes" in watched.command("same").stdout
    show = watched.command("show", "model-007").stdout
    assert "(group svip may be gone since 2026-05-01 08:30: this is its last list)" in show
    assert "local/ada " not in show
    watched.run(times=5)
    assert not offering("models")
    assert not offering("matrix", "--all")
    assert "2 scopes" in watched.command("same").stdout
    show = watched.command("show", "model-007").stdout
    assert re.search("local/ada.svip +not offered since 2026-05-01 08:30: group svip is gone", show)
    watched.gateway.group("svip", ratio=0.5)
    watched.run()
    show = watched.command("show", "model-007").stdout
    assert re.search("local/ada.svip +offered since 2026-05-01 11:30", show)
    assert offering("models", "--at", "2026-05-01T09:00")
    assert not offering("models", "--at", "2026-05-01T11:15")


def test_a_held_list_of_groups_names_the_watched_models_of_those_it_lacks(watched: Groups) -> None:
    names = [f"g{number}" for number in range(12)]
    for name in names:
        watched.gateway.group(name)
        watched.gateway.offers("vega", to=name)
    watched.gateway.offers("model-007", to="g3")
    config = watched.job.config.read_text()
    watched.job.configure(config.replace('"lyra", "model-007"', '"*-007", "group:*"'))
    watched.run()
    for name in names:
        watched.gateway.group(name, usable=False)
    done = watched.run()
    assert done.code == 5
    assert "12 of 15 groups are gone at once" in done.stdout
    assert "Watched models missing from it: model-007" in mails(watched)[-1]
    text = watched.command("watch").stdout
    assert "missing with group g3 from the answer held since 2026-05-01 08:30: local/ada.g3" in text
    status = watched.command("status").stdout
    assert "local/ada: groups missing from the held answer: g0, g1, g10, g11, g2, g3 and 6 more" in status
    assert "not asked since" not in status
    assert "3 of 4 scopes are healthy" in status


def test_a_list_without_groups_is_a_failure(watched: Groups) -> None:
    watched.run()
    watched.gateway.fails("empty", at="/api/user/self/groups")
    assert watched.run(times=8).code != 0
    assert watched.events() == []
    assert "unknown, the scope is failing" in watched.command("watch", "lyra").stdout
