"""A memory in this process, for tests of what is asked of it and what is done with its answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

from state.experience import RECALLABLE, Outcome, Query, Recalled, Recorded, Remembered
from state.nouns import Trajectory, Verdict, text_of, transcript


class Listed:
    """One tenant's attempts in a list; what shares most words with the question comes first."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.kept: dict[str, Trajectory] = {}
        self.lessons: list[tuple[str, str]] = []
        self.asked: list[Query] = []

    async def record(self, trajectories: Iterable[Trajectory]) -> Recorded:
        listed = {each.id: each for each in trajectories}
        new = tuple(name for name in listed if name not in self.kept)
        self.kept = self.kept | {name: listed[name] for name in new}
        return Recorded(new, tuple(name for name in listed if name not in new))

    async def recall(self, query: Query, count: Callable[[str], int] = len) -> list[Recalled]:
        self.asked.append(query)
        asked = words(query.text or query.task.instruction)
        found = [each for each in self._offered(query) if _admits(query, each)]
        found.sort(key=lambda each: -len(asked & words(each.task.instruction + each.text)))
        shown: list[Recalled] = []
        for each in found[: query.limit]:
            tokens = count(each.text)
            if not query.tokens or sum(one.tokens for one in shown) + tokens <= query.tokens:
                shown.append(each.model_copy(update={"tokens": tokens}))
        return shown

    def _offered(self, query: Query) -> list[Recalled]:
        if query.what == "reflections":
            return [_recalled(self.kept[id_], query, lesson) for id_, lesson in self.lessons]
        if query.what == "tasks":
            return [
                _recalled(each, query, transcript(each.messages)) for each in self.kept.values()
            ]
        return [
            _recalled(each, query, transcript(pair))
            for each in self.kept.values()
            for pair in zip(each.messages[1::2], each.messages[2::2], strict=False)
            if words(query.text) & words(text_of(pair[0]))
        ]

    async def annotate(self, trajectory: str, verdict: Verdict, at: float | None = None) -> bool:
        raise NotImplementedError

    async def reflect(self, trajectory: str, lesson: str) -> None:
        self.lessons.append((trajectory, lesson))

    async def get(self, trajectory: str) -> Remembered | None:
        raise NotImplementedError

    async def forget(self, trajectories: Sequence[str]) -> tuple[str, ...]:
        raise NotImplementedError

    async def browse(
        self, *, environment: str = "", kind: str = "", outcome: Outcome | None = None
    ) -> AsyncIterator[Remembered]:
        for each in self.kept.values():
            yield Remembered(trajectory=each, verdicts=())


class Memories:
    """Opens tenants' memories, as a graph's `memory` does."""

    def __init__(self) -> None:
        self.tenants: dict[str, Listed] = {}

    async def __call__(self, tenant: str) -> Any:
        return self.tenants.setdefault(tenant, Listed(tenant))


def words(text: str) -> set[str]:
    return {word.strip(".,:>") for word in text.lower().split()}


def _recalled(each: Trajectory, query: Query, text: str) -> Recalled:
    return Recalled(
        trajectory=each.id,
        task=each.task,
        what=query.what,
        text=text,
        score=0.0,
        success=each.verdict.success,
        tokens=0,
    )


def _admits(query: Query, each: Recalled) -> bool:
    outcomes = {"successes": (True,), "failures": (False,), "any": (True, False)}
    return (
        each.task.split == RECALLABLE
        and each.task.id != query.task.id
        and each.success in outcomes[query.outcome]
    )
