"""Samples for a model trained from scratch: chats, and which of their turns it learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Part(NamedTuple):
    """One message of a sample: its role, its text, and whether the model learns it in full."""

    role: str
    text: str
    learn: bool


@dataclass(frozen=True)
class Sample:
    """A chat to learn from, and its kind of exercise."""

    kind: str
    parts: tuple[Part, ...]
