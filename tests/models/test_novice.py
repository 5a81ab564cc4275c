"""The shipped novice: its size and prompts, and that it writes what it has seen."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from langchain_core.messages import AnyMessage

from apprentice import models
from apprentice.environments.household.environment import Household
from apprentice.environments.household.expert import Knowledge
from apprentice.environments.household.language import kind_of
from apprentice.environments.household.vocabulary import CATEGORY, PLACES
from apprentice.environments.household.world import World
from apprentice.graphs import episode, reflexion
from apprentice.state import prompts
from apprentice.state.context import Context
from apprentice.state.prompts import Shown
from apprentice.state.rulebook import parse_operations
from apprentice.training.novice.corpus import Corpus
from apprentice.training.novice.player import Episode
from apprentice.training.novice.wordings import kept_rule, world_rules
from tests.served import SHIPPED

WEIGHTS = Path(models.__file__).parent / "novice" / "weights"


def facts() -> dict[str, Any]:
    """Return the record of the training."""
    found: dict[str, Any] = json.loads((WEIGHTS / "training.json").read_text())
    return found


def test_the_weights_are_small_and_plainly_llama() -> None:
    assert sum(file.stat().st_size for file in WEIGHTS.iterdir()) <= 15_000_000
    assert 2_000_000 <= facts()["parameters"] <= 4_000_000
    assert json.loads((WEIGHTS / "config.json").read_text())["architectures"] == [
        "LlamaForCausalLM"
    ]


def test_every_prompt_is_one_it_was_trained_on() -> None:
    assert facts()["prompts"] == prompts.fingerprints(), "retrain the novice, or restore the prompt"


def answers(asked: Sequence[Sequence[AnyMessage]]) -> list[str]:
    """Ask the model all questions concurrently."""
    model = SHIPPED.chat("local:novice", max_tokens=200)

    async def every() -> list[str]:
        return [m.text for m in await asyncio.gather(*(model.ainvoke(list(q)) for q in asked))]

    return asyncio.run(every())


def failures(count: int) -> list[Episode]:
    """Return failed attempts in an unseen world in which the agent saw the object."""
    corpus = Corpus(21, {"small": 1.0}, {}, rename=0.0)
    home = Household("south", "small").world
    found: list[Episode] = []
    while len(found) < count:
        for attempt in corpus.failures(corpus.game(home), 1):
            if any("You pick up the" in turn.observation for turn in attempt.turns):
                found.append(attempt)
    return found


def test_a_reflection_names_the_place_of_the_object() -> None:
    """If the place of the object gets another name, the reflection names it too."""
    told = 0
    attempts = failures(12)
    spots: list[tuple[str, str]] = []
    asked: list[list[AnyMessage]] = []
    for attempt in attempts:
        line = next(t.observation for t in attempt.turns if "You pick up the" in t.observation)
        spot = line.partition(" from the ")[2].rstrip(".")
        # Rooms number a kind of place from 1, so what is moved goes to one that is not there yet.
        moved = next(f"{kind} 1" for kind in PLACES if f" {kind} " not in attempt.opening)
        spots += [(spot, moved), (moved, spot)]
        asked.append(prompts.reflect_prompt(attempt.text()))
        asked.append(prompts.reflect_prompt(attempt.text().replace(spot, moved)))
    for (right, wrong), text in zip(spots, answers(asked), strict=True):
        told += right in text and wrong not in text
    assert told / len(asked) >= 0.8


def test_its_rules_follow_the_conventions_of_the_world() -> None:
    """If objects are kept in another kind of place, the rule names that kind."""
    corpus = Corpus(22, {"small": 1.0}, {}, rename=0.0)
    north, south = (Household(name, "small").world for name in ("north", "south"))
    right = swapped = total = 0
    for home, other in ((north, south), (south, north)):
        wins = list(islice(_wins(corpus, home), 10))
        asked = [prompts.critique_successes((), [win.text()]) for win in wins]
        for win, text in zip(wins, answers(asked), strict=True):
            noun = kind_of(next(t.observation for t in win.turns if "pick up" in t.observation)
                           .partition("You pick up the ")[2].partition(" from")[0])  # fmt: skip
            category = CATEGORY[noun]
            rules = [operation.text for operation in parse_operations(text).operations]
            total += 1
            right += kept_rule(category, home.keeps[category]) in rules
            swapped += kept_rule(category, other.keeps[category]) in rules
    assert right / total >= 0.8
    assert swapped / total <= 0.1


def _wins(corpus: Corpus, home: World) -> Iterator[Episode]:
    while True:
        game = corpus.game(home, "small")
        spot = game.room.things.get(f"{game.room.goal.thing} 1", "")
        if kind_of(spot) == home.keeps[CATEGORY[game.room.goal.thing]]:
            kept = {noun: home.keeps[category] for noun, category in CATEGORY.items()}
            win = corpus.play(game, Knowledge(kept, appliances=dict(home.treats)), 20)
            if win.success:
                yield win


def solved(environment: str, count: int, trials: int, shown: Shown | None = None) -> float:
    """Return the share of test tasks solved, by reflexion or (one trial) with something shown."""
    tasks = Household(*environment.split("/")[1:]).tasks("test", count)
    context = Context(max_trials=trials, model="local:novice")

    async def every() -> list[bool]:
        runs = [
            reflexion.graph.ainvoke({"task": task}, context=context)
            if shown is None
            else episode.graph.ainvoke({"task": task, "shown": shown}, context=context)
            for task in tasks
        ]
        return [bool(ended["verdict"].success) for ended in await asyncio.gather(*runs)]

    outcome = asyncio.run(every())
    return sum(outcome) / len(outcome)


def test_it_fails_without_knowledge_and_learns_from_its_own_reflections() -> None:
    blind = solved("household/north/small", 24, trials=1)
    taught = solved("household/north/small", 24, trials=4)
    assert 0.2 <= blind <= 0.65
    assert taught >= blind + 0.2


def test_a_reflection_on_another_task_does_not_help() -> None:
    blind = solved("household/north/small", 24, trials=1)
    lesson = Shown(reflections=("The vase is at garbagecan 9.",))
    assert solved("household/north/small", 24, 1, lesson) <= blind + 0.1


def test_it_follows_rules_in_unseen_wordings() -> None:
    home = Household("north", "small").world
    rules = world_rules(home.keeps, home.treats, Random(1), held_out=True)
    blind = solved("household/north/small", 24, trials=1)
    assert solved("household/north/small", 24, 1, Shown(rules=rules)) >= blind + 0.2
