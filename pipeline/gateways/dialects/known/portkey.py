"""Portkey: the models of a workspace as `@provider/model`, or those of one provider."""

from __future__ import annotations

from pipeline.gateways.dialects.dialect import Dialect

DIALECTS = (
    Dialect(
        name="portkey",
        hosts=("api.portkey.ai",),
        key_header="x-portkey-api-key",
        # It passes on the answers of providers, in some of which these are random.
        noise=("permission[].id", "permission[].created"),
    ),
)
