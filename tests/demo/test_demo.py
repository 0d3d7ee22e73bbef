"""The demo plays its script through the real job, prints the reports, and leaves its files."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

import pytest

from pipeline.config import load
from pipeline.demo import Step, play, step_lines
from pipeline.demo.directory import CONFIG, DATABASE, REPORTS
from pipeline.demo.script import INTERVAL, KEYS, RUNS, SCENES
from pipeline.errors import ConfigError, Locked
from pipeline.history.changes import find_events
from pipeline.history.types import Event
from pipeline.reports.console import event_lines
from pipeline.store import Store, lock
from pipeline.store.windows import time_window

UNTIL = datetime(2026, 6, 30, 9, 30, tzinfo=UTC)
BASALT = {"basalt/8b", "basalt/8b:free", "basalt/70b", "basalt/Code", "basalt/Vision"}
EVERYONE = ("demo/batch", "demo/prod", "demo/public", "demo/web")


def begun(directory: Path, *, until: datetime = UNTIL, runs: int = RUNS) -> Generator[Step]:
    return play(directory, until=until, runs=runs)


def plays(directory: Path, *, runs: int = RUNS) -> list[Step]:
    return list(begun(directory, runs=runs))


def iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def run_at(number: int) -> str:
    return iso(UNTIL - (RUNS - 1 - number) * INTERVAL)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def steps(home: Path) -> dict[str, Step]:
    """The steps of one whole demo, by time."""
    return {step.at: step for step in plays(home / "demo")}


@pytest.fixture
def events(steps: dict[str, Step], home: Path) -> tuple[Event, ...]:
    with Store.read(home / "demo" / "modelwatch.db") as store:
        return find_events(store, time_window(store))


def of(events: tuple[Event, ...], *models: str) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(event.at, event.kind, event.scopes) for event in events if event.model in models]


def test_runs_are_half_a_day_apart_for_three_weeks_and_the_last_begins_at_the_given_time(
    steps: dict[str, Step], home: Path
) -> None:
    with Store.read(home / "demo" / "modelwatch.db") as store:
        rows = store.rows("select started_at from snapshots order by id")
    assert [row["started_at"] for row in rows] == [run_at(number) for number in range(RUNS)]
    assert timedelta(weeks=3) == (RUNS - 1) * INTERVAL


def test_each_scene_is_in_the_step_of_its_run_and_in_no_other(steps: dict[str, Step]) -> None:
    scenes = {at: step.scene for at, step in steps.items() if step.scene}
    assert scenes == {run_at(number): scene.text for number, scene in SCENES.items()}
    assert all(step.lines for step in steps.values())


def test_a_new_model_is_reported_for_the_scopes_that_are_offered_it(events: tuple[Event, ...]) -> None:
    assert of(events, "heron-3")[:1] == [(run_at(3), "added", EVERYONE[:2])]
    assert of(events, "heron-3-mini")[:1] == [(run_at(3), "added", EVERYONE)]


def test_prices_and_limits_are_reported_as_changes_of_one_field(events: tuple[Event, ...]) -> None:
    changed = {
        (event.model, field.field, field.before, field.after, field.category)
        for event in events
        if event.at == run_at(6)
        for field in event.fields
    }
    assert changed == {
        ("heron-2", "pricing.input", "2.4", "1.8", "price"),
        ("lumen-3-long", "context_length", "1000000", "256000", "limits"),
    }


def test_the_demo_has_prices_features_modalities_and_a_shutdown_date_for_every_page(
    steps: dict[str, Step], home: Path
) -> None:
    """The cheapest models, with their capabilities, the watched models, and an announced shutdown."""
    with Store.read(home / "demo" / "modelwatch.db") as store:
        offers = store.rows("select * from offers")
        (ends,) = store.rows("select model, deprecated_at from deprecations")
    for column in ("input_usd_per_1m", "output_usd_per_1m", "context_length", "input_modalities", "owned_by"):
        assert all(row[column] is not None for row in offers), column
    assert any("reasoning" in (row["features"] or "") for row in offers)
    assert ends["model"] == "heron-2-mini"
    assert ends["deprecated_at"] > iso(UNTIL)
    assert load(home / "demo" / "modelwatch.toml").watch.models == ("heron-2*", "lumen-voice")


def test_a_model_that_one_answer_lacks_is_neither_removed_nor_returned(events: tuple[Event, ...]) -> None:
    assert of(events, "lumen-canvas") == []


def test_a_removal_is_reported_once_by_the_run_that_confirms_it(events: tuple[Event, ...]) -> None:
    assert of(events, "heron-embed-1") == [(run_at(15), "removed", EVERYONE)]


def test_a_model_that_comes_back_days_later_is_returned_with_the_time_it_was_away(
    events: tuple[Event, ...],
) -> None:
    assert of(events, "lumen-3-fast") == [
        (run_at(15), "removed", EVERYONE),
        (run_at(38), "returned", EVERYONE),
    ]
    (back,) = [event for event in events if event.kind == "returned"]
    assert back.away_seconds == 24 * INTERVAL.total_seconds()


def test_a_rejected_key_keeps_its_scope_as_it_was_and_the_step_has_the_reason(
    steps: dict[str, Step], events: tuple[Event, ...]
) -> None:
    (line,) = steps[run_at(19)].lines
    assert re.fullmatch(
        r"demo/batch: failing since 2026-\d\d-\d\d \d\d:\d\d: http://\S+ answered 401: .+", line
    )
    assert not [event for event in events if run_at(16) <= event.at <= run_at(32)]
    assert not any("failed" in line for line in steps[run_at(22)].lines)


def test_an_empty_answer_of_one_key_is_held_and_removes_nothing(
    steps: dict[str, Step], events: tuple[Event, ...]
) -> None:
    (line,) = steps[run_at(27)].lines
    assert line.startswith("demo/prod: held since ")
    assert "empty" in line
    assert all("dropped, a later answer differed" in line for line in steps[run_at(28)].lines)
    assert of(events, "heron-2-pro") == []


def test_a_mass_removal_is_held_and_dated_from_the_first_answer_when_the_next_agrees(
    steps: dict[str, Step], events: tuple[Event, ...]
) -> None:
    assert all("held since" in line for line in steps[run_at(33)].lines)
    gone = [event for event in events if event.model in BASALT]
    assert {(event.model, event.kind, event.at, event.since, event.scopes) for event in gone} == {
        (model, "removed", run_at(34), run_at(33), EVERYONE) for model in BASALT
    }
    assert len(gone) == len(BASALT)


def test_noise_makes_neither_records_nor_sightings(steps: dict[str, Step], home: Path) -> None:
    with Store.read(home / "demo" / "modelwatch.db") as store:
        models, records, written = (
            store.rows(f"select count(*) as n from {table}")[0]["n"]
            for table in ("models", "records", "(select distinct snapshot from sightings)")
        )
    repriced_resized_or_ending = 5
    assert records == models + repriced_resized_or_ending
    assert written == len(steps)


def test_steps_have_the_lines_of_the_reports_and_leave_none_out_silently(
    steps: dict[str, Step], events: tuple[Event, ...]
) -> None:
    for step in steps.values():
        here = [event for event in events if event.at == step.at]
        lines = [line.removeprefix("  ") for event in here for line in list(event_lines([event]))[1:]]
        printed = [
            line for line in lines if any(each.removeprefix("! ").startswith(line) for each in step.lines)
        ]
        left_out = [line for line in step.lines if line.startswith("… and")]
        assert len(printed) == len(lines) or left_out == [f"… and {len(lines) - len(printed)} more"]


def test_the_report_files_are_those_of_the_steps_and_the_latest_is_the_last(
    steps: dict[str, Step], home: Path
) -> None:
    reports = home / "demo" / "reports"
    stems = {at.replace("-", "").replace(":", "") for at in steps}
    assert {path.name for path in reports.iterdir()} == {
        f"{stem}.{ending}" for stem in {*stems, "latest"} for ending in ("csv", "json")
    }
    assert (reports / "latest.json").read_bytes() == (reports / f"{max(stems)}.json").read_bytes()


def test_the_config_is_usable_and_keys_are_only_in_their_files(steps: dict[str, Step], home: Path) -> None:
    place = home / "demo"
    loaded = load(place / "modelwatch.toml")
    assert sorted(scope.name for scope in loaded.scopes) == list(EVERYONE)
    assert loaded.database == place / "modelwatch.db"
    keys = {alias: place / "keys" / alias for alias in KEYS}
    assert all(path.stat().st_mode & 0o077 == 0 for path in keys.values())
    secrets = [path.read_bytes().strip() for path in keys.values()]
    others = [path for path in place.rglob("*") if path.is_file() and path not in keys.values()]
    written = b"".join(path.read_bytes() for path in others) + repr(steps).encode()
    assert len(set(secrets)) == len(KEYS)
    assert not any(secret in written for secret in secrets)


def gateway_of(place: Path) -> str:
    (gateway,) = {scope.gateway for scope in load(place / "modelwatch.toml").scopes}
    return gateway.url


def is_answered(place: Path) -> bool:
    port = urlsplit(gateway_of(place)).port
    assert port
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_the_gateway_stops_with_the_demo(steps: dict[str, Step], home: Path) -> None:
    assert not is_answered(home / "demo")


def test_two_answers_have_another_order_and_other_permission_ids(tmp_path: Path) -> None:
    direct = build_opener(ProxyHandler({}))
    with closing(begun(tmp_path)) as steps:
        next(steps)
        url = f"{gateway_of(tmp_path)}/v1/models"
        one, two = (json.load(direct.open(url))["data"] for _ in range(2))
    ids, again = [row["id"] for row in one], [row["id"] for row in two]
    assert ids != again
    assert sorted(ids) == sorted(again)
    permissions = [{row["permission"][0]["id"] for row in rows} for rows in (one, two)]
    assert not permissions[0] & permissions[1]


def test_a_demo_that_is_closed_stops_its_gateway_and_releases_the_lock(tmp_path: Path) -> None:
    steps = begun(tmp_path, runs=4)
    next(steps)
    assert is_answered(tmp_path)
    steps.close()
    assert not is_answered(tmp_path)
    assert len(plays(tmp_path, runs=4)) == 2


def test_a_second_demo_removes_only_the_files_of_the_first(tmp_path: Path) -> None:
    plays(tmp_path, runs=4)
    old = {path.name for path in (tmp_path / "reports").glob("2*")}
    own = [tmp_path / "notes.txt", tmp_path / "reports" / "mine.csv", tmp_path / "keys" / "other"]
    for path in own:
        path.write_text("keep me")
    steps = list(begun(tmp_path, until=UNTIL + timedelta(hours=1), runs=4))
    with Store.read(tmp_path / "modelwatch.db") as store:
        assert time_window(store).until == 4
    assert steps[0].at == iso(UNTIL + timedelta(hours=1) - 3 * INTERVAL)
    assert not old & {path.name for path in (tmp_path / "reports").iterdir()}
    assert all(path.read_text() == "keep me" for path in own)


@pytest.mark.parametrize("name", ["modelwatch.toml", "modelwatch.db"])
def test_files_that_no_demo_has_written_are_refused_and_kept(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("[gateways.mine]")
    with pytest.raises(ConfigError, match="--home"):
        plays(tmp_path, runs=4)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "[gateways.mine]"


def test_a_demo_is_refused_while_a_run_is_under_way(tmp_path: Path) -> None:
    plays(tmp_path, runs=4)
    with lock(tmp_path / "modelwatch.db", since=iso(UNTIL)), pytest.raises(Locked):
        plays(tmp_path, runs=4)
    with Store.read(tmp_path / "modelwatch.db") as store:
        assert time_window(store).until == 4


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file where the directory should be")
    with pytest.raises(ConfigError, match=re.escape(str(tmp_path / "keys"))):
        plays(tmp_path)


def test_long_lines_are_wrapped_with_an_indent() -> None:
    step = Step("2026-06-01T08:00:00Z", None, ("demo/batch: " + "word " * 30 + "end",))
    head, *lines = step_lines(step, width=60)
    assert head == "06-01 08:00  Nothing new at the gateway."
    assert max(map(len, lines)) <= 60
    assert " ".join(lines).split() == step.lines[0].split()
    assert {re.match(" *", line)[0] for line in lines} == {" " * 15, " " * 17}


@dataclass(frozen=True)
class Started:
    """What the command printed when it was started in an empty directory."""

    cwd: Path
    env: dict[str, str]
    lines: list[str]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Started:
    cwd = tmp_path_factory.mktemp("empty")
    # A proxy that is not there: whatever went through it would fail.
    proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    env = {"PATH": os.environ["PATH"], "PYTHONWARNINGS": "error", "LC_ALL": "C.UTF-8", **proxies}
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "demo"],
        cwd=cwd,
        env=env,
        capture_output=True,
        check=False,
        text=True,
        timeout=20,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return Started(cwd, env, done.stdout.splitlines())


def after(started: Started, heading: str) -> list[str]:
    begin = started.lines.index(heading) + 1
    lines = started.lines[begin:]
    return lines[: lines.index("")] if "" in lines else lines


def asks(started: Started, command: str) -> list[str]:
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=started.cwd,
        env=started.env,
        capture_output=True,
        check=False,
        text=True,
        timeout=20,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_the_command_needs_no_set_up_and_its_output_fits_a_screen(started: Started) -> None:
    assert sorted(path.name for path in started.cwd.iterdir()) == ["data"]
    assert [path.name for path in (started.cwd / "data").iterdir()] == ["demo"]
    assert len(started.lines) < 80
    assert not is_answered(started.cwd / "data" / "demo")


def test_the_command_exits_with_78_and_one_line_where_files_are_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "modelwatch.toml").touch()
    command = [sys.executable, "-m", "pipeline", "demo", "--home", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=20)
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.startswith(f"modelwatch: {tmp_path / 'demo'}: ")
    assert done.stderr.count("\n") == 1


def test_the_command_prints_every_scene_in_order(started: Started) -> None:
    dated = [line[13:] for line in started.lines if re.match(r"\d\d-\d\d \d\d:\d\d  ", line)]
    assert [line for line in dated if line != "Nothing new at the gateway."] == [
        scene.text for _, scene in sorted(SCENES.items())
    ]


def test_the_excerpt_is_the_output_of_the_command_above_it(started: Started) -> None:
    (command,) = [line for line in started.lines if line.startswith("$ ")]
    assert after(started, command) == asks(started, command.removeprefix("$ "))


def test_the_history_ends_now(started: Started) -> None:
    (command,) = [line for line in started.lines if line.startswith("$ ")]
    week = asks(started, command.removeprefix("$ ").replace("--since 3d", "--since 7d"))
    assert any("basalt/70b" in line for line in week)
    assert not any("heron-embed-1" in line for line in week)


def test_the_listed_files_exist(started: Started) -> None:
    paths = [line.split()[0] for line in after(started, "Files of the demo")]
    assert paths == [f"data/demo/{name}" for name in (CONFIG, DATABASE, REPORTS)]
    assert all((started.cwd / path).exists() for path in paths)


def test_every_command_to_try_next_works(started: Started) -> None:
    commands = [line[2:].partition("  ")[2].strip() for line in after(started, "What to try next")]
    assert len(commands) == 7
    # What is shown in a browser is shown until somebody stops it.
    assert all(asks(started, f"{c} --help" if " browse " in c else c) for c in commands)
    assert (started.cwd / "data" / "modelwatch.toml").is_file()
