"""What is installed is what was read: locked packages, vendored scripts and actions, each by its digest."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support import ROOT
from support.locks import (
    BASE,
    LEFT_OUT,
    LOCKS,
    PYTHONS,
    below,
    build_requirements,
    extras,
    own_extras,
    project,
)

VENDORED = ROOT / "pipeline" / "browse" / "static" / "vendor"
NAMES = (BASE, *extras())


@cache
def pinned(lock: str) -> tuple[Requirement, ...]:
    """Return the requirements of a lock, with their markers."""
    found = re.findall(r"^([a-z].*?) \\$", (LOCKS / f"{lock}.txt").read_text(), re.MULTILINE)
    return tuple(Requirement(entry) for entry in found)


def declared(lock: str) -> list[Requirement]:
    """Return what `pyproject.toml` asks for, without the project's own extras."""
    if lock == BASE:
        return [
            Requirement(entry) for entry in (*project()["project"]["dependencies"], *build_requirements())
        ]
    return [Requirement(entry) for entry in extras()[lock] if not own_extras(entry)]


def test_each_extra_has_a_lock_and_no_other_file_is_there() -> None:
    assert {path.name for path in LOCKS.iterdir()} == {f"{name}.txt" for name in NAMES}


@pytest.mark.parametrize("lock", NAMES)
def test_every_line_of_a_lock_is_a_version_or_a_digest(lock: str) -> None:
    """So that no lock has the address of an index, a package without digest, or an option of pip but one."""
    lines = (LOCKS / f"{lock}.txt").read_text().splitlines()
    option = lines.index("--only-binary :all:")
    assert all(line.startswith("# ") for line in lines[:option])
    assert "://" not in "".join(lines[:option])
    after_digests = True
    for line in lines[option + 1 :]:
        begins = re.fullmatch(r"[a-z0-9-]+==[\w.]+( ; [\w.'=!<> ()]+)? \\", line)
        assert begins if after_digests else re.fullmatch(r" {4}--hash=sha256:[0-9a-f]{64}( \\)?", line)
        after_digests = not line.endswith("\\")
    assert after_digests


@pytest.mark.parametrize("lock", NAMES)
def test_a_lock_has_every_requirement_of_pyproject_in_a_version_that_it_allows(lock: str) -> None:
    """If this fails, write the locks again: `cd tests && python -m support.locks`."""
    versions = {
        canonicalize_name(pin.name): next(iter(pin.specifier)).version
        for each in (*below(lock), lock)
        for pin in pinned(each)
    }
    for wanted in declared(lock):
        version = versions.get(canonicalize_name(wanted.name))
        assert version is not None, f"{lock}.txt has no {wanted.name}"
        assert wanted.specifier.contains(version), f"{lock}.txt has {wanted.name} {version}, wanted {wanted}"


def test_no_package_has_two_versions_so_that_the_tests_test_what_the_program_runs() -> None:
    versions: dict[str, set[str]] = {}
    for lock in NAMES:
        for pin in pinned(lock):
            versions.setdefault(pin.name, set()).add(str(pin.specifier))
    assert {name: each for name, each in versions.items() if len(each) > 1} == {}
    assert not LEFT_OUT & versions.keys()


@pytest.mark.parametrize("lock", NAMES)
@pytest.mark.parametrize("platform", ["x86_64-linux-gnu", "aarch64-linux-gnu", "arm64-darwin"])
def test_a_lock_has_wheels_of_every_supported_python(lock: str, platform: str) -> None:
    assert f"# {platform}: {' '.join(PYTHONS)}\n" in (LOCKS / f"{lock}.txt").read_text()


def test_the_program_is_locked_for_alpine_linux_and_older_macs_too() -> None:
    for lock in (BASE, "browse", "notify", "lake", "fleet"):
        for platform in ("x86_64-linux-musl", "aarch64-linux-musl", "x86_64-darwin"):
            assert f"# {platform}: {' '.join(PYTHONS)}\n" in (LOCKS / f"{lock}.txt").read_text()


@pytest.mark.parametrize(
    ("script", "extra"),
    [
        ("cron/modelwatch", "browse"),
        ("tests/run", "test"),
        (".ci/run", "check"),
        ("tests/bench/run", "bench"),
    ],
)
def test_a_set_up_installs_the_locks_below_its_own_first(script: str, extra: str) -> None:
    found = r"\bprepare \S+ \S+ (?:\$newest )?(?:\$options )?(?:--with=(\w+) )?(.+)"
    ((last, names),) = re.findall(found, (ROOT / script).read_text())
    assert (BASE, *names.split(), *filter(None, [last])) == (*below(extra), extra)


def dockerfile() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile: their names and arguments."""
    text = (ROOT / "cron" / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, " ".join(rest.split())) for name, _, rest in (line.partition(" ") for line in lines)]


def test_the_container_installs_the_locks_and_then_the_project_alone() -> None:
    installed = [rest.partition("pip install ")[2] for _, rest in dockerfile() if "pip install" in rest]
    options = "--no-cache-dir --disable-pip-version-check"
    (loop,) = [rest for _, rest in dockerfile() if rest.startswith("for lock")]
    assert loop.startswith(f"for lock in {BASE} ${{WITH:-browse}}; do ")
    assert installed == [
        f'{options} --require-hashes "$@"',
        f"{options} --no-deps --no-build-isolation /src",
    ]


def test_the_base_image_is_named_by_its_digest() -> None:
    """A tag of another's image can be moved to another image."""
    bases = {rest.partition(" AS ")[0] for name, rest in dockerfile() if name == "FROM"}
    (base,) = bases
    assert re.fullmatch(r"python:3\.\d+-slim@sha256:[0-9a-f]{64}", base)
    assert re.findall(r"3\.\d+", base)[0] in PYTHONS


def test_the_image_has_only_files_that_are_named_and_runs_as_a_user_without_rights() -> None:
    copied = [rest.split()[:-1] for name, rest in dockerfile() if name == "COPY" and "--from" not in rest]
    names = {each for words in copied for each in words}
    assert names == {
        "cron/requirements",
        *("pyproject.toml", "README.md", "LICENSE", ".github/metadata.py", "pipeline"),
    }
    assert all((ROOT / name).exists() for name in names)
    assert not [name for name, _ in dockerfile() if name == "ADD"]
    last = dict(dockerfile())
    assert last["USER"] == "65532:65532"
    assert last["VOLUME"] == "/data"
    assert last["HEALTHCHECK"].endswith('CMD ["modelwatch", "status", "--exit-code", "--since", "3h"]')
    ignored = (ROOT / "cron" / "Dockerfile.dockerignore").read_text().splitlines()
    kept = [line[1:] for line in ignored if line.startswith("!")]
    assert all(any(name == each or name.startswith(f"{each}/") for each in kept) for name in names)
    assert "*" in ignored


def vendored_digests() -> dict[str, str]:
    lines = (VENDORED / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split("  ") for line in lines)}


def test_every_vendored_file_has_the_digest_beside_it() -> None:
    files = [path for path in VENDORED.iterdir() if path.name not in {"README.md", "SHA256SUMS"}]
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files} == vendored_digests()


def test_every_action_of_the_workflows_is_named_by_its_commit() -> None:
    """A tag of another's repository can be moved to another commit."""
    workflows = [path for folder in ("cron", ".github") for path in Path(ROOT, folder).rglob("*.y*ml")]
    uses = [line for path in workflows for line in re.findall(r"uses: *(.+)", path.read_text())]
    assert uses
    for line in uses:
        assert re.fullmatch(r"[\w-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_a_release_has_absolute_links_to_the_files_of_its_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "https://git.example/team/modelwatch"
    monkeypatch.setenv("MODELWATCH_REPOSITORY", f"{address}/")
    metadata = project_metadata()
    assert metadata["urls"]["Homepage"] == address
    found = re.findall(r"\]\(([^)]+)\)", metadata["readme"])
    assert f"{address}/raw/v{metadata['version']}/tests/pictures/mail.png" in found
    assert f"{address}/blob/v{metadata['version']}/cron/README.md" in found
    inside = [each for each in found if not each.startswith("#")]
    assert all(each.startswith("https://") for each in inside)
    tree = f"{address}/(?:raw|blob)/v{re.escape(metadata['version'])}/"
    files = [re.sub(tree, "", each).partition("#")[0] for each in inside if re.match(tree, each)]
    assert [each for each in files if not (ROOT / each).exists()] == []


def test_a_build_without_an_address_has_the_readme_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELWATCH_REPOSITORY", raising=False)
    metadata = project_metadata()
    assert "urls" not in metadata
    assert metadata["readme"] == (ROOT / "README.md").read_text("utf-8")


def project_metadata() -> dict[str, Any]:
    """Return the metadata that a build of this tree would have, as hatchling computes it."""
    found = ProjectMetadata(str(ROOT), PluginManager())
    urls = found.core.urls
    return {"version": found.version, "readme": found.core.readme, **({"urls": urls} if urls else {})}
