"""CSV for Excel: `bom` in destinations, and `--bom`."""

from __future__ import annotations

import codecs
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from support.e2e import Job

from pipeline.simulator import Gateway

MODEL = "@cf/meta/llama-3"


def destinations(bom: str) -> str:
    """Return a mail directory and a directory of files."""
    return f"""
[destinations.mail]
type = "eml"
directory = "mails"
{bom}

[destinations.pages]
type = "files"
directory = "pages"
forms = ["csv", "txt"]
{bom}
"""


@pytest.fixture(params=["", "bom = false", "bom = true"])
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Job:
    """A home with an addition, reported to both destinations."""
    made = Job(tmp_path, {"BOM": "yes" if "true" in request.param else ""})
    with Gateway() as gateway:
        gateway.offers("anchor")
        made.asks(gateway.url, scopes={"public": ""})
        made.configure(made.config.read_text("utf-8") + destinations(request.param))
        made.quick("run", at="2026-05-01T06:00:00Z")
        gateway.offers(MODEL)
        made.quick("run", at="2026-05-02T06:00:00Z")
    return made


def attachment(job: Job) -> bytes:
    """Return the CSV of the last mail."""
    message = message_from_bytes(max((job.home / "mails").glob("*.eml")).read_bytes(), policy=default)
    (found,) = (part for part in message.walk() if part.get_filename() == "changes.csv")
    content = found.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content


def test_bom_is_for_the_csv_of_a_destination_only(job: Job) -> None:
    written = (job.home / "pages" / "latest.csv").read_bytes()
    assert written.startswith(codecs.BOM_UTF8) == bool(job.env["BOM"])
    assert (f",'{MODEL},".encode() in written) == bool(job.env["BOM"])
    assert f"{MODEL},".encode() in written
    assert attachment(job).startswith(codecs.BOM_UTF8) == bool(job.env["BOM"])
    others = (job.home / "pages" / "latest.txt", job.home / "reports" / "latest.csv")
    assert not any(path.read_bytes().startswith(codecs.BOM_UTF8) for path in others)


def test_an_attachment_is_always_guarded_and_a_report_file_never_alters_an_id(job: Job) -> None:
    assert f",'{MODEL},".encode() in attachment(job)
    assert f",{MODEL},".encode() in (job.home / "reports" / "latest.csv").read_bytes()


def test_report_prints_csv_for_excel_on_request(job: Job) -> None:
    since = ("report", "--since", "2026-05-01", "--as", "csv")
    assert f",{MODEL}," in job.quick(*since).stdout
    for options in (("--bom",), ("--to", "pages")):
        text = job.quick(*since, *options).stdout
        for_excel = options == ("--bom",) or bool(job.env["BOM"])
        assert (text[0] == "\ufeff", f",'{MODEL}," in text) == (for_excel, for_excel)


@pytest.mark.parametrize(
    "kind", ['type = "webhook"\nurl = "env:HOOK"', 'type = "apprise"\nurls = ["env:CHAT"]']
)
def test_a_destination_without_csv_refuses_bom(kind: str, tmp_path: Path) -> None:
    made = Job(tmp_path)
    made.asks("http://localhost:1", scopes={"public": ""})
    made.configure(made.config.read_text("utf-8") + f"\n[destinations.ops]\n{kind}\nbom = true\n")
    done = made.quick("check")
    assert done.code == 78
    assert "destinations.ops.bom: is not a known key here" in done.stderr
