"""The demo's directory: its config and key files, and the removal of what an earlier demo left."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipeline.demo.script import KEYS
from pipeline.errors import ConfigError

CONFIG = "modelwatch.toml"


DATABASE = "modelwatch.db"


REPORTS = "reports"


_MARK = "# Written by `modelwatch demo`, and written anew by the next one."


_REPORT = re.compile(r"^(latest|\d{8}T\d{6}Z(-\d+)?)\.(csv|json)$")


_TEXT = """\
{mark}

[gateways.demo]
url = "{url}"  # the demo's gateway; it stops when the demo ends
timeout = 10
backoff = 0.01

[gateways.demo.scopes]
public = {{}}
{keys}
"""


_KEY = '{alias} = {{ key = "file:keys/{alias}", group = "{group}" }}'


def refuse_strangers(directory: Path) -> None:
    """See that whatever is in the directory was left by a demo.

    Raises:
        ConfigError: it is somebody's own, or cannot be looked at.
    """
    with _translated(directory):
        config = directory / CONFIG
        if not config.exists() and not (directory / DATABASE).exists():
            return
        if config.is_file() and _MARK in config.read_text(encoding="utf-8", errors="replace"):
            return
    raise ConfigError(
        "holds a config or database that no demo has written: move it away, or name another --home",
        where=str(directory),
    )


def clear(directory: Path) -> None:
    """Remove the database and the reports of an earlier demo, and nothing else.

    Raises:
        ConfigError: they cannot be removed.
    """
    with _translated(directory):
        for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"):
            (directory / name).unlink(missing_ok=True)
        for path in (directory / REPORTS).glob("*"):
            if _REPORT.match(path.name):
                path.unlink()


def furnish(directory: Path, *, url: str, secrets: Mapping[str, str]) -> Path:
    """Write the config and the key files, readable by their owner alone; gives the config's path.

    Raises:
        ConfigError: they cannot be written.
    """
    path = directory / CONFIG
    keys = "\n".join(_KEY.format(alias=alias, group=group) for alias, group in KEYS.items())
    with _translated(directory):
        path.write_text(_TEXT.format(mark=_MARK, url=url, keys=keys), encoding="utf-8")
        (directory / "keys").mkdir(exist_ok=True)
        for alias, secret in secrets.items():
            file = directory / "keys" / alias
            file.touch(mode=0o600)
            file.write_text(f"{secret}\n", encoding="utf-8")
    return path


@contextmanager
def _translated(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"cannot be used: {error.strerror}", where=error.filename or str(directory)
        ) from error
