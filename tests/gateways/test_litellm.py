"""A real LiteLLM proxy, through the command line; its installation is large, so run it with `-m litellm`."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.e2e import Job

pytestmark = pytest.mark.litellm

MASTER_KEY = f"sk-{secrets.token_hex(20)}"

CONFIG = """
model_list:
  - model_name: harbour-small
    litellm_params: {model: openai/gpt-4o-mini, api_key: none}
  - model_name: harbour-large
    litellm_params: {model: openai/gpt-4o, api_key: none}
  - model_name: vendor/with-a-slash
    litellm_params: {model: openai/gpt-4o, api_key: none}
  - model_name: everything/*
    litellm_params: {model: openai/*, api_key: none}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the proxy's program, in a new environment unless `LITELLM` names one."""
    given = os.environ.get("LITELLM")
    if given:
        return Path(given)
    venv = tmp_path_factory.mktemp("litellm")
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run([venv / "bin" / "pip", "install", "--quiet", "litellm[proxy]"], check=True)
    return venv / "bin" / "litellm"


@pytest.fixture(scope="module")
def proxy(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a proxy with a few models on loopback."""
    home = tmp_path_factory.mktemp("proxy")
    (home / "config.yaml").write_text(CONFIG)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LITELLM_MASTER_KEY": MASTER_KEY,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    with (home / "log").open("wb") as log:
        command = [installed, "--config", home / "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
        server = subprocess.Popen(command, cwd=home, env=env, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait(f"http://127.0.0.1:{port}/health/liveliness", server, home / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(240):
        assert server.poll() is None, log.read_text(errors="replace")[-2000:]
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
        else:
            return
    raise AssertionError(f"the proxy did not answer: {log.read_text(errors='replace')[-2000:]}")


@pytest.fixture
def job(proxy: str, tmp_path: Path) -> Job:
    """Return a home that asks the proxy with its master key, and with a wrong one."""
    job = Job(tmp_path / "home", {"GOOD": MASTER_KEY, "BAD": "sk-not-a-key-of-this-proxy"})
    job.asks(proxy, name="lite", attempts=1, scopes={"good": 'key = "env:GOOD"', "bad": 'key = "env:BAD"'})
    return job


def test_a_real_proxy_is_recognised_and_stable(job: Job) -> None:
    done = job.run("run")
    assert done.code == 3
    models = {row["model"] for row in job.quick("models", "--json").json()}
    assert {"harbour-small", "harbour-large", "vendor/with-a-slash"} <= models
    assert not any("*" in model for model in models)
    (good,) = [row for row in job.quick("check", "--json").json() if row["scope"] == "lite/good"]
    assert (good["answers"], good["dialect"]) == ("yes", "litellm")
    assert job.run("run").code == 3
    assert job.quick("changes", "--json").json() == []


def test_a_rejected_key_fails_its_scope_and_is_not_shown(job: Job) -> None:
    done = job.run("run", "-v")
    assert "lite/bad: failing since" in done.stdout
    assert "sk-not-a-key" not in done.output
    assert MASTER_KEY not in done.output


def test_the_model_information_has_prices_per_1m_tokens(proxy: str, tmp_path: Path) -> None:
    job = Job(tmp_path / "home", {"GOOD": MASTER_KEY})
    job.asks(proxy, name="lite", dialect="litellm-info", scopes={"good": 'key = "env:GOOD"'})
    assert job.run("run").code == 0
    shown = job.quick("show", "harbour-small", "--json").json()
    assert "harbour-small" in str(shown)
    assert "0.15" in str(shown)
