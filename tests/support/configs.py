"""Pieces of configs, and the scope of one."""

from __future__ import annotations

from pipeline.config import Config
from pipeline.core.types import Scope

SECRET = "sk-0123456789abcdefghij"
TOKEN = "0b9c1d2e-check"
"""The secret part of a check's URL."""

GATEWAY = '[gateways.one]\nurl = "https://gateway.example"\n'
SCOPED = f"{GATEWAY}scopes.public = {{}}\n"


def only(config: Config) -> Scope:
    """Return the only scope of a config."""
    (scope,) = config.scopes
    return scope
