"""What `run` logs off a terminal: a problem once, again once a day, and its end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from support.e2e import Job

from pipeline.simulator import Gateway

PROD, TEST = "sk-prod-12345678", "sk-test-12345678"
EVERY = ("default", "vip")


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A gateway with two groups, and a key in each."""
    with Gateway() as gateway:
        gateway.offers("alpha", "beta", "gamma", "delta", to=EVERY)
        gateway.key(PROD, group="vip")
        gateway.key(TEST, group="default")
        yield gateway


@pytest.fixture
def job(tmp_path: Path, gateway: Gateway) -> Job:
    """A home that asks with both keys."""
    job = Job(tmp_path / "home", {"PROD": PROD, "TEST": TEST})
    job.asks(gateway.url, scopes={"prod": 'key = "env:PROD"', "test": 'key = "env:TEST"'}, attempts=1)
    return job


def hour(number: int) -> str:
    """Return an hour after the first run (ISO 8601 UTC)."""
    return (datetime(2026, 5, 1, tzinfo=UTC) + timedelta(hours=number)).strftime("%Y-%m-%dT%H:%M:%SZ")


def logged(job: Job, hours: range, *options: str, code: int | None = None) -> dict[int, list[str]]:
    """Run once an hour; return the lines on standard error, by hour; every run must exit with `code`."""
    found = {}
    for number in hours:
        done = job.quick("run", *options, at=hour(number))
        assert done.stdout == ""
        assert code in (None, done.code), done
        if done.stderr:
            found[number] = [line.removeprefix("modelwatch: ") for line in done.stderr.splitlines()]
    return found


DESTINATIONS = {
    "each": "",
    "daily": 'every = "day"\nat = "06:00"\n',
    "alarm": 'severity = "breaking"\n',
}
"""The settings of destinations, by name."""


def mailed(job: Job) -> None:
    """Add the destinations to the config; each mail becomes a file."""
    tables = [
        f'[destinations.{name}]\ntype = "eml"\ndirectory = "{job.home / name}"\n{settings}'
        for name, settings in DESTINATIONS.items()
    ]
    job.configure(job.config.read_text("utf-8") + "".join(tables))


def mails(job: Job, name: str) -> list[tuple[str, str]]:
    """Return the subject and the text of a destination's mails, oldest first."""
    parsed = [
        message_from_bytes(path.read_bytes(), policy=policy.default)
        for path in sorted((job.home / name).glob("*.eml"))
    ]
    return [
        (each["subject"].removeprefix("[modelwatch] "), each.get_body(("plain",)).get_content())
        for each in parsed
    ]


def subjects(job: Job, name: str) -> list[str]:
    """Return the subjects of a destination's mails, oldest first."""
    return [subject for subject, _ in mails(job, name)]


def test_a_failure_of_three_hours_is_a_calm_mail_and_no_alarm(gateway: Gateway, job: Job) -> None:
    mailed(job)
    logged(job, range(8), code=0)
    gateway.fails("throttled", who=PROD)
    logged(job, range(8, 11), code=3)
    gateway.heals()
    logged(job, range(11, 32), code=0)
    assert subjects(job, "each") == [
        "first answers of 2 scopes", "rate-limited (local/prod)", "1 scope recovered · local",
    ]  # fmt: skip
    assert "FOR INFORMATION" in mails(job, "each")[1][1]
    assert subjects(job, "alarm") == []
    daily = mails(job, "daily")
    assert [subject for subject, _ in daily][-1:] == ["1 scope recovered · local"]
    assert "local/prod: was rate-limited for 3 h" in daily[-1][1]


def test_a_failure_of_six_hours_is_urgent_for_every_destination(gateway: Gateway, job: Job) -> None:
    mailed(job)
    logged(job, range(8), code=0)
    gateway.fails("broken")
    logged(job, range(8, 24), code=4)
    urgent = "urgent: not reachable (local, 2 keys)"
    assert subjects(job, "each")[1:] == ["not reachable (local, 2 keys)", urgent]
    assert subjects(job, "alarm") == [urgent]
    begun, lasting = (text for _, text in mails(job, "each")[1:])
    assert ("New" in begun, "Still failing" in begun, "New" in lasting) == (True, False, False)
    assert "Still failing" in lasting
    assert "It has lasted for 6 h." in lasting
    gateway.heals()
    logged(job, range(24, 32), code=0)
    assert subjects(job, "alarm") == [urgent, "2 scopes recovered · local"]
    assert "local/prod, local/test: recovered after 16 h" in mails(job, "alarm")[-1][1]


def test_a_rejected_key_is_urgent_at_once_for_every_destination(gateway: Gateway, job: Job) -> None:
    mailed(job)
    logged(job, range(8), code=0)
    gateway.key(PROD, group="vip", status="expired")
    logged(job, range(8, 31), code=3)
    urgent = "urgent: key rejected (local/prod)"
    assert subjects(job, "each")[1:] == subjects(job, "alarm") == [urgent]
    assert subjects(job, "daily")[-1:] == [urgent]


def test_a_failure_that_comes_and_goes_is_two_calm_mails_and_one_when_it_is_over_for_a_day(
    gateway: Gateway, job: Job
) -> None:
    mailed(job)
    logged(job, range(8), code=0)
    for number in range(8, 32):
        gateway.heals() if number % 2 else gateway.fails("broken", who=PROD)
        logged(job, range(number, number + 1))
    assert subjects(job, "each")[1:] == ["not reachable (local/prod)"] * 2
    assert "It comes and goes: 4 times since 1 May 08:00 UTC" in mails(job, "each")[2][1]
    gateway.heals()
    logged(job, range(32, 60), code=0)
    assert subjects(job, "each")[3:] == ["1 scope recovered · local"]
    assert "local/prod: well for 24 h, after 12 failures or holds" in mails(job, "each")[3][1]
    assert subjects(job, "alarm") == []
    assert "It comes and goes: 12 times since 1 May 08:00 UTC" in mails(job, "daily")[1][1]


def test_watched_models_that_are_pending_or_held_are_named_in_the_mail_at_once(
    gateway: Gateway, job: Job
) -> None:
    mailed(job)
    job.configure(job.config.read_text("utf-8") + '[watch]\nmodels = ["alpha", "delta"]\n')
    logged(job, range(2), code=0)
    gateway.drops("alpha")
    gateway.fails("empty", who=TEST)
    logged(job, range(2, 3), code=5)
    for name in ("each", "alarm"):
        subject, text = mails(job, name)[-1]
        assert subject.startswith("urgent: alpha missing")
        assert "alpha: missing in local/prod since 1 May 02:00 UTC, not confirmed yet" in text
        assert "Watched models missing from it: alpha, delta" in text
    gateway.offers("alpha", to=EVERY)
    gateway.heals()
    logged(job, range(3, 4), code=0)
    subject, text = mails(job, "alarm")[-1]
    assert "1 watched model back" in subject
    assert "alpha: offered again in local/prod after 1 h" in text


def test_a_rejected_key_is_logged_at_once_then_daily_and_when_it_is_valid_again(
    gateway: Gateway, job: Job
) -> None:
    logged(job, range(1))
    gateway.key(PROD, group="vip", status="expired")
    lines = logged(job, range(1, 51), code=3)
    assert sorted(lines) == [1, 25, 49]
    assert len({*map(tuple, lines.values())}) == 1
    assert lines[1][0].startswith("local/prod: failing since 2026-05-01 01:00: ")
    gateway.key(PROD, group="vip")
    assert logged(job, range(51, 54), code=0) == {51: ["local/prod: recovered after 2.1 days"]}


def test_a_transient_failure_is_logged_again_when_it_has_lasted_six_hours(gateway: Gateway, job: Job) -> None:
    logged(job, range(1))
    gateway.fails("broken", who=PROD)
    assert sorted(logged(job, range(1, 51), code=3)) == [1, 7, 25, 49]
    gateway.heals()
    assert sorted(logged(job, range(51, 54), code=0)) == [51]


def test_three_failures_are_logged_as_one_and_their_end(gateway: Gateway, job: Job) -> None:
    logged(job, range(1))
    gateway.fails("throttled", who=PROD)
    lines = logged(job, range(1, 4), code=3)
    gateway.heals()
    lines |= logged(job, range(4, 10), code=0)
    assert sorted(lines) == [1, 4]
    assert lines[4] == ["local/prod: recovered after 3 h"]


def test_a_failure_that_comes_and_goes_is_logged_three_times_then_daily_and_when_it_is_over_for_a_day(
    gateway: Gateway, job: Job
) -> None:
    logged(job, range(1))
    lines: dict[int, list[str]] = {}
    for number in range(1, 50):
        gateway.fails("broken", who=PROD) if number % 2 else gateway.heals()
        lines |= logged(job, range(number, number + 1))
    assert list(lines) == [1, 2, 3, 4, 5, 25, 49]
    assert lines[4] == ["local/prod: recovered after 1 h"]
    for number, times in ((5, 3), (25, 13), (49, 25)):
        text = f"local/prod: answers keep failing and recovering, {times} times since 2026-05-01 01:00: "
        assert lines[number][0].startswith(text)
    gateway.heals()
    assert logged(job, range(50, 80), code=0) == {
        74: ["local/prod: well for 24 h, after it failed 25 times since 2026-05-01 01:00"]
    }
    gateway.fails("broken", who=PROD)
    assert logged(job, range(80, 81))[80][0].startswith("local/prod: failing since 2026-05-04 08:00: ")


@pytest.mark.parametrize("option", ["--repeat", "-v"])
def test_with_repeat_or_verbose_each_run_logs_a_lasting_failure(
    gateway: Gateway, job: Job, option: str
) -> None:
    logged(job, range(1))
    gateway.key(PROD, group="vip", status="expired")
    for number in range(1, 4):
        done = job.quick("run", option, at=hour(number))
        assert (done.code, "failing since 2026-05-01 01:00" in done.output) == (3, True)


def test_scopes_that_fail_together_are_one_line_and_one_that_joins_is_another(
    gateway: Gateway, job: Job
) -> None:
    logged(job, range(1))
    gateway.key(PROD, group="vip", status="expired")
    assert [line[:18] for line in logged(job, range(1, 3))[1]] == ["local/prod: failin"]
    gateway.key(TEST, group="default", status="expired")
    assert [line[:18] for line in logged(job, range(3, 5), code=4)[3]] == ["local/test: failin"]
    assert sorted(logged(job, range(5, 28))) == [25, 27]


def test_a_failure_of_a_scope_that_a_run_does_not_ask_is_not_logged_by_it(gateway: Gateway, job: Job) -> None:
    logged(job, range(1))
    gateway.key(PROD, group="vip", status="expired")
    logged(job, range(1, 2))
    assert logged(job, range(2, 30), "--scope", "*/test", code=0) == {}
    assert sorted(logged(job, range(30, 34), code=3)) == [30]


def test_a_scope_that_never_answered_is_logged_and_so_is_its_first_answer(gateway: Gateway, job: Job) -> None:
    gateway.fails("broken", who=PROD)
    assert sorted(logged(job, range(3), code=3)) == [0]
    gateway.heals()
    assert logged(job, range(3, 5)) == {3: ["local/prod: recovered after 3 h"]}


def test_a_hold_is_logged_once_and_so_is_its_end(gateway: Gateway, job: Job) -> None:
    logged(job, range(1))
    gateway.fails("empty", who=PROD)
    lines = logged(job, range(1, 2), code=5)
    (line,) = lines[1]
    assert line.startswith(
        "local/prod: held since 2026-05-01 01:00: the list is empty; it had 4 models. It is "
    )
    assert line.endswith(" To accept it now: modelwatch accept local/prod")
    gateway.heals()
    assert logged(job, range(2, 4), code=0) == {
        2: ["local/prod: answer held since 2026-05-01 01:00 dropped, a later answer differed"]
    }


def test_a_watched_model_that_is_pending_is_logged_once_then_daily_and_when_it_is_back(
    tmp_path: Path, gateway: Gateway
) -> None:
    job = Job(tmp_path / "home")
    job.asks(gateway.url, attempts=1, confirm=99)
    job.configure(job.config.read_text("utf-8") + '[watch]\nmodels = ["alpha"]\n')
    logged(job, range(1))
    gateway.drops("alpha")
    lines = logged(job, range(1, 28), code=0)
    assert sorted(lines) == [1, 25]
    for (line,) in lines.values():
        assert line.startswith("! alpha  may be missing since 2026-05-01 01:00, ")
        assert line.endswith(": local/public")
    gateway.offers("alpha", to=EVERY)
    assert logged(job, range(28, 30), code=0) == {
        28: ["alpha  offered again, missing since 2026-05-01 01:00: local/public"]
    }


def test_a_destination_that_fails_is_logged_once_then_daily_and_when_it_works_again(
    gateway: Gateway, job: Job
) -> None:
    """Attempts are further and further apart; the exit status is 6 in each run that makes one."""
    mails = job.home / "mails"
    table = f'[destinations.ops]\ntype = "eml"\ndirectory = "{mails}"\n'
    job.configure(job.config.read_text("utf-8") + table)
    logged(job, range(1))
    mails.rename(job.home / "aside")
    mails.write_text("in the way")
    gateway.offers("new", to=EVERY)
    lines = logged(job, range(1, 28))
    assert sorted(lines) == [1, 25]
    assert [line[:5] for line in lines[1]] == ["ops: "]
    assert job.quick("run", at=hour(28)).stderr == ""
    mails.unlink()
    (line,) = logged(job, range(28, 40), code=0).values()
    assert line[0].startswith("ops: ")
    assert "delivered again after" in line[0]


def test_every_new_report_to_a_failing_destination_is_the_same_failure(gateway: Gateway, job: Job) -> None:
    logged(job, range(1))
    job.reports.rename(job.home / "aside")
    job.reports.write_text("in the way")
    found = {}
    for number in range(1, 8):
        gateway.offers(f"new-{number}", to=EVERY)
        found |= logged(job, range(number, number + 1), code=6)
    assert sorted(found) == [1]
    job.reports.unlink()
    assert list(logged(job, range(8, 10), code=0)) == [8]


def test_problems_are_logged_after_the_clock_was_set_back(gateway: Gateway, job: Job) -> None:
    logged(job, range(10, 11))
    gateway.key(PROD, group="vip", status="expired")
    assert sorted(logged(job, range(5, 9), code=3)) == [5]
