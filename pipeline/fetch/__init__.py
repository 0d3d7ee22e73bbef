"""Ask gateways over HTTP: concurrent, bounded, retried, and with secrets that do not leak."""

from pipeline.fetch.credentials import Resolve
from pipeline.fetch.fetcher import Ask, Fetched, Fetcher, NotModified, Result, Validators

__all__ = ["Ask", "Fetched", "Fetcher", "NotModified", "Resolve", "Result", "Validators"]
