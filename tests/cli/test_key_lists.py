"""Gateways whose keys come as a list: from a program or a file that has the keys themselves."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.e2e import Job, Question, Reply, Scripted, listed, listing, one_line

from pipeline.api import home
from pipeline.config import load
from pipeline.core.shards import Shard

KEYS = {f"k{number}": f"sk-list-key-of-number-{number:04d}" for number in range(8)}
AT = [f"2026-05-01T{hour:02d}:00:00Z" for hour in range(24)]


class Vault:
    """A program that prints a list of keys, and counts its starts."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._starts = place / "starts"
        self._list = place / "list"
        self.program = place / "vault"
        self.holds(KEYS)
        self.works()

    def holds(self, keys: dict[str, str], group: str = "vip") -> None:
        """Set the list."""
        lines = [f"{name},{key},{group}" for name, key in keys.items()]
        self._list.write_text("\n".join(("name,key,group", *lines, "")))

    def works(self, end: str = "exit 0") -> None:
        """Let the program print the list, or end otherwise."""
        script = f"#!/bin/sh\necho x >>{self._starts}\ncat {self._list}\n{end}\n"
        self.program.write_text(script)
        self.program.chmod(0o755)

    @property
    def starts(self) -> int:
        """How often the program was started."""
        return len(self._starts.read_text().split()) if self._starts.exists() else 0


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """A vault with eight keys."""
    place = tmp_path / "vault"
    place.mkdir()
    return Vault(place)


@pytest.fixture
def hub(tmp_path: Path, vault: Vault) -> Iterator[SimpleNamespace]:
    """A home with a gateway whose keys are in the vault, and another gateway."""

    def answer(asked: Question) -> Reply:
        key = asked.headers.get("Authorization", "").removeprefix("Bearer ")
        return Reply(listed("a", "b")) if not key or key in KEYS.values() else Reply(b"{}", 401)

    job = Job(tmp_path / "home", bare={"PATH": "/usr/bin:/bin"})
    with Scripted(answer) as server:
        config = (
            f'[gateways.hub]\nurl = "{server.url}"\nkeys = "command:{vault.program}"\nbackoff = 0\n'
            f'[gateways.open]\nurl = "{server.url}"\nscopes.public = {{}}\nbackoff = 0\n'
        )
        job.configure(config)
        yield SimpleNamespace(job=job, server=server, vault=vault, config=config)


def states(job: Job) -> dict[str, str]:
    """Return the state of each scope by its name."""
    return {row["scope"]: row["state"] for row in job.quick("scopes", "--json").json()}


def test_a_list_gives_scopes_and_is_read_once_in_a_run(hub: SimpleNamespace) -> None:
    done = hub.job.quick("run", "-v", at=AT[0])
    assert (done.code, hub.vault.starts) == (0, 1)
    rows = {row["scope"]: row for row in hub.job.quick("scopes", "--json").json()}
    assert rows.keys() == {"open/public", *(f"hub/{name}" for name in KEYS)}
    assert {(row["key"], row["group"]) for row in rows.values()} == {(None, None), ("command:", "vip")}
    hub.job.quick("run", at=AT[1])
    assert hub.vault.starts == 2
    assert hub.job.quick("check").code == 0
    assert hub.vault.starts == 3


READING = (
    ("status",),
    ("scopes",),
    ("models",),
    ("watch", "a"),
    ("changes",),
    ("show", "a"),
    ("report", "--since", "1d"),
    ("schedule", "crontab"),
    ("schedule", "kubernetes"),
    ("verify",),
    ("--help",),
)


def test_no_command_that_only_reads_starts_the_program(hub: SimpleNamespace) -> None:
    hub.job.quick("run", at=AT[0])
    for words in READING:
        done = hub.job.quick(*words, at=AT[1], home=words != ("--help",))
        assert done.code == 0, (words, done.output)
    assert home(hub.job.home).names().gateways == ["hub", "open"]
    assert hub.vault.starts == 1


def test_a_list_that_cannot_be_had_fails_its_scopes_alone_and_retires_none(hub: SimpleNamespace) -> None:
    hub.job.quick("run", at=AT[0])
    hub.vault.works("exit 3")
    done = hub.job.quick("run", at=AT[1])
    assert (done.code, hub.vault.starts) == (3, 2)
    problem = (
        "hub: 8 scopes: failing since 2026-05-01 01:00: command: exited with 3; nothing was sent: "
        "run the program of `keys` as the user of the job, to see what it says"
    )
    assert problem in done.stderr
    assert "must be CSV" not in done.stderr
    assert states(hub.job) == {"open/public": "ok"} | {f"hub/{name}": "failed" for name in KEYS}
    hub.vault.works()
    assert hub.job.quick("run", at=AT[2]).code == 0
    assert set(states(hub.job).values()) == {"ok"}
    assert hub.job.quick("changes").stdout == "no changes\n"


@pytest.mark.parametrize(
    ("text", "problem", "cure"),
    [
        ("", "command: the list is empty; nothing was sent", "the list of `keys` must be CSV"),
        (
            f"name,key\nk1,{KEYS['k1']}\nk1,{KEYS['k2']}\n",
            "command: line 3 of the list has the name of an earlier",
            "correct it where the list of `keys` is made",
        ),
        ("\x00", "command: the list is no text", "the list of `keys` must be CSV"),
    ],
)
def test_without_recorded_scopes_a_bad_list_is_an_error_of_the_config(
    hub: SimpleNamespace, tmp_path: Path, text: str, problem: str, cure: str
) -> None:
    (tmp_path / "vault" / "list").write_text(text)
    for command in ("run", "check"):
        done = hub.job.quick(command)
        line = one_line(done, 78, "modelwatch.toml: gateways.hub.keys: ", problem, cure)
        assert not any(key in line for key in KEYS.values())
    assert hub.job.quick("probe", "hub").code == 78
    assert hub.job.quick("probe", "open").code == 0


def test_an_empty_list_removes_no_scope(hub: SimpleNamespace, tmp_path: Path) -> None:
    hub.job.quick("run", at=AT[0])
    hub.vault.holds({})
    done = hub.job.quick("run", at=AT[1])
    assert done.code == 3
    assert "hub: 8 scopes: failing since 2026-05-01 01:00: command: the list has no key;" in done.stderr


def test_names_that_leave_the_list_are_retired_unless_they_are_many_at_once(hub: SimpleNamespace) -> None:
    hub.job.quick("run", at=AT[0])
    names = list(KEYS)
    hub.vault.holds({name: KEYS[name] for name in names[2:]})
    assert hub.job.quick("run", at=AT[1]).code == 0
    assert states(hub.job)["hub/k0"] == "retired"
    # Six were left; one of them remains.
    hub.vault.holds({"k7": KEYS["k7"]})
    done = hub.job.quick("run", at=AT[2])
    assert done.code == 3
    assert "command: has no key of this name any more" in done.stderr
    assert "run once with `max_loss = 1` for the gateway" in done.stderr
    found = states(hub.job)
    assert [found[f"hub/k{number}"] for number in (1, 2, 6, 7)] == ["retired", "failed", "failed", "ok"]
    hub.job.configure(hub.config.replace("backoff = 0\n[", "backoff = 0\nmax_loss = 1\n[", 1))
    assert hub.job.quick("run", at=AT[3]).code == 0
    assert [name for name, state in states(hub.job).items() if state == "ok"] == ["hub/k7", "open/public"]


def test_a_run_of_some_scopes_reads_only_the_lists_that_may_have_them(hub: SimpleNamespace) -> None:
    hub.job.quick("run", at=AT[0])
    assert hub.job.quick("run", "--scope", "open/public", at=AT[1]).code == 0
    assert hub.vault.starts == 1
    asked = len(hub.server.requests)
    assert hub.job.quick("run", "--scope", "hub/k3", "--scope", "hub/k[12]", at=AT[2]).code == 0
    assert (hub.vault.starts, len(hub.server.requests) - asked) == (2, 3)
    assert (
        "no scope matches 'hub/k33': did you mean hub/k3?"
        in hub.job.quick("run", "--scope", "hub/k33").output
    )
    assert set(states(hub.job).values()) == {"ok"}


def test_a_scope_of_the_config_and_one_of_the_list_need_different_names(hub: SimpleNamespace) -> None:
    hub.job.configure(hub.config.replace("backoff", "scopes.k1 = {}\nbackoff", 1))
    one_line(hub.job.quick("run"), 78, "gateways.hub.keys: has 2 scopes named hub/k1: give each its own name")


def test_the_keys_of_a_list_are_masked_in_the_answers_to_all_its_scopes(
    hub: SimpleNamespace, tmp_path: Path
) -> None:
    """Also in those to other scopes of the gateway."""
    short = {"s": "abc123"}
    hub.vault.holds(KEYS | short)

    def answer(asked: Question) -> Reply:
        own = asked.headers.get("Authorization", "").removeprefix("Bearer ")
        notes = [{"id": f"of-{name}", "note": key, "own": own} for name, key in KEYS.items() if own]
        if own == KEYS["k1"]:
            return Reply(json.dumps({"error": KEYS["k2"]}).encode(), 400)
        return Reply(listing(notes or [{"id": "a"}]))

    with Scripted(answer) as server:
        hub.job.configure(hub.config.replace(hub.server.url, server.url))
        outputs = [hub.job.quick(*words).output for words in (("run", "-vv"), ("check",), ("status",))]
    assert "command: of `keys`: 1 key (s) of fewer than 8 letters" in outputs[1]
    places = [path.read_bytes() for path in hub.job.home.rglob("*") if path.is_file()]
    shown = b"".join([*places, *(text.encode() for text in outputs)])
    assert b"***" in shown
    assert [name for name, key in KEYS.items() if key.encode() in shown] == []


def test_a_scope_that_is_pickled_has_a_reference_and_no_key(hub: SimpleNamespace) -> None:
    config = load(hub.job.config)
    scope = config.key_lists[0].scope("k1", "vip")
    data = pickle.dumps(scope)
    assert KEYS["k1"].encode() not in data
    assert pickle.loads(data) == scope
    assert (scope.reference, scope.key_hint) == (f"command:{hub.vault.program}", "command:")


def test_a_file_has_a_list_too(hub: SimpleNamespace) -> None:
    keys = hub.job.home / "keys.json"
    keys.write_text(json.dumps(KEYS))
    hub.job.configure(hub.config.replace(f"command:{hub.vault.program}", "file:keys.json"))
    done = hub.job.quick("check")
    assert (done.code, hub.vault.starts) == (0, 0)
    keys.unlink()
    one_line(hub.job.quick("run"), 78, "gateways.hub.keys: file: cannot be read", "No such file")


def test_commands_on_names_say_that_the_list_has_them(hub: SimpleNamespace) -> None:
    hub.job.quick("run", at=AT[0])
    assert (
        "the list of `keys` must name it other too" in hub.job.quick("rename", "hub/k1", "hub/other").stdout
    )
    done = hub.job.quick("forget", "hub/other", "--yes")
    assert "the next run records anew those that the list of `keys` still has: hub" in done.stdout


def test_answers_can_be_imported_into_a_scope_of_a_list(hub: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "2026-04-01T00-00-00Z.json").write_bytes(listed("a"))
    assert hub.job.quick("import", "hub/k1", str(tmp_path / "saved")).code == 0
    assert hub.vault.starts == 0
    assert hub.job.quick("run", at=AT[0]).code == 0
    assert [row["model"] for row in hub.job.quick("changes", "--scope", "hub/k1", "--json").json()] == ["b"]


def test_a_list_cannot_come_from_a_variable(hub: SimpleNamespace) -> None:
    hub.job.configure(hub.config.replace(f"command:{hub.vault.program}", "env:KEYS"))
    one_line(
        hub.job.quick("run"), 78, "gateways.hub.keys: cannot be a variable: write a file, `command:…` or"
    )


SHARDS = 3


def test_shards_in_databases_of_their_own_have_each_scope_once(hub: SimpleNamespace, tmp_path: Path) -> None:
    found: list[str] = []
    for number in range(1, SHARDS + 1):
        job = Job(tmp_path / f"shard-{number}")
        job.configure(hub.config)
        assert job.quick("run", "--shard", f"{number}/{SHARDS}").code == 0
        assert all(name in Shard(number, SHARDS) for name in states(job))
        found += states(job)
    assert sorted(found) == sorted(["open/public", *(f"hub/{name}" for name in KEYS)])


def test_shards_in_one_database_retire_only_their_own(hub: SimpleNamespace) -> None:
    hub.job.quick("run", at=AT[0])
    kept = {name: key for name, key in KEYS.items() if name not in ("k0", "k1")}
    hub.vault.holds(kept)
    gone = {"hub/k0", "hub/k1"}
    for number in range(1, SHARDS + 1):
        assert hub.job.quick("run", "--shard", f"{number}/{SHARDS}", at=AT[number]).code == 0
        retired = {name for name, state in states(hub.job).items() if state == "retired"}
        assert retired == {
            name for name in gone if any(name in Shard(n, SHARDS) for n in range(1, number + 1))
        }


def test_a_list_that_lost_many_retires_none_however_few_are_in_a_shard(hub: SimpleNamespace) -> None:
    hub.job.quick("run", at=AT[0])
    hub.vault.holds({"k7": KEYS["k7"]})
    for number in range(1, SHARDS + 1):
        hub.job.quick("run", "--shard", f"{number}/{SHARDS}", at=AT[number])
    done = hub.job.quick("run", "--scope", "hub/k0", at=AT[SHARDS + 1])
    assert (done.code, "retired" in states(hub.job).values()) == (4, False)


def test_a_shard_without_scopes_is_a_run_that_asks_nothing(hub: SimpleNamespace) -> None:
    number = next(n for n in range(1, 101) if not any(f"hub/{name}" in Shard(n, 100) for name in KEYS))
    done = hub.job.quick("run", "--shard", f"{number}/100", at=AT[0])
    assert (done.code, done.output) == (0, "")
    assert "no shard" in hub.job.quick("run", "--shard", "5/4").stderr


# What the programs print is that of their documentation; only gpg is here.

FAKES = {
    # https://developer.hashicorp.com/vault/docs/commands/kv/get
    "vault": """
        test "$*" = "kv get -mount=secret -field=keys hub" && printf 'name,key,group\\nk1,%s,vip' "$KEY"
        """,
    "vault in JSON": """
        test "$*" = "kv get -mount=secret -format=json hub" || exit 1
        printf '{"request_id": "f1", "data": {"data": {"k1": "%s"}, "metadata": {"version": 3}}}\\n' "$KEY"
        """,
    # https://getsops.io/docs/usage/advanced/
    "sops": """
        test "$*" = "-d keys.enc.json" || exit 1
        printf '{\\n\\t"k1": {\\n\\t\\t"key": "%s",\\n\\t\\t"group": "vip"\\n\\t}\\n}\\n' "$KEY"
        """,
    # https://developer.1password.com/docs/cli/reference/commands/read
    "op": """
        test "$*" = "read op://prod/hub/keys.csv" && printf 'name,key,group\\r\\nk1,%s,vip\\r\\n' "$KEY"
        """,
}

COMMANDS = {
    "vault": "vault kv get -mount=secret -field=keys hub",
    "vault in JSON": "sh -c 'vault kv get -mount=secret -format=json hub | jq .data.data'",
    "sops": "sops -d keys.enc.json",
    "op": "op read op://prod/hub/keys.csv",
}


@pytest.mark.parametrize("name", FAKES)
def test_the_command_line_of_a_vault_gives_a_list(hub: SimpleNamespace, tmp_path: Path, name: str) -> None:
    if "jq" in COMMANDS[name] and not shutil.which("jq"):
        pytest.skip("there is no jq")
    programs = tmp_path / "programs"
    programs.mkdir()
    program = programs / name.split(maxsplit=1)[0]
    program.write_text(f"#!/bin/sh\n{FAKES[name].strip()}\n")
    program.chmod(0o755)
    job = Job(hub.job.home, {"KEY": KEYS["k1"]}, {"PATH": f"{programs}:/usr/bin:/bin"})
    job.configure(
        hub.config.replace(f'"command:{hub.vault.program}"', json.dumps(f"command:{COMMANDS[name]}"))
    )
    done = job.run("run")
    assert done.code == 0, done.output
    assert states(job) == {"hub/k1": "ok", "open/public": "ok"}


@pytest.mark.skipif(not shutil.which("gpg"), reason="there is no gpg")
def test_gpg_decrypts_a_list(hub: SimpleNamespace, tmp_path: Path) -> None:
    keyring = tmp_path / "gnupg"
    keyring.mkdir(mode=0o700)
    job = Job(hub.job.home, {"GNUPGHOME": str(keyring)})
    gpg = ["gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]

    def run(*words: str, stdin: str = "") -> None:
        subprocess.run([*gpg, *words], check=True, env=job.environment(), input=stdin, text=True)

    run("--quick-generate-key", "modelwatch@example.com", "default", "default", "never")
    file, text = hub.job.home / "keys.csv.gpg", f"name,key\nk1,{KEYS['k1']}\n"
    run("--encrypt", "--recipient", "modelwatch@example.com", "--output", str(file), stdin=text)
    job.configure(hub.config.replace(str(hub.vault.program), f"gpg --batch --quiet -d {file}"))
    done = job.run("run")
    subprocess.run(["gpgconf", "--kill", "all"], check=False, env=job.environment())
    assert done.code == 0, done.output
    assert states(job)["hub/k1"] == "ok"


def test_a_scope_of_another_shard_is_not_asked_though_it_is_named(hub: SimpleNamespace) -> None:
    number = next(n for n in (1, 2) if "hub/k1" not in Shard(n, 2))
    done = hub.job.quick("run", "--shard", f"{number}/2", "--scope", "hub/k1", at=AT[0])
    assert (done.code, done.output) == (0, "")
    assert hub.server.requests == []
    assert "no scope matches 'hub/zz'" in hub.job.quick("run", "--shard", "1/2", "--scope", "hub/zz").stderr
