"""Build the project's wheels, and lend what they need to an environment that has none of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement


def build(root: Path, folder: Path, project: str = ".") -> Path:
    """Build a wheel from a copy of the tracked files, offline."""
    copy = folder / "source"
    copy.mkdir()
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=root, check=True, capture_output=True, text=True).stdout
    for name in filter(None, files.split("\0")):
        if (root / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, copy / name, follow_symlinks=False)
    script = "import setuptools.build_meta as b, sys; print(b.build_wheel(sys.argv[1]))"
    subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        cwd=copy / project,
        check=True,
        capture_output=True,
    )
    return next(folder.glob("*.whl"))


def lend(requirements: Iterable[str], packages: Path) -> None:
    """Link what requirements bring along, as it is installed here, into a folder of packages."""
    for each in _brought(requirements):
        for name in {file.parts[0] for file in each.files or ()} - {"..", "__pycache__"}:
            if not (packages / name).exists():
                (packages / name).symlink_to(Path(str(each.locate_file(name))))


def _brought(requirements: Iterable[str]) -> list[Distribution]:
    """Return the installed distributions that requirements name, and those that they need."""
    waiting, seen, found = list(map(Requirement, requirements)), set(), {}
    while waiting:
        wanted = waiting.pop()
        if str(wanted) in seen:
            continue
        seen.add(str(wanted))
        here = found[wanted.name] = distribution(wanted.name)
        for needed in map(Requirement, here.requires or ()):
            extras = ["", *wanted.extras]
            if not needed.marker or any(needed.marker.evaluate({"extra": one}) for one in extras):
                waiting.append(needed)
    return list(found.values())
