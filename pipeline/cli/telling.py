"""What a run says when it is over: everything on a terminal, elsewhere only what needs somebody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from pipeline.cli.common import LOG
from pipeline.reports import Event, Report
from pipeline.reports.as_text import member_lines, report_lines, trouble_lines, who

if TYPE_CHECKING:  # most runs have nothing to doubt
    from pipeline.deliver import Handed
    from pipeline.watching import Watched


def tell(told: Report, doubtful: Sequence[Watched]) -> None:
    """Say what happened; what concerns watched models first."""
    for line in _doubts(doubtful):
        click.echo(line)
    for line in report_lines(told):
        click.echo(line)


def warn(told: Report, doubtful: Sequence[Watched]) -> None:
    """Say what needs somebody: scopes that are held or failing, and what concerns watched models."""
    for line in _doubts(doubtful):
        LOG.warning(line)
    for event in told.events:
        if event.urgent:
            LOG.warning(_in_a_line(event))
    troubled = [scope for scope in told.coverage if scope.state in ("held", "failed")]
    for line in trouble_lines(replace(scope, unconfirmed=0) for scope in troubled):
        LOG.warning(line)


def _doubts(doubtful: Sequence[Watched]) -> Iterable[str]:
    if not doubtful:
        return ()
    from pipeline.cli.watch_text import doubts

    return doubts(doubtful)


def _in_a_line(event: Event) -> str:
    what = "; ".join(line.strip() for line in member_lines([event], each=True))
    return f"{what}  {who(event.gateway, event.scopes, event.groups)}"


def check(handed: Handed, *, quietly: bool = False) -> None:
    """Say what is wrong with templates, and what could not be handed out.

    Args:
        handed: what became of the outbox.
        quietly: something weighs more, so that the command leaves with another exit code.

    Raises:
        DeliveryError: something was not handed out; it stays in the outbox.
    """
    for problem in dict.fromkeys(handed.problems):
        LOG.warning(problem)
    if not quietly:
        handed.check()
    for line in handed.failures():
        LOG.warning(line)
