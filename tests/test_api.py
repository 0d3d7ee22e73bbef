"""The Python API: a home that is asked as the command is, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from support import ROOT
from support.e2e import Job, Reply, Scripted, listed

import pipeline
from pipeline.core.types import Kind
from pipeline.history.watch import What
from pipeline.simulator import Gateway
from pipeline.sync.archives import in_directory

KEY = "sk-python-12345678"


def gateway():
    """A gateway whose key is offered one model more than nobody is."""
    one = Gateway()
    one.key(KEY, group="vip")
    one.offers("heron-2", to=("default", "vip"), pricing={"input": 5})
    one.offers("quarry", to=("default", "vip"))
    one.offers("lumen", to="vip")
    return one


def configured(directory, url):
    """A home with two scopes at a gateway, whose key is in a file."""
    job = Job(directory)
    job.asks(url, scopes={"prod": 'key = "file:prod.key", group = "vip"', "public": ""}, attempts=1)
    (directory / "prod.key").write_text(KEY)
    return pipeline.home(directory)


@pytest.fixture
def one():
    """The gateway, started."""
    with gateway() as started:
        yield started


@pytest.fixture
def home(tmp_path, one):
    """A home that asks it."""
    return configured(tmp_path / "home", one.url)


def test_the_readme_does_what_it_says(tmp_path, one, monkeypatch, capsys):
    """The example of the README runs as it stands, and finds what is there."""
    (source,) = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    configured(tmp_path / "data", one.url)
    monkeypatch.chdir(tmp_path)
    made = {}
    exec(compile(source, "README.md", "exec"), made)
    assert made["report"].run.status == "done"
    assert made["differs"] is True
    assert made["cheap"] == ["heron-2"]
    assert list(made["prices"]) == [("local/prod", "local/public")]
    assert capsys.readouterr().out == ""


def test_a_run_records_and_reports(home, one):
    """As `modelwatch run` does: the report comes back, and its files are written."""
    assert home.run().events == ()
    one.drops("quarry")
    one.offers("heron-2", to=("default", "vip"), pricing={"input": 4})
    told = home.run()
    assert [(each.kind, each.model) for each in told.events] == [(Kind.CHANGED, "heron-2")]
    assert home.changes() == told.events
    assert (home.config.reports / "latest.json").exists()
    assert home.last_run() == told.run
    assert [scope.unconfirmed for scope in home.scopes()] == [1, 1]


def test_a_rehearsal_writes_nothing(home):
    """Neither a database nor a report."""
    assert home.run(dry_run=True).run.answered == 2
    assert not home.database.exists()
    assert not home.config.reports.exists()


def test_some_scopes_may_be_asked_alone(home, one):
    """By globs; one that matches none is a question without an answer."""
    assert [scope.scope for scope in home.run("*/public").coverage] == ["local/public"]
    with pytest.raises(pipeline.QuestionError, match="no scope matches x: there are local/prod"):
        home.run("x")


def test_a_check_writes_nothing(home):
    """Each scope has said something, and it is not kept."""
    heard = home.check()
    assert {name: len(each.answer.listing) for name, each in heard.items()} == {
        "local/prod": 3,
        "local/public": 2,
    }
    assert not home.database.exists()


def test_a_failure_is_a_value(home, one):
    """A scope that fails stops nothing; its secret is in nothing that is told."""
    home.run()
    one.fails("status", code=401, who=KEY)
    told = home.run()
    assert {scope.scope: scope.state for scope in told.coverage} == {
        "local/prod": "failed",
        "local/public": "ok",
    }
    assert KEY not in repr(told)


def test_a_run_inside_an_event_loop(home):
    """A notebook has one that runs already."""

    async def cell():
        return home.run()

    assert asyncio.run(cell()).run.status == "done"


def test_the_past_is_asked_in_any_form_of_time(home, one):
    """A `datetime` with or without a zone, ISO text, or how long ago."""
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


def test_every_question_has_its_value(home, one):
    """What the command tells is there as the values that it is made of."""
    home.run()
    (story,) = home.history("lumen")
    assert story.scopes == ("local/prod",)
    assert home.show("lumen")[0].is_known
    assert home.diff("local/prod", "local/public").differs
    assert not home.diff(datetime.now(UTC)).differs
    assert home.matrix()[0].differing() == {"lumen": frozenset({"local/prod"})}
    assert [each.scopes for each in home.same()] == [("local/prod",), ("local/public",)]
    assert home.lifecycle() == pipeline.Lifecycle((), ())
    assert all(not check.problems for check in home.verify())
    with pytest.raises(pipeline.QuestionError, match="did you mean lumen"):
        home.history("lumem")


def test_watching(home, one):
    """The words given, or else those of the config, which mark what is urgent."""
    with pytest.raises(pipeline.QuestionError, match="nothing is watched"):
        home.watch()
    Job(home.config.path.parent).configure(
        home.config.path.read_text("utf-8") + '[watch]\nmodels = ["quarry"]\n'
    )
    home.run()
    assert not home.watch().urgent
    one.drops("quarry")
    home.run()
    (found,) = home.watch().models[0].findings
    assert (found.what, found.scopes) == (What.UNCONFIRMED, ("local/prod", "local/public"))
    assert [event.urgent for event in home.run().events] == [True]
    assert home.watch("nope").unmatched[0].word == "nope"


def test_a_database_alone(home, tmp_path):
    """A copy can be asked without its config, and can ask nobody."""
    home.run()
    assert home.backup(tmp_path / "copy.db") > 0
    alone = pipeline.home(tmp_path / "copy.db")
    assert alone.models() == home.models()
    assert not alone.watch("lumen").urgent
    with pytest.raises(pipeline.ConfigError, match="stands alone"):
        alone.run()


def test_care(home):
    """What is derived again is as it was; what is forgotten is gone; what is old is dropped."""
    home.run()
    assert home.rebuild().changes == 0
    assert home.prune(keep=timedelta(days=1)).rows == {}
    assert home.forget("*/prod")["scopes"] == 1
    assert [scope.scope for scope in home.scopes()] == ["local/public"]
    with pytest.raises(pipeline.QuestionError, match="no scope matches"):
        home.forget("*/prod")


def test_saved_answers_come_in(home, tmp_path):
    """From a directory, into a scope of the config or a new one; again changes nothing."""
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "2025-10-01.json").write_bytes(listed("alpha", "beta"))
    (saved / "2025-10-02.json").write_bytes(listed("alpha"))
    assert home.import_("local/prod", saved).answers == 2
    assert home.import_("local/prod", in_directory(saved)).known == 2
    assert home.import_("other/a", str(saved), dialect="auto").answers == 2
    with pytest.raises(pipeline.QuestionError, match="no scope other/b is in the config"):
        home.import_("other/b", saved)
    with pytest.raises(pipeline.SavedError):
        home.import_("local/prod", tmp_path / "nowhere.jsonl")


def test_what_is_not_there_is_said(tmp_path):
    """No database, no config: each is an error of its own, and all are of one family."""
    empty = pipeline.home(tmp_path)
    with pytest.raises(pipeline.StoreError, match="there is no database yet"):
        empty.changes()
    with pytest.raises(pipeline.ConfigError, match="there is no config yet"):
        empty.run()
    for error in (pipeline.StoreError, pipeline.ConfigError, pipeline.QuestionError, pipeline.SavedError):
        assert issubclass(error, pipeline.PipelineError)


def test_a_second_run_does_not_begin(tmp_path):
    """While one is under way, in whatever program."""
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
        assert home.run().run.status == "done"
    assert len(refused) == 1


def test_names_are_handed_out_when_they_are_asked_for():
    """`import pipeline` loads nothing else; every name that is promised is there, and no other."""
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
