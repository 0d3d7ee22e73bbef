"""What is on the page, in words and in order, whatever form it is then given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.renderings.words import Piece, Text, Words
from pipeline.reports.brief import Severity


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are of something; `tone` is worse, better or nothing."""

    number: str
    name: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing, and what there is to say of it; `urgent` when it concerns what somebody depends on."""

    head: Text
    details: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """What happened in one way to the same scopes: in short those of which that is all, then the others."""

    title: Text
    short: tuple[Text, ...] = ()
    items: tuple[Item, ...] = ()
    more: Text = ()


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks under one heading; `tone` is a severity, or `calm`."""

    name: str
    title: str
    tone: str
    blocks: tuple[Block, ...] = ()
    more: Text = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """A day of the picture: its height in percent of the highest, and that of its removals within it."""

    day: str
    total: int
    height: int
    removed: int


@dataclass(frozen=True, slots=True)
class Picture:
    """The counts of changes of the last days; `caption` says in words what is seen."""

    bars: tuple[Bar, ...]
    caption: Text


@dataclass(frozen=True, slots=True)
class Page:
    """All that a report says, in one language.

    Args:
        tone: the severity, or `calm` where there is no news.
        badge: how much it matters, in a word or two.
        window: which time it is about.
        lead: what else to know at once: what is quiet, who did not answer.
        footer: from whom it is, and why one gets it.
    """

    language: str
    subject: str
    tone: str
    badge: str
    headline: Text
    window: Text
    lead: tuple[Text, ...]
    counts: tuple[Count, ...]
    sections: tuple[Section, ...]
    picture: Picture | None
    footer: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Raw:
    """What is to stand in a block, before it is known how much room there is."""

    title: Text
    short: Sequence[Text] = ()
    items: Sequence[Item] = ()


def section(
    words: Words, name: str, raws: Iterable[Raw], *, most: int, tone: str = "calm"
) -> tuple[Section, ...]:
    """Make a section of at most so many lines, saying how much was cut; none where there is nothing."""
    waiting = list(raws)
    if not waiting:
        return ()
    blocks: list[Block] = []
    room = most
    while waiting and room > 0:
        block = _block(words, waiting.pop(0), most=most, room=room)
        room -= 1 + len(block.items)
        blocks.append(block)
    left = sum(len(raw.short) + len(raw.items) for raw in waiting)
    more = words.say("more", n=left) if left else ()
    return (Section(name, words.plain(f"section.{name}"), tone, tuple(blocks), more),)


def _block(words: Words, raw: Raw, *, most: int, room: int) -> Block:
    short, items = tuple(raw.short[:most]), tuple(raw.items[:room])
    left = len(raw.short) - len(short) + len(raw.items) - len(items)
    return Block(raw.title, short, items, words.say("more", n=left) if left else ())


def strong(words: Words, key: str, **values: Text | Piece | str | int) -> Text:
    """Fill a message, and give its own words weight."""
    return tuple(
        Piece(piece.text, "strong") if not piece.mark else piece for piece in words.say(key, **values)
    )


def tone_of(severity: Severity | None) -> str:
    """Give the name of the colour in which a severity is shown."""
    return "calm" if severity in (None, Severity.QUIET) else str(severity)
