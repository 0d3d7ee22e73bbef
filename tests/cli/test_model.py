"""Show: what each scope says of one model, since when, and what the model's own address says now."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.cli.app import main
from pipeline.config import load
from pipeline.core.types import Gateway as Place
from pipeline.core.types import Key, Limits, Scope, Secret
from pipeline.errors import Refused, Unreachable, Unreadable
from pipeline.gateways.client import GatewayClient
from pipeline.gateways.dialects import all_dialects
from pipeline.gateways.probe import record_paths
from pipeline.simulator import Gateway
from pipeline.store import Store
from pipeline.sync.run import sync

VIP = "sk-vip-12345678"
CAVEAT = "in the One-API family a model's own address is no proof that it is offered: the list is"


def fetcher(deadline=None):
    """A fetcher that knows the one key there is."""
    return GatewayClient(lambda _reference: Secret(VIP), user_agent="test", deadline=deadline)


@pytest.fixture
def gateway():
    """Two groups with a list in common, and more for one of them."""
    with Gateway() as gateway:
        gateway.offers("alpha", "org/beta:free", to=("default", "vip"), owned_by="acme")
        gateway.offers("omega", to="vip")
        gateway.key(VIP, group="vip")
        yield gateway


class Job:
    """A home that asks the gateway as nobody and as a key; run after run, a day apart."""

    def __init__(self, home, url, capsys, monkeypatch):
        self.home = home
        self.url = url
        self.days = 0
        self.configure()
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def configure(self, *lines):
        """Write the config; the lines are of the gateway's table, or of a table of their own."""
        scopes = ["scopes.public = {}", 'scopes.vip = { key = "env:VIP", group = "vip" }']
        text = ["[gateways.local]", f'url = "{self.url}"', "attempts = 1", *scopes, *lines]
        (self.home / "modelwatch.toml").write_text("\n".join(text), "utf-8")
        self.config = load(self.home / "modelwatch.toml")

    def runs(self, times=1):
        """Record what the gateway says."""
        for _ in range(times):
            self.days += 1
            with Store.open(self.config.database) as store:
                sync(self.config.scopes, store, fetcher, self.now)
                store.checkpoint()

    def now(self):
        """The time of the run, a day after the one before."""
        return (datetime(2026, 4, 30, 6, tzinfo=UTC) + timedelta(days=self.days)).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        )

    def show(self, *arguments):
        """Run the command; gives exit code, output and errors."""
        words = ["modelwatch", "show", *arguments, "--home", str(self.home)]
        self._monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, *self._capsys.readouterr()

    def says(self, *arguments):
        """The lines that the command prints."""
        code, said, complained = self.show(*arguments)
        assert (code, complained) == (0, "")
        return said.splitlines()

    def value(self, *arguments):
        """What the command prints as JSON, of the first gateway."""
        _, said, _ = self.show(*arguments, "--json")
        return json.loads(said)["gateways"][0]

    def standings(self, model):
        """What each scope says, in short."""
        scopes = self.value(model)["scopes"]
        return {
            scope["scope"][6:]: (scope["says"], (scope["since"] or "")[8:10], scope["from_the_beginning"])
            for scope in scopes
        }


@pytest.fixture
def job(tmp_path, gateway, capsys, monkeypatch):
    """A home at the gateway."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("VIP", VIP)
    return Job(tmp_path, gateway.url, capsys, monkeypatch)


def test_a_model_that_was_always_there(gateway, job):
    """Scopes that say the same are told together, then what is known of it."""
    job.runs()
    assert job.says("alpha") == [
        "alpha at local",
        "  local/public local/vip  offered since the beginning, 2026-05-01 06:00",
        "",
        "  owner  acme",
    ]


def test_every_fact_that_is_known_has_its_line_and_unit(gateway, job):
    """Lengths in tokens, prices in dollars without an exponent, sets as words; nothing for the unknown."""
    gateway.offers(
        "alpha",
        created_at="2026-03-01",
        type="chat",
        context_length=128_000,
        max_output=8192,
        cost={"in": "0.0000025", "out": 0.00001, "call": 4e-7},
        input_modalities=["text", "image"],
        output_modalities="text",
        features={"tools": True, "vision": False},
        supported_endpoint_types=["openai"],
        lifecycle_status="preview",
        deprecation_date="2027-01-31",
        aliases=["first"],
    )
    job.configure(
        'prices = { unit = "token", input = "cost.in", output = "cost.out", per_call = "cost.call" }'
    )
    job.runs()
    lines = job.says("alpha", "--scope", "*/public")
    assert [line.strip().split("  ", 1) for line in lines[3:]] == [
        ["owner", "     custom"],
        ["created", "   2026-03-01 00:00"],
        ["type", "      chat"],
        ["context", "   128,000 tokens"],
        ["max output", "8,192 tokens"],
        ["input", "     $2.5 per 1M tokens"],
        ["output", "    $10 per 1M tokens"],
        ["a call", "    $0.0000004"],
        ["takes", "     image, text"],
        ["gives", "     text"],
        ["features", "  tools"],
        ["endpoints", " openai"],
        ["lifecycle", " preview"],
        ["deprecated", "2027-01-31"],
        ["aliases", "   first"],
    ]


def test_records_that_differ_are_told_apart(gateway, job):
    """Each with its scopes and facts, and then in what they differ."""
    gateway.offers("alpha", to="vip", owned_by="acme", context_length=8)
    job.runs()
    assert job.says("alpha")[2:] == [
        "",
        "  as local/public has it",
        "  owner  acme",
        "",
        "  as local/vip has it",
        "  owner    acme",
        "  context  8 tokens",
        "",
        "  they differ in context_length",
    ]


def test_since_when_follows_from_the_ledger(gateway, job):
    """Added, removed and returned count from the run that saw it, and a removal from the first miss."""
    job.runs()
    gateway.offers("late")
    job.runs()
    assert job.standings("late") == {"public": ("offered", "02", False), "vip": ("never", "", False)}
    gateway.drops("late")
    job.runs()
    assert job.standings("late")["public"] == ("missing", "03", False)
    job.runs()
    assert job.standings("late")["public"] == ("removed", "03", False)
    gateway.offers("late")
    job.runs()
    assert job.standings("late")["public"] == ("offered", "05", False)


def test_a_short_miss_does_not_count(gateway, job):
    """What came back before its removal was believed was there all the time."""
    job.runs()
    gateway.drops("alpha", of="default")
    job.runs()
    gateway.offers("alpha", owned_by="acme")
    job.runs()
    assert job.standings("alpha")["public"] == ("offered", "01", True)


def test_what_is_not_read_any_more_is_not_offered(gateway, job):
    """A model that the config now calls none is gone at once: there is nothing to confirm."""
    job.runs()
    job.configure('no_models = ["alpha"]', 'noise = ["load"]')
    job.runs()
    assert job.standings("alpha")["vip"] == ("removed", "02", False)
    job.configure()
    job.runs()
    assert job.standings("alpha")["vip"] == ("offered", "03", False)


def test_its_history_is_told_event_by_event(gateway, job):
    """Quiet changes too, and nothing of other models."""
    job.runs()
    gateway.offers("alpha", to=("default", "vip"), owned_by="someone else")
    gateway.offers("other")
    job.runs()
    gateway.drops("alpha", of="default")
    job.runs(2)
    lines = job.says("alpha")
    assert lines[lines.index("2026-05-02 06:00  local/public local/vip") :] == [
        "2026-05-02 06:00  local/public local/vip",
        "  ~ alpha  owned_by: acme → someone else",
        "2026-05-04 06:00  local/public",
        "  - alpha  removed, missing since 2026-05-03 06:00",
    ]
    kinds = [event["kind"] for event in job.value("alpha", "--scope", "local/vip")["history"]]
    assert kinds == ["changed"]


def test_a_long_history_is_cut_at_its_beginning(gateway, job):
    """The latest forty are told, and how to get the others."""
    for context in range(1, 43):
        gateway.offers("alpha", to="vip", context_length=context)
        job.runs()
    lines = job.says("alpha", "--scope", "*/vip")
    assert lines[-1] == "(1 earlier: `modelwatch changes --all --model alpha`)"
    assert sum("~ alpha" in line for line in lines) == 40


def test_twins_are_named(gateway, job):
    """An id that differs in upper and lower case alone is another model to the gateway."""
    gateway.offers("Alpha", "ALPHA")
    job.runs()
    gateway.drops("ALPHA")
    job.runs()
    assert [line for line in job.says("alpha") if "case" in line] == [
        "  ALPHA is another model here, no longer offered: only the case differs",
        "  Alpha is another model here: only the case differs",
    ]
    assert job.value("alpha")["twins"] == [
        {"model": "ALPHA", "offered": False},
        {"model": "Alpha", "offered": True},
    ]


def test_a_scope_in_trouble_says_so(gateway, job):
    """What it said last is told as what was known; a scope that never answered says nothing."""
    job.runs()
    gateway.fails("refused", who="nobody")
    job.configure("[gateways.late]", 'url = "http://127.0.0.1:1"', "attempts = 1", "scopes.public = {}")
    job.runs()
    assert job.says("alpha")[1] == (
        "  local/public  offered since the beginning, 2026-05-01 06:00"
        " (failed since 2026-05-02 06:00: this is what was known)"
    )
    _, said, _ = job.show("alpha", "--json")
    (late,) = json.loads(said)["gateways"][0]["scopes"]
    assert (late["scope"], late["says"], late["since"]) == ("late/public", "unheard", None)


def test_other_gateways_are_named_in_one_line(job):
    """Where it was never offered there is nothing to tell."""
    with Gateway() as two:
        two.offers("tern")
        job.configure("[gateways.two]", f'url = "{two.url}"', "scopes.public = {}")
        job.runs()
    assert job.says("alpha")[-1] == "alpha was never offered at two"
    assert job.says("tern")[-1] == "tern was never offered at local"


def test_json_has_the_record_and_the_facts(gateway, job):
    """The scopes of each record, its facts with their columns' names, and its body as it was given."""
    gateway.offers("alpha", to="vip", context_length=8, tags=["b", "a"])
    job.runs()
    (record,) = job.value("alpha", "--scope", "*/vip")["records"]
    assert record["scopes"] == ["local/vip"]
    assert record["facts"] == {"owned_by": "custom", "context_length": 8}
    assert record["body"]["tags"] == ["a", "b"]


def test_an_unknown_model_is_answered_with_the_closest(gateway, job):
    """Upper and lower case do not count for likeness."""
    gateway.offers("Alpha-2", "zeta")
    job.runs()
    code, said, complained = job.show("ALPHA2")
    assert (code, said) == (2, "")
    assert "no scope was ever offered ALPHA2: did you mean Alpha-2 or alpha?" in complained
    assert "did you mean" not in job.show("0123456789")[2]


def test_no_scope_matches(job):
    """Then those that there are are named."""
    job.runs()
    code, _, complained = job.show("alpha", "--scope", "prod*")
    assert code == 2
    assert "no scope matches prod*: there are local/public, local/vip" in complained


def test_there_is_no_database_yet(job):
    """It leaves as every command that reads does."""
    assert job.show("alpha")[0] == 74


def test_nothing_in_a_name_can_steer_the_terminal(gateway, job):
    """Control characters are escaped wherever they come from."""
    hostile = "x\x1b[2J\u202e"
    gateway.offers(hostile, owned_by="\x1b[31mred", type="a\nb", tags=[hostile])
    job.runs()
    for arguments in ((hostile,), (hostile + "y",), (hostile, "--live")):
        _, said, complained = job.show(*arguments)
        assert {letter for letter in said + complained if not letter.isprintable()} == {"\n"}


def live(job, model, *arguments):
    """What each scope's own address says, in short, and the exit code."""
    code, said, _ = job.show(model, "--live", "--json", *arguments)
    scopes = json.loads(said)["gateways"][0]["scopes"]
    return {scope["scope"][6:]: scope["live"] and scope["live"]["verdict"] for scope in scopes}, code


def test_live_the_same(gateway, job):
    """Noise does not count, an id with a slash is found, and the caveat is told."""
    gateway.noisy()
    job.runs()
    assert live(job, "org/beta:free") == ({"public": "same", "vip": "same"}, 0)
    assert job.says("org/beta:free", "--live")[-4:] == [
        "asked now at its own address",
        "  local/public local/vip  the same as in the list",
        "",
        CAVEAT,
    ]


def test_live_differs(gateway, job):
    """The fields are named, as listed and as answered."""
    gateway.offers("alpha", to="vip", context_length=8, note="old")
    job.runs()
    gateway.offers("alpha", to="vip", context_length=16)
    line = "  local/vip  differs from the list: context_length (8 → 16), note (old → none)"
    assert line in job.says("alpha", "--live", "--scope", "*/vip")
    (scope,) = job.value("alpha", "--live", "--scope", "*/vip")["scopes"]
    assert scope["live"] == {
        "verdict": "differs",
        "fields": [
            {"field": "context_length", "listed": 8, "answered": 16},
            {"field": "note", "listed": "old"},
        ],
        "error": None,
    }


def test_live_not_found_and_not_listed(gateway, job):
    """An error in a 200 is a model that is not there; one that is there may be in no list."""
    job.runs()
    gateway.drops("alpha", of="vip")
    gateway.offers("omega")
    assert live(job, "alpha") == ({"public": "same", "vip": "not_found"}, 0)
    assert live(job, "omega") == ({"public": "unlisted", "vip": "same"}, 0)
    lines = job.says("alpha", "--live") + job.says("omega", "--live")
    assert "  local/vip     not found, though it is in the list" in lines
    assert "  local/public  there, though it is not in the list" in lines


def test_live_errors_are_told_and_counted(gateway, job):
    """Without the key that the gateway may repeat; some failed is 3, all is 4."""
    job.runs()
    gateway.fails("status", code=418, who="nobody")
    assert live(job, "alpha") == ({"public": "error", "vip": "same"}, 3)
    gateway.fails("html")
    verdicts, code = live(job, "alpha")
    assert (set(verdicts.values()), code) == ({"error"}, 4)
    gateway.heals()
    gateway.offers("alpha", to="vip", note=f"asked as {VIP}")
    _, said, _ = job.show("alpha", "--live")
    assert "note (none → asked as ***)" in said
    assert VIP not in said


def test_live_tries_the_plain_form_after_the_encoded_one(gateway, job):
    """Some servers do not take an encoded slash."""
    job.runs()
    gateway.fails("status", code=404, at="/v1/models/org%2Fbeta%3Afree")
    before = len(gateway.asked)
    assert live(job, "org/beta:free", "--scope", "*/public") == ({"public": "same"}, 0)
    assert [asked.place for asked in gateway.asked[before:]] == [
        "/v1/models/org%2Fbeta%3Afree",
        "/v1/models/org/beta%3Afree",
    ]


def test_live_asks_no_scope_that_the_config_does_not_have(gateway, job):
    """Nor one that never had the model at its gateway."""
    job.runs()
    text = (job.home / "modelwatch.toml").read_text("utf-8")
    (job.home / "modelwatch.toml").write_text(text.replace("scopes.vip", "scopes.other"), "utf-8")
    assert live(job, "alpha") == ({"public": "same", "vip": None}, 0)
    assert any("not asked: the config has no such scope" in line for line in job.says("alpha", "--live"))


def test_addresses_of_models_that_are_named_as_resources():
    """Where an id begins with the collection's name, the address does not say it twice."""
    gemini = all_dialects()["gemini"]
    assert list(record_paths(gemini, "models/tern-1")) == ["/tern-1"]
    assert list(record_paths(all_dialects()["openai"], "models/tern-1")) == ["/models%2Ftern-1", "/models/tern-1"]


def asked(gateway, path, *, url=None, deadline=None):
    """One question through the fetcher."""
    scope = Scope("local/vip", Place("local", url or gateway.url, limits=Limits(attempts=1)), Key("x"))

    async def once():
        async with fetcher(deadline) as client:
            return await client.ask(scope, replace(all_dialects()["openai"], headers=(("X-A", "b"),)), path)

    return asyncio.run(once())


@pytest.mark.parametrize("base", ["", "/v1", "/v1/models"])
def test_a_question_goes_below_the_lists_address(gateway, monkeypatch, base):
    """However the config writes it; signed as the scope's every question is."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    reply = asked(gateway, "/omega", url=gateway.url + base)
    assert json.loads(reply.body)["id"] == "omega"
    (question,) = gateway.asked
    assert question.place == "/v1/models/omega"
    assert question.headers["Authorization"] == f"Bearer {VIP}"
    assert question.headers["X-A"] == "b"


def test_an_answer_to_a_question_is_scrubbed(gateway, monkeypatch):
    """A secret that the gateway repeats does not come out, in a body or in an error."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    gateway.offers("alpha", to="vip", note=f"asked as {VIP}")
    assert VIP not in asked(gateway, "/alpha").body.decode()
    gateway.fails("refused")
    with pytest.raises(Refused) as refusal:
        asked(gateway, f"/{VIP}")
    assert VIP not in refusal.value.message
    gateway.fails("status", code=404)
    with pytest.raises(Unreadable) as missing:
        asked(gateway, "/alpha")
    assert missing.value.status == 404


def test_a_question_is_not_waited_for_beyond_the_deadline(gateway, monkeypatch):
    """It is the same that a run has."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    gateway.fails("latency", seconds=60)
    with pytest.raises(Unreachable, match=r"0\.05 s"):
        asked(gateway, "/alpha", deadline=0.05)
