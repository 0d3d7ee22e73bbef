"""What a report says to a person: net, folded, told by what happened, the most urgent first."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.core.prices import PriceChange
from pipeline.core.types import FieldChange, Kind, Severity
from pipeline.history.types import Coverage, Event, Recovery, Run
from pipeline.reports.report import Report


@dataclass(frozen=True, slots=True)
class Line:
    """One thing to tell: what became, in the whole window, of one model, or of several at once.

    Args:
        kind: removed, added, returned or changed, as it stands at the end of the window.
        models: their ids, sorted: one, or several that came, went or changed together.
        mark: what several that came or went share: `*:batch`, `vendor/*` or `of OWNER`; empty for one model,
            and where the same fields changed in the same way.
        scopes: to whom it happened, sorted; `groups` are theirs.
        prices: the prices that changed, from the beginning of the window to its end.
        fields: the other fields that changed, likewise; a side that is None was absent. Quiet ones only where
            nothing else changed.
        own: which of the fields say something else for each of the models; what `fields` has is the first's.
        times: how many steps it took, of which only the net is told; above 1 where it went back and forth.
        back: after those steps all is as it was before the window.
        at: the last of these steps (ISO 8601 UTC).
        since: for a removal, when it was first missed; for a return, when it had left.
        away_seconds: for a return, how long it was away.
        twin: a model of the same list whose id differs only in case.
        candidate: for a removal, the model that perhaps took its place.
        watched: it concerns a model that the config watches.
    """

    severity: Severity
    kind: Kind
    gateway: str
    models: tuple[str, ...]
    scopes: tuple[str, ...]
    groups: tuple[str, ...] = ()
    mark: str = ""
    prices: tuple[PriceChange, ...] = ()
    fields: tuple[FieldChange, ...] = ()
    times: int = 1
    back: bool = False
    at: str = ""
    since: str | None = None
    away_seconds: int | None = None
    twin: str | None = None
    candidate: str | None = None
    watched: bool = False
    own: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trouble:
    """Scopes of a gateway that do not answer, or whose answer is held, at the end of the window.

    Args:
        state: `failed` or `held`.
        since: the run at which it began.
        new: it began in this window; else it was told before, and is only mentioned.
        error_class: for a failure: Unreachable, Throttled, Refused, Unresolved or Unreadable.
        message: what the gateway said, or why it is held.
        models: how many they are known to offer; None where they differ, as for `held_models`: those of the
            held answer.
        last_answered: when they last gave a complete answer; None where never.
        watched: the models that somebody depends on and that the held answer lacks.
    """

    severity: Severity
    state: str
    gateway: str
    scopes: tuple[str, ...]
    since: str
    new: bool
    error_class: str | None = None
    message: str = ""
    models: int | None = None
    held_models: int | None = None
    last_answered: str | None = None
    watched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """Scopes of a gateway whose trouble ended in the window, or came and went within it.

    Args:
        was: `failed` or `held`; for the latter `believed` says whether the held answer is now the known one.
        since: when it had begun; `at` when it was over; `seconds` how long it was.
    """

    severity: Severity
    was: str
    gateway: str
    scopes: tuple[str, ...]
    believed: bool
    since: str
    at: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Started:
    """Scopes of a gateway that answered for the first time in the window: a baseline, no change."""

    gateway: str
    scopes: tuple[str, ...]
    models: int


@dataclass(frozen=True, slots=True)
class Day:
    """How many changes a day had (ISO 8601 date, UTC), by kind."""

    day: str
    added: int = 0
    removed: int = 0
    returned: int = 0
    changed: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.added + self.removed + self.returned + self.changed


@dataclass(frozen=True, slots=True)
class Ending:
    """A model that is announced to end on a day (ISO 8601); `days` until then, below 0 when it has passed."""

    day: str
    days: int
    gateway: str
    model: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """All that one report says to a person, ready to be written in any form.

    Args:
        since: the start of the run before the window (ISO 8601 UTC); None when it begins with the history.
        run: the last run of the window.
        least: what matters less is not told line by line, only counted.
        lines: by severity, then gateway, scopes, kind and model; those below `least` too.
        troubles: those that hold at the end of the window, new ones first.
        ended: troubles that are over, as far as their beginning was told.
        started: scopes that answered for the first time, where that is told.
        missing: by scope, how many models are missing and to be confirmed; known only as it is now.
        coverage: the scopes that were asked in the window, as far as this report is about them, as they stand
            at its end.
        days: the last four weeks, or all since the first run, oldest first, a day each, without gaps.
        endings: announced ends within the next 90 days, and those that passed lately, by day.
        events: each single step, as it is in the CSV and the JSON; `recoveries` likewise.
    """

    since: str | None
    run: Run
    least: Severity = Severity.NOTABLE
    lines: tuple[Line, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    ended: tuple[Ended, ...] = ()
    started: tuple[Started, ...] = ()
    missing: tuple[tuple[str, int], ...] = ()
    coverage: tuple[Coverage, ...] = ()
    days: tuple[Day, ...] = ()
    endings: tuple[Ending, ...] = ()
    events: tuple[Event, ...] = ()
    recoveries: tuple[Recovery, ...] = ()

    @property
    def report(self) -> Report:
        """The same, step by step."""
        return Report(self.since, self.run, self.events, self.recoveries, self.coverage)

    @property
    def answered(self) -> int:
        """How many of the scopes answered in the last run; `held` answers are answers."""
        return sum(scope.state in ("ok", "held") for scope in self.coverage)

    @property
    def told(self) -> tuple[Line, ...]:
        """The lines that matter enough to be told."""
        return tuple(line for line in self.lines if line.severity.reaches(self.least))

    @property
    def untold(self) -> int:
        """How many models are only counted, as what became of them matters too little."""
        return sum(len(line.models) for line in self.lines if not line.severity.reaches(self.least))

    @property
    def severity(self) -> Severity | None:
        """How much the most important news matters; None where there is nothing to tell."""
        found = {line.severity for line in self.told} | {each.severity for each in self.ended}
        found |= {trouble.severity for trouble in self.troubles if trouble.new}
        found |= {Severity.NOTABLE} if self.started else set()
        return next((severity for severity in Severity if severity in found), None)


FORMS = ("txt", "md", "html", "csv", "json")
"""The forms in which one report is read."""


LANGUAGES = ("en", "ja", "zh-CN")
"""The languages of mails and reports."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What of a report a destination is told: globs, of which none means all.

    Args:
        scopes: of the scopes to which it happened.
        groups: of their groups.
        owners: of whom the gateway names as owner.
        models: of ids.
        severity: what matters less is left out.
    """

    scopes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    severity: Severity = Severity.NOTABLE


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a mail: `changes.csv`, its media type and its bytes."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """One report, written for one destination.

    Args:
        message_id: `<…@…>`, the same however often it is tried.
        thread: `<…@…>`, the same for all reports to this destination.
        at: when the run was that it tells of, ISO 8601 UTC.
        subject: one line of text, harmless as it is.
        json: the report, in the shape of `report.schema.json`.
    """

    message_id: str
    thread: str
    at: str
    severity: Severity | None
    language: str
    subject: str
    text: str
    markdown: str
    html: str
    json: str
    attachments: tuple[Attachment, ...] = ()
