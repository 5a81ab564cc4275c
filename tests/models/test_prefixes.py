"""The cache of conversations returns the longest prefix, and its size is bounded."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from apprentice.models.prefixes import Prefixes

TOKENS = st.lists(st.integers(0, 2), min_size=1, max_size=40)


@dataclass
class Remembered:
    """A cache that holds its tokens."""

    tokens: list[int]
    nbytes: int = 100

    def prefix(self, length: int) -> Remembered:
        return Remembered(self.tokens[:length])


def common(one: list[int], other: list[int]) -> int:
    length = 0
    while one[: length + 1] == other[: length + 1] and length < min(len(one), len(other)):
        length += 1
    return length


@given(kept=st.lists(TOKENS, max_size=8), wanted=TOKENS)
def test_the_longest_common_prefix_is_returned(kept: list[list[int]], wanted: list[int]) -> None:
    prefixes = Prefixes()
    for tokens in kept:
        prefixes.keep("", tokens, Remembered(tokens))
    most = max((common(tokens, wanted[:-1]) for tokens in kept), default=0)
    whole = any(tokens == wanted[:-1][: len(tokens)] and len(tokens) == most for tokens in kept)

    taken = prefixes.take("", wanted)

    if taken is None:
        assert most < 16
        assert not whole
    else:
        assert taken.tokens == wanted[:most]


def test_a_continued_conversation_takes_its_cache() -> None:
    prefixes = Prefixes()
    cache = Remembered([1] * 20)
    prefixes.keep("", cache.tokens, cache)
    assert prefixes.take("", [*cache.tokens, 2, 3]) is cache
    assert len(prefixes) == 0


def test_networks_do_not_share_caches() -> None:
    prefixes = Prefixes()
    prefixes.keep("adapter", [1] * 20, Remembered([1] * 20))
    assert prefixes.take("", [1] * 21) is None


def test_the_least_recently_used_are_dropped_by_number_and_by_memory() -> None:
    few = Prefixes(max_conversations=2)
    small = Prefixes(max_bytes=250)
    for prefixes in (few, small):
        for token in (1, 2, 3):
            prefixes.keep("", [token] * 20, Remembered([token] * 20))
        assert prefixes.take("", [1] * 21) is None
        assert prefixes.take("", [3] * 21).tokens == [3] * 20  # type: ignore[union-attr]
        assert len(prefixes) == 1
