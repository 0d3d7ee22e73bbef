"""Held answers and pending removals, in runs of the command against a gateway."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_string
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from support.e2e import Done, Job

from pipeline.core.times import iso
from pipeline.simulator import Gateway

BEGIN = datetime(2026, 5, 1, 8, tzinfo=UTC)
MODELS = [f"model-{number}" for number in range(10)]
PUBLIC = MODELS[:3]
PROD = "sk-prod-12345678"


class Runs:
    """A home that asks a gateway with a key and anonymously, half-hourly."""

    def __init__(self, job: Job, gateway: Gateway) -> None:
        self.job = job
        self.gateway = gateway
        self.at = BEGIN
        self.offered = {*MODELS}

    def run(self, *, times: int = 1, minutes: float = 30) -> Done:
        """Run so many times; return the last run."""
        for _ in range(times):
            done = self.job.quick("run", at=iso(self.at))
            self.at += timedelta(minutes=minutes)
        return done

    def ask(self, *arguments: str) -> Done:
        """Run another command."""
        return self.job.quick(*arguments, at=iso(self.at))

    def changes(self) -> list[tuple[str, str, str]]:
        """Return time, kind and model of each event so far."""
        found = self.ask("changes", "--since", "2026-01-01", "--json").json()
        return [(each["at"][11:16], each["kind"], each["model"]) for each in found]

    def scope(self, name: str = "prod") -> dict[str, Any]:
        """Return a scope as `scopes` shows it."""
        found = self.ask("scopes", "--json").json()
        return next(each for each in found if each["scope"] == f"local/{name}")

    def offers(self, *models: str) -> None:
        """Offer the key these models only."""
        gone = self.offered - {*models}
        if gone:
            self.gateway.drops(*gone, of="vip")
        if models:
            self.gateway.offers(*models, to="vip")
        self.offered = {*models}

    def revokes(self) -> None:
        """Disable the key at a gateway that then gives it the anonymous list."""
        self.gateway.falls_back()
        self.gateway.key(PROD, status="disabled")

    def mails(self) -> list[str]:
        """Return the mails so far, oldest first."""
        return [path.read_text("utf-8") for path in sorted((self.job.home / "mails").rglob("*.eml"))]


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    with Gateway() as gateway:
        gateway.offers(*MODELS, to="vip")
        gateway.offers(*PUBLIC)
        gateway.key(PROD, group="vip")
        job = Job(tmp_path / "home", {"PROD": PROD})
        scopes = {"prod": 'key = "env:PROD"', "public": ""}
        job.asks(gateway.url, scopes=scopes, confirm_after="2h", attempts=1)
        yield Runs(job, gateway)


def watched(runs: Runs, *models: str) -> None:
    """Watch models, and have mails written for each run."""
    names = ", ".join(f'"{model}"' for model in models)
    text = runs.job.config.read_text("utf-8")
    runs.job.configure(
        f"{text}\n[watch]\nmodels = [{names}]\n\n[destinations.team]\n"
        'type = "eml"\ndirectory = "mails"\nfrom = "mw@acme.example"\nto = ["a@acme.example"]\n'
    )


def text_of(mail: str) -> str:
    """Return the plain text of a mail, on one line."""
    body = message_from_string(mail, policy=default).get_body(("plain",))
    assert body is not None
    return " ".join(body.get_content().split())


def test_half_an_hour_of_polling_does_not_make_an_outage_of_an_hour_a_removal(runs: Runs) -> None:
    runs.run()
    runs.offers(*MODELS[1:])
    runs.run(times=3)
    runs.offers(*MODELS)
    runs.run(times=6)
    assert runs.changes() == []


def test_a_removal_is_reported_after_two_hours_and_dated_from_its_first_miss(runs: Runs) -> None:
    runs.run()
    runs.offers(*MODELS[1:])
    runs.run(times=4)
    assert runs.changes() == []
    assert runs.scope()["pending_models"] == ["model-0"]
    assert "1 pending removal, not confirmed yet: model-0" in runs.ask("status").stdout
    runs.run()
    assert runs.changes() == [("10:30", "removed", "model-0")]
    assert runs.scope()["pending_models"] == []


def test_with_confirm_after_zero_answers_alone_confirm(runs: Runs) -> None:
    text = runs.job.config.read_text("utf-8")
    runs.job.configure(text.replace('confirm_after = "2h"', 'confirm_after = "0"'))
    runs.run()
    runs.offers(*MODELS[1:])
    runs.run(times=2)
    assert runs.changes() == [("09:00", "removed", "model-0")]


def test_runs_a_second_apart_do_not_confirm(runs: Runs) -> None:
    text = runs.job.config.read_text("utf-8")
    runs.job.configure(text.replace('confirm_after = "2h"', 'confirm_after = "0"'))
    runs.run()
    runs.offers(*MODELS[1:])
    runs.run(times=5, minutes=1 / 60)
    assert runs.changes() == []
    runs.run(minutes=1)
    assert runs.changes() == []
    runs.run()
    assert [model for _, _, model in runs.changes()] == ["model-0"]


def test_watch_shows_at_once_how_far_a_pending_removal_is_confirmed(runs: Runs) -> None:
    watched(runs, "model-0")
    runs.run()
    runs.offers(*MODELS[1:])
    runs.run()
    text = (
        "may be missing since 2026-05-01 08:30, 1 of 2 answers, removed after 1 more, "
        "at the earliest 2026-05-01 10:18"
    )
    assert f"{text}: local/prod" in runs.ask("watch").stdout
    (model,) = runs.ask("watch", "--json").json()["models"]
    (finding,) = model["findings"]
    assert (finding["answers"], finding["answers_needed"]) == (1, 2)
    assert finding["earliest"] == "2026-05-01T10:18:00Z"
    (row,) = runs.ask("watch", "--csv").rows()
    assert (row["answers"], row["answers_needed"], row["earliest"]) == ("1", "2", "2026-05-01T10:18:00Z")
    runs.run(times=2)
    assert "3 of 2 answers" not in runs.ask("watch").stdout
    runs.run(times=2)
    assert "      removed, missing since 2026-05-01 08:30: local/prod" in runs.ask("watch").stdout


def test_a_watched_pending_removal_is_mailed_at_once_and_once(runs: Runs) -> None:
    watched(runs, "model-0")
    runs.run()
    before = len(runs.mails())
    runs.offers(*MODELS[1:])
    done = runs.run()
    assert "! model-0  may be missing since 2026-05-01 08:30, 1 of 2 answers" in done.stderr
    (mail,) = runs.mails()[before:]
    assert "model-0" in mail
    runs.run(times=2)
    assert len(runs.mails()) == before + 1
    runs.run(times=2)
    assert len(runs.mails()) == before + 2


def test_a_key_that_falls_back_to_the_anonymous_list_stays_held(runs: Runs) -> None:
    runs.run()
    runs.revokes()
    done = runs.run(times=4)
    text = "prod now gets exactly the anonymous list. Was its key revoked?"
    assert done.code == 5
    assert text in runs.ask("status").stdout
    check = runs.ask("check")
    assert check.code == 5
    *table, advice = check.stdout.splitlines()
    assert advice == f"local/prod: {text} Set a valid key in $PROD."
    assert "anonymous list" in table[2]
    assert max(map(len, table)) <= 80
    assert f"{text} Set a valid key in $PROD. The answer stays held" in runs.ask("status").stdout
    assert runs.changes() == []
    assert runs.scope()["models"] == 10
    runs.gateway.key(PROD, group="vip")
    assert runs.run().code == 0
    assert runs.ask("check").code == 0
    assert runs.changes() == []


def test_the_anonymous_list_can_be_accepted(runs: Runs) -> None:
    runs.run()
    runs.revokes()
    runs.run(times=2)
    assert runs.ask("accept", "local/prod").code == 0
    assert runs.run().code == 0
    assert {model for _, _, model in runs.changes()} == set(MODELS[3:])


def test_a_fallback_is_urgent_in_one_mail(runs: Runs) -> None:
    watched(runs, "other")
    runs.run()
    before = len(runs.mails())
    runs.revokes()
    runs.run(times=10)
    (mail,) = runs.mails()[before:]
    assert mail.startswith("Subject: [modelwatch] urgent")
    cause = "prod now gets exactly the anonymous list. Was its key revoked?"
    assert f"{cause} Set a valid key in $PROD. The answer stays held" in text_of(mail)


def test_a_key_that_always_had_the_anonymous_list_is_never_held(runs: Runs) -> None:
    runs.gateway.key(PROD, group="default")
    runs.run()
    runs.gateway.drops("model-0", of="default")
    for _ in range(4):
        assert runs.run().code == 0
        assert runs.ask("check").code == 0
    runs.gateway.offers("model-0", "model-8", to="default")
    assert runs.run().code == 0


def test_a_hold_ends_on_an_answer_that_agrees(runs: Runs) -> None:
    runs.run()
    sizes = []
    for models in (MODELS[:4], MODELS[:5], MODELS[:5]):
        runs.offers(*models)
        code = runs.run().code
        sizes.append((code, runs.scope()["models"]))
    assert sizes == [(5, 10), (5, 10), (0, 5)]


def test_an_empty_list_needs_five_answers_and_six_hours(runs: Runs) -> None:
    runs.run()
    runs.offers()
    assert runs.run(times=11).code == 5
    assert runs.scope()["models"] == 10
    assert runs.run().code == 0
    assert runs.scope()["models"] == 0


def test_two_back_ends_in_turn_are_reported_once_with_both_sizes(runs: Runs) -> None:
    watched(runs, "unknown")
    runs.gateway.alternates([*MODELS[4:], "x", "y"], to="vip")
    assert [runs.run().code for _ in range(25)] == [0, 5, 0, *[5] * 22]
    text = "two lists alternate: 10 and 8 models; 2 models are only in some answers: x, y"
    assert text in runs.ask("status").stdout
    assert runs.changes() == []
    mails = len(runs.mails())
    assert sum(text in text_of(mail) for mail in runs.mails()) == 1
    runs.gateway.alternates(None, to="vip")
    runs.run(times=4)
    assert runs.run().code == 0
    assert runs.scope()["models"] == 10
    assert len(runs.mails()) <= mails + 1
