"""The commands that maintain the database: verify, rebuild, prune, backup, merge, forget and rename."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from msgspec.structs import asdict

from pipeline.api import Check, Cure, Home, MergeResult
from pipeline.cli.options import Name, with_home
from pipeline.cli.run import log_deliveries
from pipeline.cli.terminal import coloured, raw
from pipeline.core.canonical import pretty
from pipeline.core.text import count, file_size, printable
from pipeline.core.times import minute
from pipeline.errors import StoreError

_AGE = re.compile(r"^(\d{1,5})([dwy])$", re.ASCII)

_DAYS = {"d": 1, "w": 7, "y": 365}

_MOST_PROBLEMS = 20
"""So many problems of one check are printed; `--json` has all."""

_NOUNS = {
    "scopes": "pointers of scopes",
    "facts": "records' facts",
    "prices": "records' prices",
    "record_prices": "records' prices",
    "permissions": "records' permissions",
    "words": "models' words for the search",
    "field_changes": "field changes",
    "listing_records": "lines of listings",
    "schema": "indexes, views and triggers",
}
"""What the rows of a table are called, where it is not the table's name."""


class Age(click.ParamType[timedelta]):
    """An age: `365d`, `52w`, `2y`."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Parse the age."""
        found = _AGE.match(value)
        if not found or not int(found[1]):
            self.fail(f"{value!r} is not an age: write 365d, 52w or 2y", param, ctx)
        return timedelta(days=int(found[1]) * _DAYS[found[2]])


@click.command()
@with_home
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every problem.")
def verify(home: Home, *, as_json: bool) -> int:
    """Check the database against itself.

    Checks every digest, every pointer and every change, and writes nothing. Exits with 74 where something is
    wrong, and prints what to do about it.
    """
    checks: list[Check] = []
    for check in home.verify():
        checks.append(check)
        if not as_json:
            _print_check(check)
    problems = [problem for check in checks for problem in check.problems]
    if as_json:
        raw(pretty([asdict(check) for check in checks]))
    elif problems:
        cures = [str(cure) for cure in Cure if any(problem.cure == cure for problem in problems)]
        verdict = f"{count(len(problems), 'problem')}; what to do: {', then '.join(reversed(cures))}"
        click.echo(coloured(verdict, "red"))
    else:
        click.echo(coloured(f"no problem in {count(len(checks), 'check')}: the database is sound", "green"))
    return StoreError.exit_code if problems else 0


def _print_check(check: Check) -> None:
    subject = check.subject if check.count != 1 else _singular(check.subject)
    result = count(len(check.problems), "problem") if check.problems else check.passed
    click.echo(f"{check.count:,} {subject}: {result}")
    for problem in check.problems[:_MOST_PROBLEMS]:
        row = problem.table if problem.id is None else f"{problem.table} {problem.id}"
        click.echo(f"  {row}: {printable(problem.message, longest=200)}: {problem.cure}")
    if len(check.problems) > _MOST_PROBLEMS:
        click.echo(f"  and {len(check.problems) - _MOST_PROBLEMS:,} more: see --json")


def _singular(subject: str) -> str:
    """Return a subject, whose first word is a plural, in the singular."""
    plural, space, rest = subject.partition(" ")
    singular = f"{plural[:-3]}y" if plural.endswith("ies") else plural.removesuffix("s")
    return f"{singular}{space}{rest}"


@click.command()
@with_home
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def rebuild(home: Home, *, as_json: bool) -> None:
    """Derive changes, facts and pointers again from the answers.

    Facts are parsed with the `prices` and `facts` of the present config. Corrections are not reported as
    changes.
    """
    corrected = asdict(home.rebuild())
    unknown = corrected.pop("unknown")
    if as_json:
        raw(pretty({"corrected": corrected, "unknown": unknown}))
        return
    click.echo(f"corrected: {_counts(corrected)}" if any(corrected.values()) else "nothing to correct")
    if unknown:
        click.echo(f"{count(unknown, 'record')} of unknown dialects: their facts were left as they are")


def _counts(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {_NOUNS.get(table, table)}" for table, number in rows.items() if number)


@click.command()
@with_home
@click.option("--keep", type=Age(), required=True, help="Keep everything younger than this: 365d, 52w, 2y.")
@click.option("--dry-run", is_flag=True, help="Print what would be dropped, write nothing.")
@click.option("--vacuum/--no-vacuum", default=True, help="Return freed space to the disk.  [default: do]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def prune(home: Home, *, keep: timedelta, dry_run: bool, vacuum: bool, as_json: bool) -> None:
    """Drop old history.

    The age counts from the newest run. Where the clock is far ahead of the runs, nothing is dropped.
    Reports on the time that is kept stay the same, and a model that returns is still reported as returned.
    """
    pruned = home.prune(keep=keep, dry_run=dry_run, vacuum=vacuum)
    if as_json:
        sizes = dict(zip(("before", "after"), pruned.sizes, strict=True)) if pruned.sizes else None
        value = {"bound": pruned.bound, "asked": pruned.asked, "dropped": pruned.rows, "bytes": sizes}
        raw(pretty(value))
        return
    if pruned.bound < pruned.asked:
        click.echo(f"kept since {minute(pruned.bound)}: a report on that time is still to be written")
    rows = {table: number for table, number in pruned.rows.items() if table != "listing_records"}
    if rows:
        click.echo(f"{'would drop' if dry_run else 'dropped'}: {_counts(rows)}")
    else:
        click.echo(f"nothing is older than {minute(pruned.asked)}")
    if pruned.sizes:
        before, after = map(file_size, pruned.sizes)
        click.echo(f"{before} before, {after} now")


@click.command()
@with_home
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
def backup(home: Home, file: Path, *, force: bool) -> None:
    """Write a consistent copy of the database to FILE, also during a run."""
    size = home.backup(file, overwrite=force)
    click.echo(f"{file}: {file_size(size)}, checked")


@click.command()
@with_home
@click.argument("other", type=click.Path(path_type=Path), metavar="OTHER.db")
@click.option("--site", required=True, help="The name of the site, with which the names of its scopes begin.")
@click.option("--report", is_flag=True, help="Report what joins as news, and send the reports that are due.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def merge(home: Home, other: Path, *, site: str, report: bool, as_json: bool) -> None:
    """Let the history of another site join this one.

    OTHER.db is its database, or a backup of it; nothing is written to it. The names of its scopes begin with
    that of the site: tokyo:aihubmix/prod. What was merged before is skipped, so the command can be repeated
    after each run there. What joins is history only, unless --report is given. The outbox of the site stays
    there.
    """
    found = home.merge(other, site, report=report)
    if as_json:
        raw(pretty(asdict(found.merged)))
    else:
        click.echo("\n".join(_merge_lines(found.merged)))
    if found.deliveries:
        log_deliveries(found.deliveries)


def _merge_lines(merged: MergeResult) -> Iterator[str]:
    if not merged.runs:
        yield f"nothing new of {merged.site}: {count(merged.scopes, 'scope')}, as merged before"
    else:
        assert merged.since
        assert merged.until
        period = f"from {minute(merged.since)} to {minute(merged.until)}"
        new = f", {merged.new_scopes} of them new" if merged.new_scopes else ""
        yield (
            f"{count(merged.runs, 'run')} of {merged.site} {period}: {count(merged.scopes, 'scope')}{new},"
            f" {count(merged.moved, 'move')}"
        )
    if merged.forgotten:
        yield f"left out, since they were forgotten here: {' '.join(merged.forgotten)}"
    if merged.other_sites:
        yield f"left out, merge their own databases: the sites {' '.join(merged.other_sites)}"


@click.command()
@with_home
@click.argument("scopes", nargs=-1, type=Name("scopes"), required=True, metavar="SCOPE...")
@click.option("--yes", is_flag=True, help="Do not ask.")
def forget(home: Home, scopes: tuple[str, ...], *, yes: bool) -> None:
    """Drop scopes and all that only they needed; SCOPE may be a glob, such as 'aihubmix/*'."""
    names = home.scope_names(*scopes)
    click.echo(f"to forget, with all their history: {' '.join(names)}")
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("cannot ask for confirmation, as stdin is not a terminal: add --yes")
        click.confirm("Forget?", abort=True)
    dropped = home.forget(*names)
    click.echo(f"dropped: {_counts({t: n for t, n in dropped.items() if t not in _NOUNS} or dropped)}")
    config = home.optional_config
    asked = [scope.name for scope in config.scopes if scope.name in names] if config else []
    listed = {each.gateway.name for each in config.key_lists} if config else set()
    if gateways := sorted({name.partition("/")[0] for name in names} & listed):
        click.echo(f"the next run records anew those that the list of `keys` still has: {' '.join(gateways)}")
    if asked:
        click.echo(f"still in the config, so the next run records them anew: {' '.join(asked)}")


@click.command()
@with_home
@click.argument("old", type=Name("scopes"))
@click.argument("new")
def rename(home: Home, old: str, new: str) -> None:
    """Rename a scope, gateway/name, or a gateway with all its scopes, and keep the history."""
    renamed = home.rename(old, new)
    for before, after in renamed:
        click.echo(f"{before} is now {after}")
    config = home.optional_config
    if config:
        _print_config_hints(
            renamed,
            configured={scope.name for scope in config.scopes},
            groups=[scope.name for scope in config.scopes if scope.all_groups],
            listed=tuple(f"{each.gateway.name}/" for each in config.key_lists),
        )


def _print_config_hints(
    renamed: Sequence[tuple[str, str]],
    *,
    configured: set[str],
    groups: Sequence[str],
    listed: tuple[str, ...],
) -> None:
    """Print what to change in a config that does not have the new names.

    Args:
        renamed: old and new names.
        configured: the scopes of the config.
        groups: those that are asked for all groups of a user.
        listed: the beginnings of names that lists of keys may have.
    """
    made_of_groups = tuple(f"{name}." for name in groups)
    for before, after in renamed:
        if before in configured:
            click.echo(f"the config still has {before}: rename it there too, or the next run records it anew")
        elif after.startswith(listed):
            label = after.partition("/")[2]
            click.echo(f"the list of `keys` must name it {label} too, or the next run retires the scope")
        elif after not in configured and not after.startswith(made_of_groups):
            click.echo(f"the config does not have {after} yet: add it, or the next run retires the scope")
