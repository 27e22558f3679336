"""Freed memory leaves the process."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys, threading, psutil
sys.path.insert(0, ".")
import allocator
if sys.argv[1] == "tuned":
    allocator.tune()
process = psutil.Process()
held = bytearray(20 << 20)
del held  # from here on, an untuned glibc keeps blocks of that size
ready = threading.Barrier(9)
def upload():
    body = bytearray()
    while len(body) < (16 << 20):
        body += bytes(65536)
    ready.wait(); ready.wait()
threads = [threading.Thread(target=upload) for _ in range(8)]
before = process.memory_info().rss
for thread in threads: thread.start()
ready.wait()
peak = process.memory_info().rss
ready.wait()
for thread in threads: thread.join()
allocator.trim()
print((peak - before) >> 20, (process.memory_info().rss - before) >> 20)
"""


def test_what_uploads_held_is_given_back_after_a_trim() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, "tuned"], capture_output=True, text=True, check=True)
    peak_mib, left_mib = map(int, done.stdout.split())
    assert peak_mib > 100
    assert left_mib < 16
