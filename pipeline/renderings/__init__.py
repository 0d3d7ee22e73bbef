"""What a report looks like: mails, pages, feeds and calendars, in several languages. Pure: values in, text out."""

from pipeline.renderings.letters import FORMS, Written, letter, render

__all__ = ["FORMS", "Written", "letter", "render"]
