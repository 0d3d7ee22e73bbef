"""The manifests of many keys: what is in them fits together, and the program and its config accept it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import ROOT
from support.e2e import Job

from pipeline.config import parse
from pipeline.simulator import Gateway

NAMES = ("kubernetes-dask", "kubernetes-shards")


def manifest(name: str) -> list[Any]:
    """Return the objects of a manifest."""
    return list(yaml.safe_load_all((ROOT / "cron" / f"{name}.yaml").read_text("utf-8")))


def by_name(name: str) -> dict[str, Any]:
    """Return the objects of a manifest by kind and name."""
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in manifest(name)}


def templates(name: str) -> Iterator[dict[str, Any]]:
    """Yield the templates of pods."""
    for each in manifest(name):
        spec = each.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            yield spec["template"]


@pytest.mark.parametrize("name", NAMES)
def test_pods_are_without_rights_and_mount_what_is_there(name: str) -> None:
    claims = {each["metadata"]["name"] for each in manifest(name) if each["kind"].endswith("Claim")}
    for template in templates(name):
        pod = template["spec"]
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert not pod["automountServiceAccountToken"]
        assert container["image"] == "registry.example/modelwatch:1"
        assert container["securityContext"]["readOnlyRootFilesystem"]
        mounts = {each["name"] for each in container["volumeMounts"]}
        assert mounts == {each["name"] for each in pod["volumes"]}
        used = {
            each["persistentVolumeClaim"]["claimName"]
            for each in pod["volumes"]
            if "persistentVolumeClaim" in each
        }
        assert used <= claims


@pytest.mark.parametrize("name", NAMES)
def test_schemas_of_kubernetes_accept_the_manifest(name: str) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    for each in manifest(name):
        validator.validate(each, "1.30", strict=True)


def test_the_job_finds_the_scheduler_and_only_workers_have_the_keys(tmp_path: Path) -> None:
    found = by_name("kubernetes-dask")
    config = parse(found["ConfigMap/modelwatch"]["data"]["modelwatch.toml"], tmp_path / "modelwatch.toml")
    service = found["Service/modelwatch-scheduler"]
    (port,) = service["spec"]["ports"]
    address = f"tls://{service['metadata']['name']}:{port['port']}"
    assert (config.engine.kind, config.engine.scheduler) == ("dask", address)
    scheduler, worker, run = templates("kubernetes-dask")
    assert service["spec"]["selector"] == scheduler["metadata"]["labels"]
    for deployment in ("scheduler", "worker"):
        spec = found[f"Deployment/modelwatch-{deployment}"]["spec"]
        assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    (mine,), (theirs,), (job,) = (each["spec"]["containers"] for each in (scheduler, worker, run))
    assert str(port["port"]) in mine["command"]
    assert address in theirs["command"]
    assert "envFrom" in theirs
    assert "envFrom" not in mine
    assert "envFrom" not in job
    places = {each["mountPath"] for each in job["volumeMounts"]}
    assert {str(Path(file).parent) for file in config.engine.tls} <= places
    policy = found["NetworkPolicy/modelwatch"]["spec"]
    for template in (scheduler, worker, run):
        assert policy["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()


def test_dask_knows_the_options_of_scheduler_and_workers() -> None:
    pytest.importorskip("distributed")
    from distributed.cli.dask_scheduler import main as scheduler
    from distributed.cli.dask_worker import main as worker

    for template, command in zip(templates("kubernetes-dask"), (scheduler, worker), strict=False):
        (container,) = template["spec"]["containers"]
        words = [*container["command"], *container["args"]]
        assert words[:2] == ["dask", template["metadata"]["labels"]["part"]]
        known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known


def scripts(name: str) -> list[str]:
    """Return the scripts that the containers of a manifest run."""
    return [
        container["command"][2]
        for template in templates(name)
        for container in template["spec"]["containers"]
        if container["command"][0] == "/bin/sh"
    ]


def test_shards_run_keep_their_databases_and_are_merged(tmp_path: Path) -> None:
    """The scripts are run as they are, with directories of this test for the volumes."""
    shard, merge = scripts("kubernetes-shards")
    shards, whole = tmp_path / "shards", Job(tmp_path / "whole")
    shards.mkdir()

    def ran(script: str, job: Job, **env: str) -> int:
        script = re.sub(r"(?<!\w)/(shards|data)\b", rf"{tmp_path}/\1", script)
        tools = tmp_path / "bin"
        tools.mkdir(exist_ok=True)
        (tools / "modelwatch").write_text(f'#!/bin/sh\nexec {" ".join(job.command()[:3])} "$@"\n')
        (tools / "modelwatch").chmod(0o755)
        path = f"{tools}:/usr/bin:/bin"
        done = subprocess.run(
            ["/bin/sh", "-c", script],
            env={**job.environment(), **env, "PATH": path, "MODELWATCH_HOME": str(job.home)},
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        assert not done.stderr, done
        return done.returncode

    with Gateway() as gateway:
        gateway.offers("lyra")
        for times in (1, 2):
            for index in range(2):
                shutil.rmtree(tmp_path / "data", ignore_errors=True)
                job = Job(tmp_path / "data")
                job.asks(gateway.url, scopes={f"s{number}": "" for number in range(8)})
                assert ran(shard, job, SHARDS="2", JOB_COMPLETION_INDEX=str(index)) == 0
            assert sorted(each.name for each in shards.iterdir()) == ["1.db", "2.db"]
            whole.configure(job.config.read_text("utf-8"))
            assert ran(merge, whole) == 0
            found = whole.quick("scopes", "--json").json()
            assert len(found) == 8, times
