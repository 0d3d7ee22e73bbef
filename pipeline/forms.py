"""Reports in the forms in which they become files: one each, or one of many."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from pipeline import outbox
from pipeline.briefing import Briefs
from pipeline.destinations import Destination, Letter, MailDirectory, Sendmail, Smtp
from pipeline.errors import ConfigError
from pipeline.outbox import Delivery
from pipeline.reports.brief import Brief
from pipeline.store import Store

if TYPE_CHECKING:  # heavy, and a quiet run needs none of it
    from pipeline.renderings import Entry

_ENTRIES = 20
"""So many of the last reports are in a feed."""


def templates(destination: Destination, problems: list[str]) -> dict[str, str]:
    """Read the templates that a destination has of its own, by file name."""
    found: dict[str, str] = {}
    if destination.templates is None:
        return found
    try:
        paths = sorted(path for path in destination.templates.iterdir() if path.suffix == ".j2")
    except OSError as error:
        problems.append(
            f"{destination.name}: {destination.templates}: cannot be read: {error.strerror};"
            " the built-in forms were used"
        )
        return found
    for path in paths:
        try:
            found[path.name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8"
            problems.append(_problem(destination, f"{path.name}: cannot be read: {why}"))
    return found


def _problem(destination: Destination, problem: str) -> str:
    """Say whose template has a mistake, and what was done about it; `problem` begins with its file name."""
    return f"{destination.name}: {destination.templates}/{problem}; the built-in form was used"


def render(told: Brief, form: str, destination: Destination, problems: list[str]) -> str:
    """Write a report as csv, json, html, md or txt; what is wrong with templates goes to `problems`."""
    from pipeline import renderings

    own = templates(destination, problems)
    try:
        return renderings.render(told, form, language=destination.language, templates=own)
    except ConfigError as error:
        problems.append(_problem(destination, error.message))
        return renderings.render(told, form, language=destination.language)


def letter(
    store: Store,
    briefs: Briefs,
    destination: Destination,
    delivery: Delivery,
    problems: list[str],
) -> Letter:
    """Write the letter of a delivery; what is wrong with the user's templates goes to `problems`."""
    from pipeline import renderings

    assert delivery.message_id
    written = renderings.letter(
        briefs.brief(delivery.window, destination.filter),
        destination=destination.name,
        message_id=delivery.message_id,
        thread=outbox.thread(store, destination),
        language=destination.language,
        attached=isinstance(destination.channel, Smtp | Sendmail | MailDirectory),
        templates=templates(destination, problems),
    )
    problems += (_problem(destination, each) for each in written.problems)
    return written.letter


def lasting(
    store: Store, briefs: Briefs, destination: Destination, forms: Collection[str], delivery: Delivery
) -> dict[str, str]:
    """Write what there is one file of, which is written anew each time; gives the texts by the files' names.

    Args:
        store: an open database.
        briefs: of that database.
        destination: whose files they are.
        forms: atom and feed, the last reports; ics, the announced ends; others are passed over.
        delivery: the newest report.
    """
    from pipeline import renderings

    language, title = destination.language, f"modelwatch: {destination.name}"
    texts = {}
    if "ics" in forms:
        told = briefs.brief(delivery.window, destination.filter)
        texts["ends.ics"] = renderings.calendar(told.endings, stamp=told.run.started_at, language=language)
    if {"atom", "feed"}.isdisjoint(forms):
        return texts
    entries = _entries(store, briefs, destination, delivery)
    if "atom" in forms:
        thread = outbox.thread(store, destination)
        texts["feed.atom"] = renderings.atom(
            title, entries, feed_id=thread, at=delivery.at, language=language
        )
    if "feed" in forms:
        texts["feed.json"] = renderings.json_feed(title, entries, language=language)
    return texts


def _entries(store: Store, briefs: Briefs, destination: Destination, newest: Delivery) -> list[Entry]:
    """Give the last reports as entries of a feed, the newest first."""
    from pipeline import renderings

    past = [
        each
        for each in outbox.deliveries(store)
        if each.destination == destination.name and each.state != "dropped" and each.until <= newest.until
    ]
    letters = [letter(store, briefs, destination, each, []) for each in reversed(past[-_ENTRIES:])]
    return [
        renderings.Entry(each.message_id, each.at, each.subject, each.html, each.text) for each in letters
    ]
