"""A real mail server: Debian's Postfix, with Dovecot for authentication and IMAP. Needs root."""

from __future__ import annotations

import imaplib
import os
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from support.mailing import SECRET

PROGRAMS = ("postfix", "dovecot")
TIMEOUT = 30
"""Seconds to wait for a server to start or a mail to arrive."""

_SEARCHED = "/usr/sbin:/usr/bin:/sbin:/bin"
_OWNER = "nobody"
"""The owner of the mails; his id is in `_MAIN` and `_DOVECOT`."""

_MAIN = """\
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {home}/postfix.log
maillog_file_prefixes = {home}
myhostname = mail.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
# Nothing leaves.
default_transport = error:nothing leaves this machine
relay_transport = error:nothing leaves this machine
alias_maps =
alias_database =
biff = no
notify_classes =
virtual_mailbox_domains = mail.example
virtual_mailbox_base = {home}/mail
virtual_mailbox_maps = inline:{{ ann@mail.example=ann/, bob@mail.example=bob/ }}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
smtpd_tls_chain_files = {home}/server.pem
smtpd_tls_security_level = encrypt
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {home}/queue/private/auth
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = reject_unauth_destination
smtp_tls_security_level = none
message_size_limit = 200000
"""

_MASTER = """\
127.0.0.1:{starttls} inet n - n - - smtpd
127.0.0.1:{tls} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
"""

_DOVECOT = """\
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{home}/server.pem
ssl_key = <{home}/server.pem
mail_location = maildir:{home}/mail/%n
first_valid_uid = 1
auth_mechanisms = plain login
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%n {home}/users
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={home}/mail/%n
}}
service auth {{
  unix_listener {home}/queue/private/auth {{
    mode = 0660
    user = postfix
    group = postfix
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
}}
"""


def missing() -> list[str]:
    """Return the missing programs, and `root` if the process is not root."""
    found = [name for name in PROGRAMS if shutil.which(name, path=_SEARCHED) is None]
    return found + (["root"] if os.geteuid() else [])


@dataclass(slots=True)
class MailServer:
    """Postfix and Dovecot in their own directory; `tls`, `starttls` and `imaps` are ports on loopback."""

    home: Path
    authority: trustme.CA
    tls: int
    starttls: int
    imaps: int
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def _ports(self) -> tuple[int, int, int]:
        return self.tls, self.starttls, self.imaps

    def start(self) -> None:
        """Start both, and wait until they listen."""
        for command in (
            ["dovecot", "-F", "-c", str(self.home / "dovecot.conf")],
            ["postfix", "-c", str(self.home / "postfix"), "start-fg"],
        ):
            with (self.home / "started.log").open("ab") as log:
                self.running.append(
                    subprocess.Popen(
                        command,
                        env={"PATH": _SEARCHED},
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )
        for port in self._ports:
            self._await(lambda port=port: _listens(port), f"no server listens on port {port}")

    def kill(self) -> None:
        """Kill both and all their processes, as a loss of power would."""
        for process in self.running:
            _kill(process.pid)
        # The master process of Postfix has its own process group.
        with suppress(FileNotFoundError):
            _kill(int((self.home / "queue" / "pid" / "master.pid").read_text()))
        for process in self.running:
            process.wait()
        self.running.clear()
        # The children of the master are not ours to wait for, and have its sockets until they are gone.
        for port in self._ports:
            self._await(lambda port=port: not _listens(port), f"a killed server listens on port {port}")

    def mails(self, user: str, least: int = 1) -> list[bytes]:
        """Wait until a user has at least so many mails and none is queued; return all, read by IMAP."""
        found: list[bytes] = []

        def arrived() -> bool:
            queued = self.waiting()
            found[:] = self._read(user)
            return len(found) >= least and not queued

        self._await(arrived, f"{user} has fewer than {least} mails")
        return found

    def waiting(self) -> list[Path]:
        """Return the mails in Postfix's queue.

        A queue file is executable once the mail is complete. Postfix may move it away at any moment.
        """
        found = []
        for place in ("maildrop", "incoming", "active", "deferred"):
            for path in (self.home / "queue" / place).rglob("*"):
                with suppress(FileNotFoundError):
                    mode = path.stat().st_mode
                    if stat.S_ISREG(mode) and mode & stat.S_IXUSR:
                        found.append(path)
        return found

    def log(self) -> str:
        """Return the content of all logs."""
        return "".join(path.read_text("utf-8", "replace") for path in sorted(self.home.glob("*.log")))

    def _read(self, user: str) -> list[bytes]:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        with imaplib.IMAP4_SSL("localhost", self.imaps, ssl_context=context, timeout=TIMEOUT) as client:
            client.login(user, "imap-password")
            client.select()
            _, (numbers,) = client.search(None, "ALL")
            answers = [client.fetch(number.decode(), "(BODY.PEEK[])")[1][0] for number in numbers.split()]
        return [answer[1] for answer in answers if isinstance(answer, tuple)]

    def _await(self, holds: Callable[[], bool], otherwise: str) -> None:
        end = time.monotonic() + TIMEOUT
        while not holds():
            assert time.monotonic() < end, f"{otherwise}:\n{self.log()}"
            time.sleep(0.05)


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """Run a mail server with the mailboxes `ann` and `bob` at mail.example and the sender `watch`."""
    # Its users must be able to enter the directory, unlike those of pytest.
    home = Path(tempfile.mkdtemp(prefix="mail-"))
    home.chmod(0o755)
    server = MailServer(home, trustme.CA(), *_ports(3))
    try:
        _set_up(server)
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(home)


def _set_up(server: MailServer) -> None:
    home = server.home
    for name in ("postfix", "queue", "data", "mail", "run", "state"):
        (home / name).mkdir()
    shutil.chown(home / "data", "postfix")
    shutil.chown(home / "mail", _OWNER)
    chain = server.authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem
    chain.write_to_path(home / "server.pem")
    (home / "server.pem").chmod(0o600)
    (home / "users").write_text(
        "".join(
            f"{user}:{word}::::::\n"
            for user, word in (("watch", SECRET), ("ann", "imap-password"), ("bob", "imap-password"))
        )
    )
    ports = {"tls": server.tls, "starttls": server.starttls, "imaps": server.imaps}
    (home / "postfix" / "main.cf").write_text(_MAIN.format(home=home))
    (home / "postfix" / "master.cf").write_text(_MASTER.format(**ports))
    (home / "dovecot.conf").write_text(_DOVECOT.format(home=home, **ports))
    # `check` creates the directories of the queue, among them that of Dovecot's socket.
    subprocess.run(["postfix", "-c", str(home / "postfix"), "check"], env={"PATH": _SEARCHED}, check=True)


def _ports(count: int) -> list[int]:
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in listening]
    for each in listening:
        each.close()
    return ports


class Relay:
    """A proxy that calls `then` after so many bytes from the client to the server."""

    def __init__(self, port: int, after: int, then: Callable[[], None]) -> None:
        self._to, self._left, self._then = port, after, then
        self.passed = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def _serve(self) -> None:
        with suppress(OSError):
            client, _ = self._listening.accept()
            server = socket.create_connection(("127.0.0.1", self._to))
            back = threading.Thread(target=self._pass, args=(server, client, False))
            back.start()
            self._pass(client, server, counts=True)
            back.join()
            client.close()
            server.close()

    def _pass(self, source: socket.socket, target: socket.socket, counts: bool) -> None:  # noqa: FBT001
        with suppress(OSError):
            while data := source.recv(512):
                target.sendall(data)
                self.passed += len(data) * counts
                if counts and self._then is not None and self.passed >= self._left:
                    then, self._then = self._then, None
                    then()
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join()
