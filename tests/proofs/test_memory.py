"""The memory of a run, whatever a gateway sends, at 25 scopes with unlike answers."""

import gzip
import subprocess
import sys

import pytest
from support import amount
from support.e2e import Job, Reply, Scripted

pytestmark = pytest.mark.proofs

SCOPES = 25
MOST = 300_000
"""Kilobytes of the largest resident set."""

MEASURED = """
import atexit, sys
from pathlib import Path
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    Path(sys.argv.pop()).write_text(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
arguments, sys.argv = sys.argv, sys.argv[:-1]
atexit.register(lambda: (setattr(sys, "argv", arguments), peak()))
from pipeline.cli.app import main
main()
"""


def models(number, row):
    return b'{"data":[' + b",".join(b'{"id":"m%d"%s}' % (each, row) for each in range(number)) + b"]}"


PRICED = b',"pricing":{"prompt":"0.000001","completion":"0.00002"},"text":"' + "é".encode() * 330 + b'"'
BODIES = {
    "a bomb": models(300_000, b',"text":"' + b"a" * 150 + b'"'),
    "a million models": models(1_000_000, b""),
    "as many models as may be": models(20_000, b""),
    "as large a list as may be": models(10_400, PRICED),
    "empty objects": b'{"data":[' + b",".join([b"{}"] * 2_700_000) + b"]}",
    "a text of wide letters": b'{"data":[{"id":"m\xff"},{"id":"a","x":"'
    + b"a " * 4_000_000
    + "😀".encode()
    + b'"}]}',
    "as many values as may be": b'{"data":[{"id":"a","x":['
    + b",".join(b'{"%d":{}}' % each for each in range(160_000))
    + b'],"m":"\xff"},{"id":"b"}]}',
    "the key in escapes": b'{"data":[{"id":"m","x":"%b"}]}'
    % (b"".join(b"%%%02x" % letter for letter in b"a-secret-key") * 200_000),
    "the key again and again": b'{"data":[{"id":"m","x":"%b"}]}' % (b"a-secret-key-00" * 500_000),
    "one long name": b'{"data":[{"id":"b"},{"id":"m","' + b"price_per_" * 800_000 + b'":1}]}',
}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", list(BODIES)[:: amount(3, 1)])
def test_no_answer_takes_more_than_300_megabytes(tmp_path, name):
    body = BODIES[name]

    def unlike(question):
        own = question.headers["Authorization"].encode()[-2:]
        packed = gzip.compress(body.replace(b'"m', b'"' + own), 1)
        return Reply(packed, headers=(("Content-Encoding", "gzip"),))

    job = Job(tmp_path / "home", {f"K{number}": f"a-secret-key-{number:02}" for number in range(SCOPES)})
    job.configure("deadline = 20\n")
    peak = tmp_path / "peak"
    with Scripted(unlike) as server:
        job.asks(
            server.url,
            attempts=1,
            scopes={f"s{number}": f'key = "env:K{number}"' for number in range(SCOPES)},
        )
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, "run", "--home", str(job.home), str(peak)],
            env=job.environment(),
            capture_output=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
    assert done.returncode in (0, 3, 4), done.stderr
    assert "Traceback" not in done.stderr
    assert int(peak.read_text()) < MOST
