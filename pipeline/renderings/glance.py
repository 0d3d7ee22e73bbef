"""What is seen at one glance: subject, headline, counts and the picture of the last weeks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pipeline.renderings.happenings import TONES, What, counted, models, what
from pipeline.renderings.page import Bar, Count, Picture
from pipeline.renderings.standing import cause
from pipeline.renderings.words import Text, Words, foreign, plain
from pipeline.reports.brief import Brief, Line, Severity, Trouble

PREFIX = "[modelwatch] "

LONGEST = 89
"""Characters of a subject."""

_IN_SUBJECT = 3
_MODEL = 32
_GATEWAY = 20


def totals(brief: Brief) -> Counter[What]:
    """Count the models to which something loud happened, by what it was."""
    counts: Counter[What] = Counter()
    for line in brief.lines:
        if line.severity != Severity.QUIET:
            counts[what(line)] += len(line.models)
    return counts


def counts(words: Words, brief: Brief) -> tuple[Count, ...]:
    """Count what happened, what is in trouble and what ends."""
    found = totals(brief)
    told = [(found[each], str(each), TONES[each]) for each in TONES]
    told.append((sum(found[each] for each in What if each not in TONES), "otherwise", ""))
    told.append((sum(len(trouble.scopes) for trouble in brief.troubles), "trouble", "worse"))
    told.append((len(brief.endings), "endings", ""))
    return tuple(
        Count(words.number(number), words.plain(f"count.{name}"), tone) for number, name, tone in told if number
    )


def in_words(words: Words, brief: Brief) -> list[str]:
    """Say how much of what there is: `3 removed`, `5 dearer`, `2 scopes held`."""
    found = totals(brief)
    told = [words.plain(f"total.{each}", n=found[each]) for each in What if found[each]]
    told += _troubles(words, [trouble for trouble in brief.troubles if trouble.new])
    return told


def _troubles(words: Words, troubles: list[Trouble]) -> Iterator[str]:
    numbers: Counter[str] = Counter()
    for trouble in troubles:
        numbers[cause(trouble)] += len(trouble.scopes)
    return (words.plain(f"total.{kind}", n=number) for kind, number in numbers.items())


def subject(words: Words, brief: Brief) -> str:
    """Give the subject: one line, harmless, fewer than ninety characters."""
    text = PREFIX + _subject(words, brief)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _subject(words: Words, brief: Brief) -> str:
    if brief.severity == Severity.URGENT and (first := _first(words, brief)):
        rest = _others(brief)
        key = "subject.urgent_and_more" if rest else "subject.urgent"
        return words.plain(key, what=first, n=rest)
    told = in_words(words, brief)[:_IN_SUBJECT]
    if told:
        listed = plain(words.listed(words.say("as_is", what=each) for each in told))
        return words.plain("subject.at", what=listed, where=_where(words, brief))
    return plain(_nothing(words, brief))


def _where(words: Words, brief: Brief) -> str:
    told = [line for line in brief.lines if line.severity != Severity.QUIET]
    gateways = {each.gateway for each in (*told, *(trouble for trouble in brief.troubles if trouble.new))}
    if len(gateways) == 1:
        return foreign(gateways.pop(), longest=_GATEWAY).text
    return words.plain("count.gateways", n=len(gateways))


def _first(words: Words, brief: Brief) -> str:
    """Say what is the most urgent in a few words."""
    line = next((line for line in brief.lines if line.severity == Severity.URGENT), None)
    if line:
        return words.plain(
            f"urgent.{what(line)}",
            what=_short(words, line),
            gateway=foreign(line.gateway, longest=_GATEWAY),
            whom=counted(words, brief, line.scopes),
        )
    trouble = next((each for each in brief.troubles if each.new and each.severity == Severity.URGENT), None)
    if trouble is None:
        return ""
    return words.plain(
        f"urgent.{cause(trouble)}",
        gateway=foreign(trouble.gateway, longest=_GATEWAY),
        whom=counted(words, brief, trouble.scopes),
    )


def _short(words: Words, line: Line) -> str:
    if len(line.models) == 1:
        return foreign(line.models[0], longest=_MODEL).text
    if line.mark:
        return plain(models(words, line))
    return words.plain("count.models", n=len(line.models))


def _others(brief: Brief) -> int:
    """Count what else is new, beside the most urgent."""
    loud = sum(len(line.models) for line in brief.lines if line.severity != Severity.QUIET)
    new = sum(trouble.new for trouble in brief.troubles)
    first = next((line for line in brief.lines if line.severity == Severity.URGENT), None)
    return loud + new - (len(first.models) if first else 1)


def _nothing(words: Words, brief: Brief) -> Text:
    """Say that there is no change, of what was seen."""
    answered, asked = brief.answered, len(brief.coverage)
    if not answered:
        return words.say("nothing.known", n=asked)
    if brief.ended:
        number = sum(len(end.scopes) for end in brief.ended)
        return words.say("nothing.but_ended", n=number)
    if brief.started:
        return words.say("nothing.but_started", n=sum(len(each.scopes) for each in brief.started))
    key = "nothing.all" if answered == asked else "nothing.some"
    return words.say(key, n=asked, answered=answered)


def headline(words: Words, brief: Brief) -> Text:
    """Say in a sentence what there is to know."""
    if brief.severity == Severity.URGENT and (first := _first(words, brief)):
        rest = _others(brief)
        return words.say("headline.urgent_and_more" if rest else "headline.urgent", what=first, n=rest)
    told = in_words(words, brief)
    if told:
        listed = words.listed(words.say("as_is", what=each) for each in told)
        return words.say("headline.at", what=listed, where=_where(words, brief))
    return words.say("headline.nothing", what=_nothing(words, brief))


def picture(words: Words, brief: Brief) -> Picture | None:
    """Draw the changes of the last days; none where there were none."""
    highest = max(brief.days, key=lambda day: day.total, default=None)
    if highest is None or not highest.total:
        return None
    bars = tuple(
        Bar(
            words.day(day.day),
            day.total,
            max(6, round(100 * day.total / highest.total)) if day.total else 0,
            round(100 * day.removed / day.total) if day.total else 0,
        )
        for day in brief.days
    )
    caption = words.say(
        "picture",
        first=words.day(brief.days[0].day),
        last=words.day(brief.days[-1].day),
        n=highest.total,
        day=words.day(highest.day),
        total=sum(day.total for day in brief.days),
    )
    return Picture(bars, caption)
