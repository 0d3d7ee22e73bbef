"""DeepSeek: a short list without `created`."""

from __future__ import annotations

from pipeline.gateways.dialects.dialect import Dialect

DIALECTS = (Dialect(name="deepseek", hosts=("api.deepseek.com",), path="/models"),)
