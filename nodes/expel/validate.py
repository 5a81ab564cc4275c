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
from apprentice.nodes.expel.draw import VALIDATION, drawn
from apprentice.nodes.kept import findings_of, releases_of
from apprentice.state.context import MAX_SEED, Context
from apprentice.state.critique import alternate_kinds
from apprentice.state.errors import BrokenData
from apprentice.state.expel import ExpelState, ExpelUpdate, ForTask, RuleComparison
from apprentice.state.gate import Aim, Gate
from apprentice.state.nouns import Task, digest
from apprentice.state.prompts import Shown
from apprentice.state.releases import NONE
from apprentice.workspace import Workspace

Next = Literal["compare", "publish"]
LOOK: Final = 24
"""Held-out tasks between two looks; a multiple of the household's six families."""


def validate_in(workspace: Workspace) -> Node[ExpelState, Command[Next]]:
    """Return the node that tries the candidate on held-out tasks."""

    async def validate(state: ExpelState, runtime: Runtime[Context]) -> Command[Next]:
        """Look at the outcomes so far: decide, or ask for more of them."""
        if state.candidate is None:
            raise BrokenData("There is no candidate to validate. Start the run again.")
        name = gate_name(state)
        level = state.level or await releases_of(runtime, state.environment).gate_level(name)
        tasks = await asyncio.to_thread(held_out, state, workspace)
        findings = findings_of(runtime, state.environment, name, RuleComparison)
        known = {each.task: each for each in await findings.all()}
        seen = [known[task.id] for task in tasks[: state.looks * LOOK] if task.id in known]
        following = tasks[state.looks * LOOK : (state.looks + 1) * LOOK]
        if not tasks:
            reason = "No held-out tasks were allowed, so the candidate could not be tried."
            return Command(update={"outcome": "undecided", "reason": reason}, goto="publish")
        gate = Gate(
            families=tuple(dict.fromkeys(task.kind for task in tasks)),
            aim=aim(state),
            level=level,
            most=len(tasks),
        ).add(each.pair for each in seen)
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
        if decision.outcome == "undecided" and following:
            sent = [Send("compare", ForTask(name, task, arms(state))) for task in following]
            return Command(update={"level": level, "looks": state.looks + 1}, goto=sent)
        return Command(update={"level": level, "validation": decision}, goto="publish")

    return validate


def compare_with(
    episode: CompiledStateGraph[Any, Context, Any, Any],
) -> Node[ForTask, ExpelUpdate]:
    """Return the node that runs one held-out task under each arm, as a subgraph."""

    async def compare(state: ForTask, runtime: Runtime[Context]) -> ExpelUpdate:
        """Attempt one held-out task under each arm, with the same seed; a restart repeats none."""
        findings = findings_of(runtime, state.task.environment, state.run_name, RuleComparison)
        if await findings.get(state.task.id):
            return {}
        context = Context.of(runtime)
        settings = replace(context, rules=NONE, seed=_seed(state))
        ended: dict[tuple[str, ...], bool | None] = {}
        for rules in {tuple(each): None for each in state.arms.values()}:
            done = await episode.ainvoke(
                {"task": state.task, "shown": Shown(rules=rules)},
                without_checkpoints(get_config()),
                context=settings,
            )
            ended[rules] = done["verdict"].success
        outcomes = {arm: bool(ended[tuple(rules)]) for arm, rules in state.arms.items()}
        outcomes["judged"] = None not in ended.values()
        await findings.add(
            state.task.id, RuleComparison(task=state.task.id, family=state.task.kind, **outcomes)
        )
        runtime.stream_writer({"type": "expel.compared", "task": state.task.id, **outcomes})
        return {}

    return compare


def arms(state: ExpelState) -> dict[str, list[str]]:
    """Return the rules that each arm shows; what learned nothing shows none."""
    candidate = state.candidate.texts if state.candidate else ()
    return {
        "incumbent": [rule.text for rule in state.shown_now],
        "candidate": list(candidate),
        "control": [],
    }


def aim(state: ExpelState) -> Aim:
    """Return what has to be shown: what only takes rules away need be no worse."""
    shown = arms(state)
    return "no_worse" if set(shown["candidate"]) <= set(shown["incumbent"]) else "better"


def gate_name(state: ExpelState) -> str:
    """Name the gate of a run's candidate: another candidate of that run has one of its own."""
    made, base = state.candidate, state.incumbent
    return digest("gate", state.run_name, made.id if made else "", base.id if base else "")


def held_out(state: ExpelState, workspace: Workspace) -> list[Task]:
    """Return the gate's own validation tasks, kinds taking turns; blocks while they are drawn."""
    where, name = workspace.environment(state.environment), gate_name(state)
    tasks = drawn(where, VALIDATION, name, state.most_held_out)
    return list(alternate_kinds(tasks, Random(name)))


def _seed(state: ForTask) -> int:
    return int(digest("compare", state.run_name, state.task.id), 16) % MAX_SEED
