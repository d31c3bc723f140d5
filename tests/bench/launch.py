"""Starts one program, waits for it, and prints what it took as JSON: exit
status, seconds of wall and of CPU, kilobytes resident at most.

A process of its own, as a program's peak memory counts that of the process
that starts it: this one stays small.
"""

import json
import os
import sys
import time

argv, given, written = json.loads(sys.argv[1])
actions = [
    (os.POSIX_SPAWN_OPEN, 0, given, os.O_RDONLY, 0),
    (os.POSIX_SPAWN_OPEN, 1, written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
]
began = time.perf_counter()
child = os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions)
_, status, used = os.wait4(child, 0)
wall = time.perf_counter() - began
cpu = used.ru_utime + used.ru_stime
print(json.dumps([os.waitstatus_to_exitcode(status), wall, cpu, used.ru_maxrss]))
