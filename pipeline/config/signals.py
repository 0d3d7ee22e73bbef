"""Read where the job gives signs of life: the tables `[ping]` and `[metrics]`."""

from __future__ import annotations

from pathlib import Path

from pipeline.addresses import is_web_address
from pipeline.config.keys import is_reference
from pipeline.config.toml import Table
from pipeline.signs import PATIENCE, Ping

_LONGEST = 60
_ENDING = ".prom"


def ping(top: Table) -> Ping | None:
    """Read the table `[ping]`; None when there is none.

    Raises:
        ConfigError: names the file, the line or key, and what to write; never the address.
    """
    if "ping" not in top:
        return None
    table = top.table("ping")
    table.only(("url", "timeout"))
    url = table.text("url")
    if url is None:
        table.fail('has no url: write the address of your check, or where it is kept: `url = "env:PING_URL"`')
    if not (is_reference(url) or is_web_address(url)):
        table.fail('is no web address, nor says where one is kept: write e.g. "env:PING_URL"', "url")
    timeout = table.number("timeout", PATIENCE)
    if not 0 < timeout <= _LONGEST:
        table.fail(
            f"must be more than 0 and at most {_LONGEST} seconds: a run may end so much later", "timeout"
        )
    return Ping(url, timeout)


def metrics(top: Table) -> Path | None:
    """Read the table `[metrics]`; gives the file to write, None when there is none.

    Raises:
        ConfigError: names the file, the line or key, and what to write.
    """
    if "metrics" not in top:
        return None
    table = top.table("metrics")
    table.only(("file",))
    if table.text("file") is None:
        table.fail('has no file: write e.g. `file = "/var/lib/node_exporter/modelwatch.prom"`')
    file = table.file("file", "")
    if file.suffix != _ENDING or not file.name.isprintable():
        table.fail(f"must end in {_ENDING}: node_exporter reads no other files", "file")
    return file
