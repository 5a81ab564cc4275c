"""The second lesson: unseen tasks, with more and more solved ones in memory.

Small rooms, one attempt a task, temperature 0. What is recalled by likeness stands beside what is
recalled at random, and both beside the first attempt of the control that learns nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

from rich.progress import Progress

from apprentice.cli import journal
from apprentice.cli.demo.reflexion import Lesson
from apprentice.cli.evaluation import evaluate, together
from apprentice.cli.exemplar_memory import practise, practised, remembered
from apprentice.cli.journal import Finished, Journal
from apprentice.cli.summary import Curve, compare, solved
from apprentice.cli.techniques import TechniqueName
from apprentice.cli.terminal import Bar
from apprentice.state.nouns import Trajectory
from apprentice.state.statistics import Rate, rate

LEVELS: Final = (1, 5, 25, 125)
SIZE: Final = "small"
SHOWN: Final[TechniqueName] = "exemplar"
RANDOM: Final[TechniqueName] = "random-exemplars"
NOTHING: Final[TechniqueName] = "none"

Journals = Mapping[tuple[TechniqueName, int], Journal]
Results = Mapping[TechniqueName, Mapping[int, Sequence[Finished]]]


def levels(most: int) -> list[int]:
    """Return the numbers of recorded successes that are tried, up to the most."""
    return [*(level for level in LEVELS if level < most), *([most] if most else [])]


@contextmanager
def opened(lesson: Lesson) -> Iterator[Journals]:
    """Open the journals of every level, finished or not."""
    with ExitStack() as stack:
        yield {
            (technique, level): stack.enter_context(
                journal.opened(
                    lesson.folder / f"{technique}-{level}.jsonl",
                    lesson.plan(technique, SIZE).model_copy(
                        update={"trials": 1, "successes": level}
                    ),
                )
            )
            for technique in (SHOWN, RANDOM)
            for level in levels(lesson.successes)
        }


async def practice(lesson: Lesson, progress: Progress, gate: asyncio.Semaphore) -> list[Trajectory]:
    """Return the successes that a lesson shows, and learns from; none when it is to have none.

    Raises:
        ApprenticeError: the first one that a task meets; what was finished is kept.
    """
    if not lesson.successes:
        return []
    plan = practised(lesson.workspace, lesson.plan(SHOWN, SIZE))
    path, bar = lesson.folder / "practice.jsonl", Bar(progress, "practice")
    return await practise(lesson.workspace, path, plan, lesson.successes, bar, gate)


async def run(
    lesson: Lesson,
    journals: Journals,
    known: Sequence[Trajectory],
    progress: Progress,
    gate: asyncio.Semaphore,
) -> Results:
    """Try the test tasks at every level that the practice reached.

    Raises:
        ApprenticeError: the first one that a task meets; what was finished is kept.
    """
    if not journals:
        return {SHOWN: {}, RANDOM: {}}
    reached = {key: each for key, each in journals.items() if key[1] <= len(known)}
    bars = {key: Bar(progress, f"{key[0]}, {key[1]} recorded") for key in reached}
    plans = [each.plan for each in reached.values()]
    async with remembered(lesson.workspace, plans, known) as experience:
        done = await together(
            evaluate(lesson.workspace, each, bars[key], gate, experience=experience)
            for key, each in reached.items()
        )
    found = dict(zip(reached, done, strict=True))
    return {
        name: {level: found[name, level] for name_, level in found if name_ == name}
        for name in (SHOWN, RANDOM)
    }


def curve(results: Results, nothing: Sequence[Finished]) -> Curve | None:
    """Sum the lesson up, beside first attempts at the same tasks; None when nothing was shown."""
    shown, random = results[SHOWN], results[RANDOM]
    if not shown:
        return None
    first, last = _rate(nothing), max(shown)
    return Curve(
        [0, *shown],
        {
            SHOWN: [first, *map(_rate, shown.values())],
            RANDOM: [first, *map(_rate, random.values())],
            NOTHING: [first] * (1 + len(shown)),
        },
        {
            NOTHING: compare(shown[last], nothing, 1),
            RANDOM: compare(shown[last], random[last], 1),
        },
    )


def _rate(finished: Sequence[Finished]) -> Rate:
    return rate(sum(solved(done, 1) for done in finished), len(finished))
