"""The reference of the config: it has every key, and each example changes what the command does.

Each proof runs the command with the example, which is obeyed, and without it, where the same proof fails. A
setting that is read and then ignored fails here.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from support import ROOT
from support.e2e import Job, Question, Reply, Scripted, listed

from pipeline.config import reference, schema
from pipeline.simulator import Gateway

TEXT = (ROOT / "data" / "README.md").read_text("utf-8")
SECRETS = {
    name: f"value-of-{name.lower()}"
    for name in ("KEY", "PROD", "ORG", "TOKEN", "SESSION", "PASSWORD", "BATCH")
}
TEN = [f"m{number}" for number in range(10)]

Proof = Callable[["World"], bool]
"""Runs the command and returns whether the setting of the config is obeyed."""


def rows(heading: str) -> dict[str, tuple[str, bool]]:
    """Return the example of each key in the table below a heading, and whether a scope may have it too."""
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    cells = [re.split(r"(?<!\\) \| ", line.strip("| ")) for line in section.splitlines() if line[:3] == "| `"]
    return {row[0].strip("`• "): (row[1], "•" in row[0]) for row in cells}


class World:
    """A home that asks a scripted server, with one scope.

    `pauses` are the seconds for which the command waited, without any waiting.
    """

    def __init__(self, job: Job, server: Scripted, pauses: list[float]) -> None:
        self.job = job
        self.server = server
        self.pauses = pauses
        self.answer: Callable[[Question], Reply] = lambda _: Reply(listed("a", "b"))
        self.lines: list[str] = []
        self.inside: list[str] = []
        self.scope = 'key = "env:KEY"'
        self.url = server.url
        self.before = 0

    def configure(self, *more: str) -> None:
        """Write the config: the lines of the example, and more lines of the gateway."""
        lines = [line.replace("https://llm.example.com", self.url) for line in (*self.lines, *more)]
        names = {line.partition(" ")[0].partition(".")[0] for line in lines}
        around = {"url": f'url = "{self.url}"', "attempts": "attempts = 1", "backoff": "backoff = 0"}
        lines += [line for name, line in around.items() if name not in names and self.url]
        if not {"scopes", "keys"} & names:
            lines.append(f"scopes.public = {{ {', '.join(filter(None, (self.scope, *self.inside)))} }}")
        self.job.configure("\n".join(("[gateways.local]", *lines, "")))

    def run(self, hours: float = 0) -> int:
        """Run so many hours after midnight; return the exit status."""
        at = f"2026-05-01T{int(hours):02}:{round(hours % 1 * 60):02}:00Z"
        return self.job.quick("run", at=at).code

    def asked(self, *more: str) -> Question | None:
        """Run; return the last request, or None if there was none."""
        self.configure(*more)
        self.run()
        return self.server.requests[-1] if len(self.server.requests) > self.before else None

    def models(self) -> list[str]:
        """Return the ids of the current listing."""
        done = self.job.quick("models", "--csv")
        return [row["model"] for row in done.rows()] if done.code == 0 else []

    def serves(self, *values: Any) -> None:
        """Answer with these JSON values in turn, the last one again and again."""
        left = list(values)
        self.answer = lambda _: Reply(json.dumps(left.pop(0) if len(left) > 1 else left[0]).encode())

    def changes(self) -> list[Any]:
        """Return all events of models, the quiet ones too."""
        found: list[Any] = self.job.quick("changes", "--json").json()
        return found

    def facts(self, model: str) -> str:
        """Return what `show` prints of a model as JSON."""
        return self.job.quick("show", model, "--json").stdout


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def pause(seconds: float, result: object = None) -> object:
        pauses.append(seconds)
        await sleep(0)
        return result

    monkeypatch.setattr(asyncio, "sleep", pause)
    made: list[World] = []
    with Scripted(lambda asked: made[0].answer(asked)) as server:  # noqa: PLW0108 - the answer changes
        made.append(World(Job(tmp_path / "home", dict(SECRETS)), server, pauses))
        yield made[0]


# Requests.


def sends(check: Callable[[Question, Mapping[str, list[str]]], bool], scope: str | None = None) -> Proof:
    """Return the proof that the request of a list has something, by a check of it and of its query."""

    def proof(world: World) -> bool:
        if scope is not None:
            world.scope = scope
        asked = world.asked()
        return asked is not None and check(asked, parse_qs(urlsplit(asked.path).query))

    return proof


def header(name: str, value: str | None, scope: str | None = None) -> Proof:
    """Return the proof that the request has a header with a value."""
    return sends(lambda asked, _: asked.headers[name] == value, scope)


def asks_each_line_of_the_file(world: World) -> bool:
    world.job.home.mkdir(parents=True, exist_ok=True)
    (world.job.home / "keys.csv").write_text("name,key\nprod,env:PROD\nbatch,env:BATCH\n")
    if not any(line.startswith("keys") for line in world.lines):
        world.lines.append("scopes.public = {}")
    world.asked()
    found = {asked.headers["Authorization"] for asked in world.server.requests[world.before :]}
    return found == {"Bearer value-of-prod", "Bearer value-of-batch"}


def has_a_scope_without_a_key(world: World) -> bool:
    world.scope = 'key = "env:KEY"'
    asked = world.asked()
    return asked is not None and asked.headers["Authorization"] is None


def reads_in_the_dialect(world: World) -> bool:
    world.configure()
    (row,) = world.job.quick("check", "--json").json()
    return bool(row["dialect"] == "new-api")


# Lists.


def lists(value: Any, *ids: str) -> Proof:
    """Return the proof that an answer is read as these models."""

    def proof(world: World) -> bool:
        world.serves(value)
        world.configure()
        world.run()
        return world.models() == list(ids)

    return proof


def follows_pages(world: World) -> bool:
    def answer(asked: Question) -> Reply:
        page = 2 if "page=2" in asked.path else 1
        value = {"data": [{"id": f"on-{page}"}], "meta": {"pages": 2}}
        return Reply(json.dumps(value).encode())

    world.answer = answer
    world.configure()
    world.run()
    return world.models() == ["on-1", "on-2"]


def rejects_another_code(world: World) -> bool:
    world.serves({"code": 7, "data": [{"id": "a"}]})
    world.configure()
    return world.run() == 4


def accepts_null(world: World) -> bool:
    world.serves({"data": None})
    world.configure()
    return world.run() == 0


def has_fact(record: dict[str, Any], fact: str) -> Proof:
    """Return the proof that a fact is read from a record."""

    def proof(world: World) -> bool:
        world.serves({"data": [{"id": "a", **record}]})
        world.configure()
        world.run()
        return fact in world.facts("a")

    return proof


def changes_in(before: dict[str, Any], after: dict[str, Any], *, quietly: int = 0) -> Proof:
    """Return the proof that another value makes so many changes, all of them quiet."""

    def proof(world: World) -> bool:
        world.serves(*({"data": [{"id": "a", **record}, {"id": "b"}]} for record in (before, after)))
        world.configure()
        world.run(1)
        world.run(2)
        return [change["quiet"] for change in world.changes()] == [True] * quietly

    return proof


# Limits, whose examples are the defaults: another value is obeyed, and the default is not that.


def asks_one_at_a_time(world: World) -> bool:
    both = threading.Barrier(2)

    def answer(_: Question) -> Reply:
        try:
            both.wait(timeout=0.5)
        except threading.BrokenBarrierError:
            return Reply(listed("alone"))
        return Reply(listed("together"))

    world.answer = answer
    world.configure('scopes.one = { key = "env:KEY" }', 'scopes.two = { key = "env:PROD" }')
    world.run()
    return "alone" in world.models()


def stops_to_wait(world: World) -> bool:
    ended = threading.Event()

    def answer(_: Question) -> Reply:
        ended.wait(timeout=1)
        return Reply(listed("a"))

    world.answer = answer
    world.configure()
    code = world.run()
    ended.set()
    return code == 4


def answers_after(*replies: Reply) -> Callable[[World], int]:
    """Return what runs against a server that begins with these replies, and returns the exit status."""

    def run(world: World) -> int:
        left = list(replies)
        world.answer = lambda _: left.pop(0) if left else Reply(listed("a"))
        world.configure(*([] if any("attempts" in line for line in world.lines) else ["attempts = 4"]))
        return world.run()

    return run


BUSY = Reply(b"", 503)
LATER = Reply(b"", 429, (("Retry-After", "30"),))


def tries_once(world: World) -> bool:
    return answers_after(BUSY)(world) == 4


def pauses_for(seconds: float) -> Proof:
    return lambda world: answers_after(BUSY)(world) == 0 and max(world.pauses) == seconds


def waits_no_half_minute(world: World) -> bool:
    return answers_after(LATER)(world) == 4


def rejects_a_large_answer(world: World) -> bool:
    world.answer = lambda _: Reply(listed(*TEN))
    world.configure()
    return world.run() == 4


def loses(*kept: str, more: str) -> Callable[[World], int]:
    """Return what runs twice, the second time with some of ten models; returns the exit status."""

    def run(world: World) -> int:
        world.serves(*({"data": [{"id": model} for model in models]} for models in (TEN, kept)))
        world.configure(*([more] if more else []))
        world.run(0)
        return world.run(1)

    return run


def accepts_a_loss_of(number: int) -> Proof:
    return lambda world: loses(*TEN[number:], more="")(world) == 0


def has_removed(number: int, *hours: float, more: str = "") -> Proof:
    """Return the proof that so many models are removed after some runs without one of ten."""

    def proof(world: World) -> bool:
        loses(*TEN[1:], more=more)(world)
        for hour in hours:
            world.run(hour)
        return [change["kind"] for change in world.changes()] == ["removed"] * number

    return proof


def accepts_an_empty_list(world: World) -> bool:
    world.serves(*({"data": [{"id": model} for model in models]} for models in (TEN, ())))
    world.configure()
    codes = [world.run(hour) for hour in (0, 1, 1.5, 2, 2.5, 3)]
    return codes[-1] == 0


PAGED = {"data": [{"id": "a"}], "has_more": True}
NESTED = {"data": [{"id": "other"}], "providers": [{"models": [{"id": "a"}]}, {"models": [{"id": "b"}]}]}

OF_GATEWAY: Mapping[str, Proof] = {
    "url": sends(lambda asked, _: asked.path == "/v1/models"),
    "scopes": has_a_scope_without_a_key,
    "keys": asks_each_line_of_the_file,
    "dialect": reads_in_the_dialect,
    "path": sends(lambda asked, _: asked.path == "/models?type=chat"),
    "headers": sends(
        lambda asked, _: (asked.headers["X-Org"], asked.headers["Accept"]) == ("value-of-org", "text/json")
    ),
    "params": sends(lambda _, query: query == {"type": ["chat"], "token": ["value-of-token"]}),
    "key_header": header("x-api-key", "value-of-key"),
    "key_scheme": header("Authorization", "Token value-of-key"),
    "key_param": sends(
        lambda asked, query: query == {"key": ["value-of-key"]} and asked.headers["Authorization"] is None
    ),
    "method": sends(lambda asked, _: (asked.method, asked.body) == ("POST", b"{}")),
    "body": sends(lambda asked, _: asked.method == "POST" and json.loads(asked.body) == {"filter": "chat"}),
    "list": lists(NESTED, "a", "b"),
    "id": lists({"data": [{"id": "1", "provider": "p", "name": "n"}]}, "p/n"),
    "paging": follows_pages,
    "complete": lists(PAGED, "a"),
    "success": rejects_another_code,
    "null_is_empty": accepts_null,
    "prices": has_fact({"cost": {"in": 0.02, "out": 0.04}}, '"output_usd_per_1m": 0.04'),
    "facts": has_fact({"ctx": 4096, "context_length": 8}, '"context_length": 4096'),
    "noise": changes_in(
        {"load": 1, "providers": [{"latency": 1}]}, {"load": 2, "providers": [{"latency": 2}]}
    ),
    "quiet": changes_in({"blurb": "one"}, {"blurb": "two"}, quietly=1),
    "sets": changes_in({"regions": ["eu", "us"]}, {"regions": ["us", "eu"]}),
    "no_models": lists({"data": [{"id": "a"}, {"id": "all-models"}]}, "a"),
}

OTHER_VALUES: Mapping[str, tuple[str, Proof]] = {
    "concurrency": ("1", asks_one_at_a_time),
    "timeout": ("0.2", stops_to_wait),
    "attempts": ("1", tries_once),
    "backoff": ("0", pauses_for(0)),
    "max_wait": ("20", waits_no_half_minute),
    "max_body": ("100", rejects_a_large_answer),
    "max_models": ("9", rejects_a_large_answer),
    "max_loss": ("0.5", accepts_a_loss_of(5)),
    "floor": ("5", accepts_a_loss_of(5)),
    "confirm": ("3", has_removed(0, 2, more="confirm_after = 0")),
    "confirm_after": ('"90m"', has_removed(1, 2.5)),
    "empty_after": ('"2h"', accepts_an_empty_list),
}
"""Another value than the default of each number or duration, and what it does that the default does not."""


def obeyed(world: World, proof: Proof) -> bool:
    """Return whether a setting is obeyed, in a new home."""
    world.job.home = world.job.home.with_name(f"home-{len(list(world.job.home.parent.iterdir()))}")
    world.before = len(world.server.requests)
    world.pauses.clear()
    return proof(world)


def placed(world: World, lines: list[str], place: str) -> None:
    """Write the lines of an example into the table of the gateway or that of its scope."""
    world.lines, world.inside = ([], lines) if place == "scope" else (lines, [])


GATEWAY = rows("Keys of a gateway")
PLACES = [(key, "gateway") for key in GATEWAY] + [
    (key, "scope") for key, (_, of_scope) in GATEWAY.items() if of_scope
]


@pytest.mark.parametrize(
    ("page", "table"),
    [
        ("data", reference.keys(schema.File)),
        ("data", reference.keys(schema.Dask)),
        ("data", reference.keys(schema.Gateway)),
        ("data", reference.keys(schema.Scope)),
        ("pipeline/delivery", reference.destination_keys()),
    ],
)
def test_the_pages_have_the_reference_as_the_program_writes_it(page: str, table: str) -> None:
    assert f"]]] -->\n{table}<!-- [[[end]]] -->" in (ROOT / page / "README.md").read_text("utf-8")


def test_every_key_has_a_proof() -> None:
    assert GATEWAY.keys() == OF_GATEWAY.keys() | OTHER_VALUES.keys()
    assert rows("Keys of a scope").keys() == OF_SCOPE.keys()


@pytest.mark.parametrize(("key", "place"), [each for each in PLACES if each[0] in OF_GATEWAY])
def test_the_example_of_a_gateway_is_obeyed(world: World, key: str, place: str) -> None:
    lines = [line.strip("`") for line in GATEWAY[key][0].split("<br>")]
    placed(world, lines, place)
    if key == "scopes":
        world.scope = ""
    assert obeyed(world, OF_GATEWAY[key])
    placed(world, [line for line in lines if not line.startswith(key)], place)
    if key == "url":
        world.url = ""
    assert not obeyed(world, OF_GATEWAY[key])


@pytest.mark.parametrize(("key", "place"), [each for each in PLACES if each[0] in OTHER_VALUES])
def test_another_value_than_the_default_is_obeyed(world: World, key: str, place: str) -> None:
    value, proof = OTHER_VALUES[key]
    (example,) = (line.strip("`") for line in GATEWAY[key][0].split("<br>"))
    placed(world, [f"{key} = {value}"], place)
    assert obeyed(world, proof)
    placed(world, [example], place)
    assert not obeyed(world, proof)


# Ways to ask, in a scope.


def signs_in(path: str) -> Proof:
    """Return the proof that the command signs in at a path and asks with the cookie."""

    def proof(world: World) -> bool:
        cookie = (("Set-Cookie", "session=one"),)

        def answer(asked: Question) -> Reply:
            if asked.method != "POST":
                return Reply(listed("a"))
            form = json.loads(asked.body)
            good = asked.path == path and form == {"username": "me", "password": "value-of-password"}
            return Reply(b'{"success": true, "data": {}}', headers=cookie) if good else Reply(b"", 401)

        world.answer = answer
        asked = world.asked()
        return asked is not None and asked.headers["Cookie"] == "session=one"

    return proof


def has_group(world: World) -> bool:
    world.configure()
    world.run()
    found = world.job.quick("scopes", "--json")
    return found.code == 0 and found.json()[0]["group"] == "vip"


def asks_for_each_group(world: World) -> bool:
    with Gateway() as gateway:
        gateway.user("ada", id=17, group="vip", access_token=SECRETS["TOKEN"])
        gateway.offers("lyra", to="vip")
        world.url = gateway.url
        world.configure()
        world.run()
        found = world.job.quick("scopes", "--json").json()
    return "local/public.vip" in {each["scope"] for each in found}


OF_SCOPE: Mapping[str, Proof] = {
    "key": header("Authorization", "Bearer value-of-prod"),
    "cookie": header("Cookie", "session=value-of-session"),
    "access_token": header("Authorization", "value-of-token"),
    "user_id": header("New-Api-User", "17"),
    "username": signs_in("/api/user/login"),
    "password": signs_in("/api/user/login"),
    "login_path": signs_in("/auth/login"),
    "group": has_group,
    "groups": asks_for_each_group,
}


@pytest.mark.parametrize("key", OF_SCOPE)
def test_the_example_of_a_scope_is_obeyed(world: World, key: str) -> None:
    inside = rows("Keys of a scope")[key][0].strip("`{ }").split(", ")
    for with_key in (True, False):
        kept = [each for each in inside if with_key or not each.startswith(f"{key} ")]
        world.scope = ", ".join(kept)
        assert obeyed(world, OF_SCOPE[key]) == with_key
