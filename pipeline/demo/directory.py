"""The demo's directory: its config and key files, and the removal of an earlier demo."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipeline.demo.script import KEYS
from pipeline.errors import ConfigError

CONFIG = "modelwatch.toml"

DATABASE = "modelwatch.db"

_MARKER = f".{DATABASE}.history"

REPORTS = "reports"

_MARK = "# Written by `modelwatch demo`"

_REPORT = re.compile(r"^(latest|\d{8}T\d{6}Z(-\d+)?)\.(csv|json)$")

_TEXT = """\
{mark}; the next demo overwrites it.

[gateways.demo]
url = "{url}"  # the demo's gateway; it stops when the demo ends
timeout = 10
backoff = 0.01

[gateways.demo.scopes]
public = {{}}
{keys}

[watch]
models = ["heron-2*", "lumen-voice"]
"""

_KEY = '{alias} = {{ key = "file:keys/{alias}", group = "{group}" }}'


def refuse_foreign_files(directory: Path) -> None:
    """Raise unless config and database in the directory are absent, or a demo's.

    Raises:
        ConfigError: no demo has written them, or they cannot be read.
    """
    with _config_errors(directory):
        config = directory / CONFIG
        if not config.exists() and not (directory / DATABASE).exists():
            return
        if config.is_file() and _MARK in config.read_text(encoding="utf-8", errors="replace"):
            return
    raise ConfigError(
        "has a config or database that no demo has written: move it away, or name another --home",
        where=str(directory),
    )


def clear(directory: Path) -> None:
    """Remove the database and the reports of an earlier demo; keep other files.

    Raises:
        ConfigError: they cannot be removed.
    """
    with _config_errors(directory):
        for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", _MARKER):
            (directory / name).unlink(missing_ok=True)
        for path in (directory / REPORTS).glob("*"):
            if _REPORT.match(path.name):
                path.unlink()


def write_config(directory: Path, *, url: str, secrets: Mapping[str, str]) -> None:
    """Write the config, and the key files, which only their owner can read.

    Args:
        directory: of the demo.
        url: the gateway's.
        secrets: the keys, by alias.

    Raises:
        ConfigError: they cannot be written.
    """
    keys = "\n".join(_KEY.format(alias=alias, group=group) for alias, group in KEYS.items())
    with _config_errors(directory):
        (directory / CONFIG).write_text(_TEXT.format(mark=_MARK, url=url, keys=keys), encoding="utf-8")
        (directory / "keys").mkdir(0o700, exist_ok=True)
        for alias, secret in secrets.items():
            file = directory / "keys" / alias
            file.touch(mode=0o600)
            file.write_text(f"{secret}\n", encoding="utf-8")


@contextmanager
def _config_errors(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"cannot be used: {error.strerror}", where=error.filename or str(directory)
        ) from error
