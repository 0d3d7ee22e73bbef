"""Changes of shape, and the classes of fields, through the command: what is reported, to whom, how loud."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from support.e2e import Job, valid

from pipeline.core.times import iso
from pipeline.simulator import Gateway

FIRST = datetime.fromisoformat("2026-05-01T06:00:00+00:00")

DESTINATIONS = """
[destinations.each]
type = "eml"
directory = "each"

[destinations.urgent]
type = "eml"
directory = "urgent"
severity = "urgent"

[watch]
models = ["watched"]
"""

TEN = ("altair", "castor", "deneb", "izar", "lyra", "mira", "pollux", "rigel", "spica", "vega")
FIVE = TEN[:5]


WORDS = {
    "en": "context_length: lost by 9 of 10 models",
    "ja": "context_length：10モデル中9モデルでなくなりました",
    "zh-CN": "context_length：10 个模型中有 9 个失去该字段",
}
"""One line of a report by its language."""


class Play:
    """A gateway and a home with a mail for each run and one for what is urgent."""

    def __init__(self, gateway: Gateway, job: Job) -> None:
        self.gateway = gateway
        self.job = job
        self.hours = 0
        self.offered: set[str] = set()

    def run(self, *words: str, **offers: dict[str, Any]) -> str:
        """Offer exactly these models with their fields, and run with these options; return the output."""
        for model in self.offered - offers.keys():
            self.gateway.drops(model)
        for model, fields in offers.items():
            self.gateway.offers(model, **fields)
        self.offered = set(offers)
        self.hours += 1
        done = self.job.quick("run", *words, at=iso(FIRST + timedelta(hours=self.hours)))
        assert done.code == 0, done
        return done.stdout

    def events(self) -> list[dict[str, Any]]:
        """Return every change as JSON."""
        return [valid(change, "change") for change in self.job.quick("changes", "--json").json()]

    def seen(self) -> list[tuple[str, str, tuple[str, ...], bool, bool]]:
        """Return of each change: kind, model or models, fields, and whether it is loud and urgent."""
        return [
            (
                event["kind"],
                event["model"] or f"{len(event['models'])} of {event['listed']}",
                tuple(field["field"] for field in event["fields"]),
                not event["quiet"],
                event["urgent"],
            )
            for event in self.events()
        ]

    def steps(self) -> list[str | None]:
        """Return how each changed field is marked."""
        marks = [field.get("flapping", {}) for event in self.events() for field in event["fields"]]
        return [mark.get("step") for mark in marks]

    def mail(self, name: str = "each") -> str:
        """Return the last mail to a destination: its subject and text."""
        mail = message_from_bytes(self._files(name)[-1].read_bytes(), policy=policy.default)
        return f"{mail['subject']}\n{mail.get_body(('plain',)).get_content()}"  # type: ignore[union-attr]

    def mails(self, name: str = "each") -> int:
        """Return the number of mails to a destination."""
        return len(self._files(name))

    def _files(self, name: str) -> Sequence[Path]:
        return sorted((self.job.home / name).glob("*.eml"))

    def check(self) -> None:
        """Verify the database, rebuild it, and compare its changes."""
        before = self.events()
        for command in ("verify", "rebuild", "verify"):
            done = self.job.quick(command)
            assert done.code == 0, done
        assert self.events() == before


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    job = Job(tmp_path / "home")
    with Gateway() as gateway:
        job.asks(gateway.url)
        job.configure(job.config.read_text("utf-8") + DESTINATIONS)
        yield Play(gateway, job)


def alike(models: Sequence[str], **fields: Any) -> dict[str, dict[str, Any]]:
    return dict.fromkeys(models, fields)


FIRST_VALUES = [
    pytest.param({"shutdown_date": "2026-12-20"}, "lifecycle", True, id="shutdown_date"),
    pytest.param({"end_date": "2026-12-20"}, "lifecycle", True, id="end_date"),
    pytest.param({"promotion": {"end_date": "2026-12-20"}}, "other", False, id="promotion"),
    pytest.param({"deprecated": True}, "lifecycle", True, id="deprecated"),
    pytest.param({"status": "deprecated"}, "lifecycle", True, id="status"),
    pytest.param({"pricing": {"input": 2}}, "price", True, id="pricing"),
    pytest.param({"context_length": 8192}, "limits", False, id="context_length"),
]


@pytest.mark.parametrize(("fields", "category", "urgent"), FIRST_VALUES)
@pytest.mark.parametrize("model", ["watched", "lyra"])
def test_the_first_and_the_last_value_of_one_model_are_reported(
    play: Play, model: str, fields: dict[str, Any], category: str, *, urgent: bool
) -> None:
    others = alike([*FIVE[:4], "watched", "lyra"])
    play.run(**others)
    play.run(**others | {model: fields})
    play.run(**others)
    appeared, vanished = play.events()
    for event in (appeared, vanished):
        assert (event["kind"], event["model"], event["quiet"]) == ("changed", model, False)
        assert [field["class"] for field in event["fields"]] == [category]
        assert event["urgent"] == (urgent and model == "watched")
    assert play.mails() == 3
    assert play.mails("urgent") == (2 if urgent and model == "watched" else 0)
    play.check()


def test_nine_of_ten_models_lose_a_limit_in_one_loud_line(play: Play) -> None:
    play.run(**alike(TEN, context_length=8192))
    line = "context_length: lost by 9 of 10 models"
    changed = alike(TEN[:9]) | {"vega": {"context_length": 8192}}
    assert line in play.run("--dry-run", **changed)
    play.run(**changed)
    assert play.seen() == [("shape", "9 of 10", ("context_length",), True, False)]
    (event,) = play.events()
    assert (event["models"], event["severity"], event["prices"]) == (list(TEN[:9]), "breaking", [])
    assert event["fields"] == [
        {"field": "context_length", "class": "shape", "shape_of": "limits", "before": 8192}
    ]
    report = play.job.latest()
    assert report["totals"] == {"added": 0, "removed": 0, "returned": 0, "changed": 0, "shape": 1, "group": 0}
    (row,) = play.job.latest_rows()
    assert (row["kind"], row["model"], row["field"], row["before"], row["after"]) == (
        "shape",
        "",
        "context_length",
        "8192",
        "",
    )
    assert (row["class"], row["models"], row["shape_of"]) == ("shape", "9", "limits")
    mail = play.mail()
    assert mail.count("lost by 9 of 10 models") == 1
    assert "1 field lost by most models" in mail.splitlines()[0]
    assert mail.count("altair") == 1
    assert play.job.quick("changes").stdout.count(line) == 1
    assert "context 8,192 → none" in play.job.quick("history", "deneb").stdout
    for language, words in WORDS.items():
        text = play.job.quick(
            "report", "--since", "2026-05-01T07:30", "--as", "txt", "--language", language
        ).stdout
        assert text.count(words) == 1
    difference = play.job.quick("diff", "#1", "#2")
    assert line in difference.stdout
    assert play.job.quick("diff", "#1", "#2", "--json").json()["compared"][0]["changes"][0]["models"]
    play.check()


def test_a_watched_model_keeps_its_own_values_in_a_change_of_shape(play: Play) -> None:
    models = (*TEN[:9], "watched")
    play.run(**alike(models, pricing={"input": 2, "output": 4}, old=1))
    play.run(**alike(models))
    fields = ("old", "pricing.input", "pricing.output")
    assert play.seen() == [
        ("changed", "watched", fields, True, True),
        ("shape", "9 of 10", fields, True, False),
    ]
    assert {field["class"] for field in play.events()[0]["fields"]} == {"other", "price"}
    assert play.mails("urgent") == 1
    assert "watched" in play.mail("urgent").splitlines()[0]
    play.check()


@pytest.mark.parametrize(
    ("changing", "lost", "gained"),
    [
        pytest.param(5, ["5 of 5"], ["5 of 5"], id="all of five"),
        pytest.param(4, ["4 of 5"], ["4 of 5"], id="four of five"),
        pytest.param(3, list(FIVE[:3]), list(FIVE[:3]), id="three of five"),
    ],
)
def test_four_of_five_are_a_change_of_shape(
    play: Play, changing: int, lost: list[str], gained: list[str]
) -> None:
    full, plain = alike(FIVE, context_length=8), alike(FIVE)
    some = dict(list(full.items())[:changing])
    play.run(**full)
    play.run(**full | alike(FIVE[:changing]))
    play.run(**full)
    names = [name for _, name, *_ in play.seen()]
    # Where a model had the field, five of six or more gain it; four of five do.
    assert names == [*lost, *gained]
    play.run(**plain | some)
    play.check()


def test_a_list_of_four_has_no_shape(play: Play) -> None:
    play.run(**alike(TEN[:4], context_length=8))
    play.run(**alike(TEN[:4]))
    assert [name for _, name, *_ in play.seen()] == list(TEN[:4])


def test_a_gain_and_a_loss_in_one_run_are_two_events(play: Play) -> None:
    play.run(**alike(TEN, context_length=8))
    play.run(**alike(TEN, limits={"context": 8}, hosts=[{"price": 1}, {"price": 2}]))
    assert play.seen() == [
        ("shape", "10 of 10", ("hosts.*.price", "limits.context"), True, False),
        ("shape", "10 of 10", ("context_length",), True, False),
    ]
    shown = play.job.quick("changes").stdout
    assert "  ~ hosts.*.price, limits.context: new in 10 of 10 models: altair, castor" in shown
    assert "  ~ context_length: lost by 10 of 10 models: altair, castor" in shown
    play.check()


def test_models_that_come_and_go_in_the_same_run_do_not_count(play: Play) -> None:
    play.run(**alike(TEN, context_length=8))
    rest = alike([*TEN[2:], "nova", "sirius"])
    play.run(**rest)
    play.run(**rest)
    assert play.seen() == [
        ("shape", "8 of 10", ("context_length",), True, False),
        ("added", "nova", (), True, False),
        ("added", "sirius", (), True, False),
        ("removed", "altair", (), True, False),
        ("removed", "castor", (), True, False),
    ]
    play.check()


def test_another_order_of_rows_is_no_change(play: Play) -> None:
    play.run(**alike(TEN, context_length=8))
    play.gateway.shuffles()
    play.run(**alike(TEN, context_length=8))
    assert play.seen() == []


def test_a_shape_of_fields_that_do_not_matter_is_quiet(play: Play) -> None:
    play.run(**alike(TEN))
    play.run(**alike(TEN, family="sky", shutdown_date=None, max_output=0))
    assert play.seen() == [("shape", "10 of 10", ("family", "max_output", "shutdown_date"), False, False)]
    assert play.mails() == 1
    assert "(1 quiet: --all shows them)" in play.job.quick("changes").stdout
    assert "family, max_output, shutdown_date: new in 10 of 10 models" in (
        play.job.quick("changes", "--all").stdout
    )


def test_a_price_that_moves_to_another_field_and_changes_is_a_change_of_its_model(play: Play) -> None:
    play.job.configure(
        play.job.config.read_text("utf-8").replace(
            "[destinations.each]",
            '[gateways.local.prices]\nunit = "1m"\ninput = "price"\n\n[destinations.each]',
            1,
        )
    )
    play.run(**{model: {"price": 2} for model in TEN})
    play.run(**{model: {} for model in TEN[1:]} | {"altair": {"price": 3}})
    assert play.seen() == [
        ("changed", "altair", ("price",), True, False),
        ("shape", "9 of 10", ("price",), True, False),
    ]
    play.check()


def test_counters_are_quiet_and_limits_of_use_are_not(play: Play) -> None:
    def offer(number: int) -> dict[str, Any]:
        return {"downloads": number, "stats": {"likes": number}, "runCount": number, "popularity": number / 7}

    play.run(**alike(FIVE, **offer(1)))
    play.run(**alike(FIVE, **offer(2)))
    assert {(loud, urgent) for *_, loud, urgent in play.seen()} == {(False, False)}
    assert {field["class"] for event in play.events() for field in event["fields"]} == {"counters"}
    assert play.mails() == 1
    play.run(**alike(FIVE, **offer(2) | {"max_runs": 8}))
    play.run(**alike(FIVE[1:], **offer(2) | {"max_runs": 8}) | {"altair": offer(2) | {"max_runs": 4}})
    assert [(each[0], each[1], each[3]) for each in play.seen()[5:]] == [
        ("shape", "5 of 5", True),
        ("changed", "altair", True),
    ]
    play.check()


def test_a_status_that_is_a_number_is_no_stage(play: Play) -> None:
    play.run(watched={"status": 1}, lyra={"status": 1})
    play.run(watched={"status": 2}, lyra={"status": 1})
    (event,) = play.events()
    assert (event["urgent"], event["fields"][0]["class"]) == (False, "other")
    assert "lifecycle" not in play.job.quick("model", "watched").stdout
    play.check()


@pytest.mark.parametrize(("models", "is_date"), [(FIVE, False), (FIVE[:3], False), (FIVE[:2], True)])
def test_a_created_that_all_rows_share_is_no_date(
    play: Play, models: Sequence[str], *, is_date: bool
) -> None:
    play.run(**alike(models, created=1_700_000_000))
    assert ("2023-11-14" in play.job.quick("models").stdout) == is_date
    play.run(**alike(models, created=1_700_000_000, context_length=8))
    assert ("2023-11-14" in play.job.quick("models").stdout) == is_date
    play.check()


def test_a_created_of_its_own_is_a_date_beside_a_shared_one(play: Play) -> None:
    play.run(**alike(FIVE, created=1_700_000_000) | {"vega": {"created": 1_600_000_000}})
    assert "2020-09-13" in play.job.quick("models").stdout
    play.check()


def test_the_class_of_a_field_follows_from_the_facts_of_the_config(play: Play) -> None:
    play.job.configure(
        play.job.config.read_text("utf-8").replace(
            "[destinations.each]",
            '[gateways.local.facts]\ncontext_length = "room"\ndeprecated_at = "until"\nfeatures = "skills"\n'
            '[gateways.local.prices]\nunit = "1m"\ninput = "in"\n\n[destinations.each]',
            1,
        )
    )
    play.run(watched={"room": 8, "in": 1, "skills": {"seeing": True}, "vendor": "a"}, lyra={})
    changed = {"room": 4, "in": 2, "until": "2027-01-01", "skills": {"hearing": True}, "vendor": "b"}
    play.run(watched=changed, lyra={})
    (event,) = play.events()
    assert {field["field"]: field["class"] for field in event["fields"]} == {
        "in": "price",
        "room": "limits",
        "skills.hearing": "capabilities",
        "skills.seeing": "capabilities",
        "until": "lifecycle",
        "vendor": "text",
    }
    assert event["urgent"]
    play.check()


def with_context() -> dict[str, dict[str, Any]]:
    return {model: {"context_length": 8192} for model in TEN}


def without_context() -> dict[str, dict[str, Any]]:
    return {model: {} for model in TEN}


FLIPS = {
    "en": (
        "context_length: keeps being lost and regained by 10 of 10 models",
        "context_length: gone from 10 of 10 models after 7 changes in 6 h",
        "context_length: back with 10 of 10 models after 6 changes in 5 h",
    ),
    "ja": (
        "context_length：10モデル中10モデルで消失と復活を繰り返しています",
        "context_length：6時間に7回変更された後、10モデル中10モデルでなくなりました",
        "context_length：5時間に6回変更された後、10モデル中10モデルで戻りました",
    ),
    "zh-CN": (
        "context_length：10 个模型中有 10 个反复失去又恢复该字段",
        "context_length：在 6 小时内变更 7 次后，10 个模型中有 10 个不再有该字段",
        "context_length：在 5 小时内变更 6 次后，10 个模型中有 10 个恢复该字段",
    ),
}
"""By language: that a list keeps losing and regaining a field, and that it settled without it, or with it."""


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_field_that_a_list_loses_and_regains_is_announced_and_settled_in_one_line(
    play: Play, *, is_gone: bool
) -> None:
    play.run(**with_context())
    before = play.mails()
    for offers in (without_context, with_context) * 3:
        play.run(**offers())
    assert play.mails() == before + 2
    announced, gone, back = FLIPS["en"]
    assert announced in play.mail()
    assert "keeps changing" in play.mail().splitlines()[0]
    assert len([loud for *_, loud, _urgent in play.seen() if loud]) == 2
    assert len(play.seen()) == 6, "every step stays in the list of changes"
    assert play.steps() == [None, "announced", "repeated", "repeated", "repeated", "repeated"]
    for _ in range(27):
        play.run(**(without_context() if is_gone else with_context()))
    assert play.mails() == before + 3
    settled = gone if is_gone else back
    assert settled in play.mail()
    assert play.mail().count("settled at") == 1, "the list, and none of its models"
    event = play.events()[-1]
    assert (event["kind"], event["severity"]) == ("shape", "breaking" if is_gone else "notable")
    shown = play.job.quick("changes").stdout
    assert (shown.count(announced), shown.count(settled)) == (1, 1)
    assert "(keeps changing)" in play.job.quick("changes", "--all").stdout
    rows = play.job.quick("changes", "--csv").rows()
    assert [row["flapping"] for row in rows[:3]] == ["", "announced", "repeated"]
    assert rows[-1]["flapping"] == ("settled" if is_gone else "settled as before")
    for language, (_, without, with_it) in FLIPS.items():
        text = play.job.quick(
            "report", "--since", "2026-05-01T12:30", "--as", "txt", "--language", language
        ).stdout
        assert text.count(without if is_gone else with_it) == 1
    for form in ("html", "md"):
        report = play.job.quick("report", "--since", "2026-05-01T12:30", "--as", form).stdout
        assert report.count(settled.partition(": ")[2]) == 1
    play.check()


def test_the_fields_of_a_list_that_settle_after_unequal_changes_are_one_line(play: Play) -> None:
    play.run(**with_context())
    for number, offers in enumerate((without_context, with_context) * 3):
        own = {"vega": {"context_length": 8192}} if number == 2 else {}
        play.run(**offers() | own)
    for _ in range(27):
        play.run(**with_context())
    assert FLIPS["en"][2] in play.mail()
    play.check()


def test_a_model_that_joins_a_list_that_flips_is_not_announced_but_its_first_loss_is_reported(
    play: Play,
) -> None:
    play.run(**with_context())
    for offers in (without_context, with_context):
        play.run(**offers())
    play.run(**with_context(), nova={"context_length": 8192})
    before = play.mails()
    for fields in ({}, {"context_length": 8192}) * 3:
        play.run(**dict.fromkeys(TEN, fields), nova=fields)
    assert play.mails() == before + 1
    assert "context_length: lost by 1 of 11 models" in play.mail()
    play.check()


def test_a_model_that_was_reported_to_lose_a_field_with_a_list_that_flips_is_among_those_that_have_it_back(
    play: Play,
) -> None:
    play.run(**with_context())
    play.run(**without_context() | {"vega": {"context_length": 8192}})
    play.run(**with_context())
    assert "context_length: keeps being lost and regained by 9 of 10 models" in play.mail()
    play.run(**without_context())
    assert "context_length: lost by 1 of 10 models" in play.mail()
    before = play.mails()
    for _ in range(28):
        play.run(**with_context())
    assert play.mails() == before + 1
    assert "context_length: back with 10 of 10 models after 4 changes in 3 h" in play.mail()
    play.check()


def test_a_watched_model_that_loses_a_field_with_a_list_that_flips_is_reported_as_settled(play: Play) -> None:
    dated = alike([*TEN, "watched"], shutdown_date="2026-12-20")
    bare = alike([*TEN, "watched"])
    play.run(**dated)
    play.run(**bare | {"watched": dated["watched"]})
    for offers in (dated, bare, dated):
        play.run(**offers)
    assert "keeps changing" in play.mail()
    before = play.mails()
    for _ in range(27):
        play.run(**dated)
    assert play.mails() == before + 1
    assert "shutdown date settled at 20 Dec 2026, as before, after 2 changes in 1 h" in play.mail()
    assert "shutdown_date: back with 10 of 11 models after 4 changes in 3 h" in play.mail()
    play.check()


def priced(price: str, **others: str) -> dict[str, dict[str, Any]]:
    return {m: {"pricing": {"prompt": others.get(m, price), "completion": "0.000006"}} for m in TEN}


def without_price() -> dict[str, dict[str, Any]]:
    return {model: {} for model in TEN}


def test_prices_that_a_list_lost_and_regained_higher_are_rises_of_each_model(play: Play) -> None:
    play.run(**priced("0.000002"))
    play.run(**without_price())
    rise = "input $2.00 → $20.00 per 1M tokens (+900 %)"
    shown = play.run("--dry-run", **priced("0.000020"))
    assert rise in shown
    play.run(**priced("0.000020"))
    events = play.events()[1:]
    assert [event["kind"] for event in events] == ["changed"] * 10 + ["shape"]
    assert {event["severity"] for event in events} == {"breaking"}
    assert events[0]["fields"] == [
        {"field": "pricing.prompt", "class": "price", "before": "0.000002", "after": "0.000020"}
    ]
    (price,) = events[0]["prices"]
    assert (price["before"], price["after"], price["percent"]) == (2, 20, 900)
    assert [field["field"] for field in events[-1]["fields"]] == ["pricing.completion"]
    assert rise in play.mail()
    assert "10 price increases" in play.mail().splitlines()[0]
    assert rise in play.job.quick("changes").stdout
    assert rise in play.job.quick("history", "vega").stdout
    row = next(r for r in play.job.quick("changes", "--csv").rows() if r["model"] == "vega")
    assert (row["before_usd_per_1m"], row["after_usd_per_1m"]) == ("2", "20")
    net = play.job.quick("report", "--since", "2026-05-01T07:30", "--as", "txt").stdout
    assert rise in net
    assert "pricing.prompt: lost by" not in net
    play.check()


def test_one_price_of_many_that_is_back_higher_is_reported_beside_the_list(play: Play) -> None:
    play.run(**priced("0.000002"))
    play.run(**without_price())
    play.run(**priced("0.000002", vega="0.000020"))
    assert play.seen()[1:] == [
        ("changed", "vega", ("pricing.prompt",), True, False),
        ("shape", "9 of 10", ("pricing.prompt",), True, False),
        ("shape", "10 of 10", ("pricing.completion",), True, False),
    ]
    assert "input $2.00 → $20.00 per 1M tokens (+900 %)" in play.mail()
    before = play.mails()
    for _ in range(2):
        play.run(**without_price())
        play.run(**priced("0.000002", vega="0.000020"))
    assert play.mails() == before
    play.run(**without_price())
    play.run(**priced("0.000002", vega="0.000030"))
    assert play.mails() == before + 1
    assert "input $20.00 → $30.00 per 1M tokens (+50 %)" in play.mail()
    play.check()


def test_a_watched_price_that_a_list_lost_and_regained_is_marked_and_urgent_where_it_is_higher(
    play: Play,
) -> None:
    others = without_price()
    own = {"pricing": {"prompt": "0.000002", "completion": "0.000006"}}
    play.run(watched=own, **priced("0.000002"))
    play.run(watched={}, **others)
    play.run(watched=own, **priced("0.000002"))
    (event,) = [each for each in play.events()[2:] if each["model"] == "watched"]
    assert {price["flapping"]["step"] for price in event["prices"]} == {"announced"}
    play.run(watched={}, **others)
    urgent = play.mails("urgent")
    play.run(watched={"pricing": own["pricing"] | {"prompt": "0.000020"}}, **priced("0.000002"))
    assert play.mails("urgent") == urgent + 1
    assert "input $2.00 → $20.00 per 1M tokens (+900 %)" in play.mail("urgent")
    play.check()


def test_a_field_that_a_list_regains_and_keeps_is_not_reported_once_more(play: Play) -> None:
    play.run(**with_context())
    play.run(**without_context())
    before = play.mails()
    for _ in range(30):
        play.run(**with_context())
    assert play.mails() == before + 1
    play.check()


def test_a_watched_model_in_a_list_that_flips_is_announced_by_its_own_line(play: Play) -> None:
    play.run(watched={"context_length": 8192}, **with_context())
    before = play.mails()
    for fields in ({}, {"context_length": 8192}) * 3:
        play.run(watched=fields, **dict.fromkeys(TEN, fields))
    assert play.mails() == before + 2
    assert "watched" in play.mail()
    play.check()
