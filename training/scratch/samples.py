"""What a model that is trained from nothing reads: chats, and which of their turns it learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Part(NamedTuple):
    """One message of a sample: role, text, and whether its tokens are learned in full."""

    role: str
    text: str
    learn: bool


@dataclass(frozen=True)
class Sample:
    """One chat to learn from, and the kind of exercise it is."""

    kind: str
    parts: tuple[Part, ...]
