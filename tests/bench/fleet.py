"""Runs over many keys, against clients that only fetch, and the growth of the database."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from statistics import mean, median

from figures import Figure, at_most, duration, faster, size, slower
from measure import Command, Measured, always, database_bytes, interleaved, modelwatch, once, python
from serve import serving
from setting import CLIENTS, Setting, configure

from data import write_bodies

_SLOWEST, _SLOWEST_LARGE = 1.25, 1.8
_LEAST_AHEAD_OF_HTTPX = 5
_MOST_MEMORY, _MOST_MEMORY_LARGE = 250e6, 400e6
_MOST_GROWTH = 8192
_GROWTH_TURNS = 25
_SITES = 5
_MOST_MERGE_SECONDS = 10
_GROUPS = 5


def fleet(setting: Setting) -> Iterator[Figure]:
    """Yield the figures of runs without changes over a thousand keys with long lists."""
    keys = setting.sizes.fleet
    ran = _without_changes(setting, keys, _bodies(setting), ("aiohttp", "httpx"))
    what = f"a run over {keys:,} scopes of {setting.sizes.models} models, no changes"
    ours, httpx = ran["ours"], ran["httpx"]
    yield slower("fleet", what, ours, ran["aiohttp"], by="aiohttp", limit=_SLOWEST)
    raw = {"ours": ours.raw(), "other": httpx.raw()}
    yield faster("fleet", what, ours.seconds, httpx.seconds, by="httpx", limit=_LEAST_AHEAD_OF_HTTPX, raw=raw)
    yield at_most("fleet", "peak memory", ours.peak, _MOST_MEMORY, size)


def large_fleet(setting: Setting) -> Iterator[Figure]:
    """Yield the figures of runs without changes over ten thousand keys with short lists."""
    keys = setting.sizes.large_fleet
    ran = _without_changes(setting, keys, short_bodies(setting), ("aiohttp",))
    what = f"a run over {keys:,} scopes of {setting.sizes.short_list} models, no changes"
    yield slower("large-fleet", what, ran["ours"], ran["aiohttp"], by="aiohttp", limit=_SLOWEST_LARGE)
    yield at_most("large-fleet", "peak memory", ran["ours"].peak, _MOST_MEMORY_LARGE, size)


def growth(setting: Setting) -> Iterator[Figure]:
    """Yield the growth of the database by runs without changes."""
    keys = setting.sizes.fleet
    sizes = []
    with fleet_of(setting, keys, short_bodies(setting)) as started:
        for _ in range(max(setting.times, _GROWTH_TURNS) + 1):
            once(started.run)
            sizes.append(database_bytes(started.home / "modelwatch.db"))
    steps = [after - before for before, after in pairwise(sizes)]
    what = f"growth of the database in a run over {keys:,} scopes, no changes"
    figure = at_most("growth", what, median(steps), _MOST_GROWTH, size, each=steps)
    yield replace(figure, ours=f"{mean(steps):,.0f} bytes on average")


def merge(setting: Setting) -> Iterator[Figure]:
    """Yield the time in which the databases of five sites merge, and what a second merge of one writes."""
    keys = setting.sizes.large_fleet
    center, sites = setting.place("center"), setting.place("sites")
    sites.mkdir()
    with fleet_of(setting, keys, short_bodies(setting)) as started:
        for number in range(_SITES):
            once(started.run)
            once(modelwatch("backup", str(sites / f"s{number}.db"), home=started.home))
    commands = [
        modelwatch("merge", str(sites / f"s{number}.db"), "--site", f"s{number}", home=center)
        for number in range(_SITES)
    ]
    merged = [once(command) for command in commands]
    what = f"merging five databases of {keys:,} scopes"
    seconds = [each.seconds for each in merged]
    yield at_most("merge", what, sum(seconds), _MOST_MERGE_SECONDS, duration, each=seconds)
    yield at_most("merge", "peak memory", max(each.peak for each in merged), _MOST_MEMORY, size)
    before = (center / "modelwatch.db").read_bytes()
    once(commands[0])
    changed = sum(
        one != other for one, other in zip(before, (center / "modelwatch.db").read_bytes(), strict=True)
    )
    yield at_most("merge", "bytes that a second merge changes", changed, 0, size)


def _bodies(setting: Setting) -> Path:
    return write_bodies(setting.place("bodies"), bodies=_GROUPS, models=setting.sizes.models, plain=False)


def short_bodies(setting: Setting) -> Path:
    """Write the bodies of short lists; return their directory."""
    models = setting.sizes.short_list
    return write_bodies(setting.place("bodies"), bodies=_GROUPS, models=models, plain=True)


@dataclass(frozen=True, slots=True)
class Fleet:
    """A home after its first run over all keys, and the URL of the gateway."""

    home: Path
    url: str
    env: Mapping[str, str]

    @property
    def run(self) -> Command:
        """The command that runs this home."""
        return self.run_of(self.home)

    def run_of(self, home: Path) -> Command:
        """Return the command that runs another home with these keys."""
        return modelwatch("run", home=home, env=self.env)


def key(number: int) -> str:
    """Return a key of the usual length: each answer is searched for all keys of its gateway."""
    return f"sk-{sha256(str(number).encode()).hexdigest()[:48]}"


@contextmanager
def fleet_of(setting: Setting, keys: int, bodies: Path) -> Iterator[Fleet]:
    """Serve bodies to a home with some keys, after its first run."""
    with serving(bodies) as url:
        home = configure(setting.place("fleet"), url, concurrency=setting.sizes.concurrency, keys="keys.csv")
        with (home / "keys.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("name", "key"))
            writer.writerows((f"k{number}", f"env:K{number}") for number in range(keys))
        started = Fleet(home, url, {f"K{number}": key(number) for number in range(keys)})
        once(started.run)
        yield started


def _without_changes(
    setting: Setting, keys: int, bodies: Path, clients: tuple[str, ...]
) -> dict[str, Measured]:
    with fleet_of(setting, keys, bodies) as started:
        turns = {"ours": always(started.run)}
        for client in clients:
            words = (client, f"{started.url}/v1/models", str(keys), str(setting.sizes.concurrency))
            turns[client] = always(python(str(CLIENTS), *words))
        return interleaved(turns, setting.times)
