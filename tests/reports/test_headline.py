"""The subject of a mail: what leads it, how it names a hold, and where it is cut."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from support.renderings import message_of
from support.summaries import AT, CALM, FULL, INCIDENTS, NOTABLE, URGENT

from pipeline.core.types import FieldChange, Kind, Severity
from pipeline.reports.types import Incident, NetChange

HELD = replace(
    INCIDENTS[1], severity=Severity.URGENT, scopes=("acme/prod",), gateway="acme", missing_watched=("lyra",)
)


def urgent(*fields: FieldChange, model: str = "lyra", kind: Kind = Kind.CHANGED) -> NetChange:
    """Return a change of a watched model."""
    return NetChange(Severity.URGENT, kind, "acme", (model,), ("acme/prod",), fields=fields, at=AT)


def subject(*news: NetChange | Incident) -> str:
    """Return the subject of a mail with this news, without the name of the program."""
    changes = tuple(each for each in news if isinstance(each, NetChange))
    incidents = tuple(each for each in news if isinstance(each, Incident))
    text = message_of(replace(CALM, changes=changes, incidents=incidents)).subject
    return text.removeprefix("[modelwatch] ")


@pytest.mark.parametrize(
    ("held", "text"),
    [
        (HELD, "answer held, 20 instead of 300 models, lyra missing (acme/prod)"),
        (replace(HELD, held_models=None), "answer held, many models missing, lyra missing (acme/prod)"),
        (
            replace(HELD, hold="empty", held_models=0),
            "answer held, the list is empty, lyra missing (acme/prod)",
        ),
        (replace(HELD, hold="anonymous", missing_watched=()), "key gets the anonymous list (acme/prod)"),
        (
            replace(HELD, hold="anonymous", scopes=("acme/a", "acme/b")),
            "keys get the anonymous list (acme, 2 keys)",
        ),
        (
            replace(HELD, hold="incomplete"),
            "answer held, the list may have more pages, lyra missing (acme/prod)",
        ),
        (replace(HELD, hold="alternating"), "answer held, two lists come in turn, lyra missing (acme/prod)"),
    ],
)
def test_the_subject_of_a_hold_says_why(held: Incident, text: str) -> None:
    assert subject(held) == f"urgent: {text}"
    assert subject(replace(held, severity=Severity.BREAKING)) == text


END = FieldChange("shutdown_date", None, "2026-12-20", "lifecycle")
WITHDRAWN = FieldChange("shutdown_date", "2026-12-20", None, "lifecycle")


def test_the_worst_urgent_news_leads_the_subject() -> None:
    removed, ends = urgent(kind=Kind.REMOVED, model="vega"), urgent(END)
    better = urgent(WITHDRAWN, model="orion")
    found = subject(better, ends, HELD, removed)
    assert found.startswith("urgent: vega removed (acme/prod), +")
    assert subject(better, ends, HELD).startswith("urgent: lyra: shutdown on 20 Dec 2026 (acme/prod), +")
    assert subject(better, HELD).startswith("urgent: answer held, 20 instead of 300 models, lyra missing")
    assert subject(better) == "urgent: orion: shutdown date withdrawn (acme/prod)"


def test_a_long_subject_is_cut_between_phrases() -> None:
    long = replace(URGENT[0], models=(f"vendor/{'x' * 40}",), gateway="g" * 20)
    found = message_of(replace(FULL, changes=(long, *FULL.changes))).subject
    assert found.endswith(" more")
    assert len(found) <= 89
    named = message_of(replace(CALM, changes=(replace(NOTABLE[0], models=("m" * 90,)),))).subject
    assert named.endswith(")")


def test_a_value_that_keeps_changing_is_named() -> None:
    flapping = replace(
        urgent(FieldChange("context_length", "1", "1", "limits")), reverted=True, severity=Severity.NOTABLE
    )
    assert subject(flapping) == "lyra: context keeps changing, now 1 (acme/prod)"
    gone = replace(flapping, kind=Kind.REMOVED, fields=())
    assert subject(replace(gone, steps=3)) == "lyra keeps coming and going (acme/prod)"
    assert subject(replace(gone, steps=2)) == "lyra removed (acme/prod)"
    assert subject(replace(gone, kind=Kind.RETURNED, steps=2)) == "lyra returned (acme/prod)"


def test_the_subject_names_the_models_of_a_group_that_is_gone_or_back() -> None:
    gone = replace(
        urgent(FieldChange("group", '"svip"', None, "other"), kind=Kind.GROUP),
        groups=("svip",),
        listed=2,
        watched_models=("tern-405b",),
    )
    assert subject(gone) == "urgent: group svip is gone (2 models), with the watched tern-405b"
    back = replace(
        gone,
        fields=(FieldChange("group", None, '"svip"', "other"),),
        severity=Severity.NOTABLE,
        away_seconds=7200,
    )
    expected = "group svip is back after 2 h (2 models), with the watched tern-405b"
    assert subject(back).removesuffix(" (acme/prod)") == expected


def test_a_watched_model_is_named_before_what_else_the_subject_counts() -> None:
    cut = FieldChange("context_length", "8192", None, "limits")
    others = replace(urgent(cut, model="vega"), severity=Severity.BREAKING)
    watched = replace(others, models=("lyra",), watched=True)
    assert subject(others, watched) == "lyra: lower limits (acme/prod), +1 model with lower limits"
