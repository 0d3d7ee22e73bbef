"""The commands run, sync, report, accept and check: records, reports, output and exit statuses."""

import json
import os
import pty
import signal
import sqlite3
import subprocess
import threading

import pytest
from support.e2e import Job, Reply, Scripted, ended, listed, one_line, valid

from pipeline.api import now
from pipeline.reports.csv_json import COLUMNS
from pipeline.simulator import Gateway
from pipeline.store import lock

SCOPES = {
    "prod": 'key = "env:PROD", group = "vip"',
    "test": 'key = "env:TEST", group = "default"',
    "public": "",
}


@pytest.fixture
def gateway():
    """A gateway with two groups, and a key in each."""
    with Gateway() as gateway:
        gateway.offers("alpha", "beta", "gamma", "delta", to=("default", "vip"))
        gateway.offers("omega", to="vip")
        gateway.key("sk-prod-12345678", group="vip")
        gateway.key("sk-test-12345678", group="default")
        yield gateway


@pytest.fixture
def job(tmp_path, gateway):
    """A home that asks the gateway with both keys and anonymously."""
    job = Job(tmp_path / "home", {"PROD": "sk-prod-12345678", "TEST": "sk-test-12345678"})
    job.asks(gateway.url, scopes=SCOPES, attempts=1)
    return job


@pytest.fixture
def alone(tmp_path, gateway):
    """A home that asks the gateway anonymously only."""
    job = Job(tmp_path / "home")
    job.asks(gateway.url, attempts=1)
    return job


def hour(number):
    """Return an hour of the day of the runs."""
    return f"2026-05-01T{number:02}:00:00Z"


def changes(job):
    """Return hour, kind, model and scopes of each change."""
    return [
        (change["at"][11:13], change["kind"], change["model"], [name[6:] for name in change["scopes"]])
        for change in map(valid_change, job.quick("changes", "--json").json())
    ]


def valid_change(change):
    return valid(change, "change")


def state(job):
    """Return the coverage of each scope."""
    coverage = job.quick("scopes", "--json").json()
    return {row["scope"][6:]: row for row in coverage if valid(row, "scope_state")}


def snapshots(job):
    """Return the number of runs in the database."""
    connection = sqlite3.connect(job.database)
    try:
        return connection.execute("select count(*) from snapshots").fetchone()[0]
    finally:
        connection.close()


def test_the_first_run_reports_the_coverage_and_no_change(job):
    assert job.quick("run", at=hour(6)).code == 0
    assert sorted(job.written()) == ["20260501T060000Z.csv", "20260501T060000Z.json"]
    assert job.latest_rows() == []
    report = job.latest()
    assert report["window"] == {"since": None, "until": hour(6)}
    assert report["changes"] == []
    assert report["coverage"] == []
    assert (report["scopes"]["asked"], report["scopes"]["ok"]) == (3, 3)
    assert [(row["models"], row["scopes"]) for row in report["first_answers"]] == [
        (5, ["local/prod"]),
        (4, ["local/public", "local/test"]),
    ]


def test_each_scope_has_its_count_group_and_key_and_equal_lists_are_stored_once(job):
    job.quick("run")
    assert {name: (row["models"], row["group"], row["key"]) for name, row in state(job).items()} == {
        "prod": (5, "vip", "env:PROD"),
        "test": (4, "default", "env:TEST"),
        "public": (4, None, None),
    }
    connection = sqlite3.connect(job.database)
    assert connection.execute("select count(*) from listings").fetchone() == (2,)
    connection.close()


def test_a_change_is_exactly_these_rows(gateway, job):
    """One for each field, one for each model."""
    gateway.offers("alpha", to=("default", "vip"), pricing={"input": 1, "output": 4})
    gateway.offers("beta", to=("default", "vip"), context_length=8000, pricing={"input": 0.5})
    job.quick("run", at=hour(6))
    gateway.offers("beta", to=("default", "vip"), context_length=16000, pricing={"input": 0.25, "output": 2})
    gateway.offers("new/model:free", to="vip", owned_by="someone")
    assert job.quick("run", at=hour(7)).code == 0
    everyone = "local/prod local/public local/test,default vip,,,,notable"
    beta = f"{hour(7)},changed,local,beta"
    assert ",".join(COLUMNS).startswith("at,kind,gateway,model,field,before,after,class,scopes,groups,since,")
    assert job.written()["20260501T070000Z.csv"].decode().split("\r\n") == [
        ",".join(COLUMNS),
        f"{hour(7)},added,local,new/model:free,,,,,local/prod,vip,,,,notable,,,,,,,,,,1,1",
        f"{beta},context_length,8000,16000,limits,{everyone},,,,,,,,,,3,2",
        f"{beta},pricing.input,0.5,0.25,price,{everyone},0.5,0.25,,,,0.5,0.25,USD,1M tokens,3,2",
        f"{beta},pricing.output,,2,price,{everyone},,2,,,,,2,USD,1M tokens,3,2",
        "",
    ]


def test_a_change_is_exactly_this_json(gateway, job):
    gateway.offers("beta", to=("default", "vip"), context_length=8000)
    job.quick("run", at=hour(6))
    gateway.offers("beta", to=("default", "vip"), context_length="16k")
    job.quick("run", at=hour(7))
    counts = {"asked": 3, "ok": 3, "held": 0, "failed": 0, "new": 0}
    assert job.latest() == {
        "schema": "modelwatch/report/3",
        "window": {"since": hour(6), "until": hour(7)},
        "run": {
            "snapshot": 2,
            "started_at": hour(7),
            "finished_at": hour(7),
            "status": "done",
            "scopes": 3,
            "answered": 3,
            "moved": 3,
            "held": 0,
            "failed": 0,
        },
        "totals": {"added": 0, "removed": 0, "returned": 0, "changed": 1, "shape": 0, "group": 0},
        "changes": [
            {
                "at": hour(7),
                "snapshot": 2,
                "kind": "changed",
                "gateway": "local",
                "model": "beta",
                "scopes": ["local/prod", "local/public", "local/test"],
                "scope_count": 3,
                "groups": ["default", "vip"],
                "group_count": 2,
                "owned_by": "custom",
                "since": None,
                "away_seconds": None,
                "fields": [{"field": "context_length", "class": "limits", "before": 8000, "after": "16k"}],
                "prices": [],
                "case_variant": None,
                "successor": None,
                "quiet": False,
                "severity": "notable",
                "urgent": False,
            }
        ],
        "recoveries": [],
        "first_answers": [],
        "scopes": {**counts, "gateways": [{"gateway": "local", **counts}]},
        "coverage": [],
        "commands": {
            "changes": f"modelwatch changes --since {hour(6)[:-2]}1Z --until {hour(7)[:-2]}1Z --json",
            "scopes": "modelwatch scopes --json",
        },
    }


def test_a_change_of_forty_scopes_is_one_change_with_all_their_names(tmp_path, gateway):
    job = Job(tmp_path / "home")
    scopes = {}
    for number in range(40):
        gateway.key(f"sk-many-{number:08}", group="vip")
        job.env[f"K{number}"] = f"sk-many-{number:08}"
        scopes[f"k{number:02}"] = f'key = "env:K{number}", group = "vip"'
    job.asks(gateway.url, scopes=scopes)
    job.quick("run")
    gateway.offers("new", to="vip")
    job.quick("run")
    ((_, kind, model, names),) = changes(job)
    assert (kind, model, names) == ("added", "new", list(scopes))
    (row,) = job.latest_rows()
    assert row["scopes"].split() == [f"local/{name}" for name in scopes]
    assert row["groups"] == "vip"


@pytest.mark.parametrize("confirm", [1, 2, 3])
def test_a_removal_is_reported_after_enough_answers_without_the_model(tmp_path, gateway, confirm):
    """With `confirm = n` by the n-th, dated from the first."""
    job = Job(tmp_path / "home")
    job.asks(gateway.url, confirm=confirm)
    job.quick("run", at=hour(0))
    gateway.drops("beta", of="default")
    for run in range(1, confirm):
        job.quick("run", at=hour(run))
        assert changes(job) == []
        assert state(job)["public"]["pending_removals"] == 1
    job.quick("run", at=hour(confirm))
    assert changes(job) == [(f"{confirm:02}", "removed", "beta", ["public"])]
    assert state(job)["public"]["pending_removals"] == 0
    (change,) = job.latest()["changes"]
    assert (change["since"], change["away_seconds"]) == (hour(1), None)
    (row,) = job.latest_rows()
    assert (row["kind"], row["since"], row["away_seconds"]) == ("removed", hour(1), "")


def test_a_removal_is_reported_once(gateway, alone):
    alone.quick("run", at=hour(0))
    gateway.drops("beta", of="default")
    for run in range(1, 6):
        alone.quick("run", at=hour(run))
    assert [kind for _, kind, _, _ in changes(alone)] == ["removed"]


def test_a_failed_answer_confirms_no_removal(gateway, alone):
    alone.quick("run", at=hour(0))
    gateway.drops("beta", of="default")
    alone.quick("run", at=hour(1))
    gateway.fails("broken", times=1)
    assert alone.quick("run", at=hour(2)).code == 4
    assert changes(alone) == []
    alone.quick("run", at=hour(3))
    assert changes(alone) == [("03", "removed", "beta", ["public"])]


def test_a_model_that_comes_back_is_returned_with_the_time_it_was_away(gateway, alone):
    """Counted from the run that first missed it."""
    alone.quick("run", at=hour(0))
    gateway.drops("beta", of="default")
    alone.quick("run", at=hour(1))
    alone.quick("run", at=hour(2))
    gateway.offers("beta")
    alone.quick("run", at=hour(5))
    assert changes(alone) == [("02", "removed", "beta", ["public"]), ("05", "returned", "beta", ["public"])]
    (change,) = alone.latest()["changes"]
    assert (change["since"], change["away_seconds"], change["fields"]) == (hour(1), 4 * 3600, [])
    (row,) = alone.latest_rows()
    assert (row["kind"], row["since"], row["away_seconds"]) == ("returned", hour(1), "14400")


def test_a_model_that_returns_with_another_limit_is_one_change_with_the_field(gateway, alone):
    gateway.offers("beta", context_length=8000)
    alone.quick("run", at=hour(0))
    gateway.drops("beta", of="default")
    alone.quick("run", at=hour(1))
    alone.quick("run", at=hour(2))
    gateway.offers("beta", context_length=4000)
    alone.quick("run", at=hour(3))
    (change,) = alone.latest()["changes"]
    assert change["kind"] == "returned"
    assert change["fields"] == [{"field": "context_length", "class": "limits", "before": 8000, "after": 4000}]
    assert [row["kind"] for row in alone.latest_rows()] == ["returned", "changed"]


def test_a_model_in_every_other_answer_is_not_reported(gateway, alone):
    gateway.flaps("beta")
    for number in range(8):
        assert alone.quick("run", "--exit-code", at=hour(number)).code == 0
    assert changes(alone) == []


def test_a_model_back_before_its_removal_is_confirmed_is_no_longer_pending(tmp_path, gateway):
    job = Job(tmp_path / "home")
    job.asks(gateway.url, confirm=3)
    job.quick("run", at=hour(0))
    gateway.drops("beta", of="default")
    job.quick("run", at=hour(1))
    gateway.offers("beta")
    job.quick("run", at=hour(2))
    assert state(job)["public"]["pending_removals"] == 0
    assert changes(job) == []


def test_the_order_of_records_the_clock_and_random_ids_are_no_change(gateway, job):
    job.quick("run")
    gateway.shuffles()
    for _ in range(3):
        assert job.quick("run", "--exit-code").code == 0
    assert changes(job) == []


def test_records_dated_by_each_request_are_no_change(gateway, job):
    gateway.noisy()
    for _ in range(3):
        assert job.quick("run", "--exit-code").code == 0
    assert changes(job) == []


def test_a_failed_scope_keeps_its_listing_and_stops_no_other_scope(gateway, job):
    """The exit status is 3."""
    job.quick("run", at=hour(6))
    gateway.offers("new", to=("default", "vip"))
    gateway.fails("broken", who="sk-prod-12345678")
    done = job.quick("run", at=hour(7))
    assert (done.code, done.stdout) == (3, "")
    assert done.stderr.startswith("modelwatch: local/prod: failing since 2026-05-01 07:00: ")
    assert done.stderr.count("\n") == 1
    assert changes(job) == [("07", "added", "new", ["public", "test"])]
    prod = state(job)["prod"]
    assert (prod["state"], prod["models"], prod["last_answered"]) == ("failed", 5, hour(6))
    assert job.latest()["run"]["status"] == "partial"


def test_a_scope_that_recovers_reports_the_changes_since_it_failed(gateway, job):
    job.quick("run", at=hour(6))
    gateway.fails("broken", who="sk-prod-12345678")
    gateway.offers("new", to=("default", "vip"))
    job.quick("run", at=hour(7))
    gateway.heals()
    assert job.quick("run", at=hour(8)).code == 0
    assert job.latest()["recoveries"] == [
        {
            "at": hour(8),
            "gateway": "local",
            "state": "failed",
            "accepted": False,
            "since": hour(7),
            "seconds": 3600,
            "error_class": "Unreachable",
            "urgent": False,
            "models": 6,
            "models_before": 5,
            "hold": None,
            "scope_count": 1,
            "scopes": ["local/prod"],
            "variants": 1,
        }
    ]
    assert changes(job) == [
        ("07", "added", "new", ["public", "test"]),
        ("08", "added", "new", ["prod"]),
    ]
    assert state(job)["prod"]["state"] == "ok"


def test_a_rejected_key_is_one_line_with_scope_time_and_reason(gateway, job):
    job.quick("run", at=hour(6))
    gateway.key("sk-prod-12345678", group="vip", status="expired")
    done = job.quick("run", at=hour(7))
    assert done.code == 3
    assert "local/prod: failing since 2026-05-01 07:00" in done.stderr
    assert "401" in done.stderr
    assert "expir" in done.stderr


def test_where_all_scopes_fail_the_exit_status_is_4_and_status_has_the_time_of_the_first_failure(
    gateway, job
):
    """Whatever the classes of the later errors."""
    job.quick("run", at=hour(6))
    gateway.stop()
    assert job.quick("run", at=hour(7)).code == 4
    gateway.start()
    gateway.fails("html")
    assert job.quick("run", at=hour(8)).code == 4
    done = job.quick("status")
    assert done.code == 0
    assert "last run 2026-05-01 08:00 UTC, failed: 0 of 3 scopes answered" in done.stdout
    failing = "failing since 2026-05-01 07:00 (last answered 2026-05-01 06:00)"
    assert f"local/prod local/public local/test: {failing}: the answer" in done.stdout
    assert "0 of 3 scopes are healthy" in done.stdout
    assert changes(job) == []


def test_a_scope_that_never_answered_has_a_failure_and_no_models(gateway, job):
    gateway.fails("refused", who="sk-prod-12345678")
    assert job.quick("run", at=hour(6)).code == 3
    prod = state(job)["prod"]
    assert (prod["state"], prod["models"], prod["last_answered"]) == ("failed", None, None)
    assert "local/prod: failing since 2026-05-01 06:00 (never answered): " in job.quick("status").stdout
    gateway.heals()
    assert job.quick("run", at=hour(7)).code == 0
    assert state(job)["prod"]["models"] == 5
    assert changes(job) == []


def test_an_empty_list_is_held_and_accepted_after_five_answers_and_six_hours(gateway, alone):
    alone.quick("run", at=hour(6))
    gateway.fails("empty")
    done = alone.quick("run", at=hour(7))
    assert (done.code, done.stdout) == (5, "")
    assert "local/public: held since 2026-05-01 07:00: the list is empty; it had 4 models" in done.stderr
    held = state(alone)["public"]
    assert (held["state"], held["models"], held["held_models"]) == ("held", 4, 0)
    assert changes(alone) == []
    for number in (8, 9, 10, 12):
        assert alone.quick("run", at=hour(number)).code == 5
    assert alone.quick("run", at=hour(13)).code == 0
    assert changes(alone) == [
        ("13", "removed", model, ["public"]) for model in ("alpha", "beta", "delta", "gamma")
    ]
    assert {change["since"] for change in alone.latest()["changes"]} == {hour(7)}
    assert [(end["state"], end["accepted"]) for end in alone.latest()["recoveries"]] == [("held", True)]


def test_accept_reports_the_removals_at_once_and_the_next_run_asks_in_full(gateway, alone):
    gateway.tags()
    alone.quick("run", at=hour(6))
    gateway.drops("alpha", "beta", "gamma", "delta", of="default")
    assert alone.quick("run", at=hour(7)).code == 5
    done = alone.quick("accept", "local/*", at=hour(8))
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "accepted: local/public",
        "2026-05-01 08:00  local/public",
        *(
            f"  - {name}  removed, missing since 2026-05-01 07:00"
            for name in ("alpha", "beta", "delta", "gamma")
        ),
    ]
    assert state(alone)["public"]["state"] == "ok"
    assert {kind for _, kind, _, _ in changes(alone)} == {"removed"}
    assert alone.quick("report").code == 0
    assert alone.latest()["totals"]["removed"] == 4
    assert alone.quick("run", "--exit-code", at=hour(9)).code == 0
    assert len(changes(alone)) == 4


def test_accept_where_nothing_is_held_is_wrong_usage(alone):
    alone.quick("run")
    done = alone.quick("accept", "local/public")
    assert (done.code, done.stdout) == (2, "")
    assert "nothing is held for local/public: see `modelwatch status`" in done.stderr


def test_accept_without_a_scope_names_those_that_are_held(gateway, alone):
    alone.quick("run", at=hour(6))
    assert alone.quick("accept").stderr == "Error: nothing is held: see `modelwatch status`\n"
    gateway.tags()
    gateway.drops("alpha", "beta", "gamma", "delta", of="default")
    assert alone.quick("run", at=hour(7)).code == 5
    done = alone.quick("accept")
    assert (done.code, done.stderr) == (2, "Error: name the scopes to accept; held: local/public\n")
    assert state(alone)["public"]["state"] == "held"


def test_accept_takes_nothing_if_one_glob_matches_no_scope(gateway, alone):
    alone.quick("run", at=hour(6))
    gateway.fails("empty")
    alone.quick("run", at=hour(7))
    assert "no scope matches 'local/nope'" in alone.quick("accept", "local/public", "local/nope").stderr
    assert state(alone)["public"]["state"] == "held"


def test_accept_of_an_unknown_scope_is_wrong_usage(alone):
    alone.quick("run")
    done = alone.quick("accept", "local/foo")
    assert (done.code, done.stdout) == (2, "")
    assert "no scope matches 'local/foo': there are local/public" in done.stderr


def test_a_held_answer_is_dropped_when_the_next_answer_disagrees(gateway, alone):
    alone.quick("run", at=hour(6))
    gateway.fails("empty", times=1)
    assert alone.quick("run", at=hour(7)).code == 5
    assert alone.quick("run", at=hour(8)).code == 0
    assert changes(alone) == []
    assert state(alone)["public"]["state"] == "ok"
    assert [(end["state"], end["accepted"]) for end in alone.latest()["recoveries"]] == [("held", False)]


def test_a_loss_above_max_loss_and_floor_is_held_and_accepted_when_the_next_answer_agrees(gateway, alone):
    names = [f"m{number:02}" for number in range(16)]
    gateway.offers(*names)
    alone.quick("run", at=hour(6))
    gateway.drops(*names[:6], of="default")
    done = alone.quick("run", at=hour(7))
    assert done.code == 5
    assert "6 of 20 models are gone at once" in done.stderr
    assert alone.quick("run", at=hour(8)).code == 0
    assert [model for _, _, model, _ in changes(alone)] == names[:6]


def test_a_loss_below_the_floor_is_not_held(gateway, alone):
    alone.quick("run")
    gateway.drops("alpha", "beta", "gamma", of="default")
    assert alone.quick("run").code == 0


def test_the_anonymous_list_is_held_where_a_session_expires(tmp_path, gateway):
    gateway.user("ann", password="a", group="vip")
    _, session = gateway.accounts.sign_in("ann", "a")
    job = Job(tmp_path / "home", {"SESSION": session})
    job.asks(gateway.url, scopes={"ann": 'cookie = "env:SESSION"', "public": ""})
    job.quick("run")
    gateway.signs_out("ann")
    done = job.quick("run")
    assert done.code == 5
    assert "ann now gets exactly the anonymous list. Was its key revoked?" in done.stderr
    assert state(job)["ann"]["models"] == 5


def test_the_exit_status_of_a_failure_and_a_hold_is_3_and_both_are_named(gateway, job):
    job.quick("run")
    gateway.fails("empty", who="anonymous")
    gateway.fails("broken", who="sk-prod-12345678")
    done = job.quick("run")
    assert done.code == 3
    assert "local/public: held" in done.stderr
    assert "local/prod: failing" in done.stderr


def test_with_exit_code_the_status_is_1_for_a_change_and_0_otherwise(gateway, alone):
    assert alone.quick("run", "--exit-code").code == 0
    gateway.offers("new")
    assert alone.quick("run", "--exit-code").code == 1
    assert alone.quick("run", "--exit-code").code == 0
    gateway.offers("newer")
    assert alone.quick("run").code == 0


def test_a_dry_run_before_the_first_run_leaves_only_the_config(alone):
    done = alone.quick("run", "--dry-run")
    assert done.code == 0
    assert "Baseline recorded" in done.stdout
    assert list(alone.home.iterdir()) == [alone.config]


@pytest.mark.parametrize("command", ["run", "sync"])
def test_a_dry_run_prints_the_report_and_changes_no_file(gateway, alone, command):
    alone.quick("run", at=hour(6))
    gateway.offers("new")
    before = files(alone)
    done = alone.quick(command, "--dry-run", "--exit-code", at=hour(7))
    assert (done.code, done.stderr) == (1, "")
    assert done.stdout == "2026-05-01 07:00  local/public\n  + new\n"
    assert files(alone) == before
    assert alone.quick(command, "-v", at=hour(7)).stdout == done.stdout


def files(job):
    """Every file of a home and what is in it; the shared memory of a reader is none."""
    found = (path for path in job.home.rglob("*") if path.is_file() and not path.name.endswith("-shm"))
    return {path: path.read_bytes() for path in found if path.stat().st_size}


def test_a_dry_run_has_the_exit_status_of_a_run(gateway, alone):
    alone.quick("run")
    gateway.fails("empty", times=1)
    assert alone.quick("run", "--dry-run").code == 5
    gateway.fails("refused", times=1)
    done = alone.quick("run", "--dry-run")
    assert done.code == 4
    assert "local/public: failing" in done.stdout
    assert snapshots(alone) == 1


def test_a_dry_run_needs_no_lock(alone):
    alone.quick("run")
    with lock(alone.database, since=now()):
        assert alone.quick("run", "--dry-run").code == 0


def test_a_run_without_problems_prints_nothing_off_a_terminal(gateway, job):
    for _ in range(2):
        done = job.run("run")
        assert (done.code, done.stdout, done.stderr) == (0, "", "")
        gateway.offers("new")
    assert len(changes(job)) == 1


def test_with_quiet_nothing_is_printed(gateway, job):
    gateway.fails("broken", who="anonymous")
    done = job.quick("run", "-q")
    assert (done.code, done.output) == (3, "")


def test_with_verbose_each_scope_is_logged_and_the_report_printed(gateway, job):
    job.quick("run", at=hour(6))
    gateway.offers("new", to="vip")
    done = job.quick("run", "-v", at=hour(7))
    assert sorted(done.stderr.splitlines()) == [
        "modelwatch: local/prod: 6 models",
        "modelwatch: local/public: unchanged",
        "modelwatch: local/test: unchanged",
    ]
    assert done.stdout == "2026-05-01 07:00  local/prod\n  + new\n"


def test_with_verbose_twice_each_request_is_logged_with_its_status(gateway, job):
    done = job.quick("run", "-vv")
    requests = [line for line in done.stderr.splitlines() if "GET" in line]
    assert len(requests) == 3
    assert all(f"{gateway.url}/v1/models" in line and "200" in line for line in requests)


def test_a_json_log_has_an_object_for_each_line(gateway, job):
    gateway.fails("refused", who="anonymous")
    done = job.run("run", "-v", "--log-format", "json")
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert {line["level"] for line in lines} == {"info"}
    found = {line["scope"]: line for line in lines}
    assert found["local/prod"]["models"] == 5
    assert found["local/prod"]["seconds"] > 0
    assert found["local/public"]["error"] == "Refused"
    assert all(line["at"][:2] == "20" and line["message"] for line in lines)


def test_warnings_of_a_json_log_are_json(gateway, alone):
    gateway.fails("broken")
    (line,) = alone.quick("run", "--log-format", "json").stderr.splitlines()
    assert json.loads(line)["level"] == "warning"


def test_a_second_run_exits_at_once_with_75(job):
    """It names the process that holds the lock, and asks no gateway."""
    asked, release = threading.Event(), threading.Event()

    def answer(_):
        asked.set()
        assert release.wait(30)
        return Reply(listed("a"))

    with Scripted(answer) as server:
        job.configure("")
        job.asks(server.url)
        with job.start("run") as first:
            assert asked.wait(30)
            try:
                one_line(job.run("run"), 75, f"pid {first.pid}", "wait for it to end")
                one_line(job.quick("report"), 75, f"pid {first.pid}")
            finally:
                release.set()
            assert ended(first).code == 0
        assert len(server.requests) == 1
    assert snapshots(job) == 1


def test_the_message_of_the_lock_has_process_time_and_database(alone):
    alone.quick("run")
    with lock(alone.database, since=hour(3)):
        one_line(
            alone.quick("run"), 75, f"pid {os.getpid()}, since {hour(3)}", str(alone.database), "wait for it"
        )


@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_killed_run_leaves_nothing_half_written_and_releases_the_lock(job, blow):
    asked, release = threading.Event(), threading.Event()

    def answer(_):
        asked.set()
        assert release.wait(30)
        return Reply(listed("a"))

    with Scripted(answer) as server:
        job.configure("")
        job.asks(server.url)
        with job.start("run") as process:
            assert asked.wait(30)
            process.send_signal(blow)
            done = ended(process)
        release.set()
        assert done.code == (130 if blow == signal.SIGINT else -blow)
        assert "Traceback" not in done.stderr
        assert snapshots(job) == 0
        assert job.quick("run").code == 0
    assert snapshots(job) == 1


def test_a_run_without_news_writes_no_report(alone):
    alone.quick("run", at=hour(6))
    alone.quick("run", at=hour(7))
    assert sorted(alone.written()) == ["20260501T060000Z.csv", "20260501T060000Z.json"]
    assert alone.latest()["window"]["until"] == hour(6)


def test_a_report_is_written_when_a_scope_starts_to_fail_and_when_it_recovers(gateway, alone):
    """Not by the runs in between."""
    alone.quick("run", at=hour(6))
    gateway.fails("broken")
    alone.quick("run", at=hour(7))
    assert alone.latest()["coverage"][0]["state"] == "failed"
    alone.quick("run", at=hour(8))
    gateway.heals()
    alone.quick("run", at=hour(9))
    assert (alone.latest()["coverage"], alone.latest()["scopes"]["ok"]) == ([], 1)
    assert [name[9:11] for name in alone.written() if name.endswith(".csv")] == ["06", "07", "09"]


def test_each_report_begins_where_the_last_one_ended(gateway, alone):
    alone.quick("run", at=hour(1))
    alone.quick("run", at=hour(2))
    gateway.offers("new")
    alone.quick("run", at=hour(3))
    gateway.offers("newer")
    alone.quick("run", at=hour(4))
    windows = [json.loads(text)["window"] for name, text in alone.written().items() if "json" in name]
    assert windows == [
        {"since": None, "until": hour(1)},
        {"since": hour(1), "until": hour(3)},
        {"since": hour(3), "until": hour(4)},
    ]


def test_latest_is_a_copy_of_the_last_report_and_no_other_file_is_left(gateway, alone):
    alone.quick("run", at=hour(6))
    gateway.offers("new")
    alone.quick("run", at=hour(7))
    written = alone.written()
    for kind in ("csv", "json"):
        assert (alone.reports / f"latest.{kind}").read_bytes() == written[f"20260501T070000Z.{kind}"]
    assert len(written) == 4


def test_the_same_history_gives_the_same_bytes(gateway, job):
    job.quick("run", at=hour(6))
    gateway.offers("new", to=("default", "vip"), context_length=1)
    gateway.drops("beta", of="default")
    job.quick("run", at=hour(7))
    written = job.written()
    connection = sqlite3.connect(job.database)
    with connection:
        connection.execute("update deliveries set state = 'waiting'")
    connection.close()
    assert job.quick("report", at=hour(9)).code == 0
    assert job.written() == written


def test_a_report_that_is_written_a_run_later_is_the_same(tmp_path, gateway):
    prompt, late = Job(tmp_path / "prompt"), Job(tmp_path / "late")
    for job in (prompt, late):
        job.asks(gateway.url)
        job.quick("run", at=hour(6))
    gateway.drops("beta", of="default")
    late.reports.rename(tmp_path / "aside")
    late.reports.write_text("in the way")
    prompt.quick("run", at=hour(7))
    assert late.quick("run", at=hour(7)).code == 6
    late.reports.unlink()
    (tmp_path / "aside").rename(late.reports)
    for job in (prompt, late):
        assert job.quick("run", at=hour(8)).code == 0
    assert late.written() == prompt.written()


def test_check_prints_what_destinations_lack_and_sends_nothing(alone):
    lame = 'type = "webhook"\nurl = "http://127.0.0.1:9/hook"\nsecret = "env:NO_SUCH_VARIABLE"\n'
    alone.configure(alone.config.read_text("utf-8") + f"[destinations.ops]\n{lame}")
    done = alone.quick("check")
    assert (done.code, done.stderr) == (6, "")
    last = done.stdout.splitlines()[-1]
    assert last.startswith("destination ops: env:NO_SUCH_VARIABLE is not set")


def test_a_report_that_cannot_be_written_is_written_by_the_next_run(gateway, alone):
    alone.quick("run", at=hour(6))
    gateway.offers("new")
    alone.reports.rename(alone.home / "aside")
    alone.reports.write_text("in the way")
    one_line(
        alone.quick("run", at=hour(7)), 6, str(alone.reports), "cannot be written", "the next run tries again"
    )
    assert changes(alone) == [("07", "added", "new", ["public"])]
    assert "reports waiting: 1; `modelwatch outbox` shows why" in alone.quick("status").stdout
    alone.reports.unlink()
    gateway.offers("newer")
    assert alone.quick("run", at=hour(8)).code == 0
    written = alone.written()
    assert [name for name in written if "csv" in name] == ["20260501T070000Z.csv", "20260501T080000Z.csv"]
    assert b",new," in written["20260501T070000Z.csv"]
    assert b",newer," in written["20260501T080000Z.csv"]
    assert json.loads(alone.quick("status", "--json").stdout)["reports_waiting"] == 0


def test_a_failed_scope_and_an_unwritten_report_are_both_logged_and_the_exit_status_is_3(gateway, job):
    job.reports.write_text("in the way")
    gateway.fails("broken", who="anonymous")
    done = job.quick("run")
    assert done.code == 3
    assert "local/public: failing" in done.stderr


def test_a_waiting_report_is_written_by_a_run_in_which_all_scopes_fail(gateway, alone):
    alone.reports.write_text("in the way")
    assert alone.quick("run", at=hour(6)).code == 6
    alone.reports.unlink()
    gateway.fails("broken")
    assert alone.quick("run", at=hour(7)).code == 4
    assert [name[9:11] for name in alone.written() if "csv" in name] == ["06", "07"]


def test_two_runs_of_one_second_write_different_files(gateway, alone):
    alone.quick("run", at=hour(6))
    gateway.offers("new")
    alone.quick("run", at=hour(6))
    assert sorted(alone.written()) == [
        "20260501T060000Z-2.csv",
        "20260501T060000Z-2.json",
        "20260501T060000Z.csv",
        "20260501T060000Z.json",
    ]
    assert alone.latest()["totals"]["added"] == 1


def test_runs_keep_their_order_where_the_clock_is_set_back(gateway, alone):
    alone.quick("run", at=hour(9))
    gateway.drops("beta", of="default")
    alone.quick("run", at=hour(8))
    alone.quick("run", at=hour(7))
    gateway.offers("beta")
    alone.quick("run", at=hour(6))
    assert changes(alone) == [("07", "removed", "beta", ["public"]), ("06", "returned", "beta", ["public"])]
    assert valid(alone.latest())["window"] == {"since": hour(7), "until": hour(6)}


def test_report_writes_what_sync_has_recorded_since_the_last_report(gateway, alone):
    alone.quick("run", at=hour(6))
    for number, model in ((7, "new"), (8, "newer")):
        gateway.offers(model)
        assert alone.quick("sync", at=hour(number)).code == 0
    assert len(alone.written()) == 2
    done = alone.quick("report", at=hour(9))
    assert done.code == 0
    stem = alone.reports / "20260501T080000Z"
    assert done.stdout == f"{stem}.csv\n{stem}.json\n"
    assert [change["model"] for change in alone.latest()["changes"]] == ["new", "newer"]
    again = alone.quick("report", at=hour(9))
    assert again.code == 0
    assert again.stdout.startswith("nothing new since the last report")


def test_a_report_since_a_time_changes_neither_latest_nor_the_next_report(gateway, alone):
    for number, model in ((6, "one"), (7, "two"), (8, "three")):
        gateway.offers(model)
        alone.quick("run", at=hour(number))
    latest = alone.latest()
    done = alone.quick("report", "--since", "2026-05-01T07:00Z")
    assert done.stdout.splitlines()[1].endswith("20260501T070000Z--20260501T080000Z.json")
    report = valid(json.loads(alone.written()["20260501T070000Z--20260501T080000Z.json"]))
    assert report["window"] == {"since": hour(6), "until": hour(8)}
    assert [change["model"] for change in report["changes"]] == ["two", "three"]
    assert alone.latest() == latest


@pytest.mark.parametrize("since", [(), ("--since", "1d")])
def test_a_report_before_the_first_run_says_what_to_do(alone, since):
    one_line(alone.quick("report", *since), 74, "there is no database yet", "`modelwatch run`")


def test_with_scope_others_are_neither_asked_nor_covered(gateway, job):
    job.quick("run", at=hour(6))
    gateway.offers("new", to=("default", "vip"))
    assert job.quick("run", "--scope", "*/prod", "--scope", "local/pub*", at=hour(7)).code == 0
    assert changes(job) == [("07", "added", "new", ["prod", "public"])]
    assert job.latest()["scopes"]["asked"] == 2
    assert "local/test: not asked since 2026-05-01 06:00" in job.quick("status").stdout


def test_an_unknown_scope_is_wrong_usage_and_the_message_lists_the_scopes(job):
    done = job.quick("run", "--scope", "*/nope")
    assert done.code == 2
    assert "no scope matches '*/nope': there are local/prod, local/test, local/public" in done.stderr


@pytest.mark.parametrize(
    "words",
    [("run", "--nope"), ("nope",), ("run", "extra"), ("changes", "--since", "soon"), ("run", "--scope")],
)
def test_wrong_usage_exits_with_2_and_asks_nothing(job, words):
    done = job.quick(*words)
    assert (done.code, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert list(job.home.iterdir()) == [job.config]


def test_a_scope_that_leaves_the_config_is_retired_and_keeps_its_history(gateway, job):
    job.quick("run", at=hour(6))
    job.configure("")
    job.asks(gateway.url, scopes={"public": ""})
    assert job.quick("run", at=hour(7)).code == 0
    assert valid(history_of(job))["scopes"]["asked"] == 1
    assert {name: of_it["state"] for name, of_it in state(job).items()} == {
        "prod": "retired",
        "test": "retired",
        "public": "ok",
    }
    assert "no longer asked, kept as history" in job.quick("status").stdout


def history_of(job):
    """The report of everything, as JSON."""
    job.quick("report", "--since", "2026-01-01")
    name = next(name for name in job.written() if name.startswith("20260101T000000Z--") and "json" in name)
    return json.loads(job.written()[name])


def test_a_scope_that_is_added_later_reports_no_additions_at_first(gateway, alone):
    alone.quick("run", at=hour(6))
    alone.env["PROD"] = "sk-prod-12345678"
    alone.configure("")
    alone.asks(gateway.url, scopes=SCOPES | {"test": ""})
    assert alone.quick("run", at=hour(7)).code == 0
    assert changes(alone) == []
    assert state(alone)["prod"]["models"] == 5


def test_check_asks_each_scope_once_and_writes_nothing(gateway, job):
    gateway.fails("throttled", who="sk-test-12345678")
    done = job.quick("check", "--json")
    assert done.code == 3
    found = {row["scope"][6:]: row for row in done.json()}
    assert (found["prod"]["answers"], found["prod"]["models"], found["prod"]["error"]) == ("yes", 5, None)
    assert found["test"]["error"]["class"] == "Throttled"
    assert "lower concurrency" in found["test"]["advice"]
    assert list(job.home.iterdir()) == [job.config]
    assert len(gateway.requests) == 3


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        ("refused", "Set a valid key in $PROD."),
        ("reset", "check url in the config, and that this machine"),
        ("html", "a web page, not JSON: check that `url` is the address of the API"),
        ("garbage", "check url, path and dialect in the config"),
    ],
)
def test_check_has_a_cure_for_each_class_of_failure(tmp_path, gateway, fault, advice):
    job = Job(tmp_path / "home", {"PROD": "sk-prod-12345678"})
    job.asks(gateway.url, scopes={"prod": SCOPES["prod"]})
    gateway.fails(fault)
    done = job.quick("check")
    assert done.code == 4
    assert advice in done.stdout
    assert done.stdout.count("check ") <= 1
    assert len(gateway.requests) == 1


def test_on_a_terminal_the_advice_stands_below_the_table_in_full_width(gateway, job):
    gateway.fails("html", who="anonymous")
    master, terminal = pty.openpty()
    with os.fdopen(master, "rb", buffering=0) as screen:
        subprocess.run(job.command("check"), env=job.environment(), stdout=terminal, check=False)
        os.close(terminal)
        table, advice = screen.read(65536).decode().split("local/public: ")
    assert "what to do" not in table
    assert advice == "the answer is a web page, not JSON: check that `url` is the address of the API\r\n"


def test_check_names_a_reference_that_cannot_be_resolved(tmp_path, gateway):
    job = Job(tmp_path / "home")
    job.asks(gateway.url, scopes={"prod": SCOPES["prod"]})
    assert "env:PROD is not set" in job.quick("check").stdout


def test_the_command_works_in_an_empty_environment(gateway, alone):
    """Without PATH, HOME and a locale; characters outside ASCII are printed."""
    alone.quick("run", at=hour(6))
    gateway.offers("größe-模型")
    alone.bare = {}
    done = alone.run("run", "-v")
    assert done.code == 0
    assert "+ größe-模型" in done.stdout


@pytest.mark.parametrize(
    "encoding",
    ["ascii", "latin-1"],
)
def test_characters_that_the_output_cannot_encode_are_escaped(gateway, alone, encoding):
    gateway.offers("beta", context_length=1)
    alone.quick("run")
    gateway.offers("beta", context_length=2)
    alone.quick("run")
    alone.env["PYTHONIOENCODING"] = encoding
    done = alone.run("changes")
    assert (done.code, done.stderr) == (0, "")
    assert "context 1" in done.stdout


def test_the_first_run_says_how_many_models_each_scope_has_and_a_new_scope_likewise(tmp_path):
    job = Job(tmp_path, {"PROD": "sk-prod-12345678"})
    with Gateway() as one:
        one.key("sk-prod-12345678", group="vip")
        one.offers("heron-2", to=("default", "vip"))
        one.offers("quarry/slate", to="vip")
        job.asks(one.url, scopes={"prod": 'key = "env:PROD"', "public": ""})
        first = job.quick("run", "-v", at="2026-05-01T06:00:00Z").stdout.splitlines()
        assert first == [
            "Baseline recorded: local/prod 2 models, local/public 1 model; 2 of 2 scopes answered"
        ]
        second = job.quick("run", "-v", at="2026-05-01T07:00:00Z").stdout.splitlines()
        assert second == ["no changes; 2 of 2 scopes answered"]
        one.drops("quarry/slate")
        one.offers("lumen-3", to="vip")
        job.configure(job.config.read_text("utf-8") + "scopes.a = {}\nscopes.b = {}\n")
        third = job.quick("run", "-v", at="2026-05-01T08:00:00Z").stdout.splitlines()
        assert "  + lumen-3" in third
        assert third[-1] == "Baseline recorded: local/a local/b 1 model each"


def test_the_baseline_of_a_dozen_scopes_is_one_line_and_off_a_terminal_none(tmp_path):
    job = Job(tmp_path)
    with Gateway() as one:
        one.offers("heron-2")
        job.asks(one.url, scopes={f"s{number}": "" for number in range(12)})
        assert job.quick("run", "--dry-run").stdout.splitlines()[-1] == (
            "Baseline recorded: local: 12 scopes 1 model each; 12 of 12 scopes answered"
        )
        assert job.quick("run").output == ""


def test_a_check_prints_advice_that_scopes_share_once(tmp_path):
    job = Job(tmp_path, {"A": "sk-aaaa-12345678"})
    scopes = {"a": 'key = "env:A"', "b": 'key = "env:A"', "c": 'key = "env:A"', "d": 'key = "env:A"', "e": ""}
    for number in (3, 5):
        job.configure("")
        job.asks("http://127.0.0.1:9", scopes=dict(list(scopes.items())[:number]), attempts=1)
        lines = job.quick("check").stdout.splitlines()[2 + number :]
        names = "local/a local/b local/c" if number == 3 else "local: 5 scopes"
        assert [line.partition(": http")[0] for line in lines] == [names]
