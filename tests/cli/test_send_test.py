"""Destinations can be tried: `check` connects and signs in, `send --test` sends a sample."""

from __future__ import annotations

import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from support.e2e import Job
from support.mailing import SECRET, Mailbox, serving

from pipeline.simulator import Gateway

MAIL = """
[destinations.team]
type = "smtp"
server = "127.0.0.1"
port = {port}
security = "none"
from = "modelwatch <watch@example.com>"
to = ["ann@example.com", "bob@example.com"]
timeout = 5
"""
SIGN_IN = 'user = "watch"\npassword = "env:SMTP_PASSWORD"\n'


@pytest.fixture
def alone(tmp_path):
    """A home that asks a gateway anonymously only."""
    job = Job(tmp_path / "home")
    with Gateway() as gateway:
        gateway.offers("heron-2")
        job.asks(gateway.url, attempts=1)
        yield job


def file_contents(directory):
    """Return the bytes of every file below a directory, by path."""
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def with_destination(job, text):
    """Add a destination to a config; return the job."""
    job.configure(job.config.read_text("utf-8") + text)
    return job


@pytest.fixture
def free_port():
    """A port on which nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


class Hook(BaseHTTPRequestHandler):
    """Accepts every POST, answers 405 to anything else, and keeps what came."""

    seen: list[tuple[str, str, bytes]]

    def do_POST(self):
        self._keep(204)

    def do_HEAD(self):
        self._keep(405)

    def _keep(self, status):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        type(self).seen.append((self.command, self.path, body))
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def hook():
    """A receiver of webhooks; `seen` has its requests."""
    kept = type("Kept", (Hook,), {"seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kept)
    thread = Thread(target=server.serve_forever)
    thread.start()
    server.seen = kept.seen
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_test_is_a_whole_mail_of_made_up_changes_that_says_so(alone):
    mailbox = Mailbox()
    with serving(mailbox) as port:
        job = with_destination(alone, MAIL.format(port=port))
        done = job.quick("send", "--test")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "team: ann@example.com: the test was accepted",
        "team: bob@example.com: the test was accepted",
    ]
    (mail,) = mailbox.mails
    assert mail["Subject"].startswith("Test: ")
    text = mail.get_body(("plain",)).get_content()
    assert text.startswith("This is a test of destination team; its changes are made up.")
    assert "vega-1" in text
    assert "This is a test of destination team" in mail.get_body(("html",)).get_content()
    assert {part.get_filename() for part in mail.iter_attachments()} == {"changes.csv", "changes.json"}


def test_a_test_is_in_the_language_of_the_destination(alone):
    mailbox = Mailbox()
    with serving(mailbox) as port:
        job = with_destination(alone, MAIL.format(port=port) + 'language = "ja"\n')
        assert job.quick("send", "--test", "--to", "team").code == 0
    assert mailbox.mails[0]["Subject"].startswith("テスト: ")


def test_a_test_records_nothing_and_counts_for_no_later_report(alone):
    alone.quick("run", at="2026-05-01T06:00:00Z")
    before = file_contents(alone.home)
    mailbox = Mailbox()
    with serving(mailbox) as port:
        job = with_destination(alone, MAIL.format(port=port))
        before["modelwatch.toml"] = job.config.read_bytes()
        assert job.quick("send", "--test").code == 0
    after = file_contents(alone.home)
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == set()
    assert len(mailbox.mails) == 1


def test_a_failed_test_exits_with_6_and_names_the_setting(alone):
    mailbox = Mailbox()
    with serving(mailbox, auth_require_tls=False) as port:
        job = with_destination(alone, MAIL.format(port=port) + SIGN_IN)
        job.env["SMTP_PASSWORD"] = "not-the-password"
        done = job.quick("send", "--test")
    assert done.code == 6
    assert "see `user` and `password`" in done.stdout
    assert "not-the-password" not in done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["slack", "discord", "teams"])
def test_chats_are_checked_and_tried_without_their_address_in_the_output(alone, hook, kind):
    alone.env["CHAT"] = f"http://127.0.0.1:{hook.server_address[1]}/services/T0123456/B4567890"
    job = with_destination(alone, f'[destinations.room]\ntype = "{kind}"\nurl = "env:CHAT"\n')
    assert job.quick("check").code == 0
    done = job.quick("send", "--test")
    assert (done.code, done.stdout) == (0, "room: env:CHAT: the test was accepted\n")
    *_, (method, path, body) = hook.seen
    assert (method, path.partition("?")[0]) == ("POST", "/services/T0123456/B4567890")
    assert b"vega-1" in body.replace(b"\\\\", b"")
    del alone.env["CHAT"]
    assert "env:CHAT is not set" in job.quick("check").stdout


def test_a_chat_that_answers_nothing_of_feishu_is_no_success(alone, hook):
    alone.env["CHAT"] = f"http://127.0.0.1:{hook.server_address[1]}/open-apis/bot/v2/hook/0123456789"
    job = with_destination(alone, '[destinations.room]\ntype = "feishu"\nurl = "env:CHAT"\n')
    done = job.quick("send", "--test")
    assert done.code == 6
    assert "is not Feishu's answer: see `url`" in done.stdout
    assert "0123456789" not in done.stdout


def test_a_test_posts_a_report_to_a_webhook(alone, hook):
    url = f"http://127.0.0.1:{hook.server_address[1]}/hook"
    job = with_destination(alone, f'[destinations.hook]\ntype = "webhook"\nurl = "{url}"\n')
    assert job.quick("send", "--test").code == 0
    ((method, path, body),) = hook.seen
    assert (method, path) == ("POST", "/hook")
    assert b'"subject": "Test: ' in body


@pytest.mark.parametrize("kind", ["files", "eml"])
def test_a_test_tries_a_directory(alone, kind):
    job = with_destination(alone, f'[destinations.web]\ntype = "{kind}"\ndirectory = "web"\n')
    done = job.quick("send", "--test")
    assert done.code == 0
    left = [path.suffix for path in (job.home / "web").iterdir()]
    assert left == ([".eml"] if kind == "eml" else [])


def test_without_a_destination_there_is_nothing_to_test(alone):
    done = alone.quick("send", "--test")
    assert done.code == 2
    assert "the config has no destination" in done.stderr


def test_an_unknown_destination_is_named_with_the_known_ones(alone):
    done = with_destination(alone, MAIL.format(port=1)).quick("send", "--test", "--to", "teem")
    assert done.code == 2
    assert "team" in done.stderr


def test_check_signs_in_to_the_mail_server_and_sends_nothing(alone):
    seen = []
    with serving(Mailbox(sees=seen.append), auth_require_tls=False) as port:
        job = with_destination(alone, MAIL.format(port=port) + SIGN_IN)
        job.env["SMTP_PASSWORD"] = SECRET
        done = job.quick("check")
    assert done.code == 0
    assert seen == ["EHLO", "AUTH", "QUIT"]


def test_check_shows_a_mail_server_that_refuses_the_password(alone):
    with serving(Mailbox(), auth_require_tls=False) as port:
        job = with_destination(alone, MAIL.format(port=port) + SIGN_IN)
        job.env["SMTP_PASSWORD"] = "not-the-password"
        done = job.quick("check")
    assert done.code == 6
    assert "destination team: " in done.stdout
    assert "see `user` and `password`" in done.stdout


def test_check_shows_servers_that_cannot_be_reached(alone, free_port):
    hook = f'[destinations.hook]\ntype = "webhook"\nurl = "http://127.0.0.1:{free_port}/x"\n'
    done = with_destination(alone, MAIL.format(port=free_port) + hook).quick("check")
    assert done.code == 6
    lines = [line for line in done.stdout.splitlines() if line.startswith("destination ")]
    assert [line.partition(": ")[0] for line in lines] == ["destination team", "destination hook"]
    assert all("cannot be reached" in line for line in lines)


def test_check_asks_a_webhook_for_nothing_that_it_could_take_for_a_report(alone, hook):
    url = f"http://127.0.0.1:{hook.server_address[1]}/secret-path?token=t"
    job = with_destination(alone, '[destinations.hook]\ntype = "webhook"\nurl = "env:HOOK"\n')
    job.env["HOOK"] = url
    assert job.quick("check").code == 0
    assert hook.seen == [("HEAD", "/", b"")]


def test_check_shows_a_directory_that_cannot_be_made(alone):
    (alone.home / "web").write_text("in the way")
    job = with_destination(alone, '[destinations.web]\ntype = "files"\ndirectory = "web/reports"\n')
    done = job.quick("check")
    assert done.code == 6
    assert "it is no directory" in done.stdout


def test_send_says_when_the_next_report_of_a_schedule_is_due(alone):
    job = with_destination(
        alone, MAIL.format(port=1) + 'every = "day"\nat = "07:30"\nzone = "Europe/Berlin"\n'
    )
    assert job.quick("run", at="2026-05-01T06:00:00Z").code == 0
    for options in ((), ("--dry-run",)):
        done = job.quick("send", *options, at="2026-05-01T07:00:00Z")
        assert done.stdout == (
            "nothing is due\nteam: due at 2026-05-02 07:30 CEST, if there is news by then\n"
        )
