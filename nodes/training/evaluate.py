"""evaluate: incumbent, new adapter and a no-learning control attempt the same held-out tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Literal

from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command

from apprentice.environments.registry import covers
from apprentice.memory.run_results import Findings
from apprentice.nodes import Node
from apprentice.nodes.attempt import run_episode
from apprentice.nodes.expel.sample import VALIDATION, sample_tasks
from apprentice.nodes.stores import findings_of, releases_of
from apprentice.nodes.training.rounds import (
    LASTING_ERRORS,
    dataset_folder,
    end_as_failed,
    hold_round,
    incumbent,
    rounds_of,
)
from apprentice.state.context import MAX_SEED, NO_ADAPTER, Context
from apprentice.state.errors import BadInput, MissingPart
from apprentice.state.gate import Decision, Gate
from apprentice.state.prompts import Shown
from apprentice.state.training import AdapterComparison, TrainingState, TrainingUpdate
from apprentice.state.trajectory import Task, digest, text_of
from apprentice.training.adapters import Adapters
from apprentice.training.datasets.card import load
from apprentice.training.datasets.curation import text_key
from apprentice.workspace import Workspace

LOOK: Final = 24
"""Tasks between two looks at an environment's outcomes."""
AT_ONCE: Final = 16
"""At most this many attempts run at the same time."""

Next = Literal["evaluate", "promote", "reject", "__end__"]
Episode = CompiledStateGraph[Any, Context, Any, Any]


def evaluate_with(episode: Episode, workspace: Workspace) -> Node[TrainingState, Command[Next]]:
    """Return the node that evaluates the adapter; a restart repeats no finished attempt."""

    async def evaluate(state: TrainingState, runtime: Runtime[Context]) -> Command[Next]:
        """Decide from the outcomes so far, or attempt more held-out tasks; one run at a time."""
        await workspace.ready()
        rounds = rounds_of(runtime, state.environment, workspace)
        async with hold_round(rounds, state) as over:
            if over:
                return Command(update=over, goto="__end__")
            try:
                await asyncio.to_thread(_check_fit, state.adapter, workspace.adapters)
                return await look(state, runtime)
            except LASTING_ERRORS as error:
                end_update = await end_as_failed(
                    runtime, rounds, state.number, state.job, str(error)
                )
                return Command(update=end_update, goto="__end__")

    async def look(state: TrainingState, runtime: Runtime[Context]) -> Command[Next]:
        against = await incumbent(state, runtime)
        # A decision about another incumbent does not count for this one.
        decisions = dict(state.decisions) if against == state.incumbent else {}

        def update(reason: str = "") -> TrainingUpdate:
            return {"decisions": decisions, "incumbent": against, "reason": reason}

        current = await releases_of(runtime, state.environment).current()
        if current and current.run == state.job and current.validation:
            # A run released it and was killed before it ended the round: the gate has decided.
            decisions[state.environment] = current.validation
            return Command(update=update(current.validation.reason), goto="promote")
        for name in (state.environment, *state.other_environments):
            if name in decisions:
                continue
            tasks = await asyncio.to_thread(_held_out, name, state, runtime, workspace)
            findings = findings_of(runtime, name, state.job, AdapterComparison)
            comparisons = await _comparisons(findings, against)
            decision = await _decide(state, name, tasks, comparisons, runtime)
            if decision.outcome == "undecided":
                next_tasks = [task for task in tasks if task.id not in comparisons][:LOOK]
                await _attempt(episode, state, against, next_tasks, findings, runtime, workspace)
                return Command(update={**update(), "looks": state.looks + 1}, goto="evaluate")
            decisions[name] = decision
            if decision.outcome == "reject":
                return Command(update=update(f"{name}: {decision.reason}"), goto="reject")
        return Command(update=update(decisions[state.environment].reason), goto="promote")

    return evaluate


async def _decide(
    state: TrainingState,
    name: str,
    tasks: Sequence[Task],
    comparisons: dict[str, AdapterComparison],
    runtime: Runtime[Context],
) -> Decision:
    """Let the gate decide: better in the environment itself, no worse in the other ones.

    A round has one level, even if its incumbent changes.
    """
    here = name == state.environment
    level = await releases_of(runtime, name).gate_level(state.job) if here else 0.05
    complete = [comparisons[task.id] for task in tasks if task.id in comparisons]
    gate = Gate(
        families=tuple(dict.fromkeys(task.kind for task in tasks)),
        aim="better" if here else "no_worse",
        level=level,
        most=len(tasks),
    ).add(each.pair for each in complete)
    decision = gate.decide()
    numbers = decision.numbers
    runtime.stream_writer(
        {
            "type": "training.evaluated",
            "environment": name,
            "pairs": numbers.pairs,
            "incumbent": numbers.incumbent,
            "candidate": numbers.candidate,
            "control": numbers.control,
            "outcome": decision.outcome,
            "reason": decision.reason,
        }
    )
    return decision


async def _attempt(
    episode: Episode,
    state: TrainingState,
    against: str,
    tasks: Sequence[Task],
    findings: Findings[AdapterComparison],
    runtime: Runtime[Context],
    workspace: Workspace,
) -> None:
    """Attempt tasks with both adapters and with none, with the same seed; store the comparisons.

    The plain model, which learned nothing, is the control in the environment where the adapter has
    to be better. If it is also the incumbent, it runs once.

    Raises:
        MissingPart: no attempt has a verdict. Then no comparison is stored, so that a run with
            another judge attempts these tasks again.
    """
    context = workspace.with_model(Context.of(runtime))
    room = asyncio.Semaphore(AT_ONCE)

    async def solve(task: Task, adapter: str) -> bool | None:
        seed = int(digest("evaluate", state.job, task.id), 16) % MAX_SEED
        settings = replace(context, adapter=adapter, seed=seed)
        async with room:
            attempt = await run_episode(episode, task, Shown(), settings, run=state.job)
        return attempt.verdict.success

    async def compare(task: Task) -> AdapterComparison:
        here = covers(state.environment, task.environment)
        arms = {"incumbent": against or NO_ADAPTER, "candidate": state.adapter}
        arms |= {"control": NO_ADAPTER} if here else {}
        adapters = list(dict.fromkeys(arms.values()))
        successes = await asyncio.gather(*(solve(task, adapter) for adapter in adapters))
        outcome = dict(zip(adapters, successes, strict=True))
        how = {arm: bool(outcome[adapter]) for arm, adapter in arms.items()}
        how["judged"] = None not in successes
        comparison = AdapterComparison(task=task.id, family=task.kind, against=against, **how)
        if comparison.judged:
            await findings.add(_key(comparison), comparison)
        return comparison

    comparisons = await asyncio.gather(*map(compare, tasks))
    if not any(one.judged for one in comparisons):
        raise MissingPart(
            f"No attempt at {len(tasks)} held-out tasks of {tasks[0].environment} has a verdict, "
            f"so {state.adapter} cannot be compared (judge: {context.judge}). "
            'Start the run again with "again": true and a judge that answers at once, such '
            'as "model".'
        )
    for one in comparisons:
        if not one.judged:
            await findings.add(_key(one), one)


def _key(comparison: AdapterComparison) -> str:
    return digest(comparison.task, comparison.against)


async def _comparisons(
    findings: Findings[AdapterComparison], against: str
) -> dict[str, AdapterComparison]:
    """Return the comparisons with an adapter, by task."""
    return {
        comparison.task: comparison
        for comparison in await findings.all()
        if comparison.against == against
    }


def _check_fit(adapter: str, adapters: Adapters) -> None:
    """Refuse an adapter that cannot act; blocks on files."""
    if not adapters.has(adapter):
        raise MissingPart(
            f"The adapter {adapter} is no longer in the registry, so it cannot be evaluated. "
            'Start the run again with "again": true to take up its job.'
        )
    if not adapters.fits(card := adapters.read(adapter)):
        raise BadInput(
            f"The adapter {adapter} was trained on other weights of local:{card.base} than the "
            'current ones. Start the run again with "again": true to train on the same dataset.'
        )


def _held_out(
    name: str, state: TrainingState, runtime: Runtime[Context], workspace: Workspace
) -> list[Task]:
    """Return a round's own validation tasks, without those whose text it was trained on; blocks."""
    where = workspace.environment(name)
    tasks = sample_tasks(where, VALIDATION, state.job, state.most)
    rounds = rounds_of(runtime, state.environment, workspace)
    dataset = load(dataset_folder(rounds, state))
    trained_texts = {
        text_key(str(turn["content"]))
        for row in dataset.rows()
        for turn in row.get("messages") or row.get("prompt") or ()
        if turn["role"] == "user"
    }
    openings = {task.id: workspace.episodes.start(where, task) for task in tasks}
    fresh_tasks = [
        task for task in tasks if text_key(text_of(openings[task.id])) not in trained_texts
    ]
    if not fresh_tasks:
        raise MissingPart(
            f"Every held-out task of {name} has the text of a row in {dataset.folder}, so there is "
            "no task to evaluate the adapter on. Give the environment more tasks."
        )
    return fresh_tasks
