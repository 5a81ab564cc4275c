"""curate: the critic improves the list of rules, one piece of evidence after the other.

After ExpeL (Zhao et al. 2023, arXiv 2308.10144). Each answer becomes a batch of the rulebook's log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from langchain_core.messages import AnyMessage
from langgraph.runtime import Runtime

from apprentice.memory.rulebook import RulebookLog
from apprentice.memory.run_results import Findings
from apprentice.nodes import Node
from apprentice.nodes.agents import Agent, ask
from apprentice.nodes.expel.budget import Budget, answer
from apprentice.nodes.expel.extract import load_attempts
from apprentice.nodes.stores import findings_of, log_of, quarantine_of, withdrawn_from
from apprentice.state.context import Context
from apprentice.state.corroboration import Vocabulary
from apprentice.state.critique import CritiqueEvidence, shorten
from apprentice.state.errors import ContextOverflow
from apprentice.state.expel import ExpelState, ExpelUpdate, OperationCounts
from apprentice.state.prompts import critique_pair, critique_successes
from apprentice.state.review import declined_rules
from apprentice.state.rulebook import Operation, Rulebook, fold, parse_operations
from apprentice.state.rules import Rejection, likeness
from apprentice.state.trajectory import FrozenModel, Trajectory, digest, text_of, transcript
from apprentice.workspace import Workspace

REPORT_LIMIT: Final = 200
"""At most this many rejected operations are in a run's report."""


class Criticism(FrozenModel):
    """The result of asking about one piece of evidence.

    Attributes:
        evidence: the ids of its trajectories. When one of them is erased, so is this.
    """

    counts: OperationCounts
    rejected: tuple[Rejection, ...] = ()
    evidence: tuple[str, ...] = ()


def curate_with(critic: Agent | None, workspace: Workspace) -> Node[ExpelState, ExpelUpdate]:
    """Return the node in which a model, or the caller's own critic, writes rule operations."""

    async def curate(state: ExpelState, runtime: Runtime[Context]) -> ExpelUpdate:
        """Ask the critic about each piece of evidence once; a restart repeats no question."""
        attempts = {
            attempt.id: attempt
            for each in await load_attempts(state, runtime)
            for attempt in each.attempts
        }
        words = await asyncio.to_thread(Vocabulary.of, attempts.values())
        budget = await Budget.of(critic, Context.of(runtime), workspace)
        curation = _Curation(critic, workspace, state, runtime, attempts, words, budget)
        counts = OperationCounts()
        rejections: list[Rejection] = []
        pieces = list(enumerate(state.evidence))
        while pieces:
            index, piece = pieces.pop(0)
            if await curation.lacks(piece):
                rejections.append(_withdrawal(piece))
                continue
            halves = piece.halves()
            if await curation.was_divided(index, piece):
                pieces = [(index, half) for half in halves] + pieces
                continue
            try:
                criticism = await curation.criticise(index, piece)
            except ContextOverflow as error:
                pieces = [(index, half) for half in halves] + pieces
                if not halves:
                    rejections.append(Rejection(written=piece.kind, reason=str(error)))
                continue
            counts += criticism.counts
            rejections += criticism.rejected
        return {"operations": counts, "rejections": rejections[:REPORT_LIMIT]}

    return curate


@dataclass(frozen=True)
class _Curation:
    """One run's curation: what it takes to ask about a piece of evidence.

    Attributes:
        attempts: the run's attempts by id.
        words: in how many tasks each word occurs.
        budget: how much of the critic's context a question may take.
    """

    critic: Agent | None
    workspace: Workspace
    state: ExpelState
    runtime: Runtime[Context]
    attempts: Mapping[str, Trajectory]
    words: Vocabulary
    budget: Budget

    @property
    def log(self) -> RulebookLog:
        """The rulebook's log."""
        return log_of(self.runtime, self.state.environment)

    async def lacks(self, piece: CritiqueEvidence) -> bool:
        """Tell whether a transcript of a piece was withdrawn, before this run or during it."""
        withdrawn_ids = await withdrawn_from(self.runtime, self.state.environment)
        return any(
            name in withdrawn_ids or name not in self.attempts for name in piece.trajectories
        )

    async def was_divided(self, index: int, piece: CritiqueEvidence) -> bool:
        """Tell whether this run divided a piece before it was interrupted; it stays divided."""
        for half in piece.halves():
            if await self.earlier_criticism(index, half) or await self.was_divided(index, half):
                return True
        return False

    async def earlier_criticism(self, index: int, piece: CritiqueEvidence) -> Criticism | None:
        """Return the criticism of a piece from before the run was interrupted, if there is one."""
        if criticism := await self._findings.get(_key(index, piece)):
            return criticism
        # The run was killed after it logged the batch and before it stored the criticism.
        batch = await self.log.batch_of(self.state.run_name, index, piece.trajectories)
        return Criticism(counts=OperationCounts(applied=len(batch.operations))) if batch else None

    @property
    def _findings(self) -> Findings[Criticism]:
        return findings_of(self.runtime, self.state.environment, self.state.run_name, Criticism)

    async def criticise(self, index: int, piece: CritiqueEvidence) -> Criticism:
        """Ask about one piece of evidence, and log the operations that pass."""
        log, run = self.log, self.state.run_name
        if criticism := await self.earlier_criticism(index, piece):
            return criticism
        rulebook = await log.load()
        proposal = parse_operations(await self._ask_critic(rulebook, piece))
        if await self.lacks(piece):
            return Criticism(counts=OperationCounts(), rejected=(_withdrawal(piece),))
        batches = await log.batches()
        before = fold(batch for batch in batches if batch.run != run)
        earlier_rules = [rule.text for rule in before.rules]
        screen = _Screen(declined_rules(batches, rulebook), self.words, rulebook, earlier_rules)
        operations, refusals = screen.sort(proposal.operations)
        refusals += rulebook.apply(operations).rejections
        # The quarantine comes first, because a logged batch is never looked at again.
        quarantine_entries = await quarantine_of(self.runtime, self.state.environment).add(
            refusals, run=run, evidence=piece.trajectories
        )
        result = await log.record(
            operations,
            run=run,
            index=index,
            evidence=piece.trajectories,
            reason=reason(piece, self.attempts),
            shown_rulebook=rulebook,
        )
        rejections = (*proposal.rejections, *refusals)
        counts = OperationCounts(
            applied=len(result.operations),
            rejected=len(rejections) - len(quarantine_entries),
            quarantined=len(quarantine_entries),
        )
        self.runtime.stream_writer(
            {
                "type": "expel.curated",
                "index": index,
                "evidence": piece.kind,
                "operations": [str(operation) for operation in result.operations],
                "rejections": [
                    each.model_dump(include={"written", "reason"}) for each in rejections
                ],
                "rules": len(result.rulebook.rules),
            }
        )
        criticism = Criticism(counts=counts, rejected=rejections, evidence=piece.trajectories)
        await self._findings.add(_key(index, piece), criticism)
        return criticism

    async def _ask_critic(self, rulebook: Rulebook, piece: CritiqueEvidence) -> str:
        """Return the critic's answer about a piece of evidence."""
        context = Context.of(self.runtime)
        question = await asyncio.to_thread(
            fit_question, rulebook, piece, self.attempts, self.budget
        )
        reply = await ask(
            self.critic,
            question,
            replace(context, max_tokens=answer(context)),
            self.workspace,
            graph="expel",
            environment=self.state.environment,
        )
        return text_of(reply.message)


def _withdrawal(piece: CritiqueEvidence) -> Rejection:
    return Rejection(written=piece.kind, reason="A transcript of this evidence was withdrawn.")


def _key(index: int, piece: CritiqueEvidence) -> str:
    return digest("criticism", index, *piece.trajectories)


class _Screen(NamedTuple):
    """Checks that make an operation wait for a person, in addition to the screening of any rule.

    Attributes:
        declined_texts: rules that a person removed.
        words: in how many tasks each word occurs.
        rulebook: the current rules.
        earlier_rules: the rules from before the run. Their words are trusted. The words of the
            run's own rules are not, or one planted sentence would vouch for the next.
    """

    declined_texts: Container[str]
    words: Vocabulary
    rulebook: Rulebook
    earlier_rules: Sequence[str]

    def sort(self, operations: Iterable[Operation]) -> tuple[list[Operation], list[Rejection]]:
        """Return the operations that pass, and those that a person may still admit."""
        accepted_operations: list[Operation] = []
        refusals: list[Rejection] = []
        for each in operations:
            reason = self._about(each)
            if reason is None:
                accepted_operations.append(each)
                continue
            entry = _by_id(each, self.rulebook)
            refusals.append(
                Rejection(written=str(each)[:200], reason=reason, operation=entry, flagged=True)
            )
        return accepted_operations, refusals

    def _about(self, operation: Operation) -> str | None:
        if operation.kind not in ("ADD", "EDIT"):
            return None
        if likeness(operation.text) in self.declined_texts:
            return "A person removed this rule."
        return self.words.suspicion(operation.text, self.earlier_rules)


def _by_id(operation: Operation, rulebook: Rulebook) -> Operation:
    """Name an operation's rule by its id, because numbers may change before a person looks."""
    number = operation.number
    if number is None or not 1 <= number <= len(rulebook.rules):
        return operation
    return operation.model_copy(update={"number": None, "rule": rulebook.rules[number - 1].id})


def fit_question(
    rulebook: Rulebook, piece: CritiqueEvidence, attempts: Mapping[str, Trajectory], budget: Budget
) -> list[AnyMessage]:
    """Return the question, with transcripts shortened to fit.

    Raises:
        ContextOverflow: several successes do not fit. The caller may ask about them separately.
    """
    transcripts = [transcript(attempts[name].messages) for name in piece.trajectories]
    question = prompt(rulebook, piece, transcripts)
    if budget.fits(question):
        return question
    if piece.halves():
        raise budget.overflow(question)
    room = budget.question or 0
    while not budget.fits(question) and room > 0:
        room -= max(1, budget.excess(question))
        question = prompt(rulebook, piece, shorten(transcripts, budget.count, room))
    return question


def prompt(
    rulebook: Rulebook, piece: CritiqueEvidence, transcripts: Sequence[str]
) -> list[AnyMessage]:
    """Return the question: the evidence as transcripts, and the rules with their numbers."""
    rules = [rule.text for rule in rulebook.rules]
    if piece.kind == "pair":
        success, failure = transcripts
        return critique_pair(rules, success, failure, full=rulebook.full())
    return critique_successes(rules, transcripts, full=rulebook.full())


def reason(piece: CritiqueEvidence, attempts: Mapping[str, Trajectory]) -> str:
    """Tell people which tasks a batch comes from."""
    tasks = list(dict.fromkeys(attempts[name].task.id for name in piece.trajectories))
    what = "A success and a failure of" if piece.kind == "pair" else "Successes of"
    return f"{what} {', '.join(tasks)}."[:2_000]
