"""Turns that are answers rather than commands: what is said, without what was only thought."""

from __future__ import annotations

import re
from typing import Final

from apprentice.state.messages import REASONING

THOUGHT: Final = re.compile(r"(?:think|thought|thinking)s?(?: \d+)?\s*:", re.I)

_ANSWER: Final = re.compile(r"^[\s*_#]*(?:final )?answer[\s*_]*:[\s*_]*", re.I | re.M)


def without_thoughts(text: str) -> str:
    """Return a turn without what stands in <think> tags or on lines that begin with 'think:'."""
    lines = REASONING.sub("", text).splitlines()
    return "\n".join(line for line in lines if not THOUGHT.match(line.strip())).strip()


def answer(text: str) -> str:
    """Return what a turn gives as the answer: what follows its last 'Answer:', else all it says."""
    spoken = without_thoughts(text)
    marks = list(_ANSWER.finditer(spoken))
    return spoken[marks[-1].end() :].strip(" *_\n") if marks else spoken
