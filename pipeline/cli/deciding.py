"""The command with which a person decides: accept."""

from __future__ import annotations

import click

from pipeline.cli.common import Place, now, placed
from pipeline.cli.running import chosen, load


@click.command()
@placed
@click.argument("scopes", nargs=-1, required=True, metavar="SCOPE...")
def accept(place: Place, scopes: tuple[str, ...]) -> None:
    """Believe what is held for a scope at once; SCOPE may be a glob, such as 'aihubmix/*'."""
    from pipeline import accepting, history
    from pipeline.cli import show
    from pipeline.reports.as_text import event_lines
    from pipeline.store import Store, lock, refs

    config = load(place)
    wanted = chosen(config, scopes)
    Store.read(config.database, any_age=True).close()
    with lock(config.database, since=now()), Store.open(config.database) as store:
        held = [scope for scope in wanted if scope.name in (known := refs(store)) and known[scope.name].held]
        if not held:
            raise click.ClickException(f"nothing is held for {' '.join(scopes)}: see `modelwatch status`")
        for scope in held:
            snapshot = accepting.accept(store, scope, at=now())
            click.echo(f"{scope.name}: what was held is believed now")
            events = history.changes(store, history.Window(snapshot - 1, snapshot))
            show.raw("".join(f"{line}\n" for line in event_lines(events)))
        store.settle()
