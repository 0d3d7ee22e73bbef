"""The manifests of many keys: what is in them fits together, and the program and its config accept it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import ROOT

from pipeline.config import parse

NAMES = ("kubernetes-dask",)


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
