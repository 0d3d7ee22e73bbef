"""Rendered reports: mails, pages, feeds and calendars. Pure: values in, text out."""

from pipeline.reports.render.feeds import Entry, atom, calendar, json_feed
from pipeline.reports.render.message import Written, letter, render, without_attachments

__all__ = ["Entry", "Written", "atom", "calendar", "json_feed", "letter", "render", "without_attachments"]
