"""The commands for hundreds of scopes: a screen of text, and every scope in the JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.e2e import Job, rows, valid
from support.fakes import listing, moment, record_run, result_of, scope

from pipeline.core.canonical import pretty
from pipeline.errors import Refused, Unresolved
from pipeline.gateways.types import ScopeResult
from pipeline.reports.types import FORMS
from pipeline.store import Store

NAMES = [f"acme/customer-{number:03d}" for number in range(300)]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Return a home in which 300 scopes got a model, then 60 were refused, and 30 have no key."""
    job = Job(tmp_path_factory.mktemp("many"))
    scopes = [scope(name) for name in NAMES]
    with Store.open(job.database) as store:
        record_run(store, scopes, {name: result_of(listing("a")) for name in NAMES}, all_scopes=True)
        results = {name: result_of(listing("a", "b")) for name in NAMES}
        for name in NAMES[:60]:
            results[name] = ScopeResult(Refused("acme.example answered 401", status=401))
        for number, name in enumerate(NAMES[60:90]):
            results[name] = ScopeResult(Unresolved(f"$KEY_{number} is not set"))
        record_run(store, scopes, results, all_scopes=True)
        record_run(store, scopes[-1:], {NAMES[-1]: result_of(listing("a", "b"))})
    job.asks("http://127.0.0.1:9")
    return job


def test_status_folds_what_scopes_have_in_common(many: Job) -> None:
    lines = many.quick("status").stdout.splitlines()
    refused, *unresolved, more, not_asked, healthy = lines[1:]
    assert refused.startswith("acme: 60 scopes: failing since ")
    assert [line.partition(":")[0] for line in unresolved] == NAMES[60:70]
    assert more == ("acme: 20 more scopes fail for reasons of this kind, see `modelwatch scopes --json`")
    assert not_asked.startswith("acme: 299 scopes: not asked since ")
    assert healthy == "210 of 300 scopes are healthy"


def test_status_folds_scopes_by_the_minutes_that_it_shows(tmp_path: Path) -> None:
    job = Job(tmp_path)
    scopes = [scope(name) for name in NAMES[:30]]
    with Store.open(job.database) as store:
        for second, some in ((1, scopes), (2, scopes[:20]), (3, scopes[:10])):
            answers = {each.name: result_of(listing("a")) for each in some}
            record_run(store, some, answers, at=f"2026-05-01T10:00:{second:02d}Z")
        assert (
            job.quick("status").stdout.splitlines()[1] == "acme: 20 scopes: not asked since 2026-05-01 10:00"
        )
        failures = {
            each.name: ScopeResult(Refused("acme.example answered 401", status=401)) for each in scopes
        }
        record_run(store, scopes, failures, at="2026-05-01T11:00:00Z")
    failing, healthy = job.quick("status").stdout.splitlines()[1:]
    assert failing.startswith(
        "acme: 30 scopes: failing since 2026-05-01 11:00 (last answered 2026-05-01 10:00): "
    )
    assert healthy == "0 of 30 scopes are healthy"


def test_the_json_of_status_counts_every_scope(many: Job) -> None:
    found = many.quick("status", "--json").json()
    assert {state: found["scopes"][state] for state in ("asked", "ok", "failed")} == {
        "asked": 300,
        "ok": 210,
        "failed": 90,
    }
    assert [(valid(each, "coverage")["scope_count"], each["variants"]) for each in found["coverage"]] == [
        (60, 1),
        (30, 30),
    ]


def test_the_table_of_scopes_has_numbers_and_the_first_of_those_in_trouble(many: Job) -> None:
    lines = many.quick("scopes").stdout.splitlines()
    assert lines[2].split() == ["acme", "300", "210", "0", "90", "0", "0"]
    assert [line.split()[0] for line in lines[6:-1]] == NAMES[:20]
    assert lines[-1].startswith(
        "70 more scopes held, failing, new or with pending removals; all: `modelwatch"
    )
    assert len(lines) < 40


def test_the_json_and_the_csv_of_scopes_have_each(many: Job) -> None:
    text = many.quick("scopes", "--json").stdout
    assert text == pretty(json.loads(text))
    assert [valid(each, "scope_state")["scope"] for each in json.loads(text)] == NAMES
    assert [row["scope"] for row in rows(many.quick("scopes", "--csv").stdout)] == NAMES


def test_the_scopes_that_a_report_leaves_out_are_found_by_its_command(many: Job, tmp_path: Path) -> None:
    words = ("report", "--since", moment(2), "--until", moment(3))
    texts = {form: many.quick(*words, "--as", form).stdout for form in FORMS}
    assert max(map(len, texts.values())) < 30_000
    report = valid(json.loads(texts["json"]))
    (change,) = report["changes"]
    assert (change["scope_count"], len(change["scopes"])) == (210, 20)
    (row,) = rows(texts["csv"])
    assert (row["scope_count"], row["scopes"].split()) == ("210", change["scopes"])
    words = report["commands"]["changes"].split()[1:]
    (found,) = many.quick(*words).json()
    assert found["scopes"] == NAMES[90:]
