"""Run one program and print its seconds from start to exit, its peak memory, its exit status and CPU.

The memory is in bytes, the CPU in seconds.

It is a small process, since the peak memory of a program includes that of its parent at the start.
"""

import os
import sys
import time

output, *words = sys.argv[1:]
into = [
    (os.POSIX_SPAWN_OPEN, 1, output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
    (os.POSIX_SPAWN_DUP2, 1, 2),
]
began = time.perf_counter()
process = os.posix_spawnp(words[0], words, os.environ, file_actions=into)
_, status, used = os.wait4(process, 0)
seconds = time.perf_counter() - began
peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
cpu = used.ru_utime + used.ru_stime
sys.stdout.write(f"{seconds} {peak} {os.waitstatus_to_exitcode(status)} {cpu}\n")
