"""Metrics of the job for node_exporter's textfile collector, in Prometheus' text format.

https://github.com/prometheus/docs/blob/main/docs/instrumenting/exposition_formats.md
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from pipeline.core.text import printable
from pipeline.delivery.types import RunHealth
from pipeline.errors import FetchError
from pipeline.history.types import Coverage, Run
from pipeline.store.files import atomic_write, clear_drafts

_STATES = ("ok", "held", "failed", "new", "retired")
"""The states of a scope; each has a sample, even if no scope is in it."""

_ANSWERED = frozenset({"ok", "held"})

Sample = tuple[Mapping[str, str], int]
"""Labels and a value."""

Metric = tuple[str, str, list[Sample]]
"""A name without prefix, the help text, and samples."""


def metrics_text(health: RunHealth) -> str:
    """Return the content of the file: gauges only; times in Unix seconds, 0 for never."""
    metrics = (*_job_metrics(health), *_count_metrics(health), *_scope_metrics(health.coverage or ()))
    return "\n".join((*(line for metric in metrics for line in _lines(*metric)), ""))


def write_metrics(path: Path, content: str) -> None:
    """Write the file, readable for those that the umask allows: the collector runs as another user.

    Raises:
        OSError: it cannot be written.
    """
    clear_drafts(path.parent)
    atomic_write(path, content.encode(), share=None, durable=False)


def _job_metrics(health: RunHealth) -> Iterator[Metric]:
    run = health.run
    yield (
        "last_success_timestamp",
        "End of the newest run in which every answer was accepted, in Unix seconds; 0 for never.",
        [({}, _seconds(health.last_success))],
    )
    yield (
        "last_run_timestamp",
        "End of the newest recorded run, in Unix seconds; 0 for never.",
        [({}, _seconds(run.finished_at if run else None))],
    )
    yield "run_duration_seconds", "Duration of the newest recorded run.", [({}, _duration(run))]
    yield "exit_status", "Exit status of the last run; 0 is success.", [({}, health.exit_status)]
    yield (
        "last_run_changes",
        "Changes in the newest recorded run, by kind.",
        [({"kind": kind}, number) for kind, number in health.changes.items()],
    )
    yield (
        "unsent_reports",
        "Reports that are waiting or were refused, counted for each recipient.",
        [({}, health.unsent)],
    )


def _count_metrics(health: RunHealth) -> Iterator[Metric]:
    yield (
        "scopes",
        "Scopes, by state.",
        [({"state": state}, sum(getattr(each, state) for each in health.scopes)) for state in _STATES],
    )
    yield (
        "gateway_scopes",
        "Scopes of a gateway, by state.",
        [
            ({"gateway": each.gateway, "state": state}, getattr(each, state))
            for each in health.scopes
            for state in _STATES
        ],
    )
    yield (
        "failures",
        "Scopes that failed when they were last asked, by class of error.",
        [
            ({"error": kind.__name__}, health.failures.get(kind.__name__, 0))
            for kind in FetchError.__subclasses__()
        ],
    )


def _scope_metrics(coverage: Iterable[Coverage]) -> Iterator[Metric]:
    asked = [scope for scope in coverage if scope.state != "retired"]
    if not asked:
        return
    yield (
        "up",
        "Whether a scope answered when it was last asked.",
        [(_labels(scope), scope.state in _ANSWERED) for scope in asked],
    )
    yield (
        "held",
        "Whether the last answer of a scope is held until the next one agrees.",
        [(_labels(scope), scope.state == "held") for scope in asked],
    )
    yield (
        "last_answer_timestamp",
        "Time of the last complete answer of a scope, in Unix seconds; 0 for never.",
        [(_labels(scope), _seconds(scope.last_answered)) for scope in asked],
    )
    yield (
        "models",
        "Models in the current listing of a scope.",
        [(_labels(scope), scope.models) for scope in asked if scope.models is not None],
    )


def _labels(scope: Coverage) -> dict[str, str]:
    """Return the labels of a scope; the text of a group is escaped, as it may come from the gateway."""
    return {"gateway": scope.gateway, "scope": scope.scope, "group": printable(scope.group or "")}


def _lines(name: str, about: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP modelwatch_{name} {about}"
    yield f"# TYPE modelwatch_{name} gauge"
    for labels, value in samples:
        pairs = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        yield f"modelwatch_{name}{{{pairs}}} {int(value)}" if pairs else f"modelwatch_{name} {int(value)}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _duration(run: Run | None) -> int:
    return _seconds(run.finished_at) - _seconds(run.started_at) if run else 0


def _seconds(at: str | None) -> int:
    return int(datetime.fromisoformat(at).timestamp()) if at else 0
