"""The command that brings in what others have saved: import."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline import errors
from pipeline.cli.options import LOG, Place, logged, now, placed
from pipeline.cli.run import database_of, load

if TYPE_CHECKING:
    from pipeline.core.types import Scope
    from pipeline.store import Store
    from pipeline.sync.archives import Answers, LeftOut
    from pipeline.sync.backfill import Backfill


_NAMED = 3


_LINES = (".jsonl", ".ndjson")


@click.command("import")
@placed
@logged
@click.argument("scope", metavar="SCOPE")
@click.argument("source", required=False, type=click.Path(path_type=Path), metavar="[DIRECTORY|FILE.jsonl]")
@click.option(
    "--git", "repository", type=click.Path(path_type=Path), help="Import a file's history in this repository."
)
@click.option("--path", "file", help="With --git: the file in the repository.")
@click.option(
    "--time-field", help="Take the time from this field of each answer, such as metadata.fetchedAt."
)
@click.option("--dialect", help="How the answers are written, or `auto`.  [default: as in the config]")
@click.option("--url", help="Where they came from, for a gateway that the config does not have.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a line.")
def import_(
    place: Place,
    *,
    scope: str,
    source: Path | None,
    repository: Path | None,
    file: str | None,
    time_field: str | None,
    dialect: str | None,
    url: str | None,
    as_json: bool,
    quiet: bool,
    verbose: int,
) -> int:
    """Bring saved answers into the history of SCOPE (gateway/name), oldest first.

    They are the files of a DIRECTORY, the time in each file's name; or the lines {"at": TIME, "body": ANSWER}
    of a FILE.jsonl; or with --git and --path what a repository has kept of one file. What is known already is
    passed over, so that an import which was cut off can be started again.
    """
    from pipeline.cli.terminal import interruptible, progress, raw
    from pipeline.store import writing
    from pipeline.sync.backfill import backfill

    del verbose
    database = database_of(place)
    wanted, asked = _scope(place, database, scope, dialect, url)
    answers = _answers(source, repository, file, time_field)
    with writing(database, since=now()) as store:
        with (
            progress(answers.count, quiet=quiet, doing="importing") as bar,
            interruptible(),
        ):
            done = backfill(wanted, answers.oldest_first, store, lambda _saved: bar.step(), asked=asked)
        _warn(answers.left_out, done.unreadable)
        summary = _summary(store, wanted, answers, done)
        store.settle()
    if as_json:
        from pipeline.core.canonical import pretty

        raw(pretty(summary))
    elif not quiet:
        click.echo(_line(summary))
    return _exit_code(summary)


def _answers(
    source: Path | None, repository: Path | None, file: str | None, time_field: str | None
) -> Answers:
    from pipeline.sync.archives import in_directory, in_git, in_lines

    _check_field(time_field)
    if repository is not None:
        if source is not None or time_field is not None:
            raise click.UsageError("with --git the file is named by --path, and its commits give the times")
        if file is None:
            raise click.UsageError("--git needs --path: the file in the repository")
        return in_git(repository, file)
    if file is not None:
        raise click.UsageError("--path needs --git: the repository")
    if source is None:
        raise click.UsageError("name a directory, a .jsonl file, or --git and --path")
    if source.suffix.casefold() in _LINES and not source.is_dir():
        return in_lines(source, time_field)
    if source.is_file():
        raise click.UsageError(f"{source} is neither a directory nor a {' or '.join(_LINES)} file")
    return in_directory(source, time_field)


def _check_field(path: str | None) -> None:
    from pipeline.core import jsonpath

    if path is not None:
        try:
            jsonpath.parse(path)
        except ValueError as error:
            raise click.UsageError(f"--time-field: {error}") from error


def _scope(
    place: Place, database: Path, name: str, dialect: str | None, url: str | None
) -> tuple[Scope, bool]:
    from pipeline.sync.backfill import whose

    scopes = load(place).scopes if place.config.exists() else ()
    try:
        return whose(scopes, database, name, dialect=dialect, url=url)
    except errors.QuestionError as error:
        raise click.UsageError(error.message) from error


def _warn(left_out: Sequence[LeftOut], unreadable: dict[str, str]) -> None:
    for why in dict.fromkeys(each.why for each in left_out):
        sources = [each.source for each in left_out if each.why == why]
        more = f" and {len(sources) - _NAMED} more" if len(sources) > _NAMED else ""
        LOG.warning("left out: %s%s: %s", ", ".join(sources[:_NAMED]), more, why)
    for number, (source, message) in enumerate(unreadable.items()):
        (LOG.warning if number < _NAMED else LOG.info)("%s: %s", source, message)
    if len(unreadable) > _NAMED:
        LOG.warning("%d more could not be read: -v names them", len(unreadable) - _NAMED)


def _summary(store: Store, scope: Scope, answers: Answers, done: Backfill) -> dict[str, Any]:
    from pipeline.history.runs import moved
    from pipeline.store import scope_states

    ref = scope_states(store).get(scope.name)
    return {
        "scope": scope.name,
        "found": answers.count,
        "imported": done.answers,
        "since": done.first,
        "until": done.last,
        "known": done.known,
        "repeated": done.repeated,
        "unreadable": len(done.unreadable),
        "left_out": len(answers.left_out),
        "moves": done.moved,
        "held": done.held,
        "changes": moved(store, done.window),
        "is_held": bool(ref and ref.held),
    }


def _line(summary: dict[str, Any]) -> str:
    from pipeline.core.times import minute

    imported, scope = summary["imported"], summary["scope"]
    told = {"moves": summary["moves"], **summary["changes"], "held": summary["held"]}
    counts = ", ".join(f"{count:,} {_word(name, count)}" for name, count in told.items() if count)
    parts = [f"nothing new of {scope}"]
    if imported:
        span = f"from {minute(summary['since'])} to {minute(summary['until'])}"
        answers = f"{imported:,} answer{'' if imported == 1 else 's'} of {scope}"
        parts = [f"{answers} {span}: {counts or 'no change'}"]
    beside = {
        "known": "known already",
        "repeated": "overtaken within their second",
        "unreadable": "could not be read",
    }
    parts += [f"{summary[name]:,} {words}" for name, words in beside.items() if summary[name]]
    if summary["is_held"]:
        parts.append("the last one is held")
    return "; ".join(parts)


def _word(name: str, count: int) -> str:
    return "move" if name == "moves" and count == 1 else name


def _exit_code(summary: dict[str, Any]) -> int:
    if summary["unreadable"] and not summary["imported"] and not summary["known"]:
        return errors.ALL_FAILED_EXIT
    return errors.HELD_EXIT if summary["is_held"] else 0
