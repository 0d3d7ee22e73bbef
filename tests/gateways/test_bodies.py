"""Bodies that are read in spite of their labels and letters, and those that are named for what they are."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as some
from support.e2e import Job, Reply, Scripted, listed

from pipeline.gateways import client
from pipeline.gateways.http import Body

NAME = "héron 苍鹭"
BODY = json.dumps({"data": [{"id": "lyra", "name": NAME}, {"id": "vega"}]}, ensure_ascii=False)
KEY = "kv-123456-secret"


@pytest.fixture(autouse=True, params=["httpx", "wide"])
def connections(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test over both transports."""
    monkeypatch.setattr(client, "MANY_SCOPES", 1 if request.param == "wide" else 1000)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "home", {"KEY": KEY})


def asked(job: Job, body: bytes, **headers: str) -> dict[str, Any]:
    """Return the row of `check` of a gateway that gives this answer."""
    reply = Reply(body, headers=tuple((name.replace("_", "-"), text) for name, text in headers.items()))
    with Scripted(lambda _: reply) as server:
        job.asks(server.url, scopes={"s": 'key = "env:KEY"'}, attempts=1)
        (row,) = job.quick("check", "--json").json()
        if row["answers"] == "yes":
            assert job.quick("run").output == ""
    return dict(row)


def raw_deflate(body: bytes) -> bytes:
    """Return deflate without the header of zlib, as some servers send it."""
    return zlib.compress(body, wbits=-zlib.MAX_WBITS)


GZIP = gzip.compress(BODY.encode())
TWO_MEMBERS = gzip.compress(BODY[:30].encode()) + gzip.compress(BODY[30:].encode())
PACKED = {"gzip": GZIP, "deflate": zlib.compress(BODY.encode()), "br": brotli.compress(BODY.encode())}
LATIN = BODY.replace(" 苍鹭", "").encode("latin-1")

READ = [
    pytest.param(GZIP, {}, NAME, id="gzip without a label"),
    pytest.param(GZIP, {"content_encoding": "identity"}, NAME, id="gzip as identity"),
    pytest.param(BODY.encode(), {"content_encoding": "utf-8"}, NAME, id="a charset as an encoding"),
    pytest.param(BODY.encode(), {"content_encoding": "aws-chunked"}, NAME, id="an unknown encoding"),
    *(
        pytest.param(BODY.encode(), {"content_encoding": label}, NAME, id=f"plain JSON as {label}")
        for label in ("gzip", "x-gzip", "deflate", "br", "gzip, gzip")
    ),
    pytest.param(
        f"\ufeff\n {BODY}".encode(), {"content_encoding": "gzip"}, NAME, id="plain JSON with a mark as gzip"
    ),
    pytest.param(GZIP + b"\0" * 512, {"content_encoding": "gzip"}, NAME, id="gzip with zeros behind it"),
    pytest.param(GZIP + b"\r\n", {"content_encoding": "gzip"}, NAME, id="gzip with a line end behind it"),
    pytest.param(
        zlib.compress(BODY.encode()) + b"\0\0", {"content_encoding": "deflate"}, NAME, id="padded deflate"
    ),
    pytest.param(TWO_MEMBERS, {"content_encoding": "gzip"}, NAME, id="gzip of two members"),
    pytest.param(TWO_MEMBERS, {}, NAME, id="gzip of two members without a label"),
    pytest.param(raw_deflate(BODY.encode()), {"content_encoding": "deflate"}, NAME, id="raw deflate"),
    # Names of codings are case-insensitive: https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1
    *(
        pytest.param(body, {"content_encoding": label}, NAME, id=f"as {label!r}")
        for coding, body in PACKED.items()
        for label in (coding, coding.upper(), f" {coding.title()} ")
    ),
    pytest.param(GZIP, {"content_encoding": "X-GZIP"}, NAME, id="as 'X-GZIP'"),
    pytest.param(BODY.encode("utf-16"), {}, NAME, id="UTF-16 with its mark"),
    pytest.param(BODY.encode("utf-16-le"), {}, NAME, id="UTF-16 without a mark"),
    pytest.param(BODY.encode("utf-32"), {}, NAME, id="UTF-32"),
    pytest.param(BODY.encode("utf-8-sig"), {}, NAME, id="UTF-8 with a mark"),
    pytest.param(BODY.encode(), {"content_type": "text/plain"}, NAME, id="JSON as text"),
    pytest.param(LATIN, {"content_type": "application/json; charset=ISO-8859-1"}, "héron", id="Latin-1"),
    pytest.param(
        BODY.encode(), {"content_type": "application/json; charset=iso-8859-1"}, NAME, id="UTF-8 as Latin-1"
    ),
    pytest.param(
        BODY.encode("gb18030"), {"content_type": 'application/json;charset="GB18030"'}, NAME, id="GB18030"
    ),
    pytest.param(BODY.encode(), {"content_type": "application/json; charset=none"}, NAME, id="no charset"),
    *(
        pytest.param(
            BODY.encode() + b" " * (len(BODY.encode()) % 2),
            {"content_type": f"text/json; charset={charset}"},
            NAME,
            id=f"UTF-8 as {charset}",
        )
        for charset in ("utf-16", "utf-16le", "utf-32")
    ),
    *(
        pytest.param(
            body.encode(), {"content_type": "application/x-ndjson"}, NAME, id=f"{what} as lines of JSON"
        )
        for what, body in {
            "a list": BODY,
            "a list over lines": json.dumps(json.loads(BODY), indent=1),
            "an array": json.dumps(json.loads(BODY)["data"]),
        }.items()
    ),
]


@pytest.mark.parametrize(("body", "headers", "name"), READ)
def test_a_list_is_read_in_spite_of_its_labels_and_letters(
    job: Job, body: bytes, headers: dict[str, str], name: str
) -> None:
    row = asked(job, body, **headers)
    assert (row["models"], row["advice"]) == (2, None)
    (shown,) = (each for each in job.quick("models", "--json").json() if each["model"] == "lyra")
    assert name in json.dumps(shown, ensure_ascii=False) or name in job.quick("show", "lyra").stdout


LOGIN = b"""<!DOCTYPE html><html><form><input name=u><input name="p" type="password"></form></html>"""

NAMED = [
    pytest.param(LOGIN, {}, "is a sign-in page, not JSON: check that `url` is", id="a sign-in page"),
    pytest.param(b"<html><p>hello", {}, "is a web page, not JSON: check that", id="a web page"),
    pytest.param(b"<html><p>hello", {"content_encoding": "gzip"}, "is a web page, not", id="a page as gzip"),
    pytest.param(b'<?xml version="1.0"?><models/>', {}, "is XML, not JSON: set `path`", id="XML"),
    pytest.param(b"<models/>", {}, "is XML, not JSON: set `path`", id="XML without a head"),
    pytest.param(b'cb({"data": []});', {}, "is JSONP, a call of a function with JSON", id="JSONP"),
    pytest.param(b")]}'\n[]", {}, "is JSON behind a guard", id="a guard"),
    pytest.param(b'data: {"id": 1}\n\n', {}, "is a stream of events, not JSON", id="events"),
    pytest.param(
        b"models:\n- lyra\n- vega\n" + b"x" * 80,
        {"content_type": "application/yaml; charset=utf-8"},
        'is application/yaml, not JSON: "models: - lyra - vega ' + "x" * 37 + '…"',
        id="YAML",
    ),
    pytest.param(
        f"no access for {KEY} and sk-0123456789abcdef".encode(),
        {"content_type": "text/plain"},
        'is text/plain, not JSON: "no access for *** and ***"',
        id="a text with keys",
    ),
    pytest.param(
        b"no", {"content_type": "Bearer abcdef123456"}, 'is Bearer ***, not JSON: "no"', id="a masked type"
    ),
    pytest.param(b"upstream timed out", {}, 'is a text, not JSON: "upstream timed out"', id="no type"),
    pytest.param(b"(\xb5/\xfd abc", {}, "is compressed with zstd, not JSON", id="zstd"),
    pytest.param(b"{'data': []}", {}, "is not JSON, or was cut off on its way", id="Python"),
    pytest.param(b"\x00\x01", {"content_encoding": "zstd"}, "is encoded as 'zstd', which was", id="a label"),
    *(
        pytest.param(
            body[:end], {"content_encoding": label}, "cannot be decompressed", id=f"{label} to {end}"
        )
        for label, body in (*PACKED.items(), ("deflate", raw_deflate(BODY.encode())))
        for end in (1, 12, -9, -1)
    ),
    *(
        pytest.param(
            TWO_MEMBERS[:end], {"content_encoding": "gzip"}, "cannot be decompressed", id=f"two to {end}"
        )
        for end in (len(gzip.compress(BODY[:30].encode())) + 12, -9, -1)
    ),
    pytest.param(GZIP[:-9], {}, "cannot be decompressed", id="cut-off gzip without a label"),
    pytest.param(b"", {"content_encoding": "utf-8"}, "is empty", id="nothing"),
]


@pytest.mark.parametrize(("body", "headers", "expected"), NAMED)
def test_what_is_no_list_is_named_for_what_it_is(
    job: Job, body: bytes, headers: dict[str, str], expected: str
) -> None:
    row = asked(job, body, **headers)
    assert row["answers"] == "no"
    assert f"the answer {expected}" in row["error"]["message"]


def test_a_secret_in_another_charset_is_masked(job: Job) -> None:
    body = json.dumps({"data": [{"id": "lyra", "seen": KEY}, {"id": "vega"}]}).encode("utf-16")
    asked(job, body)
    assert KEY.encode() not in job.database.read_bytes()
    assert "***" in job.quick("show", "lyra", "--json").stdout + job.quick("show", "lyra").stdout


def test_padding_in_many_chunks_is_ignored(job: Job) -> None:
    body = GZIP + b"\0" * 300_000
    assert asked(job, body, content_encoding="gzip")["models"] == 2


def test_an_import_reads_utf_16_and_names_what_is_no_json(job: Job, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "2026-01-01T00:00:00Z.json").write_bytes(listed("lyra").decode().encode("utf-16"))
    (saved / "2026-01-02T00:00:00Z.json").write_bytes(LOGIN)
    job.asks("https://llm.example.com")
    done = job.quick("import", "local/public", str(saved))
    assert "is a sign-in page" in done.output
    assert [row["model"] for row in job.quick("models", "--json").json()] == ["lyra"]


@given(
    chunks=some.lists(some.binary(max_size=3), max_size=600),
    others=some.lists(some.binary(max_size=9), max_size=3),
    cut=some.integers(0, 1800),
)
def test_a_body_is_its_chunks_also_where_earlier_ones_begin_like_it(
    chunks: list[bytes], others: list[bytes], cut: int
) -> None:
    whole = b"".join(chunks)
    seen = [*others, whole[:cut], whole + b"x", whole[:-1] + b"y"]
    for earlier in (seen, [*seen, whole]):
        body = Body(earlier)
        for chunk in chunks:
            body.add(chunk)
        assert (body.joined(), body.size) == (whole, len(whole))
    again = Body([whole])
    again.add(bytes(bytearray(whole)))
    assert again.joined() is whole
