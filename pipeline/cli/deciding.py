"""The command with which a person decides: accept."""

from __future__ import annotations

import click

from pipeline.cli.common import Place, now, placed
from pipeline.cli.references import follower
from pipeline.cli.running import load
from pipeline.globs import matches


@click.command()
@placed
@click.argument("scopes", nargs=-1, required=True, metavar="SCOPE...")
def accept(place: Place, scopes: tuple[str, ...]) -> None:
    """Believe what is held for a scope at once; SCOPE may be a glob, such as 'aihubmix/*'."""
    from pipeline import accepting, deliver, history
    from pipeline.cli import show, telling
    from pipeline.dialects import recognised
    from pipeline.reports.as_text import event_lines
    from pipeline.store import refs, writing
    from pipeline.watchlist import marked

    config = load(place)
    gateways = {scope.gateway.name: scope.gateway for scope in config.scopes}

    def quiet(scope: str, reading: str | None) -> tuple[str, ...]:
        gateway = gateways.get(scope.partition("/")[0])
        found = recognised(reading)
        return (*(found.quiet if found else ()), *(gateway.spelling.quiet if gateway else ()))

    with writing(config.database, since=now(), there=True) as store:
        known = refs(store)
        held = [name for name, ref in sorted(known.items()) if ref.held and matches(name, scopes)]
        if not held:
            raise click.UsageError(f"nothing is held for {' '.join(scopes)}: see `modelwatch status`")
        snapshot = accepting.accept(store, held, quiet, at=now())
        click.echo(f"believed now: {' '.join(held)}")
        events = marked(history.changes(store, history.Window(snapshot - 1, snapshot)), config.watch)
        show.raw("".join(f"{line}\n" for line in event_lines(events)))
        handed = deliver.deliver(store, config, now, follower(config))
    telling.check(handed)
