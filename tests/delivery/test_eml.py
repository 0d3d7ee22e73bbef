"""Mails as files."""

import pytest
from support.mailing import message_with, read, send_to_all

from pipeline.delivery.channels import recipients
from pipeline.delivery.types import DeliveryStatus, MailDirectory


def test_a_mail_is_a_file_named_after_its_id_in_a_new_directory(tmp_path):
    channel = MailDirectory(tmp_path / "a" / "mails")
    assert recipients(channel) == (str(tmp_path / "a" / "mails"),)
    for _ in range(2):
        assert send_to_all(channel).status == DeliveryStatus.SENT
    (path,) = channel.path.iterdir()
    assert path.name == "20261101T070000Z.ops@modelwatch.example.eml"
    mail = read(path.read_bytes())
    assert (mail["From"], mail["To"]) == ("modelwatch <modelwatch@localhost>", None)
    assert [part.get_filename() for part in mail.iter_attachments()] == ["changes.csv", "changes.json"]


@pytest.mark.parametrize(
    ("message_id", "name"),
    [
        ("<../../etc/passwd@x>", "_.._etc_passwd@x.eml"),
        ("<.hidden@x>", "hidden@x.eml"),
        ("<a b\n\0c@x>", "a_b_c@x.eml"),
        (f"<{'a' * 400}@x>", f"{'a' * 200}.eml"),
    ],
)
def test_no_message_id_becomes_a_path_or_a_hidden_file(tmp_path, message_id, name):
    assert (
        send_to_all(MailDirectory(tmp_path), message_with(message_id=message_id)).status
        == DeliveryStatus.SENT
    )
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_directory_that_cannot_be_written_is_a_temporary_failure_and_no_draft_is_left(tmp_path):
    (tmp_path / "mails").write_text("a file")
    result = send_to_all(MailDirectory(tmp_path / "mails"))
    assert (result.status, result.error) == (
        DeliveryStatus.RETRY,
        f"{tmp_path}/mails: the mail cannot be written: File exists",
    )
    (tmp_path / "m" / "20261101T070000Z.ops@modelwatch.example.eml").mkdir(parents=True)
    assert send_to_all(MailDirectory(tmp_path / "m")).status == DeliveryStatus.RETRY
    assert len(list((tmp_path / "m").iterdir())) == 1
