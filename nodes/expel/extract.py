"""extract: what was gathered becomes evidence, a piece for every question to the critic."""

from __future__ import annotations

from langgraph.runtime import Runtime

from nodes.kept import findings_of
from state.context import Context
from state.expel import ExpelState, ExpelUpdate
from state.gathering import Gathered, extracted


async def extract(state: ExpelState, runtime: Runtime[Context]) -> ExpelUpdate:
    """Pair successes with failures of the same task, then put successes together."""
    context = Context.of(runtime)
    found = {each.task.id: each for each in await gathered(state, runtime)}
    ordered = [found[task.id] for task in state.tasks_drawn if task.id in found]
    evidence = extracted(ordered, context.seed, state.chunk_size)
    solved = sum(bool(each.ended(True)) for each in ordered)
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


async def gathered(state: ExpelState, runtime: Runtime[Context]) -> list[Gathered]:
    """Return every attempt that the run made."""
    return await findings_of(runtime, state.environment, state.run_name, Gathered).all()


def _why(tasks: int) -> str:
    return (
        f"None of the {tasks} training tasks was solved, and rules are drawn from successes. Give "
        "it more tasks or trials, easier tasks, or a stronger model."
    )
