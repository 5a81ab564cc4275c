"""From rows into the experience memory, and from the memory into rows."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from pydantic import Field

from apprentice.memory.exchange.files import Item
from apprentice.memory.exchange.rows import Read, read_row, write_row
from apprentice.memory.experience import Experience
from apprentice.state.errors import BadInput, BrokenData
from apprentice.state.experience import OutcomeFilter, StoredAttempt
from apprentice.state.nouns import Noun, Trajectory, Verdict, digest
from apprentice.state.submission import expect_same

BATCH: Final = 256


class Refused(NamedTuple):
    """A row that was not taken, and why."""

    where: str
    reason: str


class Imported(Noun):
    """What became of every row.

    Attributes:
        rows: how many there were: the new, the known and the refused.
        new: attempts that are kept now.
        known: attempts that were kept before, or came twice.
        judged: known attempts that got a verdict they did not have.
        unjudged: attempts among the new ones that have no verdict yet.
        environments: attempts that are kept, by the environment in which they were made.
        beside: columns that are kept as metadata of the tasks, because they have no meaning here.
        refused: rows that were not taken.
    """

    rows: int = 0
    new: int = 0
    known: int = 0
    judged: int = 0
    unjudged: int = 0
    environments: dict[str, int] = Field(default_factory=dict)
    beside: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()


async def import_attempts(
    experience: Experience,
    items: Iterable[Item] | AsyncIterable[Item],
    environment: str = "",
    told: Callable[[int], None] = lambda rows: None,
) -> Imported:
    """Record rows; doing it again changes nothing.

    A verdict for an attempt that is known without one is added. One that differs from the verdict
    it has is refused: which of the two came later, a row without a history cannot tell. So is
    another attempt under an id that is known.

    Args:
        experience: where to.
        items: the rows; those of a plain iterable are read in a thread.
        environment: where attempts were made whose rows do not say.
        told: hears how many rows were read so far.

    Example:
        experience = await workspace.experience("default")
        report = await import_attempts(experience, read_jsonl(Path("attempts.jsonl")))
        print(report.new, report.refused)
    """
    intake = _Intake(experience, environment)
    async for batch in _batches(items):
        await intake.take(batch)
        told(intake.rows)
    return intake.report()


async def _batches(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[list[Item]]:
    if isinstance(items, AsyncIterable):
        batch: list[Item] = []
        async for item in items:
            batch.append(item)
            if len(batch) == BATCH:
                yield batch
                batch = []
        if batch:
            yield batch
        return
    left = iter(items)
    while batch := await asyncio.to_thread(_some, left):
        yield batch


def _some(items: Iterator[Item]) -> list[Item]:
    return list(islice(items, BATCH))


class _Intake:
    """An import under way: what was seen, and what became of it."""

    def __init__(self, experience: Experience, environment: str) -> None:
        self.rows = 0
        self._experience = experience
        self._environment = environment
        self._seen: dict[str, tuple[str, str]] = {}
        self._new = self._known = self._judged = self._unjudged = 0
        self._environments: Counter[str] = Counter()
        self._beside: set[str] = set()
        self._refused: list[Refused] = []

    def report(self) -> Imported:
        """Return what became of every row so far."""
        return Imported(
            rows=self.rows,
            new=self._new,
            known=self._known,
            judged=self._judged,
            unjudged=self._unjudged,
            environments=dict(sorted(self._environments.items())),
            beside=tuple(sorted(self._beside)),
            refused=tuple(self._refused),
        )

    async def take(self, batch: list[Item]) -> None:
        """Record a batch of rows."""
        self.rows += len(batch)
        before = len(self._refused)
        fresh = await asyncio.to_thread(self._read, batch)
        recorded = await self._experience.record(_at_first(read) for _, read in fresh.values())
        new = set(recorded.new)
        for name, (where, read) in fresh.items():
            try:
                if name in new:
                    await self._add_verdicts(read)
                    self._new += 1
                    self._environments[read.trajectory.task.environment] += 1
                    self._unjudged += read.trajectory.verdict.success is None
                else:
                    self._judged += await self._meet(read)
                    self._known += 1
            except (BadInput, BrokenData) as error:
                self._refused.append(Refused(where, str(error)))
        places = {item.where: place for place, item in enumerate(batch)}
        self._refused[before:] = sorted(
            self._refused[before:], key=lambda refused: places[refused.where]
        )

    def _read(self, batch: list[Item]) -> dict[str, tuple[str, Read]]:
        """Return the rows that can be read and are not in the import yet, by id."""
        fresh: dict[str, tuple[str, Read]] = {}
        for item in batch:
            try:
                if item.fault:
                    raise BadInput(item.fault)
                read = read_row(item.row, self._experience.tenant, self._environment)
                if self._is_fresh(item.where, read):
                    fresh[read.trajectory.id] = item.where, read
                    self._beside.update(read.beside)
                else:
                    self._known += 1
            except BadInput as error:
                self._refused.append(Refused(item.where, str(error)))
        return fresh

    def _is_fresh(self, where: str, read: Read) -> bool:
        name, content = read.trajectory.id, digest(read.trajectory.model_dump(mode="json"))
        first, known = self._seen.setdefault(name, (where, content))
        if known != content:
            raise BadInput(f"It has the id {name[:80]!r} of {first}, but another content.")
        return first == where

    async def _meet(self, read: Read) -> bool:
        """Give a known attempt the verdicts of its row that it lacks; tell whether there were any.

        Raises:
            BadInput: if it is another attempt, or its verdict contradicts the one that is kept.
            BrokenData: if what is kept cannot be read.
        """
        kept = await self._experience.get(read.trajectory.id)
        if kept is None:  # it was forgotten at this moment
            return False
        expect_same(kept.trajectory, read.trajectory, read.said)
        if read.verdicts:
            judged = await self._add_verdicts(read)
        else:
            judged = await self._add_verdict(kept, read.trajectory.verdict)
        self._environments[kept.trajectory.task.environment] += 1
        return judged

    async def _add_verdicts(self, read: Read) -> bool:
        """Add a row's history of verdicts; tell whether any was new."""
        name = read.trajectory.id
        added = [
            await self._experience.annotate(name, judged.verdict, judged.at)
            for judged in read.verdicts
        ]
        return any(added)

    async def _add_verdict(self, kept: StoredAttempt, given: Verdict) -> bool:
        """Give a known attempt the one verdict of its row, where it has none."""
        name, has = kept.trajectory.id, kept.trajectory.verdict
        if given in (Verdict(), has):
            return False
        if has.success is not None:
            raise BadInput(
                f"The attempt {name[:80]!r} is kept with another verdict (success {has.success}, "
                f"score {has.score}). Send this one as feedback."
            )
        return await self._experience.annotate(name, given)


def _at_first(read: Read) -> Trajectory:
    """Return an attempt as it is recorded: where it has a history of verdicts, before the first."""
    if not read.verdicts:
        return read.trajectory
    return read.trajectory.model_copy(update={"verdict": Verdict()})


async def export_attempts(
    experience: Experience,
    *,
    environment: str = "",
    kind: str = "",
    outcome: OutcomeFilter | None = None,
    unread: Callable[[BrokenData], None] = lambda error: None,
) -> AsyncIterator[dict[str, Any]]:
    """Yield what the memory keeps, a row an attempt; see `Experience.browse`.

    Example:
        experience = await workspace.experience("default")
        rows = [row async for row in export_attempts(experience, outcome="successes")]
    """
    kept = experience.browse(environment=environment, kind=kind, outcome=outcome, unread=unread)
    async for each in kept:
        yield write_row(each)


def left_out(count: int, broken: Sequence[BrokenData]) -> BrokenData:
    """Return the error that an export ends with which had to leave something out."""
    reasons = "\n".join(str(error) for error in broken)
    return BrokenData(f"{count} attempts were written, {len(broken)} were left out:\n{reasons}")
