"""curate: the critic improves the list of rules, one piece of evidence after the other.

After ExpeL (Zhao et al. 2023, arXiv 2308.10144). Each answer is one batch of the rulebook's log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from langchain_core.messages import AnyMessage
from langgraph.runtime import Runtime

from apprentice.memory.findings import Findings
from apprentice.memory.rulebook import RulebookLog
from apprentice.nodes import Node
from apprentice.nodes.agents import Agent, ask
from apprentice.nodes.expel.budget import Budget, answer
from apprentice.nodes.expel.extract import gathered
from apprentice.nodes.kept import findings_of, log_of, quarantine_of, withdrawn_from
from apprentice.state.context import Context
from apprentice.state.corroboration import Vocabulary
from apprentice.state.critique import CritiqueEvidence, shorten
from apprentice.state.errors import ContextOverflow
from apprentice.state.expel import ExpelState, ExpelUpdate, OperationCounts
from apprentice.state.nouns import Noun, Trajectory, digest, text_of, transcript
from apprentice.state.prompts import critique_pair, critique_successes
from apprentice.state.review import declined_rules
from apprentice.state.rulebook import Operation, Rulebook, fold, parse_operations
from apprentice.state.rules import Rejection, likeness
from apprentice.workspace import Workspace

REPORTED: Final = 200
"""Rejected operations that a run reports, at most."""


class Criticism(Noun):
    """What came of one piece of evidence.

    Attributes:
        evidence: the ids of its trajectories: with one of them, it is erased.
    """

    counts: OperationCounts
    rejected: tuple[Rejection, ...] = ()
    evidence: tuple[str, ...] = ()


def curate_with(critic: Agent | None, workspace: Workspace) -> Node[ExpelState, ExpelUpdate]:
    """Return the node in which a model, or the caller's own critic, writes rule operations."""

    async def curate(state: ExpelState, runtime: Runtime[Context]) -> ExpelUpdate:
        """Have each piece of evidence criticised once; a restart asks nothing twice."""
        attempts = {
            attempt.id: attempt
            for each in await gathered(state, runtime)
            for attempt in each.attempts
        }
        words = await asyncio.to_thread(Vocabulary.of, attempts.values())
        budget = await Budget.of(critic, Context.of(runtime), workspace)
        desk = _Desk(critic, workspace, state, runtime, attempts, words, budget)
        counts = OperationCounts()
        rejected: list[Rejection] = []
        pieces = list(enumerate(state.evidence))
        while pieces:
            index, piece = pieces.pop(0)
            if await desk.lacks(piece):
                rejected.append(_gone(piece))
                continue
            halves = piece.halves()
            if await desk.was_divided(index, piece):
                pieces = [(index, half) for half in halves] + pieces
                continue
            try:
                found = await desk.criticise(index, piece)
            except ContextOverflow as error:
                pieces = [(index, half) for half in halves] + pieces
                if not halves:
                    rejected.append(Rejection(written=piece.kind, reason=str(error)))
                continue
            counts += found.counts
            rejected += found.rejected
        return {"operations": counts, "rejections": rejected[:REPORTED]}

    return curate


@dataclass(frozen=True)
class _Desk:
    """What every piece of evidence is looked at with.

    Attributes:
        attempts: all that were gathered, by id.
        words: how many tasks each word was met in.
        budget: what a question may take of the critic's context.
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
        """Tell whether a transcript of a piece was withdrawn, before the run began or since."""
        gone = await withdrawn_from(self.runtime, self.state.environment)
        return any(name in gone or name not in self.attempts for name in piece.trajectories)

    async def was_divided(self, index: int, piece: CritiqueEvidence) -> bool:
        """Tell whether a run that was broken off had to divide a piece; then it stays divided."""
        for half in piece.halves():
            if await self.known(index, half) or await self.was_divided(index, half):
                return True
        return False

    async def known(self, index: int, piece: CritiqueEvidence) -> Criticism | None:
        """Return what came of a piece before the run was broken off, if it was asked about."""
        if found := await self._findings.get(_key(index, piece)):
            return found
        # Logged, and killed before what came of it was kept.
        done = await self.log.batch_of(self.state.run_name, index, piece.trajectories)
        return Criticism(counts=OperationCounts(applied=len(done.operations))) if done else None

    @property
    def _findings(self) -> Findings[Criticism]:
        return findings_of(self.runtime, self.state.environment, self.state.run_name, Criticism)

    async def criticise(self, index: int, piece: CritiqueEvidence) -> Criticism:
        """Ask about one piece of evidence, and log what stands."""
        log, run = self.log, self.state.run_name
        if done := await self.known(index, piece):
            return done
        book = await log.load()
        parsed = parse_operations(await self._asked(book, piece))
        if await self.lacks(piece):
            return Criticism(counts=OperationCounts(), rejected=(_gone(piece),))
        batches = await log.batches()
        before = fold(batch for batch in batches if batch.run != run)
        stand = [rule.text for rule in before.rules]
        doubt = _Doubt(declined_rules(batches, book), self.words, book, stand)
        operations, refused = doubt.sorted_out(parsed.operations)
        refused += book.apply(operations).rejections
        # What is stopped is kept first: a batch that is logged is never looked at again.
        stopped = await quarantine_of(self.runtime, self.state.environment).add(
            refused, run=run, evidence=piece.trajectories
        )
        applied = await log.record(
            operations,
            run=run,
            index=index,
            evidence=piece.trajectories,
            reason=reason(piece, self.attempts),
            shown_rulebook=book,
        )
        rejected = (*parsed.rejections, *refused)
        counts = OperationCounts(
            applied=len(applied.operations),
            rejected=len(rejected) - len(stopped),
            quarantined=len(stopped),
        )
        self.runtime.stream_writer(
            {
                "type": "expel.curated",
                "index": index,
                "evidence": piece.kind,
                "operations": [str(operation) for operation in applied.operations],
                "rejected": [each.model_dump(include={"written", "reason"}) for each in rejected],
                "rules": len(applied.rulebook.rules),
            }
        )
        came = Criticism(counts=counts, rejected=rejected, evidence=piece.trajectories)
        await self._findings.add(_key(index, piece), came)
        return came

    async def _asked(self, book: Rulebook, piece: CritiqueEvidence) -> str:
        """Return what the critic writes about a piece of evidence."""
        context = Context.of(self.runtime)
        asked = await asyncio.to_thread(fitting, book, piece, self.attempts, self.budget)
        reply = await ask(
            self.critic,
            asked,
            replace(context, max_tokens=answer(context)),
            self.workspace,
            graph="expel",
            environment=self.state.environment,
        )
        return text_of(reply.message)


def _gone(piece: CritiqueEvidence) -> Rejection:
    return Rejection(written=piece.kind, reason="A transcript that it rests on was withdrawn.")


def _key(index: int, piece: CritiqueEvidence) -> str:
    return digest("criticism", index, *piece.trajectories)


class _Doubt(NamedTuple):
    """What makes new words wait for a person, beside what the screening of any rule finds.

    Attributes:
        declined: rules that a person took out.
        words: how many tasks each word was met in.
        book: the rules that there are.
        stand: the rules that stood before the run; their words need no other source. Those of the
            run's own rules do, or one planted sentence would vouch for the next.
    """

    declined: Container[str]
    words: Vocabulary
    book: Rulebook
    stand: Sequence[str]

    def sorted_out(
        self, operations: Iterable[Operation]
    ) -> tuple[list[Operation], list[Rejection]]:
        """Return the operations that may be judged, and those that a person may let in."""
        passed: list[Operation] = []
        refused: list[Rejection] = []
        for each in operations:
            reason = self._about(each)
            if reason is None:
                passed.append(each)
                continue
            stopped = _by_id(each, self.book)
            refused.append(
                Rejection(written=str(each)[:200], reason=reason, operation=stopped, flagged=True)
            )
        return passed, refused

    def _about(self, operation: Operation) -> str | None:
        if operation.kind not in ("ADD", "EDIT"):
            return None
        if likeness(operation.text) in self.declined:
            return "A person took this rule out."
        return self.words.suspicion(operation.text, self.stand)


def _by_id(operation: Operation, book: Rulebook) -> Operation:
    """Name the rule of an operation by its id: by the time a person looks, numbers have moved."""
    number = operation.number
    if number is None or not 1 <= number <= len(book.rules):
        return operation
    return operation.model_copy(update={"number": None, "rule": book.rules[number - 1].id})


def fitting(
    book: Rulebook, piece: CritiqueEvidence, attempts: Mapping[str, Trajectory], budget: Budget
) -> list[AnyMessage]:
    """Return the question, with transcripts as long as there is room for.

    Raises:
        ContextOverflow: if there is no room for several successes; they can be looked at apart.
    """
    told = [transcript(attempts[name].messages) for name in piece.trajectories]
    asked = prompt(book, piece, told)
    if budget.fits(asked):
        return asked
    if piece.halves():
        raise budget.overflow(asked)
    room = budget.question or 0
    while not budget.fits(asked) and room > 0:
        room -= max(1, budget.excess(asked))
        asked = prompt(book, piece, shorten(told, budget.count, room))
    return asked


def prompt(book: Rulebook, piece: CritiqueEvidence, told: Sequence[str]) -> list[AnyMessage]:
    """Return the question: the evidence as transcripts, and the rules with their numbers."""
    rules = [rule.text for rule in book.rules]
    if piece.kind == "pair":
        success, failure = told
        return critique_pair(rules, success, failure, full=book.full())
    return critique_successes(rules, told, full=book.full())


def reason(piece: CritiqueEvidence, attempts: Mapping[str, Trajectory]) -> str:
    """Say for people what a batch rests on."""
    tasks = list(dict.fromkeys(attempts[name].task.id for name in piece.trajectories))
    what = "A success and a failure of" if piece.kind == "pair" else "Successes of"
    return f"{what} {', '.join(tasks)}."[:2_000]
