"""Import rows into the experience memory, and export its attempts as rows."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from pydantic import Field

from apprentice.memory.exchange.files import Item
from apprentice.memory.exchange.rows import RowContent, read_row, write_row
from apprentice.memory.experience import Experience
from apprentice.state.errors import BadInput, BrokenData
from apprentice.state.experience import OutcomeFilter, StoredAttempt
from apprentice.state.submission import expect_same
from apprentice.state.trajectory import FrozenModel, Trajectory, Verdict, digest

BATCH: Final = 256


class Refusal(NamedTuple):
    """A row that was refused, and the reason."""

    where: str
    reason: str


class ImportReport(FrozenModel):
    """The result of an import.

    Attributes:
        rows: number of rows: new ones, duplicates and refusals.
        new: number of attempts that were added.
        duplicates: number of attempts that were stored before, or came twice.
        verdicts_added: number of duplicates that brought a new verdict.
        without_verdict: number of new attempts that have no verdict yet.
        environments: number of stored attempts by environment.
        extra_columns: columns without a meaning here, which went into the tasks' metadata.
        refusals: the rows that were refused.
    """

    rows: int = 0
    new: int = 0
    duplicates: int = 0
    verdicts_added: int = 0
    without_verdict: int = 0
    environments: dict[str, int] = Field(default_factory=dict)
    extra_columns: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()


async def import_attempts(
    experience: Experience,
    items: Iterable[Item] | AsyncIterable[Item],
    environment: str = "",
    on_progress: Callable[[int], None] = lambda rows: None,
) -> ImportReport:
    """Record rows as attempts. A repeated import changes nothing.

    If a stored attempt has no verdict, the row's verdict is added. If it has another verdict, the
    row is refused: without a history, nothing says which verdict is later. A row is also refused
    if its id belongs to another attempt.

    Args:
        experience: the memory that records them.
        items: the rows. A plain iterable is read in a thread.
        environment: the environment of rows that name none.
        on_progress: called with the number of rows read so far.

    Example:
        experience = await workspace.experience("default")
        report = await import_attempts(experience, read_jsonl(Path("attempts.jsonl")))
        print(report.new, report.refusals)
    """
    intake = _Intake(experience, environment)
    async for batch in _batches(items):
        await intake.take(batch)
        on_progress(intake.rows)
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
    rest = iter(items)
    while batch := await asyncio.to_thread(_some, rest):
        yield batch


def _some(items: Iterator[Item]) -> list[Item]:
    return list(islice(items, BATCH))


class _Intake:
    """A running import: the rows read so far, and their results."""

    def __init__(self, experience: Experience, environment: str) -> None:
        self.rows = 0
        self._experience = experience
        self._environment = environment
        self._first_contents: dict[str, tuple[str, str]] = {}
        self._new = self._duplicates = self._verdicts_added = self._without_verdict = 0
        self._environments: Counter[str] = Counter()
        self._extra_columns: set[str] = set()
        self._refusals: list[Refusal] = []

    def report(self) -> ImportReport:
        """Return the result so far."""
        return ImportReport(
            rows=self.rows,
            new=self._new,
            duplicates=self._duplicates,
            verdicts_added=self._verdicts_added,
            without_verdict=self._without_verdict,
            environments=dict(sorted(self._environments.items())),
            extra_columns=tuple(sorted(self._extra_columns)),
            refusals=tuple(self._refusals),
        )

    async def take(self, batch: list[Item]) -> None:
        """Record a batch of rows."""
        self.rows += len(batch)
        before = len(self._refusals)
        fresh = await asyncio.to_thread(self._read, batch)
        receipt = await self._experience.record(
            _before_verdicts(read) for _, read in fresh.values()
        )
        new = set(receipt.new)
        for name, (where, read) in fresh.items():
            try:
                if name in new:
                    await self._add_verdicts(read)
                    self._new += 1
                    self._environments[read.trajectory.task.environment] += 1
                    self._without_verdict += read.trajectory.verdict.success is None
                else:
                    self._verdicts_added += await self._merge(read)
                    self._duplicates += 1
            except (BadInput, BrokenData) as error:
                self._refusals.append(Refusal(where, str(error)))
        places = {item.where: place for place, item in enumerate(batch)}
        self._refusals[before:] = sorted(
            self._refusals[before:], key=lambda refusal: places[refusal.where]
        )

    def _read(self, batch: list[Item]) -> dict[str, tuple[str, RowContent]]:
        """Return the readable rows that are new in this import, by id."""
        fresh: dict[str, tuple[str, RowContent]] = {}
        for item in batch:
            try:
                if item.fault:
                    raise BadInput(item.fault)
                read = read_row(item.row, self._experience.tenant, self._environment)
                if self._is_fresh(item.where, read):
                    fresh[read.trajectory.id] = item.where, read
                    self._extra_columns.update(read.extra_columns)
                else:
                    self._duplicates += 1
            except BadInput as error:
                self._refusals.append(Refusal(item.where, str(error)))
        return fresh

    def _is_fresh(self, where: str, read: RowContent) -> bool:
        name, content = read.trajectory.id, digest(read.trajectory.model_dump(mode="json"))
        first, first_content = self._first_contents.setdefault(name, (where, content))
        if first_content != content:
            raise BadInput(f"It has the id {name[:80]!r} of {first}, but another content.")
        return first == where

    async def _merge(self, read: RowContent) -> bool:
        """Add a row's new verdicts to the stored attempt; tell whether there were any.

        Raises:
            BadInput: if the stored attempt is another one, or its verdict differs.
            BrokenData: if the stored attempt cannot be read.
        """
        stored = await self._experience.get(read.trajectory.id)
        if stored is None:  # it was erased in the meantime
            return False
        expect_same(stored.trajectory, read.trajectory, read.named_fields)
        if read.verdicts:
            is_new = await self._add_verdicts(read)
        else:
            is_new = await self._add_verdict(stored, read.trajectory.verdict)
        self._environments[stored.trajectory.task.environment] += 1
        return is_new

    async def _add_verdicts(self, read: RowContent) -> bool:
        """Add a row's history of verdicts; tell whether any is new."""
        name = read.trajectory.id
        results = [
            await self._experience.annotate(name, each.verdict, each.at) for each in read.verdicts
        ]
        return any(results)

    async def _add_verdict(self, stored: StoredAttempt, verdict: Verdict) -> bool:
        """Add the row's only verdict to a stored attempt that has none."""
        name, has = stored.trajectory.id, stored.trajectory.verdict
        if verdict in (Verdict(), has):
            return False
        if has.success is not None:
            raise BadInput(
                f"The attempt {name[:80]!r} is stored with another verdict (success {has.success}, "
                f"score {has.score}). Send this one as feedback."
            )
        return await self._experience.annotate(name, verdict)


def _before_verdicts(read: RowContent) -> Trajectory:
    """Return the attempt as it was before the first verdict of its history."""
    if not read.verdicts:
        return read.trajectory
    return read.trajectory.model_copy(update={"verdict": Verdict()})


async def export_attempts(
    experience: Experience,
    *,
    environment: str = "",
    kind: str = "",
    outcome: OutcomeFilter | None = None,
    on_unreadable: Callable[[BrokenData], None] = lambda error: None,
) -> AsyncIterator[dict[str, Any]]:
    """Yield the stored attempts as rows; see `Experience.browse` for the filters.

    Example:
        experience = await workspace.experience("default")
        rows = [row async for row in export_attempts(experience, outcome="successes")]
    """
    stored = experience.browse(
        environment=environment, kind=kind, outcome=outcome, on_unreadable=on_unreadable
    )
    async for each in stored:
        yield write_row(each)


def left_out(count: int, broken: Sequence[BrokenData]) -> BrokenData:
    """Return the error of an export that had to leave attempts out."""
    reasons = "\n".join(str(error) for error in broken)
    return BrokenData(f"{count} attempts were written, {len(broken)} were left out:\n{reasons}")
