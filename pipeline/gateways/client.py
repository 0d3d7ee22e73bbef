"""Ask many scopes at once, each gateway at its own pace; answers come as they arrive."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Sequence
from http import HTTPStatus
from typing import Self
from urllib.parse import urlsplit
from urllib.request import getproxies

from pipeline.core.types import Anonymous, Credential, Gateway, Login, Resolve, Scope
from pipeline.errors import FetchError, Unreachable, Unreadable
from pipeline.gateways.auth import Authentication, authenticate, sign_in
from pipeline.gateways.decompress import ACCEPTED
from pipeline.gateways.dialects import Answer, Dialect
from pipeline.gateways.http import Reply, send
from pipeline.gateways.redact import Redactor
from pipeline.gateways.types import (
    FetchOutcome,
    FetchRequest,
    FetchResult,
    HttpRequest,
    NotModified,
    Transport,
    Validators,
)

_VERSION_STEP = re.compile(r"^v\d+[a-z0-9]*$")


_WAITING_RESULTS = 16


MANY_SCOPES = 24
"""From so many scopes on, connections that keep their pace are worth the time that it takes to load them."""


class GatewayClient:
    """Asks scopes over HTTP; use it as an async context manager.

    Args:
        resolve: gives the secret of a reference; called once per scope, in a thread where it may take long.
        user_agent: how the program introduces itself.
        deadline: seconds after which scopes not yet answered have failed; None to wait for all.
    """

    def __init__(self, resolve: Resolve, *, user_agent: str, deadline: float | None = None) -> None:
        self._resolve = resolve
        self._user_agent = user_agent
        self._deadline = deadline
        self._pace: dict[str, asyncio.Semaphore] = {}
        self._connections: Transport | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._connections:
            await self._connections.aclose()

    def _connect(self, count: int) -> None:
        """Have the connections that suit so many scopes."""
        if self._connections is None:
            self._connections = _connections(self._user_agent, wide=count >= MANY_SCOPES)

    async def fetch_all(self, asks: Sequence[FetchRequest]) -> AsyncGenerator[tuple[Scope, FetchOutcome]]:
        """Give each scope's result as it arrives; a failure is a value and never stops the others."""
        self._connect(len(asks))
        results: asyncio.Queue[tuple[Scope, FetchOutcome]] = asyncio.Queue(_WAITING_RESULTS)
        expires = None if self._deadline is None else asyncio.get_running_loop().time() + self._deadline

        async def one(ask: FetchRequest) -> None:
            await results.put((ask.scope, await self._guarded(ask, expires)))

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(ask)) for ask in asks]
            for _ in tasks:
                yield await results.get()

    async def ask(self, scope: Scope, dialect: Dialect, path: str) -> Reply:
        """Ask one thing as one scope; its answer is free of the scope's secrets, as every answer is.

        Args:
            scope: as whom to ask.
            dialect: where its list is, and how a key is sent.
            path: what stands behind the address of the list, e.g. `/gpt-4o`; percent-encoded.

        Raises:
            FetchError: of the class that says what is wrong.
        """
        gateway = scope.gateway
        self._connect(1)
        try:
            async with asyncio.timeout(self._deadline), self._pace_of(gateway):
                signed = await self._signed(FetchRequest(scope, dialect, dialect.pages))
                headers = dict(dialect.headers) | signed.headers
                url = list_url(gateway.url, dialect.path) + path
                question = HttpRequest(url, params=dialect.params, headers=headers)
                return await self._exchange(question, gateway, signed)
        except TimeoutError:
            raise self._too_late() from None

    async def _guarded(self, ask: FetchRequest, expires: float | None) -> FetchOutcome:
        try:
            async with asyncio.timeout_at(expires), self._pace_of(ask.scope.gateway):
                return await self._fetch(ask)
        except TimeoutError:
            return self._too_late()
        except FetchError as error:
            return error

    def _pace_of(self, gateway: Gateway) -> asyncio.Semaphore:
        return self._pace.setdefault(gateway.name, asyncio.Semaphore(gateway.limits.concurrency))

    def _too_late(self) -> Unreachable:
        return Unreachable(f"not answered within the {self._deadline:g} s that a run may take")

    async def _fetch(self, ask: FetchRequest) -> FetchResult | NotModified:
        started = time.perf_counter()
        gateway = ask.scope.gateway
        signed = await self._signed(ask)
        own = dict(ask.dialect.headers) | signed.headers
        headers = own | ask.validators.headers()
        pages = ask.pages()
        request, first = next(pages), None
        while True:
            question = HttpRequest(list_url(gateway.url, request.path), params=request.params, headers=headers)
            reply = await self._exchange(question, gateway, signed)
            if reply.status == HTTPStatus.NOT_MODIFIED:
                return _not_modified(ask, started)
            first, headers = first or reply, own
            try:
                request = pages.send(reply.body)
            except StopIteration as end:
                answer = Answer(end.value, first.time)
                return FetchResult(
                    answer, _validators(first, Redactor(signed.secrets)), time.perf_counter() - started
                )

    async def _signed(self, ask: FetchRequest) -> Authentication:
        scope = ask.scope
        words = (scope.credential, self._resolve, ask.dialect.key_header)
        signed = (
            await asyncio.to_thread(authenticate, *words)
            if _is_slow(scope.credential)
            else authenticate(*words)
        )
        if not isinstance(scope.credential, Login):
            return signed
        root = _root(scope.gateway.url)
        (password,) = signed.secrets
        try:
            return await sign_in(
                scope.credential,
                password,
                root,
                lambda question: self._exchange(question, scope.gateway, signed),
            )
        except FetchError as error:
            error.reword(Redactor(signed.secrets).text(error.message))
            raise

    async def _exchange(self, question: HttpRequest, gateway: Gateway, signed: Authentication) -> Reply:
        assert self._connections
        return await send(self._connections, question, gateway.limits, Redactor(signed.secrets))


def _connections(user_agent: str, *, wide: bool) -> Transport:
    """Make connections that suit, inside the event loop; proxies are httpx's business."""
    headers = {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": ACCEPTED}
    proxies = bool(getproxies())
    if wide and not proxies:
        from pipeline.gateways.transport_aiohttp import AiohttpTransport

        return AiohttpTransport(headers)
    from pipeline.gateways.transport_httpx import HttpxTransport

    return HttpxTransport(headers, proxies=proxies)


def _is_slow(credential: Credential) -> bool:
    """Say whether to follow a credential's reference may take long: others would wait."""
    return not isinstance(credential, Anonymous) and credential.reference.startswith("command:")


def _not_modified(ask: FetchRequest, started: float) -> NotModified:
    if not ask.validators.headers():
        raise Unreadable("the gateway answered 304 to a request that named no known answer")
    return NotModified(time.perf_counter() - started)


def _validators(reply: Reply, scrub: Redactor) -> Validators:
    headers = reply.headers
    return Validators(scrub.tag(headers.get("etag")), scrub.tag(headers.get("last-modified")))


def list_url(url: str, path: str) -> str:
    """Join a gateway's base and a path: `https://host`, `…/v1` and `…/v1/models` all mean the same list.

    What the base has of the path already is not said twice; a version of its own (`…/api/v3`) is kept.
    """
    base = url.rstrip("/")
    steps = path.strip("/").split("/")
    if steps[:2] == ["api", "user"]:
        base = base.removesuffix("/models")
    elif base.endswith("/models"):
        return base
    if steps[0] == "api" and _VERSION_STEP.match(base.rpartition("/")[2]):
        # What is for signed-in users stands beside the API's versions, not below one of them.
        base = _root(url)
    have = urlsplit(base).path.strip("/").split("/")
    for shared in range(min(len(steps), len(have)), 0, -1):
        if have[-shared:] == steps[:shared]:
            return "/".join([base, *steps[shared:]])
    if _VERSION_STEP.match(steps[0]) and _VERSION_STEP.match(have[-1]):
        steps = steps[1:]
    return "/".join([base, *steps])


def _root(url: str) -> str:
    base = url.rstrip("/").removesuffix("/models")
    head, _, last = base.rpartition("/")
    return head if _VERSION_STEP.match(last) else base
