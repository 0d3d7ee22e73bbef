"""No receiver holds a hand-over longer than its time limit, however slowly it answers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest
from support.dripping import BODY, HEADERS, TLS, Dripping
from support.mailing import send_to_all

from pipeline.core.types import Secret
from pipeline.delivery.channels import apprise as apprise_channel
from pipeline.delivery.deadline import Deadline, within
from pipeline.delivery.pings import Pings
from pipeline.delivery.types import Apprise, DeliveryResult, DeliveryStatus, Ping, Smtp, Webhook

TIMEOUT = 0.1
"""Seconds for each answer; a hand-over may take four times as long."""

SOON = 5.0
"""Seconds in which a busy machine ends what may take half a second."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def webhook(scheme: str) -> Callable[[int], DeliveryResult]:
    """Return what posts to a port."""
    return lambda port: send_to_all(Webhook(f"{scheme}://127.0.0.1:{port}/hook", timeout=TIMEOUT))


def smtp(security: str) -> Callable[[int], DeliveryResult]:
    """Return what sends a mail to a port."""
    return lambda port: send_to_all(
        Smtp("127.0.0.1", port, security, "w@example.com", ("ann@example.com",), timeout=TIMEOUT)
    )


@pytest.mark.parametrize(
    ("hand_over", "begins", "each"),
    [
        (webhook("http"), HEADERS, b"a"),
        (webhook("http"), HEADERS + b"a\r\n", b"X: a\r\n"),
        (webhook("http"), BODY, b"a"),
        (webhook("http"), b"", CONTINUE),
        (webhook("http"), b"", b""),
        (webhook("https"), TLS, b"\0"),
        (webhook("https"), b"", b""),
        (smtp("none"), b"220-", b"a"),
        (smtp("none"), b"", b"220-more\r\n"),
        (smtp("none"), b"220 here\r\n250-fine", b"a"),
        (smtp("none"), b"", b""),
        (smtp("tls"), TLS, b"\0"),
        (smtp("tls"), b"", b""),
        (smtp("starttls"), b"220 here\r\n250-here\r\n250 STARTTLS\r\n220 go\r\n" + TLS, b"\0"),
    ],
)
def test_a_receiver_that_drips_is_left_at_the_deadline_and_gets_the_message_later(
    hand_over: Callable[[int], DeliveryResult], begins: bytes, each: bytes
) -> None:
    with Dripping(begins, each) as server:
        began = time.monotonic()
        result = hand_over(server.port)
        assert time.monotonic() - began < SOON
        assert result.status == DeliveryStatus.RETRY
        assert server.is_left(SOON)


@pytest.mark.parametrize(("begins", "each"), [(HEADERS, b"a"), (BODY, b"a"), (b"", CONTINUE), (b"", b"")])
def test_a_dripping_server_of_pings_is_left_at_the_timeout(begins: bytes, each: bytes) -> None:
    with Dripping(begins, each) as server:
        pings = Pings(Ping(f"http://127.0.0.1:{server.port}/check", timeout=TIMEOUT), Secret)
        began = time.monotonic()
        pings.start()
        failure = pings.end(0, "fine")
        assert time.monotonic() - began < SOON
        assert failure
        assert server.is_left(SOON), "no thread goes on reading"


def test_a_ping_is_answered_by_the_beginning_of_an_endless_body() -> None:
    with Dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"a" * 50) as server:
        assert Pings(Ping(f"http://127.0.0.1:{server.port}/", timeout=SOON), Secret).end(0, "fine") is None


@pytest.mark.parametrize(
    ("scheme", "begins", "each"),
    [("json", HEADERS, b"a"), ("json", BODY, b"a"), ("json", b"", CONTINUE), ("jsons", TLS, b"\0")],
)
def test_a_dripping_chat_service_is_left_when_its_process_is_ended(
    scheme: str, begins: bytes, each: bytes
) -> None:
    with Dripping(begins, each) as server:
        began = time.monotonic()
        result = send_to_all(
            Apprise(("env:CHAT",), timeout=TIMEOUT),
            secrets={"env:CHAT": f"{scheme}://127.0.0.1:{server.port}/room"},
        )
        assert time.monotonic() - began < 2 * SOON
        assert result.error
        assert "Apprise failed" not in result.error
        assert result.status == DeliveryStatus.RETRY
        assert server.is_left(SOON) or not server.connections


def test_a_chat_service_that_does_not_end_by_itself_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apprise_channel, "_START", 0.2)
    monkeypatch.setattr(apprise_channel, "_PROGRAM", "while True: pass")
    began = time.monotonic()
    result = send_to_all(Apprise(("env:CHAT",), timeout=TIMEOUT), secrets={"env:CHAT": "json://127.0.0.1:9"})
    assert time.monotonic() - began < SOON
    assert result.error == "env:CHAT: no answer within 0.4 s: see `timeout`"


def test_an_error_with_an_endless_body_is_read_to_the_length_that_is_quoted() -> None:
    with Dripping(BODY, b"a" * 500) as server:
        began = time.monotonic()
        result = send_to_all(Webhook(f"http://127.0.0.1:{server.port}/hook", timeout=4 * SOON))
        assert time.monotonic() - began < SOON
        assert "answered 500: aaa" in str(result.error)
        assert server.is_left(SOON)


def test_nothing_stays_of_a_hand_over_that_has_ended() -> None:
    """Neither its thread nor the duplicates of its connections, by which a receiver would wait on."""
    with Dripping(b"HTTP/1.1 204 Gone\r\n\r\n", b"") as server:
        before = threading.active_count()
        for _ in range(3):
            result = send_to_all(Webhook(f"http://127.0.0.1:{server.port}/hook", timeout=SOON))
            assert result.status == DeliveryStatus.SENT
        assert "hand-over" not in [thread.name for thread in threading.enumerate()]
        assert server.is_left(SOON)
        assert threading.active_count() <= before + server.connections


def test_work_that_hangs_without_a_connection_is_left_alone_and_connects_to_nothing_later() -> None:
    found, outcome = threading.Event(), []

    def resolves_slowly(deadline: Deadline) -> None:
        found.wait(SOON)
        with socket.create_server(("127.0.0.1", 0)) as server:
            try:
                deadline.watch(socket.create_connection(server.getsockname()))
            except TimeoutError:
                outcome.append("refused")
            finally:
                done.set()

    done = threading.Event()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        within(0.05, resolves_slowly)
    assert time.monotonic() - began < SOON
    found.set()
    assert done.wait(SOON)
    assert outcome == ["refused"]


def test_the_result_and_the_error_of_work_in_time_are_its_own() -> None:
    assert within(SOON, lambda _: "done") == "done"
    with pytest.raises(ZeroDivisionError):
        within(SOON, lambda _: 1 / 0)
