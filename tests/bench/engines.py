"""Runs over many keys by several engines: what workers take beyond one process, and what comes back.

As a program, it runs a home and prints the bytes that came back from its workers: engines.py HOME
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from figures import Figure, at_most, duration
from figures import times as multiple
from fleet import Fleet, fleet_of, short_bodies
from measure import Command, once, python
from setting import Setting, configure

_MOST_WORK = 1.15
_MOST_BACK = 4
_TICKS = os.sysconf("SC_CLK_TCK")
_PATIENCE = 60


def engines(setting: Setting) -> Iterator[Figure]:
    """Yield the figures of runs without changes by one process, by processes, and by Dask."""
    keys = setting.sizes.large_fleet
    what = f"a run over {keys:,} scopes of {setting.sizes.short_list} models, no changes"
    with fleet_of(setting, keys, short_bodies(setting)) as started, _cluster(setting, started) as cluster:
        dask = f'engine = "dask"\n[dask]\nscheduler = "{cluster.address}"\n'
        heads = {"local": "", "dask": dask, "processes": 'engine = "processes"\nworkers = 2\n'}
        runs = {name: _home(setting, started, keys, head) for name, head in heads.items()}
        runs |= {f"{name} start": _home(setting, started, 1, head) for name, head in heads.items()}
        runs["cluster start"] = _home(setting, started, 1, 'engine = "dask"\nworkers = 1\n')
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
        for turn in range(setting.times + 1):
            for name, run in runs.items():
                before = cluster.cpu()
                one = once(run)
                if turn:
                    found[name].append((one.seconds, one.cpu + cluster.cpu() - before))
        walls = {name: median(each[0] for each in found[name]) for name in runs}
        cpus = {name: median(each[1] for each in found[name]) for name in runs}
        yield _beyond_start("CPU", what, cpus, "dask", _MOST_WORK)
        yield _beyond_start("wall", what, walls, "dask", _MOST_WORK)
        yield _beyond_start("CPU", f"{what}, two processes", cpus, "processes", None)
        yield _beyond_start("wall", f"{what}, two processes", walls, "processes", None)
        for name in ("dask", "processes", "cluster"):
            extra = walls[f"{name} start"] - walls["local start"]
            cpu = cpus[f"{name} start"] - cpus["local start"]
            raw = {"wall_s": extra, "cpu_s": cpu}
            about = "cluster of this machine" if name == "cluster" else name
            yield Figure("engines", f"start: {about}", duration(extra), f"{duration(cpu)} CPU", raw=raw)
        back = _bytes_back(runs["dask"]) / keys
        yield at_most("engines", f"{what}: bytes back for each scope", back, _MOST_BACK, lambda n: f"{n:.2f}")


def _beyond_start(unit: str, what: str, values: dict[str, float], engine: str, limit: float | None) -> Figure:
    """Return the time of an engine as a multiple of that of one process, both without their starts."""
    ours, other = (values[name] - values[f"{name} start"] for name in (engine, "local"))
    ratio = ours / other
    return Figure(
        "engines",
        f"{what}, {unit} beyond the start",
        f"{duration(ours)} {engine}",
        f"{duration(other)} local",
        multiple(ratio),
        "" if limit is None else f"at most {limit:g} ×",
        None if limit is None else ratio <= limit,
        {"ratio": ratio, "limit": limit, "all": values},
    )


class _Cluster:
    """A Dask scheduler with one worker."""

    def __init__(self, address: str, pids: list[int]) -> None:
        self.address = address
        self._pids = pids

    def cpu(self) -> float:
        """Return the seconds of CPU that they have taken so far."""
        fields = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self._pids)
        return sum(int(each[11]) + int(each[12]) for each in fields) / _TICKS


@contextmanager
def _cluster(setting: Setting, started: Fleet) -> Iterator[_Cluster]:
    """Start a Dask scheduler with a worker that has the keys."""
    place = setting.place("dask")
    place.mkdir()
    file = place / "scheduler.json"
    words = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file"]
    worker = ["worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    # As cron/README.md advises.
    plain = {"DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}
    plain |= {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    processes = []
    try:
        for each, env in (([*words, str(file)], {}), (worker, started.env)):
            log = (place / f"{each[0]}.log").open("wb")
            command = [sys.executable, "-m", "dask", *each]
            processes.append(
                subprocess.Popen(command, env={**plain, **env}, cwd=place, stdout=log, stderr=log)
            )
            log.close()
            expected = file if each[0] == "scheduler" else place / "worker.log"
            end = time.monotonic() + _PATIENCE
            while not expected.exists() or (
                each[0] == "worker" and b"Registered" not in expected.read_bytes()
            ):
                assert time.monotonic() < end
                time.sleep(0.1)
        yield _Cluster(json.loads(file.read_bytes())["address"], [each.pid for each in processes])
    finally:
        for each in processes:
            each.kill()
            each.wait()


def _home(setting: Setting, started: Fleet, keys: int, head: str) -> Command:
    """Return the command that runs a new home with the first keys; it has run once."""
    home = setting.place("engine")
    configure(home, started.url, concurrency=setting.sizes.concurrency, keys="keys.csv")
    config = home / "modelwatch.toml"
    config.write_text(_above_tables(head, config.read_text("utf-8")), "utf-8")
    lines = (started.home / "keys.csv").read_text("utf-8").splitlines()
    (home / "keys.csv").write_text("\n".join((*lines[: keys + 1], "")), "utf-8")
    run = started.run_of(home)
    once(run)
    return run


def _above_tables(head: str, config: str) -> str:
    """Return a config with the lines of a head, and the tables of the head at its end."""
    lines, bracket, tables = head.partition("[")
    return f"{lines}{config}{bracket}{tables}"


def _bytes_back(run: Command) -> int:
    program = python(__file__, run.words[-1])
    done = subprocess.run(
        program.words,
        env={"PATH": os.defpath, "PYTHONPATH": os.environ.get("PYTHONPATH", ""), **run.env},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def _count_back(home: str) -> int:
    """Run a home; return the bytes that came back from its workers."""
    import pipeline
    from pipeline.sync import fleet

    decode, total = fleet.decode_results, 0

    def counted(message: bytes, *rest: object) -> object:
        nonlocal total
        total += len(message)
        return decode(message, *rest)  # type: ignore[arg-type]

    fleet.decode_results = counted  # type: ignore[assignment]
    pipeline.home(home).run(reports=False)
    return total


if __name__ == "__main__":
    print(_count_back(sys.argv[1]))  # noqa: T201
