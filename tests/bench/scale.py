"""Runs over a hundred thousand keys, without news, in an outage, and with a new key; and over a million."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from figures import Figure, at_most, duration, size
from fleet import key
from measure import database_bytes, modelwatch, once
from serve import serving
from setting import Setting, configure

from data import write_bodies

_GROUPS = 8
_ALL_FAILED = 4
_MOST_CPU = 45
_MOST_MEMORY, _MOST_MEMORY_REFUSED = 400e6, 600e6
_MOST_CPU_OF_A_MILLION, _MOST_MEMORY_OF_A_MILLION = 600, 2.5e9
_MOST_REPORT = 100e3
_MOST_OF_A_KEY = 64 * 1024


def scale(setting: Setting) -> Iterator[Figure]:
    """Yield the CPU, memory and bytes of runs over many keys with eight distinct lists; one turn each."""
    keys = setting.sizes.scale
    what = _what(setting, keys)
    refusal = setting.place("refusal")
    refusal.mkdir()
    (refusal / "0.json").write_text('{"error": {"message": "Invalid token", "type": "new_api_error"}}')
    with _home(setting) as (home, url), serving(refusal, "401 Unauthorized") as refusing:
        config, database = home / "modelwatch.toml", home / "modelwatch.db"
        run = modelwatch("run", home=home)
        _write_keys(home, keys)
        once(run)
        before = database_bytes(database)
        quiet = once(run)
        grown = database_bytes(database) - before
        yield at_most("scale", f"{what}, no news: CPU", quiet.cpu, _MOST_CPU, duration)
        yield at_most("scale", f"{what}, no news: peak memory", quiet.peak, _MOST_MEMORY, size)
        yield Figure("scale", f"{what}, no news: growth of the database", size(grown))

        _write_keys(home, keys + 1)
        before = database_bytes(database)
        once(run)
        grown = database_bytes(database) - before
        yield at_most("scale", f"{what}, one key added: growth", grown, _MOST_OF_A_KEY, size)

        config.write_text(config.read_text("utf-8").replace(json.dumps(url), json.dumps(refusing)), "utf-8")
        before = database_bytes(database)
        refused = once(run, status=_ALL_FAILED)
        grown = database_bytes(database) - before
        yield Figure("scale", f"{what}, all refused: CPU", duration(refused.cpu))
        peak = refused.peak
        yield at_most("scale", f"{what}, all refused: peak memory", peak, _MOST_MEMORY_REFUSED, size)
        yield Figure("scale", f"{what}, all refused: growth for each scope", size(grown / keys))
        report = (home / "reports" / "latest.json").stat().st_size
        yield at_most("scale", f"{what}, all refused: the report", report, _MOST_REPORT, size)


def million(setting: Setting) -> Iterator[Figure]:
    """Yield the CPU and memory of the first run over a million keys, and of one without news."""
    keys = setting.sizes.million
    with _home(setting) as (home, _):
        config = home / "modelwatch.toml"
        config.write_text(f"deadline = 3000\n{config.read_text('utf-8')}", "utf-8")
        _write_keys(home, keys)
        for run in ("the first run", "no news"):
            found, what = once(modelwatch("run", home=home)), f"{_what(setting, keys)}, {run}"
            yield at_most("million", f"{what}: CPU", found.cpu, _MOST_CPU_OF_A_MILLION, duration)
            yield at_most("million", f"{what}: peak memory", found.peak, _MOST_MEMORY_OF_A_MILLION, size)


def _what(setting: Setting, keys: int) -> str:
    return f"{keys:,} scopes of {setting.sizes.short_list} models"


@contextmanager
def _home(setting: Setting) -> Iterator[tuple[Path, str]]:
    """Serve eight distinct lists; yield a home that asks for them with a list of keys, and their address."""
    models = setting.sizes.short_list
    bodies = write_bodies(setting.place("bodies"), bodies=_GROUPS, models=models, plain=True)
    with serving(bodies) as url:
        home, concurrency = setting.place("scale"), setting.sizes.concurrency
        yield configure(home, url, concurrency=concurrency, keys="file:keys.csv"), url


def _write_keys(home: Path, keys: int) -> None:
    with (home / "keys.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("name", "key"))
        writer.writerows((f"k{number}", key(number)) for number in range(keys))
