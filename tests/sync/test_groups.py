"""The groups of a New-API user: those that vanish retire once that is confirmed, and may come back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.e2e import Done, Job

from pipeline.core.times import iso
from pipeline.maintenance import dialects_of, verify
from pipeline.simulator import Gateway
from pipeline.store import Store

BEGIN = datetime(2026, 5, 1, 8, tzinfo=UTC)
MODELS = [f"model-{number:03}" for number in range(208)]


class Groups:
    """A home that asks for all groups of a user of a gateway, half-hourly."""

    def __init__(self, job: Job, gateway: Gateway) -> None:
        self.job = job
        self.gateway = gateway
        self.at = BEGIN

    def run(self, *, times: int = 1) -> Done:
        """Run so many times; return the last run."""
        for _ in range(times):
            done = self.job.quick("run", "--verbose", at=iso(self.at))
            self.at += timedelta(minutes=30)
        return done

    def events(self) -> list[tuple[str, str]]:
        """Return the kind and the model of each event in the reports so far, oldest first."""
        found = self.job.quick("changes", "--since", "2026-01-01", "--json", at=iso(self.at)).json()
        return [(each["kind"], each["model"]) for each in found]

    def coverage(self) -> dict[str, dict[str, Any]]:
        """Return each scope as `scopes` shows it."""
        found = self.job.quick("scopes", "--json", at=iso(self.at)).json()
        return {each["scope"]: each for each in found}

    def outcomes(self, scope: str) -> list[str]:
        """Return the outcomes of all sightings of a scope."""
        with Store.read(self.job.database) as store:
            assert [problem for each in verify(store, dialects_of(())) for problem in each.problems] == []
            rows = store.rows("select name from sightings order by id")
        return [row["name"].partition(" ")[2] for row in rows if row["name"].startswith(f"{scope} ")]


@pytest.fixture
def groups(tmp_path: Path) -> Iterator[Groups]:
    with Gateway() as gateway:
        gateway.group("vip")
        gateway.group("svip", ratio=0.5)
        gateway.offers("lyra", "vega", to="vip")
        gateway.offers(*MODELS, to="svip")
        gateway.user("ada", group="vip", access_token="ada-access-token-1234")
        job = Job(tmp_path / "home", env={"TOKEN": "ada-access-token-1234"})
        user = gateway.accounts.users[0].id
        inside = f'access_token = "env:TOKEN", user_id = {user}, groups = "all"'
        job.asks(gateway.url, scopes={"ada": inside}, confirm_after="2h")
        yield Groups(job, gateway)


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
    assert groups.events() == [("removed", "group:svip")]
    assert groups.coverage()["local/ada.svip"]["state"] == "retired"
    groups.run(times=20)
    assert groups.events() == [("removed", "group:svip")]
    assert groups.outcomes("local/ada.svip") == ["baseline", "retired"]
    assert groups.coverage()["local/ada.svip"]["last_answered"] == iso(BEGIN)


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
    assert groups.events() == [("removed", "group:svip"), ("returned", "group:svip"), ("added", "new")]
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
    assert groups.events() == [("removed", "group:svip"), ("returned", "group:svip")]
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
