"""The figures on learned rules: `python -m benchmarks.figures --only rules flip`.

Rules are learned from training tasks and tested with one trial on test tasks, in two worlds with
opposite conventions. In a second measurement the household changes its conventions, and the rules
must adapt.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.store.sqlite.aio import AsyncSqliteStore
from pydantic import ConfigDict, Field

from apprentice.cli import evaluation
from apprentice.cli.demo.exemplars import NOTHING
from apprentice.cli.demo.rules import in_view
from apprentice.environments.household.environment import Household
from apprentice.environments.protocol import Simulator
from apprentice.graphs import expel, reflexion
from apprentice.memory.run_results import Findings
from apprentice.nodes.agents import Agent
from apprentice.state.context import Context
from apprentice.state.prompts import Shown
from apprentice.state.releases import Release
from apprentice.state.statistics import difference, rate
from apprentice.state.trajectory import FrozenModel, Task, digest
from apprentice.workspace import Workspace
from benchmarks.figures_document import MODEL, WORLDS, Figures, percent

_N = TypeVar("_N", bound=FrozenModel)
HELD_OUT: Final = 120
AT_ONCE: Final = 16
CHUNK: Final = 3
"""Eight transcripts would exceed the 2,048 tokens that the embedded model reads."""


async def rules(figures: Figures) -> None:
    """Write the section on learned rules, with one trial on test tasks."""
    figures.say("", "## Learned rules", "")
    figures.say(
        f"Learned from {figures.training} training tasks of small rooms in each world, up to 4 "
        "attempts each; one trial on test tasks (new rooms, new goals), in %. Shuffled: the rules "
        "learned in the other world. Hand-written: every convention of the world, in "
        "the model's wording."
    )
    counts: Counter[str] = Counter()
    rules_by_world: dict[str, tuple[str, ...]] = {}
    async with _store(figures.folder / "rules.sqlite") as store:
        for world in WORLDS:
            outcome = await _learn(figures, store, f"household/{world}/small", counts)
            candidate: Release | None = outcome["candidate"]
            rules_by_world[world] = candidate.texts if candidate else ()
            figures.say("", f"{world}: {outcome['outcome']}. {outcome['reason']}")
            figures.say(*(f"- {text}" for text in rules_by_world[world]))
    kinds: dict[str, dict[str, tuple[str, ...]]] = {NOTHING: {}, **in_view(rules_by_world)}
    tasks: list[Task] = []
    views: dict[str, list[Shown]] = {kind: [] for kind in kinds}
    for world in WORLDS:
        own = list(Household(world, "small").tasks("test", figures.tasks // 2, seed=2))
        tasks += own
        for kind, by_world in kinds.items():
            views[kind] += [Shown(rules=by_world.get(world, ()))] * len(own)
    results = {kind: await figures.attempt_with(tasks, shown) for kind, shown in views.items()}
    rows = []
    for kind, outcome in results.items():
        gap = difference(outcome, results[NOTHING])
        gain = f"{100 * gap.value:+.1f} ({100 * gap.low:+.0f} to {100 * gap.high:+.0f})"
        rows.append([kind, percent(rate(sum(outcome), len(outcome))), gain])
    figures.table(["rules in view", f"solved, {len(tasks)} tasks", "above none"], rows)
    common = set(rules_by_world[WORLDS[0]]) & set(rules_by_world[WORLDS[1]])
    written_down = counts["applied"] + counts["rejected"]
    figures.say(
        "",
        f"Operations that parse and apply, of those the model wrote while learning: "
        f"{percent(rate(counts['applied'], written_down))}. Rules that both worlds have: "
        f"{len(common)}.",
    )


async def _learn(figures: Figures, store: BaseStore, place: str, counts: Counter[str]) -> Any:
    graph = expel.build(workspace=figures.workspace).compile(name="expel", store=store)
    values = await graph.ainvoke(
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
    counts.update(values["operations"].model_dump())
    return values


@asynccontextmanager
async def _store(file: Path) -> AsyncIterator[BaseStore]:
    await asyncio.to_thread(file.parent.mkdir, parents=True, exist_ok=True)
    async with AsyncSqliteStore.from_conn_string(str(file)) as store:
        await store.setup()
        yield store


class FlippingHousehold:
    """A household that changes from the conventions of one world to those of the other.

    The id of a task, such as 'north:test/3', says its world. So a flip changes only which tasks are
    sampled.
    """

    name = "flipping"
    splits = Household.splits
    replayable = True
    instructions = Household.instructions

    def __init__(self) -> None:
        """Start in the first world."""
        self.worlds = {world: Household(world, "small") for world in WORLDS}
        self.now = WORLDS[0]

    def flip(self) -> None:
        """Change to the conventions of the other world."""
        self.now = WORLDS[1]

    def tasks(self, split: str, limit: int, seed: int = 0) -> itertools.chain[Task]:
        """Yield tasks of the present world."""
        tasks = self.worlds[self.now].tasks(split, limit, seed)
        return itertools.chain(self._own(self.now, task) for task in tasks)

    def task(self, task_id: str) -> Task:
        """Return the task with an id."""
        world, _, own = task_id.partition(":")
        return self._own(world, self.worlds[world].task(own))

    def reset(self, task: Task) -> Simulator:
        """Start an episode."""
        return self.worlds[task.id.partition(":")[0]].reset(_inner(task))

    def step_limit(self, task: Task) -> int:
        """Return the most actions of an attempt."""
        return self.worlds[task.id.partition(":")[0]].step_limit(_inner(task))

    def _own(self, world: str, task: Task) -> Task:
        return task.model_copy(update={"id": f"{world}:{task.id}", "environment": self.name})


def _inner(task: Task) -> Task:
    return task.model_copy(update={"id": task.id.partition(":")[2]})


@dataclass(frozen=True)
class Cast:
    """The agents that act, reflect and criticise; None for a model."""

    agent: Agent | None = None
    reflector: Agent | None = None
    critic: Agent | None = None


class LiveResult(FrozenModel):
    """The result of one live task."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    task: str
    success: bool = Field(alias="solved")


class ExpelResult(FrozenModel):
    """The outcome of one run of expel, and the number of tasks that it attempted."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    outcome: str
    tasks_spent: int = Field(alias="spent")


@dataclass
class Stream:
    """Batches of live tasks, with a run of expel after each batch.

    The store has the results, so that an interrupted stream continues.

    Attributes:
        workspace: has the household.
        batch: live tasks between two runs of expel.
        training: training tasks of each run.
        live: the share of live tasks solved, by batch.
        tasks_spent: tasks attempted so far: live, training and held-out.
    """

    workspace: Workspace
    household: FlippingHousehold
    store: BaseStore
    cast: Cast
    context: Context
    batch: int = 24
    training: int = 24
    live: list[float] = field(default_factory=list)
    tasks_spent: int = 0
    _batch_number: int = 0
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def serve(self) -> float:
        """Attempt a batch of live tasks, once each, with the released rules in view."""
        self._batch_number += 1
        name = f"live {self._batch_number}"
        earlier = {each.task: each for each in await self._journal(name, LiveResult).all()}
        batch = self.household.tasks("train", self.batch, seed=10_000 + self._batch_number)
        tasks = [task for task in batch if task.id not in earlier]
        results = await evaluation.together(self._serve_task(task, name) for task in tasks)
        solved_count = sum(each.success for each in (*earlier.values(), *results))
        self.tasks_spent += self.batch
        self.live.append(solved_count / self.batch)
        return self.live[-1]

    async def _serve_task(self, task: Task, name: str) -> LiveResult:
        """Attempt one live task."""
        graph = reflexion.build(
            workspace=self.workspace, agent=self.cast.agent, reflector=self.cast.reflector
        ).compile(store=self.store)
        context = Context(model=self.context.model, max_trials=1)
        async with self._gate:
            inputs: Any = {"task": task, "run": name}
            values = await graph.ainvoke(inputs, context=context)
        result = LiveResult(task=task.id, success=values["outcome"] in ("solved", "solved_before"))
        await self._journal(name, LiveResult).add(task.id, result)
        return result

    async def study(self) -> str:
        """Run expel once, and return its outcome."""
        name = f"run {self._batch_number}"
        journal = self._journal(name, ExpelResult)
        result = await journal.get(name)
        if result is None:
            result = await self._run_expel(name)
            await journal.add(name, result)
        self.tasks_spent += result.tasks_spent
        return result.outcome

    async def _run_expel(self, name: str) -> ExpelResult:
        graph = expel.build(
            workspace=self.workspace,
            agent=self.cast.agent,
            reflector=self.cast.reflector,
            critic=self.cast.critic,
        ).compile(store=self.store)
        values: Mapping[str, Any] = await graph.ainvoke(
            {
                "environment": self.household.name,
                "tasks": self.training,
                "held_out": HELD_OUT,
                "chunk": CHUNK,
                "run": name,
            },
            {"max_concurrency": AT_ONCE},
            context=self.context,
        )
        decision = values["validation"]
        tasks_spent = self.training + (decision.numbers.pairs if decision else 0)
        return ExpelResult(outcome=values["outcome"], tasks_spent=tasks_spent)

    def _journal(self, run: str, noun: type[_N]) -> Findings[_N]:
        tenant = self.context.tenant
        return Findings(self.store, tenant, self.household.name, run, noun)


async def recovery(
    cast: Cast,
    context: Context,
    most: int = 8,
    batch: int = 24,
    store: BaseStore | None = None,
) -> dict[str, Any]:
    """Flip the conventions of a household, and return how its rules adapt.

    With a store, an interrupted measurement continues, and a finished one is read from it. The
    rules have recovered when the share of live tasks solved is at most ten points below that before
    the flip.
    """
    household = FlippingHousehold()
    workspace = Workspace(environments={household.name: lambda: household})
    stream = Stream(workspace, household, store or InMemoryStore(), cast, context, batch, batch)
    untaught = await stream.serve()
    await stream.study()
    before = await stream.serve()
    before = (before + await stream.serve()) / 2
    household.flip()
    stream.tasks_spent = 0
    outcomes: list[str] = []
    for _ in range(most):
        now = await stream.serve()
        if outcomes and now >= before - 0.1:
            break
        outcomes.append(await stream.study())
    return {
        "untaught": untaught,
        "before": before,
        "after": stream.live[3:],
        "outcomes": outcomes,
        "spent": stream.tasks_spent,
        "recovered": stream.live[-1] >= before - 0.1,
    }


async def flip(figures: Figures) -> None:
    """Write the section on conventions that flip, and the tasks until the rules recover."""
    figures.say("", "## When the world changes", "")
    context = Context(model=figures.model)
    name = f"flip-{digest(figures.model, figures.training)[:8]}.sqlite"
    async with _store(figures.folder / name) as store:
        result = await recovery(Cast(), context, batch=figures.training, store=store)
    after = ", ".join(f"{100 * share:.0f}" for share in result["after"])
    how = "recovered" if result["recovered"] else "not recovered"
    figures.say(
        f"{figures.model}: live tasks solved in %, batches of {figures.training}: "
        f"{100 * result['untaught']:.0f} without rules, {100 * result['before']:.0f} "
        f"with learned ones; after the flip {after} ({how}, {result['spent']} tasks "
        f"spent: live, training and held-out). The runs of expel in between: "
        f"{', '.join(result['outcomes'])}."
    )
