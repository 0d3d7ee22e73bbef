"""Ask gateways over HTTP and read their answers.

The client itself is in `pipeline.gateways.client`: it imports httpx, which takes as long as all the rest.
"""

from pipeline.gateways.types import FetchOutcome, FetchRequest, FetchResult, NotModified, Validators

__all__ = ["FetchOutcome", "FetchRequest", "FetchResult", "NotModified", "Validators"]
