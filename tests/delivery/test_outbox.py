"""The outbox: everyone is told what is theirs, once, in its time, however often something is in the way."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.fakes import Script, moment

from pipeline.config import parse
from pipeline.core.times import iso
from pipeline.core.types import Secret
from pipeline.core.watchlist import NO_WATCH
from pipeline.delivery.outbox import MAX_ATTEMPTS, drop, enqueue, retry, settle
from pipeline.delivery.send import DeliverySummary, all_destinations, enqueue_and_send, send_due
from pipeline.delivery.types import DeliveryResult, DeliveryStatus, Destination
from pipeline.errors import DeliveryError
from pipeline.maintenance import dialects_of, prune, verify
from pipeline.store import Store
from pipeline.store.outbox import Delivery, deliveries
from pipeline.sync.cache import RunCache
from pipeline.sync.run import decide_and_record

HEAD = """
[gateways.acme]
url = "https://acme.example"
scopes = { prod = {}, test = {} }
"""


Destinations = tuple[Destination, ...]


def configured(home: Path, tables: str) -> Destinations:
    """Parse a config; return its destinations, with the reports directory."""
    config = parse(HEAD + tables, home / "modelwatch.toml")
    return all_destinations(config.reports, config.destinations)


def mailbox(name: str = "ops", *more: str) -> str:
    """Give a destination whose mails become files."""
    return "\n".join((f"[destinations.{name}]", 'type = "eml"', f'directory = "{name}"', *more, ""))


def deliver(store: Store, destinations: Destinations, at: int) -> DeliverySummary:
    """Enqueue and send what is due at the time of a run."""
    return enqueue_and_send(store, destinations, NO_WATCH, lambda: moment(at), Secret)


def subjects(home: Path, name: str = "ops") -> list[str]:
    """Give the subjects of the mails that a destination got, oldest first."""
    mails = sorted((home / name).glob("*.eml"))
    return [message_from_bytes(path.read_bytes(), policy=policy.default)["subject"] for path in mails]


def mine(store: Store, name: str = "ops", *states: str) -> list[Delivery]:
    """Give what is in the outbox for a destination."""
    return [each for each in deliveries(store, *states) if each.destination == name]


def test_each_run_with_news_is_a_mail(script: Script, tmp_path: Path) -> None:
    """And one without is none."""
    known = configured(tmp_path, mailbox())
    script.offers("acme/prod", "lyra")
    for at, model in enumerate(("", "vega", "", "corvus"), 1):
        script.adds("acme/prod", *filter(None, [model])).run()
        deliver(script.store, known, at)
    first, *rest = subjects(tmp_path)
    assert "acme/prod" in first or "irst" in first
    assert [name in subject for name, subject in zip(("added", "added"), rest, strict=True)] == [True, True]
    assert [each.until for each in mine(script.store)] == [1, 2, 4]


def test_a_mail_is_put_into_the_outbox_with_what_it_tells_of(script: Script, tmp_path: Path) -> None:
    """Per recipient, with an id of its own that stays."""
    known = configured(
        tmp_path,
        '[destinations.ops]\ntype = "smtp"\nserver = "127.0.0.1"\nport = 9\nsecurity = "none"\ntimeout = 1\n'
        'from = "watch <watch@watch.example>"\nto = ["a@example.com", "b@example.com"]\n',
    )
    script.offers("acme/prod", "lyra").run()
    handed = deliver(script.store, known, 1)
    assert [each.recipient for each in handed.failed] == ["a@example.com", "b@example.com"]
    with pytest.raises(DeliveryError, match=r"ops: a@example\.com: .*the next try is at"):
        handed.check()
    first, second = mine(script.store)
    assert first.message_id == second.message_id
    assert first.message_id is not None
    assert first.message_id.endswith("@watch.example>")
    assert (first.state, first.attempts, first.due_at) == ("waiting", 1, "2026-09-20T06:05:00Z")
    assert deliver(script.store, known, 1) == DeliverySummary(), "it waits for its time"
    assert [each.attempts for each in deliver(script.store, known, 2).failed] == [2, 2]


def test_what_is_too_little_is_not_told_and_does_not_come_back(script: Script, tmp_path: Path) -> None:
    """A destination for what breaks gets no mail of what came, and no second look at it."""
    known = configured(tmp_path, mailbox("ops", 'severity = "breaking"'))
    script.offers("acme/prod", "lyra", "vega").run()
    deliver(script.store, known, 1)
    script.adds("acme/prod", "corvus").run()
    deliver(script.store, known, 2)
    assert mine(script.store) == []
    script.drops("acme/prod", "lyra").run(times=2)
    deliver(script.store, known, 4)
    (delivery,) = mine(script.store)
    assert (delivery.since, delivery.until) == (2, 4)


def test_a_daily_mail_tells_of_its_day(script: Script, tmp_path: Path) -> None:
    """The net of all runs since the last one, at its time; a quiet day has no mail."""
    known = configured(tmp_path, mailbox("ops", 'every = "day"', 'at = "08:00"'))
    script.offers("acme/prod", "lyra")
    for at in range(1, 75):
        if at == 30:
            script.adds("acme/prod", "vega")
        if at == 32:
            script.adds("acme/prod", "corvus")
        script.run()
        deliver(script.store, known, at)
    # The first run is at six in the morning: at eight there is the first look, on the second day nothing.
    assert [each.at[:16] for each in mine(script.store)] == ["2026-09-20T08:00", "2026-09-22T08:00"]
    assert "2 added" in subjects(tmp_path)[1]


def test_an_empty_mail_comes_only_if_asked_for(script: Script, tmp_path: Path) -> None:
    """Then it says that there was nothing, at its time."""
    always = ('every = "day"', 'at = "08:00"', "empty = true")
    known = configured(tmp_path, mailbox("ops", *always))
    script.offers("acme/prod", "lyra")
    for at in range(1, 52):
        script.run()
        deliver(script.store, known, at)
    assert len(subjects(tmp_path)) == 3
    assert "1 of 1" in subjects(tmp_path)[2]


def test_a_new_destination_begins_with_the_newest_run(script: Script, tmp_path: Path) -> None:
    """It is not told of the months before; one that has left and comes again neither."""
    script.offers("acme/prod", "lyra").run()
    deliver(script.store, configured(tmp_path, ""), 1)
    script.adds("acme/prod", "vega").run()
    deliver(script.store, configured(tmp_path, ""), 2)
    script.adds("acme/prod", "corvus").run()
    deliver(script.store, configured(tmp_path, mailbox()), 3)
    assert [(each.since, each.until) for each in mine(script.store)] == [(2, 3)]
    for at in (4, 5):
        script.adds("acme/prod", f"cetus-{at}").run()
        deliver(script.store, configured(tmp_path, ""), at)
    script.adds("acme/prod", "ara").run()
    deliver(script.store, configured(tmp_path, mailbox()), 6)
    assert [(each.since, each.until) for each in mine(script.store)] == [(2, 3), (5, 6)]
    ids = [each.message_id for each in mine(script.store)]
    assert len({str(number).rpartition("@")[0].rpartition(".")[2] for number in ids}) == 1, (
        "it is still the same destination"
    )


def test_one_that_cannot_be_reached_does_not_stop_the_others(script: Script, tmp_path: Path) -> None:
    """What failed waits, and goes later with its own content."""
    known = configured(tmp_path, mailbox("broken") + mailbox("well"))
    (tmp_path / "broken").write_text("in the way")
    script.offers("acme/prod", "lyra").run()
    handed = deliver(script.store, known, 1)
    assert [each.destination for each in handed.failed] == ["broken"]
    assert len(subjects(tmp_path, "well")) == 1
    script.adds("acme/prod", "vega").run()
    deliver(script.store, known, 2)
    (tmp_path / "broken").unlink()
    deliver(script.store, known, 9)
    assert subjects(tmp_path, "broken") == subjects(tmp_path, "well")


def test_a_report_that_was_cut_off_is_sent_again_with_its_id(script: Script, tmp_path: Path) -> None:
    """Whoever gets it twice can see that it is one."""
    known = configured(tmp_path, mailbox())
    script.offers("acme/prod", "lyra").run()
    deliver(script.store, known, 1)
    with script.store.transaction():
        script.store.connection.execute("update deliveries set state = 'waiting'")
    before = {path.name: path.read_bytes() for path in (tmp_path / "ops").iterdir()}
    assert len(send_due(script.store, known, NO_WATCH, lambda: moment(2), Secret).sent) == 1 + 1
    assert {path.name: path.read_bytes() for path in (tmp_path / "ops").iterdir()} == before


@pytest.fixture
def unsteady(script: Script, tmp_path: Path) -> list[str]:
    """A scope fails at every second run, every hour for a day; gives the subjects of the mails."""
    known = configured(tmp_path, mailbox())
    script.offers("acme/prod", "lyra").offers("acme/test", "lyra").run()
    for at in range(1, 25):
        deliver(script.store, known, at)
        script.recovers("acme/prod") if "acme/prod" in script.failures else script.fails("acme/prod")
        script.run()
    return subjects(tmp_path)


def test_a_scope_that_keeps_failing_and_recovering_is_told_of_now_and_then(unsteady: list[str]) -> None:
    """At first at each step, then every six hours."""
    failed = "[modelwatch] urgent: not reachable (acme, 1 key)"
    well = "[modelwatch] 1 scope well again · acme"
    assert unsteady[1:] == [failed, well, failed, well, *[well] * 3]


def test_what_else_happens_meanwhile_is_told_at_once(
    script: Script, tmp_path: Path, unsteady: list[str]
) -> None:
    """A change, or another scope that fails; with it what had waited."""
    known = configured(tmp_path, mailbox())
    deliver(script.store, known, 25)
    script.adds("acme/test", "vega").run()
    deliver(script.store, known, 26)
    script.fails("acme/test").run()
    deliver(script.store, known, 27)
    assert len(subjects(tmp_path)) == len(unsteady) + 2
    assert "1 added" in subjects(tmp_path)[-2]


def test_an_outage_of_such_a_scope_that_lasts_is_told_too(
    script: Script, tmp_path: Path, unsteady: list[str]
) -> None:
    """At the end of the pause, though nothing more happened."""
    known = configured(tmp_path, mailbox())
    if "acme/prod" not in script.failures:
        script.fails("acme/prod")
    for at in range(25, 32):
        script.run()
        deliver(script.store, known, at)
    assert len(subjects(tmp_path)) == len(unsteady) + 1
    assert "not reachable" in subjects(tmp_path)[-1]


def smtp(*recipients: str, name: str = "ops") -> str:
    """Give a destination whose mail server is not there."""
    return (
        f'[destinations.{name}]\ntype = "smtp"\nserver = "127.0.0.1"\nport = 9\nsecurity = "none"\n'
        f'timeout = 1\nfrom = "watch@watch.example"\nto = {json.dumps(recipients)}\n'
    )


ANN, BOB = "ann@example.com", "bob@example.com"


@pytest.mark.parametrize(
    ("destinations", "left"),
    [(smtp(BOB), {ANN}), ("", {ANN, BOB}), (smtp(ANN, BOB, name="team"), {ANN, BOB})],
    ids=["a recipient", "the destination", "its name"],
)
def test_who_has_left_the_config_is_sent_nothing_more(
    script: Script, tmp_path: Path, destinations: str, left: set[str]
) -> None:
    """What waits for them is refused and said so once; it can be dropped, or sent when they are back."""
    script.offers("acme/prod", "lyra").run()
    deliver(script.store, configured(tmp_path, smtp(ANN, BOB)), 1)
    handed = deliver(script.store, configured(tmp_path, destinations), 2)
    refused = {each.recipient for each in mine(script.store, "ops", "refused")}
    assert refused == left
    assert left <= {each.recipient for each in handed.failed}
    with pytest.raises(
        DeliveryError, match=r"no longer in the config; not tried again; fix it, then run `modelwatch outbox"
    ):
        handed.check()
    again = deliver(script.store, configured(tmp_path, ""), 3)
    assert not left & {each.recipient for each in again.failed if each.destination == "ops"}
    retry(script.store, [each.id for each in mine(script.store)])
    tried = deliver(script.store, configured(tmp_path, smtp(ANN, BOB)), 4).failed
    assert {each.recipient for each in tried if "cannot be reached" in str(each.error)} == {ANN, BOB}


def test_templates_that_cannot_be_read_hold_nothing_up(script: Script, tmp_path: Path) -> None:
    """Their directory is named, and the mail goes in the built-in form."""
    (tmp_path / "own").mkdir()
    known = configured(tmp_path, mailbox("ops", 'templates = "own"'))
    (tmp_path / "own").rmdir()
    script.offers("acme/prod", "lyra").run()
    assert deliver(script.store, known, 1).problems == [
        f"ops: {tmp_path / 'own'}: cannot be read: No such file or directory; the built-in templates were used"
    ]
    assert len(subjects(tmp_path)) == 1


def test_a_directory_that_moved_is_still_the_receiver(script: Script, tmp_path: Path) -> None:
    """What could not be written into the old one is written into the new one."""
    (tmp_path / "ops").write_text("in the way")
    script.offers("acme/prod", "lyra").run()
    deliver(script.store, configured(tmp_path, mailbox()), 1)
    moved = configured(tmp_path, mailbox().replace('directory = "ops"', 'directory = "new"'))
    assert deliver(script.store, moved, 9).failed == []
    assert len(subjects(tmp_path, "new")) == 1


def test_one_that_left_and_is_back_at_once_is_told_nothing_twice(script: Script, tmp_path: Path) -> None:
    """There was no run between, so there is nothing new."""
    known = configured(tmp_path, mailbox())
    script.offers("acme/prod", "lyra").run()
    deliver(script.store, known, 1)
    script.adds("acme/prod", "vega").run()
    deliver(script.store, known, 2)
    deliver(script.store, configured(tmp_path, ""), 2)
    assert deliver(script.store, known, 2) == DeliverySummary()


def test_a_new_destination_begins_with_a_run_that_is_still_there(script: Script, tmp_path: Path) -> None:
    """The one before the newest may have been pruned."""
    script.offers("acme/prod", "lyra").run(times=9)
    deliver(script.store, configured(tmp_path, ""), 9)
    prune(script.store, dialects_of(()), bound=moment(20))
    deliver(script.store, configured(tmp_path, mailbox()), 9)
    assert [problem for check in verify(script.store, dialects_of(())) for problem in check.problems] == []


def test_a_report_is_of_a_run_and_not_of_what_was_imported_after_it(script: Script, tmp_path: Path) -> None:
    """An answer of last year that came in between does not date it."""
    known = configured(tmp_path, mailbox("ops", 'every = "day"', 'at = "08:00"'))
    script.offers("acme/prod", "lyra").run()
    deliver(script.store, known, 1)
    heard = {"acme/prod": script.answer("acme/prod")}
    recorder, scopes, at = RunCache(script.store), [script.scopes["acme/prod"]], "2025-01-01T00:00:00Z"
    with script.store.transaction():
        decide_and_record(heard, scopes, recorder, started_at=at, finished_at=at, imported=True)
    deliver(script.store, known, 3)
    assert [(each.until, each.at) for each in mine(script.store)] == [(1, moment(1))]


def test_a_clock_that_was_wrong_puts_nothing_off(script: Script, tmp_path: Path) -> None:
    """Set right, neither the daily report nor the next try waits for a year that is far ahead."""
    known = configured(tmp_path, mailbox("ops", 'every = "day"', 'at = "08:00"') + smtp(ANN, name="team"))
    script.offers("acme/prod", "lyra").run()
    deliver(script.store, known, 10_000)
    assert mine(script.store) == []
    assert [each.attempts for each in deliver(script.store, known, 1).failed] == [2]
    assert [each.state for each in mine(script.store)] == ["sent"]


def test_what_cannot_be_handed_over_costs_a_run_minutes_at_most(script: Script, tmp_path: Path) -> None:
    """The rest goes with the next run, before those who failed."""
    names = [f"d{number}" for number in range(9)]
    known = configured(tmp_path, "".join(smtp(ANN, name=name) for name in names))
    script.offers("acme/prod", "lyra").run()
    times = iter(range(10_000))

    def clock() -> str:
        return iso(datetime(2026, 9, 20, 6, tzinfo=UTC) + timedelta(minutes=next(times)))

    def failed() -> list[str]:
        return [
            each.destination for each in enqueue_and_send(script.store, known, NO_WATCH, clock, Secret).failed
        ]

    first = failed()
    assert first == names[: len(first)]
    assert 0 < len(first) < len(names)
    assert failed()[: len(names) - len(first)] == names[len(first) :]


def test_a_recipient_who_is_gone_does_not_make_each_run_a_failure(script: Script, waiting: Delivery) -> None:
    """Where others have the mail it is only said; where nobody has it the run failed."""
    gone = replace(waiting, recipient="gone", state="refused", error="550 no such user")
    DeliverySummary(sent=[waiting], failed=[gone]).check()
    (said,) = DeliverySummary(failed=[gone]).failures()
    assert said.startswith(
        "ops: gone: 550 no such user; not tried again; fix it, then run `modelwatch outbox --retry "
    )
    for handed in (
        DeliverySummary(failed=[gone]),
        DeliverySummary(sent=[waiting], failed=[replace(gone, state="waiting")]),
    ):
        with pytest.raises(DeliveryError):
            handed.check()


RECEIPTS = [
    (DeliveryResult(DeliveryStatus.SENT), "sent", None),
    (DeliveryResult(DeliveryStatus.REFUSED, "550 no such user"), "refused", None),
    (DeliveryResult(DeliveryStatus.RETRY, "451 busy"), "waiting", "2026-09-20T07:05:00Z"),
    (DeliveryResult(DeliveryStatus.RETRY, "429", retry_after=900), "waiting", "2026-09-20T07:15:00Z"),
    (DeliveryResult(DeliveryStatus.RETRY, "the disk is full", retry_after=0), "waiting", None),
]


@pytest.fixture
def waiting(script: Script, tmp_path: Path) -> Delivery:
    """Something waits in the outbox."""
    script.offers("acme/prod", "lyra").run()
    with script.store.transaction():
        enqueue(script.store, configured(tmp_path, mailbox()), NO_WATCH, at=moment(1))
    (delivery,) = mine(script.store)
    return delivery


@pytest.mark.parametrize(("receipt", "state", "due_at"), RECEIPTS)
def test_what_became_of_a_delivery_is_written_down(
    script: Script, waiting: Delivery, receipt: DeliveryResult, state: str, due_at: str | None
) -> None:
    """Its state, its next try, and why it was not taken."""
    now = settle(script.store, waiting, receipt, at=moment(2))
    assert (now.state, now.due_at, now.error, now.attempts) == (state, due_at, receipt.error, 1)
    assert now.sent_at == (moment(2) if state == "sent" else None)
    assert mine(script.store) == [now]


def test_tries_come_less_and_less_often_and_end(script: Script, waiting: Delivery) -> None:
    """Twice the wait each time, six hours at most; then somebody has to look."""
    due = []
    while waiting.state == "waiting":
        waiting = settle(
            script.store, waiting, DeliveryResult(DeliveryStatus.RETRY, "no answer"), at=moment(1)
        )
        due.append(waiting.due_at)
    assert len(due) == MAX_ATTEMPTS
    assert due[:3] == ["2026-09-20T06:05:00Z", "2026-09-20T06:10:00Z", "2026-09-20T06:20:00Z"]
    assert set(due[8:-1]) == {"2026-09-20T12:00:00Z"}
    assert (waiting.state, waiting.error) == ("refused", "failed 20 times, last: no answer")
    (again,) = retry(script.store, [waiting.id])
    assert again.id == waiting.id
    assert [(each.state, each.attempts, each.due_at) for each in mine(script.store)] == [("waiting", 0, None)]


def test_a_person_may_drop_what_waits(script: Script, waiting: Delivery) -> None:
    """It is never sent, and stays to be seen; what was sent cannot be taken back."""
    assert drop(script.store, [waiting.id, 99]) == [replace(waiting, state="dropped")]
    assert [each.state for each in mine(script.store)] == ["dropped"]
    assert drop(script.store, [waiting.id]) == []


steps = st.lists(
    st.sampled_from(["news", "quiet", "tell", "back", "ahead", "prune", "block", "free"]),
    min_size=1,
    max_size=18,
)
OFTEN = {"run": 'every = "run"', "day": 'every = "day"', "week": 'every = "week"'}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_nothing_is_lost_and_nothing_is_told_twice(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    """However runs, tellings, wrong clocks and obstacles follow one another, each change is in one mail."""
    home = tmp_path_factory.mktemp("home")
    known = configured(home, "".join(mailbox(name, every) for name, every in OFTEN.items()))
    with Store.open(None) as store:
        script = Script(store).offers("acme/prod", "lyra")
        script.run()
        deliver(store, known, 1)
        at = 1
        for number, step in enumerate(steps):
            match step:
                case "news":
                    script.adds("acme/prod", f"new-{number}").run()
                case "quiet":
                    script.run()
                case "back":
                    at -= 100
                case "ahead":
                    at += 1000
                case "prune":
                    prune(store, dialects_of(()), bound=moment(10_000))
                case "block":
                    _block(home)
                case "free":
                    _free(home)
                case _:
                    at += 12
                    deliver(store, known, at)
        _free(home)
        deliver(store, known, at + 200)
        assert deliveries(store, "waiting") == []
        windows = [[(each.since, each.until) for each in mine(store, name)] for name in OFTEN]
    assert all(before[1] <= after[0] for of_one in windows for before, after in pairwise(of_one))
    news = [f"new-{number}" for number, step in enumerate(steps) if step == "news"]
    for name in OFTEN:
        texts = [_csv(path.read_bytes()) for path in sorted((home / name).glob("*.eml"))]
        found = [model for text in texts for model in news if f"added,acme,{model}," in text]
        assert sorted(found) == sorted(news)


def _block(home: Path) -> None:
    for directory in [home / name for name in OFTEN if (home / name).is_dir()]:
        directory.rename(directory.with_suffix(".aside"))
        directory.write_text("in the way")


def _free(home: Path) -> None:
    for aside in home.glob("*.aside"):
        aside.with_suffix("").unlink()
        aside.rename(aside.with_suffix(""))


def _csv(mail: bytes) -> str:
    message = message_from_bytes(mail, policy=policy.default)
    found = [part for part in message.walk() if part.get_filename() == "changes.csv"]
    return "".join(part.get_content() for part in found)
