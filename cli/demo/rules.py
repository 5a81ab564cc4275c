"""The second experiment: learned rules compared with none, hand-written and wrong ones.

There are two worlds with opposite conventions, so their rules must differ. The rules that were
learned in one world are the control in the other: as many, in the same wording, and wrong there.
The experiment has small rooms, one attempt at each task, and temperature 0. It uses the results of
the first experiment where they are the same.
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
from apprentice.cli.demo.reflexion import STUDENT, Demo, Journals
from apprentice.cli.demo.reflexion import Results as FirstResults
from apprentice.cli.evaluation import context_of, evaluate, together
from apprentice.cli.journal import Plan, TaskResult
from apprentice.cli.output import write_json
from apprentice.cli.summary import RulesArm, Worlds, compare, within
from apprentice.cli.terminal import Bar
from apprentice.environments.household.world import world as conventions
from apprentice.memory.releases import Releases
from apprentice.training.novice.wordings import world_rules
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
    """The rules of each world, and the results of first attempts.

    Attributes:
        released_rules: world -> the rules that passed the gate there.
        by_kind: kind of rules -> world -> its results; worlds without such rules are absent.
    """

    released_rules: Mapping[str, Rules] = {}
    by_kind: Mapping[str, Mapping[str, Sequence[TaskResult]]] = {}


def opposite(world: str) -> str:
    """Return the other one of the two worlds."""
    return WORLDS[world == WORLDS[0]]


def in_view(released_rules: Mapping[str, Rules]) -> dict[str, dict[str, Rules]]:
    """Return the rules to show: kind -> world -> rules. Worlds without such rules are absent.

    Args:
        released_rules: world -> the rules that were learned there, for two worlds.
    """
    here, there = released_rules
    others = {here: released_rules[there], there: released_rules[here]}
    return {
        LEARNED: {world: rules for world, rules in released_rules.items() if rules},
        WRITTEN: {world: by_hand(world) for world in released_rules},
        SHUFFLED: {world: rules for world, rules in others.items() if rules},
    }


def by_hand(world: str) -> Rules:
    """Return every convention of a world as a rule."""
    world_conventions = conventions(world)
    return tuple(world_rules(world_conventions.keeps, world_conventions.treats))


async def run(
    demo: Demo,
    journals: Journals,
    first: FirstResults,
    progress: Progress,
    slots: asyncio.Semaphore,
) -> Results:
    """Learn rules in the other world too, and attempt tasks with each kind of rules in both.

    Args:
        demo: the settings.
        journals: of the first experiment, which has learned rules in this world.
        first: the results of the first experiment.
        progress: shows the progress.
        slots: bounds the parallel tasks.

    Raises:
        ApprenticeError: the first error of a task; the journals keep the finished tasks.
    """
    if not demo.training:
        return Results()
    here, there = demo.world, opposite(demo.world)

    async def try_rules(kind: str, world: str, rules: Rules = ()) -> tuple[Plan, list[TaskResult]]:
        technique = STUDENT if kind == LEARNED else NOTHING
        own = replace(demo, world=world).plan(technique, SIZE)
        plan = own.model_copy(update={"trials": 1, "rules": rules})
        path = demo.folder / f"rules-{kind}-{world}.jsonl"
        with journal.open_journal(path, plan) as record:
            label = "no" if kind == NOTHING else kind
            results = await evaluate(
                demo.workspace, record, Bar(progress, f"{label} rules, {world}"), slots
            )
            return record.plan, results

    (_, no_rules_results), (learner_plan, learner_results), *hand_written = await together(
        [
            try_rules(NOTHING, there),
            try_rules(LEARNED, there),
            *(try_rules(WRITTEN, world, by_hand(world)) for world in (here, there)),
        ]
    )
    released_rules = await _released_rules(
        demo.workspace,
        demo.folder / "rules.json",
        {here: journals[STUDENT, SIZE].plan, there: learner_plan},
    )
    views = in_view(released_rules)
    shuffled_runs = await together(
        try_rules(SHUFFLED, world, rules) for world, rules in views[SHUFFLED].items()
    )
    by_world = {here: first[STUDENT][SIZE], there: learner_results}
    return Results(
        released_rules,
        {
            NOTHING: {here: first[NOTHING][SIZE], there: no_rules_results},
            LEARNED: {world: by_world[world] for world in views[LEARNED]},
            WRITTEN: {
                world: task_results
                for world, (_, task_results) in zip(released_rules, hand_written, strict=True)
            },
            SHUFFLED: {
                world: task_results
                for world, (_, task_results) in zip(views[SHUFFLED], shuffled_runs, strict=True)
            },
        },
    )


async def _released_rules(
    workspace: Workspace, file: Path, plans: Mapping[str, Plan]
) -> dict[str, Rules]:
    """Return the released rules of each world, and write them to a file beside the journals.

    The file makes a repeated run independent of the store.
    """
    if earlier := _read(file):
        return earlier
    async with workspace.store() as store:
        rules_by_world = {}
        for world, plan in plans.items():
            tenant = context_of(plan, workspace).tenant
            where = workspace.environment(plan.environment).name
            release = await Releases(store, tenant, where).current()
            rules_by_world[world] = release.texts if release else ()
    write_json(file, rules_by_world)
    return rules_by_world


def _read(file: Path) -> dict[str, Rules]:
    if not file.exists():
        return {}
    return {world: tuple(rules) for world, rules in json.loads(file.read_text()).items()}


def summarise(results: Results) -> Worlds | None:
    """Return the figures of the experiment; None if it was not run."""
    if not results.by_kind:
        return None
    none = results.by_kind[NOTHING]
    arms = {}
    for kind, by_world in results.by_kind.items():
        ours, theirs = _pool(by_world, by_world), _pool(none, by_world)
        above = compare(ours, theirs, 1) if ours and kind != NOTHING else None
        rates = {world: within(task_results, 1) for world, task_results in by_world.items()}
        arms[kind] = RulesArm(rates, within(ours, 1) if ours else None, above)
    own = results.by_kind[LEARNED]
    differences = {}
    for kind in (WRITTEN, SHUFFLED):
        other = results.by_kind[kind]
        if both := [world for world in own if world in other]:
            differences[kind] = compare(_pool(own, both), _pool(other, both), 1)
    return Worlds(dict(results.released_rules), arms, differences)


def _pool(by_world: Mapping[str, Sequence[TaskResult]], worlds: Iterable[str]) -> list[TaskResult]:
    return [result for world in worlds for result in by_world[world]]
