"""propose: the draft is laid out beside what is released."""

from __future__ import annotations

from typing import Final, Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from apprentice.nodes.kept import log_of, quarantine_of
from apprentice.state.context import Context
from apprentice.state.expel import ExpelState
from apprentice.state.releases import Release, release_id
from apprentice.state.review import changes
from apprentice.state.rulebook import Rule, Rulebook, diff

_SAME: Final = "The draft shows the rules that are released, in the same order."
_EMPTY: Final = (
    "There are no rules, neither drafted nor released. Give the run training tasks to learn from, "
    "or add rules by hand."
)


async def propose(
    state: ExpelState, runtime: Runtime[Context]
) -> Command[Literal["review", "validate", "publish"]]:
    """Make a candidate of the strongest rules; where nothing would change, there is none."""
    log = log_of(runtime, state.environment)
    rules = (await log.load()).strongest()
    differences = diff(Rulebook(rules=state.shown_now), Rulebook(rules=rules))
    proposed = changes(differences, await log.batches())
    waiting = await quarantine_of(runtime, state.environment).to_review()
    runtime.stream_writer(
        {
            "type": "expel.proposed",
            "changes": [{"kind": each.kind, "rule": each.text} for each in proposed],
            "quarantined": len(waiting),
        }
    )
    made = candidate(state, Context.of(runtime).tenant, rules)
    changed = made.texts != tuple(rule.text for rule in state.shown_now)
    reason = state.reason or (_SAME if rules else _EMPTY)
    if state.ask_person and (changed or waiting):
        goto: Literal["review", "validate", "publish"] = "review"
    else:
        goto = "validate" if changed else "publish"
    return Command(
        update={
            "candidate": made if changed else None,
            "proposed": proposed,
            "waiting": waiting,
            "outcome": None if changed else "unchanged",
            "reason": "" if changed else reason,
        },
        goto=goto,
    )


def candidate(state: ExpelState, tenant: str, rules: tuple[Rule, ...]) -> Release:
    """Return the release that rules would make: all else is as it is released."""
    version = Rulebook(rules=rules).version
    incumbent = state.incumbent
    return Release(
        id=release_id(tenant, state.environment, version, state.run_name),
        tenant=tenant,
        environment=state.environment,
        rulebook=version,
        rules=rules,
        exemplars=incumbent.exemplars if incumbent else (),
        adapter=incumbent.adapter if incumbent else "",
        model=incumbent.model if incumbent else "",
        run=state.run_name,
        base=incumbent.id if incumbent else "",
    )
