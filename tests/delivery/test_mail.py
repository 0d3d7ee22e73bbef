"""A letter as a mail: what mail programs read in it, and that no text of a gateway does harm."""

import csv
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.briefs import FULL
from support.mailing import LETTER, letter, read

from pipeline.delivery.channels.mail import compose
from pipeline.reports.render import without_attachments
from pipeline.reports.render import write_message as written
from pipeline.reports.types import LANGUAGES, Attachment

SENDER = "模型 watch, <watch@example.com>"
TO = ("Ann Ö <ann@example.com>", "bob@example.com")


def composed(**changes):
    """Write a letter, and read it as a mail program does."""
    return read(compose(letter(**changes), sender=SENDER, to=TO, reply_to="Team <team@example.com>"))


def test_a_mail_has_the_headers_that_people_and_programs_need():
    """Who, to whom, when, what; that a program wrote it, and what it belongs to."""
    mail = composed(subject="模型が2つ消えた")
    assert {name: str(value) for name, value in mail.items() if name != "Content-Type"} == {
        "Subject": "模型が2つ消えた",
        "From": '"模型 watch," <watch@example.com>',
        "To": "Ann Ö <ann@example.com>, bob@example.com",
        "Reply-To": "Team <team@example.com>",
        "Date": "Sun, 01 Nov 2026 07:00:00 +0000",
        "Message-ID": "<20261101T070000Z.ops@modelwatch.example>",
        "References": "<ops@modelwatch.example>",
        "List-Id": "<ops.modelwatch.example>",
        "List-Unsubscribe": "<mailto:watch@example.com?subject=unsubscribe>",
        "Auto-Submitted": "auto-generated",
        "Content-Language": "en",
        "MIME-Version": "1.0",
    }


def test_a_mail_is_text_first_then_html_then_attachments():
    """A program that shows no HTML shows the text, and each attachment has a name and a type."""
    mail = composed()
    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "text/csv",
        "application/json",
    ]
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain
    assert html
    assert plain.get_content().replace("\r\n", "\n") == LETTER.text
    assert html.get_content().rstrip() == LETTER.html
    assert [part.get_filename() for part in mail.iter_attachments()] == ["changes.csv", "changes.json"]


def test_attachments_open():
    """What was attached is what is taken out, byte by byte."""
    table, value = composed().iter_attachments()
    rows = list(csv.reader(io.StringIO(table.get_content(), newline="")))
    assert rows == [["kind", "model"], ["removed", "heron-2"], ["removed", "模型"]]
    assert json.loads(value.get_content()) == {"changes": []}
    assert [part.get_payload(decode=True) for part in (table, value)] == [
        attachment.content for attachment in LETTER.attachments
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_written_report_becomes_a_mail(language):
    """What the renderings give is what is read: words in every language, tables that open."""
    told = written(FULL, destination="ops", message_id="<1@x>", thread="<ops@x>", language=language).letter
    mail = read(compose(told, sender=SENDER, to=TO))
    assert mail["Subject"] == told.subject
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain
    assert html
    assert plain.get_content().replace("\r\n", "\n") == told.text
    assert html.get_content().replace("\r\n", "\n").rstrip() == told.html.rstrip()
    table, value = mail.iter_attachments()
    assert table["Content-Type"] == 'text/csv; charset="utf-8"'
    header, *rows = csv.reader(io.StringIO(table.get_content(), newline=""), strict=True)
    assert rows
    assert {len(row) for row in rows} == {len(header)}
    assert json.loads(value.get_content()) == json.loads(told.json)


def test_a_letter_without_attachments_is_an_alternative_alone():
    """No empty envelope around it."""
    assert composed(attachments=()).get_content_type() == "multipart/alternative"


def test_the_same_letter_is_the_same_mail():
    """Sent again, it is the same to the byte; another one has other boundaries."""
    assert compose(LETTER, sender=SENDER, to=TO) == compose(LETTER, sender=SENDER, to=TO)
    other = compose(letter(text="other"), sender=SENDER, to=TO)
    assert set(re.findall(rb"=_0_\w+", other)).isdisjoint(
        re.findall(rb"=_0_\w+", compose(LETTER, sender=SENDER, to=TO))
    )


def test_a_mail_to_nobody_has_no_recipients():
    """A file in a directory needs none."""
    assert "To" not in read(compose(LETTER, sender=SENDER, to=()))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_letter_without_its_attachments_says_so(language):
    """In its own language, in the text and in the HTML."""
    bare = without_attachments(letter(language=language))
    sentence = bare.text.removesuffix(f"\n\n{LETTER.text}")
    assert 10 < len(sentence) < 100
    assert f"<body><p>{sentence}</p>" in bare.html
    assert bare.attachments == ()


@pytest.mark.parametrize(
    "subject",
    [
        "gone: a\r\nBcc: you@example.com",
        "gone: a\nX-Evil: 1",
        "gone: a\r\n\r\n<h1>body</h1>",
        "gone: \u202egnp.exe\u2066",
        "gone: \u2028a\x1b[31m\x00",
        "m" * 10_000,
        "模" * 10_000,
        "=?utf-8?q?gone=0D=0ABcc=3A_you=40example=2Ecom?=",
        "",
    ],
)
def test_no_subject_breaks_out_of_its_header(subject):
    """Names of models come from gateways: one header, on one line, of a bearable length."""
    content = compose(letter(subject=subject), sender=SENDER, to=TO)
    mail = read(content)
    assert mail.keys() == composed().keys()[:3] + composed().keys()[4:]
    assert len(mail["Subject"]) <= 255
    assert not re.search(r"[\x00-\x1f\u2028\u202a-\u202e\u2066-\u2069]", mail["Subject"])


@given(st.text(max_size=300), st.text(max_size=2000), st.text(max_size=2000), st.binary(max_size=500))
def test_every_mail_is_one_that_any_server_takes(subject, text, html, content):
    """ASCII, lines that end in CR LF and are not too long, and all parts are there again when it is read."""
    written = compose(
        letter(
            subject=subject,
            text=text,
            html=html,
            attachments=(Attachment("a.bin", "application/x", content),),
        ),
        sender=SENDER,
        to=TO,
    )
    written.decode("ascii")
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", written)
    assert max(map(len, written.split(b"\r\n"))) <= 998
    mail = read(written)
    assert [part.get_content_type() for part in mail.walk()][-3:] == [
        "text/plain",
        "text/html",
        "application/x",
    ]
    (attached,) = mail.iter_attachments()
    assert attached.get_content() == content


def test_ids_are_never_encoded_or_broken():
    """However long they are: mail programs compare them byte by byte."""
    long = f"<{'a' * 120}@modelwatch.example>"
    content = compose(letter(message_id=long, thread=long), sender=f"{'c' * 60}@example.com", to=TO)
    assert f"Message-ID: {long}\r\nReferences: {long}\r\n".encode() in content
    assert f"List-Unsubscribe: <mailto:{'c' * 60}@example.com?subject=unsubscribe>\r\n".encode() in content
