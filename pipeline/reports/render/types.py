"""The page: the content of a report in words and in order, independent of the format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core.types import Severity
from pipeline.reports.render.locales import Locale, Text


class Count(Struct, frozen=True):
    """A number, its noun, and both as text; `tone` is worse, better or empty."""

    number: str
    name: str
    text: str
    tone: str = ""


class Item(Struct, frozen=True):
    """One entry of a list, its details, and notes about it."""

    head: Text
    details: tuple[Text, ...] = ()
    notes: tuple[Text, ...] = ()


class Block(Struct, frozen=True):
    """Entries under one title: those without details in one row, then the others.

    Args:
        more: a remark on the entries that were left out; empty if none were.
    """

    title: Text
    row: Text = ()
    items: tuple[Item, ...] = ()
    more: Text = ()


class Section(Struct, frozen=True):
    """Blocks under one heading; `tone` is a severity or `calm`."""

    name: str
    title: str
    tone: str
    blocks: tuple[Block, ...] = ()
    more: Text = ()


class Bar(Struct, frozen=True):
    """A day of the chart: its height in percent of the highest day, and its removals in percent of it."""

    day: str
    total: int
    height: int
    removed: int


class Chart(Struct, frozen=True):
    """The numbers of changes on the last days; `legend` explains the red part of the bars."""

    bars: tuple[Bar, ...]
    caption: Text
    legend: Text


class Page(Struct, frozen=True):
    """A whole report in one language.

    Args:
        tone: the severity of the news; without news `breaking` while scopes are failing or held, else `calm`.
        badge: the tone in a word or two.
        window: the time that the report covers.
        lead: remarks below the headline: scopes that failed, changes that are not listed.
        footer: the destination and the program.
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
    chart: Chart | None
    footer: tuple[Text, ...]


class BlockContent(Struct, frozen=True):
    """The whole content of a block, before it is cut."""

    title: Text
    row: Sequence[Text] = ()
    items: Sequence[Item] = ()


class LazyBlock(Struct, frozen=True):
    """A block of `size` entries whose content is made only if there is room for it."""

    size: int
    content: Callable[[], BlockContent]


def as_lazy(contents: Iterable[BlockContent]) -> list[LazyBlock]:
    """Return finished blocks as lazy ones."""
    return [LazyBlock(len(each.row) + len(each.items), partial(replace, each)) for each in contents]


class SectionDraft(Struct, frozen=True):
    """A section before it is cut."""

    name: str
    blocks: Sequence[LazyBlock]
    tone: str = "calm"

    def cut(self, locale: Locale, max_lines: int) -> Section:
        """Return the section with a limited number of lines; it gives the number of entries left out."""
        room, blocks = max_lines, []
        for lazy in self.blocks:
            if room <= 0:
                break
            blocks.append(self._block(locale, lazy.content(), max_row=max_lines, room=room))
            room -= 1 + len(blocks[-1].items)
        left_out = sum(lazy.size for lazy in self.blocks[len(blocks) :])
        more = self._more(locale, left_out)
        return Section(self.name, locale.plain(f"section.{self.name}"), self.tone, tuple(blocks), more)

    def _block(self, locale: Locale, content: BlockContent, *, max_row: int, room: int) -> Block:
        row, items = content.row[:max_row], tuple(content.items[:room])
        left_out = len(content.row) - len(row) + len(content.items) - len(items)
        return Block(content.title, locale.join(row), items, self._more(locale, left_out))

    def _more(self, locale: Locale, left_out: int) -> Text:
        if not left_out:
            return ()
        # Only the entries of these sections are changes, which `locale.rest` has.
        if self.name in list(Severity):
            return locale.text("more", n=left_out, rest=locale.rest)
        return locale.text("more.plain", n=left_out)


def tone_of(severity: Severity | None) -> str:
    """Return the tone in which a severity is shown."""
    return "calm" if severity in (None, Severity.QUIET) else str(severity)
