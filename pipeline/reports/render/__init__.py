"""Renderings of a summary: mails, pages, feeds and calendars. Pure functions of their arguments."""

from pipeline.reports.render.feeds import Entry, atom, calendar, json_feed
from pipeline.reports.render.message import RenderedMessage, render, without_attachments, write_message

__all__ = [
    "Entry",
    "RenderedMessage",
    "atom",
    "calendar",
    "json_feed",
    "render",
    "without_attachments",
    "write_message",
]
