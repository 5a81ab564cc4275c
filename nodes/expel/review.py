"""review: a person approves, edits or rejects what would be released."""

from __future__ import annotations

from typing import Final, Literal

from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from apprentice.nodes.expel.propose import candidate
from apprentice.nodes.stores import log_of, quarantine_of
from apprentice.state.context import Context
from apprentice.state.errors import BadInput
from apprentice.state.expel import ExpelState, ExpelUpdate
from apprentice.state.review import RuleReview, admitted_operations, read_review, review_operations
from apprentice.state.rulebook import Operation, Rule, Rulebook, batch_key

PERSON: Final = 1_000_000
"""From this index on, the batches of a run are a person's."""


async def review(
    state: ExpelState, runtime: Runtime[Context]
) -> Command[Literal["validate", "publish"]]:
    """Ask a person, and apply the answer to the candidate and to the log."""
    answer = _answer(state)
    rules = state.candidate.rules if state.candidate else state.shown_now
    for index, (operations, evidence) in enumerate(_batches(answer, state)):
        rules = await _carry_out(operations, evidence, PERSON + index, rules, state, runtime)
    quarantine = quarantine_of(runtime, state.environment)
    for each in state.waiting:
        if word := answer.quarantined.get(each.key):
            await quarantine.settle(each, "rejected" if word == "reject" else "approved")
    runtime.stream_writer({"type": "expel.reviewed", "answer": answer.model_dump(mode="json")})
    new_candidate = candidate(state, Context.of(runtime).tenant, rules)
    update: ExpelUpdate = {"candidate": new_candidate, "outcome": None, "reason": ""}
    if new_candidate.texts == tuple(rule.text for rule in state.shown_now):
        reason = "The review left the rules as they are in the release."
        update = {"candidate": None, "outcome": "declined", "reason": reason}
        return Command(update=update, goto="publish")
    return Command(update=update, goto="validate")


def _answer(state: ExpelState) -> RuleReview:
    """Ask until the answer can be read; after a wrong answer, the question says what was wrong."""
    problem = ""
    while True:
        answer = interrupt(
            {
                "type": "expel.review",
                "run": state.run_name,
                "environment": state.environment,
                "changes": [each.model_dump(mode="json") for each in state.proposed],
                "quarantined": [each.model_dump(mode="json") for each in state.waiting],
                "answer": "'approve', 'reject', or {all, changes, quarantined}.",
                "problem": problem,
            }
        )
        try:
            return read_review(answer, state.proposed, state.waiting)
        except BadInput as error:
            problem = str(error)


def _batches(
    answer: RuleReview, state: ExpelState
) -> list[tuple[list[Operation], tuple[str, ...]]]:
    """Return the operations that a person wants, in batches, each with its evidence."""
    batches = [(review_operations(answer, state.proposed), ())]
    quarantine = {each.key: each for each in state.waiting}
    let_in = admitted_operations(answer, quarantine)
    return batches + [([let_in[key]], quarantine[key].evidence) for key in let_in]


async def _carry_out(
    operations: list[Operation],
    evidence: tuple[str, ...],
    index: int,
    rules: tuple[Rule, ...],
    state: ExpelState,
    runtime: Runtime[Context],
) -> tuple[Rule, ...]:
    """Apply a person's operations to the candidate, and log them once.

    The log may have changed since the candidate was proposed. The answer counts for the rules that
    the person was shown.
    """
    run, origin = state.run_name, batch_key(state.run_name, index, evidence)
    result = Rulebook(rules=rules).apply(operations, author="person", origin=origin)
    await log_of(runtime, state.environment).record(
        operations,
        run=run,
        index=index,
        evidence=evidence,
        author="person",
        reason="A person's review.",
    )
    return result.rulebook.strongest()
