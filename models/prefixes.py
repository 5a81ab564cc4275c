"""Caches of conversations that wait for their next turn."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

MAX_CONVERSATIONS: Final = 256
MAX_BYTES: Final = 2**30
_WORTHWHILE: Final = 16


@dataclass(frozen=True)
class _Entry:
    """One conversation: its network, its tokens (four bytes each) and its cache."""

    network: str
    tokens: bytes
    cache: Any


class Prefixes:
    """Caches of conversations. The least recently used ones are dropped first.

    Args:
        max_conversations: the largest number of caches.
        max_bytes: the largest size of all caches together.
    """

    def __init__(
        self, max_conversations: int = MAX_CONVERSATIONS, max_bytes: int = MAX_BYTES
    ) -> None:
        self._max_conversations = max_conversations
        self._max_bytes = max_bytes
        self._entries: list[_Entry] = []

    def __len__(self) -> int:
        return len(self._entries)

    def keep(self, network: str, tokens: Sequence[int], cache: Any) -> None:
        """Store a conversation's cache for its next turn. It holds exactly these tokens."""
        self._entries.append(_Entry(network, _pack(tokens), cache))
        while self._entries and (
            len(self._entries) > self._max_conversations
            or sum(entry.cache.nbytes for entry in self._entries) > self._max_bytes
        ):
            self._entries.pop(0)

    def take(self, network: str, tokens: Sequence[int]) -> Any | None:
        """Return a cache of the longest stored prefix of a conversation, without its last token.

        A conversation that continues takes its own cache. One that only begins like another gets a
        copy of the common part, so that the other can continue too.
        """
        packed_tokens = _pack(tokens[:-1])
        candidates = [entry for entry in self._entries if entry.network == network]
        if not candidates:
            return None
        lengths = [_common(entry.tokens, packed_tokens) for entry in candidates]
        common = max(lengths)
        pairs = zip(lengths, candidates, strict=True)
        best = min(
            (entry for length, entry in pairs if length == common),
            key=lambda entry: len(entry.tokens),
        )
        if common == len(best.tokens):
            self._entries.remove(best)
            return best.cache
        length = common // _SIZE
        return best.cache.prefix(length) if length >= _WORTHWHILE else None


_SIZE: Final = array("i").itemsize


def _pack(tokens: Sequence[int]) -> bytes:
    return array("i", tokens).tobytes()


def _common(one: bytes, other: bytes) -> int:
    """Return the length of the common prefix of two token strings, in bytes of whole tokens."""
    if other.startswith(one):
        return len(one)
    most = min(len(one), len(other)) // _SIZE
    differs = bisect_left(
        range(1, most + 1), True, key=lambda n: one[: n * _SIZE] != other[: n * _SIZE]
    )
    return differs * _SIZE
