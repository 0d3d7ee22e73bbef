"""Hand a letter over: mail servers, sendmail, a directory, webhooks, chats; each failure is a value."""

from pipeline.notify.readiness import lacks
from pipeline.notify.sending import recipients, send

__all__ = ["lacks", "recipients", "send"]
