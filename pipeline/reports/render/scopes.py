"""How the scopes stand, in words: who does not answer, who does again, what ends, what it is based on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.reports.render.catalogue import Piece, Text, Words, foreign
from pipeline.reports.render.changes import whom
from pipeline.reports.render.types import Item, Raw
from pipeline.reports.types import Ended, Ending, Summary, Trouble

_NAMED = 3


_LACKED = 12


_SAID = 200


CLASSES = ("Unreachable", "Throttled", "Refused", "Unresolved", "Unreadable")


def troubles(words: Words, brief: Summary) -> Iterator[Raw]:
    """Say who does not answer or is held, since when and what to do; what was told before in short."""
    new = [_trouble(words, brief, each) for each in brief.troubles if each.new]
    if new:
        yield Raw(words.say("troubles.new"), items=new)
    known = [_trouble(words, brief, each) for each in brief.troubles if not each.new]
    if known:
        yield Raw(words.say("troubles.known"), items=known)


def cause(trouble: Trouble) -> str:
    """Give the name of a trouble in the catalogues."""
    if trouble.state == "held":
        return "held"
    return trouble.error_class if trouble.error_class in CLASSES else "Unreachable"


def _trouble(words: Words, brief: Summary, trouble: Trouble) -> Item:
    who = whom(words, brief, trouble.scopes, trouble.gateway, ())
    kind = cause(trouble)
    head = words.say(f"trouble.{kind}", whom=who, when=words.minute(trouble.since))
    said = tuple(_particulars(words, trouble, kind)) if trouble.new else ()
    return Item(head, tuple(_advice(words, trouble, kind)), said)


def _particulars(words: Words, trouble: Trouble, kind: str) -> Iterator[Text]:
    if kind == "held" and trouble.models is not None and trouble.held_models is not None:
        yield words.say("held.sizes", n=trouble.held_models, known=trouble.models)
    elif trouble.message:
        yield words.say("said", what=foreign(trouble.message, "said", longest=_SAID))
    if trouble.watched:
        named = words.listed(foreign(model) for model in trouble.watched[:_LACKED])
        left = len(trouble.watched) - _LACKED
        yield words.say(
            "held.watched", models=words.say("whom.and_more", what=named, n=left) if left > 0 else named
        )
    if kind != "held":
        last = trouble.last_answered
        yield words.say("last_answered", when=words.minute(last)) if last else words.say("never_answered")


def _advice(words: Words, trouble: Trouble, kind: str) -> Iterator[Text]:
    if kind == "held":
        yield words.say("advice.held", command=Piece(_accept(trouble), "command"))
    elif trouble.new or kind in ("Refused", "Unresolved"):
        yield words.say(f"advice.{kind}")


def _accept(trouble: Trouble) -> str:
    """Give the command that believes what is held; the names of scopes are the config's own."""
    many = len(trouble.scopes) > _NAMED
    scopes = (f"'{trouble.gateway}/*'",) if many else trouble.scopes
    return foreign(f"modelwatch accept {' '.join(scopes)}", longest=_SAID).text


def ended(words: Words, brief: Summary) -> Iterator[Raw]:
    """Say which trouble is over."""
    if brief.ended:
        yield Raw((), items=[_ended(words, brief, each) for each in brief.ended])


def _ended(words: Words, brief: Summary, end: Ended) -> Item:
    who = whom(words, brief, end.scopes, end.gateway, ())
    if end.was == "failed":
        for_so_long = words.duration(end.seconds)
        return Item(words.say("ended.failed", n=len(end.scopes), whom=who, duration=for_so_long))
    key = "ended.believed" if end.believed else "ended.dropped"
    return Item(words.say(key, whom=who, when=words.minute(end.since)))


def started(words: Words, brief: Summary) -> Iterator[Raw]:
    """Say who answered for the first time."""
    items = [
        Item(words.say("started", n=each.models, whom=whom(words, brief, each.scopes, each.gateway, ())))
        for each in brief.started
    ]
    if items:
        yield Raw((), items=items)


def endings(words: Words, brief: Summary) -> Iterator[Raw]:
    """Say which models are announced to end, by day."""
    items = [
        Item(
            words.say(
                "ending",
                day=Piece(words.day(each.day), "strong"),
                when=_when(words, each),
                model=foreign(each.model),
                whom=whom(words, brief, each.scopes, each.gateway, ()),
            )
        )
        for each in brief.endings
    ]
    if items:
        yield Raw((), items=items)


def _when(words: Words, ending: Ending) -> Text:
    if ending.days == 0:
        return words.say("when.today")
    key = "when.in" if ending.days > 0 else "when.ago"
    return words.say(key, n=abs(ending.days))


def coverage(words: Words, brief: Summary) -> Iterator[Raw]:
    """Say what the report is based on: who answered, who did not and since when, what is still to confirm."""
    run = words.minute(brief.run.started_at)
    items = [Item(words.say("coverage", n=len(brief.coverage), answered=brief.answered, when=run))]
    silent = [scope for scope in brief.coverage if scope.state == "failed"]
    held = [scope for scope in brief.coverage if scope.state == "held"]
    for scopes, key in ((silent, "coverage.silent"), (held, "coverage.held")):
        by_since: dict[tuple[str, str], list[str]] = {}
        for scope in scopes:
            by_since.setdefault((scope.state_since or "", scope.gateway), []).append(scope.scope)
        for (since, gateway), names in by_since.items():
            who = whom(words, brief, names, gateway, ())
            when = words.minute(since) if since else words.plain("unknown")
            items.append(Item(words.say(key, whom=who, when=when)))
    items += missing(words, brief.missing)
    yield Raw((), items=items)


def missing(words: Words, found: Sequence[tuple[str, int]]) -> list[Item]:
    """Say how many models are missing that the next answers are to confirm."""
    if not found:
        return []
    by_number: dict[int, list[Piece]] = {}
    for scope, number in found:
        by_number.setdefault(number, []).append(foreign(scope, "name"))
    items = []
    for number, scopes in by_number.items():
        who = words.listed(scopes[:_NAMED])
        if len(scopes) > _NAMED:
            who = words.say("whom.and_more", what=who, n=len(scopes) - _NAMED)
        items.append(Item(words.say("missing", n=number, whom=who)))
    return items
