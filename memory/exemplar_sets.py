"""Fixed few-shot examples: a person chooses the attempts and their order.

The setting APPRENTICE_EXEMPLARS names a folder (`exemplars` under APPRENTICE_DATA when unset). The
set `<name>` is the file `<name>.jsonl` in it. A line is an attempt: `task` (at least environment
and id), `messages` in any form, and a `verdict` unless it succeeded. An exported line is valid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from apprentice.state.errors import BadInput, BrokenData, UnknownName
from apprentice.state.experience import RECALLABLE, OutcomeFilter, Query, Recollection
from apprentice.state.messages import read_messages
from apprentice.state.trajectory import Name, Task, Verdict, digest, transcript


class ExemplarLine(BaseModel):
    """A line of a set. Other columns of an exported line are ignored."""

    id: Name | None = None
    task: Task
    messages: list[dict[str, Any]] = Field(min_length=1)
    verdict: Verdict = Verdict(success=True, source="human")


@dataclass(frozen=True)
class ExemplarSet:
    """A set of chosen attempts, which can be queried like an experience memory."""

    attempts: Sequence[Recollection]

    @classmethod
    def load(cls, name: str, folder: Path) -> ExemplarSet:
        """Read a set by its name from a folder of sets; blocking.

        Raises:
            UnknownName: if the folder has no such set.
            BrokenData: if a line cannot be read.
        """
        sets = {path.stem: path for path in folder.glob("*.jsonl")}
        if name not in sets:
            raise UnknownName("fixed set of exemplars", name, sets)
        return cls(tuple(_read(sets[name])))

    async def recall(self, query: Query, count: Callable[[str], int] = len) -> list[Recollection]:
        """Return the first attempts that the query admits. A set has no steps or reflections."""
        if query.what != "tasks":
            return []
        shown: list[Recollection] = []
        budget = query.tokens
        for attempt in self.attempts:
            if len(shown) == query.limit:
                break
            tokens = count(attempt.text)
            if _admits(query, attempt) and (not query.tokens or tokens <= budget):
                shown.append(attempt.model_copy(update={"tokens": tokens}))
                budget -= tokens
        return shown


def _admits(query: Query, attempt: Recollection) -> bool:
    """Tell whether an attempt may be shown, by the same rules as in an experience memory."""
    task, places = attempt.task, query.environments or (query.task.environment,)
    return (
        task.environment in places
        and task.split == RECALLABLE
        and (task.environment, task.id) != (query.task.environment, query.task.id)
        and query.kind in ("", task.kind)
        and _is(query.outcome, attempt.success)
    )


def _is(outcome: OutcomeFilter, success: bool | None) -> bool:
    return outcome == "any" or success is (outcome == "successes")


def _read(path: Path) -> Iterator[Recollection]:
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            exemplar = ExemplarLine.model_validate_json(line)
            text = transcript(read_messages(exemplar.messages))
        except (ValidationError, BadInput) as error:
            why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            raise BrokenData(
                f"Line {number} of the exemplars {path.stem!r} cannot be read: {why} Correct it."
            ) from error
        yield Recollection(
            trajectory=exemplar.id or digest(exemplar.task.environment, exemplar.task.id, text),
            task=exemplar.task,
            what="tasks",
            text=text,
            score=0.0,
            success=exemplar.verdict.success,
            tokens=0,
        )
