"""modelwatch: which models your LLM gateways offer, to every key and group, and what changed.

    home = pipeline.home("data")
    home.run()
    home.changes(since="1d")

The methods of `Home` are in `pipeline.api`. Every name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.api import Home, RunResult, home
    from pipeline.core.types import FieldChange, Kind
    from pipeline.errors import (
        ConfigError,
        DeliveryError,
        FetchError,
        Locked,
        PipelineError,
        QuestionError,
        SavedError,
        StoreError,
    )
    from pipeline.history.deprecations import Deprecations
    from pipeline.history.timeline import Timeline
    from pipeline.history.types import Coverage, Event, Run
    from pipeline.history.watch import WatchReport
    from pipeline.reports.types import Report

__version__ = "0.2.0"

__all__ = [
    "ConfigError",
    "Coverage",
    "DeliveryError",
    "Deprecations",
    "Event",
    "FetchError",
    "FieldChange",
    "Home",
    "Kind",
    "Locked",
    "PipelineError",
    "QuestionError",
    "Report",
    "Run",
    "RunResult",
    "SavedError",
    "StoreError",
    "Timeline",
    "WatchReport",
    "home",
]

_NAMES = {
    "api": "Home RunResult home",
    "errors": "ConfigError DeliveryError FetchError Locked PipelineError QuestionError SavedError StoreError",
    "core.types": "FieldChange Kind",
    "history.deprecations": "Deprecations",
    "history.timeline": "Timeline",
    "history.types": "Coverage Event Run",
    "history.watch": "WatchReport",
    "reports.types": "Report",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Import a name at its first use; see https://peps.python.org/pep-0562/."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
