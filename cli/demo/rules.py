"""The lesson of rules: learned ones beside none, hand-written and wrong ones, in two worlds.

The worlds have opposite conventions, so what is learned in them has to differ, and the rules that
were learned in the one are the control in the other: as many, worded alike, and wrong there. Small
rooms, one attempt a task, temperature 0. What the first lesson measured is not measured again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from rich.progress import Progress

from apprentice.cli import journal
from apprentice.cli.demo.exemplars import NOTHING, SIZE
from apprentice.cli.demo.reflexion import STUDENT, Journals, Lesson
from apprentice.cli.demo.reflexion import Results as FirstResults
from apprentice.cli.evaluation import context_of, evaluate, together
from apprentice.cli.journal import Finished, Plan
from apprentice.cli.output import write_json
from apprentice.cli.summary import Taught, Worlds, compare, within
from apprentice.cli.terminal import Bar
from apprentice.environments.household.world import world as conventions
from apprentice.memory.releases import Releases
from apprentice.training.novice.lessons import world_rules
from apprentice.workspace import Workspace

LEARNED: Final = "learned"
WRITTEN: Final = "hand-written"
SHUFFLED: Final = "shuffled"
WORLDS: Final = ("north", "south")
ABOUT: Final = {
    NOTHING: "no rules",
    LEARNED: "rules learned from training tasks of the same world",
    WRITTEN: "every convention of the world, written down by hand",
    SHUFFLED: "the control: the rules that were learned in the other world",
}

Rules = tuple[str, ...]


class Results(NamedTuple):
    """What each world's rules are, and how first attempts went.

    Attributes:
        learned: world -> the rules that were released there; none where none passed the gate.
        tried: rules in view -> world -> its tasks; worlds without such rules are left out.
    """

    learned: Mapping[str, Rules] = {}
    tried: Mapping[str, Mapping[str, Sequence[Finished]]] = {}


def opposite(world: str) -> str:
    """Return the world that a world stands beside."""
    return WORLDS[world == WORLDS[0]]


def in_view(learned: Mapping[str, Rules]) -> dict[str, dict[str, Rules]]:
    """Return the rules that are shown in each of two worlds, by kind.

    Args:
        learned: world -> what was learned there; worlds with nothing to show are left out.
    """
    here, there = learned
    others = {here: learned[there], there: learned[here]}
    return {
        LEARNED: {world: rules for world, rules in learned.items() if rules},
        WRITTEN: {world: by_hand(world) for world in learned},
        SHUFFLED: {world: rules for world, rules in others.items() if rules},
    }


def by_hand(world: str) -> Rules:
    """Word every convention of a world."""
    found = conventions(world)
    return tuple(world_rules(found.keeps, found.treats))


async def run(
    lesson: Lesson,
    journals: Journals,
    first: FirstResults,
    progress: Progress,
    gate: asyncio.Semaphore,
) -> Results:
    """Learn rules in the other world too, and try every kind of rules in both.

    Args:
        lesson: what is to be shown.
        journals: those of the first lesson, whose learner of rules is the one of this world.
        first: what came of them.
        progress: where it is followed.
        gate: bounds the tasks under way.

    Raises:
        ApprenticeError: the first one that a task meets; what was finished is kept.
    """
    if not lesson.training:
        return Results()
    here, there = lesson.world, opposite(lesson.world)

    async def tried(kind: str, world: str, rules: Rules = ()) -> tuple[Plan, list[Finished]]:
        technique = STUDENT if kind == LEARNED else NOTHING
        own = replace(lesson, world=world).plan(technique, SIZE)
        plan = own.model_copy(update={"trials": 1, "rules": rules})
        path = lesson.folder / f"rules-{kind}-{world}.jsonl"
        with journal.opened(path, plan) as kept:
            named = "no" if kind == NOTHING else kind
            done = await evaluate(
                lesson.workspace, kept, Bar(progress, f"{named} rules, {world}"), gate
            )
            return kept.plan, done

    (_, untaught), (study, taught), *written = await together(
        [
            tried(NOTHING, there),
            tried(LEARNED, there),
            *(tried(WRITTEN, world, by_hand(world)) for world in (here, there)),
        ]
    )
    learned = await _learned(
        lesson.workspace,
        lesson.folder / "rules.json",
        {here: journals[STUDENT, SIZE].plan, there: study},
    )
    shown = in_view(learned)
    shuffled = await together(
        tried(SHUFFLED, world, rules) for world, rules in shown[SHUFFLED].items()
    )
    taught_in = {here: first[STUDENT][SIZE], there: taught}
    return Results(
        learned,
        {
            NOTHING: {here: first[NOTHING][SIZE], there: untaught},
            LEARNED: {world: taught_in[world] for world in shown[LEARNED]},
            WRITTEN: {world: done for world, (_, done) in zip(learned, written, strict=True)},
            SHUFFLED: {
                world: done for world, (_, done) in zip(shown[SHUFFLED], shuffled, strict=True)
            },
        },
    )


async def _learned(workspace: Workspace, file: Path, plans: Mapping[str, Plan]) -> dict[str, Rules]:
    """Return what was released in each world, and keep it beside the journals.

    The releases are where `apprentice` keeps what is learned, which the lesson may outlive.
    """
    if known := _read(file):
        return known
    async with workspace.store() as kept:
        found = {}
        for world, plan in plans.items():
            tenant = context_of(plan, workspace).tenant
            where = workspace.environment(plan.environment).name
            release = await Releases(kept, tenant, where).current()
            found[world] = release.texts if release else ()
    write_json(file, found)
    return found


def _read(file: Path) -> dict[str, Rules]:
    if not file.exists():
        return {}
    return {world: tuple(rules) for world, rules in json.loads(file.read_text()).items()}


def summed(results: Results) -> Worlds | None:
    """Sum the lesson up; None when no rules were to be learned."""
    if not results.tried:
        return None
    none = results.tried[NOTHING]
    arms = {}
    for kind, by_world in results.tried.items():
        ours, theirs = _pooled(by_world, by_world), _pooled(none, by_world)
        above = compare(ours, theirs, 1) if ours and kind != NOTHING else None
        rates = {world: within(done, 1) for world, done in by_world.items()}
        arms[kind] = Taught(rates, within(ours, 1) if ours else None, above)
    own = results.tried[LEARNED]
    differences = {}
    for kind in (WRITTEN, SHUFFLED):
        other = results.tried[kind]
        if both := [world for world in own if world in other]:
            differences[kind] = compare(_pooled(own, both), _pooled(other, both), 1)
    return Worlds(dict(results.learned), arms, differences)


def _pooled(by_world: Mapping[str, Sequence[Finished]], worlds: Iterable[str]) -> list[Finished]:
    return [done for world in worlds for done in by_world[world]]
