"""The third experiment: unseen tasks, with more and more solved tasks in memory.

It has small rooms, one attempt at each task, and temperature 0. It compares recall by similarity,
random recall, and the first attempt of the control without exemplars.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

from rich.progress import Progress

from apprentice.cli import journal
from apprentice.cli.demo.reflexion import Demo
from apprentice.cli.evaluation import evaluate, together
from apprentice.cli.exemplar_memory import memory_of, practice_plan, practise
from apprentice.cli.journal import Journal, TaskResult
from apprentice.cli.summary import Curve, compare, is_solved
from apprentice.cli.techniques import TechniqueName
from apprentice.cli.terminal import Bar
from apprentice.state.statistics import Rate, rate
from apprentice.state.trajectory import Trajectory

LEVELS: Final = (1, 5, 25, 125)
SIZE: Final = "small"
SHOWN: Final[TechniqueName] = "exemplar"
RANDOM: Final[TechniqueName] = "random-exemplars"
NOTHING: Final[TechniqueName] = "none"

Journals = Mapping[tuple[TechniqueName, int], Journal]
Results = Mapping[TechniqueName, Mapping[int, Sequence[TaskResult]]]


def levels(most: int) -> list[int]:
    """Return the numbers of recorded successes to try, up to `most`."""
    return [*(level for level in LEVELS if level < most), *([most] if most else [])]


@contextmanager
def open_journals(demo: Demo) -> Iterator[Journals]:
    """Open the journals of all levels."""
    with ExitStack() as stack:
        yield {
            (technique, level): stack.enter_context(
                journal.open_journal(
                    demo.folder / f"{technique}-{level}.jsonl",
                    demo.plan(technique, SIZE).model_copy(update={"trials": 1, "exemplars": level}),
                )
            )
            for technique in (SHOWN, RANDOM)
            for level in levels(demo.exemplars)
        }


async def practice(demo: Demo, progress: Progress, slots: asyncio.Semaphore) -> list[Trajectory]:
    """Return the successes of the practice, for exemplars and fine-tunes.

    Raises:
        ApprenticeError: the first error of a task; the journals keep the finished tasks.
    """
    if not demo.exemplars:
        return []
    plan = practice_plan(demo.workspace, demo.plan(SHOWN, SIZE))
    path, bar = demo.folder / "practice.jsonl", Bar(progress, "practice")
    return await practise(demo.workspace, path, plan, demo.exemplars, bar, slots)


async def run(
    demo: Demo,
    journals: Journals,
    successes: Sequence[Trajectory],
    progress: Progress,
    slots: asyncio.Semaphore,
) -> Results:
    """Attempt the test tasks at every level for which there are enough successes.

    Raises:
        ApprenticeError: the first error of a task; the journals keep the finished tasks.
    """
    if not journals:
        return {SHOWN: {}, RANDOM: {}}
    possible = {key: each for key, each in journals.items() if key[1] <= len(successes)}
    bars = {key: Bar(progress, f"{key[0]}, {key[1]} recorded") for key in possible}
    plans = [each.plan for each in possible.values()]
    async with memory_of(demo.workspace, plans, successes) as experience:
        outcomes = await together(
            evaluate(demo.workspace, each, bars[key], slots, experience=experience)
            for key, each in possible.items()
        )
    by_key = dict(zip(possible, outcomes, strict=True))
    return {
        name: {level: by_key[name, level] for name_, level in by_key if name_ == name}
        for name in (SHOWN, RANDOM)
    }


def curve(results: Results, nothing: Sequence[TaskResult]) -> Curve | None:
    """Return the figures of the experiment; None if no exemplars were shown."""
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


def _rate(results: Sequence[TaskResult]) -> Rate:
    return rate(sum(is_solved(result, 1) for result in results), len(results))
