"""Reports posted to a URL: tried with a real server."""

import gzip
import hashlib
import hmac
import json
import re
import threading
import time
import tracemalloc

import brotli
import pytest
from support import ROOT
from support.e2e import Reply, Scripted
from support.mailing import MESSAGE, message_with, send_to_all
from support.spellings import SPELLINGS

from pipeline.core.types import Secret
from pipeline.delivery.channels import recipients
from pipeline.delivery.pings import Pings
from pipeline.delivery.types import DeliveryStatus, Ping, Webhook

KEY = "whsec-0123456789"


def test_a_post_has_the_texts_the_report_an_id_and_a_signature(tmp_path):
    with Scripted(lambda _: Reply(b"ok", 202)) as server:
        channel = Webhook(f"{server.url}/hook", "env:KEY", (("Authorization", "env:AUTH"), ("X-Room", "ops")))
        assert recipients(channel) == (f"{server.url}/hook",)
        result = send_to_all(
            channel,
            message_with(subject="模型が2つ消えた"),
            secrets={"env:KEY": KEY, "env:AUTH": "Bearer abcdef"},
        )
        assert result.status == DeliveryStatus.SENT
    (asked,) = server.requests
    assert (asked.method, asked.path) == ("POST", "/hook")
    assert asked.headers["Content-Type"] == "application/json"
    assert (asked.headers["Authorization"], asked.headers["X-Room"]) == ("Bearer abcdef", "ops")
    assert asked.headers["X-Modelwatch-Id"] == MESSAGE.message_id.strip("<>")
    stamp = asked.headers["X-Modelwatch-Timestamp"]
    expected = hmac.new(KEY.encode(), stamp.encode() + b"." + asked.body, hashlib.sha256).hexdigest()
    assert asked.headers["X-Modelwatch-Signature"] == f"sha256={expected}"
    assert abs(int(stamp) - time.time()) < 600
    assert json.loads(asked.body) == {
        "message_id": MESSAGE.message_id,
        "at": MESSAGE.at,
        "severity": "breaking",
        "language": "en",
        "subject": "模型が2つ消えた",
        "text": MESSAGE.text,
        "report": {"changes": [], "price": 0.1},
    }
    assert b'"price": 0.10}' in asked.body


def test_the_receiver_code_in_the_readme_verifies_signatures():
    readme = (ROOT / "pipeline" / "delivery" / "README.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(import hashlib.*?)```", readme, re.DOTALL)
    names = {}
    exec(code, names)
    with Scripted(lambda _: Reply()) as server:
        assert (
            send_to_all(Webhook(server.url, "env:KEY"), secrets={"env:KEY": KEY}).status
            == DeliveryStatus.SENT
        )
    (asked,) = server.requests
    assert names["is_genuine"](KEY.encode(), asked.headers, asked.body)
    assert not names["is_genuine"](KEY.encode(), asked.headers, asked.body + b" ")
    assert not names["is_genuine"](b"other", asked.headers, asked.body)


def test_a_post_without_a_secret_is_not_signed_and_may_have_no_severity():
    with Scripted(lambda _: Reply()) as server:
        assert send_to_all(Webhook(server.url), message_with(severity=None)).status == DeliveryStatus.SENT
    (asked,) = server.requests
    assert "X-Modelwatch-Signature" not in asked.headers
    assert json.loads(asked.body)["severity"] is None


def test_a_secret_url_is_shown_as_its_reference():
    with Scripted(lambda _: Reply(b"no /T0123/B4567 here", 404)) as server:
        channel = Webhook("env:HOOK")
        assert recipients(channel) == ("env:HOOK",)
        result = send_to_all(channel, secrets={"env:HOOK": f"{server.url}/T0123/B4567"})
    assert server.requests[0].path == "/T0123/B4567"
    assert result.error == "env:HOOK answered 404 (see `url`): no *** here"


@pytest.mark.parametrize(
    ("status", "headers", "expected", "wait"),
    [
        (200, (), DeliveryStatus.SENT, None),
        (204, (), DeliveryStatus.SENT, None),
        (301, (("Location", "https://elsewhere.example/?key=1"),), DeliveryStatus.REFUSED, None),
        (400, (), DeliveryStatus.REFUSED, None),
        (401, (), DeliveryStatus.REFUSED, None),
        (404, (), DeliveryStatus.REFUSED, None),
        (410, (), DeliveryStatus.REFUSED, None),
        (418, (), DeliveryStatus.REFUSED, None),
        (408, (), DeliveryStatus.RETRY, None),
        (425, (), DeliveryStatus.RETRY, None),
        (429, (("Retry-After", "120"),), DeliveryStatus.RETRY, 120.0),
        (429, (("Retry-After", "soon"),), DeliveryStatus.RETRY, None),
        (429, (("Retry-After", "9" * 400),), DeliveryStatus.RETRY, 86_400.0),
        (503, (("Retry-After", "0"),), DeliveryStatus.RETRY, None),
        (503, (("Retry-After", "Sun, 01 Nov 2020 07:00:00 GMT"),), DeliveryStatus.RETRY, None),
        (503, (("Retry-After", "Fri, 01 Nov 2999 07:00:00 GMT"),), DeliveryStatus.RETRY, 86_400.0),
        (500, (), DeliveryStatus.RETRY, None),
    ],
)
def test_the_status_of_an_answer_decides_the_result(status, headers, expected, wait):
    with Scripted(lambda _: Reply(b"because" if status > 204 else b"", status, headers)) as server:
        result = send_to_all(Webhook(f"{server.url}/hook", "env:KEY"), secrets={"env:KEY": KEY})
    assert (result.status, result.retry_after) == (expected, wait)
    assert len(server.requests) == 1
    if status == 301:
        assert result.error.endswith(
            "redirects to https://elsewhere.example/: nothing was sent there; see `url`"
        )
    elif expected != DeliveryStatus.SENT:
        assert f"{server.url}/hook answered {status}" in result.error
        assert result.error.endswith(": because")


def test_an_error_has_the_answer_without_secrets_and_without_html():
    with Scripted(lambda _: Reply(f"bad\n\x1b[31m key {KEY}".encode(), 401)) as server:
        result = send_to_all(Webhook(server.url, "env:KEY"), secrets={"env:KEY": KEY})
    assert result.error.endswith("answered 401 (see `secret` and `headers`): bad [31m key ***")
    with Scripted(lambda _: Reply(b"<html>no</html>", 500)) as server:
        assert send_to_all(Webhook(server.url)).error.endswith("answered 500")


def test_a_body_that_cannot_be_decoded_is_left_out_of_the_error():
    packed = (("Content-Encoding", "gzip"),)
    with Scripted(lambda _: Reply(b"no gzip", 500, packed)) as server:
        result = send_to_all(Webhook(server.url))
    assert (result.status, result.error) == (DeliveryStatus.RETRY, f"{server.url} answered 500")


@pytest.mark.parametrize("encoding", ["br", "gzip", "GZIP, br"])
@pytest.mark.parametrize("status", [200, 301, 401, 503])
def test_a_bomb_is_not_decoded(encoding, status):
    """A receiver that ignores that the answer is asked for as it is may send a gigabyte in a few bytes."""
    squeeze = gzip.compress if encoding == "gzip" else brotli.compress
    headers = (("Content-Encoding", encoding), ("Location", "/elsewhere"))
    bomb = Reply(squeeze(b"0" * 40_000_000), status, headers)
    with Scripted(lambda _: bomb) as server:
        tracemalloc.start()
        try:
            result = send_to_all(Webhook(server.url))
            ping = Pings(Ping(f"{server.url}/check", timeout=20), Secret).end(0, "fine")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 10_000_000
    assert (result.status == DeliveryStatus.SENT, ping is None) == (status == 200,) * 2
    assert {asked.headers["Accept-Encoding"] for asked in server.requests} == {"identity"}


def test_certificates_that_cannot_be_read_are_a_temporary_failure(monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nowhere.pem"))
    result = send_to_all(Webhook("https://127.0.0.1:1/"))
    assert result.status == DeliveryStatus.RETRY
    assert "SSL_CERT_FILE" in result.error


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"SSLKEYLOGFILE": "/dev/null/keys"}, "SSLKEYLOGFILE"),
        ({"SSL_CERT_FILE": "/dev/null"}, "SSL_CERT_FILE"),
        ({"SSL_CERT_DIR": "/dev/null/certificates"}, "SSL_CERT_DIR cannot be read (No such file"),
        ({"SSL_CERT_DIR": "/dev/null"}, "SSL_CERT_DIR"),
        ({"HTTPS_PROXY": "http://u:secret@h:p"}, "HTTPS_PROXY"),
        ({"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "["}, "Connection refused"),
    ],
)
def test_a_variable_of_the_environment_is_named_and_never_final(monkeypatch, variables, named):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    result = send_to_all(Webhook("https://127.0.0.1:1/"))
    assert result.status == DeliveryStatus.RETRY
    assert named in result.error
    assert "secret" not in result.error


def test_an_unreachable_webhook_is_retried():
    with Scripted(lambda _: Reply()) as server:
        url = server.url
    assert send_to_all(Webhook(url)).error == f"{url} cannot be reached: Connection refused"
    assert "cannot be reached" in send_to_all(Webhook("http://hook.invalid/")).error


def test_a_silent_webhook_times_out():
    gone = threading.Event()
    with Scripted(lambda _: Reply(str(gone.wait()).encode())) as server:
        result = send_to_all(Webhook(server.url, timeout=0.1))
        gone.set()
    assert (result.status, result.error) == (
        DeliveryStatus.RETRY,
        f"no answer from {server.url} within 0.1 s",
    )


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_secret_that_a_receiver_echoes_is_masked_in_every_spelling(spelling):
    """A header, the key of the signature, and a part of the address."""
    secrets = {"env:AUTH": "Bearer t0ken/of+the?hook", "env:KEY": KEY, "env:HOOK": "/T0123/B4567-s3cret"}
    inner = ["t0ken/of+the?hook", KEY, "B4567-s3cret"]
    echoed = " ".join(SPELLINGS[spelling](secret) for secret in inner)
    with Scripted(lambda _: Reply(f"no {echoed}".encode(), 403)) as server:
        secrets["env:HOOK"] = f"{server.url}/T0123/B4567-s3cret"
        result = send_to_all(Webhook("env:HOOK", "env:KEY", (("X", "env:AUTH"),)), secrets=secrets)
    assert result.error.startswith("env:HOOK answered 403")
    for secret in inner:
        written = SPELLINGS[spelling](secret)
        assert (written[4:-4] if "base64" in spelling else written) not in result.error


@pytest.mark.parametrize(
    ("status", "retried", "words"),
    [
        (400, False, "it does not accept the request: see its own log"),
        (401, False, "see `secret` and `headers`"),
        (402, False, "it does not accept the report"),
        (403, False, "see `secret` and `headers`"),
        (404, False, "see `url`"),
        (405, False, "see `url`: it accepts no POST"),
        (406, False, "it does not accept the report"),
        (408, True, None),
        (410, False, "it was removed: see `url`"),
        (413, False, "the report is too large for it"),
        (425, True, None),
        (429, True, None),
        (499, False, "it does not accept the report"),
        (500, True, None),
        (503, True, None),
    ],
)
def test_each_status_is_temporary_or_has_its_cure(status, retried, words):
    with Scripted(lambda _: Reply(b"no", status)) as server:
        result = send_to_all(Webhook(server.url))
        assert result.status == (DeliveryStatus.RETRY if retried else DeliveryStatus.REFUSED)
        hint = "" if words is None else f" ({words})"
        assert result.error == f"{server.url} answered {status}{hint}: no"
