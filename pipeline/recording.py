"""From what was heard to what is known: judge, diff and record one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.confirming import Missing
from pipeline.dialects import AUTO
from pipeline.recorder import Recorder
from pipeline.steps import Heard, Step, Told, Unchanged, steps
from pipeline.store import Ref, Sighting
from pipeline.types import AccessToken, Cookie, Key, Login, Nobody, Outcome, Scope

__all__ = ["Heard", "Run", "Told", "Unchanged", "key_hint", "record"]


@dataclass(frozen=True, slots=True)
class Run:
    """What a run came to; `snapshot` is its row in the database."""

    snapshot: int
    scopes: int
    answered: int
    moved: int
    held: int
    failed: int


def record(
    heard: Mapping[str, Heard],
    scopes: Sequence[Scope],
    recorder: Recorder,
    *,
    started_at: str,
    finished_at: str,
    everything: bool = False,
    imported: bool = False,
    asked: bool = True,
) -> Run:
    """Judge what was heard and write it; must run inside `store.transaction()`.

    Args:
        heard: what each scope said, by its name.
        scopes: those that were asked.
        recorder: keeps what is known.
        started_at: when the run began, in ISO 8601 UTC.
        finished_at: when it was over.
        everything: these are all the scopes there are: others are retired.
        imported: these are saved answers, and this is no run.
        asked: runs ask these scopes; others are kept as history only.
    """
    ledger = recorder.ledger
    hints = {scope.name: key_hint(scope) for scope in scopes}
    ids = recorder.enroll(scopes, hints, _spoken(heard, scopes), asked=asked)
    if everything:
        ledger.retire_others(ids.values())
    before = dict(recorder.refs)
    rereadings = _reread(heard, scopes, recorder)
    judged = steps(heard, scopes, recorder.refs, recorder.known)
    # What is held changes nothing, not even how the known listing was read.
    held = {step.ref.name for step in judged if step.outcome == Outcome.HELD}
    rereadings = [ref for ref in rereadings if ref.name not in held]
    judged = [replace(step, ref=before[step.ref.name]) if step.ref.name in held else step for step in judged]
    run = _totals(judged)
    snapshot = ledger.snapshot(
        {
            "name": started_at,
            "started_at": started_at,
            "finished_at": finished_at,
            "status": "imported" if imported else _status(run),
            "covered": ledger.coverage(ids.values()),
            **run,
        }
    )
    _write(snapshot, rereadings, judged, recorder)
    return Run(snapshot, **run)


def _spoken(heard: Mapping[str, Heard], scopes: Sequence[Scope]) -> dict[str, str]:
    """Find the dialect that each gateway speaks: what its config says, or what was recognised."""
    spoken: dict[str, str] = {}
    for scope in scopes:
        answer = heard[scope.name].answer
        if scope.gateway.dialect != AUTO:
            spoken.setdefault(scope.gateway.name, scope.gateway.dialect)
        elif isinstance(answer, Told) and not scope.all_groups:
            spoken.setdefault(scope.gateway.name, answer.dialect.name)
    return spoken


def _reread(heard: Mapping[str, Heard], scopes: Sequence[Scope], recorder: Recorder) -> list[Ref]:
    """Bring scopes whose rules of reading have changed under the new rules, before anything is compared."""
    moved = []
    for scope in scopes:
        told = heard[scope.name].answer
        ref = recorder.reread(scope, told) if isinstance(told, Told) else None
        if ref:
            recorder.refs[scope.name] = ref
            moved.append(ref)
    return moved


def key_hint(scope: Scope) -> str | None:
    """Say where a scope's secret is kept, never the secret: its reference, or `command:` alone."""
    match scope.credential:
        case Nobody():
            return None
        case Key(reference) | Cookie(reference) | AccessToken(reference) | Login(_, reference):
            return "command:" if reference.startswith("command:") else reference


def _totals(judged: Sequence[Step]) -> dict[str, int]:
    outcomes = [step.outcome for step in judged]
    failed = sum(step.error is not None for step in judged)
    return {
        "scopes": len(judged),
        "answered": len(judged) - failed,
        "moved": outcomes.count(Outcome.MOVED),
        "held": outcomes.count(Outcome.HELD),
        "failed": failed,
    }


def _status(run: Mapping[str, int]) -> str:
    if not run["failed"]:
        return "done"
    return "partial" if run["answered"] else "failed"


def _write(snapshot: int, rereadings: Sequence[Ref], judged: Sequence[Step], recorder: Recorder) -> None:
    ledger = recorder.ledger
    anew = [Sighting(ref.id, ref.name, Outcome.REREAD, listing=ref.listing) for ref in rereadings]
    seen = [(step, _sighting(step, recorder)) for step in judged]
    pointers = [pointer for step, sighting in seen if (pointer := _pointer(step, sighting))]
    ledger.point([_row(ref) for ref in rereadings] + pointers)
    ledger.sightings(snapshot, anew)
    happened = [sighting for _, sighting in seen if sighting]
    ids = ledger.sightings(snapshot, happened)
    missing = Missing(ledger, snapshot)
    missing.begin(_removals(ids, happened, recorder), {step.ref.id for step in judged if step.agreed})
    complete = [(step, sighting) for step, sighting in seen if step.complete]
    confirmed = [found for step, sighting in complete for found in _confirmed(step, sighting, missing)]
    ledger.sightings(snapshot, confirmed)
    missing.write()
    recorder.touch(step.ref.id for step, sighting in seen if sighting or step.ref.held)
    recorder.touch(each.scope for each in (*anew, *confirmed))


def _removals(ids: Sequence[int], sightings: Sequence[Sighting], recorder: Recorder) -> dict[int, Sighting]:
    """Find the moves that removed models, by the ids of their sightings."""
    moves = recorder.moves
    return {
        number: sighting
        for number, sighting in zip(ids, sightings, strict=True)
        if sighting.transition is not None and moves[sighting.transition].removes
    }


def _sighting(step: Step, recorder: Recorder) -> Sighting | None:
    ref, outcome = step.ref, step.outcome
    since = _since(ref, outcome)
    match outcome:
        case None:
            return None
        case Outcome.FAILED:
            assert step.error
            kind = type(step.error).__name__
            return Sighting(
                ref.id, ref.name, outcome, since=since, error_class=kind, error=step.error.message
            )
        case Outcome.RECOVERED:
            return Sighting(ref.id, ref.name, outcome, listing=ref.listing, since=since)
        case _:
            assert step.told
            listing = recorder.listing_id(step.scope, step.told.listing, step.told.dialect)
            transition = (
                recorder.move(ref, listing, step.told.dialect).id if outcome == Outcome.MOVED else None
            )
            return Sighting(
                ref.id,
                ref.name,
                outcome,
                listing=listing,
                transition=transition,
                since=since,
                error=step.reason,
            )


def _since(ref: Ref, outcome: Outcome | None) -> int | None:
    """Give the snapshot at which the hold or failure began that goes on, or ends, with this outcome."""
    if ref.outcome not in (Outcome.FAILED, Outcome.HELD):
        return None
    new_trouble = outcome in (Outcome.FAILED, Outcome.HELD) and outcome != ref.outcome
    return None if new_trouble else ref.began


def _pointer(step: Step, sighting: Sighting | None) -> dict[str, object] | None:
    """Say where a scope's ref goes; None when it stays as it is."""
    ref, told = step.ref, step.told
    row = {**_row(ref), "held": None}
    match step.outcome:
        case Outcome.BASELINE | Outcome.MOVED:
            assert told
            assert sighting
            tags: dict[str, object] = {
                "etag": told.validators.etag,
                "last_modified": told.validators.last_modified,
            }
            return {**row, **tags, "listing": sighting.listing, "fingerprint": told.fingerprint}
        case Outcome.HELD:
            assert sighting
            return {**row, "held": sighting.listing}
        case _ if step.complete and ref.held is not None:
            return row
        case _:
            return None


def _row(ref: Ref) -> dict[str, object]:
    return {
        "id": ref.id,
        "listing": ref.listing,
        "held": ref.held,
        "fingerprint": ref.fingerprint,
        "etag": ref.etag,
        "last_modified": ref.last_modified,
    }


def _confirmed(step: Step, sighting: Sighting | None, missing: Missing) -> list[Sighting]:
    """Count one more complete answer for a scope's removals; gives those that are effective now."""
    ref = step.ref
    listing = sighting.listing if sighting else ref.listing
    assert listing is not None
    return [
        Sighting(
            ref.id,
            ref.name,
            Outcome.CONFIRMED,
            listing=listing,
            transition=row.transition,
            since=row.since,
            patience=row.patience,
        )
        for row in missing.effective(ref.id, listing, step.scope.thresholds.confirm)
    ]
