"""What is seen at one glance: subject, headline, counts and the picture of the last weeks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pipeline.core.types import Severity
from pipeline.reports.render.catalogue import Piece, Text, Words, foreign, plain
from pipeline.reports.render.changes import TONES, What, counted, crowd, what
from pipeline.reports.render.scopes import cause
from pipeline.reports.render.types import Bar, Count, Picture
from pipeline.reports.types import Line, Summary, Trouble

PREFIX = "[modelwatch] "


LONGEST = 89
"""Characters of a subject."""


_IN_SUBJECT = 3


_MODELS = (32, 20, 12)


_GATEWAY = 20


_DAYS = 3


def totals(brief: Summary) -> Counter[What]:
    """Count the models of which something is told, by what it was."""
    counts: Counter[What] = Counter()
    for line in brief.told:
        counts[what(line)] += len(line.models)
    return counts


def counts(words: Words, brief: Summary) -> tuple[Count, ...]:
    """Count what is over, what happened, what is in trouble and what ends, in the words of the subject."""
    found = totals(brief)
    told = [(_ended(brief), "ended", "better")]
    told += [(found[each], str(each), TONES.get(each, "")) for each in What]
    told.append((sum(len(trouble.scopes) for trouble in brief.troubles), "trouble", "worse"))
    told.append((len(brief.endings), "endings", ""))
    return tuple(_count(words, *each) for each in told if each[0])


def _count(words: Words, number: int, key: str, tone: str) -> Count:
    name = words.plain(f"count.{key}", n=number)
    return Count(words.number(number), name, words.plain("count", n=number, name=name), tone)


def in_words(words: Words, brief: Summary) -> list[str]:
    """Say how much of what there is: `1 scope well again`, `3 removed`, `5 dearer`, `2 scopes held`."""
    found = totals(brief)
    told = [words.plain("total.ended", n=_ended(brief))] if brief.ended else []
    told += [words.plain(f"total.{each}", n=found[each]) for each in What if found[each]]
    told += _troubles(words, [trouble for trouble in brief.troubles if trouble.new])
    return told


def _ended(brief: Summary) -> int:
    return len({scope for end in brief.ended for scope in end.scopes})


def _troubles(words: Words, troubles: list[Trouble]) -> Iterator[str]:
    numbers: Counter[str] = Counter()
    for trouble in troubles:
        numbers[cause(trouble)] += len(trouble.scopes)
    return (words.plain(f"total.{kind}", n=number) for kind, number in numbers.items())


def subject(words: Words, brief: Summary) -> str:
    """Give the subject: one line, harmless, fewer than ninety characters."""
    text = ""
    for longest in _MODELS:
        text = PREFIX + _subject(words, brief, longest)
        if len(text) <= LONGEST:
            return text
    return text[: LONGEST - 1] + "…"


def _subject(words: Words, brief: Summary, longest: int) -> str:
    if first := _first(words, brief, longest):
        rest = _others(brief)
        return words.plain("subject.urgent_and_more" if rest else "subject.urgent", what=first, n=rest)
    told = in_words(words, brief)[:_IN_SUBJECT]
    if told:
        return words.plain("subject.at", what=_listed(words, told), where=_where(words, brief))
    return plain(_nothing(words, brief))


def _listed(words: Words, told: list[str]) -> Text:
    return words.listed(Piece(each) for each in told)


def _where(words: Words, brief: Summary) -> Text:
    gateways = {line.gateway for line in brief.told}
    gateways |= {trouble.gateway for trouble in brief.troubles if trouble.new}
    gateways |= {end.gateway for end in brief.ended}
    if len(gateways) == 1:
        return (foreign(gateways.pop(), "name", longest=_GATEWAY),)
    return words.say("count.gateways", n=len(gateways))


def _first(words: Words, brief: Summary, longest: int) -> Text:
    """Say what is the most urgent in a few words; nothing where nothing is."""
    line = _urgent(brief)
    if line:
        return words.say(
            f"urgent.{what(line)}",
            what=_short(words, line, longest),
            gateway=foreign(line.gateway, "name", longest=_GATEWAY),
            whom=counted(words, brief, line.scopes),
        )
    trouble = next((each for each in brief.troubles if each.new and each.severity == Severity.URGENT), None)
    if trouble is None:
        return ()
    return words.say(
        f"urgent.{cause(trouble)}",
        gateway=foreign(trouble.gateway, "name", longest=_GATEWAY),
        whom=counted(words, brief, trouble.scopes),
    )


def _urgent(brief: Summary) -> Line | None:
    return next((line for line in brief.told if line.severity == Severity.URGENT), None)


def _short(words: Words, line: Line, longest: int) -> Text:
    if len(line.models) == 1:
        return (foreign(line.models[0], longest=longest),)
    return crowd(words, line)


def _others(brief: Summary) -> int:
    """Count what else is new, beside the most urgent."""
    told = sum(len(line.models) for line in brief.told)
    new = sum(trouble.new for trouble in brief.troubles)
    first = _urgent(brief)
    return told + new - (len(first.models) if first else 1)


def _nothing(words: Words, brief: Summary) -> Text:
    """Say that there is no change, of what was seen."""
    answered, asked = brief.answered, len(brief.coverage)
    if not asked:
        return words.say("nothing.asked")
    if not answered:
        return words.say("nothing.known", n=asked)
    if brief.started:
        return words.say("nothing.but_started", n=sum(len(each.scopes) for each in brief.started))
    if brief.untold:
        return words.say("nothing.but_untold", n=brief.untold, answered=answered, asked=asked)
    key = "nothing.all" if answered == asked else "nothing.some"
    return words.say(key, n=asked, answered=answered)


def headline(words: Words, brief: Summary) -> Text:
    """Say in a sentence what there is to know."""
    if first := _first(words, brief, _MODELS[0]):
        rest = _others(brief)
        key = "headline.urgent_and_more" if rest else "headline.urgent"
        return _begun(words.say(key, what=first, n=rest))
    told = in_words(words, brief)
    if told:
        return words.say("headline.at", what=_listed(words, told), where=_where(words, brief))
    return _begun(words.say("headline.nothing", what=_nothing(words, brief)))


def _begun(text: Text) -> Text:
    """Begin a sentence, where it begins with a word of ours."""
    first, *rest = text
    return text if first.mark else (Piece(first.text[:1].upper() + first.text[1:]), *rest)


def picture(words: Words, brief: Summary) -> Picture | None:
    """Draw the changes of the last days; nothing where there were none, or before there are some days."""
    highest = max(brief.days, key=lambda day: day.total, default=None)
    if highest is None or not highest.total or len(brief.days) < _DAYS:
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
    return Picture(bars, caption, words.say("picture.legend"))
