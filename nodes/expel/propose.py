"""propose: compare the draft with the released rules."""

from __future__ import annotations

from typing import Final, Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from apprentice.nodes.stores import log_of, quarantine_of
from apprentice.state.context import Context
from apprentice.state.expel import ExpelState
from apprentice.state.releases import Release, release_id
from apprentice.state.review import changes
from apprentice.state.rulebook import Rule, Rulebook, diff

_SAME: Final = "The draft has the same rules as the release, in the same order."
_EMPTY: Final = (
    "The draft and the release have no rules. Give the run training tasks to learn from, or add "
    "rules by hand."
)


async def propose(
    state: ExpelState, runtime: Runtime[Context]
) -> Command[Literal["review", "validate", "publish"]]:
    """Make a candidate of the strongest rules, unless it would change nothing."""
    log = log_of(runtime, state.environment)
    rules = (await log.load()).strongest()
    differences = diff(Rulebook(rules=state.shown_now), Rulebook(rules=rules))
    proposed_changes = changes(differences, await log.batches())
    quarantine = await quarantine_of(runtime, state.environment).to_review()
    runtime.stream_writer(
        {
            "type": "expel.proposed",
            "changes": [{"kind": each.kind, "rule": each.text} for each in proposed_changes],
            "quarantined_operations": len(quarantine),
        }
    )
    new_candidate = candidate(state, Context.of(runtime).tenant, rules)
    is_changed = new_candidate.texts != tuple(rule.text for rule in state.shown_now)
    reason = state.reason or (_SAME if rules else _EMPTY)
    if state.ask_person and (is_changed or quarantine):
        goto: Literal["review", "validate", "publish"] = "review"
    else:
        goto = "validate" if is_changed else "publish"
    return Command(
        update={
            "candidate": new_candidate if is_changed else None,
            "proposed": proposed_changes,
            "waiting": quarantine,
            "outcome": None if is_changed else "unchanged",
            "reason": "" if is_changed else reason,
        },
        goto=goto,
    )


def candidate(state: ExpelState, tenant: str, rules: tuple[Rule, ...]) -> Release:
    """Return a release with these rules and everything else as it is released."""
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
