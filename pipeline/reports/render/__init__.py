"""Renderings of a summary: mails, pages, feeds and calendars. Pure functions of their arguments."""
