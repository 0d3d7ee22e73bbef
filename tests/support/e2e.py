"""Helpers for tests of the whole command: a home, the command run in it, and a scripted server."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from unittest import mock

from click.testing import CliRunner
from jsonschema import Draft202012Validator

from pipeline.cli.app import main
from pipeline.reports.csv_json import schema

TIMEOUT = 30
"""Seconds after which a process that does not end fails the test."""

QUICK: Mapping[str, Any] = {"backoff": 0, "confirm_after": 0}
"""The settings of gateways unless a test has others: no pause before retries, removals by count alone."""

PUBLIC = {"public": ""}
"""One anonymous scope."""


@dataclass(frozen=True, slots=True)
class Done:
    """The exit status and output of a command."""

    code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """The output on both streams."""
        return self.stdout + self.stderr

    def json(self) -> Any:
        """Parse its output as JSON."""
        return json.loads(self.stdout)

    def rows(self) -> list[dict[str, str]]:
        """Parse its output as CSV."""
        return rows(self.stdout)


@dataclass(slots=True)
class Job:
    """A home: its config, the command run in it, and its files.

    Args:
        env: variables of the environment, such as those with secrets.
        bare: the variables that cron sets.
    """

    home: Path
    env: dict[str, str] = field(default_factory=dict)
    bare: Mapping[str, str] = field(default_factory=lambda: {"PATH": "/usr/bin:/bin"})

    def asks(
        self, url: str, *, name: str = "local", scopes: Mapping[str, str] | None = None, **settings: Any
    ) -> None:
        """Add a gateway to the config.

        Args:
            url: of the gateway.
            name: in the config.
            scopes: the inside of each scope's TOML table, such as `key = "env:A"`, by name.
            settings: of the gateway, beside `QUICK`.
        """
        lines = [f"[gateways.{name}]", f"url = {json.dumps(url)}"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in (QUICK | settings).items()]
        lines += [f"scopes.{scope} = {{{inside}}}" for scope, inside in (scopes or PUBLIC).items()]
        before = self.config.read_text("utf-8") if self.config.exists() else ""
        self.configure(before + "\n".join((*lines, "")))

    def configure(self, text: str) -> None:
        """Write the config."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.config.write_text(text, "utf-8")

    @property
    def config(self) -> Path:
        """The config file."""
        return self.home / "modelwatch.toml"

    @property
    def database(self) -> Path:
        """The database, once there is one."""
        return self.home / "modelwatch.db"

    @property
    def reports(self) -> Path:
        """The directory of the reports, once there is one."""
        return self.home / "reports"

    def written(self) -> dict[str, bytes]:
        """Return the report files by name, without the two named latest."""
        files = sorted(self.reports.iterdir()) if self.reports.is_dir() else []
        return {file.name: file.read_bytes() for file in files if file.stem != "latest"}

    def latest(self) -> Any:
        """Return the latest report, validated by the schema."""
        return valid(json.loads((self.reports / "latest.json").read_bytes()))

    def latest_rows(self) -> list[dict[str, str]]:
        """Return the rows of the latest report."""
        return rows((self.reports / "latest.csv").read_bytes().decode())

    def command(self, *arguments: str) -> list[str]:
        """Return the arguments that start the command in this home."""
        return [sys.executable, "-m", "pipeline", *arguments, "--home", str(self.home)]

    def environment(self) -> dict[str, str]:
        """Return the environment of the command."""
        return {**self.bare, **self.env}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the command in a process; as a context, it is ended when the test fails."""
        return _Process(
            self.command(*arguments),
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def run(self, *arguments: str) -> Done:
        """Run the command in a process."""
        with self.start(*arguments) as process:
            return ended(process)

    def quick(
        self, *arguments: str, at: str | None = None, home: bool = True, width: int | None = None
    ) -> Done:
        """Run the command inside this process.

        Args:
            arguments: those of the command.
            at: the time of its clock (ISO 8601 UTC).
            home: add `--home`.
            width: run it as in a terminal of so many columns.
        """
        place = ["--home", str(self.home)] if home else []
        code: object = None
        with ExitStack() as stack:
            # No gateway of the tests uses TLS; reading the system's certificates would take half of each run.
            certificates = {"SSL_CERT_DIR": str(self.home)}
            terminal = {"TERM": "xterm", "COLUMNS": str(width)} if width else {}
            environment = dict.fromkeys(os.environ) | certificates | terminal | self.environment()
            stdout, stderr, _ = stack.enter_context(CliRunner().isolation(env=environment, color=bool(width)))
            stack.enter_context(mock.patch.object(sys, "argv", ["modelwatch", *arguments, *place]))
            if width:
                stack.enter_context(mock.patch.object(sys.stdout, "isatty", return_value=True))
            try:
                main(None if at is None else lambda: at)
            except SystemExit as end:
                code = end.code
            sys.stdout.flush()
            sys.stderr.flush()
        assert isinstance(code, int)
        return Done(code, stdout.getvalue().decode(), stderr.getvalue().decode())


class _Process(subprocess.Popen[str]):
    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Wait for the process; kill it if the test has failed, as the process may wait for the test."""
        if kind:
            self.kill()
        super().__exit__(kind, *rest)


def default_signals() -> None:
    """Let processes that tests start be interrupted, although this one ignores the signals.

    Shells start jobs in the background so, and the processes inherit it:
    https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_11
    """
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def ended(process: subprocess.Popen[str]) -> Done:
    """Wait for a process to end."""
    try:
        stdout, stderr = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return Done(process.returncode, stdout, stderr)


def rows(text: str) -> list[dict[str, str]]:
    """Parse CSV; every row must have as many cells as the header."""
    header, *lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    return [dict(zip(header, line, strict=True)) for line in lines]


def valid(value: Any, part: str | None = None) -> Any:
    """Validate a report, or the named part of one, by the schema; return it."""
    described = schema()
    if part:
        described = {"$ref": f"#/$defs/{part}", "$defs": described["$defs"]}
    Draft202012Validator(described, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)
    return value


def one_line(done: Done, code: int, *parts: str) -> str:
    """Assert that a command printed only one line, on stderr, with some parts; return it."""
    assert (done.code, done.stdout) == (code, ""), done
    assert done.stderr.startswith("modelwatch: ")
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("\n")
    for part in parts:
        assert part in done.stderr
    return done.stderr


def printed(job: Job, *arguments: str, at: str | None = None) -> list[str]:
    """Return the lines that a command prints; it must succeed without a line on standard error."""
    done = job.quick(*arguments, at=at)
    assert (done.code, done.stderr) == (0, "")
    return done.stdout.splitlines()


def usage_error(job: Job, *arguments: str) -> str:
    """Return the last line that a command prints when it is used wrongly; it must exit with 2."""
    done = job.quick(*arguments)
    assert (done.code, done.stdout) == (2, "")
    return done.stderr.splitlines()[-1]


@dataclass(frozen=True, slots=True)
class Question:
    """A received request."""

    method: str
    path: str
    headers: Message
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to send; headers and reason are sent as they are."""

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    reason: str | None = None


class _Server(ThreadingHTTPServer):
    request_queue_size = (
        128  # with the default of 5, connections are refused under load and retried after a second
    )

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that has closed its connection, such as a killed one."""
        if not isinstance(sys.exception(), ConnectionError | ssl.SSLError):
            super().handle_error(request, client_address)


class Scripted:
    """A server on loopback that answers by a function, for answers that the simulator never gives.

    The function is called in a thread for each request.

    Args:
        answer: the function.
        tls: the certificate of a server over TLS, whose name is `localhost`; None for one without TLS.
    """

    def __init__(self, answer: Callable[[Question], Reply], *, tls: ssl.SSLContext | None = None) -> None:
        self._answer = answer
        self._tls = tls
        self._lock = threading.Lock()
        self._requests: list[Question] = []
        self._server = _Server(("127.0.0.1", 0), self._handler())
        if tls:
            # A handshake at the first read is one in the thread of the connection.
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        start = "https://localhost" if self._tls else "http://127.0.0.1"
        return f"{start}:{self._server.server_port}"

    @property
    def requests(self) -> list[Question]:
        """The requests, oldest first."""
        with self._lock:
            return list(self._requests)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                question = Question(self.command, self.path, self.headers, body)
                with scripted._lock:
                    scripted._requests.append(question)
                self._send(scripted._answer(question))

            do_POST = do_GET  # noqa: N815 - a name of the base

            def _send(self, reply: Reply) -> None:
                self.send_response_only(reply.status, reply.reason)
                for name, value in (*reply.headers, ("Content-Length", str(len(reply.body)))):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
                """Log nothing: `requests` has the requests."""

        return Handler


def listed(*models: str, **fields: Any) -> bytes:
    """Return a model list, each record with the same fields."""
    return listing({"id": model, "object": "model", **fields} for model in models)


def listing(records: Iterable[Mapping[str, Any]]) -> bytes:
    """Return a model list of these records."""
    return json.dumps({"object": "list", "data": list(records)}).encode()
