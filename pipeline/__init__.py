"""modelwatch: what your LLM gateways really offer, to every key and group, and what changed.

    home = pipeline.home("data")
    home.run()
    home.changes(since="1d")

`Home` says what can be asked. Everything is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.api import Deprecations, Home, home
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
    from pipeline.history.timeline import Timeline
    from pipeline.history.types import Coverage, Event, Run
    from pipeline.history.watch import WatchReport
    from pipeline.reports.report import Report

__version__ = "0.1.0"

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
    "SavedError",
    "StoreError",
    "Timeline",
    "WatchReport",
    "home",
]

_OF = {
    "api": "Deprecations Home home",
    "errors": "ConfigError DeliveryError FetchError Locked PipelineError QuestionError SavedError StoreError",
    "core.types": "FieldChange Kind",
    "history.timeline": "Timeline",
    "history.types": "Coverage Event Run",
    "history.watch": "WatchReport",
    "reports.report": "Report",
}
_MODULES = {name: module for module, names in _OF.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Load what is asked for the first time."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
