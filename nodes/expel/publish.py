"""publish: a candidate that passed the gate is released; however it went, the run says how."""

from __future__ import annotations

from typing import Final

from langgraph.runtime import Runtime

from apprentice.nodes.expel.validate import gate_name
from apprentice.nodes.kept import log_of, releases_of, withdrawn_from
from apprentice.state.context import Context
from apprentice.state.expel import ExpelOutcome, ExpelState, ExpelUpdate
from apprentice.state.provenance import dependents_of

_OUTCOMES: Final[dict[str, ExpelOutcome]] = {
    "publish": "published",
    "reject": "rejected",
    "undecided": "undecided",
}


async def publish(state: ExpelState, runtime: Runtime[Context]) -> ExpelUpdate:
    """Release the candidate with its verdict, unless another run released meanwhile."""
    update, released = await _released(state, runtime), state.candidate
    runtime.stream_writer(
        {
            "type": "expel.done",
            "run": state.run_name,
            "outcome": update["outcome"],
            "reason": update["reason"],
            "release": released.id if released and update["outcome"] == "published" else "",
        }
    )
    return update


async def _released(state: ExpelState, runtime: Runtime[Context]) -> ExpelUpdate:
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
            f"Release {now} was put in force meanwhile, and this candidate was not compared with "
            "it. The draft keeps what was learned: run again, with 0 tasks to judge it as it is."
        )
        return {"outcome": "overtaken", "reason": reason}
    gone = await withdrawn_from(runtime, state.environment)
    resting = dependents_of(await log_of(runtime, state.environment).batches(), gone)
    if any(map(resting.bars, candidate.rules)):
        reason = (
            "A transcript that a rule of this candidate rests on was withdrawn meanwhile. The "
            "draft keeps what is left: run again, with 0 tasks to judge it as it is."
        )
        return {"outcome": "overtaken", "reason": reason}
    await releases.publish(
        candidate.model_copy(update={"validation": decision}), reason=decision.reason
    )
    return {"outcome": "published", "reason": decision.reason}
