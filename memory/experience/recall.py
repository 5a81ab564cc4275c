"""Recall: what may be found, how it is ranked, and what of it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from memory.experience.engine import Engine, Hit, Sparse, Where
from memory.experience.points import OUTCOMES, Kind, moment, sparse, subject, task_key
from memory.experience.ranking import diverse, fused, similarities
from state.experience import RECALLABLE, Outcome, Query, What
from state.nouns import digest

_POINTS: Final[dict[What, Kind]] = {
    "tasks": "attempt",
    "steps": "step",
    "reflections": "reflection",
}
_PER_RESULT: Final = 8
_FEWEST: Final = 40
_MOST: Final = 2_000
_PAGE: Final = 1_000
_FIELDS: Final = ("point", "trajectory", "task", "outcome", "score", "gist", "about", "shown")


@dataclass(frozen=True)
class Candidate:
    """A point that may be shown: how well it fits, and what it is worth in choosing."""

    hit: Hit
    score: float
    relevance: float


def allowed(query: Query, tenant: str) -> Where:
    """Say what may come back at all; nothing else in the house decides that.

    Never another tenant's, never an attempt at the task itself, never a held-out split, and
    nothing without a verdict.
    """
    outcome: Outcome = "failures" if query.what == "reflections" else query.outcome
    kind = query.kind or (query.task.kind if query.how == "type" else "")
    return Where(
        has={
            "tenant": [tenant],
            "point": [_POINTS[query.what]],
            "split": [RECALLABLE],
            "outcome": OUTCOMES[outcome],
            "duplicate": ["no"],
            "environment": query.environments or [query.task.environment],
            **({"type": [kind]} if kind or query.how == "type" else {}),
        },
        lacks={"task": [task_key(query.task)]},
    )


def asked(query: Query) -> str:
    """Return the text that is looked for."""
    if query.what == "steps":
        return moment(query.task, query.text)
    return query.text or subject(query.task)


async def candidates(
    engine: Engine, query: Query, tenant: str, vector: Sequence[float]
) -> list[Candidate]:
    """Return what fits a query, the best first, one a task.

    Args:
        engine: where to look.
        query: the question.
        tenant: whose memory.
        vector: of the text that is looked for; empty where meaning is not asked for.
    """
    where = allowed(query, tenant)
    depth = max(_FEWEST, _PER_RESULT * query.limit)
    while True:
        found, exhausted = await _ranked(engine, query, where, vector, depth)
        best = list(_one_a_task(found))
        if exhausted or len(best) >= query.limit or depth >= _MOST:
            break
        depth *= 4  # many attempts at few tasks: look further down
    if not query.diversity or query.how == "random":
        return best
    order = diverse(
        [one.relevance for one in best], [one.hit.dense for one in best], query.diversity
    )
    return [best[place] for place in order]


async def _ranked(
    engine: Engine, query: Query, where: Where, vector: Sequence[float], depth: int
) -> tuple[list[Candidate], bool]:
    """Return candidates in order, and whether there are no more."""
    if query.how == "random":
        return await _drawn(engine, query, where), True
    if query.how == "type":
        hits = await engine.latest(where, depth)
        return [Candidate(hit, 0.0, 1.0) for hit in hits], len(hits) < depth
    words = sparse(asked(query), query=True)
    if query.how == "text":
        (hits,) = await engine.nearest([words], where, depth)
        most = max((hit.score for hit in hits), default=1.0)
        return [Candidate(hit, hit.score, hit.score / most) for hit in hits], len(hits) < depth
    vectors: list[Sequence[float] | Sparse] = [vector]
    if query.how == "hybrid":
        vectors.append(words)
    rankings = await engine.nearest(vectors, where, depth)
    by_id = {hit.id: hit for ranking in rankings for hit in ranking}
    ranked = fused([[hit.id for hit in ranking] for ranking in rankings])
    hits = [by_id[each] for each in ranked]
    near = similarities(vector, [hit.dense for hit in hits])
    relevance = near if query.how == "meaning" else list(ranked.values())
    found = [
        Candidate(hit, score, worth)
        for hit, score, worth in zip(hits, near, relevance, strict=True)
        if score >= query.threshold
    ]
    return found, all(len(ranking) < depth for ranking in rankings)


async def _drawn(engine: Engine, query: Query, where: Where) -> list[Candidate]:
    """Return everything allowed, in an order fixed by the seed."""
    hits: list[Hit] = []
    after: str | None = None
    while True:
        page = await engine.page(where, _PAGE, after, _FIELDS)
        hits += page.hits
        after = page.after
        if after is None:
            break
    hits.sort(key=lambda hit: digest(query.seed, hit.payload["task"], hit.id))
    return [Candidate(hit, 0.0, 1.0) for hit in hits]


def _one_a_task(found: Iterable[Candidate]) -> Iterator[Candidate]:
    """Yield one candidate a task, where its first one stands: the best attempt at it."""
    groups: dict[str, list[Candidate]] = {}
    for candidate in found:
        groups.setdefault(candidate.hit.payload["task"], []).append(candidate)
    for group in groups.values():
        if group[0].hit.payload["point"] == "attempt":
            yield min(group, key=lambda one: merit(one.hit.payload))
        else:
            yield group[0]


def merit(payload: dict[str, object]) -> tuple[object, ...]:
    """Order attempts at one task, the best first: success, then score, then the shortest."""
    score, gist = payload.get("score"), payload.get("gist")
    return (
        payload["outcome"] != "success",
        -(score if isinstance(score, float | int) else 0.0),
        len(gist) if isinstance(gist, list) else 0,
        payload["trajectory"],
    )
