"""The third lesson: unseen tasks again, once practice has moved into the weights.

Imitated are training tasks that were solved with examples in view; the examples are taken out of
what is learned. A success that a lesson about the very task brought about would not do: nothing in
that task's prompt tells what to do, so imitating it is learning to guess. The imitator then draws
several attempts of its own at each of some training tasks that nobody has tried. Where success and
failure part are the pairs to prefer from, and the same tasks are attempted anew for reward.

Then first attempts at temperature 0 with nothing in view, by the plain model and by each adapter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Final, NamedTuple

from rich.progress import Progress

from apprentice.cli import journal
from apprentice.cli.demo.exemplars import NOTHING, SHOWN, SIZE
from apprentice.cli.demo.fine_tunes import (
    AT_ONCE,
    CONTROL,
    SFT,
    WAYS,
    Tuned,
    Way,
    Workshop,
    attempts_of,
)
from apprentice.cli.demo.reflexion import SIZES, Lesson
from apprentice.cli.evaluation import Watch, evaluate, tasks_of, together
from apprentice.cli.exemplar_memory import SPLIT, remembered
from apprentice.cli.journal import Finished, Plan
from apprentice.cli.summary import Arm, compare, within
from apprentice.cli.terminal import Bar, Steps
from apprentice.state.errors import MissingPart
from apprentice.state.nouns import Task, Trajectory

BASE: Final = "base"
STEPS: Final = 60
"""Of each fine-tune."""
COACHED: Final = 2
"""Training tasks that are attempted for every solved one that can be shown."""
FRESH: Final = 96
"""Further training tasks that the imitator attempts by itself."""
DRAWS: Final = 4
"""Attempts that it has at each: as many pairs come of them as of eight at half the tasks."""


class Tried(NamedTuple):
    """A way's adapter, and how each unseen task went with it."""

    tuned: Tuned
    finished: Sequence[Finished]


class Results(NamedTuple):
    """What each way came to; `left_out` says why another one was not gone."""

    tried: Mapping[str, Tried] = {}
    left_out: Mapping[str, str] = {}


def workshop(lesson: Lesson) -> Workshop:
    """Return where a lesson's fine-tunes are made."""
    folder = lesson.folder / "weights"
    return Workshop(lesson.workspace, folder, lesson.model, lesson.steps, lesson.seed)


def plan(lesson: Lesson, size: str, adapter: str) -> Plan:
    """Return the evaluation of an adapter in one size of room."""
    given = {"trials": 1, "adapter": adapter}
    return lesson.plan(NOTHING, size).model_copy(update=given)


async def coached(
    lesson: Lesson, known: Sequence[Trajectory], watch: Watch, gate: asyncio.Semaphore
) -> list[Trajectory]:
    """Return attempts at training tasks with the likeliest of some solved ones in view."""
    count = len(known)
    given = {"split": SPLIT, "trials": 1, "limit": COACHED * count, "successes": count}
    own = lesson.plan(SHOWN, SIZE).model_copy(update=given)
    with journal.opened(lesson.folder / "coached.jsonl", own) as kept:
        async with remembered(lesson.workspace, [kept.plan], known) as experience:
            done = await evaluate(lesson.workspace, kept, watch, gate, experience=experience)
            return attempts_of(done)


async def drawn(
    lesson: Lesson, adapter: str, watch: Watch, gate: asyncio.Semaphore
) -> list[Trajectory]:
    """Return an adapter's own attempts at fresh training tasks of both sizes, several at each."""
    given = {
        "split": SPLIT,
        "trials": 1,
        "limit": lesson.fresh // len(SIZES),
        "adapter": adapter,
        "seed": lesson.seed + 1,  # other tasks than the practice's
    }
    found: list[Trajectory] = []
    for size, number in product(SIZES, range(DRAWS)):
        own = lesson.plan("sampled", size).model_copy(update={**given, "draw": number})
        with journal.opened(lesson.folder / f"drawn-{size}-{number}.jsonl", own) as kept:
            found += attempts_of(await evaluate(lesson.workspace, kept, watch, gate))
    return found


async def run(
    lesson: Lesson,
    known: Sequence[Trajectory],
    progress: Progress,
    gate: asyncio.Semaphore,
    ways: Mapping[str, Way] = WAYS,
) -> Results:
    """Train every way and try it out; what the plain model would do is measured elsewhere.

    Args:
        lesson: whose folder holds the practice that brought the successes.
        known: those successes, which are shown as examples.
        progress: where it is followed.
        gate: bounds the tasks under way.
        ways: that are gone.

    Raises:
        TrainingFailure: a job failed; the same lesson goes on from what it saved.
        ApprenticeError: the first one that a task meets; what was finished is kept.
    """
    shop, room = workshop(lesson), asyncio.Semaphore(AT_ONCE)
    if not (shop.possible and known):
        return Results()
    left_out: dict[str, str] = {}
    held_out = await asyncio.to_thread(_held_out, lesson)
    follow = {name: Steps(progress, f"{name}, training") for name in ways}
    tests = {
        (name, size): Bar(progress, f"{name}, {size} rooms") for name in ways for size in SIZES
    }

    async def tuned(name: str, attempts: Sequence[Trajectory], parent: str = "") -> Tuned | None:
        try:
            data = await asyncio.to_thread(shop.dataset, ways[name], attempts, held_out)
        except MissingPart as too_little:
            left_out[name] = str(too_little)
            return None
        async with room:
            return await shop.tune(ways[name], data, parent, follow[name])

    async def tried(name: str, made: Tuned | None) -> dict[str, Tried]:
        if made is None:
            return {}
        parts = await together(
            _evaluated(lesson, size, name, made, tests[name, size], gate) for size in SIZES
        )
        return {name: Tried(made, [each for part in parts for each in part])}

    async def refined(first: Tuned) -> dict[str, Tried]:
        own = await drawn(lesson, first.adapter, Bar(progress, "practice after sft"), gate)
        names = [name for name, way in ways.items() if way.after == SFT]
        jobs = (tuned(name, own, first.adapter) for name in names)
        found: dict[str, Tried] = {}
        for name, made in zip(names, await together(jobs), strict=True):
            found |= await tried(name, made)
        return found

    async def control() -> dict[str, Tried]:
        return await tried(CONTROL, await tuned(CONTROL, taught))

    taught = await coached(lesson, known, Bar(progress, "practice with examples"), gate)
    first = await tuned(SFT, taught)
    if first is None:
        return Results({}, left_out)
    parts = await together([tried(SFT, first), control(), refined(first)])
    return Results({name: each for part in parts for name, each in part.items()}, left_out)


def _held_out(lesson: Lesson) -> list[Task]:
    return [
        task for size in SIZES for task in tasks_of(lesson.plan(NOTHING, size), lesson.workspace)
    ]


async def _evaluated(
    lesson: Lesson, size: str, name: str, made: Tuned, bar: Bar, gate: asyncio.Semaphore
) -> list[Finished]:
    path = lesson.folder / f"{name.replace(', ', '-').replace(' ', '')}-{size}.jsonl"
    with journal.opened(path, plan(lesson, size, made.adapter)) as kept:
        return await evaluate(lesson.workspace, kept, bar, gate)


def arms(results: Results, base: Sequence[Finished]) -> dict[str, Arm]:
    """Sum the lesson up, the plain model's first attempts at the same tasks before all."""
    if not results.tried:
        return {}
    return {
        BASE: Arm(within(base, 1), None, None),
        **{
            name: Arm(within(each.finished, 1), compare(each.finished, base, 1), each.tuned)
            for name, each in results.tried.items()
        },
    }
