"""What is on the page, in words and in order, whatever form it is then given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pipeline.core.types import Severity
from pipeline.reports.render.catalogue import Text, Words


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are of something, and both in words; `tone` is worse, better or nothing."""

    number: str
    name: str
    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing, what became of it, and what else there is to say of it."""

    head: Text
    details: tuple[Text, ...] = ()
    notes: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """What happened in one way to the same scopes: in a row those of which that is all, then the others."""

    title: Text
    row: Text = ()
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
    """The counts of changes of the last days; `caption` says in words what is seen, `legend` what is red."""

    bars: tuple[Bar, ...]
    caption: Text
    legend: Text


@dataclass(frozen=True, slots=True)
class Page:
    """All that a report says, in one language.

    Args:
        tone: the severity, or `calm` where there is no news and nobody is in trouble.
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
    row: Sequence[Text] = ()
    items: Sequence[Item] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """A block of so many things, put into words when it is known that there is room for it."""

    size: int
    word: Callable[[], Raw]


def ready(raws: Iterable[Raw]) -> list[Waiting]:
    """Let blocks wait that are in words already."""
    return [Waiting(len(raw.row) + len(raw.items), partial(replace, raw)) for raw in raws]


@dataclass(frozen=True, slots=True)
class Draft:
    """A section before it is known how much room there is."""

    name: str
    blocks: Sequence[Waiting]
    tone: str = "calm"

    def cut(self, words: Words, most: int) -> Section:
        """Make the section, of at most so many lines; it says how much was cut."""
        room, blocks = most, []
        for waiting in self.blocks:
            if room <= 0:
                break
            blocks.append(self._block(words, waiting.word(), most=most, room=room))
            room -= 1 + len(blocks[-1].items)
        left = sum(waiting.size for waiting in self.blocks[len(blocks) :])
        more = self._more(words, left)
        return Section(self.name, words.plain(f"section.{self.name}"), self.tone, tuple(blocks), more)

    def _block(self, words: Words, raw: Raw, *, most: int, room: int) -> Block:
        row, items = raw.row[:most], tuple(raw.items[:room])
        left = len(raw.row) - len(row) + len(raw.items) - len(items)
        return Block(raw.title, words.listed(row), items, self._more(words, left))

    def _more(self, words: Words, left: int) -> Text:
        if not left:
            return ()
        # Only what happened to models is in the file of changes.
        changes = self.name in list(Severity)
        return words.say("more", n=left, rest=words.rest) if changes else words.say("more.plain", n=left)


def tone_of(severity: Severity | None) -> str:
    """Give the name of the colour in which a severity is shown."""
    return "calm" if severity in (None, Severity.QUIET) else str(severity)
