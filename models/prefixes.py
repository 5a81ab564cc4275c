"""What networks remember of conversations that are waiting for their next turn."""

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
class _Kept:
    """One conversation: whose network, its tokens (four bytes each), and its cache."""

    network: str
    tokens: bytes
    cache: Any


class Prefixes:
    """Caches of conversations, least recently used ones dropped first.

    Args:
        max_conversations: how many are kept.
        max_bytes: how much memory they may hold together.
    """

    def __init__(
        self, max_conversations: int = MAX_CONVERSATIONS, max_bytes: int = MAX_BYTES
    ) -> None:
        self._max_conversations = max_conversations
        self._max_bytes = max_bytes
        self._kept: list[_Kept] = []

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, network: str, tokens: Sequence[int], cache: Any) -> None:
        """Keep a conversation for its next turn; its cache holds exactly these tokens."""
        self._kept.append(_Kept(network, _packed(tokens), cache))
        while self._kept and (
            len(self._kept) > self._max_conversations
            or sum(kept.cache.nbytes for kept in self._kept) > self._max_bytes
        ):
            self._kept.pop(0)

    def take(self, network: str, tokens: Sequence[int]) -> Any | None:
        """Return a cache of the longest known beginning of a conversation, short of its end.

        A conversation that goes on takes its own cache; one that only begins like another gets
        a copy of the common part, so that the other can go on too.
        """
        wanted = _packed(tokens[:-1])
        candidates = [kept for kept in self._kept if kept.network == network]
        if not candidates:
            return None
        shared = [_common(kept.tokens, wanted) for kept in candidates]
        common = max(shared)
        ranked = zip(shared, candidates, strict=True)
        best = min(
            (kept for length, kept in ranked if length == common), key=lambda kept: len(kept.tokens)
        )
        if common == len(best.tokens):
            self._kept.remove(best)
            return best.cache
        length = common // _SIZE
        return best.cache.prefix(length) if length >= _WORTHWHILE else None


_SIZE: Final = array("i").itemsize


def _packed(tokens: Sequence[int]) -> bytes:
    return array("i", tokens).tobytes()


def _common(one: bytes, other: bytes) -> int:
    """Return how many bytes two token strings share at their beginning, in whole tokens."""
    if other.startswith(one):
        return len(one)
    most = min(len(one), len(other)) // _SIZE
    differs = bisect_left(
        range(1, most + 1), True, key=lambda n: one[: n * _SIZE] != other[: n * _SIZE]
    )
    return differs * _SIZE
