"""Reports in the forms in which they become files: one each, or one of many."""

from __future__ import annotations

from pipeline import outbox
from pipeline.briefing import brief
from pipeline.config import Config
from pipeline.destinations import Destination, Letter, MailDirectory, Sendmail, Smtp
from pipeline.errors import ConfigError
from pipeline.outbox import Delivery
from pipeline.reports.brief import Brief
from pipeline.store import Store

_ENTRIES = 20
"""So many of the last reports are in a feed."""


def templates(destination: Destination, problems: list[str]) -> dict[str, str]:
    """Read the templates that a destination has of its own, by file name."""
    found = {}
    for path in sorted(destination.templates.glob("*.j2")) if destination.templates else ():
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
    config: Config,
    destination: Destination,
    delivery: Delivery,
    problems: list[str],
) -> Letter:
    """Write the letter of a delivery; what is wrong with the user's templates goes to `problems`."""
    from pipeline import renderings

    assert delivery.message_id
    written = renderings.letter(
        brief(store, delivery.window, watch=config.watch, wanted=destination.filter),
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
    form: str, store: Store, config: Config, destination: Destination, delivery: Delivery
) -> dict[str, str]:
    """Write what there is one file of, which is written anew each time; gives the text by the file's name.

    Args:
        form: atom or feed, the last reports; ics, the announced ends.
        store: an open database.
        config: says what is watched.
        destination: whose files they are.
        delivery: the newest report.
    """
    from pipeline import renderings

    language = destination.language
    if form == "ics":
        told = brief(store, delivery.window, watch=config.watch, wanted=destination.filter)
        return {"ends.ics": renderings.calendar(told.endings, stamp=told.run.started_at, language=language)}
    past = [
        each
        for each in outbox.deliveries(store)
        if each.destination == destination.name and each.state != "dropped" and each.until <= delivery.until
    ]
    letters = [letter(store, config, destination, each, []) for each in reversed(past[-_ENTRIES:])]
    entries = [
        renderings.Entry(each.message_id, each.at, each.subject, each.html, each.text) for each in letters
    ]
    title = f"modelwatch: {destination.name}"
    if form == "feed":
        return {"feed.json": renderings.json_feed(title, entries, language=language)}
    feed = {"feed_id": outbox.thread(store, destination), "at": delivery.at, "language": language}
    return {"feed.atom": renderings.atom(title, entries, **feed)}
