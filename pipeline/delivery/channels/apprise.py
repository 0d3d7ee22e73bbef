"""Services that Apprise supports: Telegram, Matrix, DingTalk and a hundred others."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.request import getproxies

from msgspec import Struct
from msgspec.structs import asdict

from pipeline import processes
from pipeline.core.masking import Masker
from pipeline.core.proxies import proxy_of
from pipeline.core.text import one_line, redact
from pipeline.core.types import Resolve, Severity, reference_names
from pipeline.delivery.channels.secrets import resolve_secret, unresolved, url_parts
from pipeline.delivery.types import TOTAL_TIMEOUT, Apprise, DeliveryResult, DeliveryStatus
from pipeline.extras import command_to_add
from pipeline.reports.types import Message

if TYPE_CHECKING:
    from apprise import NotifyBase

_MAX_TITLE = 250

_MENTION = re.compile(r"@(?=everyone\b|here\b|channel\b|all\b)|<(?=[@!#]|at\b|\w+:)")
"""The start of a mention or a link in Slack, Discord or Feishu."""

_ZERO_WIDTH_SPACE = "\u200b"

_START = 10.0
"""Seconds that Apprise may take to start, beside the time for the hand-over."""

_MOST_MEMORY = 300_000_000
"""Bytes that the process may take: services read an answer whole, whatever its size when it is decoded."""

_LATE = 9
"""The exit status of the process that ends itself at the deadline."""


def recipients(settings: Apprise) -> tuple[str, ...]:
    """Return the names of the references to the URLs."""
    return tuple(reference_names(settings.urls))


def missing(settings: Apprise, resolve: Resolve) -> list[str]:
    """Return a line for each reference that cannot be resolved, and one if Apprise is not installed."""
    installed = find_spec("apprise") is not None
    return [*unresolved(settings.urls, resolve), *([] if installed else [_not_installed()])]


def _not_installed() -> str:
    return f"needs Apprise, which is not installed: run `{command_to_add('apprise', 'notify')}`"


def reach(_settings: Apprise, _resolve: Resolve) -> None:
    """Return nothing: Apprise only sends."""


def send(
    settings: Apprise, message: Message, recipients: tuple[str, ...], resolve: Resolve
) -> dict[str, DeliveryResult]:
    """Send a message to the services behind some references.

    Raises:
        Unresolved: a reference cannot be resolved.
    """
    references = reference_names(settings.urls)
    return {name: _send(settings, message, name, references[name], resolve) for name in recipients}


def _send(settings: Apprise, message: Message, name: str, reference: str, resolve: Resolve) -> DeliveryResult:
    if find_spec("apprise") is None:
        return DeliveryResult(DeliveryStatus.RETRY, f"{name} {_not_installed()}")
    url = resolve_secret(reference, resolve).reveal()
    limit = TOTAL_TIMEOUT * settings.timeout
    notice = _Notice(
        url=url,
        title=one_line(message.subject, _MAX_TITLE),
        body=without_mentions(message.markdown),
        kind=_type(message.severity),
        timeout=settings.timeout,
        limit=limit,
    )
    late = DeliveryResult(DeliveryStatus.RETRY, f"{name}: no answer within {limit:g} s: see `timeout`")
    try:
        done = processes.run(
            [sys.executable, "-c", _PROGRAM, *sys.path],
            timeout=limit + _START,
            stdin=json.dumps(asdict(notice)).encode(),
        )
    except TimeoutError:
        return late
    except OSError as error:
        text = f"{name}: Apprise cannot be started: {error.strerror}"
        return DeliveryResult(DeliveryStatus.RETRY, text)
    return late if done.status == _LATE else _result(done.output, name, url)


def _result(output: bytes, name: str, url: str) -> DeliveryResult:
    """Return the result that `main` wrote."""
    try:
        sent, why = json.loads(output.splitlines()[-1])
    except (ValueError, IndexError):
        return DeliveryResult(DeliveryStatus.RETRY, f"{name}: Apprise failed without a result")
    if sent is None:
        return DeliveryResult(DeliveryStatus.REFUSED, f"{name} holds no URL that Apprise supports")
    if sent:
        return DeliveryResult(DeliveryStatus.SENT)
    return DeliveryResult(DeliveryStatus.RETRY, redact(f"{name}: {Masker(url_parts(url)).text(why)}"))


class _Notice(Struct, frozen=True):
    """A text for one service; `timeout` bounds each of its answers, and `limit` all, in seconds."""

    url: str
    title: str
    body: str
    kind: str
    timeout: float
    limit: float


_PROGRAM = """
import os, sys
sys.path[:] = sys.argv[1:]
from pipeline.delivery.channels.apprise import main
main()
sys.stdout.flush()
os._exit(0)
"""
"""The program of the process that ends at the deadline: Apprise's services cannot be interrupted.

Apprise's own limit leaves their threads behind, for which the interpreter waits at its end:
https://docs.python.org/3/library/concurrent.futures.html#threadpoolexecutor
"""


def main() -> None:
    """Read a notice from standard input and post it; write whether it was sent, and the reason if not.

    Of `[SENT, REASON]`, SENT is null for a URL that Apprise does not support.
    """
    notice = _Notice(**json.load(sys.stdin))
    json.dump(_post(notice), sys.stdout)


def _post(notice: _Notice) -> tuple[bool | None, str]:
    import resource

    import apprise

    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    memory = _MOST_MEMORY if most == resource.RLIM_INFINITY else min(most, _MOST_MEMORY)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, most))
    deadline = threading.Timer(notice.limit, os._exit, (_LATE,))
    deadline.daemon = True
    deadline.start()
    with _captured_log(apprise.LOGGER_NAME) as lines:
        service = apprise.Apprise.instantiate(notice.url, asset=apprise.AppriseAsset(app_id="modelwatch"))
        if service is None:
            return None, ""
        _configure(service, notice.timeout)
        _heed_exceptions()
        post = apprise.Apprise()
        post.add(service)
        sent = post.notify(
            title=notice.title, body=notice.body, notify_type=notice.kind, body_format="markdown"
        )
    # `notify` returns a bool; the reason is only in Apprise's log.
    return bool(sent), lines[-1] if lines else "Apprise names no reason"


def without_mentions(markdown: str) -> str:
    """Return a text in which no mention is expanded: names of models may look like one."""
    return _MENTION.sub(rf"\g<0>{_ZERO_WIDTH_SPACE}", markdown)


def _heed_exceptions() -> None:
    """Let Apprise's requests obey `NO_PROXY` as all others do.

    Requests knows no networks of IPv6, and no ports of networks:
    https://github.com/psf/requests/blob/main/src/requests/utils.py, `should_bypass_proxies`.
    """

    def proxies_for(url: str, no_proxy: str | None = None) -> dict[str, str]:
        del no_proxy
        found = getproxies()
        try:
            return found if proxy_of(url, found) else {}
        except ValueError:
            return found

    # Some services of Apprise need no requests.
    if sessions := sys.modules.get("requests.sessions"):
        setattr(sessions, "get_environ_proxies", proxies_for)  # noqa: B010 - no attribute that mypy knows


def _configure(service: NotifyBase, timeout: float) -> None:
    from apprise import OverflowMode

    service.socket_connect_timeout = service.socket_read_timeout = timeout
    if service.overflow_mode == OverflowMode.UPSTREAM:
        # The service would refuse a text that is too long.
        service.overflow_mode = OverflowMode.TRUNCATE


def _type(severity: Severity | None) -> str:
    match severity:
        case Severity.URGENT:
            return "failure"
        case Severity.BREAKING:
            return "warning"
        case _:
            return "info"


class _Lines(logging.Handler):
    """Collects the lines that are logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Append a line."""
        self.lines.append(record.getMessage())


@contextmanager
def _captured_log(name: str) -> Iterator[list[str]]:
    """Collect the warnings of a logger; no other handler gets them, as they may hold secret URLs."""
    logger, handler = logging.getLogger(name), _Lines()
    before = logger.propagate, logger.disabled, logger.level
    logger.propagate, logger.disabled = False, False
    logger.setLevel(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield handler.lines
    finally:
        logger.removeHandler(handler)
        logger.propagate, logger.disabled = before[:2]
        logger.setLevel(before[2])
