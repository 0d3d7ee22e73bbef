"""Values that keep changing, through the command: each mail, each row, and what ends an episode."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from support.e2e import Job, valid

from pipeline.core.times import iso
from pipeline.simulator import Gateway

FIRST = datetime.fromisoformat("2026-05-01T06:00:00+00:00")
LONG, SHORT = 1048576, 1000000


class Play:
    """A gateway and a home with mails for each run, a daily mail and an urgent one."""

    def __init__(self, gateway: Gateway, job: Job) -> None:
        self.gateway = gateway
        self.job = job
        self.hours = 0.0

    def run(self, *, hours: float = 1, **fields: Any) -> None:
        """Offer `vega` with these fields, run, and let time pass."""
        if fields:
            self.gateway.offers("vega", to=("default", "vip"), **fields)
        done = self.job.quick("run", at=self.now)
        assert done.code == 0, done
        self.hours += hours

    @property
    def now(self) -> str:
        """The time of the next run."""
        return iso(FIRST + timedelta(hours=self.hours))

    def mails(self, name: str = "each") -> list[str]:
        """Return the texts of the mails to a destination, oldest first."""
        files = sorted((self.job.home / name).glob("*.eml"))
        return [_text(file) for file in files]

    def events(self) -> list[dict[str, Any]]:
        """Return every change as JSON."""
        return [valid(change, "change") for change in self.job.quick("changes", "--json").json()]

    def steps(self) -> list[tuple[str, Any, Any, str | None]]:
        """Return each changed field: its path, its two sides, and how it is marked."""
        return [
            (field["field"], field.get("before"), field.get("after"), field.get("flapping", {}).get("step"))
            for event in self.events()
            for field in event["fields"]
        ]

    def check(self) -> None:
        """Verify the database, rebuild it, and compare its changes."""
        before = self.events()
        verified = self.job.quick("verify")
        assert verified.code == 0, verified
        rebuilt = self.job.quick("rebuild")
        assert rebuilt.code == 0, rebuilt
        assert self.job.quick("verify").code == 0
        assert self.events() == before


def _text(file: Path) -> str:
    mail = message_from_bytes(file.read_bytes(), policy=policy.default)
    body = mail.get_body(("plain",))  # type: ignore[attr-defined]
    return f"{mail['subject']}\n{body.get_content()}"


def _flat(mail: str) -> str:
    return " ".join(mail.split())


DESTINATIONS = """
[destinations.each]
type = "eml"
directory = "each"

[destinations.daily]
type = "eml"
directory = "daily"
every = "day"
at = "08:00"

[destinations.pressing]
type = "eml"
directory = "pressing"
severity = "urgent"

[watch]
models = ["watched"]
"""


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    """A gateway with `lyra`, `vega` and more, asked anonymously and with a key; its first run is recorded."""
    job = Job(tmp_path / "home", {"PROD": "sk-prod-12345678"})
    with Gateway() as gateway:
        gateway.key("sk-prod-12345678", group="vip")
        gateway.offers("lyra", "orion", "lynx", "rigel", "watched", "vega", to=("default", "vip"))
        job.asks(gateway.url, scopes={"public": "", "prod": 'key = "env:PROD", group = "vip"'}, attempts=1)
        job.configure(job.config.read_text("utf-8") + DESTINATIONS)
        yield Play(gateway, job)


def test_a_limit_that_keeps_changing_gives_at_most_two_mails(play: Play) -> None:
    for value in (LONG, SHORT, LONG, SHORT, LONG, SHORT, LONG):
        play.run(context_length=value)
    first, reported, announced = play.mails()
    assert "first answers" in first
    assert "1,048,576 → 1,000,000" in reported
    assert "context keeps changing between 1,048,576 and 1,000,000" in announced
    play.check()


def test_a_daily_mail_announces_it_once_and_then_where_it_settled(play: Play) -> None:
    for day in range(3):
        for hour in range(24):
            play.run(context_length=SHORT if (day + hour) % 2 else LONG)
    news = [mail for mail in play.mails("daily") if "vega" in mail]
    assert len(news) == 1
    assert "context keeps changing between 1,048,576 and 1,000,000, now 1,048,576" in _flat(news[0])
    for _ in range(72):
        play.run(context_length=SHORT)
    news = [mail for mail in play.mails("daily") if "vega" in mail]
    assert len(news) == 2
    assert "context settled at 1,000,000 (before: 1,048,576) after 69 changes in 2.9 days" in _flat(news[1])
    assert len([mail for mail in play.mails() if "vega" in mail]) == 3
    play.check()


def test_a_value_that_settles_where_it_was_is_reported_as_such(play: Play) -> None:
    for value in (LONG, SHORT, LONG, SHORT, LONG):
        play.run(context_length=value)
    for _ in range(25):
        play.run()
    settled = play.mails()[-1]
    assert "context settled at 1,048,576, as before, after 4 changes in 3 h" in settled
    assert "1 settled" in settled
    for _ in range(48):
        play.run()
    assert play.mails()[-1] == settled
    play.check()


def test_a_value_that_does_not_change_after_it_was_announced_is_not_reported_again(play: Play) -> None:
    for value in (LONG, SHORT, LONG):
        play.run(context_length=value)
    announced = play.mails()
    for _ in range(50):
        play.run()
    assert play.mails() == announced
    assert [step for *_, step in play.steps()] == [None, "announced"]
    play.check()


def test_every_step_stays_in_csv_and_json_and_is_marked(play: Play) -> None:
    for value in (LONG, SHORT, LONG, SHORT):
        play.run(context_length=value)
    for _ in range(24):
        play.run()
    assert play.steps() == [
        ("context_length", LONG, SHORT, None),
        ("context_length", SHORT, LONG, "announced"),
        ("context_length", LONG, SHORT, "repeated"),
        ("context_length", LONG, SHORT, "settled"),
    ]
    assert [event["quiet"] for event in play.events()] == [False, False, True, False]
    table = play.job.quick("changes", "--csv").rows()
    assert [row["flapping"] for row in table] == ["", "announced", "repeated", "settled"]
    history = play.job.quick("history", "vega", "--csv").rows()
    assert [row["flapping"] for row in history if row["scope"] == "local/prod"] == [
        "",
        "",
        "announced",
        "repeated",
        "settled",
    ]
    (settled,) = [field for event in play.events()[-1:] for field in event["fields"]]
    assert settled["flapping"] == {"step": "settled", "changes": 3, "seconds": 7200}


def test_the_commands_say_so_in_words(play: Play) -> None:
    for value in (LONG, SHORT, LONG, SHORT):
        play.run(context_length=value)
    for _ in range(24):
        play.run()
    shown = play.job.quick("changes").stdout
    assert "context keeps changing between 1,048,576 and 1,000,000" in shown
    assert "context settled at 1,000,000 (before: 1,048,576) after 3 changes in 2 h" in shown
    assert "(1 quiet: --all shows them)" in shown
    assert (
        "context 1,048,576 → 1,000,000 (−4.6 %) (keeps changing)" in play.job.quick("changes", "--all").stdout
    )
    timeline = play.job.quick("history", "vega").stdout
    assert timeline.count("(keeps changing)") == 1
    assert "settled at 1,000,000" in timeline


def test_the_price_of_a_watched_model_is_urgent_twice_and_then_quiet(play: Play) -> None:
    play.job.configure(
        play.job.config.read_text("utf-8").replace(
            "backoff", 'prices = { unit = "1m", input = "cost.in", output = "cost.out" }\nbackoff'
        )
    )
    for price in (2, 3, 2, 3, 2, 3):
        play.gateway.offers("watched", to=("default", "vip"), cost={"in": price, "out": 10})
        play.run()
    _, announced = play.mails("pressing")
    assert "input keeps changing between $2.00 and $3.00 per 1M tokens, now $2.00" in _flat(announced)
    assert announced.startswith("[modelwatch] urgent: watched: input keeps changing, now $2.00 (local")
    for _ in range(24):
        play.run()
    (settled,) = play.mails("pressing")[2:]
    assert "input settled at $3.00 per 1M tokens (before: $2.00) after 5 changes in 4 h" in _flat(settled)
    play.check()


def test_a_watched_price_that_settles_where_it_was_is_not_urgent(play: Play) -> None:
    for price in ("0.000002", "0.000003", "0.000002", "0.000003", "0.000002"):
        play.gateway.offers("watched", to=("default", "vip"), pricing={"prompt": price})
        play.run()
    assert len(play.mails("pressing")) == 2
    for _ in range(24):
        play.run()
    assert len(play.mails("pressing")) == 2
    assert "as before" in play.mails()[-1]


def test_a_new_value_of_a_limit_that_keeps_changing_is_reported_at_its_own_severity(play: Play) -> None:
    for value in (8192, 4096, 8192, 1024, 512, 1024, 8192, 16384):
        play.run(context_length=value)
    assert len(play.mails()) == 6
    assert [(event["severity"], event["quiet"]) for event in play.events()] == [
        ("breaking", False),
        ("breaking", False),
        ("breaking", False),
        ("breaking", False),
        ("quiet", True),
        ("quiet", True),
        ("notable", False),
    ]
    assert [step for *_, step in play.steps()] == [
        None,
        "announced",
        None,
        None,
        "repeated",
        "repeated",
        None,
    ]
    assert "context 8,192 → 1,024" in play.mails()[3]
    mails = play.mails()
    for _ in range(30):
        play.run()
    assert play.mails() == mails, "the last change was reported"
    play.check()


def test_a_new_price_or_end_of_a_watched_model_that_keeps_changing_is_urgent(play: Play) -> None:
    for price, end in ((2, 9), (3, 10), (2, 9), (3, 10), (90, 9), (91, 6), (90, 6)):
        play.gateway.offers(
            "watched",
            to=("default", "vip"),
            pricing={"prompt": price / 1_000_000, "completion": "0.00001"},
            shutdown_date=f"2026-{end:02}-01",
        )
        play.run()
    _, _, price, end = play.mails("pressing")
    assert "input $3.00 → $90.00 per 1M tokens (+2,900 %)" in price
    assert "1 Jun 2026" in end
    play.check()


def test_a_price_that_is_back_and_higher_is_a_rise_from_the_lost_one(play: Play) -> None:
    for pricing in ({"prompt": "0.000002"}, {}, {"prompt": None}, {"prompt": "0.000020"}):
        both = pricing and pricing | {"completion": "0.00001"}
        play.gateway.offers("watched", to=("default", "vip"), **({"pricing": both} if both else {}))
        play.run()
    (event,) = play.events()[-1:]
    assert "input $2.00 → $20.00 per 1M tokens (+900 %)" in play.mails("pressing")[-1]
    assert event["severity"] == "urgent"
    play.check()


@pytest.mark.parametrize("none", [None, ""])
def test_a_price_without_an_amount_is_removed(play: Play, none: str | None) -> None:
    for prices in (("0.000002", "0.00001"), (none, none), ("0.000020", "0.00001")):
        pricing = dict(zip(("prompt", "completion"), prices, strict=True))
        play.gateway.offers("watched", to=("default", "vip"), pricing=pricing)
        play.run()
    lost, back = play.mails("pressing")
    assert "input $2.00 per 1M tokens, removed" in lost
    assert "input $2.00 → $20.00 per 1M tokens (+900 %)" in back
    assert "output keeps changing between $10.00 per 1M tokens and none, now $10.00" in _flat(back)
    assert "pricing." not in lost + back
    play.check()


def test_two_fields_of_a_model_settle_each_in_its_time(play: Play) -> None:
    for first, second in ((1, 1), (2, 2), (1, 1), (2, 2), (1, 1), (2, 1), (1, 1)):
        play.run(context_length=first * 1000, max_output=second * 100)
    assert [step for *_, step in play.steps()] == [None, None, *["announced"] * 2, *["repeated"] * 6]
    for _ in range(24):
        play.run()
    settled = [(event["at"], event["fields"][0]["field"]) for event in play.events()[-2:]]
    assert settled == [
        ("2026-05-02T10:00:00Z", "max_output"),
        ("2026-05-02T12:00:00Z", "context_length"),
    ]
    play.check()


def test_a_new_change_beside_one_that_keeps_changing_is_reported(play: Play) -> None:
    for value in (LONG, SHORT, LONG):
        play.run(context_length=value, max_output=100)
    play.run(context_length=SHORT, max_output=50)
    last = play.mails()[-1]
    assert "output limit 100 → 50" in last
    assert "context" not in last


def test_a_value_that_returns_after_eight_days_is_reported_as_a_change(play: Play) -> None:
    for value in (LONG, SHORT, LONG, SHORT, LONG):
        play.run(hours=8 * 24, context_length=value)
    assert [step for *_, step in play.steps()] == [None] * 4
    assert len([mail for mail in play.mails() if "→" in mail]) == 4


def test_scopes_that_keep_changing_at_different_times_are_announced_each(play: Play) -> None:
    play.run(context_length=LONG)
    for value in (SHORT, LONG, SHORT, LONG):
        play.gateway.offers("vega", to="vip", context_length=value)
        play.run()
    for value in (SHORT, LONG, SHORT):
        play.gateway.offers("vega", to="default", context_length=value)
        play.run()
    marks = [
        ([scope.removeprefix("local/") for scope in event["scopes"]], event["fields"][0].get("flapping"))
        for event in play.events()
    ]
    assert [scopes for scopes, mark in marks if mark == {"step": "announced"}] == [["prod"], ["public"]]
    assert sum(mark == {"step": "repeated"} for _, mark in marks) == 3
    play.check()


def test_a_model_removed_and_back_keeps_its_episode_until_the_removal_is_confirmed(play: Play) -> None:
    for value in (LONG, SHORT, LONG):
        play.run(context_length=value)
    play.gateway.drops("vega")
    play.run()
    play.run(context_length=SHORT)
    assert play.steps()[-1] == ("context_length", LONG, SHORT, "repeated")
    play.check()
    play.gateway.drops("vega")
    for _ in range(8):
        play.run()
    assert play.events()[-1]["kind"] == "removed"
    play.run(context_length=LONG)
    assert play.events()[-1]["kind"] == "returned"
    assert play.steps()[-1] == ("context_length", SHORT, LONG, None)
    for _ in range(30):
        play.run()
    assert "settled" not in [step for *_, step in play.steps()]
    play.check()


@pytest.mark.parametrize("runs", [2, 3, 5, 29])
def test_an_episode_outlasts_a_prune_in_its_middle(play: Play, runs: int) -> None:
    for _ in range(40):
        play.run(hours=24, context_length=LONG)
    for number in range(runs):
        play.run(context_length=LONG if number % 2 else SHORT)
    before = play.events()
    pruned = play.job.quick("prune", "--keep", "1d", at=play.now)
    assert pruned.code == 0, pruned
    play.check()
    play.run(context_length=SHORT if runs % 2 == 0 else LONG)
    assert play.steps()[-1][3] == "announced" if runs == 1 else "repeated"
    play.check()
    for _ in range(24):
        play.run()
    *_, settled = play.steps()
    assert settled[3] == "settled"
    assert play.events()[-1]["fields"][0]["flapping"]["changes"] == runs + 1
    assert before
    play.check()


def test_an_import_announces_and_settles_by_the_times_of_the_answers(play: Play, tmp_path: Path) -> None:
    play.run()
    saved = tmp_path / "saved"
    saved.mkdir()
    for number in range(40):
        value = (LONG, SHORT)[number % 2] if number < 6 else SHORT
        at = iso(FIRST - timedelta(days=20) + timedelta(hours=number)).replace(":", "")
        rows = [{"id": name, "object": "model"} for name in ("lyra", "orion", "lynx", "rigel")]
        body = {"object": "list", "data": [*rows, {"id": "vega", "object": "model", "context_length": value}]}
        (saved / f"{at}.json").write_text(json.dumps(body), "utf-8")
    imported = play.job.quick("import", "local/old", str(saved), "--dialect", "openai")
    assert imported.code == 0, imported
    changes = play.job.quick("changes", "--json", "--scope", "local/old").json()
    marks = [change["fields"][0].get("flapping", {}).get("step") for change in changes]
    assert marks == [None, "announced", "repeated", "repeated", "repeated", "settled"]
    assert changes[-1]["at"] == iso(FIRST - timedelta(days=20) + timedelta(hours=29))
    play.check()


def test_a_change_of_the_clock_does_not_count_answers_twice(play: Play) -> None:
    for value in (LONG, SHORT, LONG, SHORT):
        play.run(context_length=value)
    play.hours += 30
    for _ in range(3):
        play.run(hours=1 / 3600)
    assert "settled" not in [step for *_, step in play.steps()]
    play.run(hours=0.1)
    play.run(hours=0.1)
    play.run(hours=0.1)
    assert play.steps()[-1][3] == "settled"


ALL = ("lyra", "orion", "lynx", "rigel", "vega")


def test_what_was_reported_stays_as_it_was_when_a_model_begins_to_flap_later(play: Play) -> None:
    def offer(*models: str, **fields: int) -> None:
        play.gateway.offers(*models, to=("default", "vip"), **fields)
        play.run()

    for number in range(9):
        offer(*ALL, **{} if number % 2 else {"context_length": 8192})
    for _ in range(27):
        play.run()
    settled = play.mails()[-1]
    assert "context_length: back with 5 of 6 models" in _flat(settled)
    until = play.now
    reports = [
        ("changes", "--json", "--until", until),
        ("changes", "--csv", "--until", until),
        ("report", "--since", iso(FIRST), "--until", until),
    ]
    before = [play.job.quick(*report, at=play.now).stdout for report in reports]
    for number in range(6):
        offer("lyra", context_length=4096 if number % 2 else 8192)
    assert [play.job.quick(*report, at=until).stdout for report in reports] == before
    play.check()


def test_the_end_of_a_watched_model_that_is_withdrawn_is_said_with_the_date_that_holds_now(
    play: Play,
) -> None:
    for date in ({}, {"shutdown_date": "2026-11-20"}, {}):
        play.gateway.offers("watched", to=("default", "vip"), **date)
        play.run()
    mail = play.mails("pressing")[-1]
    assert mail.startswith("[modelwatch] urgent: watched: shutdown date keeps changing, now none (local")
    assert "shutdown date keeps changing between 20 Nov 2026 and none, now none" in _flat(mail)


def test_the_history_of_a_price_that_is_back_names_no_change_of_nothing(play: Play) -> None:
    for price in ("0.000003", "0.000005", "0.000003"):
        play.gateway.offers("watched", to=("default", "vip"), pricing={"prompt": price})
        play.run()
    shown = play.job.quick("history", "watched").stdout
    assert "0.000003, as before, in 2 changes" in shown
    assert "+0 %" not in shown


def test_watch_names_the_time_of_a_price_change_and_forgets_it_when_the_price_is_back(play: Play) -> None:
    shown = []
    for price in ("0.000003", "0.000003", "0.000005", "0.000005", "0.000003", *[""] * 7):
        if price:
            play.gateway.offers("watched", to=("default", "vip"), pricing={"prompt": price})
        play.run(hours=24)
        shown.append(play.job.quick("watch", "--exit-code", at=play.now))
    assert [done.code for done in shown] == [0, 0, 1, 1, *[0] * 8]
    for done in shown[2:4]:
        assert "0.000003 → 0.000005" in done.stdout
        assert "since 2026-05-03 06:00" in done.stdout
