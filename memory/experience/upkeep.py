"""Upkeep of a memory: set near-duplicates aside, and evict the least useful attempts.

The usefulness of an attempt as an exemplar is measured: how often it was in view, and how often
the attempt that saw it succeeded. `record` counts nothing. Every trajectory lists the exemplars in
its view, so the figures follow from the stored trajectories and their latest verdicts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from typing import Any, Final

from apprentice.memory.experience.engine import RANKING, TIME, SearchEngine, Where
from apprentice.memory.experience.points import SEARCHED
from apprentice.memory.experience.recall import merit
from apprentice.state.experience import RECALLABLE, ExperienceReport, Upkeep, Use

_ALIKE: Final = 0.8
"""Two attempts are near-duplicates if they share this part of their distinct turns (Jaccard)."""
_PAGE: Final = 1_000
_AT_ONCE: Final = 500
_FIELDS: Final = (
    *RANKING, "split", "gist", "exemplars", "duplicate", TIME,
)  # fmt: skip

Payload = dict[str, Any]


async def room(engine: SearchEngine, tenant: str, capacity: int) -> int:
    """Return how many more attempts fit. It is negative if there are too many."""
    return capacity - await engine.count(_points(tenant, "attempt"))


async def usage_report(engine: SearchEngine, tenant: str, capacity: int) -> ExperienceReport:
    """Report the number of attempts, and how often each was used."""
    attempts = await _attempts(engine, tenant)
    uses = _uses(attempts)
    return ExperienceReport(
        capacity=capacity,
        attempts=len(attempts),
        successes=sum(one["outcome"] == "success" for one in attempts),
        failures=sum(one["outcome"] == "failure" for one in attempts),
        held_out=sum(one["split"] != RECALLABLE for one in attempts),
        duplicates=sum(one["duplicate"] == "yes" for one in attempts),
        steps=await engine.count(_points(tenant, "step")),
        reflections=await engine.count(_points(tenant, "reflection")),
        uses=tuple(sorted(uses.values(), key=lambda use: (-use.shown, use.trajectory))),
    )


async def tidy(
    engine: SearchEngine, tenant: str, capacity: int, exempt: Set[str] = frozenset()
) -> Upkeep:
    """Set near-duplicates aside, then evict the least useful attempts beyond the capacity.

    Args:
        engine: the collection.
        tenant: the owner of the attempts.
        capacity: the largest number of attempts that stay.
        exempt: ids of attempts that are never evicted.
    """
    attempts = await _attempts(engine, tenant)
    repeats = _duplicates(attempts)
    for mark in ("yes", "no"):
        wrong = [
            one["trajectory"]
            for one in attempts
            if one["duplicate"] != mark and (one["trajectory"] in repeats) == (mark == "yes")
        ]
        for names in _in_batches(wrong):
            where = Where({"tenant": [tenant], "trajectory": names, "point": SEARCHED})
            await engine.change(where, {"duplicate": mark})
    evictions = _least_useful(attempts, repeats, len(attempts) - capacity, exempt)
    for names in _in_batches(evictions):
        await engine.delete(Where({"tenant": [tenant], "trajectory": names}))
    return Upkeep(set_aside=len(repeats - set(evictions)), evictions=tuple(evictions))


async def _attempts(engine: SearchEngine, tenant: str) -> list[Payload]:
    attempts: list[Payload] = []
    after: str | None = None
    while True:
        page = await engine.page(_points(tenant, "attempt"), _PAGE, after, _FIELDS)
        attempts += [hit.payload for hit in page.hits]
        after = page.after
        if after is None:
            return attempts


def _points(tenant: str, kind: str) -> Where:
    return Where({"tenant": [tenant], "point": [kind]})


def _duplicates(attempts: Iterable[Payload]) -> set[str]:
    """Return the trajectories that repeat a better one at the same task."""
    by_task: defaultdict[str, list[Payload]] = defaultdict(list)
    for attempt in attempts:
        by_task[attempt["task"]].append(attempt)
    repeats: set[str] = set()
    for group in by_task.values():
        shown: list[frozenset[str]] = []
        for attempt in sorted(group, key=merit):
            turns = frozenset(attempt["gist"].split())
            if any(_alike(turns, other) for other in shown):
                repeats.add(attempt["trajectory"])
            else:
                shown.append(turns)
    return repeats


def _alike(turns: frozenset[str], others: frozenset[str]) -> bool:
    return turns == others or len(turns & others) >= _ALIKE * len(turns | others)


def _uses(attempts: Iterable[Payload]) -> dict[str, Use]:
    """Count how often each attempt was in view, and how often the attempt with it succeeded."""
    shown: defaultdict[str, int] = defaultdict(int)
    successes: defaultdict[str, int] = defaultdict(int)
    for attempt in attempts:
        if attempt["outcome"] == "unknown":
            continue
        for exemplar in attempt["exemplars"]:
            shown[exemplar] += 1
            successes[exemplar] += attempt["outcome"] == "success"
    return {
        name: Use(trajectory=name, shown=shown[name], successes=successes[name]) for name in shown
    }


def _least_useful(
    attempts: Sequence[Payload], repeats: set[str], excess: int, exempt: Set[str]
) -> list[str]:
    """Return the attempts to evict: near-duplicates, then held-out ones, then the least useful.

    An attempt that was never shown counts as one that helped half of the time. Among equals, the
    oldest goes. An attempt without a verdict is never a near-duplicate: it may be the better one.
    """
    if excess <= 0:
        return []
    uses = _uses(attempts)

    def worth(attempt: Payload) -> tuple[bool, bool, float, float, str]:
        name = attempt["trajectory"]
        use = uses.get(name)
        is_repeat = name in repeats and attempt["outcome"] != "unknown"
        is_recallable = attempt["split"] == RECALLABLE
        return not is_repeat, is_recallable, use.rate if use else 0.5, attempt["at"], name

    order = [attempt["trajectory"] for attempt in sorted(attempts, key=worth)]
    return [name for name in order if name not in exempt][:excess]


def _in_batches(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE)]
