"""Portkey: the models of a workspace as `@provider/model`, or those of the provider that a config names."""

from __future__ import annotations

from pipeline.gateways.dialects.dialect import Dialect

DIALECTS = (
    Dialect(
        name="portkey",
        hosts=("api.portkey.ai",),
        key_header="x-portkey-api-key",
        # It hands on what the providers write, some of which draw these anew at each request.
        noise=("permission[].id", "permission[].created"),
    ),
)
