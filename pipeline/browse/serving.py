"""Start Datasette on the database, with what makes it read well."""

from __future__ import annotations

import shlex
import signal
import socket
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from pipeline.browse.configuring import SETTINGS

OWN = Path(__file__).parent
"""Where our plugins and templates are, in directories of these names; what they show is in `static`."""

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - only who asks for it gets it


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; port 0 is any that is free."""

    host: str = LOOPBACK
    port: int = 8001

    def free(self) -> Address:
        """Give the same address with the port that it will be.

        Raises:
            OSError: something listens there already, or this user may not.
        """
        with socket.create_server((self.host, self.port)) as probe:
            return Address(self.host, probe.getsockname()[1])


def major() -> int | None:
    """Give the first number of Datasette's version; None when it is not installed."""
    if find_spec("datasette") is None:
        return None
    try:
        return int(version("datasette").partition(".")[0])
    except (PackageNotFoundError, ValueError):
        return 0


def words(config: Path, *, release: int, own: Path = OWN) -> list[str]:
    """Give what Datasette is told beside the database.

    Args:
        config: the generated file; 0.65 knows metadata only, 1.0 has metadata and config.
        release: the first number of Datasette's version.
        own: where what is in `OWN` is found by whoever starts it.
    """
    found = ["-m", str(config), *(["-c", str(config)] if release else [])]
    for option, name in (("--plugins-dir", "plugins"), ("--template-dir", "templates")):
        if (OWN / name).is_dir():
            found += [option, str(own / name)]
    for name, value in SETTINGS.items():
        found += ["--setting", name, value]
    return found


def command(database: Path, config: Path, *, release: int) -> str:
    """Give the command line that somebody types who starts a Datasette of their own."""
    return shlex.join(["datasette", "serve", str(database), *words(config, release=release)])


def serve(database: Path, config: Path, address: Address, *, release: int, shows: bool) -> NoReturn:
    """Serve until somebody ends it; `shows` opens a browser. Leaves by `SystemExit`, as Datasette ends.

    Datasette opens the file to read only, and sees what the job writes meanwhile.
    """
    # Its server would end the process on the spot, and leave our file behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    listens = ["--host", address.host, "--port", str(address.port), *["--open"] * shows]
    arguments = ["serve", str(database), *words(config, release=release), *listens]
    from datasette.cli import cli

    cli.main(arguments, prog_name="datasette")
    sys.exit(0)
