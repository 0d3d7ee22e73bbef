"""The outbox: each destination gets each change once and in time, despite failures."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from support.fakes import Script, moment
from support.sending import enqueue_and_send

from pipeline.config import parse
from pipeline.core.times import iso
from pipeline.core.types import Secret
from pipeline.core.watchlist import NO_WATCH
from pipeline.delivery.outbox import MAX_ATTEMPTS, drop, enqueue, record_result, retry
from pipeline.delivery.send import DeliverySummary, all_destinations
from pipeline.delivery.types import DeliveryResult, DeliveryStatus, Destination
from pipeline.errors import DeliveryError, QuestionError, Refused
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

REJECTED = Refused("no longer valid", status=401)


def configured(home: Path, tables: str) -> Destinations:
    """Parse a config; return its destinations, with the reports directory."""
    config = parse(HEAD + tables, home / "modelwatch.toml")
    return all_destinations(config.reports, config.destinations)


def eml(name: str = "ops", *more: str) -> str:
    """Return the table of a destination whose mails become files."""
    return "\n".join((f"[destinations.{name}]", 'type = "eml"', f'directory = "{name}"', *more, ""))


def deliver(store: Store, destinations: Destinations, at: int) -> DeliverySummary:
    """Enqueue and send what is due at the time of a run."""
    return enqueue_and_send(store, destinations, NO_WATCH, lambda: moment(at), Secret)


def subjects(home: Path, name: str = "ops") -> list[str]:
    """Return the subjects of a destination's mails, oldest first."""
    mails = sorted((home / name).glob("*.eml"))
    return [message_from_bytes(path.read_bytes(), policy=policy.default)["subject"] for path in mails]


def of(store: Store, name: str = "ops", *states: str) -> list[Delivery]:
    """Return the deliveries of a destination."""
    return [each for each in deliveries(store, *states) if each.destination == name]


def test_each_run_with_news_is_mailed_and_one_without_is_not(script: Script, tmp_path: Path) -> None:
    destinations = configured(tmp_path, eml())
    script.offers("acme/prod", "lyra")
    for at, model in enumerate(("", "vega", "", "corvus"), 1):
        script.adds("acme/prod", *filter(None, [model])).run()
        deliver(script.store, destinations, at)
    first, *rest = subjects(tmp_path)
    assert "acme/prod" in first or "irst" in first
    assert [name in subject for name, subject in zip(("added", "added"), rest, strict=True)] == [True, True]
    assert [each.until for each in of(script.store)] == [1, 2, 4]


def test_a_failed_mail_waits_once_for_each_recipient_with_one_message_id(
    script: Script, tmp_path: Path
) -> None:
    destinations = configured(
        tmp_path,
        '[destinations.ops]\ntype = "smtp"\nserver = "127.0.0.1"\nport = 9\nsecurity = "none"\ntimeout = 1\n'
        'from = "watch <watch@watch.example>"\nto = ["a@example.com", "b@example.com"]\n',
    )
    script.offers("acme/prod", "lyra").run()
    summary = deliver(script.store, destinations, 1)
    assert [each.recipient for each in summary.failed] == ["a@example.com", "b@example.com"]
    with pytest.raises(DeliveryError, match=r"ops: a@example\.com: .*the next try is at"):
        summary.check()
    first, second = of(script.store)
    assert first.message_id == second.message_id
    assert first.message_id is not None
    assert first.message_id.endswith("@watch.example>")
    assert (first.state, first.attempts, first.due_at) == ("waiting", 1, "2026-09-20T06:05:00Z")
    assert deliver(script.store, destinations, 1) == DeliverySummary(), "it is not due yet"
    assert [each.attempts for each in deliver(script.store, destinations, 2).failed] == [2, 2]


def test_changes_below_the_severity_are_skipped_and_not_reported_later(
    script: Script, tmp_path: Path
) -> None:
    destinations = configured(tmp_path, eml("ops", 'severity = "breaking"'))
    script.offers("acme/prod", "lyra", "vega").run()
    deliver(script.store, destinations, 1)
    script.adds("acme/prod", "corvus").run()
    deliver(script.store, destinations, 2)
    assert of(script.store) == []
    script.drops("acme/prod", "lyra").run(times=2)
    deliver(script.store, destinations, 4)
    (delivery,) = of(script.store)
    assert (delivery.since, delivery.until) == (2, 4)


def test_a_daily_mail_reports_all_runs_since_the_last_and_none_comes_without_news(
    script: Script, tmp_path: Path
) -> None:
    destinations = configured(tmp_path, eml("ops", 'every = "day"', 'at = "08:00"'))
    script.offers("acme/prod", "lyra")
    for at in range(1, 75):
        if at == 30:
            script.adds("acme/prod", "vega")
        if at == 32:
            script.adds("acme/prod", "corvus")
        script.run()
        deliver(script.store, destinations, at)
    # The first run is at 06:00: the baseline is reported at 08:00, and the second day has no news.
    assert [each.at[:16] for each in of(script.store)] == ["2026-09-20T08:00", "2026-09-22T08:00"]
    assert "2 added" in subjects(tmp_path)[1]


def test_an_empty_mail_is_sent_at_its_time_if_configured(script: Script, tmp_path: Path) -> None:
    always = ('every = "day"', 'at = "08:00"', "empty = true")
    destinations = configured(tmp_path, eml("ops", *always))
    script.offers("acme/prod", "lyra")
    for at in range(1, 52):
        script.run()
        deliver(script.store, destinations, at)
    assert len(subjects(tmp_path)) == 3
    assert "1 of 1" in subjects(tmp_path)[2]


def test_a_destination_that_is_new_or_back_starts_with_the_newest_run(script: Script, tmp_path: Path) -> None:
    script.offers("acme/prod", "lyra").run()
    deliver(script.store, configured(tmp_path, ""), 1)
    script.adds("acme/prod", "vega").run()
    deliver(script.store, configured(tmp_path, ""), 2)
    script.adds("acme/prod", "corvus").run()
    deliver(script.store, configured(tmp_path, eml()), 3)
    assert [(each.since, each.until) for each in of(script.store)] == [(2, 3)]
    for at in (4, 5):
        script.adds("acme/prod", f"cetus-{at}").run()
        deliver(script.store, configured(tmp_path, ""), at)
    script.adds("acme/prod", "ara").run()
    deliver(script.store, configured(tmp_path, eml()), 6)
    assert [(each.since, each.until) for each in of(script.store)] == [(2, 3), (5, 6)]
    ids = [each.message_id for each in of(script.store)]
    assert len({str(number).rpartition("@")[0].rpartition(".")[2] for number in ids}) == 1, (
        "the destination keeps its token"
    )


def test_a_failing_destination_does_not_stop_others_and_its_mail_keeps_its_content(
    script: Script, tmp_path: Path
) -> None:
    destinations = configured(tmp_path, eml("broken") + eml("well"))
    (tmp_path / "broken").write_text("in the way")
    script.offers("acme/prod", "lyra").run()
    summary = deliver(script.store, destinations, 1)
    assert [each.destination for each in summary.failed] == ["broken"]
    assert len(subjects(tmp_path, "well")) == 1
    script.adds("acme/prod", "vega").run()
    deliver(script.store, destinations, 2)
    (tmp_path / "broken").unlink()
    deliver(script.store, destinations, 9)
    assert subjects(tmp_path, "broken") == subjects(tmp_path, "well")


def test_a_delivery_whose_result_was_lost_is_sent_again_byte_by_byte(script: Script, tmp_path: Path) -> None:
    destinations = configured(tmp_path, eml())
    script.offers("acme/prod", "lyra").run()
    deliver(script.store, destinations, 1)
    with script.store.transaction():
        script.store.connection.execute("update deliveries set state = 'waiting'")
    before = {path.name: path.read_bytes() for path in (tmp_path / "ops").iterdir()}
    assert len(deliver(script.store, destinations, 2).sent) == 1 + 1
    assert {path.name: path.read_bytes() for path in (tmp_path / "ops").iterdir()} == before


@pytest.fixture
def unsteady(script: Script, tmp_path: Path) -> list[str]:
    """Let a scope fail at every second run, hourly for a day; return the subjects of the mails."""
    destinations = configured(tmp_path, eml())
    script.offers("acme/prod", "lyra").offers("acme/test", "lyra").run()
    for at in range(1, 25):
        deliver(script.store, destinations, at)
        script.recovers("acme/prod") if "acme/prod" in script.failures else script.fails(
            "acme/prod", REJECTED
        )
        script.run()
    return subjects(tmp_path)


def test_an_unsteady_scope_is_reported_three_times_and_when_it_has_been_well_for_a_day(
    script: Script, tmp_path: Path, unsteady: list[str]
) -> None:
    failed = "[modelwatch] urgent: key rejected (acme/prod)"
    recovered = "[modelwatch] 1 scope recovered · acme"
    assert unsteady[1:] == [failed, recovered, failed, recovered, failed]
    destinations = configured(tmp_path, eml())
    for at in range(25, 52):
        script.run()
        deliver(script.store, destinations, at)
    assert subjects(tmp_path)[len(unsteady) :] == [recovered]


def test_a_scope_that_became_unsteady_is_one_line_of_a_daily_mail(script: Script, tmp_path: Path) -> None:
    destinations = configured(tmp_path, eml("ops", 'every = "day"', 'at = "06:00"'))
    script.offers("acme/prod", "lyra").offers("acme/test", "lyra").run()
    deliver(script.store, destinations, 1)
    for at in range(2, 90):
        script.fails("acme/prod") if at in range(6, 30, 3) else script.failures.clear()
        script.run()
        deliver(script.store, destinations, at)
    texts = []
    for path in sorted((tmp_path / "ops").glob("*.eml")):
        message = message_from_bytes(path.read_bytes(), policy=policy.default)
        texts.append(" ".join(message.get_body(("plain",)).get_content().split()))
    first, *later = texts[-2:]
    assert "acme/prod: answers keep failing and recovering, 7 times since" in first
    assert "was not reachable" not in first
    assert ["acme/prod: well for 24 h, after 8 failures or holds" in text for text in later] == [True]


def test_other_news_of_an_unsteady_scope_is_reported_at_once(
    script: Script, tmp_path: Path, unsteady: list[str]
) -> None:
    destinations = configured(tmp_path, eml())
    deliver(script.store, destinations, 25)
    script.adds("acme/test", "vega").run()
    deliver(script.store, destinations, 26)
    script.fails("acme/test", REJECTED).run()
    deliver(script.store, destinations, 27)
    assert len(subjects(tmp_path)) == len(unsteady) + 2
    assert subjects(tmp_path)[-2] == "[modelwatch] vega added (acme/test)"


def test_a_lasting_outage_of_an_unsteady_scope_and_its_end_are_reported(
    script: Script, tmp_path: Path, unsteady: list[str]
) -> None:
    destinations = configured(tmp_path, eml())
    if "acme/prod" not in script.failures:
        script.fails("acme/prod", REJECTED)
    for at in range(25, 40):
        script.run()
        deliver(script.store, destinations, at)
    assert subjects(tmp_path)[len(unsteady) :] == ["[modelwatch] urgent: key rejected (acme/prod)"]
    script.recovers("acme/prod").run()
    deliver(script.store, destinations, 40)
    assert subjects(tmp_path)[len(unsteady) + 1 :] == ["[modelwatch] 1 scope recovered · acme"]


def test_a_transient_failure_is_mailed_calmly_at_most_every_six_hours_and_at_once_when_it_lasts(
    script: Script, tmp_path: Path
) -> None:
    destinations = configured(tmp_path, eml() + eml("alarm", 'severity = "breaking"'))
    script.offers("acme/prod", "lyra").offers("acme/test", "lyra").run()
    deliver(script.store, destinations, 1)
    for at in range(2, 13):
        script.run()
        deliver(script.store, destinations, at)
    assert subjects(tmp_path) == ["[modelwatch] first answers of 2 scopes"]
    script.fails("acme/prod").run()
    deliver(script.store, destinations, 13)
    assert subjects(tmp_path)[1:] == ["[modelwatch] not reachable (acme/prod)"]
    for at in range(14, 19):
        script.recovers("acme/prod") if "acme/prod" in script.failures else script.fails("acme/prod")
        script.run()
        deliver(script.store, destinations, at)
    assert len(subjects(tmp_path)) == 2
    script.fails("acme/prod").run()
    deliver(script.store, destinations, 19)
    assert subjects(tmp_path)[2:] == ["[modelwatch] not reachable (acme/prod)"]
    assert subjects(tmp_path, "alarm") == []
    for at in range(20, 27):
        script.run()
        deliver(script.store, destinations, at)
    urgent = ["[modelwatch] urgent: not reachable (acme/prod)"]
    assert (subjects(tmp_path)[3:], subjects(tmp_path, "alarm")) == (urgent, urgent)
    script.recovers("acme/prod")
    for at in range(27, 32):  # the scope is unsteady by now
        script.run()
        deliver(script.store, destinations, at)
    recovered = ["[modelwatch] 1 scope recovered · acme"]
    assert (subjects(tmp_path)[4:], subjects(tmp_path, "alarm")[1:]) == (recovered, recovered)


def test_a_failure_between_two_daily_mails_is_one_line_with_its_duration(
    script: Script, tmp_path: Path
) -> None:
    destinations = configured(tmp_path, eml("ops", 'every = "day"', 'at = "06:00"'))
    script.offers("acme/prod", "lyra").offers("acme/test", "lyra").run()
    deliver(script.store, destinations, 1)
    for at in range(2, 26):
        script.fails("acme/prod") if at == 5 else script.failures.clear()
        script.run()
        deliver(script.store, destinations, at)
    (path,) = sorted((tmp_path / "ops").glob("*.eml"))[-1:]
    message = message_from_bytes(path.read_bytes(), policy=policy.default)
    text = message.get_body(("plain",)).get_content()
    assert "acme/prod: was not reachable for 1 h" in text
    assert "FOR INFORMATION" in text


def smtp(*recipients: str, name: str = "ops") -> str:
    """Return the table of a destination whose mail server does not exist."""
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
def test_deliveries_to_recipients_no_longer_in_the_config_are_refused_until_they_are_back(
    script: Script, tmp_path: Path, destinations: str, left: set[str]
) -> None:
    script.offers("acme/prod", "lyra").run()
    deliver(script.store, configured(tmp_path, smtp(ANN, BOB)), 1)
    summary = deliver(script.store, configured(tmp_path, destinations), 2)
    refused = {each.recipient for each in of(script.store, "ops", "refused")}
    assert refused == left
    assert left <= {each.recipient for each in summary.failed}
    with pytest.raises(
        DeliveryError, match=r"no longer in the config; not tried again; fix it, then run `modelwatch outbox"
    ):
        summary.check()
    again = deliver(script.store, configured(tmp_path, ""), 3)
    assert not left & {each.recipient for each in again.failed if each.destination == "ops"}
    retry(script.store, [each.id for each in of(script.store)])
    tried = deliver(script.store, configured(tmp_path, smtp(ANN, BOB)), 4).failed
    assert {each.recipient for each in tried if "cannot be reached" in str(each.error)} == {ANN, BOB}


def test_a_mail_uses_built_in_templates_if_the_directory_cannot_be_read(
    script: Script, tmp_path: Path
) -> None:
    (tmp_path / "own").mkdir()
    destinations = configured(tmp_path, eml("ops", 'templates = "own"'))
    (tmp_path / "own").rmdir()
    script.offers("acme/prod", "lyra").run()
    (problem,) = deliver(script.store, destinations, 1).problems
    assert problem == (
        f"ops: {tmp_path / 'own'}: cannot be read: No such file or directory;"
        " the built-in templates were used"
    )
    assert len(subjects(tmp_path)) == 1


def test_a_directory_that_moved_gets_what_was_waiting(script: Script, tmp_path: Path) -> None:
    (tmp_path / "ops").write_text("in the way")
    script.offers("acme/prod", "lyra").run()
    deliver(script.store, configured(tmp_path, eml()), 1)
    moved = configured(tmp_path, eml().replace('directory = "ops"', 'directory = "new"'))
    assert deliver(script.store, moved, 9).failed == []
    assert len(subjects(tmp_path, "new")) == 1


def test_a_destination_removed_and_added_between_two_runs_gets_nothing_twice(
    script: Script, tmp_path: Path
) -> None:
    destinations = configured(tmp_path, eml())
    script.offers("acme/prod", "lyra").run()
    deliver(script.store, destinations, 1)
    script.adds("acme/prod", "vega").run()
    deliver(script.store, destinations, 2)
    deliver(script.store, configured(tmp_path, ""), 2)
    assert deliver(script.store, destinations, 2) == DeliverySummary()


def test_a_new_destination_starts_with_a_run_that_was_not_pruned(script: Script, tmp_path: Path) -> None:
    script.offers("acme/prod", "lyra").run(times=9)
    deliver(script.store, configured(tmp_path, ""), 9)
    prune(script.store, dialects_of(()), bound=moment(20))
    deliver(script.store, configured(tmp_path, eml()), 9)
    assert [problem for check in verify(script.store, dialects_of(())) for problem in check.problems] == []


def test_a_report_has_the_time_of_its_run_and_not_of_a_later_import(script: Script, tmp_path: Path) -> None:
    destinations = configured(tmp_path, eml("ops", 'every = "day"', 'at = "08:00"'))
    script.offers("acme/prod", "lyra").run()
    deliver(script.store, destinations, 1)
    results = {"acme/prod": script.result("acme/prod")}
    recorder, scopes, at = RunCache(script.store), [script.scopes["acme/prod"]], "2025-01-01T00:00:00Z"
    with script.store.transaction():
        decide_and_record(results, scopes, recorder, started_at=at, finished_at=at, imported=True)
    deliver(script.store, destinations, 3)
    assert [(each.until, each.at) for each in of(script.store)] == [(1, moment(1))]


def test_a_clock_that_once_ran_ahead_delays_nothing(script: Script, tmp_path: Path) -> None:
    destinations = configured(tmp_path, eml("ops", 'every = "day"', 'at = "08:00"') + smtp(ANN, name="team"))
    script.offers("acme/prod", "lyra").run()
    deliver(script.store, destinations, 10_000)
    assert of(script.store) == []
    assert [each.attempts for each in deliver(script.store, destinations, 1).failed] == [2]
    assert [each.state for each in of(script.store)] == ["sent"]


def test_failing_destinations_cost_a_run_minutes_at_most_and_come_last_in_the_next(
    script: Script, tmp_path: Path
) -> None:
    names = [f"d{number}" for number in range(9)]
    destinations = configured(tmp_path, "".join(smtp(ANN, name=name) for name in names))
    script.offers("acme/prod", "lyra").run()
    times = iter(range(10_000))

    def clock() -> str:
        return iso(datetime(2026, 9, 20, 6, tzinfo=UTC) + timedelta(minutes=next(times)))

    def failed() -> list[str]:
        return [
            each.destination
            for each in enqueue_and_send(script.store, destinations, NO_WATCH, clock, Secret).failed
        ]

    first = failed()
    assert first == names[: len(first)]
    assert 0 < len(first) < len(names)
    assert failed()[: len(names) - len(first)] == names[len(first) :]


def test_a_refused_recipient_fails_the_run_only_if_no_other_got_the_mail(
    script: Script, waiting: Delivery
) -> None:
    gone = replace(waiting, recipient="gone", state="refused", error="550 no such user")
    DeliverySummary(sent=[waiting], failed=[gone]).check()
    (line,) = DeliverySummary(failed=[gone]).failures()
    assert line.startswith(
        "ops: gone: 550 no such user; not tried again; fix it, then run `modelwatch outbox --retry "
    )
    for summary in (
        DeliverySummary(failed=[gone]),
        DeliverySummary(sent=[waiting], failed=[replace(gone, state="waiting")]),
    ):
        with pytest.raises(DeliveryError):
            summary.check()


RESULTS = [
    (DeliveryResult(DeliveryStatus.SENT), "sent", None),
    (DeliveryResult(DeliveryStatus.REFUSED, "550 no such user"), "refused", None),
    (DeliveryResult(DeliveryStatus.RETRY, "451 busy"), "waiting", "2026-09-20T07:05:00Z"),
    (DeliveryResult(DeliveryStatus.RETRY, "429", retry_after=900), "waiting", "2026-09-20T07:15:00Z"),
    (DeliveryResult(DeliveryStatus.RETRY, "the disk is full", retry_after=0), "waiting", None),
]


@pytest.fixture
def waiting(script: Script, tmp_path: Path) -> Delivery:
    """Return a delivery that waits in the outbox."""
    script.offers("acme/prod", "lyra").run()
    with script.store.transaction():
        enqueue(script.store, configured(tmp_path, eml()), NO_WATCH, at=moment(1))
    (delivery,) = of(script.store)
    return delivery


@pytest.mark.parametrize(("result", "state", "due_at"), RESULTS)
def test_the_result_of_an_attempt_is_recorded(
    script: Script, waiting: Delivery, result: DeliveryResult, state: str, due_at: str | None
) -> None:
    now = record_result(script.store, waiting, result, at=moment(2))
    assert (now.state, now.due_at, now.error, now.attempts) == (state, due_at, result.error, 1)
    assert now.sent_at == (moment(2) if state == "sent" else None)
    assert of(script.store) == [now]


def test_the_wait_doubles_up_to_six_hours_and_attempts_end(script: Script, waiting: Delivery) -> None:
    due = []
    while waiting.state == "waiting":
        waiting = record_result(
            script.store, waiting, DeliveryResult(DeliveryStatus.RETRY, "no answer"), at=moment(1)
        )
        due.append(waiting.due_at)
    assert len(due) == MAX_ATTEMPTS
    assert due[:3] == ["2026-09-20T06:05:00Z", "2026-09-20T06:10:00Z", "2026-09-20T06:20:00Z"]
    assert set(due[8:-1]) == {"2026-09-20T12:00:00Z"}
    assert (waiting.state, waiting.error) == ("refused", "failed 20 times, last: no answer")
    (again,) = retry(script.store, [waiting.id])
    assert again.id == waiting.id
    assert [(each.state, each.attempts, each.due_at) for each in of(script.store)] == [("waiting", 0, None)]


def test_a_waiting_delivery_can_be_dropped_once(script: Script, waiting: Delivery) -> None:
    for change in (drop, retry):
        with pytest.raises(QuestionError, match="no delivery has the number 98 or 99"):
            change(script.store, [waiting.id, 99, 98])
    assert of(script.store) == [waiting]
    assert drop(script.store, [waiting.id]) == [replace(waiting, state="dropped")]
    assert [each.state for each in of(script.store)] == ["dropped"]
    with pytest.raises(QuestionError, match=f"nothing to do for {waiting.id}"):
        drop(script.store, [waiting.id])


steps = st.lists(
    st.sampled_from(["news", "quiet", "deliver", "back", "ahead", "prune", "block", "free"]),
    min_size=1,
    max_size=18,
)
OFTEN = {"run": 'every = "run"', "day": 'every = "day"', "week": 'every = "week"'}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
@example(["news", "back", "back"])
def test_each_change_is_in_exactly_one_mail(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    """In any order of runs, deliveries, wrong clocks, prunings and blocked directories."""
    home = tmp_path_factory.mktemp("home")
    destinations = configured(home, "".join(eml(name, every) for name, every in OFTEN.items()))
    with Store.open(None) as store:
        script = Script(store).offers("acme/prod", "lyra")
        script.run()
        deliver(store, destinations, 1)
        at = latest = 1
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
                    latest = max(latest, at)
                    deliver(store, destinations, at)
        _free(home)
        deliver(store, destinations, latest + 200)
        assert deliveries(store, "waiting") == []
        windows = [[(each.since, each.until) for each in of(store, name)] for name in OFTEN]
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
