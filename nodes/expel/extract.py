"""extract: turn the attempts into evidence, one piece for each question to the critic."""

from __future__ import annotations

import asyncio
from typing import Final

from langgraph.runtime import Runtime

from apprentice.nodes import Node
from apprentice.nodes.agents import Agent
from apprentice.nodes.expel.budget import Budget
from apprentice.nodes.stores import findings_of, log_of
from apprentice.state.context import Context
from apprentice.state.critique import CritiqueEvidence, TaskAttempts, extract_evidence
from apprentice.state.expel import ExpelState, ExpelUpdate
from apprentice.state.trajectory import Trajectory, transcript
from apprentice.workspace import Workspace


def extract_for(critic: Agent | None, workspace: Workspace) -> Node[ExpelState, ExpelUpdate]:
    """Return the node that makes evidence, in pieces that fit into the critic's context."""

    async def extract(state: ExpelState, runtime: Runtime[Context]) -> ExpelUpdate:
        """Pair successes with failures of the same task, then group successes."""
        context = Context.of(runtime)
        by_task = {each.task.id: each for each in await load_attempts(state, runtime)}
        attempts = [by_task[task.id] for task in state.tasks_drawn if task.id in by_task]
        evidence = await _evidence(
            attempts, state, runtime, await Budget.of(critic, context, workspace)
        )
        solved_count = sum(bool(each.with_success(True)) for each in attempts)
        pairs = sum(each.kind == "pair" for each in evidence)
        runtime.stream_writer(
            {
                "type": "expel.extracted",
                "tasks": len(attempts),
                "solved": solved_count,
                "pairs": pairs,
                "chunks": len(evidence) - pairs,
            }
        )
        reason = "" if evidence else _why(len(attempts))
        return {"evidence": evidence, "reason": reason}

    return extract


STATUS: Final = 16
"""At most this many tokens frame a transcript in a question."""


async def _evidence(
    attempts: list[TaskAttempts], state: ExpelState, runtime: Runtime[Context], budget: Budget
) -> list[CritiqueEvidence]:
    """Return the evidence; a group has the requested number of successes, or as many as fit."""
    rulebook = await log_of(runtime, state.environment).load()
    room = budget.transcripts([rule.text for rule in rulebook.rules])

    def size(attempt: Trajectory) -> int:
        return budget.count(transcript(attempt.messages)) + STATUS

    seed = Context.of(runtime).seed
    return await asyncio.to_thread(extract_evidence, attempts, seed, state.chunk_size, size, room)


async def load_attempts(state: ExpelState, runtime: Runtime[Context]) -> list[TaskAttempts]:
    """Return the attempts that the run made, by task."""
    return await findings_of(runtime, state.environment, state.run_name, TaskAttempts).all()


def _why(tasks: int) -> str:
    return (
        f"None of the {tasks} training tasks was solved, and rules come from successes. Use more "
        "tasks or trials, easier tasks, or a stronger model."
    )
