"""The command `import` with `--git`: only whole histories, true dates, and the repository that was named."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from support.e2e import Done, Job, listed, one_line
from support.repository import Repository

NOW = "2026-01-01T00:00:00Z"
FILE = "models.json"


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A home without a config."""
    return Job(tmp_path / "home")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with a version of the file for each of three days."""
    found = Repository(tmp_path / "repository")
    for day, models in enumerate(("a", "ab", "b"), 1):
        found.commit(f"2025-10-0{day}T00:00:00Z", **{FILE: listed(*models)})
    return found


def imports(job: Job, repository: Repository | Path, file: str = FILE, scope: str = "acme/old") -> Done:
    """Import the versions of a file, on the first day of 2026."""
    path = repository.path if isinstance(repository, Repository) else repository
    return job.quick("import", scope, "--dialect", "auto", "--git", str(path), "--path", file, at=NOW)


WHOLE = "3 answers of acme/old from 2025-10-01 00:00 to 2025-10-03 00:00: 2 moves, 1 added, 1 removed\n"


def test_commits_from_the_future_and_from_before_2020_are_left_out_and_named(
    job: Job, repository: Repository
) -> None:
    for at in ("2019-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "2026-01-01T00:00:01Z"):
        repository.commit(at, **{FILE: listed("c", at)})
    done = imports(job, repository)
    assert done.stdout == WHOLE.replace("\n", "; 3 left out for their time\n")
    early, late = done.stderr.splitlines()
    assert early.count(f"{FILE}@") == 2
    assert "(2019-12-31 23:59)" in early
    assert early.endswith(": a time before 2020-01-01, when there was no gateway")
    assert late.endswith(" (2026-01-01 00:00): a time in the future")


def test_a_web_page_in_a_commit_is_named_without_advice_for_a_request(
    job: Job, repository: Repository
) -> None:
    repository.commit("2025-10-04T00:00:00Z", **{FILE: b"<!doctype html><title>Down</title>"})
    done = imports(job, repository)
    assert done.stdout == WHOLE.replace("\n", "; 1 could not be read\n")
    assert done.stderr.endswith(": the answer is a web page, not JSON\n")


def test_a_file_that_no_commit_has_is_named_as_such(job: Job, repository: Repository) -> None:
    done = job.quick("import", "acme/old", "--git", str(repository.path), "--path", "nope.json")
    one_line(done, 65, "nope.json: no commit of the current branch has this file: check --path")


def test_without_a_commit_of_a_possible_date_the_first_is_named(job: Job, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "new")
    repository.commit("2027-01-01T00:00:00Z", **{FILE: listed("a")})
    one_line(imports(job, repository), 65, "holds no saved answer", f"{FILE}@", "a time in the future")
    assert not job.database.exists()


def test_a_commit_without_a_valid_date_is_left_out_and_named(job: Job, repository: Repository) -> None:
    repository.commit("2025-10-04T00:00:00Z", **{FILE: listed("c")})
    raw = repository.git("cat-file", "commit", "HEAD")
    broken = "\n".join(
        line.rpartition("> ")[0] + ">" if line.startswith("committer") else line for line in raw.split("\n")
    )
    commit = repository.git(
        "hash-object", "-t", "commit", "-w", "--stdin", "--literally", standard_input=broken
    )
    repository.git("reset", "--quiet", "--hard", commit.strip())
    done = imports(job, repository)
    assert done.stdout == WHOLE
    assert done.stderr == f"modelwatch: left out: {FILE}@{commit[:12]}: no valid date\n"


def test_a_shallow_clone_is_refused_with_the_cure(job: Job, repository: Repository, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    repository.git("clone", "--quiet", "--depth", "2", f"file://{repository.path}", str(clone))
    one_line(imports(job, clone), 65, "is a shallow clone", f"git -C {clone} fetch --unshallow")
    assert not job.database.exists()
    repository.git("-C", str(clone), "fetch", "--quiet", "--unshallow")
    assert imports(job, clone).stdout == WHOLE


@pytest.mark.parametrize("kind", ["replacement", "graft"])
def test_a_commit_whose_parents_are_hidden_has_its_own_changes_only(
    job: Job, repository: Repository, kind: str
) -> None:
    repository.commit("2025-10-05T00:00:00Z", other=b"1")
    head = repository.git("rev-parse", "HEAD").strip()
    if kind == "replacement":
        repository.git("replace", "--graft", head)
    else:
        (repository.path / ".git/info").mkdir(exist_ok=True)
        (repository.path / ".git/info/grafts").write_text(f"{head}\n")
    assert repository.git("log", "--format=%H").count("\n") == 1
    done = imports(job, repository)
    assert (done.stdout, done.stderr) == (WHOLE, "")


@pytest.mark.parametrize("missing", ["blob:none", "tree:0"])
def test_a_partial_clone_without_the_contents_is_refused_and_fetches_nothing(
    job: Job, repository: Repository, tmp_path: Path, missing: str
) -> None:
    repository.git("config", "uploadpack.allowFilter", "true")
    clone, whole = tmp_path / "clone", f"file://{repository.path}"
    repository.git("clone", "--quiet", "--no-checkout", "--filter", missing, whole, str(clone))
    packs = sorted((clone / ".git/objects/pack").iterdir())
    cure = "clone the repository again, in full and without `--filter`"
    one_line(imports(job, clone), 65, "git does not have its content", cure)
    assert sorted((clone / ".git/objects/pack").iterdir()) == packs
    assert not job.database.exists()


def test_a_partial_clone_with_the_contents_of_the_file_is_imported(
    job: Job, repository: Repository, tmp_path: Path
) -> None:
    repository.git("config", "uploadpack.allowFilter", "true")
    clone, whole = tmp_path / "clone", f"file://{repository.path}"
    repository.git("clone", "--quiet", "--no-checkout", "--filter", "blob:none", whole, str(clone))
    for commit in ("HEAD", "HEAD~1", "HEAD~2"):
        repository.git("-C", str(clone), "cat-file", "blob", f"{commit}:{FILE}")
    assert imports(job, clone).stdout == WHOLE


@pytest.fixture
def other(tmp_path: Path) -> Repository:
    """Another repository with such a file."""
    found = Repository(tmp_path / "other")
    found.commit("2025-11-01T00:00:00Z", **{FILE: listed("of", "the", "other")})
    return found


@pytest.mark.parametrize(
    "variables",
    [
        {"GIT_DIR": "{other}/.git"},
        {"GIT_DIR": "{other}/.git", "GIT_WORK_TREE": "{other}", "GIT_INDEX_FILE": "{other}/.git/index"},
        {"GIT_DIR": ".git", "GIT_COMMON_DIR": "{other}/.git"},
        {"GIT_WORK_TREE": "{other}"},
        {"GIT_OBJECT_DIRECTORY": "{other}/.git/objects"},
        {"GIT_NAMESPACE": "other"},
        {"GIT_SHALLOW_FILE": "{other}/.git/HEAD"},
        {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.worktree", "GIT_CONFIG_VALUE_0": "{other}"},
        {"GIT_CONFIG_PARAMETERS": "'core.worktree'='{other}'"},
        {"GIT_GLOB_PATHSPECS": "1", "GIT_PREFIX": "below/", "GIT_TRACE": "1"},
        {"GIT_CEILING_DIRECTORIES": "{other}"},
    ],
    ids="-".join,
)
def test_variables_of_git_lead_to_no_other_repository(
    job: Job, repository: Repository, other: Repository, variables: dict[str, str]
) -> None:
    job.env |= {name: value.format(other=other.path) for name, value in variables.items()}
    done = imports(job, repository)
    assert (done.stdout, done.stderr) == (WHOLE, "")


def test_a_hook_in_a_linked_worktree_imports_from_the_named_repository(
    job: Job, repository: Repository, other: Repository, tmp_path: Path
) -> None:
    linked = tmp_path / "linked"
    other.git("worktree", "add", "--quiet", str(linked))
    words = [
        *job.command("import", "acme/old", "--dialect", "auto", "--path", FILE),
        "--git",
        str(repository.path),
    ]
    hook = other.path / ".git/hooks/post-commit"
    hook.parent.mkdir(exist_ok=True)
    log = tmp_path / "log"
    line = " ".join(f"'{word}'" for word in words)
    hook.write_text(f"#!/bin/sh\nenv > {tmp_path}/env\ncd {Path.cwd()} && {line} > {log} 2>&1\n")
    hook.chmod(0o755)
    other.git("-C", str(linked), "commit", "--quiet", "--allow-empty", "--message", "scraped")
    assert f"GIT_DIR={other.path}" in (tmp_path / "env").read_text()
    assert log.read_text() == WHOLE


def test_the_repository_of_another_user_is_refused_with_gits_cure(
    job: Job, repository: Repository, tmp_path: Path
) -> None:
    """The variable is that of git's own tests: https://github.com/git/git/blob/master/t/t0033-safe-directory.sh."""
    programs = tmp_path / "programs"
    programs.mkdir()
    program = programs / "git"
    program.write_text(f'#!/bin/sh\nGIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec {shutil.which("git")} "$@"\n')
    program.chmod(0o755)
    job.bare = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(tmp_path)}
    cure = f"import as its owner, or trust it: `git config --global --add safe.directory {repository.path}"
    one_line(imports(job, repository), 65, "dubious ownership", cure)
    trusting = ["git", "config", "--global", "--add", "safe.directory", str(repository.path)]
    subprocess.run(trusting, env=job.environment(), check=True)
    assert imports(job, repository).stdout == WHOLE


def test_a_renamed_file_is_imported_by_its_old_name_and_then_by_its_new_one(
    job: Job, repository: Repository
) -> None:
    repository.git("mv", FILE, "renamed.json")
    repository.git("commit", "--quiet", "--message", "renamed", at="2025-10-04T00:00:00Z")
    repository.commit("2025-10-05T00:00:00Z", **{"renamed.json": listed("b", "c")})
    assert imports(job, repository).stdout == WHOLE
    assert imports(job, repository, "renamed.json").stdout == (
        "2 answers of acme/old from 2025-10-04 00:00 to 2025-10-05 00:00: 1 move, 1 added\n"
    )
    other_order = Job(job.home.parent / "other_order")
    assert imports(other_order, repository, "renamed.json").code == 0
    one_line(imports(other_order, repository), 65, f"{FILE}@", "is recorded until 2025-10-05")


def test_a_merge_counts_once_and_at_its_own_time(job: Job, repository: Repository) -> None:
    repository.git("switch", "--quiet", "--create", "side")
    for day, models in ((4, "bc"), (5, "bcd")):
        repository.commit(f"2025-10-0{day}T00:00:00Z", **{FILE: listed(*models)})
    repository.git("switch", "--quiet", "main")
    repository.commit("2025-10-06T00:00:00Z", other=b"1")
    repository.git("merge", "--quiet", "--no-edit", "side", at="2025-10-07T00:00:00Z")
    assert imports(job, repository).stdout == (
        "4 answers of acme/old from 2025-10-01 00:00 to 2025-10-07 00:00: 3 moves, 3 added, 1 removed\n"
    )


def test_commits_whose_dates_run_backwards_are_taken_by_date_and_named(
    job: Job, repository: Repository
) -> None:
    repository.commit("2025-10-02T12:00:00Z", **{FILE: listed("a", "b", "c")})
    commit = repository.git("rev-parse", "HEAD")[:12]
    done = imports(job, repository)
    assert done.stdout.startswith("4 answers of acme/old from 2025-10-01 00:00 to 2025-10-03 00:00: 3 moves")
    assert done.stderr == (
        "modelwatch: acme/old: 1 commit is dated before the version that came before, such as"
        f" {FILE}@{commit} (2025-10-02 12:00): the versions are taken in the order of their dates\n"
    )


def test_versions_that_are_no_files_are_left_out_and_named(job: Job, repository: Repository) -> None:
    (repository.path / FILE).unlink()
    (repository.path / FILE).symlink_to("elsewhere")
    repository.commit("2025-10-04T00:00:00Z")
    (repository.path / FILE).unlink()
    head = repository.git("rev-parse", "HEAD").strip()
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{head},{FILE}")
    repository.git("commit", "--quiet", "--message", "m", at="2025-10-05T00:00:00Z")
    done = imports(job, repository)
    assert done.stdout == WHOLE
    assert [line.rpartition(": ")[2] for line in done.stderr.splitlines()] == [
        "a symbolic link instead of the file",
        "a submodule instead of the file",
    ]


def test_an_empty_version_is_named_as_unreadable(job: Job, repository: Repository) -> None:
    repository.commit("2025-10-04T00:00:00Z", **{FILE: b""})
    done = imports(job, repository)
    assert done.stdout == WHOLE.replace("removed\n", "removed; 1 could not be read\n")
    assert f"{FILE}@" in done.stderr
