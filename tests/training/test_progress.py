"""What a trainer says of itself."""

from __future__ import annotations

import subprocess
import sys

CHILD = "from training.progress import peak_memory_mb; print(peak_memory_mb())"
PARENT = f"""
import subprocess, sys
held = b"x" * (1 << 30)
subprocess.run([sys.executable, "-c", {CHILD!r}], check=True)
"""


def test_the_memory_of_a_job_is_not_that_of_the_process_that_started_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARENT], capture_output=True, text=True, check=True
    )
    assert 50 < int(done.stdout) < 1024
