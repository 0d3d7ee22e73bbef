"""The value types of reports: `Report` with every step, `Summary` with the net changes, and `Message`."""

from __future__ import annotations

from collections import Counter
from urllib.parse import quote, urlencode

from msgspec import Struct

from pipeline.core.prices import PriceChange
from pipeline.core.times import shifted
from pipeline.core.types import FieldChange, Kind, Severity
from pipeline.history.types import Coverage, Event, Recovery, Run, ScopeCounts
from pipeline.store.recurrences import Recurrence

FORMS = ("txt", "md", "html", "csv", "json")
"""The formats in which one report can be rendered."""

LANGUAGES = ("en", "ja", "zh-CN")
"""The languages of mails and reports."""


class Filter(Struct, frozen=True):
    """The part of a report that a destination receives; an empty tuple of globs matches everything.

    Args:
        scopes: globs of scope names.
        groups: globs of the scopes' groups.
        owners: globs of the owners that gateways name.
        models: globs of model ids.
        severity: changes below it are left out.
    """

    scopes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    severity: Severity = Severity.NOTABLE


class Links(Struct, frozen=True):
    """Where the names in a report lead.

    The pages of the browser have addresses by name, which they redirect; see `browse/plugins/links.py`.

    Args:
        base_url: the address of the browser's start page; empty for none.
        gateways: by name, the web addresses of gateways, to which their names lead without `base_url`.
    """

    base_url: str = ""
    gateways: tuple[tuple[str, str], ...] = ()

    def model(self, gateway: str, model: str) -> str:
        """Return the address of a model's page; empty without one."""
        return self._page("model", gateway=gateway, model=model)

    def scope(self, scope: str) -> str:
        """Return the address of a scope's page, else that of its gateway; empty without one."""
        return self._page("scope", scope=scope) or self._gateway(scope.partition("/")[0])

    def gateway(self, gateway: str) -> str:
        """Return the address of a gateway's page, else its own; empty without one."""
        return self._page("gateway", gateway=gateway) or self._gateway(gateway)

    def changes(self, since: str | None, until: str) -> str:
        """Return the address of the page of the changes after one run, up to that of another.

        Both are named by their start (ISO 8601 UTC).
        """
        first = {"since": shifted(since, 1)} if since else {}
        return self._page("changes", **first, until=shifted(until, 1)) if self.base_url else ""

    def _page(self, name: str, **values: str) -> str:
        # Parentheses, blanks and quotes would end a link of Markdown.
        base = quote(self.base_url.rstrip("/"), safe="/:@%&=?+,;~$*![]")
        query = urlencode(values, quote_via=quote, safe="", errors="replace")
        return f"{base}/-/modelwatch/{name}?{query}" if base else ""

    def _gateway(self, name: str) -> str:
        return next((url for gateway, url in self.gateways if gateway == name), "")


NO_LINKS = Links()


class Report(Struct, frozen=True):
    """Every step of a window, as in CSV and JSON; the same history gives the same report.

    Args:
        since: the start of the run before the window; None when the window begins with the history.
        run: the last run of the window.
        events: by time, then gateway, kind and model.
        recoveries: by time, then scope.
        coverage: of the scopes that the last run asked, those that are held, failing or new, or have pending
            removals.
        first_answers: the scopes whose first answer is in the window.
        scopes: the number of scopes that the last run asked, by gateway and state.
    """

    since: str | None
    run: Run
    events: tuple[Event, ...]
    recoveries: tuple[Recovery, ...]
    coverage: tuple[Coverage, ...]
    first_answers: tuple[FirstAnswer, ...] = ()
    scopes: tuple[ScopeCounts, ...] = ()

    @property
    def totals(self) -> dict[str, int]:
        """The number of events of each kind."""
        counts = Counter(event.kind for event in self.events)
        return {str(kind): counts[kind] for kind in Kind}


class NetChange(Struct, frozen=True):
    """The net change of one model, or of several models alike, between the two ends of a window.

    Args:
        kind: removed, added, returned, changed, shape or group; of a group, `groups` has its name.
        models: their ids, sorted.
        scopes: the scopes in which it happened, sorted; `groups` are theirs.
        label: the common part of several models: `*:batch`, `vendor/*` or `of OWNER`; empty for one model,
            and for models whose fields changed in the same way.
        prices: the prices that differ between the ends of the window.
        fields: the other fields that differ; None on a side where a field is absent. Quiet fields only
            where nothing else changed.
        varying: paths of the fields and names of the prices whose values differ from model to model; `fields`
            and `prices` have those of the first.
        steps: the number of events behind the change; above 1 where something changed repeatedly.
        reverted: the model ends as it was before the window.
        repeated: all of its events are quiet, since their values keep changing.
        at: the time of the last event (ISO 8601 UTC).
        since: for a removal, the run that first missed the model; for a return, the run that had missed it;
            of several models or scopes, the earliest. `last_since` is the latest.
        away_seconds: for a return, the duration of the absence; of several models or scopes, the longest.
            `least_away` is the shortest.
        absence: beginning and end (ISO 8601 UTC) of the only absence that ended in the window; None without
            one, with several, or where scopes or models differ.
        case_variant: a model of the same list whose id differs only in case.
        successor: for a removal, the model that probably replaces it.
        watched: the config watches the models in one of these scopes.
        listed: for a change of shape, the number of models in the list; for one of a group, that of its
            models, None where they are unknown, and `watched_models` has the watched ones.
        muted: the models are muted; it is quiet, whatever changed.
    """

    severity: Severity
    kind: Kind
    gateway: str
    models: tuple[str, ...]
    scopes: tuple[str, ...]
    groups: tuple[str, ...] = ()
    label: str = ""
    prices: tuple[PriceChange, ...] = ()
    fields: tuple[FieldChange, ...] = ()
    varying: tuple[str, ...] = ()
    steps: int = 1
    reverted: bool = False
    repeated: bool = False
    at: str = ""
    since: str | None = None
    away_seconds: int | None = None
    case_variant: str | None = None
    successor: str | None = None
    watched: bool = False
    listed: int | None = None
    last_since: str | None = None
    least_away: int | None = None
    watched_models: tuple[str, ...] = ()
    absence: tuple[str, str] | None = None
    muted: bool = False

    @property
    def subjects(self) -> frozenset[tuple[str, ...]]:
        """What changed, whatever the scopes: models, fields of a shape, or a group; with the gateway."""
        if self.kind == Kind.GROUP:
            return frozenset({(self.gateway, "", self.groups[0])})
        if self.kind == Kind.SHAPE:
            return frozenset((self.gateway, "", "", field.field) for field in self.fields)
        return frozenset((self.gateway, model) for model in self.models)

    @property
    def size(self) -> int:
        """The number of changes for which it counts: one a model, a group, or a field of a shape."""
        if self.kind == Kind.GROUP:
            return 1
        return len(self.fields) if self.kind == Kind.SHAPE else len(self.models)


class Removal(Struct, frozen=True):
    """How far a removal is confirmed.

    Args:
        answers: the complete answers so far without the model; `needed`, how many confirm it; `left`, how
            many more: 0 where only the time is missing.
        earliest: the time (ISO 8601 UTC) before which it is not confirmed; None if that has passed.
        flapping: the model comes and goes, and so needs more answers.
    """

    answers: int
    needed: int
    left: int
    earliest: str | None
    flapping: bool = False


class Incident(Struct, frozen=True):
    """Scopes of a gateway in the same trouble at the end of the window, for the same reason.

    Args:
        state: `failed`; `held`; or `pending`: watched models are missing, and their removal is not confirmed.
        since: the start of the run in which it began (ISO 8601 UTC, as all times).
        new: it began in this window, or became more severe in it; other incidents were reported before.
        lasts: it is a failure that began before the window and became more severe in it.
        error_class: for a failure: Unreachable, Throttled, Refused, Unresolved or Unreadable.
        message: the gateway's error, or the reason of the hold.
        cure: the end of this message that says what to do; None where only general words fit.
        models: the size of the current listing, `held_models` that of the held answer; None where the scopes
            differ.
        last_answered: the last complete answer of any of the scopes; None where there was none.
        missing_watched: the watched models that the held answer lacks, or whose removal is pending.
        hold: for a hold, why, in one word; see `HoldKind`.
        removal: how far a pending removal is confirmed; None if unknown, or if several models differ.
        group: for a pending removal, the group that may be gone with all of its models.
        recurrence: how often it came back, where the scopes are unsteady.
        muted: until when (ISO 8601 UTC) the scopes are muted; None if they are not.
    """

    severity: Severity
    state: str
    gateway: str
    scopes: tuple[str, ...]
    since: str
    new: bool
    lasts: bool = False
    error_class: str | None = None
    message: str = ""
    models: int | None = None
    held_models: int | None = None
    last_answered: str | None = None
    missing_watched: tuple[str, ...] = ()
    hold: str | None = None
    removal: Removal | None = None
    group: str | None = None
    recurrence: Recurrence | None = None
    cure: str | None = None
    muted: str | None = None


class ResolvedIncident(Struct, frozen=True):
    """Scopes of a gateway whose failure or hold ended in the window, or that have watched models back.

    Args:
        state: `failed`; `held`; or `pending`: the models are back before their removal was confirmed.
        accepted: the held answer is now the current listing.
        since: when the incident began; `at` when it ended; `seconds` how long it lasted.
        error_class: for a failure, the class of its last error.
        urgent: the failure was not transient, or lasted; it was reported when it became urgent.
        reported: it began before the window, so that a report may have had it.
        models: the watched models that are back.
        size: the size of the listing that was current from then on, and `size_before` that of the one before
            an accepted answer; None where there was none.
        removals: for an accepted answer, the number of pending removals; None where the scopes differ.
        removal: how far they are confirmed; None if unknown, or if they differ.
        hold: for a hold, why, in one word; see `HoldKind`.
        recurrence: how often it came back, where the scopes are unsteady by it.
        steady: they have been well for a day since.
    """

    severity: Severity
    state: str
    gateway: str
    scopes: tuple[str, ...]
    accepted: bool
    since: str
    at: str
    seconds: int
    error_class: str | None = None
    urgent: bool = False
    reported: bool = True
    models: tuple[str, ...] = ()
    size: int | None = None
    size_before: int | None = None
    removals: int | None = None
    removal: Removal | None = None
    hold: str | None = None
    recurrence: Recurrence | None = None
    steady: bool = False


class FirstAnswer(Struct, frozen=True):
    """Scopes of a gateway that answered for the first time, with the same number of models: a baseline.

    With `lists_groups` it is the number of groups of a user.
    """

    gateway: str
    scopes: tuple[str, ...]
    models: int
    lists_groups: bool = False


class Shutdown(Struct, frozen=True):
    """A model with an announced shutdown date (ISO 8601); `days` until then, negative when it has passed."""

    day: str
    days: int
    gateway: str
    model: str
    scopes: tuple[str, ...]


class DayCounts(Struct, frozen=True):
    """The number of changes on one day (ISO 8601 date, UTC), by kind."""

    day: str
    added: int = 0
    removed: int = 0
    returned: int = 0
    changed: int = 0
    shape: int = 0
    group: int = 0

    @property
    def total(self) -> int:
        """The number of changes of all kinds."""
        of_models = self.added + self.removed + self.returned + self.changed
        return of_models + self.shape + self.group


class Summary(Struct, frozen=True):
    """The net, folded content of one report, for the renderings.

    Args:
        since: the start of the run before the window (ISO 8601 UTC); None when it begins with the history.
        run: the last run of the window.
        min_severity: changes below it are counted but not listed.
        changes: listed and unlisted ones, by severity, then gateway, scopes, kind and model.
        incidents: those that are open at the end of the window, new ones first.
        resolved: those that ended in the window and whose beginning was severe enough to be reported.
        first_answers: empty if the filter selects models or owners.
        pending: by scope, the models whose removal is pending at the end of the window.
        coverage: of the scopes asked in the window that the filter selects, those that are held, failing or
            new at its end, or have pending removals.
        scopes: the number of scopes asked in the window that the filter selects, by gateway and state.
        keyless: the scopes without a key, asked or not.
        days: the last four weeks, or all days since the first run, oldest first, without gaps.
        shutdowns: those within the next 90 days, and those that passed lately, by day.
        events: every step, as in CSV and JSON; `recoveries` likewise.
    """

    since: str | None
    run: Run
    min_severity: Severity = Severity.NOTABLE
    changes: tuple[NetChange, ...] = ()
    incidents: tuple[Incident, ...] = ()
    resolved: tuple[ResolvedIncident, ...] = ()
    first_answers: tuple[FirstAnswer, ...] = ()
    pending: tuple[tuple[str, tuple[str, ...]], ...] = ()
    coverage: tuple[Coverage, ...] = ()
    days: tuple[DayCounts, ...] = ()
    shutdowns: tuple[Shutdown, ...] = ()
    events: tuple[Event, ...] = ()
    recoveries: tuple[Recovery, ...] = ()
    scopes: tuple[ScopeCounts, ...] = ()
    keyless: frozenset[str] = frozenset()

    @property
    def report(self) -> Report:
        """The same content step by step."""
        return Report(
            since=self.since,
            run=self.run,
            events=self.events,
            recoveries=self.recoveries,
            coverage=self.coverage,
            first_answers=self.first_answers,
            scopes=self.scopes,
        )

    @property
    def asked(self) -> int:
        """The number of scopes that were asked."""
        return sum(each.asked for each in self.scopes)

    @property
    def answered(self) -> int:
        """The number of scopes that answered; held answers count."""
        return sum(each.ok + each.held for each in self.scopes)

    @property
    def listed(self) -> tuple[NetChange, ...]:
        """The changes that reach `min_severity`."""
        return tuple(change for change in self.changes if change.severity.reaches(self.min_severity))

    @property
    def unlisted(self) -> int:
        """The number of changes that stay below `min_severity`, one a model."""
        return sum(change.size for change in self._below)

    @property
    def unlisted_repeated(self) -> int:
        """The number of those that are repeated changes of values that keep changing."""
        return sum(change.size for change in self._below if change.repeated and not change.muted)

    @property
    def unlisted_muted(self) -> int:
        """The number of those that are changes of muted models."""
        return sum(change.size for change in self._below if change.muted)

    @property
    def unlisted_reverted(self) -> int:
        """The number of the others that were undone within the window."""
        return sum(
            change.size
            for change in self._below
            if change.reverted and not change.repeated and not change.muted
        )

    @property
    def _below(self) -> tuple[NetChange, ...]:
        return tuple(each for each in self.changes if not each.severity.reaches(self.min_severity))

    @property
    def severity(self) -> Severity | None:
        """The highest severity of the news in the report; None without news."""
        found = {change.severity for change in self.listed} | {each.severity for each in self.resolved}
        found |= {incident.severity for incident in self.incidents if incident.new}
        found |= {Severity.NOTABLE} if self.first_answers else set()
        return next((severity for severity in Severity if severity in found), None)


class Attachment(Struct, frozen=True):
    """A file that goes with a mail: its name, such as `changes.csv`, its media type and its bytes."""

    name: str
    media_type: str
    content: bytes


class Message(Struct, frozen=True):
    """A report in all the formats of a mail, addressed and ready to send.

    Args:
        message_id: `<…@…>`, the same at every attempt.
        thread: `<…@…>`, the same for all reports to this destination.
        at: the start of the last run of the window, ISO 8601 UTC.
        subject: one line of printable text.
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
