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
from apprentice.memory.findings import Findings
from apprentice.nodes import Node
from apprentice.nodes.attempt import attempted
from apprentice.nodes.expel.draw import VALIDATION, drawn
from apprentice.nodes.kept import findings_of, releases_of
from apprentice.nodes.training.workshop import (
    LASTING,
    claimed,
    dataset_folder,
    given_up,
    incumbent,
    rounds_of,
)
from apprentice.state.context import MAX_SEED, NO_ADAPTER, Context
from apprentice.state.errors import BadInput, MissingPart
from apprentice.state.gate import Decision, Gate
from apprentice.state.nouns import Task, digest, text_of
from apprentice.state.prompts import Shown
from apprentice.state.training import AdapterComparison, TrainingState, TrainingUpdate
from apprentice.training.adapters import Adapters
from apprentice.training.datasets.card import load
from apprentice.training.datasets.curation import text_key
from apprentice.workspace import Workspace

LOOK: Final = 24
"""Tasks between two looks at an environment's outcomes."""
AT_ONCE: Final = 16

Next = Literal["evaluate", "promote", "reject", "__end__"]
Episode = CompiledStateGraph[Any, Context, Any, Any]


def evaluate_with(episode: Episode, workspace: Workspace) -> Node[TrainingState, Command[Next]]:
    """Return the node that tries the adapter out; finished attempts are kept, a restart repeats
    none of them.
    """

    async def evaluate(state: TrainingState, runtime: Runtime[Context]) -> Command[Next]:
        """Decide from the outcomes so far, or attempt the next held-out tasks; one run does."""
        await workspace.ready()
        rounds = rounds_of(runtime, state.environment, workspace)
        async with claimed(rounds, state) as over:
            if over:
                return Command(update=over, goto="__end__")
            try:
                await asyncio.to_thread(_check_fit, state.adapter, workspace.adapters)
                return await look(state, runtime)
            except LASTING as error:
                ended = await given_up(runtime, rounds, state.number, state.job, str(error))
                return Command(update=ended, goto="__end__")

    async def look(state: TrainingState, runtime: Runtime[Context]) -> Command[Next]:
        against = await incumbent(state, runtime)
        # What was compared with another adapter than the one in force says nothing of this one.
        decisions = dict(state.decisions) if against == state.incumbent else {}

        def told(reason: str = "") -> TrainingUpdate:
            return {"decisions": decisions, "incumbent": against, "reason": reason}

        current = await releases_of(runtime, state.environment).current()
        if current and current.run == state.job and current.validation:
            # The run that released it was ended before its last word: the gate has decided.
            decisions[state.environment] = current.validation
            return Command(update=told(current.validation.reason), goto="promote")
        for name in (state.environment, *state.other_environments):
            if name in decisions:
                continue
            tasks = await asyncio.to_thread(_held_out, name, state, runtime, workspace)
            findings = findings_of(runtime, name, state.job, AdapterComparison)
            known = await _known(findings, against)
            decision = await _decided(state, name, tasks, known, runtime)
            if decision.outcome == "undecided":
                following = [task for task in tasks if task.id not in known][:LOOK]
                await _attempt(episode, state, against, following, findings, runtime, workspace)
                return Command(update={**told(), "looks": state.looks + 1}, goto="evaluate")
            decisions[name] = decision
            if decision.outcome == "reject":
                return Command(update=told(f"{name}: {decision.reason}"), goto="reject")
        return Command(update=told(decisions[state.environment].reason), goto="promote")

    return evaluate


async def _decided(
    state: TrainingState,
    name: str,
    tasks: Sequence[Task],
    known: dict[str, AdapterComparison],
    runtime: Runtime[Context],
) -> Decision:
    """Let the gate decide: better in the environment itself, no worse in those to be kept.

    A round has one level, though what it is compared with may change.
    """
    here = name == state.environment
    level = await releases_of(runtime, name).gate_level(state.job) if here else 0.05
    seen = [known[task.id] for task in tasks if task.id in known]
    gate = Gate(
        families=tuple(dict.fromkeys(task.kind for task in tasks)),
        aim="better" if here else "no_worse",
        level=level,
        most=len(tasks),
    ).add(each.pair for each in seen)
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
    """Attempt tasks with both adapters and with none, the same seed for all; keep how each went.

    The plain model, which learned nothing, is the control where the adapter has to be better; it
    runs once where it is the incumbent as well.

    Raises:
        MissingPart: none of them could be judged; then nothing of them is kept, so that who asks
            again with another judge can have them tried anew.
    """
    context = workspace.resolved(Context.of(runtime))
    room = asyncio.Semaphore(AT_ONCE)

    async def solved(task: Task, adapter: str) -> bool | None:
        seed = int(digest("evaluate", state.job, task.id), 16) % MAX_SEED
        settings = replace(context, adapter=adapter, seed=seed)
        async with room:
            ended = await attempted(episode, task, Shown(), settings, run=state.job)
        return ended.verdict.success

    async def tried(task: Task) -> AdapterComparison:
        here = covers(state.environment, task.environment)
        arms = {"incumbent": against or NO_ADAPTER, "candidate": state.adapter}
        arms |= {"control": NO_ADAPTER} if here else {}
        acting = list(dict.fromkeys(arms.values()))
        ended = await asyncio.gather(*(solved(task, adapter) for adapter in acting))
        outcome = dict(zip(acting, ended, strict=True))
        how = {arm: bool(outcome[adapter]) for arm, adapter in arms.items()}
        how["judged"] = None not in ended
        found = AdapterComparison(task=task.id, family=task.kind, against=against, **how)
        if found.judged:
            await findings.add(_key(found), found)
        return found

    ended = await asyncio.gather(*map(tried, tasks))
    if not any(one.judged for one in ended):
        raise MissingPart(
            f"No attempt at {len(tasks)} held-out tasks of {tasks[0].environment} has a verdict, "
            f"so {state.adapter} cannot be compared (judge: {context.judge}). Ask with "
            '"again": true, and in the context a judge that tells at once, such as "model".'
        )
    for one in ended:
        if not one.judged:
            await findings.add(_key(one), one)


def _key(tried: AdapterComparison) -> str:
    return digest(tried.task, tried.against)


async def _known(
    findings: Findings[AdapterComparison], against: str
) -> dict[str, AdapterComparison]:
    """Return how tasks went that were compared with an adapter, by task."""
    return {tried.task: tried for tried in await findings.all() if tried.against == against}


def _check_fit(adapter: str, adapters: Adapters) -> None:
    """Refuse an adapter that cannot act; blocks."""
    if not adapters.has(adapter):
        raise MissingPart(
            f"The adapter {adapter} is no longer in the registry, so it cannot be tried out. Ask "
            'with "again": true to take its job up.'
        )
    if not adapters.fits(card := adapters.read(adapter)):
        raise BadInput(
            f"The adapter {adapter} was trained on other weights of local:{card.base} than the "
            'ones in place. Ask with "again": true to train on the same dataset anew.'
        )


def _held_out(
    name: str, state: TrainingState, runtime: Runtime[Context], workspace: Workspace
) -> list[Task]:
    """Return a round's own validation tasks that say nothing it was trained on; blocks."""
    where = workspace.environment(name)
    tasks = drawn(where, VALIDATION, state.job, state.most)
    rounds = rounds_of(runtime, state.environment, workspace)
    dataset = load(dataset_folder(rounds, state))
    told = {
        text_key(str(turn["content"]))
        for row in dataset.rows()
        for turn in row.get("messages") or row.get("prompt") or ()
        if turn["role"] == "user"
    }
    openings = {task.id: workspace.episodes.start(where, task) for task in tasks}
    found = [task for task in tasks if text_key(text_of(openings[task.id])) not in told]
    if not found:
        raise MissingPart(
            f"Every held-out task of {name} says what a row of {dataset.folder} says, so there is "
            "nothing to try the adapter out on. Give the environment more tasks."
        )
    return found
