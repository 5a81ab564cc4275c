"""The evaluation: one technique on many tasks at once, which can be resumed.

A finished task is written to the journal at once. When the same plan runs again, finished tasks are
read from the journal and unfinished ones start anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final, Protocol, TypeVar, cast

from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore

from apprentice.cli.expel_run import ExpelRun, run_expel
from apprentice.cli.journal import Journal, Plan, TaskResult
from apprentice.cli.techniques import NAMES, TECHNIQUES, TechniqueName, reflector_of_others
from apprentice.environments.advance import actions_of
from apprentice.graphs import exemplar, reflexion
from apprentice.memory.experience import OpenExperience
from apprentice.memory.reflections import Reflections
from apprentice.memory.releases import Releases
from apprentice.nodes.agents import Agent
from apprentice.nodes.expel.gather import ATTEMPTS
from apprentice.state.context import MAX_SEED, Context
from apprentice.state.errors import ApprenticeError, BadInput, OutOfBounds, UnknownName
from apprentice.state.releases import Release
from apprentice.state.rules import Rule
from apprentice.state.trajectory import FrozenModel, Task, Trajectory, Usage, digest
from apprentice.workspace import Workspace

CONCURRENCY: Final = 16
LIMIT: Final = 100_000
_JUDGED: Final = ("reflexion.trial", "exemplar.attempt")
TRAINING: Final = 24
HELD_OUT: Final = 96
"""The most held-out tasks for the gate of rules that are learned before an evaluation."""
T = TypeVar("T")

Graph = CompiledStateGraph[Any, Context, Any, Any]


class EvaluationListener(Protocol):
    """Receives the progress of an evaluation."""

    def begin(self, total: int, results: Sequence[TaskResult]) -> None:
        """Receive the number of tasks, and the results from an earlier run."""

    def attempt(self) -> None:
        """Receive that an attempt has its verdict."""

    def finish(self, result: TaskResult) -> None:
        """Receive the result of a task."""

    def expel_event(self, event: Mapping[str, Any]) -> None:
        """Receive an `expel.*` event while rules are learned, before the first task."""


class ResultRow(FrozenModel):
    """One attempt in the JSON report."""

    id: str
    task: str
    environment: str
    family: str
    trial: int
    success: bool | None
    score: float | None
    steps: int
    calls: int
    tokens: int
    seconds: float


def technique(name: str) -> TechniqueName:
    """Return a technique's name.

    Raises:
        UnknownName: there is no technique of that name.
    """
    if name not in TECHNIQUES:
        raise UnknownName("technique", name, NAMES)
    return name


def checked_plan(workspace: Workspace, **settings: Any) -> Plan:
    """Return a plan after checking its numbers, tasks and model.

    Raises:
        BadInput: a setting is not valid.
        MissingPart: the environment or the model needs something that is not installed.
    """
    if not 1 <= settings["limit"] <= LIMIT:
        raise OutOfBounds("The limit of tasks", settings["limit"], 1, LIMIT)
    plan = Plan(**settings)
    workspace.check_model(plan.model, plan.adapter)
    context_of(plan, workspace)
    tasks_of(plan, workspace)
    return plan


def tasks_of(plan: Plan, workspace: Workspace) -> list[Task]:
    """Return a plan's tasks, always in the same order.

    Raises:
        UnknownName: there is no such environment or split.
        BadInput: the split has no tasks.
    """
    where = workspace.environment(plan.environment)
    if plan.split not in where.splits:
        raise UnknownName(f"split of {plan.environment}", plan.split, where.splits)
    tasks = list(where.tasks(plan.split, plan.limit, plan.seed))
    if not tasks:
        raise BadInput(
            f"The split {plan.split!r} of {plan.environment!r} has no tasks. Other splits: "
            f"{', '.join(name for name in where.splits if name != plan.split)}."
        )
    return tasks


def context_of(plan: Plan, workspace: Workspace) -> Context:
    """Return the settings of a plan's runs.

    A plan without a tenant gets a new one, or the owner of its adapter. Then nothing is recorded,
    so that the measurement does not change what it measures.
    """
    spec = TECHNIQUES[technique(plan.technique)]
    return Context(
        tenant=plan.tenant or _owner(plan, workspace) or f"evaluation-{run_name(plan)}",
        model=plan.model,
        adapter=plan.adapter,
        temperature=plan.temperature,
        seed=(plan.seed + plan.draw) % MAX_SEED,
        max_tokens=plan.max_tokens,
        max_trials=plan.trials,
        strategy=spec.strategy,
        window=plan.window,
        recall=spec.recall or "hybrid",
        record=bool(plan.tenant),
    )


def _owner(plan: Plan, workspace: Workspace) -> str:
    """Return the tenant that owns the plan's adapter, or ''.

    Raises:
        BadInput: the technique learns rules, which would be stored as that tenant's.
    """
    owner = workspace.adapters.owner(plan.adapter) if plan.adapter else ""
    if owner and TECHNIQUES[technique(plan.technique)].learns_rules:
        raise BadInput(
            f"Adapter {plan.adapter!r} belongs to {owner!r}, and the rules that "
            f"{plan.technique!r} learns would be stored as its own. Name it: --tenant {owner}."
        )
    return owner


def expel_run_of(plan: Plan, workspace: Workspace) -> ExpelRun:
    """Return the run of expel that learns a plan's rules; its name is that of the plan's run."""
    where = workspace.environment(plan.environment).name
    return ExpelRun(where, plan.training, HELD_OUT, run_name(plan))


def run_name(plan: Plan) -> str:
    """Return the name of a plan's runs, which tells its attempts and reflections from others.

    The journal gives a plan its name. A plan without a journal gets a digest of its content.
    """
    return plan.run or digest(plan.model_dump(exclude={"limit", "run"}))


async def evaluate(
    workspace: Workspace,
    journal: Journal,
    listener: EvaluationListener,
    slots: asyncio.Semaphore,
    donors: Sequence[TaskResult] = (),
    experience: OpenExperience | None = None,
) -> list[TaskResult]:
    """Run the unfinished tasks of a journal's plan, and return all results in order.

    Args:
        workspace: has the environments, models, store and memory.
        journal: has the plan, and the results so far.
        listener: receives the progress.
        slots: bounds the number of parallel tasks of all evaluations that share it.
        donors: results whose reflections are lent, for the control `others-reflections`.
        experience: opens the memory of exemplars, in which a tenant's attempts are also recorded;
            None for the workspace's.

    Raises:
        ApprenticeError: the first error of a task; the journal keeps the finished tasks.
    """
    plan, context = journal.plan, context_of(journal.plan, workspace)
    name = run_name(plan)
    tasks = await asyncio.to_thread(tasks_of, plan, workspace)
    spec = TECHNIQUES[technique(plan.technique)]
    listener.begin(len(tasks), [journal.results[t.id] for t in tasks if t.id in journal.results])
    memory = experience or workspace.experience
    async with _memory(plan, workspace) as store:
        shared_graph = _graph(plan, store, memory, workspace)

        if (
            spec.learns_rules
            and store is not None
            and any(t.id not in journal.results for t in tasks)
        ):
            # The number of trials at test tasks does not change how rules are learned.
            expel_context = replace(context, max_trials=ATTEMPTS)
            expel_run = expel_run_of(plan, workspace)
            await run_expel(
                workspace, expel_run, expel_context, store, listener=listener.expel_event
            )

        async def one(task: Task) -> None:
            async with slots:
                if store:
                    # An evaluation that was killed may have left reflections of an unfinished task.
                    await Reflections(store, context.tenant, task).forget(name, plan.trials)
                reflector = reflector_of_others(task, donors) if spec.borrows else None
                graph = (
                    _lending_graph(reflector, store, memory, workspace)
                    if reflector
                    else shared_graph
                )
                inputs: dict[str, Any] = {"task": task, "run": name}
                if spec.recall is None:
                    inputs["afresh"] = not plan.tenant
                result = await _run(graph, inputs, context, listener)
                journal.add(result)
                listener.finish(result)

        await together(one(task) for task in tasks if task.id not in journal.results)
    return [journal.results[task.id] for task in tasks]


def _graph(
    plan: Plan, store: BaseStore | None, experience: OpenExperience, workspace: Workspace
) -> Graph:
    """Return the graph of a plan's technique."""
    if TECHNIQUES[technique(plan.technique)].recall is None:
        graph = reflexion.build(workspace=workspace, record_to=experience)
        return graph.compile(name="reflexion", store=store)
    shown = exemplar.build(workspace=workspace, recall_from=experience, record_to=experience)
    return shown.compile(name="exemplar", store=store)


def _lending_graph(
    reflector: Agent, store: BaseStore | None, experience: OpenExperience, workspace: Workspace
) -> Graph:
    graph = reflexion.build(workspace=workspace, reflector=reflector, record_to=experience)
    return graph.compile(name="reflexion", store=store)


async def together(jobs: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run jobs in parallel and return their results in order.

    Raises:
        ApprenticeError: the first one of any job; the others are cancelled.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job) for job in jobs]
    except* ApprenticeError as errors:
        raise errors.exceptions[0] from errors
    return [task.result() for task in tasks]


def rows(results: Sequence[TaskResult], workspace: Workspace) -> list[ResultRow]:
    """Return one row for each attempt."""
    return [_row(attempt, workspace) for result in results for attempt in result.attempts]


def steps(attempt: Trajectory, workspace: Workspace) -> int:
    """Count the actions of an attempt; a turn without an action counts as one."""
    where = workspace.environment(attempt.task.environment)
    turns = [message for message in attempt.messages if message.type == "ai"]
    return sum(max(1, len(actions_of(where, turn))) for turn in turns)


def _row(attempt: Trajectory, workspace: Workspace) -> ResultRow:
    usage = attempt.usage
    return ResultRow(
        id=attempt.id,
        task=attempt.task.id,
        environment=attempt.task.environment,
        family=attempt.task.kind,
        trial=attempt.trial,
        success=attempt.verdict.success,
        score=attempt.verdict.score,
        steps=steps(attempt, workspace),
        calls=usage.calls,
        tokens=usage.tokens,
        seconds=round(usage.seconds, 4),
    )


@asynccontextmanager
async def _memory(plan: Plan, workspace: Workspace) -> AsyncIterator[BaseStore | None]:
    """Open the store that a plan needs, or yield None.

    A plan with a tenant, or one that learns rules, needs the workspace's store. A plan that has
    rules gets a new store in which they are released.
    """
    if plan.rules:
        yield await _store_with_rules(plan, workspace)
        return
    if not plan.tenant and not TECHNIQUES[technique(plan.technique)].learns_rules:
        yield None
        return
    async with workspace.store() as store:
        yield store


async def _store_with_rules(plan: Plan, workspace: Workspace) -> BaseStore:
    """Return a new store in which only a plan's rules are released."""
    store = InMemoryStore()
    tenant = context_of(plan, workspace).tenant
    where = workspace.environment(plan.environment).name
    rules = tuple(Rule(id=digest(text), text=text, strength=1) for text in plan.rules)
    name = digest("given", tenant, where, *plan.rules)
    release = Release(id=name, tenant=tenant, environment=where, rules=rules)
    await Releases(store, tenant, where).publish(release, author="person", reason="Given.")
    return store


async def _run(
    graph: Graph, inputs: Mapping[str, Any], context: Context, listener: EvaluationListener
) -> TaskResult:
    where = inputs["task"].environment
    labels = {"graph": graph.name, "environment": where, "model": context.model}
    config = RunnableConfig(
        tags=[f"{name}:{value}" for name, value in labels.items()], metadata=dict(labels)
    )
    values: dict[str, Any] = {}
    async for mode, part in graph.astream(
        inputs, config, context=context, stream_mode=["custom", "values"]
    ):
        if mode == "values":
            values = cast("dict[str, Any]", part)
        elif cast("dict[str, Any]", part)["type"] in _JUDGED:
            listener.attempt()
    return TaskResult(
        task=values["task"],
        outcome=values["outcome"],
        attempts=tuple(values["attempts"]),
        reflections=tuple(values.get("reflections", ())),
        reflection_usage=values.get("reflection_usage", Usage()),
    )
