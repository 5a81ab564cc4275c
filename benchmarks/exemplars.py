"""The gain from exemplars: `python -m benchmarks.exemplars`.

The first table has first attempts at unseen test tasks, with more and more solved training tasks in
memory. It compares similar exemplars, random ones and none. The second table compares ways to
recall and to show exemplars, with a full memory. The model solved the training tasks itself, with
reflexion. Journals are under runs/figures, except for the second table.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from apprentice.cli import event_loop, journal
from apprentice.cli.demo import exemplars as demo_exemplars
from apprentice.cli.demo.exemplars import NOTHING, RANDOM, SHOWN
from apprentice.cli.evaluation import context_of, evaluate, tasks_of
from apprentice.cli.exemplar_memory import memory_of, practice_plan, practise
from apprentice.cli.journal import Plan, TaskResult
from apprentice.cli.summary import compare
from apprentice.cli.techniques import TechniqueName
from apprentice.graphs import exemplar
from apprentice.memory.experience import OpenExperience
from apprentice.state.statistics import difference, rate
from apprentice.state.trajectory import Trajectory
from benchmarks.figures import within
from benchmarks.figures_document import MODEL, WORLDS, Figures, SilentListener, percent

SIZES: Final = ("small", "medium")
ONE: Final = {"exemplars": 1, "diversity": 0.0}
RECIPES: Final[dict[str, dict[str, Any]]] = {
    "nothing": {"exemplars": 0},
    "three, diverse": {},
    "three": {"diversity": 0.0},
    "two, diverse": {"exemplars": 2},
    "one exemplar": ONE,
    "one, by meaning": {**ONE, "recall": "meaning"},
    "one, by text": {**ONE, "recall": "text"},
    "one, by type": {**ONE, "recall": "type"},
    "one, at random": {**ONE, "recall": "random"},
    "one, adapted into a plan": {**ONE, "adapt": True},
    "steps in every turn": {"exemplars": 0, "similar_steps": 3},
}


def plan(where: str, technique: TechniqueName, level: int, tasks: int) -> Plan:
    """Return the evaluation of a technique with `level` successes in memory."""
    return Plan(
        environment=where,
        split="test",
        technique=technique,
        model=MODEL,
        trials=1,
        temperature=0.0,
        limit=tasks,
        exemplars=level,
    )


async def measure(figures: Figures, size: str, most: int) -> None:
    """Print the tables of one size of room, over all worlds."""
    levels = demo_exemplars.levels(most)
    keys: list[tuple[TechniqueName, int]] = [
        (NOTHING, 0),
        *((technique, level) for technique in (SHOWN, RANDOM) for level in levels),
    ]
    by_key: dict[tuple[TechniqueName, int], list[TaskResult]] = {key: [] for key in keys}
    ways: dict[str, list[bool]] = {name: [] for name in RECIPES}
    for world in WORLDS:
        where = f"household/{world}/{size}"
        plans = {key: plan(where, *key, figures.tasks // len(WORLDS)) for key in keys}
        successes = await _practise(figures, plans[SHOWN, most], most)
        with ExitStack() as stack:
            # The open journals have their runs' names, and with them the tenants of the memory.
            journals = {
                key: stack.enter_context(journal.open_journal(_path(figures, each), each))
                for key, each in plans.items()
            }
            own = [record.plan for record in journals.values()]
            async with memory_of(figures.workspace, own, successes) as experience:
                for key, record in journals.items():
                    by_key[key] += await evaluate(
                        figures.workspace,
                        record,
                        SilentListener(),
                        figures.slots,
                        experience=experience,
                    )
                full = journals[SHOWN, most].plan
                for name, outcomes in (await _ways(figures, full, experience)).items():
                    ways[name] += outcomes
    figures.say("", f"### {size} rooms ({len(by_key[NOTHING, 0])} tasks)")
    _curve(figures, by_key, levels)
    _beside(figures, ways, most)


async def _practise(figures: Figures, own: Plan, most: int) -> list[Trajectory]:
    name = f"practice-{own.environment}.jsonl".replace("/", "-")
    path = figures.folder / name
    successes = await practise(
        figures.workspace,
        path,
        practice_plan(figures.workspace, own),
        most,
        SilentListener(),
        figures.slots,
    )
    _, results = journal.read(path)
    attempts = sum(len(result.attempts) for result in results)
    figures.say(
        "",
        f"{own.environment}: {len(successes)} successes from {attempts} attempts at "
        "training tasks.",
    )
    return successes


def _path(figures: Figures, each: Plan) -> Path:
    name = f"{each.environment}-{each.technique}-{each.exemplars}.jsonl"
    return figures.folder / name.replace("/", "-")


async def _ways(figures: Figures, full: Plan, experience: OpenExperience) -> dict[str, list[bool]]:
    """Attempt each task once in each way; return whether each was solved."""
    graph = exemplar.build(
        workspace=figures.workspace, recall_from=experience, record_to=experience
    ).compile()
    base = context_of(full, figures.workspace)
    tasks = await asyncio.to_thread(tasks_of, full, figures.workspace)

    async def one(task: Any, settings: Mapping[str, Any]) -> bool:
        async with figures.slots:
            values = await graph.ainvoke({"task": task}, context=replace(base, **settings))
            return bool(values["verdict"].success)

    return {
        name: list(await asyncio.gather(*(one(task, settings) for task in tasks)))
        for name, settings in RECIPES.items()
    }


def _curve(
    figures: Figures,
    by_key: Mapping[tuple[TechniqueName, int], Sequence[TaskResult]],
    levels: Sequence[int],
) -> None:
    nothing, last = by_key[NOTHING, 0], levels[-1]
    first = percent(within(nothing, 1))
    figures.table(
        ["recorded successes", "0", *map(str, levels)],
        [
            [name, first, *(percent(within(by_key[name, level], 1)) for level in levels)]
            for name in (SHOWN, RANDOM)
        ],
    )
    for name, theirs in (("no exemplars", nothing), ("random ones", by_key[RANDOM, last])):
        gap = compare(by_key[SHOWN, last], theirs, 1)
        figures.say(
            "",
            f"At {last}, above {name}: {100 * gap.value:+.1f} points "
            f"({100 * gap.low:+.0f} to {100 * gap.high:+.0f}), McNemar p = {gap.p:.2g}.",
        )


def _beside(figures: Figures, ways: Mapping[str, Sequence[bool]], most: int) -> None:
    rows = []
    for name, outcomes in ways.items():
        gap = difference(outcomes, ways["nothing"])
        gain = f"{100 * gap.value:+.1f} ({100 * gap.low:+.0f} to {100 * gap.high:+.0f})"
        rows.append([name, percent(rate(sum(outcomes), len(outcomes))), gain])
    figures.table([f"shown, of {most}", "solved", "above nothing"], rows)


async def _all(figures: Figures, most: int) -> None:
    figures.say("", "## Exemplars from experience", "")
    figures.say(
        "First attempts at household test tasks, in %, with 95 % Wilson intervals; worlds "
        f"{' and '.join(WORLDS)}, temperature 0. Unless noted, three diverse exemplars are "
        "recalled by meaning and text."
    )
    for size in SIZES:
        await measure(figures, size, most)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=240, help="test tasks for each room size")
    parser.add_argument(
        "--successes",
        type=int,
        default=demo_exemplars.LEVELS[-1],
        help="successes in memory, at most",
    )
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--runs", type=Path, default=Path("runs/figures"))
    parser.add_argument("--out", type=Path, help="also write the tables to this file")
    options = parser.parse_args()
    figures = Figures(options.runs, options.tasks, options.concurrency, repeats=1, training=0)
    event_loop.run(_all(figures, options.exemplars))
    if options.out:
        options.out.write_text("\n".join(figures.lines) + "\n")


if __name__ == "__main__":
    main()
