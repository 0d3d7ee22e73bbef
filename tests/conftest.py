"""What all tests share: the settings of Hypothesis, a database in memory, a scripted gateway."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from support.e2e import default_signals
from support.fakes import Script
from support.list_shapes import NEEDS_NO_LINE, SHAPES

from pipeline.store import Store

default_signals()

settings.register_profile(
    "modelwatch",
    derandomize=True,  # the same examples everywhere: a failure is a change of the code
    deadline=None,  # a slow machine is no failure
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("modelwatch")


@pytest.fixture
def store() -> Iterator[Store]:
    """A database of our own, in memory."""
    with Store.open(None) as opened:
        yield opened


@pytest.fixture
def script(store: Store) -> Script:
    """Gateways that answer as they are told, recorded in the database of `store`."""
    return Script(store)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many list shapes need no line in the config, if their tests have run."""
    if any("test_list_shapes" in report.nodeid for report in terminalreporter.getreports("passed")):
        terminalreporter.write_line(
            f"{NEEDS_NO_LINE} of {len(SHAPES)} list shapes need no line in the config"
        )
