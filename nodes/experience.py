"""Placeholder."""

from __future__ import annotations

from memory.experience import Experience


async def experience(tenant: str) -> Experience:
    """Open a tenant's memory."""
    raise NotImplementedError
