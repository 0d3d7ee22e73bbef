"""Saved answers in the history of a git repository are read oldest first, with their own bytes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.repository import Repository

from pipeline.errors import SavedError
from pipeline.sync.archives import Answers, SavedAnswer
from pipeline.sync.git_archive import in_git as _in_git

NOW = "2026-01-01T00:00:00Z"

ODD = b'{"data":[ {"id":"lyra","price":0.50} ]}'
"""An answer whose bytes differ from those of any encoder."""


def in_git(repository: Path, file: str) -> Answers:
    """Find the versions of a file, with the environment of the tests."""
    return _in_git(repository, file, now=NOW, environment=os.environ)


def read(answers: Answers) -> list[SavedAnswer]:
    """Read all answers, and check that they are as many as announced."""
    found = list(answers.oldest_first)
    assert len(found) == answers.count
    return found


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty repository."""
    return Repository(tmp_path / "repository")


@pytest.mark.parametrize("name", ["models.json", "a b/mödels [x]*.json", 'with "quotes".json', ":(top)x"])
def test_a_file_in_git_has_a_version_for_each_commit_that_writes_it(
    repository: Repository, name: str
) -> None:
    repository.commit("2025-10-01T02:00:00+02:00", **{name: ODD, "other": b"1"})
    repository.commit("2025-10-02T00:00:00Z", other=b"2")
    repository.commit("2025-10-03T00:00:00Z", **{name: None})
    repository.commit("2025-10-04T00:00:00Z", **{name: b"\x00\xff\n\n"})
    found = read(in_git(repository.path, name))
    assert [(saved.at, saved.body) for saved in found] == [
        ("2025-10-01T00:00:00Z", ODD),
        ("2025-10-04T00:00:00Z", b"\x00\xff\n\n"),
    ]
    assert all(saved.source.startswith(f"{name}@") for saved in found)


def test_a_version_from_a_branch_has_the_time_of_its_merge(repository: Repository) -> None:
    repository.commit("2025-10-01T00:00:00Z", models=b"1")
    repository.git("switch", "--quiet", "--create", "side")
    repository.commit("2025-10-02T00:00:00Z", models=b"2")
    repository.git("switch", "--quiet", "main")
    repository.commit("2025-10-03T00:00:00Z", other=b"1")
    repository.git("merge", "--quiet", "--no-edit", "side", at="2025-10-04T00:00:00Z")
    found = read(in_git(repository.path, "models"))
    assert [(saved.at, saved.body) for saved in found] == [
        ("2025-10-01T00:00:00Z", b"1"),
        ("2025-10-04T00:00:00Z", b"2"),
    ]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("log.showRoot", "false"),
        ("log.diffMerges", "combined"),
        ("diff.relative", "true"),
        ("diff.orderFile", "nowhere"),
        ("i18n.logOutputEncoding", "UTF-16"),
        ("color.ui", "always"),
    ],
)
def test_settings_of_git_log_change_nothing(repository: Repository, setting: str, value: str) -> None:
    repository.commit("2025-10-01T00:00:00Z", **{"models": b"1", "below/other": b"1"})
    repository.git("switch", "--quiet", "--create", "side")
    repository.commit("2025-10-02T00:00:00Z", models=b"2")
    repository.git("switch", "--quiet", "main")
    repository.git("merge", "--quiet", "--no-ff", "--no-edit", "side", at="2025-10-03T00:00:00Z")
    repository.git("config", setting, value)
    found = read(in_git(repository.path / "below", "../models"))
    assert [(saved.at, saved.body) for saved in found] == [
        ("2025-10-01T00:00:00Z", b"1"),
        ("2025-10-03T00:00:00Z", b"2"),
    ]


def test_commits_are_sorted_by_their_times(repository: Repository) -> None:
    """Of commits in one second the later one is last."""
    for at, body in (("02", b"1"), ("01", b"2"), ("02", b"3")):
        repository.commit(f"2025-10-{at}T00:00:00Z", models=body)
    assert [saved.body for saved in read(in_git(repository.path, "models"))] == [b"2", b"1", b"3"]


def test_errors_of_git_are_one_line(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SavedError, match="git: fatal: "):
        in_git(repository.path, "models")
    repository.commit("2025-10-01T00:00:00Z", **{"below/models": b"1"})
    with pytest.raises(SavedError, match="models: no commit of the current branch has this file"):
        in_git(repository.path, "models")
    with pytest.raises(SavedError, match="below: is a directory"):
        in_git(repository.path, "below")
    with pytest.raises(SavedError, match=r"git: fatal: .*No such file"):
        in_git(tmp_path / "nowhere", "models")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "plain").mkdir()
    with pytest.raises(SavedError, match="not a git repository"):
        in_git(tmp_path / "plain", "models")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SavedError, match="there is no `git` on the path"):
        in_git(repository.path, "models")


def test_missing_content_of_a_partial_clone_is_an_error(repository: Repository) -> None:
    repository.commit("2025-10-01T00:00:00Z", models=b"1")
    blob = repository.git("rev-parse", "HEAD:models").strip()
    (repository.path / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(SavedError, match="git does not have its content"):
        read(in_git(repository.path, "models"))


def test_answers_need_not_be_read_to_the_end(repository: Repository) -> None:
    for day in range(1, 4):
        repository.commit(f"2025-10-0{day}T00:00:00Z", models=str(day).encode())
    answers = in_git(repository.path, "models")
    assert next(answers.oldest_first).body == b"1"
    answers.oldest_first.close()  # type: ignore[attr-defined] - a generator
    assert list(answers.oldest_first) == []
