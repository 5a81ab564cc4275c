"""Recall: filter the points, rank them, and pick the ones to show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from apprentice.memory.experience.engine import RANKING, Hit, SearchEngine, Sparse, Where
from apprentice.memory.experience.points import (
    OUTCOMES,
    Kind,
    shelf,
    sparse,
    step_subject,
    subject,
    task_key,
)
from apprentice.memory.experience.ranking import diverse, fuse, plain, similarities
from apprentice.state.experience import How, OutcomeFilter, Query, What
from apprentice.state.trajectory import digest

_POINTS: Final[dict[What, Kind]] = {
    "tasks": "attempt",
    "steps": "step",
    "reflections": "reflection",
}
BY_MEANING: Final[tuple[How, ...]] = ("meaning", "hybrid")
_PER_RESULT: Final = 4
_FEWEST: Final = 20
_MOST: Final = 2_000
_ALIKE: Final = 300
"""Up to this depth, a ranking is read further to resolve equal scores at its end."""
_PAGE: Final = 1_000


class Candidate(NamedTuple):
    """A point that may be shown, and its worth in the choice, 0 to 1."""

    hit: Hit
    worth: float


def recall_filter(query: Query, tenant: str) -> Where:
    """Return the filter for recall. No other function decides what may be recalled.

    It excludes other tenants' points, attempts at the same task, held-out splits (which have no
    shelf), near-duplicates, and attempts without a verdict.
    """
    outcome: OutcomeFilter = "failures" if query.what == "reflections" else query.outcome
    environments = query.environments or (query.task.environment,)
    shelves = [
        shelf(tenant, _POINTS[query.what], environment, result)
        for environment in environments
        for result in OUTCOMES[outcome]
    ]
    kind = query.kind or (query.task.kind if query.how == "type" else "")
    return Where(
        has={"shelf": shelves, **({"type": [kind]} if kind or query.how == "type" else {})},
        lacks={"task": [task_key(query.task)], "duplicate": ["yes"]},
    )


def search_text(query: Query) -> str:
    """Return the text to search for."""
    if query.what == "steps":
        return step_subject(query.task, query.text)
    return query.text or subject(query.task)


async def candidates(
    engine: SearchEngine, query: Query, tenant: str, vector: Sequence[float]
) -> list[Hit]:
    """Return the points that fit a query, the best first, one per task.

    Args:
        engine: the collection.
        query: the query.
        tenant: the owner of the memory.
        vector: the embedding of the search text; empty if the query does not use meaning.
    """
    where = recall_filter(query, tenant)
    depth = max(_FEWEST, _PER_RESULT * query.limit)
    while True:
        matches, is_complete = await _rank(engine, query, where, vector, depth)
        best = list(_one_a_task(matches))
        if is_complete or len(best) >= query.limit or depth >= _MOST:
            break
        depth *= 4  # many attempts at few tasks: read further
    if not query.diversity or query.how not in BY_MEANING:
        return [candidate.hit for candidate in best]
    worth = [candidate.worth for candidate in best]
    order = diverse(worth, [candidate.hit.dense for candidate in best], query.diversity)
    return [best[place].hit for place in order]


async def _rank(
    engine: SearchEngine, query: Query, where: Where, vector: Sequence[float], depth: int
) -> tuple[list[Candidate], bool]:
    """Return candidates, the best first, and whether the list is complete."""
    if query.how == "random":
        return await _sample(engine, query, where), True
    if query.how == "type":
        hits = await engine.latest(where, depth)
        return [Candidate(hit, 1.0) for hit in hits], len(hits) < depth
    vectors: list[Sequence[float] | Sparse] = [vector] if query.how in BY_MEANING else []
    if query.how != "meaning":
        vectors.append(sparse(search_text(query), query=True))
    # A point that was found by its words needs its vector to be compared by meaning.
    dense = bool(vector) and (query.diversity > 0 or query.threshold > 0)
    rankings = await engine.nearest(vectors, where, depth, dense=dense)
    by_id = {hit.id: hit for ranking in rankings for hit in ranking}
    is_complete = all(len(ranking) < depth for ranking in rankings)
    if depth < _ALIKE:
        rankings = [_certain(ranking, depth) for ranking in rankings]
        if not (is_complete or all(len(ranking) >= query.limit for ranking in rankings)):
            return [], False
    scores = fuse([{hit.id: hit.score for hit in ranking} for ranking in rankings])
    matches = [Candidate(by_id[each], worth) for each, worth in scores.items()]
    if query.threshold and vector:
        near = similarities(vector, [candidate.hit.dense for candidate in matches])
        matches = [
            one for one, score in zip(matches, near, strict=True) if score >= query.threshold
        ]
    return matches, is_complete


def _certain(ranking: list[Hit], depth: int) -> list[Hit]:
    """Drop the lowest score of a cut-off ranking: which of its equals are present is chance."""
    if len(ranking) < depth:
        return ranking
    last = plain(ranking[-1].score)
    return [hit for hit in ranking if plain(hit.score) != last]


async def _sample(engine: SearchEngine, query: Query, where: Where) -> list[Candidate]:
    """Return all points that pass the filter, in an order that follows from the seed."""
    hits: list[Hit] = []
    after: str | None = None
    while True:
        page = await engine.page(where, _PAGE, after, RANKING)
        hits += page.hits
        after = page.after
        if after is None:
            break
    hits.sort(key=lambda hit: digest(query.seed, hit.payload["task"], hit.id))
    return [Candidate(hit, 1.0) for hit in hits]


def _one_a_task(matches: Iterable[Candidate]) -> Iterator[Candidate]:
    """Yield one candidate per task, at the place of its first one: the best attempt at it."""
    groups: dict[str, list[Candidate]] = {}
    for candidate in matches:
        groups.setdefault(candidate.hit.payload["task"], []).append(candidate)
    for group in groups.values():
        if group[0].hit.payload["point"] == "attempt":
            yield min(group, key=lambda one: merit(one.hit.payload))
        else:
            yield group[0]


def merit(payload: Mapping[str, Any]) -> tuple[bool, float, int, str]:
    """Order attempts at one task, the best first: success, then score, then the shortest."""
    return (
        payload["outcome"] != "success",
        -(payload.get("score") or 0.0),
        payload["turns"],
        payload["trajectory"],
    )
