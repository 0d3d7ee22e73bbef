"""The image of `cron/Dockerfile`: its steps, and where a container engine runs here, the image itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import ROOT
from support.e2e import Job

from pipeline.simulator import Gateway

pytestmark = pytest.mark.proofs

DOCKERFILE = ROOT / "cron" / "Dockerfile"
KEY = "sk-prod-12345678"


def sh(*words: str, cwd: Path = ROOT, env: dict[str, str] | None = None) -> str:
    """Run a program that must succeed; return its output."""
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=1200)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def works(*words: str) -> bool:
    """Return whether a program is here and succeeds."""
    return (
        shutil.which(words[0]) is not None
        and not subprocess.run(words, capture_output=True, check=False, timeout=60).returncode
    )


def steps() -> list[tuple[str, str]]:
    """Return the instructions of the stage that builds: names and arguments."""
    stage = DOCKERFILE.read_text().replace("\\\n", " ").split("\nFROM ")[1]
    found = re.findall(r"^(COPY|RUN) +(.+)$", stage, re.MULTILINE)
    assert {name for name, _ in found} == {"COPY", "RUN"}
    return found


def test_the_steps_of_the_dockerfile_install_a_program_that_runs_and_shows_its_database(
    tmp_path: Path,
) -> None:
    """They are carried out as written, in a directory instead of an image, with the Python of the tests."""
    source, target = tmp_path / "src", tmp_path / "opt"
    python = shutil.which("python3") or sys.executable
    for name, arguments in steps():
        here = arguments.replace("/src", str(source)).replace("/opt/modelwatch", str(target))
        if name == "RUN":
            sh("sh", "-c", re.sub(r"^python ", f"{python} ", here), cwd=tmp_path)
            continue
        *names, place = here.split()
        for each in names:
            if (ROOT / each).is_dir():
                shutil.copytree(ROOT / each, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                Path(place).mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / each, place)
    shutil.rmtree(source)
    path, home = f"{target}/bin:{os.defpath}", str(tmp_path / "data")

    def modelwatch(*words: str) -> str:
        return sh(
            "modelwatch", *words, cwd=tmp_path, env={"PATH": path, "MODELWATCH_HOME": home, "PROD": KEY}
        )

    with Gateway() as gateway:
        gateway.key(KEY)
        gateway.offers("heron-2")
        modelwatch("init", "--url", gateway.url, "--key", "prod=env:PROD")
        modelwatch("run")
    modelwatch("status", "--exit-code", "--since", "3h")
    assert "heron-2" in modelwatch("models")
    assert "image: modelwatch" in modelwatch("schedule", "compose")
    modelwatch("datasette-config")
    sh(str(target / "bin" / "python"), "-c", "import datasette", cwd=tmp_path)


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """The image, built by a container engine; skipped where none runs."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no container engine runs here")
    name = "modelwatch-proof"
    sh("docker", "build", "--file", str(DOCKERFILE), "--tag", name, str(ROOT))
    yield name
    subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True, check=False)


def test_the_image_runs_as_the_owner_of_the_home_and_is_healthy_after_a_run(image: str) -> None:
    with tempfile.TemporaryDirectory() as directory, Gateway() as gateway:
        job = Job(Path(directory) / "home")
        gateway.key(KEY)
        gateway.offers("heron-2")
        job.asks(gateway.url, scopes={"prod": 'key = "env:PROD"'})
        mount = f"type=bind,source={job.home},target=/data"
        start = ["docker", "run", "--rm", "--network", "host", "--read-only", "--tmpfs", "/tmp"]
        start += [
            "--user",
            f"{os.getuid() or 65532}:{os.getgid() or 65532}",
            "--mount",
            mount,
            "--env",
            f"PROD={KEY}",
        ]
        if not os.getuid():
            sh("chown", "-R", "65532:65532", str(job.home))
        assert "Baseline recorded: local/prod 1 model" in sh(*start, image, "run", "-v")
        sh(*start, image, "status", "--exit-code", "--since", "3h")
        assert sh(*start, "--entrypoint", "id", image, "-u").strip() != "0"


def test_compose_accepts_its_file() -> None:
    if not works("docker", "compose", "version"):
        pytest.skip("Compose is not installed here")
    sh("docker", "compose", "--file", str(ROOT / "cron" / "compose.yaml"), "config", "--quiet")
