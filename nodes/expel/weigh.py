"""weigh: retire rules of the draft whose record in use has turned for the worse."""

from __future__ import annotations

from typing import Final

from langgraph.runtime import Runtime

from apprentice.memory.showings import Showings
from apprentice.nodes.stores import log_of, releases_of
from apprentice.state.context import Context
from apprentice.state.expel import ExpelState, ExpelUpdate
from apprentice.state.rule_record import record
from apprentice.state.rulebook import Operation

SYSTEM: Final = 2_000_000
"""From this index on, the batches of a run are the graph's own."""


async def weigh(state: ExpelState, runtime: Runtime[Context]) -> ExpelUpdate:
    """Retire rules of the draft whose record has turned; the gate has the last word."""
    context = Context.of(runtime)
    log = log_of(runtime, state.environment)
    showings = await Showings(runtime.store, context.tenant, state.environment).all()
    in_force = await releases_of(runtime, state.environment).in_force_since()
    retired_rules = []
    for index, rule in enumerate(state.shown_now):
        history = record(showings, rule.id, in_force.get((rule.id, rule.text), 0.0))
        if not history.has_turned:
            continue
        retired_rules.append(rule.text)
        await log.record(
            [Operation(kind="SET", rule=rule.id, text=rule.text, weight=0)],
            run=state.run_name,
            index=SYSTEM + index,
            evidence=history.lately,
            author="system",
            reason=f"Its record has turned: first attempts with it in view succeeded {history}.",
        )
    runtime.stream_writer(
        {"type": "expel.weighed", "showings": len(showings), "retired_rules": retired_rules}
    )
    return {}
