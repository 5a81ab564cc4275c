"""Reading of turns that are answers and not commands: the text without the thoughts."""

from __future__ import annotations

import re
from typing import Final

from apprentice.state.messages import REASONING

THOUGHT: Final = re.compile(r"(?:think|thought|thinking)s?(?: \d+)?\s*:", re.I)

_ANSWER: Final = re.compile(r"^[\s*_#]*(?:final )?answer[\s*_]*:[\s*_]*", re.I | re.M)


def without_thoughts(text: str) -> str:
    """Return a turn without <think> blocks and without lines that begin with 'think:'."""
    lines = REASONING.sub("", text).splitlines()
    return "\n".join(line for line in lines if not THOUGHT.match(line.strip())).strip()


def answer(text: str) -> str:
    """Return the text after the last 'Answer:' of a turn; without one, the whole turn.

    Thoughts are left out.
    """
    visible = without_thoughts(text)
    marks = list(_ANSWER.finditer(visible))
    return visible[marks[-1].end() :].strip(" *_\n") if marks else visible
