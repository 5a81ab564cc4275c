"""weigh: released rules are weighed by how they fared in use."""

from __future__ import annotations

from typing import Final

from langgraph.runtime import Runtime

from apprentice.memory.showings import Showings
from apprentice.nodes.kept import log_of, releases_of
from apprentice.state.context import Context
from apprentice.state.expel import ExpelState, ExpelUpdate
from apprentice.state.records import record
from apprentice.state.rulebook import Operation

SYSTEM: Final = 2_000_000
"""Batches of a run from this index on are the graph's own."""


async def weigh(state: ExpelState, runtime: Runtime[Context]) -> ExpelUpdate:
    """Take rules whose record has turned out of the draft; the gate has the last word."""
    context = Context.of(runtime)
    log = log_of(runtime, state.environment)
    showings = await Showings(runtime.store, context.tenant, state.environment).all()
    in_force = await releases_of(runtime, state.environment).in_force_since()
    turned = []
    for index, rule in enumerate(state.shown_now):
        found = record(showings, rule.id, in_force.get((rule.id, rule.text), 0.0))
        if not found.has_turned:
            continue
        turned.append(rule.text)
        await log.record(
            [Operation(kind="SET", rule=rule.id, text=rule.text, weight=0)],
            run=state.run_name,
            index=SYSTEM + index,
            evidence=found.lately,
            author="system",
            reason=f"Its record has turned: first attempts with it in view succeeded {found}.",
        )
    runtime.stream_writer({"type": "expel.weighed", "showings": len(showings), "turned": turned})
    return {}
