"""`make help` names every target, and no target is missing."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

TARGETS = {
    "alfworld", "bench", "check", "clerk", "figures", "format", "help", "install", "learn",
    "lowest", "novice", "serve", "soak", "test",
}  # fmt: skip


def test_help_is_the_default_and_lists_every_target(root: Path) -> None:
    listed = subprocess.run(
        ["make", "--no-print-directory"], cwd=root, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert {line.split()[0] for line in listed} == TARGETS
    assert all(len(line.split()) > 1 for line in listed)


def test_every_target_is_phony(root: Path) -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (root / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == TARGETS
