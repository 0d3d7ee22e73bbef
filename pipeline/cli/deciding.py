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
    from pipeline import accepting, deliver, history
    from pipeline.cli import show
    from pipeline.reports.as_text import event_lines
    from pipeline.store import Store, lock, refs

    config = load(place)
    wanted = chosen(config, scopes)
    Store.read(config.database, any_age=True).close()
    with lock(config.database, since=now()), Store.open(config.database) as store:
        known = refs(store)
        held = [scope for scope in wanted if scope.name in known and known[scope.name].held]
        if not held:
            raise click.UsageError(f"nothing is held for {' '.join(scopes)}: see `modelwatch status`")
        snapshot = accepting.accept(store, held, at=now())
        click.echo(f"believed now: {' '.join(scope.name for scope in held)}")
        events = history.changes(store, history.Window(snapshot - 1, snapshot))
        show.raw("".join(f"{line}\n" for line in event_lines(events)))
        deliver.enqueue(store)
        deliver.drain(store, config.reports, now)
        store.settle()
