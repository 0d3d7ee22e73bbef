"""The Python interface: `Home` does what the commands do, and its results are values."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from msgspec.structs import replace
from support import ROOT
from support.e2e import Job, Reply, Scripted, listed

import pipeline
from pipeline.api import RunObserver
from pipeline.core.times import iso
from pipeline.core.types import Kind
from pipeline.history.watch import FindingKind
from pipeline.simulator import Gateway
from pipeline.sync.archives import in_directory

KEY = "sk-python-12345678"


def gateway():
    """A gateway that offers its key one model more than an anonymous client."""
    one = Gateway()
    one.key(KEY, group="vip")
    one.offers("heron-2", to=("default", "vip"), pricing={"input": 5})
    one.offers("quarry", to=("default", "vip"))
    one.offers("lumen", to="vip")
    return one


def configured(directory, url):
    """A home with two scopes; the key of one is in a file."""
    job = Job(directory)
    job.asks(url, scopes={"prod": 'key = "file:prod.key", group = "vip"', "public": ""}, attempts=1)
    (directory / "prod.key").write_text(KEY)
    return pipeline.home(directory)


def configure(home, text):
    """Add tables to the config of a home."""
    home.config_path.write_text(home.config_path.read_text("utf-8") + text)


@pytest.fixture
def one():
    """A running gateway."""
    with gateway() as started:
        yield started


@pytest.fixture
def home(tmp_path, one):
    """A home with the scopes of that gateway."""
    return configured(tmp_path / "home", one.url)


PAGES = ("README.md", "pipeline/history/README.md")


def test_the_examples_of_the_documentation_run(tmp_path, one, monkeypatch):
    configured(tmp_path / "data", one.url)
    monkeypatch.chdir(tmp_path)
    made = {}
    for page in PAGES:
        (source,) = re.findall(
            r"^```python\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.DOTALL | re.MULTILINE
        )
        exec(compile(source, page, "exec"), made)
    results = [value for value in made.values() if isinstance(value, pipeline.RunResult)]
    assert {result.report.run.status for result in results} == {"done"}
    assert made["differs"] is True
    assert made["cheap"] == ["heron-2"]
    assert list(made["prices"]) == [("local/prod", "local/public")]


def test_a_run_records_and_reports(home, one):
    assert home.run().report.events == ()
    one.drops("quarry")
    one.offers("heron-2", to=("default", "vip"), pricing={"input": 4})
    result = home.run()
    report = result.report
    assert [(each.kind, each.model) for each in report.events] == [(Kind.CHANGED, "heron-2")]
    assert home.changes() == report.events
    assert (result.totals.answered, result.totals.moved, result.exit_status) == (2, 2, 0)
    assert len(result.deliveries.written) == 2
    assert (home.config.reports / "latest.json").exists()
    assert home.last_run() == report.run
    assert [scope.pending_removals for scope in home.scopes()] == [1, 1]


def test_a_retry_prints_nothing_where_no_log_is_set_up(home, one):
    """So it is in notebooks, and in workers; see also `logging.lastResort`."""
    text = home.config_path.read_text("utf-8")
    home.config_path.write_text(text.replace("attempts = 1", "attempts = 2"))
    one.fails("unavailable", times=1)
    script = f"import pipeline\nprint(pipeline.home({str(home.directory)!r}).run().totals.answered)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("2\n", "")


def test_a_dry_run_writes_nothing(home):
    assert home.run(dry_run=True).report.run.answered == 2
    assert not home.database.exists()
    assert not home.config.reports.exists()


def test_a_sync_writes_no_report(home):
    assert home.sync().totals.answered == 2
    assert home.last_run().answered == 2
    assert not home.config.reports.exists()


def test_some_scopes_can_be_asked_alone(home):
    assert [each.asked for each in home.run("*/public").report.scopes] == [1]
    assert [scope.scope for scope in home.scopes()] == ["local/public"]
    with pytest.raises(pipeline.QuestionError, match="no scope matches 'x': there are local/prod"):
        home.run("*/public", "x")


def test_a_check_writes_nothing(home):
    found = home.check()
    assert {name: len(each.answer.listing) for name, each in found.results.items()} == {
        "local/prod": 3,
        "local/public": 2,
    }
    assert (found.exit_status, found.missing) == (0, {})
    assert not home.database.exists()


def test_a_check_lists_what_destinations_lack(home):
    configure(home, '[destinations.chat]\ntype = "webhook"\nurl = "env:NOT_SET"\n')
    found = home.check()
    assert list(found.missing) == ["chat"]
    assert found.exit_status == pipeline.DeliveryError.exit_code


def test_a_failure_is_a_value_without_the_secret(home, one):
    home.run()
    one.fails("status", code=401, who=KEY)
    result = home.run()
    assert {scope.scope: scope.state for scope in result.report.coverage} == {
        "local/prod": "failed",
    }
    assert result.exit_status == 3
    assert KEY not in repr(result)


def no_reports(home):
    """Make the reports directory impossible to write to."""
    home.config.reports.parent.mkdir(exist_ok=True)
    home.config.reports.write_text("a file")


def test_a_run_whose_reports_fail_is_recorded_and_has_the_exit_status_of_the_command(home, one):
    no_reports(home)
    result = home.run()
    assert [each.state for each in result.deliveries.failed] == ["waiting"]
    assert result.exit_status == Job(home.directory).quick("run").code == pipeline.DeliveryError.exit_code
    with pytest.raises(pipeline.DeliveryError, match="the next run tries again"):
        result.deliveries.check()
    one.fails("status", code=401, who=KEY)
    assert home.run().exit_status == Job(home.directory).quick("run").code == 3
    assert home.last_run().status == "partial"


def test_a_run_returns_the_mistakes_in_templates(home):
    templates = home.directory / "templates"
    templates.mkdir()
    (templates / "mail.txt.j2").write_text("{{ nothing.of.this }}")
    table = {"type": "eml", "directory": "mails", "templates": "templates", "to": ["ops@example.com"]}
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
    configure(home, f"[destinations.ops]\nempty = true\n{lines}")
    result = home.run()
    (problem,) = result.template_problems
    assert problem.startswith("ops: ")
    assert "mail.txt.j2" in problem
    assert result.exit_status == 0


def test_an_observer_is_called_in_the_order_of_the_run(home):
    calls = []

    class Observer(RunObserver):
        def running(self, interrupt):
            calls.append(("running", interrupt))
            return super().running(interrupt)

        def fetching(self, scopes):
            calls.append(("fetching", scopes))
            return super().fetching(scopes)

        def on_result(self, scope, result):
            calls.append(("result", scope.name.partition("/")[0], len(result.answer.listing) > 0))

        def on_report(self, report, absences):
            calls.append(("report", report.run.answered, absences))

    home.run(observer=Observer())
    assert calls == [
        ("running", None),
        ("fetching", 2),
        *[("result", "local", True)] * 2,
        ("report", 2, ()),
    ]


def test_a_run_inside_an_event_loop(home):
    async def cell():
        return home.run()

    assert asyncio.run(cell()).report.run.status == "done"


def test_every_time_is_that_of_the_clock(tmp_path, one):
    configured(tmp_path, one.url)
    at = "2026-05-01T08:00:00Z"
    home = pipeline.home(tmp_path, clock=lambda: at)
    assert home.run().report.run.started_at == at
    one.offers("wren", to=("default", "vip"))
    at = "2026-05-03T08:00:00Z"
    home.run()
    assert [each.at for each in home.changes(since="1d")] == [at]
    at = "2026-05-05T08:00:00Z"
    assert home.changes(since="1d") == ()


def test_a_locked_home_lets_no_other_run_between(home):
    with home.locked() as locked:
        locked.run()
        with pytest.raises(pipeline.Locked):
            home.run()
        locked.run()
    assert home.run().report.run.snapshot == 3


def test_times_are_datetimes_iso_text_or_ages(home, one):
    home.run()
    now = datetime.now(UTC)
    soon = now + timedelta(minutes=1)
    assert home.changes(since="1d") == home.changes(since=now - timedelta(days=1)) == ()
    assert [row["model"] for row in home.models("h*", at=soon)] == ["heron-2"]
    assert home.models(at=soon.replace(tzinfo=None)) == home.models(at=soon.isoformat()) == home.models()
    with pytest.raises(pipeline.QuestionError, match="'soon' is no time"):
        home.changes(since="soon")
    with pytest.raises(pipeline.QuestionError, match="the history begins at"):
        home.models(at="2020-01-01")


def test_questions_return_values(home):
    home.run()
    (timeline,) = home.history("lumen")
    assert timeline.scopes == ("local/prod",)
    assert home.show("lumen")[0].was_offered
    assert home.diff("local/prod", "local/public").differs
    assert not home.diff(datetime.now(UTC)).differs
    assert home.matrix()[0].differing() == {"lumen": frozenset({"local/prod"})}
    assert [each.scopes for each in home.same()] == [("local/prod",), ("local/public",)]
    assert home.deprecations() == pipeline.Deprecations((), ())
    assert all(not check.problems for check in home.verify())
    with pytest.raises(pipeline.QuestionError, match="did you mean lumen"):
        home.history("lumem")


def test_watch_checks_the_models_given_or_those_of_the_config(home, one):
    with pytest.raises(pipeline.QuestionError, match="nothing is watched"):
        home.watch()
    configure(home, '[watch]\nmodels = ["quarry"]\n')
    home.run()
    assert not home.watch().urgent
    one.drops("quarry")
    assert [model.model for model in home.run().absences] == ["quarry"]
    (found,) = home.watch().models[0].findings
    assert (found.kind, found.scopes) == (FindingKind.UNCONFIRMED, ("local/prod", "local/public"))
    later = iso(datetime.now(UTC) + timedelta(minutes=2))
    assert [event.urgent for event in replace(home, clock=lambda: later).run().report.events] == [True]
    assert home.watch("nope").unmatched[0].pattern == "nope"


def test_a_database_without_a_config_answers_questions_and_cannot_run(home, tmp_path):
    home.run()
    assert home.backup(tmp_path / "copy.db") > 0
    alone = pipeline.home(tmp_path / "copy.db")
    assert alone.models() == home.models()
    assert not alone.watch("lumen").urgent
    with pytest.raises(pipeline.ConfigError, match="is a database without a config"):
        alone.run()


def test_merge_returns_what_joined_of_another_site(home, tmp_path):
    home.run()
    hub = pipeline.home(tmp_path / "hub")
    found = hub.merge(home.database, "tokyo")
    assert (found.merged.runs, found.merged.scopes, found.deliveries) == (1, 2, None)
    assert hub.merge(str(home.database), "tokyo").merged.runs == 0
    assert [(site.name, site.scopes) for site in hub.sites()] == [("tokyo", 2)]
    assert [row["model"] for row in hub.models(scopes=["tokyo:local/public"])] == ["heron-2", "quarry"]


def test_a_database_with_the_config_of_another_home_is_the_one_that_runs_write_to(home, tmp_path):
    home.run()
    home.backup(tmp_path / "copy.db")
    copy = pipeline.home(tmp_path / "copy.db", config=home.config_path)
    assert copy.run().report.run.snapshot == 2
    assert home.last_run().snapshot == 1


def test_maintenance(home, tmp_path):
    home.run()
    assert home.rebuild().changes == 0
    pruned = home.prune(keep=timedelta(days=1))
    assert (pruned.rows, pruned.bound, pruned.asked) == ({}, pruned.asked, pruned.bound)
    assert min(pruned.sizes) > 0
    assert home.prune(keep=timedelta(days=1), dry_run=True).sizes is None
    assert home.rename("local/public", "local/open") == [("local/public", "local/open")]
    with pytest.raises(pipeline.QuestionError, match="local/public is unknown"):
        home.rename("local/public", "local/other")
    assert home.scope_names("*/*") == ["local/open", "local/prod"]
    assert home.scope_names("*/prod", "local/o*", "local/open") == ["local/open", "local/prod"]
    for refused, message in (
        ((), "no scope is named"),
        (("*/prod", "x"), "no scope matches 'x': there are local/open, local/prod"),
    ):
        for ask in (home.scope_names, home.forget):
            with pytest.raises(pipeline.QuestionError, match=message):
                ask(*refused)
    assert len(home.scopes()) == 2
    assert home.publish(tmp_path / "copy") > 0
    assert len(home.export_parquet(tmp_path / "lake").written) == 6
    assert home.datasette_config()["title"] == "modelwatch"
    assert home.forget("*/prod")["scopes"] == 1
    assert [scope.scope for scope in home.scopes()] == ["local/open"]
    with pytest.raises(pipeline.QuestionError, match="no scope matches"):
        home.forget("*/prod")


def test_saved_answers_are_imported_once(home, tmp_path):
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "2025-10-01.json").write_bytes(listed("alpha", "beta"))
    (saved / "2025-10-02.json").write_bytes(listed("alpha"))
    assert home.import_("local/prod", saved).totals.answers == 2
    assert home.import_("local/prod", in_directory(saved, now=home.clock())).totals.known == 2
    assert home.import_("other/a", str(saved), dialect="auto").totals.answers == 2
    with pytest.raises(pipeline.QuestionError, match="no scope other/b is in the config"):
        home.import_("other/b", saved)
    with pytest.raises(pipeline.SavedError):
        home.import_("local/prod", tmp_path / "nowhere.jsonl")


def test_held_answers_are_accepted(home, one):
    home.run()
    one.fails("empty", who=KEY)
    assert home.run().exit_status == 5
    accepted = home.accept("local/*")
    assert accepted.scopes == ("local/prod",)
    assert {(event.kind, event.scopes) for event in accepted.events} == {(Kind.REMOVED, ("local/prod",))}
    assert accepted.deliveries.written
    with pytest.raises(pipeline.QuestionError, match="nothing is held for local"):
        home.accept("local/*")


def test_reports_are_written_rendered_previewed_and_sent(home, one, tmp_path):
    configure(home, '[destinations.ops]\ntype = "eml"\ndirectory = "mails"\nto = ["ops@example.com"]\n')
    home.sync()
    one.offers("wren", to=("default", "vip"))
    home.sync()
    rendered = home.render("txt", to="ops", language="ja")
    assert rendered.language == "ja"
    assert "wren" in rendered.text
    with pytest.raises(pipeline.QuestionError, match="no destination is named 'dev': there are reports, ops"):
        home.render("txt", to="dev")
    with pytest.raises(pipeline.QuestionError, match="must be after --since"):
        home.render("txt", until="2020-01-01")
    for report in (home.report, partial(home.render, "txt")):
        with pytest.raises(pipeline.QuestionError, match=r"no run between .*: the history begins at 20"):
            report(since="2020-01-01", until="2020-02-01")
        with pytest.raises(
            pipeline.QuestionError, match="no run since 3030-01-01 00:00: the last one before"
        ):
            report(since="3030-01-01")
    (preview,) = home.preview(to="ops")
    assert "wren" in preview.message.text
    assert not home.outbox()
    assert [each.destination for each in home.send(to="ops").sent] == ["ops"]
    assert home.preview(to="ops") == ()
    assert {path.suffix for path in home.report().written} == {".csv", ".json"}
    assert len(home.report(since="1d").written) == 2


def test_failed_deliveries_are_retried_or_dropped(home):
    no_reports(home)
    home.run()
    (waiting,) = home.outbox()
    home.config.reports.unlink()
    changed, deliveries = home.retry(waiting.id)
    assert [each.id for each in changed] == [each.id for each in deliveries.sent] == [waiting.id]
    with pytest.raises(pipeline.QuestionError, match=f"nothing to do for {waiting.id}"):
        home.drop(waiting.id)
    assert [each.state for each in home.outbox(include_sent=True)] == ["sent"]


def test_a_named_config_must_exist(home, tmp_path):
    home.run()
    missing = tmp_path / "missing.toml"
    for place in (home.directory, home.database):
        misspelt = pipeline.home(place, config=missing)
        for verb in (misspelt.rebuild, lambda each=misspelt: list(each.verify()), misspelt.run):
            with pytest.raises(pipeline.ConfigError, match=r"missing\.toml: there is no config yet"):
                verb()
    home.config_path.unlink()
    assert list(home.verify())


def test_each_absence_has_an_error_of_its_own(tmp_path):
    empty = pipeline.home(tmp_path)
    with pytest.raises(pipeline.StoreError, match="there is no database yet"):
        empty.changes()
    with pytest.raises(pipeline.ConfigError, match="there is no config yet"):
        empty.run()
    for error in (pipeline.StoreError, pipeline.ConfigError, pipeline.QuestionError, pipeline.SavedError):
        assert issubclass(error, pipeline.PipelineError)


def test_a_second_run_is_refused_while_one_is_under_way(tmp_path):
    refused = []

    def answer(_question):
        try:
            home.run()
        except pipeline.Locked as error:
            refused.append(error)
        return Reply(listed("alpha"))

    with Scripted(answer) as server:
        job = Job(tmp_path)
        job.asks(server.url, attempts=1)
        home = pipeline.home(tmp_path)
        assert home.run().report.run.status == "done"
    assert len(refused) == 1


def test_names_of_the_package_are_imported_at_their_first_use():
    source = (
        "import sys, json, pipeline\n"
        "before = sorted(name for name in sys.modules if name.startswith('pipeline'))\n"
        "found = {name: hasattr(pipeline, name) for name in (*pipeline.__all__, 'nothing')}\n"
        "print(json.dumps([before, found, dir(pipeline)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, check=True, text=True, cwd=ROOT
    )
    before, found, names = json.loads(done.stdout)
    assert before == ["pipeline"]
    assert [name for name, there in found.items() if not there] == ["nothing"]
    assert set(pipeline.__all__) <= set(names)
