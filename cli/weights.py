"""The third lesson: unseen tasks again, once practice has moved into the weights.

What is learned from are training tasks attempted with examples in view, and those that were failed
without; the examples are taken out of what is learned. What a lesson about one very task brought
about is left out: nothing in that task's prompt tells it, so imitating it is learning to guess.

Then first attempts at temperature 0 with nothing in view, by the plain model and by each adapter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from rich.progress import Progress

from cli import journal
from cli.evaluation import Watch, evaluate, tasks_of, together
from cli.exemplars import NOTHING, PRACTICE, SHOWN, SIZE
from cli.journal import Finished, Plan
from cli.learn import SIZES, Lesson
from cli.practice import SPLIT, remembered
from cli.screen import Bar, Steps
from cli.summary import Arm, compare, within
from cli.tuning import SFT, WAYS, Tuned, Workshop, attempts_of
from state.nouns import Trajectory

BASE: Final = "base"
STEPS: Final = 60
"""Of each fine-tune."""
COACHED: Final = 2
"""Training tasks that are attempted for every solved one that can be shown."""
AT_ONCE: Final = 2
"""Jobs side by side: each has the memory of a process with its libraries."""


class Tried(NamedTuple):
    """A way's adapter, and how each unseen task went with it."""

    tuned: Tuned
    finished: Sequence[Finished]


Results = Mapping[str, Tried]


def workshop(lesson: Lesson) -> Workshop:
    """Return where a lesson's fine-tunes are made."""
    return Workshop(lesson.folder / "weights", lesson.model, lesson.steps, lesson.seed)


def plan(lesson: Lesson, size: str, adapter: str) -> Plan:
    """Return the evaluation of an adapter in one size of room."""
    given = {"trials": 1, "adapter": adapter}
    return lesson.plan(NOTHING, size).model_copy(update=given)


async def coached(
    lesson: Lesson, known: Sequence[Trajectory], watch: Watch, gate: asyncio.Semaphore
) -> list[Trajectory]:
    """Return attempts at training tasks with the likeliest of some solved ones in view."""
    own = lesson.plan(SHOWN, SIZE).model_copy(
        update={"split": SPLIT, "trials": 1, "limit": COACHED * len(known), "successes": len(known)}
    )
    with journal.opened(lesson.folder / "coached.jsonl", own) as kept:
        async with remembered([kept.plan], known) as memory:
            return attempts_of(await evaluate(kept, watch, gate, memory=memory))


def first_failures(practice: Path) -> list[Trajectory]:
    """Return the attempts of a practice that failed before anything was known of their task."""
    return [
        attempt
        for attempt in attempts_of(journal.read(practice)[1])
        if attempt.trial == 1 and attempt.verdict.success is False
    ]


async def run(
    lesson: Lesson, known: Sequence[Trajectory], progress: Progress, gate: asyncio.Semaphore
) -> Results:
    """Train every way and try it out; what the plain model would do is measured elsewhere.

    Args:
        lesson: whose folder holds the practice that brought the successes.
        known: those successes, which are shown as examples.
        progress: where it is followed.
        gate: bounds the tasks under way.

    Raises:
        TrainingFailure: a job failed; the same lesson goes on from what it saved.
        ApprenticeError: the first one that a task meets; what was finished is kept.
    """
    shop, room = workshop(lesson), asyncio.Semaphore(AT_ONCE)
    if not (shop.possible and known):
        return {}
    taught = await coached(lesson, known, Bar(progress, "practice with examples"), gate)
    attempts = taught + first_failures(lesson.folder / PRACTICE)
    held_out = [
        task
        for size in SIZES
        for task in await asyncio.to_thread(tasks_of, lesson.plan(NOTHING, size))
    ]
    steps = {name: Steps(progress, f"{name}, training") for name in WAYS}
    tests = {
        (name, size): Bar(progress, f"{name}, {size} rooms") for name in WAYS for size in SIZES
    }

    async def tuned(name: str, parent: str = "") -> Tuned:
        async with room:
            data = await asyncio.to_thread(shop.dataset, WAYS[name], attempts, held_out)
            return await shop.tune(WAYS[name], data, parent, steps[name])

    async def tried(name: str, made: Tuned) -> Tried:
        parts = await together(
            _evaluated(lesson, size, name, made, tests[name, size], gate) for size in SIZES
        )
        return Tried(made, [each for part in parts for each in part])

    async def whole(name: str, parent: str) -> Tried:
        return await tried(name, await tuned(name, parent))

    first = await tuned(SFT)
    names = [name for name in WAYS if name != SFT]
    own, *others = await together(
        [
            tried(SFT, first),
            *(whole(name, first.adapter if WAYS[name].after else "") for name in names),
        ]
    )
    found = {SFT: own, **dict(zip(names, others, strict=True))}
    return {name: found[name] for name in WAYS}


async def _evaluated(
    lesson: Lesson, size: str, name: str, made: Tuned, bar: Bar, gate: asyncio.Semaphore
) -> list[Finished]:
    path = lesson.folder / f"{name.replace(', ', '-').replace(' ', '')}-{size}.jsonl"
    with journal.opened(path, plan(lesson, size, made.adapter)) as kept:
        return await evaluate(kept, bar, gate)


def arms(results: Results, base: Sequence[Finished]) -> dict[str, Arm]:
    """Sum the lesson up, the plain model's first attempts at the same tasks before all."""
    if not results:
        return {}
    return {
        BASE: Arm(within(base, 1), None, None),
        **{
            name: Arm(within(each.finished, 1), compare(each.finished, base, 1), each.tuned)
            for name, each in results.items()
        },
    }
