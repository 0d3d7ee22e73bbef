"""What the command can do, for Python."""

from __future__ import annotations

from pipeline.api.homes import Home, Lifecycle, home
from pipeline.api.where import Where

__all__ = ["Home", "Lifecycle", "Where", "home"]
