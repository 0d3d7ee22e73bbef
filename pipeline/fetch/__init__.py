"""Ask gateways over HTTP: concurrent, bounded, retried, and with secrets that do not leak.

The fetcher itself is in `pipeline.fetch.fetcher`: it brings in httpx, which takes as long as all the rest.
"""

from pipeline.fetch.results import Ask, Fetched, NotModified, Result, Validators

__all__ = ["Ask", "Fetched", "NotModified", "Result", "Validators"]
