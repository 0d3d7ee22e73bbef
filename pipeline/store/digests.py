"""The digests of what the store keeps once: sets of scopes, and the texts of failures and holds."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pipeline.core import canonical
from pipeline.core.types import Digest


def set_digest(scopes: Sequence[int]) -> Digest:
    """Return the digest of a set of scopes; their ids are sorted."""
    return canonical.digest(json.dumps(scopes))


def reason_digest(text: str, cure: str | None) -> Digest:
    """Return the digest of why an answer failed or is held, and of what to do."""
    return canonical.digest(json.dumps([text, cure]))
