"""publish: release a candidate that passed the gate, and report the run's outcome."""

from __future__ import annotations

from typing import Final

from langgraph.runtime import Runtime

from apprentice.nodes.expel.validate import gate_name
from apprentice.nodes.stores import log_of, releases_of, withdrawn_from
from apprentice.state.context import Context
from apprentice.state.expel import ExpelOutcome, ExpelState, ExpelUpdate
from apprentice.state.provenance import dependents_of

_OUTCOMES: Final[dict[str, ExpelOutcome]] = {
    "publish": "published",
    "reject": "rejected",
    "undecided": "undecided",
}


async def publish(state: ExpelState, runtime: Runtime[Context]) -> ExpelUpdate:
    """Release the candidate with its decision, unless another run has released meanwhile."""
    update, candidate = await _release(state, runtime), state.candidate
    runtime.stream_writer(
        {
            "type": "expel.done",
            "run": state.run_name,
            "outcome": update["outcome"],
            "reason": update["reason"],
            "release": candidate.id if candidate and update["outcome"] == "published" else "",
        }
    )
    return update


async def _release(state: ExpelState, runtime: Runtime[Context]) -> ExpelUpdate:
    candidate, decision = state.candidate, state.validation
    if candidate is None or decision is None:
        return {"outcome": state.outcome, "reason": state.reason}
    releases = releases_of(runtime, state.environment)
    await releases.end_gate(gate_name(state), decision)
    if decision.outcome != "publish":
        return {"outcome": _OUTCOMES[decision.outcome], "reason": decision.reason}
    current = await releases.current()
    now = current.id if current else ""
    if now not in (candidate.base, candidate.id):
        reason = (
            f"Release {now} was published meanwhile, and this candidate was not compared with it. "
            "The draft keeps what was learned: run again with 0 tasks to validate it as it is."
        )
        return {"outcome": "overtaken", "reason": reason}
    withdrawn_ids = await withdrawn_from(runtime, state.environment)
    dependents = dependents_of(await log_of(runtime, state.environment).batches(), withdrawn_ids)
    if any(map(dependents.bars, candidate.rules)):
        reason = (
            "A transcript that a rule of this candidate depends on was withdrawn meanwhile. The "
            "draft keeps the other rules: run again with 0 tasks to validate it as it is."
        )
        return {"outcome": "overtaken", "reason": reason}
    await releases.publish(
        candidate.model_copy(update={"validation": decision}), reason=decision.reason
    )
    return {"outcome": "published", "reason": decision.reason}
