"""The job: what a run records, tells, writes and leaves with."""

import json
import os
import signal
import sqlite3
import threading

import pytest
from support.e2e import Job, Reply, Scripted, ended, listed, one_line, valid

from pipeline.cli.options import now
from pipeline.simulator import Gateway
from pipeline.store import lock

SCOPES = {
    "prod": 'key = "env:PROD", group = "vip"',
    "test": 'key = "env:TEST", group = "default"',
    "public": "",
}


@pytest.fixture
def gateway():
    """Two groups with lists of their own, and a key in each."""
    with Gateway() as gateway:
        gateway.offers("alpha", "beta", "gamma", "delta", to=("default", "vip"))
        gateway.offers("omega", to="vip")
        gateway.key("sk-prod-12345678", group="vip")
        gateway.key("sk-test-12345678", group="default")
        yield gateway


@pytest.fixture
def job(tmp_path, gateway):
    """A home that asks the gateway as both keys and as nobody."""
    job = Job(tmp_path / "home", {"PROD": "sk-prod-12345678", "TEST": "sk-test-12345678"})
    job.asks(gateway.url, scopes=SCOPES, attempts=1)
    return job


@pytest.fixture
def alone(tmp_path, gateway):
    """A home that asks the gateway as nobody only."""
    job = Job(tmp_path / "home")
    job.asks(gateway.url, attempts=1)
    return job


def hour(number):
    """A moment of the made-up day on which the runs happen."""
    return f"2026-05-01T{number:02}:00:00Z"


def told(job):
    """What the history tells: when, what and to whom, in short."""
    return [
        (change["at"][11:13], change["kind"], change["model"], [name[6:] for name in change["scopes"]])
        for change in map(valid_change, job.quick("changes", "--json").json())
    ]


def valid_change(change):
    return valid(change, "change")


def state(job):
    """How each scope stands."""
    coverage = job.quick("scopes", "--json").json()
    return {row["scope"][6:]: row for row in coverage if valid(row, "coverage")}


def snapshots(job):
    """How many runs the database holds."""
    connection = sqlite3.connect(job.database)
    try:
        return connection.execute("select count(*) from snapshots").fetchone()[0]
    finally:
        connection.close()


def test_the_first_run_is_a_baseline(job):
    """Nothing is new when nothing was known: the report has the coverage and no change."""
    assert job.quick("run", at=hour(6)).code == 0
    assert sorted(job.written()) == ["20260501T060000Z.csv", "20260501T060000Z.json"]
    assert job.latest_rows() == []
    report = job.latest()
    assert report["window"] == {"since": None, "until": hour(6)}
    assert report["changes"] == []
    assert [(row["scope"], row["models"], row["state"]) for row in report["coverage"]] == [
        ("local/prod", 5, "ok"),
        ("local/public", 4, "ok"),
        ("local/test", 4, "ok"),
    ]


def test_keys_of_two_groups_are_two_lists(job):
    """Each scope has its own count, group and reference, and equal lists are one."""
    job.quick("run")
    assert {name: (row["models"], row["group"], row["key"]) for name, row in state(job).items()} == {
        "prod": (5, "vip", "env:PROD"),
        "test": (4, "default", "env:TEST"),
        "public": (4, None, None),
    }
    connection = sqlite3.connect(job.database)
    assert connection.execute("select count(*) from listings").fetchone() == (2,)
    connection.close()


def test_a_change_gives_exactly_these_rows(gateway, job):
    """A line a field, a line a model, each with when, for whom, and what it was before."""
    gateway.offers("alpha", to=("default", "vip"), pricing={"input": 1, "output": 4})
    gateway.offers("beta", to=("default", "vip"), context_length=8000, pricing={"input": 0.5})
    job.quick("run", at=hour(6))
    gateway.offers("beta", to=("default", "vip"), context_length=16000, pricing={"input": 0.25, "output": 2})
    gateway.offers("new/model:free", to="vip", owned_by="someone")
    assert job.quick("run", at=hour(7)).code == 0
    everyone = "local/prod local/public local/test,default vip,,,"
    assert job.written()["20260501T070000Z.csv"].decode().split("\r\n") == [
        "at,kind,gateway,model,field,before,after,class,scopes,groups,since,away_seconds,urgent",
        f"{hour(7)},added,local,new/model:free,,,,,local/prod,vip,,,",
        f"{hour(7)},changed,local,beta,context_length,8000,16000,limits,{everyone}",
        f"{hour(7)},changed,local,beta,pricing.input,0.5,0.25,price,{everyone}",
        f"{hour(7)},changed,local,beta,pricing.output,,2,price,{everyone}",
        "",
    ]


def test_a_change_gives_exactly_this_json(gateway, job):
    """The same change with raw values, the run, the totals, and who was asked."""
    gateway.offers("beta", to=("default", "vip"), context_length=8000)
    job.quick("run", at=hour(6))
    gateway.offers("beta", to=("default", "vip"), context_length="8k")
    job.quick("run", at=hour(7))
    report = job.latest()
    coverage = report.pop("coverage")
    assert report == {
        "schema": "modelwatch/report/1",
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
        "totals": {"added": 0, "removed": 0, "returned": 0, "changed": 1},
        "changes": [
            {
                "at": hour(7),
                "snapshot": 2,
                "kind": "changed",
                "gateway": "local",
                "model": "beta",
                "scopes": ["local/prod", "local/public", "local/test"],
                "groups": ["default", "vip"],
                "owned_by": "custom",
                "since": None,
                "away_seconds": None,
                "fields": [{"field": "context_length", "class": "limits", "before": 8000, "after": "8k"}],
                "prices": [],
                "twin": None,
                "candidate": None,
                "quiet": False,
                "urgent": False,
            }
        ],
        "recoveries": [],
    }
    assert coverage[0] == {
        "scope": "local/prod",
        "gateway": "local",
        "group": "vip",
        "auth": "key",
        "key": "env:PROD",
        "state": "ok",
        "state_since": None,
        "models": 5,
        "held_models": None,
        "last_asked": hour(7),
        "last_answered": hour(7),
        "error": None,
    }


def test_a_move_that_many_scopes_make_is_told_once(tmp_path, gateway):
    """Forty keys see one new model: one change, with all forty names."""
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
    ((_, kind, model, names),) = told(job)
    assert (kind, model, names) == ("added", "new", list(scopes))
    (row,) = job.latest_rows()
    assert row["scopes"].split() == [f"local/{name}" for name in scopes]
    assert row["groups"] == "vip"


@pytest.mark.parametrize("confirm", [1, 2, 3])
def test_a_removal_is_told_after_enough_answers_without_the_model(tmp_path, gateway, confirm):
    """With `confirm = n` the n-th complete answer that misses it tells it, and since when it was missing."""
    job = Job(tmp_path / "home")
    job.asks(gateway.url, confirm=confirm)
    job.quick("run", at=hour(0))
    gateway.drops("beta", of="default")
    for run in range(1, confirm):
        job.quick("run", at=hour(run))
        assert told(job) == []
        assert state(job)["public"]["unconfirmed"] == 1
    job.quick("run", at=hour(confirm))
    assert told(job) == [(f"{confirm:02}", "removed", "beta", ["public"])]
    assert state(job)["public"]["unconfirmed"] == 0
    (change,) = job.latest()["changes"]
    assert (change["since"], change["away_seconds"]) == (hour(1), None)
    (row,) = job.latest_rows()
    assert (row["kind"], row["since"], row["away_seconds"]) == ("removed", hour(1), "")


def test_a_removal_is_told_once(gateway, alone):
    """Further answers without it tell nothing more."""
    alone.quick("run")
    gateway.drops("beta", of="default")
    for _ in range(5):
        alone.quick("run")
    assert [kind for _, kind, _, _ in told(alone)] == ["removed"]


def test_a_failed_answer_confirms_nothing(gateway, alone):
    """Only complete answers count towards a removal."""
    alone.quick("run", at=hour(0))
    gateway.drops("beta", of="default")
    alone.quick("run", at=hour(1))
    gateway.fails("broken", times=1)
    assert alone.quick("run", at=hour(2)).code == 4
    assert told(alone) == []
    alone.quick("run", at=hour(3))
    assert told(alone) == [("03", "removed", "beta", ["public"])]


def test_a_model_that_comes_back_has_returned(gateway, alone):
    """It is told with how long it was away, counted from the run that first missed it."""
    alone.quick("run", at=hour(0))
    gateway.drops("beta", of="default")
    alone.quick("run", at=hour(1))
    alone.quick("run", at=hour(2))
    gateway.offers("beta")
    alone.quick("run", at=hour(5))
    assert told(alone) == [("02", "removed", "beta", ["public"]), ("05", "returned", "beta", ["public"])]
    (change,) = alone.latest()["changes"]
    assert (change["since"], change["away_seconds"], change["fields"]) == (hour(1), 4 * 3600, [])
    (row,) = alone.latest_rows()
    assert (row["kind"], row["since"], row["away_seconds"]) == ("returned", hour(1), "14400")


def test_a_model_that_comes_back_in_another_form_says_so(gateway, alone):
    """A return with a new limit is a return, with the field beside it."""
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


def test_a_model_that_flaps_is_told_as_nothing(gateway, alone):
    """There at one answer and gone at the next: it was never away for long enough."""
    gateway.flaps("beta")
    for number in range(8):
        assert alone.quick("run", "--exit-code", at=hour(number)).code == 0
    assert told(alone) == []


def test_a_model_that_was_back_in_time_is_no_longer_missed(tmp_path, gateway):
    """With `confirm = 3` a model that is away for one answer leaves nothing to be confirmed."""
    job = Job(tmp_path / "home")
    job.asks(gateway.url, confirm=3)
    job.quick("run", at=hour(0))
    gateway.drops("beta", of="default")
    job.quick("run", at=hour(1))
    gateway.offers("beta")
    job.quick("run", at=hour(2))
    assert state(job)["public"]["unconfirmed"] == 0
    assert told(job) == []


def test_order_and_noise_are_no_change(gateway, job):
    """Shuffled records, the server's clock and random permission ids move nothing."""
    job.quick("run")
    gateway.shuffles()
    for _ in range(3):
        assert job.quick("run", "--exit-code").code == 0
    assert told(job) == []


def test_the_noise_of_every_answer_is_no_change(gateway, job):
    """A gateway that dates each record to the request says nothing new by it."""
    gateway.noisy()
    for _ in range(3):
        assert job.quick("run", "--exit-code").code == 0
    assert told(job) == []


def test_a_scope_that_fails_changes_nothing_and_stops_nobody(gateway, job):
    """Exit 3: the others are recorded, and the one that failed keeps what it was known to offer."""
    job.quick("run", at=hour(6))
    gateway.offers("new", to=("default", "vip"))
    gateway.fails("broken", who="sk-prod-12345678")
    done = job.quick("run", at=hour(7))
    assert (done.code, done.stdout) == (3, "")
    assert done.stderr.startswith("modelwatch: local/prod: failed since 2026-05-01 07:00: ")
    assert done.stderr.count("\n") == 1
    assert told(job) == [("07", "added", "new", ["public", "test"])]
    prod = state(job)["prod"]
    assert (prod["state"], prod["models"], prod["last_answered"]) == ("failed", 5, hour(6))
    assert job.latest()["run"]["status"] == "partial"


def test_a_scope_that_recovers_tells_what_it_missed(gateway, job):
    """What changed while it failed is its own move at the run that hears of it."""
    job.quick("run", at=hour(6))
    gateway.fails("broken", who="sk-prod-12345678")
    gateway.offers("new", to=("default", "vip"))
    job.quick("run", at=hour(7))
    gateway.heals()
    assert job.quick("run", at=hour(8)).code == 0
    assert job.latest()["recoveries"] == [
        {
            "at": hour(8),
            "scope": "local/prod",
            "gateway": "local",
            "was": "failed",
            "believed": False,
            "since": hour(7),
            "seconds": 3600,
        }
    ]
    assert told(job) == [
        ("07", "added", "new", ["public", "test"]),
        ("08", "added", "new", ["prod"]),
    ]
    assert state(job)["prod"]["state"] == "ok"


def test_a_key_that_is_refused_is_named(gateway, job):
    """The line on stderr says which scope, since when, and what the gateway said."""
    job.quick("run", at=hour(6))
    gateway.key("sk-prod-12345678", group="vip", status="expired")
    done = job.quick("run", at=hour(7))
    assert done.code == 3
    assert "local/prod: failed since 2026-05-01 07:00" in done.stderr
    assert "401" in done.stderr
    assert "expir" in done.stderr


def test_when_all_fail_the_exit_is_4_and_status_says_since_when(gateway, job):
    """The first failure's time is kept through the runs that follow, whatever the class of the error."""
    job.quick("run", at=hour(6))
    gateway.stop()
    assert job.quick("run", at=hour(7)).code == 4
    gateway.start()
    gateway.fails("html")
    assert job.quick("run", at=hour(8)).code == 4
    done = job.quick("status")
    assert done.code == 0
    assert "last run 2026-05-01 08:00 UTC, failed: 0 of 3 scopes answered" in done.stdout
    assert "local/prod local/public local/test: failed since 2026-05-01 07:00" in done.stdout
    for name in SCOPES:
        assert f"local/{name}: last answered 2026-05-01 06:00" in done.stdout
    assert "0 of 3 scopes are well" in done.stdout
    assert told(job) == []


def test_a_scope_that_never_answered_is_known_as_such(gateway, job):
    """A key that was wrong from the start has a failure and no models, and is no baseline."""
    gateway.fails("refused", who="sk-prod-12345678")
    assert job.quick("run", at=hour(6)).code == 3
    prod = state(job)["prod"]
    assert (prod["state"], prod["models"], prod["last_answered"]) == ("failed", None, None)
    assert "local/prod: never answered" in job.quick("status").stdout
    gateway.heals()
    assert job.quick("run", at=hour(7)).code == 0
    assert state(job)["prod"]["models"] == 5
    assert told(job) == []


def test_an_empty_list_is_held_and_then_believed(gateway, alone):
    """Exit 5 at the first empty answer; the second one agrees, and then all are gone."""
    alone.quick("run", at=hour(6))
    gateway.fails("empty")
    done = alone.quick("run", at=hour(7))
    assert (done.code, done.stdout) == (5, "")
    assert "local/public: held since 2026-05-01 07:00: the list is empty; 4 models were known" in done.stderr
    held = state(alone)["public"]
    assert (held["state"], held["models"], held["held_models"]) == ("held", 4, 0)
    assert told(alone) == []
    assert alone.quick("run", at=hour(8)).code == 0
    assert told(alone) == [
        ("08", "removed", model, ["public"]) for model in ("alpha", "beta", "delta", "gamma")
    ]
    assert {change["since"] for change in alone.latest()["changes"]} == {hour(7)}
    assert [(end["was"], end["believed"]) for end in alone.latest()["recoveries"]] == [("held", True)]


def test_what_is_held_can_be_believed_at_once(gateway, alone):
    """`accept` tells the removals now; the report that follows has them, and the next run asks in full."""
    gateway.tags()
    alone.quick("run", at=hour(6))
    gateway.drops("alpha", "beta", "gamma", "delta", of="default")
    assert alone.quick("run", at=hour(7)).code == 5
    done = alone.quick("accept", "local/*", at=hour(8))
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "believed now: local/public",
        "2026-05-01 08:00  local/public",
        *(
            f"  - {name}  removed, missing since 2026-05-01 07:00"
            for name in ("alpha", "beta", "delta", "gamma")
        ),
    ]
    assert state(alone)["public"]["state"] == "ok"
    assert {kind for _, kind, _, _ in told(alone)} == {"removed"}
    assert alone.quick("report").code == 0
    assert alone.latest()["totals"]["removed"] == 4
    assert alone.quick("run", "--exit-code", at=hour(9)).code == 0
    assert len(told(alone)) == 4


def test_nothing_can_be_believed_where_nothing_is_held(alone):
    """`accept` says so, in one line, and where to look."""
    alone.quick("run")
    done = alone.quick("accept", "local/public")
    assert (done.code, done.stdout) == (2, "")
    assert "nothing is held for local/public: see `modelwatch status`" in done.stderr


def test_a_list_that_was_held_and_is_whole_again_told_nothing(gateway, alone):
    """The next answer disagrees with the one held: it never was."""
    alone.quick("run", at=hour(6))
    gateway.fails("empty", times=1)
    assert alone.quick("run", at=hour(7)).code == 5
    assert alone.quick("run", at=hour(8)).code == 0
    assert told(alone) == []
    assert state(alone)["public"]["state"] == "ok"
    assert [(end["was"], end["believed"]) for end in alone.latest()["recoveries"]] == [("held", False)]


def test_a_mass_drop_is_held_and_then_believed(gateway, alone):
    """More than `max_loss` and `floor` gone at once waits for a second answer that agrees."""
    names = [f"m{number:02}" for number in range(16)]
    gateway.offers(*names)
    alone.quick("run", at=hour(6))
    gateway.drops(*names[:6], of="default")
    done = alone.quick("run", at=hour(7))
    assert done.code == 5
    assert "6 of 20 models are gone at once" in done.stderr
    assert alone.quick("run", at=hour(8)).code == 0
    assert [model for _, _, model, _ in told(alone)] == names[:6]


def test_a_drop_below_the_floor_is_not_held(gateway, alone):
    """Of a short list a few models may go at once."""
    alone.quick("run")
    gateway.drops("alpha", "beta", "gamma", of="default")
    assert alone.quick("run").code == 0


def test_a_session_that_ends_does_not_look_like_a_removal(tmp_path, gateway):
    """A user's list that is suddenly nobody's is held: the cookie has run out."""
    gateway.user("ann", password="a", group="vip")
    _, session = gateway.accounts.signs_in("ann", "a")
    job = Job(tmp_path / "home", {"SESSION": session})
    job.asks(gateway.url, scopes={"ann": 'cookie = "env:SESSION"', "public": ""})
    job.quick("run")
    gateway.signs_out("ann")
    done = job.quick("run")
    assert done.code == 5
    assert "is the key still good?" in done.stderr
    assert state(job)["ann"]["models"] == 5


def test_a_failure_weighs_more_than_a_hold(gateway, job):
    """Exit 3 where one scope failed and another is held; both are named."""
    job.quick("run")
    gateway.fails("empty", who="nobody")
    gateway.fails("broken", who="sk-prod-12345678")
    done = job.quick("run")
    assert done.code == 3
    assert "local/public: held" in done.stderr
    assert "local/prod: failed" in done.stderr


def test_exit_code_tells_of_changes(gateway, alone):
    """With `--exit-code`: 0 for the baseline, 1 for a change, 0 when all is as before."""
    assert alone.quick("run", "--exit-code").code == 0
    gateway.offers("new")
    assert alone.quick("run", "--exit-code").code == 1
    assert alone.quick("run", "--exit-code").code == 0
    gateway.offers("newer")
    assert alone.quick("run").code == 0


def test_a_dry_run_of_nothing_writes_nothing(alone):
    """Before the first run it asks, says what it would tell, and leaves only the config behind."""
    done = alone.quick("run", "--dry-run")
    assert done.code == 0
    assert "no change" in done.stdout
    assert list(alone.home.iterdir()) == [alone.config]


@pytest.mark.parametrize("command", ["run", "sync"])
def test_a_dry_run_tells_what_a_run_would_and_writes_nothing(gateway, alone, command):
    """Every file stays as it was, to the byte, and the run that follows tells the same."""
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


def test_a_dry_run_tells_troubles(gateway, alone):
    """Holds and failures leave with the code that the run would."""
    alone.quick("run")
    gateway.fails("empty", times=1)
    assert alone.quick("run", "--dry-run").code == 5
    gateway.fails("refused", times=1)
    done = alone.quick("run", "--dry-run")
    assert done.code == 4
    assert "local/public: failed" in done.stdout
    assert snapshots(alone) == 1


def test_a_dry_run_needs_no_lock(alone):
    """One can look while the job runs."""
    alone.quick("run")
    with lock(alone.database, since=now()):
        assert alone.quick("run", "--dry-run").code == 0


def test_success_is_silent_off_a_terminal(gateway, job):
    """With an environment as bare as cron's, nothing is said: neither at the first run nor at a change."""
    for _ in range(2):
        done = job.run("run")
        assert (done.code, done.stdout, done.stderr) == (0, "", "")
        gateway.offers("new")
    assert len(told(job)) == 1


def test_quiet_says_nothing_at_all(gateway, job):
    """With `-q` the exit code is all there is."""
    gateway.fails("broken", who="nobody")
    done = job.quick("run", "-q")
    assert (done.code, done.said) == (3, "")


def test_verbose_tells_of_each_scope(gateway, job):
    """With `-v` a line a scope on stderr, and the report on stdout."""
    job.quick("run", at=hour(6))
    gateway.offers("new", to="vip")
    done = job.quick("run", "-v", at=hour(7))
    assert sorted(done.stderr.splitlines()) == [
        "modelwatch: local/prod: 6 models",
        "modelwatch: local/public: unchanged",
        "modelwatch: local/test: unchanged",
    ]
    assert done.stdout == "2026-05-01 07:00  local/prod\n  + new\n"


def test_twice_verbose_tells_of_each_request(gateway, job):
    """With `-vv` the requests are told too, each with its status."""
    done = job.quick("run", "-vv")
    requests = [line for line in done.stderr.splitlines() if "GET" in line]
    assert len(requests) == 3
    assert all(f"{gateway.url}/v1/models" in line and "200" in line for line in requests)


def test_a_log_of_json_is_json_line_by_line(gateway, job):
    """Each line is an object with at, level, message and the scope; a failure has its class."""
    gateway.fails("refused", who="nobody")
    done = job.run("run", "-v", "--log-format", "json")
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert {line["level"] for line in lines} == {"info"}
    found = {line["scope"]: line for line in lines}
    assert found["local/prod"]["models"] == 5
    assert found["local/prod"]["seconds"] > 0
    assert found["local/public"]["error"] == "Refused"
    assert all(line["at"][:2] == "20" and line["message"] for line in lines)


def test_a_warning_in_json_is_json_too(gateway, alone):
    """What is told without being asked for keeps to the form."""
    gateway.fails("broken")
    (line,) = alone.quick("run", "--log-format", "json").stderr.splitlines()
    assert json.loads(line)["level"] == "warning"


def test_a_second_run_leaves_at_once(job):
    """While one run holds the lock another leaves with 75, names its process, and asks nothing."""
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
        assert len(server.asked) == 1
    assert snapshots(job) == 1


def test_the_lock_says_who_holds_it_and_since_when(alone):
    """The message has the process id and the time, and the database is named."""
    alone.quick("run")
    with lock(alone.database, since=hour(3)):
        one_line(
            alone.quick("run"), 75, f"pid {os.getpid()}, since {hour(3)}", str(alone.database), "wait for it"
        )


@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_killed_leaves_no_trace(job, blow):
    """Nothing is half-written, the lock goes with the process, and the next run is the first."""
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
    """Only runs in which something happened have files; `latest` stays the last of them."""
    alone.quick("run", at=hour(6))
    alone.quick("run", at=hour(7))
    assert sorted(alone.written()) == ["20260501T060000Z.csv", "20260501T060000Z.json"]
    assert alone.latest()["window"]["until"] == hour(6)


def test_failures_and_holds_are_news(gateway, alone):
    """A report is written when a scope begins to fail, and when it is well again, and not in between."""
    alone.quick("run", at=hour(6))
    gateway.fails("broken")
    alone.quick("run", at=hour(7))
    assert alone.latest()["coverage"][0]["state"] == "failed"
    alone.quick("run", at=hour(8))
    gateway.heals()
    alone.quick("run", at=hour(9))
    assert alone.latest()["coverage"][0]["state"] == "ok"
    assert [name[9:11] for name in alone.written() if name.endswith(".csv")] == ["06", "07", "09"]


def test_reports_follow_one_another_without_a_gap(gateway, alone):
    """Each window begins where the last one ended, over runs without news too."""
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


def test_the_latest_report_is_a_copy_of_the_last(gateway, alone):
    """`latest.csv` and `latest.json` are the newest files, byte for byte, and nothing else is left behind."""
    alone.quick("run", at=hour(6))
    gateway.offers("new")
    alone.quick("run", at=hour(7))
    written = alone.written()
    for kind in ("csv", "json"):
        assert (alone.reports / f"latest.{kind}").read_bytes() == written[f"20260501T070000Z.{kind}"]
    assert len(written) == 4


def test_a_report_that_is_made_again_is_the_same(gateway, job):
    """The same history gives the same bytes, whenever they are written."""
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


def test_a_report_does_not_depend_on_when_it_is_written(tmp_path, gateway):
    """Written a run later, for want of a directory, it is what it would have been in time."""
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


def test_check_says_what_destinations_lack(alone):
    """A secret that is not there is told before the first mail should go, and nothing is sent."""
    lame = 'type = "webhook"\nurl = "http://127.0.0.1:9/hook"\nsecret = "env:NO_SUCH_VARIABLE"\n'
    alone.configure(alone.config.read_text("utf-8") + f"[destinations.ops]\n{lame}")
    done = alone.quick("check")
    assert (done.code, done.stderr) == (6, "")
    last = done.stdout.splitlines()[-1]
    assert last.startswith("destination ops: env:NO_SUCH_VARIABLE is not set")


def test_a_report_that_cannot_be_written_goes_with_the_next_run(gateway, alone):
    """Exit 6 and one line; what was found out is kept, and the next run writes both reports."""
    alone.quick("run", at=hour(6))
    gateway.offers("new")
    alone.reports.rename(alone.home / "aside")
    alone.reports.write_text("in the way")
    one_line(
        alone.quick("run", at=hour(7)), 6, str(alone.reports), "cannot be written", "goes with the next run"
    )
    assert told(alone) == [("07", "added", "new", ["public"])]
    assert "reports waiting: 1; `modelwatch outbox` says why" in alone.quick("status").stdout
    alone.reports.unlink()
    gateway.offers("newer")
    assert alone.quick("run", at=hour(8)).code == 0
    written = alone.written()
    assert [name for name in written if "csv" in name] == ["20260501T070000Z.csv", "20260501T080000Z.csv"]
    assert b",new," in written["20260501T070000Z.csv"]
    assert b",newer," in written["20260501T080000Z.csv"]
    assert json.loads(alone.quick("status", "--json").stdout)["reports_waiting"] == 0


def test_a_report_that_cannot_be_written_hides_no_other_trouble(gateway, job):
    """The scope that failed is named on stderr, beside the report that waits, and says how it ends."""
    job.reports.write_text("in the way")
    gateway.fails("broken", who="nobody")
    done = job.quick("run")
    assert done.code == 3
    assert "local/public: failed" in done.stderr


def test_a_report_that_waits_is_written_though_all_fail(gateway, alone):
    """The outbox is emptied by any run."""
    alone.reports.write_text("in the way")
    assert alone.quick("run", at=hour(6)).code == 6
    alone.reports.unlink()
    gateway.fails("broken")
    assert alone.quick("run", at=hour(7)).code == 4
    assert [name[9:11] for name in alone.written() if "csv" in name] == ["06", "07"]


def test_two_runs_of_one_second_have_files_of_their_own(gateway, alone):
    """The second's report does not write over the first's."""
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


def test_a_clock_that_goes_backwards_loses_nothing(gateway, alone):
    """Runs are in the order in which they happened, whatever time they thought it was."""
    alone.quick("run", at=hour(9))
    gateway.drops("beta", of="default")
    alone.quick("run", at=hour(8))
    alone.quick("run", at=hour(7))
    gateway.offers("beta")
    alone.quick("run", at=hour(6))
    assert told(alone) == [("07", "removed", "beta", ["public"]), ("06", "returned", "beta", ["public"])]
    assert valid(alone.latest())["window"] == {"since": hour(7), "until": hour(6)}


def test_sync_records_and_report_writes(gateway, alone):
    """`run` in two steps: `sync` writes no files, `report` tells all since the last one."""
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
    assert again.stdout.startswith("nothing happened since the last report")


def test_report_since_a_time_is_beside_the_others(gateway, alone):
    """It covers what it is asked for, and neither `latest` nor the next report notices."""
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
def test_report_before_the_first_run_says_what_to_do(alone, since):
    """There is nothing to report of yet."""
    one_line(alone.quick("report", *since), 74, "there is no database yet", "`modelwatch run`")


def test_only_the_scopes_that_are_named_are_asked(gateway, job):
    """With `--scope` the others are neither asked nor covered, and not said to have failed."""
    job.quick("run", at=hour(6))
    gateway.offers("new", to=("default", "vip"))
    assert job.quick("run", "--scope", "*/prod", "--scope", "local/pub*", at=hour(7)).code == 0
    assert told(job) == [("07", "added", "new", ["prod", "public"])]
    assert [row["scope"] for row in job.latest()["coverage"]] == ["local/prod", "local/public"]
    assert "local/test: not asked since 2026-05-01 06:00" in job.quick("status").stdout


def test_a_scope_that_does_not_exist_is_wrong_usage(job):
    """Exit 2, with the names that there are."""
    done = job.quick("run", "--scope", "*/nope")
    assert done.code == 2
    assert "no scope matches */nope: there are local/prod, local/test, local/public" in done.stderr


@pytest.mark.parametrize(
    "words",
    [("run", "--nope"), ("nope",), ("run", "extra"), ("changes", "--since", "soon"), ("run", "--scope")],
)
def test_wrong_usage_is_exit_2(job, words):
    """What the command line does not know is said on stderr, and nothing is asked or written."""
    done = job.quick(*words)
    assert (done.code, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert list(job.home.iterdir()) == [job.config]


def test_a_scope_that_leaves_the_config_is_no_longer_asked(gateway, job):
    """Its history stays, and it is not taken for one that fails."""
    job.quick("run", at=hour(6))
    job.configure("")
    job.asks(gateway.url, scopes={"public": ""})
    assert job.quick("run", at=hour(7)).code == 0
    assert [row["scope"] for row in valid(history_of(job))["coverage"]] == ["local/public"]
    assert {name: of_it["state"] for name, of_it in state(job).items()} == {
        "prod": "retired",
        "test": "retired",
        "public": "ok",
    }
    assert "no longer in the config" in job.quick("status").stdout


def history_of(job):
    """The report of everything, as JSON."""
    job.quick("report", "--since", "2026-01-01")
    name = next(name for name in job.written() if name.startswith("20260101T000000Z--") and "json" in name)
    return json.loads(job.written()[name])


def test_a_new_scope_is_a_baseline_of_its_own(gateway, alone):
    """A key that is added later brings no additions of models that were there."""
    alone.quick("run", at=hour(6))
    alone.env["PROD"] = "sk-prod-12345678"
    alone.configure("")
    alone.asks(gateway.url, scopes=SCOPES | {"test": ""})
    assert alone.quick("run", at=hour(7)).code == 0
    assert told(alone) == []
    assert state(alone)["prod"]["models"] == 5


def test_check_asks_everyone_once_and_writes_nothing(gateway, job):
    """A row a scope with its answer, its count and what to do; nothing is kept."""
    gateway.fails("throttled", who="sk-test-12345678")
    done = job.quick("check", "--json")
    assert done.code == 3
    found = {row["scope"][6:]: row for row in done.json()}
    assert (found["prod"]["answers"], found["prod"]["models"], found["prod"]["error"]) == ("yes", 5, None)
    assert found["test"]["error"]["class"] == "Throttled"
    assert "lower `concurrency`" in found["test"]["advice"]
    assert list(job.home.iterdir()) == [job.config]
    assert len(gateway.asked) == 3


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        ("refused", "put a key that is good where env:PROD leads"),
        ("reset", "see that `url` is right"),
        ("html", "see that `url` is the API's address"),
    ],
)
def test_check_says_what_to_do(tmp_path, gateway, fault, advice):
    """Each class of failure has its cure, and names where the key is kept."""
    job = Job(tmp_path / "home", {"PROD": "sk-prod-12345678"})
    job.asks(gateway.url, scopes={"prod": SCOPES["prod"]})
    gateway.fails(fault)
    done = job.quick("check")
    assert done.code == 4
    assert advice in done.stdout
    assert len(gateway.asked) == 1


def test_check_names_the_reference_that_leads_nowhere(tmp_path, gateway):
    """A variable that is not set is told for the user that runs the job."""
    job = Job(tmp_path / "home")
    job.asks(gateway.url, scopes={"prod": SCOPES["prod"]})
    assert "env:PROD is not set" in job.quick("check").stdout


def test_the_command_works_in_an_empty_environment(gateway, alone):
    """Without PATH, HOME and a locale it still records, and prints what is not ASCII."""
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
def test_a_terminal_that_knows_no_arrows_ends_no_command(gateway, alone, encoding):
    """Where the output cannot carry a character, something else stands for it."""
    gateway.offers("beta", context_length=1)
    alone.quick("run")
    gateway.offers("beta", context_length=2)
    alone.quick("run")
    alone.env["PYTHONIOENCODING"] = encoding
    done = alone.run("changes")
    assert (done.code, done.stderr) == (0, "")
    assert "context_length" in done.stdout
