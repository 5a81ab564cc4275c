"""Figures in words, as people read them."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """Write a number of things: '1 task', '2 tasks', '1,000 pieces of evidence'."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
