"""Ask gateways over HTTP and read their answers.

The client is imported from `pipeline.gateways.client`: its transports load httpx or aiohttp.
"""

from pipeline.gateways.types import FetchOutcome, FetchRequest, FetchResult, NotModified, Validators

__all__ = ["FetchOutcome", "FetchRequest", "FetchResult", "NotModified", "Validators"]
