"""The command `show`: the state of one model in each scope, its facts, its history, and live lookups."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import pytest
from support import e2e
from support.e2e import Reply, Scripted, listed

from pipeline.simulator import Gateway

VIP = "sk-vip-12345678"
CAVEAT = "gateways of the One-API family may answer here for models that they do not offer: rely on the list"


@pytest.fixture
def gateway():
    """A gateway with two groups; one of them is offered one model more."""
    with Gateway() as gateway:
        gateway.offers("alpha", "org/beta:free", to=("default", "vip"), owned_by="acme")
        gateway.offers("omega", to="vip")
        gateway.key(VIP, group="vip")
        yield gateway


class Job:
    """A home that asks the gateway without a key and with one, run after run, a day apart."""

    def __init__(self, home, url):
        self._job = e2e.Job(home, {"VIP": VIP})
        self.home = home
        self.url = url
        self.days = 0
        self.configure()

    def configure(self, *lines):
        """Write the config; the lines are of the gateway's table, or of a table of their own."""
        scopes = ["scopes.public = {}", 'scopes.vip = { key = "env:VIP", group = "vip" }']
        text = ["[gateways.local]", f'url = "{self.url}"', "attempts = 1", *scopes, *lines]
        self._job.configure("\n".join(text))

    def runs(self, times=1):
        """Run the job, each time a day after the last; the first is on 1 May at 06:00."""
        for _ in range(times):
            at = datetime(2026, 5, 1, 6, tzinfo=UTC) + timedelta(days=self.days)
            self.days += 1
            self._job.quick("run", at=at.strftime("%Y-%m-%dT%H:%M:%SZ"))

    def show(self, *arguments):
        """Run the command; return exit status, output and errors."""
        done = self._job.quick("show", *arguments)
        return done.code, done.stdout, done.stderr

    def lines(self, *arguments):
        """Return the lines that the command prints."""
        return e2e.printed(self._job, "show", *arguments)

    def value(self, *arguments):
        """Return the part of the JSON that belongs to the first gateway."""
        _, output, _ = self.show(*arguments, "--json")
        return json.loads(output)["gateways"][0]

    def availability(self, model):
        """Return the state of a model in each scope, the day, and whether it was in the first answer."""
        return {
            scope["scope"][6:]: (
                scope["availability"],
                (scope["since"] or "")[8:10],
                scope["from_the_beginning"],
            )
            for scope in self.value(model)["scopes"]
        }


@pytest.fixture
def job(tmp_path, gateway):
    """A home at the gateway."""
    return Job(tmp_path, gateway.url)


def test_scopes_with_the_same_state_share_a_line_before_the_facts(gateway, job):
    job.runs()
    assert job.lines("alpha") == [
        "alpha at local",
        "  local/public local/vip  offered since the beginning, 2026-05-01 06:00",
        "",
        "  owner  acme",
    ]


def test_every_known_fact_has_its_line_and_unit(gateway, job):
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
    lines = job.lines("alpha", "--scope", "*/public")
    assert [line.strip().split("  ", 1) for line in lines[3:]] == [
        ["owner", "     custom"],
        ["created", "   2026-03-01 00:00"],
        ["type", "      chat"],
        ["context", "   128,000 tokens"],
        ["max output", "8,192 tokens"],
        ["input", "     $2.50 per 1M tokens"],
        ["output", "    $10.00 per 1M tokens"],
        ["price", "     $0.0000004 per call"],
        ["accepts", "   image, text"],
        ["produces", "  text"],
        ["features", "  tools"],
        ["endpoints", " openai"],
        ["lifecycle", " preview"],
        ["shutdown", "  2027-01-31"],
        ["aliases", "   first"],
    ]


def test_different_records_are_shown_with_their_scopes_and_the_fields_that_differ(gateway, job):
    gateway.offers("alpha", to="vip", owned_by="acme", context_length=8)
    job.runs()
    assert job.lines("alpha")[2:] == [
        "",
        "  in local/public",
        "  owner  acme",
        "",
        "  in local/vip",
        "  owner    acme",
        "  context  8 tokens",
        "",
        "  the records differ in context_length",
    ]


def test_since_is_the_run_of_an_addition_and_the_first_miss_of_a_removal(gateway, job):
    job.runs()
    gateway.offers("late")
    job.runs()
    assert job.availability("late") == {"public": ("offered", "02", False), "vip": ("never", "", False)}
    gateway.drops("late")
    job.runs()
    assert job.availability("late")["public"] == ("missing", "03", False)
    job.runs()
    assert job.availability("late")["public"] == ("removed", "03", False)
    gateway.offers("late")
    job.runs()
    assert job.availability("late")["public"] == ("offered", "05", False)


def test_a_pending_removal_that_is_not_confirmed_does_not_count(gateway, job):
    job.runs()
    gateway.drops("alpha", of="default")
    job.runs()
    gateway.offers("alpha", owned_by="acme")
    job.runs()
    assert job.availability("alpha")["public"] == ("offered", "01", True)


def test_a_model_left_out_by_new_rules_is_removed_without_confirmation(gateway, job):
    job.runs()
    job.configure('no_models = ["alpha"]', 'noise = ["load"]')
    job.runs()
    assert job.availability("alpha")["vip"] == ("removed", "02", False)
    # Under the rules of before, the gateway has offered it all the time.
    job.configure()
    job.runs()
    assert job.availability("alpha")["vip"] == ("offered", "01", True)


def test_the_history_has_each_event_of_this_model_quiet_ones_too(gateway, job):
    job.runs()
    gateway.offers("alpha", to=("default", "vip"), owned_by="someone else")
    gateway.offers("other")
    job.runs()
    gateway.drops("alpha", of="default")
    job.runs(2)
    lines = job.lines("alpha")
    assert lines[lines.index("2026-05-02 06:00  local/public local/vip") :] == [
        "2026-05-02 06:00  local/public local/vip",
        "  ~ alpha  owned_by acme → someone else",
        "2026-05-04 06:00  local/public",
        "  - alpha  removed, missing since 2026-05-03 06:00",
    ]
    kinds = [event["kind"] for event in job.value("alpha", "--scope", "local/vip")["history"]]
    assert kinds == ["changed"]


def test_a_long_history_shows_the_latest_forty_events(gateway, job):
    for context in range(1, 43):
        gateway.offers("alpha", to="vip", context_length=context)
        job.runs()
    lines = job.lines("alpha", "--scope", "*/vip")
    assert lines[-1] == "(1 earlier: `modelwatch changes --all --model alpha`)"
    assert sum("~ alpha" in line for line in lines) == 40


def test_ids_that_differ_only_in_case_are_named(gateway, job):
    gateway.offers("Alpha", "ALPHA")
    job.runs()
    gateway.drops("ALPHA")
    job.runs()
    assert [line for line in job.lines("alpha") if "case" in line] == [
        "  ALPHA is another model here, no longer offered: only the case differs",
        "  Alpha is another model here: only the case differs",
    ]
    assert job.value("alpha")["case_variants"] == [
        {"model": "ALPHA", "offered": False},
        {"model": "Alpha", "offered": True},
    ]


def test_a_failing_scope_shows_its_last_known_state(gateway, job):
    job.runs()
    gateway.fails("refused", who="anonymous")
    job.configure("[gateways.late]", 'url = "http://127.0.0.1:1"', "attempts = 1", "scopes.public = {}")
    job.runs()
    assert job.lines("alpha")[1] == (
        "  local/public  offered since the beginning, 2026-05-01 06:00"
        " (failing since 2026-05-02 06:00: this is the last known state)"
    )
    _, output, _ = job.show("alpha", "--json")
    (late,) = json.loads(output)["gateways"][0]["scopes"]
    assert (late["scope"], late["availability"], late["since"]) == ("late/public", "unknown", None)


def test_gateways_that_never_offered_the_model_share_one_line(job):
    with Gateway() as two:
        two.offers("tern")
        job.configure("[gateways.two]", f'url = "{two.url}"', "scopes.public = {}")
        job.runs()
    assert job.lines("alpha")[-1] == "'alpha' was never offered at two"
    assert job.lines("tern")[-1] == "'tern' was never offered at local"


def test_json_has_each_record_with_its_scopes_facts_and_body(gateway, job):
    gateway.offers("alpha", to="vip", context_length=8, tags=["b", "a"])
    job.runs()
    (record,) = job.value("alpha", "--scope", "*/vip")["records"]
    assert record["scopes"] == ["local/vip"]
    assert record["facts"] == {"owned_by": "custom", "context_length": 8}
    assert record["body"]["tags"] == ["a", "b"]


def test_an_unknown_model_is_answered_with_similar_ids(gateway, job):
    """Upper and lower case do not count."""
    gateway.offers("Alpha-2", "zeta")
    job.runs()
    code, output, errors = job.show("ALPHA2")
    assert (code, output) == (2, "")
    assert "no scope has ever been offered 'ALPHA2': did you mean Alpha-2 or alpha?" in errors
    assert "did you mean" not in job.show("0123456789")[2]


def test_a_glob_that_matches_no_scope_is_wrong_usage(job):
    job.runs()
    code, _, errors = job.show("alpha", "--scope", "prod*")
    assert code == 2
    assert "no scope matches 'prod*': there are local/public, local/vip" in errors


def test_show_before_the_first_run_exits_with_74(job):
    assert job.show("alpha")[0] == 74


def test_no_name_can_steer_the_terminal(gateway, job):
    hostile = "x\x1b[2J\u202e"
    gateway.offers(hostile, owned_by="\x1b[31mred", type="a\nb", tags=[hostile])
    job.runs()
    for arguments in ((hostile,), (hostile + "y",), (hostile, "--live")):
        _, output, errors = job.show(*arguments)
        assert {letter for letter in output + errors if not letter.isprintable()} == {"\n"}


def live(job, model, *arguments):
    """Return the verdict of each scope's lookup, and the exit status."""
    code, output, _ = job.show(model, "--live", "--json", *arguments)
    scopes = json.loads(output)["gateways"][0]["scopes"]
    return {scope["scope"][6:]: scope["live"] and scope["live"]["verdict"] for scope in scopes}, code


def test_live_ignores_noise_and_finds_an_id_with_a_slash(gateway, job):
    gateway.noisy()
    job.runs()
    assert live(job, "org/beta:free") == ({"public": "same", "vip": "same"}, 0)
    assert job.lines("org/beta:free", "--live")[-2:] == [
        "live, at the model's own address",
        "  local/public local/vip  the same as in the list",
    ]


def test_live_has_a_caveat_for_gateways_of_the_one_api_family_only(gateway, job):
    job.runs()
    assert job.lines("alpha", "--live")[-2:] == ["", CAVEAT]
    _, output, _ = job.show("alpha", "--live", "--json")
    assert json.loads(output)["caveat"] == CAVEAT
    job.configure("[gateways.other]", f'url = "{gateway.url}"', 'dialect = "openai"', "scopes.public = {}")
    job.runs()
    _, output, _ = job.show("alpha", "--live", "--json", "--scope", "other/*")
    assert "caveat" not in json.loads(output)


def test_live_asks_for_a_model_that_no_list_has(gateway, job):
    job.runs()
    gateway.offers("fresh")
    assert live(job, "fresh") == ({"public": "unlisted", "vip": "not_found"}, 0)
    lines = job.lines("fresh", "--live")
    assert lines[0] == "'fresh' was never offered at local"
    assert "  local/public  found, but not in the list" in lines
    assert "  local/vip     not found, and not in the list" in lines
    assert job.show("fresh")[0] == 2


@pytest.mark.parametrize("model", ["..", ".", "../../api/status", "a/../b"])
def test_live_sends_the_dots_of_an_id_as_they_are(gateway, job, model):
    job.runs()
    before = len(gateway.requests)
    job.show(model, "--live", "--scope", "*/public")
    places = {asked.place for asked in gateway.requests[before:]}
    assert places
    for place in places:
        assert place.startswith("/v1/models/")
        assert unquote(place.removeprefix("/v1/models/")) == model
        assert not {".", ".."} & set(place.split("/"))


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (Reply(b'{"error": {"message": "Invalid URL (GET /v1/models/alpha)"}}', status=404), "no_address"),
        (Reply(b"<!doctype html><title>alpha not found</title>", status=404), "no_address"),
        (Reply(b'{"detail": "Not Found"}', status=404), "no_address"),
        (Reply(b"404 page not found", status=404), "no_address"),
        (Reply(b"Cannot GET /v1/models/alpha", status=404), "no_address"),
        (Reply(b"", status=405), "no_address"),
        (Reply(b"<!doctype html><title>Welcome</title>"), "no_address"),
        (Reply(listed("alpha", "beta")), "no_address"),
        (Reply(b'{"error": {"message": "model: alpha"}}', status=404), "not_found"),
        (Reply(b'{"detail": "The model `x` does not exist"}', status=404), "not_found"),
        (Reply(b'{"error": {"message": "The model alpha does not exist"}}'), "not_found"),
        (Reply(listed("alpha")), "same"),
        (Reply(listed("beta")), "no_address"),
    ],
)
def test_live_tells_an_unknown_model_from_an_address_that_does_not_exist(tmp_path, answer, verdict):
    def reply(asked):
        return Reply(listed("alpha", "beta")) if asked.path == "/v1/models" else answer

    with Scripted(reply) as server:
        job = Job(tmp_path, server.url)
        job.runs()
        assert live(job, "alpha", "--scope", "*/public") == ({"public": verdict}, 0)
        lines = job.lines("alpha", "--live", "--scope", "*/public")
    assert any("not found" in line for line in lines) == (verdict == "not_found")


def test_live_asks_no_gateway_whose_list_has_no_addresses_below_it(gateway, job):
    prices = [
        "[gateways.prices]",
        f'url = "{gateway.url}"',
        'dialect = "new-api-pricing"',
        "scopes.public = {}",
    ]
    job.configure(*prices)
    job.runs()
    before = len(gateway.requests)
    job.lines("alpha", "--live", "--scope", "prices/*")
    assert len(gateway.requests) == before


def test_live_shows_fields_as_listed_and_as_answered(gateway, job):
    gateway.offers("alpha", to="vip", context_length=8, note="old")
    job.runs()
    gateway.offers("alpha", to="vip", context_length=16)
    line = "  local/vip  differs from the list: context_length (8 → 16), note (old → none)"
    assert line in job.lines("alpha", "--live", "--scope", "*/vip")
    (scope,) = job.value("alpha", "--live", "--scope", "*/vip")["scopes"]
    assert scope["live"] == {
        "verdict": "differs",
        "fields": [
            {"field": "context_length", "listed": 8, "answered": 16},
            {"field": "note", "listed": "old"},
        ],
        "error": None,
    }


def test_live_finds_models_outside_the_list_and_misses_models_in_it(gateway, job):
    """The gateway reports a missing model as an error with status 200."""
    job.runs()
    gateway.drops("alpha", of="vip")
    gateway.offers("omega")
    assert live(job, "alpha") == ({"public": "same", "vip": "not_found"}, 0)
    assert live(job, "omega") == ({"public": "unlisted", "vip": "same"}, 0)
    lines = job.lines("alpha", "--live") + job.lines("omega", "--live")
    assert "  local/vip     not found, but in the list" in lines
    assert "  local/public  found, but not in the list" in lines


def test_live_names_the_id_of_a_record_that_an_alias_stands_for(tmp_path):
    """As Anthropic answers for aliases: https://docs.anthropic.com/en/api/models"""
    record = Reply(b'{"id": "alpha-2026", "object": "model"}')
    with Scripted(lambda asked: Reply(listed("beta")) if asked.path == "/v1/models" else record) as server:
        job = Job(tmp_path, server.url)
        job.runs()
        lines = job.lines("alpha-latest", "--live", "--scope", "*/public")
        assert "  local/public  found as alpha-2026, but not in the list" in lines


def test_live_failures_set_the_exit_status_and_show_no_key(gateway, job):
    """3 for some, 4 for all."""
    job.runs()
    gateway.fails("status", code=418, who="anonymous")
    assert live(job, "alpha") == ({"public": "error", "vip": "same"}, 3)
    gateway.fails("garbage")
    verdicts, code = live(job, "alpha")
    assert (set(verdicts.values()), code) == ({"error"}, 4)
    gateway.heals()
    gateway.offers("alpha", to="vip", note=f"asked as {VIP}")
    _, output, _ = job.show("alpha", "--live")
    assert "note (none → asked as ***)" in output
    assert VIP not in output


def test_live_tries_a_plain_slash_after_an_encoded_one(gateway, job):
    job.runs()
    gateway.fails("status", code=404, at="/v1/models/org%2Fbeta%3Afree")
    before = len(gateway.requests)
    assert live(job, "org/beta:free", "--scope", "*/public") == ({"public": "same"}, 0)
    assert [asked.place for asked in gateway.requests[before:]] == [
        "/v1/models/org%2Fbeta%3Afree",
        "/v1/models/org/beta%3Afree",
    ]


def test_live_asks_only_scopes_of_the_config(gateway, job):
    job.runs()
    text = (job.home / "modelwatch.toml").read_text("utf-8")
    (job.home / "modelwatch.toml").write_text(text.replace("scopes.vip", "scopes.other"), "utf-8")
    assert live(job, "alpha") == ({"public": "same", "vip": None}, 0)
    assert any("not asked: the config has no such scope" in line for line in job.lines("alpha", "--live"))
