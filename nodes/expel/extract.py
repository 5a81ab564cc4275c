"""extract: what was gathered becomes evidence, a piece for every question to the critic."""

from __future__ import annotations

import asyncio
from typing import Final

from langgraph.runtime import Runtime

from apprentice.nodes import Node
from apprentice.nodes.agents import Agent
from apprentice.nodes.expel.budget import Budget
from apprentice.nodes.kept import findings_of, log_of
from apprentice.state.context import Context
from apprentice.state.critique import CritiqueEvidence, TaskAttempts, extract_evidence
from apprentice.state.expel import ExpelState, ExpelUpdate
from apprentice.state.nouns import Trajectory, transcript
from apprentice.workspace import Workspace


def extract_for(critic: Agent | None, workspace: Workspace) -> Node[ExpelState, ExpelUpdate]:
    """Return the node that makes evidence, in pieces that whoever criticises has room for."""

    async def extract(state: ExpelState, runtime: Runtime[Context]) -> ExpelUpdate:
        """Pair successes with failures of the same task, then put successes together."""
        context = Context.of(runtime)
        found = {each.task.id: each for each in await gathered(state, runtime)}
        ordered = [found[task.id] for task in state.tasks_drawn if task.id in found]
        evidence = await _evidence(
            ordered, state, runtime, await Budget.of(critic, context, workspace)
        )
        solved = sum(bool(each.with_success(True)) for each in ordered)
        pairs = sum(each.kind == "pair" for each in evidence)
        runtime.stream_writer(
            {
                "type": "expel.extracted",
                "tasks": len(ordered),
                "solved": solved,
                "pairs": pairs,
                "chunks": len(evidence) - pairs,
            }
        )
        reason = "" if evidence else _why(len(ordered))
        return {"evidence": evidence, "reason": reason}

    return extract


STATUS: Final = 16
"""Tokens that stand around a transcript in a question, at most."""


async def _evidence(
    ordered: list[TaskAttempts], state: ExpelState, runtime: Runtime[Context], budget: Budget
) -> list[CritiqueEvidence]:
    """Return the evidence: as many successes together as asked for, or as there is room for."""
    book = await log_of(runtime, state.environment).load()
    room = budget.transcripts([rule.text for rule in book.rules])

    def size(attempt: Trajectory) -> int:
        return budget.count(transcript(attempt.messages)) + STATUS

    seed = Context.of(runtime).seed
    return await asyncio.to_thread(extract_evidence, ordered, seed, state.chunk_size, size, room)


async def gathered(state: ExpelState, runtime: Runtime[Context]) -> list[TaskAttempts]:
    """Return every attempt that the run made."""
    return await findings_of(runtime, state.environment, state.run_name, TaskAttempts).all()


def _why(tasks: int) -> str:
    return (
        f"None of the {tasks} training tasks was solved, and rules are drawn from successes. Give "
        "it more tasks or trials, easier tasks, or a stronger model."
    )
