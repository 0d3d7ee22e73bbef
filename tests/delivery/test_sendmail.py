"""Mails by a program: tried with real processes."""

import os
import stat
import sys
import textwrap
import time
from pathlib import Path

import pytest
from support.mailing import message_with, read, send_to_all

from pipeline.delivery.channels import recipients
from pipeline.delivery.types import DeliveryStatus, Sendmail

ANN, BOB = "ann@example.com", "bob@example.com"


@pytest.fixture
def program(tmp_path):
    """Return a function that writes a program in place of sendmail and returns the channel that starts it."""

    def program(body, **settings):
        path = tmp_path / "sendmail"
        path.write_text(f"#!{sys.executable}\n{textwrap.dedent(body)}", "utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return Sendmail("Watch <watch@example.com>", (f"Ann <{ANN}>", BOB), (str(path), "--own"), **settings)

    return program


def test_the_program_gets_recipients_as_arguments_and_the_mail_on_standard_input(program, tmp_path):
    channel = program(f"""
        import pathlib, sys
        place = pathlib.Path({str(tmp_path)!r})
        (place / "words").write_text(" ".join(sys.argv[1:]))
        (place / "mail").write_bytes(sys.stdin.buffer.read())
    """)
    assert recipients(channel) == (ANN, BOB)
    assert send_to_all(channel).status == DeliveryStatus.SENT
    assert (tmp_path / "words").read_text() == f"--own -i -f watch@example.com {ANN} {BOB}"
    content = (tmp_path / "mail").read_bytes()
    assert b"\r" not in content
    mail = read(content)
    assert mail["To"] == f"Ann <{ANN}>, {BOB}"
    assert [part.get_filename() for part in mail.iter_attachments()] == ["changes.csv", "changes.json"]


@pytest.mark.parametrize(
    ("code", "expected", "why"),
    [
        (65, DeliveryStatus.REFUSED, " (cannot read the mail)"),
        (67, DeliveryStatus.REFUSED, " (knows no such recipient)"),
        (75, DeliveryStatus.RETRY, ""),
        (78, DeliveryStatus.RETRY, ""),
        (1, DeliveryStatus.RETRY, ""),
    ],
)
def test_the_error_has_the_exit_status_and_the_last_line_of_output(program, code, expected, why):
    result = send_to_all(
        program(f"""
            import sys
            sys.stdin.read()
            sys.stderr.write("first\\nno\\x1b way\\n")
            sys.exit({code})
        """)
    )
    assert result.status == expected
    assert result.error.endswith(f"sendmail exited with {code}{why}: no  way")


def test_a_program_that_does_not_read_the_mail_causes_no_broken_pipe(program):
    result = send_to_all(program("import sys\nsys.exit(75)"), message_with(text="x" * 1_000_000))
    assert (result.status, result.error.count("exited with 75")) == (DeliveryStatus.RETRY, 1)


def test_a_program_that_hangs_is_killed_with_its_children(tmp_path):
    path, started = tmp_path / "sendmail", tmp_path / "started"
    path.write_text(f"#!/bin/sh\nsleep 1000 &\necho $! >{started}\nwait\n")
    path.chmod(0o755)
    for timeout in (0.2, 2.0, 20.0):
        result = send_to_all(Sendmail("w@example.com", (ANN,), (str(path),), timeout=timeout))
        assert result.status == DeliveryStatus.RETRY
        assert result.error == f"{path} did not end within {timeout:g} s, and was stopped: see `timeout`"
        # On a busy machine the program may not have started yet.
        if started.exists() and started.read_text():
            break
    state = Path(f"/proc/{int(started.read_text())}/stat")
    while state.exists() and ") Z " not in state.read_text():
        time.sleep(0.01)


def test_a_program_that_never_reads_the_mail_is_stopped(program):
    began = time.monotonic()
    result = send_to_all(
        program("import time\ntime.sleep(60)", timeout=0.3), message_with(text="x" * 1_000_000)
    )
    assert time.monotonic() - began < 30
    assert (result.status, "did not end within 0.3 s" in result.error) == (DeliveryStatus.RETRY, True)


def test_a_mail_that_the_program_leaves_to_a_child_is_sent_once(tmp_path):
    """Exim returns while a child of its delivers: https://www.exim.org (`-odb`)."""
    path, child = tmp_path / "sendmail", tmp_path / "child"
    path.write_text(f"#!/bin/sh\ncat >/dev/null\nsleep 60 &\necho $! >{child}\n")
    path.chmod(0o755)
    began = time.monotonic()
    result = send_to_all(Sendmail("w@example.com", (ANN,), (str(path),)))
    assert time.monotonic() - began < 30
    assert result.status == DeliveryStatus.SENT
    os.kill(int(child.read_text()), 9)


def test_a_program_that_is_not_installed_is_a_temporary_failure_with_its_cure(tmp_path):
    result = send_to_all(Sendmail("w@example.com", (ANN,), (str(tmp_path / "none"),)))
    assert result.status == DeliveryStatus.RETRY
    assert result.error == f"{tmp_path}/none cannot be started: No such file or directory: see `command`"
