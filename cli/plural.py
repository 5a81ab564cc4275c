"""Counts with their noun, in the singular or the plural."""

from __future__ import annotations


def plural(count: int, one: str, many: str = "") -> str:
    """Write a count with its noun: '1 task', '2 tasks', '1,000 pieces of evidence'."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
