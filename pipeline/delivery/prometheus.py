"""The text file that node_exporter's textfile collector reads, in Prometheus' exposition format."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from pipeline.core.text import printable
from pipeline.delivery.types import RunHealth
from pipeline.errors import FetchError
from pipeline.history.types import Coverage

STATES = ("ok", "held", "failed", "new", "retired")
"""How a scope may stand; each has its line, also when no scope stands so."""


_HEARD = frozenset({"ok", "held"})


Sample = tuple[Mapping[str, str], int]


def metrics_text(vitals: RunHealth) -> str:
    """Write how the job stands: gauges all; times in Unix seconds, 0 where there is none."""
    lines = [line for name, about, samples in _metrics(vitals) for line in _metric(name, about, samples)]
    return "\n".join((*lines, ""))


def write_metrics(path: Path, content: str) -> None:
    """Write the file, whole or not at all, for everybody to read.

    Raises:
        OSError: it cannot be written.
    """
    # The collector looks at whatever ends in .prom.
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            # Whatever the umask is: the collector is another user.
            os.fchmod(file.fileno(), 0o644)
            file.write(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _metrics(vitals: RunHealth) -> Iterator[tuple[str, str, list[Sample]]]:
    yield from _of_the_job(vitals)
    yield from _of_the_scopes(vitals.coverage)


def _of_the_job(vitals: RunHealth) -> Iterator[tuple[str, str, list[Sample]]]:
    run = vitals.run
    yield (
        "last_success_timestamp",
        "When the newest run ended that heard every scope and held nothing, in Unix seconds; 0 for never.",
        [({}, _seconds(vitals.last_success))],
    )
    yield (
        "last_run_timestamp",
        "When the newest recorded run ended, in Unix seconds; 0 for never.",
        [({}, _seconds(run.finished_at if run else None))],
    )
    yield (
        "run_duration_seconds",
        "How long the newest recorded run took.",
        [({}, _seconds(run.finished_at) - _seconds(run.started_at) if run else 0)],
    )
    yield "exit_status", "What the last run left with; 0 is success.", [({}, vitals.exit_status)]
    yield (
        "last_run_changes",
        "Changes that the newest recorded run told, by kind.",
        [({"kind": kind}, number) for kind, number in vitals.changes.items()],
    )
    yield "unsent_reports", "Reports that wait or were refused, for each recipient.", [({}, vitals.unsent)]


def _of_the_scopes(coverage: Iterable[Coverage]) -> Iterator[tuple[str, str, list[Sample]]]:
    scopes = list(coverage)
    asked = [scope for scope in scopes if scope.state != "retired"]
    states = Counter(scope.state for scope in scopes)
    yield "scopes", "Scopes, by how they stand.", [({"state": state}, states[state]) for state in STATES]
    failures = Counter(scope.error_class for scope in asked if scope.state == "failed")
    yield (
        "failures",
        "Scopes that failed when they were last asked, by the class of the error.",
        [({"error": kind.__name__}, failures[kind.__name__]) for kind in FetchError.__subclasses__()],
    )
    yield (
        "up",
        "Whether a scope answered when it was last asked.",
        [(_of(s), s.state in _HEARD) for s in asked],
    )
    yield (
        "held",
        "Whether a scope's last answer is held until the next one agrees.",
        [(_of(scope), scope.state == "held") for scope in asked],
    )
    yield (
        "last_answer_timestamp",
        "When a scope last gave a complete answer, in Unix seconds; 0 for never.",
        [(_of(scope), _seconds(scope.last_answered)) for scope in asked],
    )
    yield (
        "models",
        "Models that a scope is known to be offered.",
        [(_of(scope), scope.models) for scope in asked if scope.models is not None],
    )


def _of(scope: Coverage) -> dict[str, str]:
    """Give the labels of a scope; a group is named by the gateway, and no text of it is trusted."""
    return {"gateway": scope.gateway, "scope": scope.scope, "group": printable(scope.group or "")}


def _metric(name: str, about: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP modelwatch_{name} {about}"
    yield f"# TYPE modelwatch_{name} gauge"
    for labels, value in samples:
        inside = ",".join(f'{label}="{_escaped(of)}"' for label, of in labels.items())
        yield f"modelwatch_{name}{{{inside}}} {int(value)}" if inside else f"modelwatch_{name} {int(value)}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _seconds(at: str | None) -> int:
    return int(datetime.fromisoformat(at).timestamp()) if at else 0
