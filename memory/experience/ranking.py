"""Combine rankings: fuse several into one, and move similar results down.

Sources: reciprocal rank fusion, Cormack et al. 2009; maximal marginal relevance, Carbonell and
Goldstein 1998.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Final

import numpy as np

RRF_K: Final = 60
"""A larger value gives the first ranks less weight. Cormack et al. use 60."""

Vectors = Sequence[Sequence[float]]


def fuse(rankings: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Fuse rankings into one score per item, the best first; 1 for an item that is first in all.

    Items with the same score in a ranking share a rank, so the result does not depend on the order
    in which an engine returns equals. Items with the same fused score are sorted by name.

    Args:
        rankings: the scores of the items in each ranking, in any order.
    """
    scores: dict[str, float] = {}
    for ranking in rankings:
        for item, rank in _ranks(ranking).items():
            scores[item] = scores.get(item, 0.0) + (RRF_K + 1) / (RRF_K + rank) / len(rankings)
    return dict(sorted(scores.items(), key=lambda pair: (-pair[1], pair[0])))


def plain(score: float) -> float:
    """Round a score to five digits: further digits differ between engines."""
    return float(f"{score:.5g}")


def _ranks(ranking: Mapping[str, float]) -> dict[str, int]:
    """Return each item's rank: the number of items with a higher score, plus one."""
    ranks: dict[str, int] = {}
    before, first = inf, 0
    by_score = sorted(ranking.items(), key=lambda pair: -pair[1])
    for place, (item, score) in enumerate(by_score, 1):
        if (certain := plain(score)) != before:
            before, first = certain, place
        ranks[item] = first
    return ranks


def similarities(query: Sequence[float], vectors: Vectors) -> list[float]:
    """Return the cosine similarity of each vector to the query."""
    if not vectors:
        return []
    return [float(value) for value in _unit(vectors) @ _unit([query])[0]]


def diverse(relevance: Sequence[float], vectors: Vectors, diversity: float) -> list[int]:
    """Order results by maximal marginal relevance: relevant, and unlike the ones before.

    Args:
        relevance: one value per result, 0 to 1.
        vectors: one vector per result.
        diversity: the weight of being unlike earlier results, 0 to 1.

    Returns:
        The indices of the results, the best first.
    """
    if not vectors:
        return []
    units = _unit(vectors)
    worth = np.asarray(relevance, dtype=np.float32) * (1 - diversity)
    repeats = np.zeros(len(vectors), dtype=np.float32)
    open_ = np.ones(len(vectors), dtype=bool)
    order: list[int] = []
    for _ in range(len(vectors)):
        gains = np.where(open_, worth - diversity * repeats, -np.inf)
        place = int(np.argmax(gains))
        order.append(place)
        open_[place] = False
        repeats = np.maximum(repeats, units @ units[place])
    return order


def _unit(vectors: Vectors) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    rows = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    units: np.ndarray[tuple[int, int], np.dtype[np.float32]] = rows / np.maximum(lengths, 1e-12)
    return units
