"""Commands after ten thousand snapshots, against the same after ten."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from figures import Figure, slower
from measure import always, interleaved, modelwatch, once
from serve import serving
from setting import Setting, configure

from data import Catalogue
from pipeline.config import load
from pipeline.core.types import Scope
from pipeline.gateways.dialects import Answer
from pipeline.gateways.reader import AnswerReader
from pipeline.gateways.types import ScopeResult, Unchanged
from pipeline.store import Store
from pipeline.sync.cache import RunCache
from pipeline.sync.run import decide_and_record

_SHORT = 10
_SLOWEST = 1.15
_EVERY = 25
_BATCH = 250
_COMMANDS = (("run",), ("models",), ("changes", "--since", "1d"))


def history(setting: Setting) -> Iterator[Figure]:
    """Yield the time of each command after many snapshots, against ten with the same models and last day."""
    long, models = setting.sizes.long_history, setting.sizes.models
    bodies = _bodies(models, long)
    served = setting.place("served")
    served.mkdir()
    (served / "now.json").write_bytes(bodies[-1])
    with serving(served) as url:
        homes = {
            name: _home(setting.place(name), url, answers)
            for name, answers in (("long", bodies), ("short", bodies[-_SHORT:]))
        }
        for home in homes.values():
            once(modelwatch("run", home=home))
        for words in _COMMANDS:
            what = f"modelwatch {' '.join(words)}, after {long:,} snapshots"
            turns = {name: always(modelwatch(*words, home=home)) for name, home in homes.items()}
            ran = interleaved(turns, setting.times)
            yield slower("history", what, ran["long"], ran["short"], by=f"after {_SHORT}", limit=_SLOWEST)


def _bodies(models: int, snapshots: int) -> list[bytes]:
    """Return the answer of each snapshot: three changes in the last ten, one in 25 before."""
    catalogue = Catalogue(models)
    body = catalogue.body()
    found = []
    for number in range(snapshots - _SHORT):
        if number % _EVERY == _EVERY - 1:
            catalogue.change_several()
            body = catalogue.body()
        found.append(body)
    for number in range(_SHORT):
        if number % 3 == 2:
            catalogue.change()
            body = catalogue.body()
        found.append(body)
    return found


def _home(home: Path, url: str, bodies: Sequence[bytes]) -> Path:
    """Create a home whose database has these answers, the last nine from the last day."""
    configure(home, url, **{"scopes.public": {}})
    (scope,) = load(home / "modelwatch.toml").scopes
    now = datetime.now(UTC)
    with Store.open(home / "modelwatch.db") as store:
        cache = RunCache(store)
        reader = AnswerReader(cache.states)
        for first in range(0, len(bodies), _BATCH):
            with store.transaction():
                for number in range(first, min(first + _BATCH, len(bodies))):
                    at = now - _ago(len(bodies) - number)
                    body = None if _is_same(bodies, number) else bodies[number]
                    _record(cache, scope, _result(reader, scope, body, at), at)
        store.checkpoint()
    return home


def _is_same(bodies: Sequence[bytes], number: int) -> bool:
    return number > 0 and bodies[number] is bodies[number - 1]


def _ago(number: int) -> timedelta:
    return timedelta(hours=number if number < _SHORT else number + 20)


def _record(cache: RunCache, scope: Scope, result: ScopeResult, at: datetime) -> None:
    time = f"{at:%Y-%m-%dT%H:%M:%SZ}"
    decide_and_record({scope.name: result}, [scope], cache, started_at=time, finished_at=time)


def _result(reader: AnswerReader, scope: Scope, body: bytes | None, at: datetime) -> ScopeResult:
    """Parse one answer as a run does; None is an answer equal to the byte."""
    if body is None:
        return ScopeResult(Unchanged(), 0.1)
    return reader.read_archived(scope, Answer((body,), int(at.timestamp())))
