"""The command `import`: record answers that were saved earlier."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from pipeline.api import Answers, Home, ImportResult, LeftOut, in_git, saved_answers
from pipeline.cli.options import LOG, Name, logged, new_option, with_home
from pipeline.cli.terminal import interruptible, progress, raw
from pipeline.core import jsonpath
from pipeline.core.canonical import pretty
from pipeline.core.times import minute

_MOST_NAMES = 3
"""So many sources are named in one warning."""

_LINES = (".jsonl", ".ndjson")


@click.command("import")
@with_home
@logged
@click.argument("scope", type=Name("scopes"), metavar="SCOPE")
@click.argument("source", required=False, type=click.Path(path_type=Path), metavar="[DIRECTORY|FILE.jsonl]")
@click.option(
    "--git", "repository", type=click.Path(path_type=Path), help="Import a file's history in this repository."
)
@click.option("--path", "file", help="With --git: the file in the repository.")
@click.option(
    "--time-field", help="Take the time from this field of each answer, such as metadata.fetchedAt."
)
@click.option("--dialect", help="The dialect of the answers, or `auto`.  [default: as in the config]")
@click.option("--url", help="Where they came from, for a gateway that is not in the config.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a line.")
@new_option
def import_(
    home: Home,
    *,
    scope: str,
    source: Path | None,
    repository: Path | None,
    file: str | None,
    time_field: str | None,
    dialect: str | None,
    url: str | None,
    as_json: bool,
    new: bool,
    quiet: bool,
    verbose: int,
) -> int:
    """Import saved answers into the history of a scope.

    SCOPE is gateway/name. The answers are the files of a DIRECTORY, with the time in each file's name; or the
    lines {"at": TIME, "body": ANSWER} of a FILE.jsonl; or, with --git and --path, the versions of one file in
    a repository. Answers that are recorded already are skipped: an import that was cut off can be repeated.
    """
    del verbose
    answers = _answers(source, repository, file, time_field, now=home.clock())
    with progress(answers.count, quiet=quiet, label="importing") as bar, interruptible():
        result = home.import_(scope, answers, dialect=dialect, url=url, new=new, on_answer=bar.step)
    _log_problems(result.left_out, result.totals.unreadable)
    about_rows = (result.doubt, result.totals.left_out_rows)
    for problem in filter(None, (*about_rows, *result.totals.setting_advice, result.totals.price_advice)):
        LOG.warning("%s: %s", result.scope, problem)
    if as_json:
        raw(pretty(_import_value(result)))
    elif not quiet:
        click.echo(_import_line(result))
    return result.exit_status


def _answers(
    source: Path | None, repository: Path | None, file: str | None, time_field: str | None, *, now: str
) -> Answers:
    if time_field is not None:
        try:
            jsonpath.parse(time_field)
        except ValueError as error:
            raise click.UsageError(f"--time-field: {error}") from error
    if repository is not None:
        if source is not None or time_field is not None:
            raise click.UsageError("with --git, --path names the file, and its commits have the times")
        if file is None:
            raise click.UsageError("--git needs --path: the file in the repository")
        return in_git(repository, file, now=now, environment=os.environ)
    if file is not None:
        raise click.UsageError("--path needs --git: the repository")
    if source is None:
        raise click.UsageError("name a directory, a .jsonl file, or --git and --path")
    if source.is_file() and source.suffix.casefold() not in _LINES:
        raise click.UsageError(
            f"{source} is neither a directory nor a {' or '.join(_LINES)} file; unpack an archive first"
        )
    return saved_answers(source, time_field, now=now)


def _log_problems(left_out: Sequence[LeftOut], unreadable: Mapping[str, str]) -> None:
    for why in dict.fromkeys(each.reason for each in left_out):
        sources = [each.source for each in left_out if each.reason == why]
        more = f" and {len(sources) - _MOST_NAMES} more" if len(sources) > _MOST_NAMES else ""
        LOG.warning("left out: %s%s: %s", ", ".join(sources[:_MOST_NAMES]), more, why)
    for number, (source, message) in enumerate(unreadable.items()):
        (LOG.warning if number < _MOST_NAMES else LOG.info)("%s: %s", source, message)
    if len(unreadable) > _MOST_NAMES and not LOG.isEnabledFor(logging.INFO):
        LOG.warning("%d more could not be read: see -v", len(unreadable) - _MOST_NAMES)


def _import_value(result: ImportResult) -> dict[str, Any]:
    totals = result.totals
    return {
        "scope": result.scope,
        "found": result.found,
        "imported": totals.answers,
        "since": totals.first,
        "until": totals.last,
        "known": totals.known,
        "repeated": totals.repeated,
        "unreadable": len(totals.unreadable),
        "left_out": len(result.left_out),
        "rows_left_out": totals.rows.number,
        "moves": totals.moved,
        "held": totals.held,
        "changes": result.changes,
        "is_held": result.is_held,
    }


def _import_line(result: ImportResult) -> str:
    totals = result.totals
    parts = [f"nothing new of {result.scope}"]
    if totals.first and totals.last:
        answers = f"{totals.answers:,} answer{'' if totals.answers == 1 else 's'} of {result.scope}"
        counts = {"move" if totals.moved == 1 else "moves": totals.moved}
        counts |= {**result.changes, "held": totals.held}
        changes = ", ".join(f"{number:,} {name}" for name, number in counts.items() if number)
        period = f"from {minute(totals.first)} to {minute(totals.last)}"
        parts = [f"{answers} {period}: {changes or 'no change'}"]
    skipped = {
        "recorded already": totals.known,
        "replaced within their second": totals.repeated,
        "could not be read": len(totals.unreadable),
        "left out for their time": sum(each.is_answer for each in result.left_out),
    }
    parts += [f"{number:,} {why}" for why, number in skipped.items() if number]
    if result.is_held:
        parts.append("the last one is held")
    return "; ".join(parts)
