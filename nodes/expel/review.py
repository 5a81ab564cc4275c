"""review: a person approves, edits or rejects what would be released."""

from __future__ import annotations

from typing import Final, Literal

from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from apprentice.nodes.expel.propose import candidate
from apprentice.nodes.kept import log_of, quarantine_of
from apprentice.state.context import Context
from apprentice.state.errors import BadInput
from apprentice.state.expel import ExpelState, ExpelUpdate
from apprentice.state.review import RuleReview, admitted_operations, read_review, review_operations
from apprentice.state.rulebook import Operation, Rule, Rulebook, batch_key

PERSON: Final = 1_000_000
"""Batches of a run from this index on are a person's."""


async def review(
    state: ExpelState, runtime: Runtime[Context]
) -> Command[Literal["validate", "publish"]]:
    """Ask a person, and carry the answer out: on the candidate, and in the log."""
    answer = _answer(state)
    rules = state.candidate.rules if state.candidate else state.shown_now
    for index, (operations, evidence) in enumerate(_said(answer, state)):
        rules = await _carry_out(operations, evidence, PERSON + index, rules, state, runtime)
    quarantine = quarantine_of(runtime, state.environment)
    for each in state.waiting:
        if word := answer.quarantined.get(each.key):
            await quarantine.settle(each, "rejected" if word == "reject" else "approved")
    runtime.stream_writer({"type": "expel.reviewed", "answer": answer.model_dump(mode="json")})
    made = candidate(state, Context.of(runtime).tenant, rules)
    update: ExpelUpdate = {"candidate": made, "outcome": None, "reason": ""}
    if made.texts == tuple(rule.text for rule in state.shown_now):
        reason = "The review left the rules as they are released."
        update = {"candidate": None, "outcome": "declined", "reason": reason}
        return Command(update=update, goto="publish")
    return Command(update=update, goto="validate")


def _answer(state: ExpelState) -> RuleReview:
    """Ask until the answer can be read; after a wrong one, the question says what was wrong."""
    problem = ""
    while True:
        given = interrupt(
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
            return read_review(given, state.proposed, state.waiting)
        except BadInput as error:
            problem = str(error)


def _said(answer: RuleReview, state: ExpelState) -> list[tuple[list[Operation], tuple[str, ...]]]:
    """Return what a person wants done, in batches, each with what it rests on."""
    batches = [(review_operations(answer, state.proposed), ())]
    waiting = {each.key: each for each in state.waiting}
    let_in = admitted_operations(answer, waiting)
    return batches + [([let_in[key]], waiting[key].evidence) for key in let_in]


async def _carry_out(
    operations: list[Operation],
    evidence: tuple[str, ...],
    index: int,
    rules: tuple[Rule, ...],
    state: ExpelState,
    runtime: Runtime[Context],
) -> tuple[Rule, ...]:
    """Do a person's operations to the candidate, and log them once.

    The log may have moved on since the candidate was proposed; a person is taken at their word
    about what they were shown.
    """
    run, origin = state.run_name, batch_key(state.run_name, index, evidence)
    applied = Rulebook(rules=rules).apply(operations, author="person", origin=origin)
    await log_of(runtime, state.environment).record(
        operations,
        run=run,
        index=index,
        evidence=evidence,
        author="person",
        reason="A person's review.",
    )
    return applied.rulebook.strongest()
