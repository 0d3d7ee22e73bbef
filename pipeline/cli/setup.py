"""The command `init`: write a config to start from."""

from __future__ import annotations

import click

from pipeline.api import Home
from pipeline.cli.options import with_home

_CONFIG = """\
# modelwatch: the gateways to ask, and the keys to ask with. Try it with `modelwatch check`.
#
# Paths are relative to this file. Uncomment what you want to change.

# database = "modelwatch.db"      # the SQLite file with the history
# reports = "reports"             # the directory of the CSV and JSON reports
# deadline = 600                  # seconds that one run may take

[gateways.{name}]
url = "{url}"

# keys = "keys.csv"               # many keys at once: a CSV file `name,key,group`, with references in it
# dialect = "auto"                # the format of the gateway's list
# concurrency = 8                 # requests at a time
# timeout = 30                    # seconds to wait for an answer
# attempts = 4                    # tries, when it cannot be reached or asks to slow down
# max_loss = 0.25                 # hold an answer that lacks more than this share of the models…
# floor = 3                       # …and more than this many
# confirm = 2                     # a model is removed when so many complete answers in a row lack it…
# confirm_after = "2h"            # …for so long

# Each scope is one place to ask from. Do not write secrets here, but references to them:
# "env:NAME" (a variable), "file:PATH" (a file, or a systemd credential), "command:PROGRAM ARGUMENTS".
[gateways.{name}.scopes]
public = {{}}                       # anonymous: the gateway's default group
# prod = {{ key = "env:PROD_KEY", group = "vip" }}
# mine = {{ access_token = "file:token", user_id = 17 }}
# browser = {{ cookie = "env:SESSION" }}
# login = {{ username = "me", password = "command:pass show gateway" }}

# The models that you depend on, as ids or globs: see `modelwatch watch`. Reports mark their urgent changes.
# [watch]
# models = ["some-model", "vendor/*"]

# Monitor the job: a check at healthchecks.io or a compatible server, and a file for node_exporter.
# [ping]
# url = "env:PING_URL"
# [metrics]
# file = "modelwatch.prom"
"""


@click.command()
@with_home
@click.option("--url", default="https://aihubmix.com", show_default=True, help="The gateway's address.")
@click.option("--name", default="aihubmix", show_default=True, help="The gateway's name in the config.")
@click.option("--force", is_flag=True, help="Overwrite an existing config.")
def init(home: Home, *, url: str, name: str, force: bool) -> None:
    """Write a commented config whose default works without any key."""
    path = home.write_config(_CONFIG.format(name=name, url=url), overwrite=force)
    click.echo(f"wrote {path}\nnext: `modelwatch check`, then `modelwatch run`")
