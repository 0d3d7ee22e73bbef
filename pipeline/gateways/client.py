"""The client: fetches many scopes at once, within the limits of each gateway."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from itertools import groupby
from typing import Self
from urllib.request import getproxies

from msgspec.structs import replace

from pipeline.core.proxies import skipped_exceptions
from pipeline.core.types import (
    Anonymous,
    Credential,
    Gateway,
    Key,
    Login,
    Pairs,
    Resolve,
    Scope,
    Secret,
    is_reference,
    scopes_by_gateway,
)
from pipeline.errors import FetchError, Refused, Unreachable, Unreadable, Unresolved
from pipeline.gateways.auth import USER_HEADER, Authentication, authenticate, configured, sign_in
from pipeline.gateways.bodies import check_json
from pipeline.gateways.decompress import ACCEPT_ENCODING
from pipeline.gateways.dialects import Answer, Dialect, Page, reads_header, request_dialect
from pipeline.gateways.faults import unexpected
from pipeline.gateways.http import Reply, send
from pipeline.gateways.redact import Redactor
from pipeline.gateways.types import (
    FetchOutcome,
    FetchRequest,
    FetchResult,
    HttpRequest,
    NotModified,
    Room,
    Transport,
    Validators,
)
from pipeline.gateways.urls import list_url, root_url

_LOG = logging.getLogger("modelwatch")

MANY_SCOPES = 24
"""The number of scopes from which aiohttp's higher throughput outweighs its longer import.

See https://github.com/encode/httpx/issues/3215.
"""

_MAX_WAITING_RESULTS = 16

_SURELY_UNREACHABLE = 8
"""After so many scopes in a row whose attempts all failed, the others of a gateway have one attempt.

Thousands of keys would wait for their attempts until the deadline, for a gateway that is down.
"""


class GatewayClient:
    """Fetches scopes over HTTP; use it as an async context manager.

    Args:
        resolve: returns the secret of a reference; called once per scope, in a thread where it may be slow.
        user_agent: the `User-Agent` of every request.
        deadline: seconds after which scopes without an answer fail; None to wait for all.
        scopes: those of the config: a gateway may send the secret of one in an answer to another.
    """

    def __init__(
        self,
        resolve: Resolve,
        *,
        user_agent: str,
        deadline: float | None = None,
        scopes: Iterable[Scope] = (),
    ) -> None:
        self._resolve = resolve
        self._user_agent = user_agent
        self._deadline = deadline
        self._semaphores: dict[str, asyncio.Semaphore] = {}
        self._large_answers: dict[str, asyncio.Lock] = {}
        self._transport: Transport | None = None
        self._configured: dict[tuple[Pairs, Pairs], asyncio.Future[Authentication]] = {}
        self._scopes = scopes_by_gateway(scopes)
        self._redactors: dict[str, Redactor] = {}
        self._unreachable: Counter[str] = Counter()
        self._lists: dict[str, asyncio.Future[None]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._transport:
            await self._transport.aclose()

    async def fetch_all(self, requests: Sequence[FetchRequest]) -> AsyncGenerator[tuple[Scope, FetchOutcome]]:
        """Yield the outcome of each scope as it arrives; a failure is a value and stops no other scope."""
        self._connect(len(requests))
        outcomes: asyncio.Queue[tuple[Scope, FetchOutcome, Room]] = asyncio.Queue(_MAX_WAITING_RESULTS)
        loop = asyncio.get_running_loop()
        expires = None if self._deadline is None else loop.time() + self._deadline

        async def fetch(request: FetchRequest) -> None:
            gateway = request.scope.gateway
            room = Room(gateway.limits.max_body, self._large_answer(gateway))
            async with self._semaphore(gateway):
                outcome = await self._outcome(request, room, expires)
                # Within the limit: answers come faster than they are read.
                await outcomes.put((request.scope, outcome, room))

        async def work(waiting: deque[FetchRequest]) -> None:
            while waiting:
                await fetch(waiting.popleft())

        by_gateway: dict[str, deque[FetchRequest]] = {}
        for request in requests:
            by_gateway.setdefault(request.scope.gateway.name, deque()).append(request)
        async with asyncio.TaskGroup() as group:
            # A task for each slot, not for each scope: one that waits takes 4 kB.
            tasks = [
                group.create_task(work(waiting))
                for waiting in by_gateway.values()
                for _ in range(min(len(waiting), waiting[0].scope.gateway.limits.concurrency))
            ]
            for _ in requests:
                scope, outcome, room = await outcomes.get()
                if expires is not None and isinstance(outcome, FetchResult) and loop.time() > expires:
                    outcome = self._too_late("the answer was not read")
                try:
                    yield scope, outcome
                except GeneratorExit:
                    # The group would raise it as an error, in place of the one that the consumer stops for.
                    for task in tasks:
                        task.cancel()
                    return
                del outcome
                room.close()

    async def get(self, scope: Scope, dialect: Dialect, path: str) -> Reply:
        """Send one GET request as a scope.

        Args:
            scope: the scope to authenticate as.
            dialect: has the path of the list, and the header for a key.
            path: the part after the URL of the list, percent-encoded: `/gpt-4o`.

        Raises:
            FetchError: of the class of the failure.
        """
        gateway = scope.gateway
        self._connect(1)
        try:
            async with asyncio.timeout(self._deadline), self._semaphore(gateway):
                auth = await self._authenticate(scope, dialect)
                url = _list_url(gateway, dialect.path) + path
                request = HttpRequest(url, params=dialect.params, headers=auth.headers)
                return await self._send(request, gateway, auth)
        except TimeoutError:
            raise self._too_late() from None

    def _connect(self, scopes: int) -> None:
        if self._transport is None:
            self._transport = _transport(self._user_agent, many=scopes >= MANY_SCOPES)

    async def _outcome(self, request: FetchRequest, room: Room, expires: float | None) -> FetchOutcome:
        if expires is not None and asyncio.get_running_loop().time() >= expires:
            return self._too_late()
        try:
            async with asyncio.timeout_at(expires):
                return await self._fetch(request, room)
        except TimeoutError:
            return self._too_late()
        except FetchError as error:
            return error.as_value()
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - no gateway stops the run of the others
            return unexpected(error)

    def _semaphore(self, gateway: Gateway) -> asyncio.Semaphore:
        return self._semaphores.setdefault(gateway.name, asyncio.Semaphore(gateway.limits.concurrency))

    def _large_answer(self, gateway: Gateway) -> asyncio.Lock:
        return self._large_answers.setdefault(gateway.name, asyncio.Lock())

    def _too_late(self, problem: str = "no answer") -> Unreachable:
        return Unreachable(
            f"{problem} within the {self._deadline:g} s of `deadline`",
            cure="if other scopes of the gateway answer, raise `deadline`, or `concurrency` of the gateway",
            about_request=True,
        )

    async def _fetch(self, request: FetchRequest, room: Room) -> FetchResult | NotModified:
        """Send the requests of a dialect until its list is complete.

        A list of several pages has no validators: those of its first page say nothing of the others.
        """
        started = time.perf_counter()
        gateway, dialect = request.scope.gateway, request.dialect
        auth = await self._authenticate(request.scope, dialect)
        pages = request.pages()
        page, first = next(pages), None
        headers = auth.headers | ({} if page.body else request.validators.headers())
        received: list[Page] = []

        def is_last(body: bytes, of_response: Mapping[str, str]) -> bool:
            # Headers may say that the same rows are a page of a longer list now.
            if request.is_last is None or _paging_headers(of_response, dialect):
                return False
            return request.is_last(body)

        while True:
            url = page.url or _list_url(gateway, page.path)
            http_request = HttpRequest(
                url, params=page.params, headers=headers, room=room, is_last=None if first else is_last
            )
            if page.body:
                http_request = replace(http_request, method="POST", json=json.loads(page.body))
            try:
                reply = await self._send(http_request, gateway, auth)
            except Refused as error:
                has_user_id = USER_HEADER in auth.headers
                raise _advised(error, request.scope, dialect, page.path, has_user_id=has_user_id) from error
            if reply.is_last:
                return NotModified(time.perf_counter() - started)
            if reply.status == HTTPStatus.NOT_MODIFIED:
                return _not_modified(Validators() if first else request.validators, started)
            first, headers = first or reply, auth.headers
            received.append(_page(reply, dialect))
            try:
                check_json(reply.body, reply.headers.get("content-type", ""))
                page = pages.send(received[-1])
            except FetchError as error:
                error.reword(self._redactor(gateway, auth).text)
                raise
            except StopIteration as end:
                redactor = self._redactor(gateway, auth)
                answer = Answer(end.value, first.time, reply.url, tuple(each.values for each in received))
                validators = _validators(first, redactor) if len(end.value) == 1 else Validators()
                return FetchResult(answer, validators, time.perf_counter() - started, redactor.mask)

    async def _authenticate(self, scope: Scope, dialect: Dialect) -> Authentication:
        settings = await self._settings(dialect)
        arguments = (scope.credential, self._resolve, dialect)
        if isinstance(scope.credential, Key) and scope.credential.name is not None:
            await self._list_read(scope.credential)
        if _is_slow(scope.credential):
            own = await asyncio.to_thread(authenticate, *arguments)
        else:
            own = authenticate(*arguments)
        if not isinstance(scope.credential, Login):
            return settings | own
        auth = settings | own
        (password,) = own.secrets
        try:
            return settings | await sign_in(
                scope.credential,
                password,
                root_url(scope.gateway.url),
                lambda request: self._send(
                    replace(request, headers={**settings.headers, **request.headers}), scope.gateway, auth
                ),
            )
        except FetchError as error:
            error.reword(self._redactor(scope.gateway, auth).text)
            raise

    async def _list_read(self, key: Key) -> None:
        """Read the list of keys that has a key, once for all scopes; it may be the output of a command."""
        if key.reference not in self._lists:
            work = asyncio.to_thread(_without_error, self._resolve, key.own_reference)
            self._lists[key.reference] = asyncio.ensure_future(work)
        await asyncio.shield(self._lists[key.reference])

    async def _settings(self, dialect: Dialect) -> Authentication:
        """Return the headers and parameters of the config; their commands are run once for all scopes."""
        settings = (dialect.headers, dialect.params)
        if not any(value.startswith("command:") for pairs in settings for _, value in pairs):
            return configured(dialect, self._resolve)
        if settings not in self._configured:
            work = asyncio.to_thread(configured, dialect, self._resolve)
            self._configured[settings] = asyncio.ensure_future(work)
        # The deadline of one scope must not cancel it for the others.
        return await asyncio.shield(self._configured[settings])

    async def _send(self, request: HttpRequest, gateway: Gateway, auth: Authentication) -> Reply:
        assert self._transport
        request = replace(request, secret_params=auth.params)
        redactor = self._redactor(gateway, auth)
        limits = gateway.limits
        if self._unreachable[gateway.name] >= _SURELY_UNREACHABLE:
            limits = replace(limits, attempts=1)
        try:
            reply = await send(self._transport, request, limits, redactor)
        except Unreachable:
            self._unreachable[gateway.name] += 1
            raise
        self._unreachable[gateway.name] = 0
        return reply

    def _redactor(self, gateway: Gateway, auth: Authentication) -> Redactor:
        """Return what replaces the secrets of a scope, and of all others of its gateway.

        The gateway may have them from earlier runs; those of commands and sign-ins are added in time.
        """
        if gateway.name not in self._redactors:
            scopes = self._scopes.get(gateway.name, ())
            self._redactors[gateway.name] = Redactor(self._quick_secrets(scopes))
        return Redactor(auth.secrets, of_gateway=self._redactors[gateway.name])

    def _quick_secrets(self, scopes: Iterable[Scope]) -> Iterator[Secret]:
        """Yield the secrets of scopes that no command gives; not those that are missing."""
        for gateway, group in groupby(scopes, lambda scope: scope.gateway):
            dialect = request_dialect(gateway)
            for scope in group:
                if not _is_slow(scope.credential):
                    with suppress(Unresolved):
                        yield from authenticate(scope.credential, self._resolve, dialect).secrets
            for _, value in (*dialect.headers, *dialect.params):
                if is_reference(value) and not value.startswith("command:"):
                    with suppress(Unresolved):
                        yield self._resolve(value)


def _transport(user_agent: str, *, many: bool) -> Transport:
    """Return a transport for few or many scopes; only that of httpx supports proxies."""
    headers = {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": ACCEPT_ENCODING}
    proxies = getproxies()
    for each in skipped_exceptions(proxies):
        _LOG.warning("NO_PROXY in the environment: %s is skipped, it is no name, address or network", each)
    if many and not proxies.keys() - {"no"}:
        # aiohttp makes a TLS context when it is imported, which fails without the file of SSLKEYLOGFILE.
        with suppress(OSError):
            from pipeline.gateways.transport_aiohttp import AiohttpTransport

            return AiohttpTransport(headers)
    from pipeline.gateways.transport_httpx import HttpxTransport

    return HttpxTransport(headers, proxies=proxies)


def _list_url(gateway: Gateway, path: str) -> str:
    own = gateway.overrides.path
    return list_url(gateway.url, path, own=own is not None and own.partition("?")[0] == path)


def _is_slow(credential: Credential) -> bool:
    """Return whether resolving a credential may block the event loop."""
    if isinstance(credential, Anonymous) or (isinstance(credential, Key) and credential.name is not None):
        return False  # a list of keys is in memory by then
    return credential.reference.startswith("command:")


def _without_error(resolve: Resolve, reference: str) -> None:
    """Resolve a reference; each scope that needs it gets the error by itself."""
    with suppress(Unresolved):
        resolve(reference)


def _advised(error: Refused, scope: Scope, dialect: Dialect, path: str, *, has_user_id: bool) -> Refused:
    """Return a refusal with what to check: secret headers of the config, or the list of a signed-in user.

    The relay API of One-API and New-API knows no sessions:
    https://github.com/QuantumNous/new-api/blob/main/middleware/auth.go (`TokenAuth`).
    """
    if error.cure:
        return error
    own = dialect.headers if isinstance(scope.credential, Anonymous) else ()
    if secret := [name for name, value in own if is_reference(value)]:
        names = ", ".join(f"`{name}`" for name in secret)
        return Refused(error.problem, status=error.status, cure=f"check the secret of {names} in `headers`")
    is_for_users = path.startswith("/api/")
    if scope.auth != "session" or (is_for_users and has_user_id):
        return error
    # The message is stored, and a path of a file never is.
    hint = scope.key_hint or ""
    asked = f"is the sign-in {f'in {hint} ' * hint.startswith('env:')}valid? "
    asked = "" if isinstance(scope.credential, Login) else asked
    cure = (
        "On New-API, set `user_id`, the number of the user, beside it"
        if is_for_users
        else 'This list may accept keys only: as a signed-in user set `dialect = "user-models"` or'
        ' `groups = "all"` (New-API), or `dialect = "available-models"` (One-API)'
    )
    return Refused(error.problem, status=error.status, cure=f"{asked}{cure}")


def _not_modified(sent: Validators, started: float) -> NotModified:
    if not sent.headers():
        raise Unreadable("the gateway answered 304 to a request without validators")
    return NotModified(time.perf_counter() - started)


def _page(reply: Reply, dialect: Dialect) -> Page:
    return Page(reply.body, reply.status, _paging_headers(reply.headers, dialect), reply.url)


def _paging_headers(headers: Mapping[str, str], dialect: Dialect) -> dict[str, str]:
    """Return the headers about further pages, by lower-case name."""
    return {name.lower(): text for name, text in headers.items() if reads_header(name, dialect.paging)}


def _validators(reply: Reply, redactor: Redactor) -> Validators:
    headers = reply.headers
    return Validators(redactor.header(headers.get("etag")), redactor.header(headers.get("last-modified")))
