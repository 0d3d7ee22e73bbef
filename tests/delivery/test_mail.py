"""A message as a mail: mail programs parse all of it, and no text of a gateway breaks it."""

import csv
import io
import json
import re
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.utils import getaddresses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.mailing import MESSAGE, message_with, read
from support.summaries import FULL

from pipeline.core.addresses import mailbox
from pipeline.delivery.channels.mail import compose
from pipeline.reports.render.message import without_attachments, write_message
from pipeline.reports.types import LANGUAGES, Attachment

SENDER = "模型 watch, <watch@example.com>"
TO = ("Ann Ö <ann@example.com>", "bob@example.com")


def composed(**changes):
    """Compose a message, and parse it as a mail program does."""
    return read(compose(message_with(**changes), sender=SENDER, to=TO, reply_to="Team <team@example.com>"))


def test_a_mail_has_the_headers_of_an_automatic_mail_in_a_thread():
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
        "Auto-Submitted": "auto-generated",
        "Content-Language": "en",
        "MIME-Version": "1.0",
    }


def test_a_mail_promises_no_way_to_unsubscribe():
    """Nobody reads the mailbox of the sender; who gets mails is in the config."""
    assert not [name for name in composed() if "unsubscribe" in name.lower()]


def test_a_mail_is_text_first_then_html_then_attachments():
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
    assert plain.get_content().replace("\r\n", "\n") == MESSAGE.text
    assert html.get_content().rstrip() == MESSAGE.html
    assert [part.get_filename() for part in mail.iter_attachments()] == ["changes.csv", "changes.json"]


def test_attachments_are_read_back_byte_by_byte():
    table, value = composed().iter_attachments()
    rows = list(csv.reader(io.StringIO(table.get_content(), newline="")))
    assert rows == [["kind", "model"], ["removed", "heron-2"], ["removed", "模型"]]
    assert json.loads(value.get_content()) == {"changes": []}
    assert [part.get_payload(decode=True) for part in (table, value)] == [
        attachment.content for attachment in MESSAGE.attachments
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_rendered_report_becomes_a_mail_in_each_language(language):
    message = write_message(
        FULL, destination="ops", message_id="<1@x>", thread="<ops@x>", language=language
    ).message
    mail = read(compose(message, sender=SENDER, to=TO))
    assert mail["Subject"] == message.subject
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain
    assert html
    assert plain.get_content().replace("\r\n", "\n") == message.text
    assert html.get_content().replace("\r\n", "\n").rstrip() == message.html.rstrip()
    table, value = mail.iter_attachments()
    assert table["Content-Type"] == 'text/csv; charset="utf-8"'
    header, *rows = csv.reader(io.StringIO(table.get_content(), newline=""), strict=True)
    assert rows
    assert {len(row) for row in rows} == {len(header)}
    assert json.loads(value.get_content()) == json.loads(message.json)


def test_a_mail_without_attachments_is_multipart_alternative():
    assert composed(attachments=()).get_content_type() == "multipart/alternative"


def test_the_same_message_gives_the_same_bytes_and_another_has_other_boundaries():
    assert compose(MESSAGE, sender=SENDER, to=TO) == compose(MESSAGE, sender=SENDER, to=TO)
    other = compose(message_with(text="other"), sender=SENDER, to=TO)
    assert set(re.findall(rb"=_0_\w+", other)).isdisjoint(
        re.findall(rb"=_0_\w+", compose(MESSAGE, sender=SENDER, to=TO))
    )


NAMES = [
    "Doe, Jane",
    'Jane "JD" Doe',
    "Ops <night>",
    "a\\b",
    "x@y; (z)",
    '模型 "監視", Ltd',
    "Doe, Jane, of the team that watches what all the gateways of the company offer to it",
    "Jane Doe of the team that watches what all the gateways of the company offer to it today",
    "模型, " * 30 + "監視",
]


def read_addresses(header):
    """Parse a header as written: the names and addresses.

    Python's own parser inserts a space between the encoded words of a long name.
    """
    found = getaddresses([header])
    return [(str(make_header(decode_header(name))), address) for name, address in found]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_quotes_arrives_as_it_was_written(name):
    written = '"' + name.replace("\\", r"\\").replace('"', r"\"") + '" <ann@example.com>'
    person = mailbox(written)
    assert (person.name, mailbox(str(person))) == (name, person)
    mail = compose(
        MESSAGE, sender=str(person), to=[str(person), "bob@example.com", str(person)], reply_to=str(person)
    )
    headers = mail.partition(b"\r\n\r\n")[0]
    assert max(map(len, headers.split(b"\r\n"))) <= 100
    parsed = message_from_bytes(mail, policy=policy.compat32)
    one = (name, "ann@example.com")
    assert read_addresses(parsed["From"]) == read_addresses(parsed["Reply-To"]) == [one]
    assert read_addresses(parsed["To"]) == [one, ("", "bob@example.com"), one]


@pytest.mark.parametrize("text", ["Ops <night> <a@example.com>", '"Ops" <night> <a@example.com>', "a@b@c"])
def test_a_text_with_more_than_one_address_is_none(text):
    with pytest.raises(ValueError, match="is not a mail address"):
        mailbox(text)


def test_a_mail_without_recipients_has_no_to_header():
    assert "To" not in read(compose(MESSAGE, sender=SENDER, to=()))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_message_says_in_its_language_that_attachments_were_left_out(language):
    bare = without_attachments(message_with(language=language))
    sentence = bare.text.removesuffix(f"\n\n{MESSAGE.text}")
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
    content = compose(message_with(subject=subject), sender=SENDER, to=TO)
    mail = read(content)
    assert mail.keys() == composed().keys()[:3] + composed().keys()[4:]
    assert len(mail["Subject"]) <= 255
    assert not re.search(r"[\x00-\x1f\u2028\u202a-\u202e\u2066-\u2069]", mail["Subject"])


@given(st.text(max_size=300), st.text(max_size=2000), st.text(max_size=2000), st.binary(max_size=500))
def test_every_mail_is_ascii_in_short_lines_and_parses_to_the_same_parts(subject, text, html, content):
    written = compose(
        message_with(
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


def test_ids_are_neither_encoded_nor_folded():
    long = f"<{'a' * 120}@modelwatch.example>"
    content = compose(message_with(message_id=long, thread=long), sender=f"{'c' * 60}@example.com", to=TO)
    assert f"Message-ID: {long}\r\nReferences: {long}\r\n".encode() in content
