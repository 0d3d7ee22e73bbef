"""`modelwatch mute`: known problems stay out of alarms for a time, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from support.e2e import Job

from pipeline.core.times import parse_end
from pipeline.simulator import Gateway

PROD, TEST = "sk-prod-12345678", "sk-test-12345678"
NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A gateway with a key in each of two groups."""
    with Gateway() as gateway:
        gateway.offers("alpha", "beta", "gamma", "delta", to=("default", "vip"))
        gateway.key(PROD, group="vip")
        gateway.key(TEST, group="default")
        yield gateway


@pytest.fixture
def job(tmp_path: Path, gateway: Gateway) -> Job:
    """A home that asks with both keys, watches a model, and mails everything and alarms."""
    job = Job(tmp_path / "home", {"PROD": PROD, "TEST": TEST})
    scopes = {"prod": 'key = "env:PROD"', "test": 'key = "env:TEST"'}
    job.asks(gateway.url, scopes=scopes, attempts=1, confirm=2, confirm_after="0")
    tables = [
        f'[destinations.{name}]\ntype = "eml"\ndirectory = "{job.home / name}"\n{settings}'
        for name, settings in (("each", ""), ("alarm", 'severity = "urgent"\n'))
    ]
    job.configure(f'{job.config.read_text("utf-8")}[watch]\nmodels = ["alpha"]\n{"".join(tables)}')
    assert logged(job, 0) == []
    return job


def hour(number: float) -> str:
    return (NOW + timedelta(hours=number)).strftime("%Y-%m-%dT%H:%M:%SZ")


def logged(job: Job, number: float, *options: str) -> list[str]:
    """Run at an hour; return the lines on standard error."""
    done = job.quick("run", *options, at=hour(number))
    return [line.removeprefix("modelwatch: ") for line in done.stderr.splitlines()]


def mute(job: Job, number: float, *options: str, code: int = 0) -> str:
    """Run `mute` at an hour; return its output."""
    done = job.quick("mute", *options, at=hour(number))
    assert done.code == code, done
    return done.stdout + done.stderr


def mails(job: Job, name: str) -> list[tuple[str, str]]:
    """Return the subject and the text of a destination's mails, oldest first, without the first answers."""
    files = sorted((job.home / name).glob("*.eml")) if (job.home / name).exists() else []
    found = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in files]
    texts = [
        (each["subject"].removeprefix("[modelwatch] "), each.get_body(("plain",)).get_content())
        for each in found
    ]
    return [each for each in texts if "first answers" not in each[0]]


def subjects(job: Job, name: str) -> list[str]:
    return [subject for subject, _ in mails(job, name)]


REJECTED = "urgent: key rejected (local/prod)"


def test_a_muted_failure_gives_no_reminder_and_is_new_again_when_the_mute_ends_by_itself(
    gateway: Gateway, job: Job
) -> None:
    gateway.key(PROD, group="vip", status="expired")
    assert len(logged(job, 1)) == 1
    assert mute(job, 2, "--scope", "local/p*", "--until", "3d") == (
        "muted until 2026-05-04 02:00 UTC: scope local/p*\n"
    )
    assert [line for number in range(25, 74, 12) for line in logged(job, number)] == []
    assert subjects(job, "each") == subjects(job, "alarm") == [REJECTED]
    (line,) = logged(job, 75)
    assert line.startswith("local/prod: failing since 2026-05-01 01:00")
    assert logged(job, 76) == []
    assert subjects(job, "each") == subjects(job, "alarm") == [REJECTED, REJECTED]
    assert "New" in mails(job, "alarm")[-1][1]


def test_a_failure_that_begins_while_muted_is_reported_when_the_mute_is_ended(
    gateway: Gateway, job: Job
) -> None:
    mute(job, 1, "--scope", "local/prod")
    gateway.key(PROD, group="vip", status="expired")
    assert logged(job, 2) == []
    assert job.quick("run", at=hour(3)).code == 3
    assert subjects(job, "each") == subjects(job, "alarm") == []
    assert mute(job, 4, "--end", "--scope", "local/prod") == "ended: local/prod\n"
    assert len(logged(job, 5)) == 1
    assert subjects(job, "each") == subjects(job, "alarm") == [REJECTED]


def test_other_news_lists_a_muted_failure_under_a_heading_of_its_own_and_not_in_the_subject(
    gateway: Gateway, job: Job
) -> None:
    mute(job, 1, "--scope", "local/prod")
    gateway.key(PROD, group="vip", status="expired")
    logged(job, 2)
    gateway.offers("alpha", "beta", "gamma", "delta", "epsilon", to=("default",))
    logged(job, 3)
    ((subject, text),) = mails(job, "each")
    assert subject == "epsilon added (local/test)"
    assert "FOR INFORMATION" in text
    assert "Muted" in text
    assert "muted until 8 May 01:00 UTC" in text
    assert subjects(job, "alarm") == []


def test_the_end_of_a_muted_failure_is_reported(gateway: Gateway, job: Job) -> None:
    gateway.key(PROD, group="vip", status="expired")
    logged(job, 1)
    mute(job, 2, "--scope", "local/prod")
    logged(job, 3)
    gateway.key(PROD, group="vip")
    assert logged(job, 4) == ["local/prod: recovered after 3 h"]
    assert subjects(job, "each") == [REJECTED, "1 scope recovered · local"]


def test_changes_of_a_muted_model_are_quiet_in_mails_and_stay_in_json_and_changes(
    gateway: Gateway, job: Job
) -> None:
    mute(job, 1, "--model", "be*")
    gateway.drops("beta")
    gateway.offers("epsilon", to=("default", "vip"))
    logged(job, 2)
    logged(job, 3)
    texts = mails(job, "each")
    assert [subject for subject, _ in texts] == ["epsilon added (local, 2 keys)"]
    assert not any("Removed" in text for _, text in texts)
    assert any(change["model"] == "beta" for change in job.latest()["changes"])
    assert "beta" in job.quick("changes", "--since", "2026-05-01", at=hour(4)).stdout


def test_the_removal_of_a_watched_model_is_reported_though_it_is_muted(gateway: Gateway, job: Job) -> None:
    """Only that it is missing, before that is confirmed, is muted."""
    mute(job, 1, "--model", "alpha")
    gateway.drops("alpha")
    assert logged(job, 2) == []
    assert subjects(job, "alarm") == []
    (line,) = logged(job, 3)
    assert "alpha" in line
    assert subjects(job, "each") == subjects(job, "alarm") == ["urgent: alpha removed (local, 2 keys)"]


def test_a_watched_model_that_is_missing_when_its_mute_ends_is_reported(gateway: Gateway, job: Job) -> None:
    job.configure(job.config.read_text("utf-8").replace('confirm_after = "0"', 'confirm_after = "9d"'))
    mute(job, 1, "--model", "alpha", "--until", "2026-05-02")
    gateway.drops("alpha")
    assert [*logged(job, 2), *logged(job, 3)] == []
    assert subjects(job, "alarm") == []
    logged(job, 25)
    assert subjects(job, "alarm") == ["urgent: alpha missing, not confirmed yet (local, 2 keys)"]


def test_status_shows_what_is_muted_until_it_ends(job: Job) -> None:
    mute(job, 1, "--scope", "local/*", "--model", "beta", "--until", "12h")
    shown = job.quick("status", at=hour(2)).stdout
    assert "muted until 2026-05-01 13:00 UTC: scope local/*\n" in shown
    assert "muted until 2026-05-01 13:00 UTC: model beta\n" in shown
    found = json.loads(job.quick("status", "--json", at=hour(2)).stdout)["mutes"]
    assert [(each["kind"], each["pattern"]) for each in found] == [("scope", "local/*"), ("model", "beta")]
    assert "muted" not in job.quick("status", at=hour(13)).stdout


def test_mute_lists_replaces_and_prints_json(job: Job) -> None:
    assert mute(job, 1) == "nothing is muted: see `modelwatch mute --help`\n"
    mute(job, 1, "--scope", "local/prod", "--until", "2d")
    assert mute(job, 2, "--scope", "local/prod", "--until", "2026-05-09T08:00Z") == (
        "muted until 2026-05-09 08:00 UTC: scope local/prod\n"
    )
    (found,) = json.loads(mute(job, 3, "--json"))
    assert (found["since"], found["until"]) == (hour(2), "2026-05-09T08:00:00Z")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--scope", "local/nowhere"], "local/nowhere"),
        (["--model", "alpah"], "did you mean alpha"),
        (["--scope", "local/prod", "--until", "2026-04-30"], "has passed"),
        (["--scope", "local/prod", "--until", "soon"], "is no time to come"),
        (["--scope", "local/prod", "--until", "9" * 30 + "d"], "is no time to come"),
        (["--end"], "name what to mute"),
        (["--end", "--scope", "local/prod"], "no scope 'local/prod' is muted"),
        (["--end", "--scope", "local/prod", "--until", "2d"], "remove --until"),
    ],
)
def test_what_cannot_be_muted_is_named(job: Job, options: list[str], why: str) -> None:
    assert why in mute(job, 1, *options, code=2)
    assert "nothing is muted" in mute(job, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7d", "2026-05-08T00:00:00Z"),
        ("90m", "2026-05-01T01:30:00Z"),
        ("2w", "2026-05-15T00:00:00Z"),
        ("2026-12-24", "2026-12-24T00:00:00Z"),
        ("2026-12-24T08:00+02:00", "2026-12-24T06:00:00Z"),
        ("2026-12-24T08:00Z", "2026-12-24T08:00:00Z"),
    ],
)
def test_a_mute_ends_after_a_time_or_at_one(text: str, expected: str) -> None:
    assert parse_end(text, NOW) == expected
