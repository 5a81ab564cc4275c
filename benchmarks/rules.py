"""Rules that are learned, measured: `python -m benchmarks.figures --only rules flip`.

Rules are learned on training tasks and tried once on test tasks, in two worlds of opposite
conventions; and a household changes its conventions, and the rules have to follow.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.store.sqlite.aio import AsyncSqliteStore

from benchmarks.document import MODEL, WORLDS, Figures, percent
from environments import registry
from environments.household.environment import Household
from environments.protocol import Simulator
from graphs import expel, reflexion
from nodes.agents import Agent
from state.context import Context
from state.nouns import Task
from state.prompts import Shown
from state.releases import Release
from state.statistics import difference, rate
from training.novice.lessons import world_rules

HELD_OUT: Final = 120
CHUNK: Final = 3
"""The embedded model reads 2,048 tokens, which eight transcripts exceed."""


async def rules(figures: Figures) -> None:
    """Rules learned on training tasks, tried once on test tasks."""
    figures.say("", "## Learned rules", "")
    figures.say(
        f"Learned from {figures.training} training tasks of small rooms a world, up to 4 attempts "
        "each; one try on test tasks (new rooms, new goals), in %. Shuffled: the rules learned in "
        "the other world. Hand-written: every convention of the world, as the model words rules."
    )
    counts: Counter[str] = Counter()
    learned: dict[str, tuple[str, ...]] = {}
    async with _store(figures.folder) as store:
        for world in WORLDS:
            ended = await _learned(figures, store, f"household/{world}/small", counts)
            candidate: Release | None = ended["candidate"]
            learned[world] = candidate.texts if candidate else ()
            figures.say("", f"{world}: {ended['outcome']}. {ended['reason']}")
            figures.say(*(f"- {text}" for text in learned[world]))
    tasks: list[Task] = []
    views: dict[str, list[Shown]] = {
        name: [] for name in ("no rules", "learned", "hand-written", "shuffled")
    }
    for world, other in zip(WORLDS, reversed(WORLDS), strict=True):
        place = Household(world, "small")
        own = list(place.tasks("test", figures.tasks // 2, seed=2))
        written = world_rules(place.world.keeps, place.world.treats)
        tasks += own
        views["no rules"] += [Shown()] * len(own)
        views["learned"] += [Shown(rules=learned[world])] * len(own)
        views["hand-written"] += [Shown(rules=written)] * len(own)
        views["shuffled"] += [Shown(rules=learned[other])] * len(own)
    results = {name: await figures.shown(tasks, shown) for name, shown in views.items()}
    rows = []
    for name, outcome in results.items():
        gap = difference(outcome, results["no rules"])
        gain = f"{100 * gap.value:+.1f} ({100 * gap.low:+.0f} to {100 * gap.high:+.0f})"
        rows.append([name, percent(rate(sum(outcome), len(outcome))), gain])
    figures.table(["rules in view", f"solved, {len(tasks)} tasks", "above none"], rows)
    common = set(learned[WORLDS[0]]) & set(learned[WORLDS[1]])
    written_down = counts["applied"] + counts["rejected"]
    figures.say(
        "",
        f"Operations that parse and apply, of those the model wrote while learning: "
        f"{percent(rate(counts['applied'], written_down))}. Rules that both worlds have: "
        f"{len(common)}.",
    )


async def _learned(figures: Figures, store: BaseStore, place: str, counts: Counter[str]) -> Any:
    graph = expel.build().compile(name="expel", store=store)
    ended = await graph.ainvoke(
        {
            "environment": place,
            "tasks": figures.training,
            "held_out": HELD_OUT,
            "chunk": CHUNK,
            "run": f"figures {figures.training}",
        },
        {"max_concurrency": 32},
        context=Context(model=MODEL),
    )
    counts.update(ended["operations"].model_dump())
    return ended


@asynccontextmanager
async def _store(folder: Path) -> AsyncIterator[BaseStore]:
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    async with AsyncSqliteStore.from_conn_string(str(folder / "rules.sqlite")) as store:
        await store.setup()
        yield store


class Flipping:
    """A household whose conventions are those of one world until it is told to flip.

    What a task is depends on its id alone, 'north:test/3': only which tasks are drawn changes.
    """

    name = "flipping"
    splits = Household.splits
    replayable = True
    instructions = Household.instructions

    def __init__(self) -> None:
        """Begin in the first world."""
        self.worlds = {world: Household(world, "small") for world in WORLDS}
        self.now = WORLDS[0]

    def flip(self) -> None:
        """Change the conventions from now on."""
        self.now = WORLDS[1]

    def tasks(self, split: str, limit: int, seed: int = 0) -> itertools.chain[Task]:
        """Yield tasks of the world as it is now."""
        drawn = self.worlds[self.now].tasks(split, limit, seed)
        return itertools.chain(self._own(self.now, task) for task in drawn)

    def task(self, task_id: str) -> Task:
        """Return the task of an id."""
        world, _, own = task_id.partition(":")
        return self._own(world, self.worlds[world].task(own))

    def reset(self, task: Task) -> Simulator:
        """Start an episode."""
        return self.worlds[task.id.partition(":")[0]].reset(_inner(task))

    def step_limit(self, task: Task) -> int:
        """Return how many actions an attempt may take."""
        return self.worlds[task.id.partition(":")[0]].step_limit(_inner(task))

    def _own(self, world: str, task: Task) -> Task:
        return task.model_copy(update={"id": f"{world}:{task.id}", "environment": self.name})


def _inner(task: Task) -> Task:
    return task.model_copy(update={"id": task.id.partition(":")[2]})


@dataclass(frozen=True)
class Cast:
    """Who acts, reflects and criticises; models when none is given."""

    agent: Agent | None = None
    reflector: Agent | None = None
    critic: Agent | None = None


@dataclass
class Stream:
    """Tasks as they come, a batch at a time, with expel run after each batch.

    Attributes:
        batch: live tasks between two runs of expel.
        training: training tasks that each run attempts.
        live: shares of live tasks solved, a batch each.
        spent: tasks attempted so far: live, training and held-out.
    """

    household: Flipping
    store: BaseStore
    cast: Cast
    context: Context
    batch: int = 24
    training: int = 24
    live: list[float] = field(default_factory=list)
    spent: int = 0
    _drawn: int = 0

    async def serve(self) -> float:
        """Attempt a batch of live tasks once each, with the released rules in view."""
        graph = reflexion.build(self.cast.agent, reflector=self.cast.reflector).compile(
            store=self.store
        )
        context = Context(model=self.context.model, max_trials=1)
        self._drawn += 1
        given: Sequence[Any] = [
            {"task": task, "run": "live"}
            for task in self.household.tasks("train", self.batch, seed=10_000 + self._drawn)
        ]
        ended = await graph.abatch(list(given), {"max_concurrency": 16}, context=context)
        self.spent += self.batch
        self.live.append(sum(each["outcome"] == "solved" for each in ended) / self.batch)
        return self.live[-1]

    async def study(self, tasks: int | None = None) -> Mapping[str, Any]:
        """Run expel once."""
        graph = expel.build(
            self.cast.agent, reflector=self.cast.reflector, critic=self.cast.critic
        ).compile(store=self.store)
        count = self.training if tasks is None else tasks
        ended: Mapping[str, Any] = await graph.ainvoke(
            {
                "environment": self.household.name,
                "tasks": count,
                "held_out": HELD_OUT,
                "chunk": CHUNK,
                "run": f"run {self._drawn}",
            },
            {"max_concurrency": 16},
            context=self.context,
        )
        decision = ended["validation"]
        self.spent += count + (decision.numbers.pairs if decision else 0)
        return ended


async def recovery(cast: Cast, context: Context, most: int = 8, batch: int = 24) -> dict[str, Any]:
    """Let a household's conventions flip, and return how its rules follow.

    Recovered is a batch of live tasks solved as often as before the flip, less ten points.
    """
    household = Flipping()
    point = EntryPoint(household.name, "benchmarks.rules:Flipping", registry.GROUP)
    registry.environment.cache_clear()
    with (
        patch.object(registry, "entry_points", lambda group: [point]),
        patch.object(EntryPoint, "load", lambda _: lambda: household),
    ):
        stream = Stream(household, InMemoryStore(), cast, context, batch, batch)
        untaught = await stream.serve()
        await stream.study()
        before = await stream.serve()
        before = (before + await stream.serve()) / 2
        household.flip()
        stream.spent = 0
        outcomes: list[str] = []
        for _ in range(most):
            now = await stream.serve()
            if outcomes and now >= before - 0.1:
                break
            outcomes.append((await stream.study())["outcome"])
    registry.environment.cache_clear()
    return {
        "untaught": untaught,
        "before": before,
        "after": stream.live[3:],
        "outcomes": outcomes,
        "spent": stream.spent,
        "recovered": stream.live[-1] >= before - 0.1,
    }


async def flip(figures: Figures) -> None:
    """A household whose conventions flip, and how many tasks its rules take to follow."""
    figures.say("", "## When the world changes", "")
    found = await recovery(Cast(), Context(model=MODEL), batch=figures.training)
    after = ", ".join(f"{100 * share:.0f}" for share in found["after"])
    how = "recovered" if found["recovered"] else "not recovered"
    figures.say(
        f"Live tasks solved in %, batches of {figures.training}: {100 * found['untaught']:.0f} "
        f"without rules, {100 * found['before']:.0f} with learned ones; after the flip {after} "
        f"({how}, {found['spent']} tasks spent: live, training and held-out). The runs of expel "
        f"in between: {', '.join(found['outcomes'])}."
    )
