"""The commands that take care of the database: verify, rebuild, prune, backup, forget, rename."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import Place, now, placed
from pipeline.cli.run import database_of, load
from pipeline.core.times import iso
from pipeline.core.watchlist import matches
from pipeline.errors import StoreError

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.maintenance import Check, DialectsOf


_DAYS = {"d": 1, "w": 7, "y": 365}


_KEEP = re.compile(r"^(\d{1,5})([dwy])$")


_SHOWN = 20


class Age(click.ParamType[timedelta]):
    """How long back: `365d`, `52w`, `2y`."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read the age."""
        found = _KEEP.match(value)
        if not found or not int(found[1]):
            self.fail(f"{value!r} is no age: write 365d, 52w or 2y", param, ctx)
        return timedelta(days=int(found[1]) * _DAYS[found[2]])


def _config(place: Place) -> Config | None:
    return load(place) if place.config.exists() else None


def _dialects(config: Config | None) -> DialectsOf:
    from pipeline.maintenance import dialects_of

    return dialects_of(config.scopes if config else ())


@click.command()
@placed
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every problem.")
def verify(place: Place, *, as_json: bool) -> int:
    """Check the database against itself: every digest, every pointer, every change. Writes nothing.

    Leaves with 74 when something is wrong, and says what to do about it.
    """
    from pipeline import maintenance
    from pipeline.cli.terminal import raw
    from pipeline.core.canonical import pretty
    from pipeline.store import Store

    found: list[Check] = []
    with Store.read(database_of(place)) as store:
        for check in maintenance.verify(store, _dialects(_config(place))):
            found.append(check)
            if not as_json:
                _tell(check)
    problems = [problem for check in found for problem in check.problems]
    if as_json:
        raw(pretty([asdict(check) for check in found]))
    elif problems:
        cures = [str(cure) for cure in maintenance.Cure if any(problem.cure == cure for problem in problems)]
        click.echo(f"{_many(len(problems), 'problem')}; what to do: {', then '.join(reversed(cures))}")
    return StoreError.exit_code if problems else 0


def _tell(check: Check) -> None:
    from pipeline.core.text import printable

    what = check.what if check.count != 1 else _one(check.what)
    said = _many(len(check.problems), "problem") if check.problems else check.well
    click.echo(f"{check.count:,} {what}: {said}")
    for problem in check.problems[:_SHOWN]:
        row = problem.table if problem.id is None else f"{problem.table} {problem.id}"
        click.echo(f"  {row}: {printable(problem.says, longest=200)}: {problem.cure}")
    if len(check.problems) > _SHOWN:
        click.echo(f"  and {len(check.problems) - _SHOWN:,} more: see --json")


def _one(what: str) -> str:
    """Name one of what is named in the plural by its first word."""
    things, space, more = what.partition(" ")
    one = f"{things[:-3]}y" if things.endswith("ies") else things.removesuffix("s")
    return f"{one}{space}{more}"


def _many(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count:,} {what}s"


@click.command()
@placed
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def rebuild(place: Place, *, as_json: bool) -> None:
    """Derive again what follows from the answers: changes, facts, permissions, pointers.

    Facts are read as the config has `prices` and `facts` today. Nothing of it is told as news.
    """
    from pipeline import maintenance
    from pipeline.cli.terminal import raw
    from pipeline.core.canonical import pretty
    from pipeline.store import writing

    config = _config(place)
    with writing(database_of(place), since=now(), there=True) as store:
        done = asdict(maintenance.rebuild(store, _dialects(config)))
    unknown = done.pop("unknown")
    if as_json:
        raw(pretty({"corrected": done, "unknown": unknown}))
        return
    click.echo(f"corrected: {_listed(done)}" if any(done.values()) else "all was as it should be")
    if unknown:
        click.echo(f"{_many(unknown, 'record')} of a dialect that is not known here: facts left as they were")


_WORDS = {
    "scopes": "pointers of scopes",
    "facts": "records' facts",
    "permissions": "records' permissions",
    "words": "models' words for the search",
    "field_changes": "field changes",
    "listing_records": "lines of listings",
}


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {_WORDS.get(table, table)}" for table, count in counts.items() if count)


@click.command()
@placed
@click.option("--keep", type=Age(), required=True, help="What is younger than this stays: 365d, 52w, 2y.")
@click.option("--dry-run", is_flag=True, help="Say what would be dropped, write nothing.")
@click.option("--vacuum/--no-vacuum", default=True, help="Give the space back to the disk.  [default: do]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def prune(place: Place, *, keep: timedelta, dry_run: bool, vacuum: bool, as_json: bool) -> None:
    """Drop old history; what is told of the time since stays the same, and a return is still a return."""
    from pipeline import maintenance
    from pipeline.cli.terminal import raw
    from pipeline.core.canonical import pretty
    from pipeline.core.times import minute
    from pipeline.store import Store, compact, writing

    config, database = _config(place), database_of(place)
    bound = iso(datetime.now(UTC) - keep)
    Store.read(database, any_age=True).close()
    with Store.rehearse(database) if dry_run else writing(database, since=now()) as store:
        done = maintenance.prune(store, _dialects(config), bound=bound)
        sizes = compact(store) if vacuum and not dry_run else None
    if as_json:
        size = dict(zip(("before", "after"), sizes, strict=True)) if sizes else None
        raw(pretty({"bound": done.bound, "asked": bound, "dropped": done.rows, "bytes": size}))
        return
    if done.bound < bound:
        click.echo(f"kept since {minute(done.bound)}: a report of that time is still to be written")
    will = "would drop" if dry_run else "dropped"
    rows = {table: count for table, count in done.rows.items() if table != "listing_records"}
    click.echo(f"{will}: {_listed(rows)}" if rows else f"nothing is older than {minute(bound)}")
    if sizes:
        click.echo(f"{_size(sizes[0])} before, {_size(sizes[1])} now")


def _size(count: int) -> str:
    return f"{count / 1_000_000:,.1f} MB"


@click.command()
@placed
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def backup(place: Place, file: Path, *, force: bool) -> None:
    """Write a copy of the database, as it is at one moment, to FILE; a run may be under way."""
    from pipeline.store import write_backup as copy

    size = copy(database_of(place), file, overwrite=force)
    click.echo(f"{file}: {_size(size)}, checked")


@click.command()
@placed
@click.argument("scopes", nargs=-1, required=True, metavar="SCOPE...")
@click.option("--yes", is_flag=True, help="Do not ask.")
def forget(place: Place, scopes: tuple[str, ...], *, yes: bool) -> None:
    """Drop scopes and all that only they needed; SCOPE may be a glob, such as 'aihubmix/*'."""
    import sys

    from pipeline import maintenance
    from pipeline.store import Store, scope_states, writing

    config, database = _config(place), database_of(place)
    with Store.read(database, any_age=True) as store:
        found = sorted(name for name in scope_states(store) if matches(name, scopes))
    if not found:
        raise click.UsageError(f"no scope matches {' '.join(scopes)}: see `modelwatch scopes`")
    click.echo(f"to forget, with all their history: {' '.join(found)}")
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("nobody is there to be asked: say --yes")
        click.confirm("Forget?", abort=True)
    with writing(database, since=now(), there=True) as store:
        dropped = maintenance.forget(store, [name for name in found if name in scope_states(store)])
    click.echo(f"dropped: {_listed({t: n for t, n in dropped.items() if t not in _WORDS} or dropped)}")
    again = [scope.name for scope in config.scopes if scope.name in found] if config else []
    if again:
        click.echo(f"still in the config, so the next run begins anew with: {' '.join(again)}")


@click.command()
@placed
@click.argument("old")
@click.argument("new")
def rename(place: Place, old: str, new: str) -> None:
    """Give a scope another name, GATEWAY/KEY, and keep its history; or a gateway, with all its scopes."""
    from pipeline import maintenance
    from pipeline.core.types import is_name
    from pipeline.store import scope_states, writing

    config = _config(place)
    (gateway, slash, label), (other, other_slash, other_label) = old.partition("/"), new.partition("/")
    if slash != other_slash:
        raise click.UsageError(f"{old} and {new}: name two scopes, GATEWAY/KEY, or two gateways")
    if not is_name(other) or (slash and not is_name(other_label)):
        raise click.UsageError(
            f"{new} is no name: letters, digits and _ . - + @, beginning with a letter or digit"
        )
    if slash and gateway != other:
        raise click.UsageError(
            f"{old} cannot move to another gateway, to which its models do not belong; "
            f"to rename the gateway itself: `modelwatch rename {gateway} {other}`"
        )
    with writing(database_of(place), since=now(), there=True) as store:
        known = (
            scope_states(store) if slash else {row["name"] for row in store.rows("select name from gateways")}
        )
        if old not in known:
            raise click.UsageError(f"{old} is not known: see `modelwatch scopes`")
        if new in known:
            raise click.UsageError(
                f"{new} is known already, with a history of its own: forget it first, or take another name"
            )
        renamed = (maintenance.rename_scope if label else maintenance.rename_gateway)(store, old, new)
    for was, then in renamed:
        click.echo(f"{was} is {then} now")
    _hint(config, renamed)


def _hint(config: Config | None, renamed: list[tuple[str, str]]) -> None:
    """Say what the config should say, where it does not."""
    if config is None:
        return
    grouped = tuple(f"{scope.name}." for scope in config.scopes if scope.all_groups)
    asked = {scope.name for scope in config.scopes}
    for was, then in renamed:
        if was in asked:
            click.echo(f"the config still has {was}: rename it there too, or the next run begins it anew")
        elif then not in asked and not then.startswith(grouped):
            click.echo(f"the config has no {then} yet: the next run would retire it")
