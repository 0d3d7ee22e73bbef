"""What changed, as a value, and its renderings: text, CSV, JSON. Pure: values in, text out."""

from pipeline.reports.report import Coverage, Event, Recovery, Report, Snapshot

__all__ = ["Coverage", "Event", "Recovery", "Report", "Snapshot"]
