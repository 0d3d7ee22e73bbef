"""What a report looks like: mails, pages, feeds, calendars. Pure: values in, text out."""

from pipeline.renderings.calendars import calendar
from pipeline.renderings.feeds import Entry, atom, json_feed
from pipeline.renderings.letters import Written, letter, render, without_attachments

__all__ = [
    "Entry",
    "Written",
    "atom",
    "calendar",
    "json_feed",
    "letter",
    "render",
    "without_attachments",
]
