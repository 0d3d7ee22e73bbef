"""What a report looks like: mails, pages, feeds, calendars. Pure: values in, text out."""

from pipeline.renderings.calendars import calendar
from pipeline.renderings.feeds import atom, json_feed
from pipeline.renderings.letters import Written, letter, render

__all__ = ["Written", "atom", "calendar", "json_feed", "letter", "render"]
