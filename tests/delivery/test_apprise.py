"""Reports by Apprise: tried with its own JSON service."""

import gzip
import json
import logging
import re
import sys
import threading
from functools import partial

import brotli
import pytest
from support.e2e import Reply, Scripted
from support.mailing import MESSAGE, message_with, send_to_all

from pipeline.core.types import Secret, Severity
from pipeline.delivery.channels import apprise as apprise_channel
from pipeline.delivery.channels import recipients, send
from pipeline.delivery.types import Apprise, DeliveryStatus


def service_url(server, path="room", **parameters):
    """Return an Apprise URL of a server that accepts JSON."""
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    return f"json://user:s3cr3tpass@{server.url.removeprefix('http://')}/{path}{query and '?'}{query}"


def test_a_service_gets_markdown_without_mentions():
    markdown = "**Gone**: @everyone @here <!channel> <@U1> <at id=all> <http://x.example|y> @cf/meta <b>"
    with Scripted(lambda _: Reply()) as server:
        channel = Apprise(("env:CHAT",))
        assert recipients(channel) == ("env:CHAT",)
        message = message_with(markdown=markdown, severity=Severity.URGENT)
        assert (
            send_to_all(channel, message, secrets={"env:CHAT": service_url(server, format="markdown")}).status
            == DeliveryStatus.SENT
        )
    (asked,) = server.requests
    body = json.loads(asked.body)
    assert (body["title"], body["type"]) == (MESSAGE.subject, "failure")
    assert (
        body["message"].replace("\u200b", "|")
        == "**Gone**: @|everyone @|here <|!channel> <|@U1> <|at id=all> <|http://x.example|y> @cf/meta <b>"
    )


def test_each_service_of_a_destination_has_its_own_result():
    with Scripted(lambda asked: Reply(b"no", 200 if asked.path == "/good" else 500)) as server:
        addresses = {
            "env:A": service_url(server, "good"),
            "env:B": service_url(server, "bad"),
            "env:C": "nonsense",
        }
        channel = Apprise(tuple(addresses))
        results = send(channel, MESSAGE, recipients(channel), lambda r: Secret(addresses[r]))
    assert [result.status for result in results.values()] == [
        DeliveryStatus.SENT,
        DeliveryStatus.RETRY,
        DeliveryStatus.REFUSED,
    ]
    assert "error=500" in results["env:B"].error
    assert results["env:C"].error == "env:C holds no URL that Apprise supports"


@pytest.mark.parametrize(
    ("host", "exception"),
    [
        ("[::1]:9", "::/8"),
        ("[::1]:9", "[::1]:9"),
        ("127.0.0.1:9", "127.0.0.0/8:9"),
        ("127.0.0.1:9", "[,127.0.0.1"),
    ],
)
def test_a_service_that_is_excepted_from_the_proxy_is_asked_directly(monkeypatch, host, exception):
    with Scripted(lambda _: Reply()) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        channel, secrets = Apprise(("env:CHAT",)), {"env:CHAT": f"json://{host}/room"}
        assert send_to_all(channel, secrets=secrets).status == DeliveryStatus.SENT
        monkeypatch.setenv("no_proxy", exception)
        assert send_to_all(channel, secrets=secrets).status == DeliveryStatus.RETRY
    assert len(proxy.requests) == 1


def test_a_silent_service_times_out():
    gone = threading.Event()
    with Scripted(lambda _: Reply(str(gone.wait()).encode())) as server:
        result = send_to_all(Apprise(("env:CHAT",), timeout=0.2), secrets={"env:CHAT": service_url(server)})
        gone.set()
    assert result.status == DeliveryStatus.RETRY
    assert result.error.startswith("env:CHAT: ")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such limit")
@pytest.mark.parametrize("encoding", ["identity", "gzip", "br"])
def test_an_answer_that_is_too_large_fails_and_takes_little_memory(monkeypatch, tmp_path, encoding):
    status = tmp_path / "status"
    program = apprise_channel._PROGRAM.replace(
        "os._exit", f"os.system(f'cp /proc/{{os.getpid()}}/status {status}'); os._exit"
    )
    monkeypatch.setattr(apprise_channel, "_PROGRAM", program)
    pack = {"gzip": gzip.compress, "br": partial(brotli.compress, quality=3)}.get(encoding, bytes)
    answer = Reply(pack(b"0" * 400_000_000), 500, (("Content-Encoding", encoding),))
    with Scripted(lambda _: answer) as server:
        result = send_to_all(Apprise(("env:CHAT",)), secrets={"env:CHAT": service_url(server)})
    assert result.status == DeliveryStatus.RETRY
    assert result.error.startswith("env:CHAT: ")
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())
    assert int(peak) < 320_000


def test_no_part_of_a_url_is_in_the_error_or_the_log(caplog):
    with Scripted(lambda _: Reply(b"no", 403)) as server:
        url = service_url(server, "T0KEN1/T0KEN2")
    with caplog.at_level(logging.DEBUG):
        result = send_to_all(Apprise(("env:CHAT",)), secrets={"env:CHAT": url})
    assert result.status == DeliveryStatus.RETRY
    for text in (
        result.error,
        *(record.getMessage() for record in caplog.records if record.name == "apprise"),
    ):
        assert not [part for part in ("T0KEN1", "T0KEN2", "s3cr3tpass") if part in text]


def test_a_text_too_long_for_a_service_is_sent_once_and_cut():
    with Scripted(lambda _: Reply()) as server:
        url = service_url(server)
        assert (
            send_to_all(
                Apprise(("env:CHAT",)), message_with(markdown="word " * 20_000), secrets={"env:CHAT": url}
            ).status
            == DeliveryStatus.SENT
        )
    (asked,) = server.requests
    assert 1000 < len(json.loads(asked.body)["message"]) <= 32_768


def test_a_missing_apprise_is_a_temporary_failure_with_its_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    result = send_to_all(Apprise(("env:CHAT",)), secrets={"env:CHAT": "json://localhost"})
    assert result.status == DeliveryStatus.RETRY
    assert result.error.startswith("env:CHAT needs Apprise, which is not installed: run `")
