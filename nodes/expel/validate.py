"""validate: candidate, incumbent and a no-learning control attempt the same held-out tasks."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random
from typing import Any, Final, Literal

from langgraph.config import get_config
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, Send

from apprentice.nodes import Node
from apprentice.nodes.attempt import without_checkpoints
from apprentice.nodes.expel.sample import VALIDATION, sample_tasks
from apprentice.nodes.stores import findings_of, releases_of
from apprentice.state.context import MAX_SEED, Context
from apprentice.state.critique import alternate_kinds
from apprentice.state.errors import BrokenData
from apprentice.state.expel import ExpelState, ExpelUpdate, ForTask, RuleComparison
from apprentice.state.gate import Aim, Gate
from apprentice.state.prompts import Shown
from apprentice.state.releases import NONE
from apprentice.state.trajectory import Task, digest
from apprentice.workspace import Workspace

Next = Literal["compare", "publish"]
LOOK: Final = 24
"""Held-out tasks between two looks at the outcomes; a multiple of the household's six families."""


def validate_in(workspace: Workspace) -> Node[ExpelState, Command[Next]]:
    """Return the node that validates the candidate on held-out tasks."""

    async def validate(state: ExpelState, runtime: Runtime[Context]) -> Command[Next]:
        """Look at the outcomes so far, and decide or ask for more."""
        if state.candidate is None:
            raise BrokenData("There is no candidate to validate. Start the run again.")
        name = gate_name(state)
        level = state.level or await releases_of(runtime, state.environment).gate_level(name)
        tasks = await asyncio.to_thread(held_out, state, workspace)
        findings = findings_of(runtime, state.environment, name, RuleComparison)
        by_task = {each.task: each for each in await findings.all()}
        comparisons = [
            by_task[task.id] for task in tasks[: state.looks * LOOK] if task.id in by_task
        ]
        next_tasks = tasks[state.looks * LOOK : (state.looks + 1) * LOOK]
        if not tasks:
            reason = "No held-out tasks were allowed, so the candidate could not be validated."
            return Command(update={"outcome": "undecided", "reason": reason}, goto="publish")
        gate = Gate(
            families=tuple(dict.fromkeys(task.kind for task in tasks)),
            aim=aim(state),
            level=level,
            most=len(tasks),
        ).add(each.pair for each in comparisons)
        decision = gate.decide()
        runtime.stream_writer(
            {
                "type": "expel.validated",
                "look": state.looks,
                "pairs": decision.numbers.pairs,
                "incumbent": decision.numbers.incumbent,
                "candidate": decision.numbers.candidate,
                "outcome": decision.outcome,
                "reason": decision.reason,
            }
        )
        if decision.outcome == "undecided" and next_tasks:
            sends = [Send("compare", ForTask(name, task, arms(state))) for task in next_tasks]
            return Command(update={"level": level, "looks": state.looks + 1}, goto=sends)
        return Command(update={"level": level, "validation": decision}, goto="publish")

    return validate


def compare_with(
    episode: CompiledStateGraph[Any, Context, Any, Any],
) -> Node[ForTask, ExpelUpdate]:
    """Return the node that runs one held-out task under each arm, as a subgraph."""

    async def compare(state: ForTask, runtime: Runtime[Context]) -> ExpelUpdate:
        """Attempt one held-out task under each arm, with one seed; a restart repeats no task."""
        findings = findings_of(runtime, state.task.environment, state.run_name, RuleComparison)
        if await findings.get(state.task.id):
            return {}
        context = Context.of(runtime)
        settings = replace(context, rules=NONE, seed=_seed(state))
        successes: dict[tuple[str, ...], bool | None] = {}
        for rules in {tuple(each): None for each in state.arms.values()}:
            result = await episode.ainvoke(
                {"task": state.task, "shown": Shown(rules=rules)},
                without_checkpoints(get_config()),
                context=settings,
            )
            successes[rules] = result["verdict"].success
        outcomes = {arm: bool(successes[tuple(rules)]) for arm, rules in state.arms.items()}
        outcomes["judged"] = None not in successes.values()
        await findings.add(
            state.task.id, RuleComparison(task=state.task.id, family=state.task.kind, **outcomes)
        )
        runtime.stream_writer({"type": "expel.compared", "task": state.task.id, **outcomes})
        return {}

    return compare


def arms(state: ExpelState) -> dict[str, list[str]]:
    """Return the rules that each arm shows; the control shows none."""
    candidate = state.candidate.texts if state.candidate else ()
    return {
        "incumbent": [rule.text for rule in state.shown_now],
        "candidate": list(candidate),
        "control": [],
    }


def aim(state: ExpelState) -> Aim:
    """Return what the gate asks for: a candidate that only removes rules must be no worse."""
    shown = arms(state)
    return "no_worse" if set(shown["candidate"]) <= set(shown["incumbent"]) else "better"


def gate_name(state: ExpelState) -> str:
    """Name the gate of a run's candidate; each candidate of a run has its own gate."""
    candidate, base = state.candidate, state.incumbent
    return digest(
        "gate", state.run_name, candidate.id if candidate else "", base.id if base else ""
    )


def held_out(state: ExpelState, workspace: Workspace) -> list[Task]:
    """Sample the gate's own validation tasks, alternating kinds; blocks on the environment."""
    where, name = workspace.environment(state.environment), gate_name(state)
    tasks = sample_tasks(where, VALIDATION, name, state.most_held_out)
    return list(alternate_kinds(tasks, Random(name)))


def _seed(state: ForTask) -> int:
    return int(digest("compare", state.run_name, state.task.id), 16) % MAX_SEED
