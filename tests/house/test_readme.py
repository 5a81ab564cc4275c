"""The README's Python runs and prints what its comments say."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_python_block_prints_what_it_says(block: str, tmp_path: Path) -> None:
    said = re.findall(r"print\(.*\)  # (.+)", block)
    assert said
    ran = subprocess.run(
        [sys.executable, "-c", block],
        cwd=tmp_path,  # where the memory and the files of the block go
        env={**os.environ, "PYTHONPATH": str(ROOT), "APPRENTICE_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=1000,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == said


def test_every_make_target_it_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z]+)", (ROOT / "README.md").read_text()))
    assert named <= targets


def test_every_file_it_links_to_exists() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
