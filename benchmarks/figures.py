"""The tables of docs/figures.md, with 95 % intervals: `python -m benchmarks.figures`.

The journals of the evaluations are under runs/figures. An interrupted run continues, and a finished
one is read from its journals. The real games need ALFWORLD_DATA; without it the document says that
they were not measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random
from typing import Final

from apprentice.cli import event_loop
from apprentice.cli.journal import TaskResult
from apprentice.cli.summary import compare, is_solved
from apprentice.cli.techniques import TechniqueName
from apprentice.environments.household.environment import Household
from apprentice.environments.household.expert import Knowledge
from apprentice.environments.household.game import Game
from apprentice.environments.household.vocabulary import CATEGORY, TREATMENTS
from apprentice.nodes.expel.budget import ANSWER
from apprentice.state.prompts import Shown, critique_pair
from apprentice.state.rulebook import Rulebook, parse_operations
from apprentice.state.statistics import Rate, difference, rate
from apprentice.state.trajectory import Task
from apprentice.training.novice.corpus import Corpus
from apprentice.training.novice.wordings import kept_rule, works_rule, world_rules
from benchmarks import rules
from benchmarks.figures_document import MODEL, WORLDS, Figures, percent
from benchmarks.step_limits import everything, steps_needed

SIZES: Final = ("small", "medium", "full")
CONTROLS: Final[tuple[TechniqueName, ...]] = ("none", "sampled", "others-reflections")


def within(results: Sequence[TaskResult], trial: int) -> Rate:
    """Return the share of tasks solved within a number of trials."""
    return rate(sum(is_solved(result, trial) for result in results), len(results))


async def reflexion_curves(figures: Figures) -> None:
    """Write the section on reflexion and its controls, by trial."""
    figures.say("", "## Reflexion and its controls", "")
    figures.say(
        "Success within 1, 2, 3 … trials in %, with 95 % Wilson intervals; household test "
        f"tasks of the worlds {' and '.join(WORLDS)}, temperature 0 unless sampled."
    )
    for size in SIZES:
        places = [(f"household/{world}/{size}", "test") for world in WORLDS]
        title, tasks = f"household, {size} rooms", figures.tasks // 2
        await _curves(figures, title, places, tasks, trials=6, repeats=min(6, figures.repeats))
    if figures.workspace.settings.alfworld:
        # There are few games, so the controls have as many trials as the learner.
        where = [("alfworld", "valid_unseen")]
        await _curves(figures, "real ALFWorld games", where, 134, trials=12, repeats=12)
    else:
        figures.say("", "Real ALFWorld games: not measured, because ALFWORLD_DATA is not set.")


async def _curves(
    figures: Figures,
    title: str,
    places: Sequence[tuple[str, str]],
    limit: int,
    *,
    trials: int,
    repeats: int,
) -> None:
    """Run the learner and its controls, which may have fewer trials, and write both curves."""
    curves: dict[str, list[TaskResult]] = {}
    for technique in ("reflexion", *CONTROLS):
        tries = trials if technique == "reflexion" else repeats
        curves[technique] = [
            results
            for where, split in places
            for results in await figures.evaluate(
                where, split, technique, tries, limit, curves.get("reflexion", ())
            )
        ]
    count = len(curves["reflexion"])
    figures.say("", f"### {title} ({count} tasks)")
    marks = [trial for trial in (1, 2, 3, 4, 6, 9, 12) if trial <= trials]
    figures.table(
        ["technique", *(f"trial {mark}" for mark in marks)],
        [[name, *_cells(results, name, marks, repeats)] for name, results in curves.items()],
    )
    best = max(CONTROLS, key=lambda name: within(curves[name], 3).value)
    gap = compare(curves["reflexion"], curves[best], 3)
    figures.say(
        "",
        f"Reflexion above its best control ({best}) at trial 3: {100 * gap.value:+.1f} points "
        f"({100 * gap.low:+.0f} to {100 * gap.high:+.0f}), McNemar p = {gap.p:.2g}.",
    )


def _cells(
    results: Sequence[TaskResult], name: str, marks: Sequence[int], repeats: int
) -> list[str]:
    """Return a curve's cells; trials that a control did not have are empty."""
    return [
        percent(within(results, mark)) if name == "reflexion" or mark <= repeats else ""
        for mark in marks
    ]


async def knowledge(figures: Figures) -> None:
    """Write the section on the gain from rules and exemplars in view, on one trial."""
    figures.say("", "## Rules and exemplars in view", "")
    figures.say(
        "One trial on household test tasks, small and medium rooms of both worlds, in %. Rules: "
        "every convention of the world, in wordings that training did not have. Exemplars: one "
        "solved task of the same world, of the same kind of thing and treatment (relevant) or of "
        "neither (irrelevant)."
    )
    tasks: list[Task] = []
    views: dict[str, list[Shown]] = {
        name: [] for name in ("nothing", "rules", "swapped rules", "relevant", "irrelevant")
    }
    for world in WORLDS:
        other = WORLDS[1 - WORLDS.index(world)]
        for size in ("small", "medium"):
            place = Household(world, size)
            for task in place.tasks("test", figures.tasks // 4, seed=1):
                relevant = _exemplar(place, task, relevant=True)
                irrelevant = _exemplar(place, task, relevant=False)
                if not (relevant.exemplars and irrelevant.exemplars):
                    continue  # there is no solved task of the kind
                tasks.append(task)
                views["nothing"].append(Shown())
                views["rules"].append(Shown(rules=_rules(place, task)))
                views["swapped rules"].append(Shown(rules=_rules(Household(other, size), task)))
                views["relevant"].append(relevant)
                views["irrelevant"].append(irrelevant)
    results = {name: await figures.attempt_with(tasks, shown) for name, shown in views.items()}
    nothing = results["nothing"]
    rows = []
    for name, outcome in results.items():
        gap = difference(outcome, nothing)
        gain = f"{100 * gap.value:+.1f} ({100 * gap.low:+.0f} to {100 * gap.high:+.0f})"
        rows.append([name, percent(rate(sum(outcome), len(outcome))), gain])
    figures.table(["in view", f"solved, {len(tasks)} tasks", "above nothing"], rows)
    gap = difference(results["relevant"], results["irrelevant"])
    figures.say(
        "",
        f"A relevant exemplar above an irrelevant one: {100 * gap.value:+.1f} points "
        f"({100 * gap.low:+.0f} to {100 * gap.high:+.0f}).",
    )


def _rules(place: Household, task: Task) -> list[str]:
    rng = Random(task.id)
    rules = world_rules(place.world.keeps, place.world.treats, rng, held_out=True)
    rng.shuffle(rules)
    return rules


def _exemplar(place: Household, task: Task, *, relevant: bool) -> Shown:
    """Return a random solved training task of the same world, or an empty view."""
    goal = place.reset(task).room.goal
    corpus = Corpus(int(task.id.rpartition("/")[2]), {"small": 1.0}, {}, rename=0.0)

    def fits(other: Game) -> bool:
        its = other.room.goal
        same = CATEGORY[its.thing] == CATEGORY[goal.thing]
        if relevant:
            return same and (its.family == goal.family or goal.family not in TREATMENTS)
        return not same and its.family not in TREATMENTS

    case = corpus.success(place.world, fits, tries=600)
    return Shown(exemplars=(case.text(),)) if case else Shown()


async def operations(figures: Figures) -> None:
    """Write the section on rule operations of the model: how many parse and apply."""
    figures.say("", "## Rule operations", "")
    model = figures.workspace.chat(MODEL, max_tokens=ANSWER)
    written_count = parsed_count = applied_count = right_count = 0
    for world in WORLDS:
        place = Household(world, "small")
        corpus = Corpus(11, {"small": 1.0}, {}, rename=0.0)
        for _ in range(figures.tasks // 4):
            pair = _pair(corpus, place)
            if pair is None:
                continue
            rulebook = _rulebook(corpus, place)
            prompt = critique_pair([rule.text for rule in rulebook.rules], *pair)
            text = str((await model.ainvoke(prompt)).text)
            parse = parse_operations(text)
            change = rulebook.apply(parse.operations)
            lines = [line for line in text.splitlines() if line.strip()]
            written_count += len([line for line in lines if not line.startswith("think:")])
            parsed_count += len(parse.operations)
            applied_count += len(parse.operations) - len(change.rejections)
            right_count += sum(_true(place, operation.text) for operation in change.operations)
    figures.table(
        ["operations", "share in %"],
        [
            ["lines that parse", percent(rate(min(parsed_count, written_count), written_count))],
            ["parsed operations that apply", percent(rate(applied_count, parsed_count))],
            [
                "applied operations that state a convention of the world",
                percent(rate(right_count, applied_count)),
            ],
        ],
    )


def _pair(corpus: Corpus, place: Household) -> tuple[str, str] | None:
    game = corpus.game(place.world, "small")
    failures = corpus.failures(game, 1)
    world = place.world
    storage = {noun: world.keeps[category] for noun, category in CATEGORY.items()}
    success = corpus.play(
        corpus.restart(game), Knowledge(storage, appliances=dict(world.treats)), 20
    )
    return (success.text(), failures[0].text()) if failures and success.success else None


def _rulebook(corpus: Corpus, place: Household) -> Rulebook:
    """Return a rulebook with some random, correct rules of the world."""
    rules = world_rules(place.world.keeps, place.world.treats)
    sample = corpus.rng.sample(rules, corpus.rng.choice((0, 1, 3, 5)))
    rulebook = Rulebook()
    for number, text in enumerate(sample, 1):
        rulebook = rulebook.apply(parse_operations(f"ADD {number}: {text}").operations).rulebook
    return rulebook


def _true(place: Household, text: str) -> bool:
    """Return whether a rule of the model states a convention of the world."""
    world = place.world
    storage_rules = {kept_rule(category, kind) for category, kind in world.keeps.items()}
    return text in storage_rules | {works_rule(verb, kind) for verb, kind in world.treats.items()}


async def experts(figures: Figures) -> None:
    """Write the section on the scripted expert that knows nothing, or everything."""
    figures.say("", "## The scripted expert", "")
    figures.say("One trial within the step limit, in %, on household test tasks of both worlds.")
    rows = []
    for size in SIZES:
        counts = [0, 0]
        total = 0
        for world in WORLDS:
            place = Household(world, size)
            for task in place.tasks("test", figures.tasks // 2):
                limit = place.step_limit(task)
                levels = (Knowledge(), everything(place, place.reset(task)))
                for column, knowledge in enumerate(levels):
                    counts[column] += steps_needed(place.reset(task), knowledge) <= limit
                total += 1
        rows.append([f"{size} ({total} tasks)", *(percent(rate(count, total)) for count in counts)])
    figures.table(["rooms", "knows nothing", "knows everything"], rows)


PARTS: Final[dict[str, Callable[[Figures], Awaitable[None]]]] = {
    "experts": experts,
    "learning": reflexion_curves,
    "knowledge": knowledge,
    "operations": operations,
    "rules": rules.rules,
    "flip": rules.flip,
}


async def _all(figures: Figures, parts: Sequence[str]) -> None:
    for name in parts:
        await PARTS[name](figures)


def main() -> None:
    """Measure, and write the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=240, help="household tasks for each room size")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--repeats", type=int, choices=range(3, 7), default=6, help="trials of household controls"
    )
    parser.add_argument(
        "--training", type=int, default=48, help="training tasks for learning rules"
    )
    parser.add_argument("--model", default=MODEL, help="the model in the world that flips")
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--runs", type=Path, default=Path("runs/figures"))
    parser.add_argument("--out", type=Path, help="also write the tables to this file")
    options = parser.parse_args()
    figures = Figures(
        options.runs,
        options.tasks,
        options.concurrency,
        options.repeats,
        options.training,
        options.model,
    )
    event_loop.run(_all(figures, options.only))
    if options.out:
        options.out.write_text("\n".join(figures.lines) + "\n")


if __name__ == "__main__":
    main()
