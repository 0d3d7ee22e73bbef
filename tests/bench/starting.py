"""Short commands: the start of the program, and a run with one change."""

from __future__ import annotations

from collections.abc import Iterator

from figures import Figure, slower
from measure import Command, always, interleaved, modelwatch, once, python
from serve import serving
from setting import Setting, configure

from data import Catalogue

_SLOWEST_VERSION = 1.5
_SLOWEST_CHANGE = 1.6


def version(setting: Setting) -> Iterator[Figure]:
    """Yield the time of `modelwatch --version`, against the import of click."""
    turns = {
        "ours": always(modelwatch("--version")),
        "click": always(python("-c", "import click")),
    }
    ran = interleaved(turns, setting.times)
    yield slower(
        "version",
        "modelwatch --version",
        ran["ours"],
        ran["click"],
        by="import click",
        limit=_SLOWEST_VERSION,
    )


def change(setting: Setting) -> Iterator[Figure]:
    """Yield the time of a run with one change and its report, against the import of its main libraries."""
    models = setting.sizes.models
    bodies = setting.place("bodies")
    bodies.mkdir()
    catalogue = Catalogue(models)
    for number in range(2):
        (bodies / f"{number}.json").write_bytes(catalogue.body())
        catalogue.change()
    with serving(bodies) as url:
        home = configure(setting.place("change"), url, **{"scopes.prod": {"key": "env:KEY"}})

        def other_answer(turn: int) -> Command:
            return modelwatch("run", home=home, env={"KEY": f"key-{turn % 2}"})

        once(other_answer(1))
        turns = {"ours": other_answer, "imports": always(python("-c", "import httpx, sqlite_utils"))}
        ran = interleaved(turns, setting.times)
    what = f"a run with one change in {models} models"
    by = "import httpx, sqlite_utils"
    yield slower("change", what, ran["ours"], ran["imports"], by=by, limit=_SLOWEST_CHANGE)
