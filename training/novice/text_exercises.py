"""Exercises in writing: reflections, plans and rule operations, each from transcripts."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Final

from apprentice.environments.household.expert import (
    UNKNOWN_APPLIANCE,
    UNKNOWN_PLACE,
    Knowledge,
    Memory,
    appliance_rule,
    storage_rule,
)
from apprentice.environments.household.vocabulary import (
    APPLIANCES,
    CATEGORY,
    PLACES,
    THINGS,
    TREATMENTS,
)
from apprentice.environments.household.world import World
from apprentice.state import prompts
from apprentice.training.novice.player import (
    Episode,
    Player,
    by_noun,
    category_test,
    room_knowledge,
    world_knowledge,
)
from apprentice.training.novice.wordings import kept_rule, reflection, works_rule
from apprentice.training.scratch.samples import Part


def write_plan(player: Player) -> tuple[Part, ...] | None:
    """Write a plan for a task from a solved task of the same world."""
    game = player.game()
    case = player.success(game.world, category_test(game))
    if case is None:
        return None
    opening_text = game.first_observation().text
    return exercise(
        prompts.adapt_prompt(opening_text, case.text()), plan_from_case(opening_text, case)[0]
    )


def write_reflection(player: Player) -> tuple[Part, ...] | None:
    """Write a reflection on a failed attempt."""
    failures = player.failures(player.game(), player.rng.choice((1, 1, 2, 3)))
    if not failures:
        return None
    earlier = [reflection(room_knowledge(e)) for e in failures[:-1]]
    text = reflection(room_knowledge(failures[-1]))
    steps = len(failures[-1].turns)
    feedback = player.rng.choice(
        ("", f"Out of steps: all {steps} were used, and the task is not solved.")
    )
    return exercise(prompts.reflect_prompt(failures[-1].text(), earlier[-3:], feedback), text)


def write_rules(player: Player) -> tuple[Part, ...] | None:
    """Write rule operations from a success and a failure, or from several successes."""
    rng = player.rng
    game = player.game(size="tiny" if rng.random() < 0.6 else "small")
    home = game.world
    pair = rng.random() < 0.6
    failures: list[Episode] = []
    if pair:
        failures = player.failures(game, 1)
        if not failures:
            return None
        knowledge = room_knowledge(failures[0])
        if rng.random() < 0.6:
            knowledge = Knowledge(by_noun(home.keeps), appliances=dict(home.treats))
        episode = player.play(player.restart(game), knowledge, 20)
        successes = [episode] if episode.success else []
    else:
        episodes = [player.success(home, lambda _: True) for _ in range(rng.randint(2, 4))]
        successes = [episode for episode in episodes if episode is not None]
    if not successes:
        return None
    rules = sample_rules(player, home, _sample_conventions(player, [*successes, *failures[:1]]))
    lines = operations([*successes, *failures[:1]], rules)
    texts = [text for _, _, text in rules]
    full = rng.random() < 0.1 and bool(rules)
    if pair:
        request = prompts.critique_pair(texts, successes[0].text(), failures[0].text(), full=full)
    else:
        request = prompts.critique_successes(texts, [s.text() for s in successes], full=full)
    return exercise(request, "\n".join(lines))


def plan_from_case(opening_text: str, case: Episode) -> tuple[str, Knowledge]:
    """Return a plan for a new task, adapted from a solved one, and the knowledge in the plan."""
    memory = Memory.of(opening_text, ())
    if memory is None:
        return "", Knowledge()
    goal, knowledge = memory.goal, world_knowledge(case)
    category = CATEGORY[goal.thing]
    sentences = [f"I look for a {goal.thing}."]
    places, appliances = {}, {}
    if kind := knowledge.storage.get(goal.thing):
        places = dict.fromkeys(THINGS[CATEGORY[goal.thing]], kind)
        sentences.append(storage_rule(category, kind))
    else:
        sentences.append(storage_rule(category, UNKNOWN_PLACE))
    if goal.family in TREATMENTS:
        if kind := knowledge.appliances.get(goal.family):
            appliances = {goal.family: kind}
            sentences.append(appliance_rule(goal.family, kind))
        else:
            sentences.append(appliance_rule(goal.family, UNKNOWN_APPLIANCE))
    if goal.family == "light":
        sentences.append(f"Then use the {goal.target}.")
    else:
        sentences.append(f"Then put it in/on a {goal.target}.")
    return " ".join(sentences), Knowledge(places, appliances=appliances)


WRONG: Final = 0.15
OPERATIONS: Final = 4  # the most operations in one batch
Entry = tuple[str, str, str]  # a rule: what it is about, the kind of place or appliance, its text


def operations(episodes: Sequence[Episode], rules: Sequence[Entry]) -> list[str]:
    """Return the critic's lines for what the attempts show, given the rules in the prompt."""
    evidence: dict[str, str] = {}
    for episode in episodes:
        knowledge = world_knowledge(episode)
        evidence |= {
            CATEGORY[noun]: kind for noun, kind in knowledge.storage.items()
        } | knowledge.appliances
    return operations_on(evidence, rules)


def operations_on(evidence: Mapping[str, str], rules: Sequence[Entry]) -> list[str]:
    """Return the critic's lines: one for each rule, then one for each piece of evidence.

    Each operation follows the thought that justifies it. A small model finds the rule for a number
    far more easily than the number of a rule, so the lines go through the rules in order.
    """
    lines: list[str] = []
    rules_read: set[str] = set()
    for number, (about, kind, text) in enumerate(rules, 1):
        kind_shown = evidence.get(about)
        finding = f"Seen: {rule_on(about, kind_shown)}" if kind_shown else "Not seen."
        lines.append(f"think: {number}. {rule_on(about, kind)} {finding}")
        if kind_shown and about in rules_read:
            lines.append(f"REMOVE {number}: {text}")
        elif kind_shown:  # an EDIT that does not change the rule counts as an AGREE
            lines.append(f"EDIT {number}: {rule_on(about, kind_shown)}")
        rules_read.add(about)
    next_number = len(rules) + 1
    for about, kind in evidence.items():
        text = rule_on(about, kind)
        lines.append(f"think: {text[:-1]}: {'known' if about in rules_read else 'new'}.")
        if about not in rules_read:
            lines.append(f"ADD {next_number}: {text}")
            next_number += 1
    ends = [n for n, line in enumerate(lines, 1) if not line.startswith("think:")]
    return lines[: ends[OPERATIONS - 1]] if len(ends) >= OPERATIONS else lines


def placeholder(about: str) -> str:
    """Return the words for a kind of place or appliance that is unknown."""
    return UNKNOWN_APPLIANCE if about in TREATMENTS else UNKNOWN_PLACE


def rule_on(about: str, kind: str) -> str:
    """Return a convention as a rule, in the expert's words."""
    return appliance_rule(about, kind) if about in TREATMENTS else storage_rule(about, kind)


def rule_text(about: str, kind: str, rng: random.Random | None) -> str:
    """Return a convention as a rule, in a sampled wording; without `rng`, in the first one."""
    return (works_rule if about in TREATMENTS else kept_rule)(about, kind, rng)


def sample_rules(
    player: Player, home: World, about: Sequence[str], *, wrong: float = WRONG
) -> list[Entry]:
    """Sample the rules in the prompt: right ones, wrong ones and duplicates, or none.

    Args:
        player: the source of random numbers.
        home: the world whose conventions the right rules state.
        about: conventions that certainly have a rule.
        wrong: share of the rules that state something false.
    """
    rng = player.rng
    conventions = home.keeps | home.treats
    count = rng.choice((0, 0, 0, 1, 2, 3, 5, 8, 12, 16))
    names = {*rng.sample(list(conventions), count), *about}
    rules: list[Entry] = []
    for name in sorted(names):
        kind = conventions[name]
        if rng.random() < wrong:
            kind = rng.choice(APPLIANCES if name in TREATMENTS else list(PLACES))
        for _ in range(2 if rng.random() < 0.08 else 1):
            draw = None if rng.random() < 0.5 else rng
            rules.append((name, kind, rule_text(name, kind, draw)))
    rng.shuffle(rules)
    return rules


def _sample_conventions(player: Player, episodes: Sequence[Episode]) -> list[str]:
    """Sample about half of the conventions that the attempts show."""
    notes = [world_knowledge(episode) for episode in episodes]
    about = [name for each in notes for name in (*_categories(each), *each.appliances)]
    return [name for name in dict.fromkeys(about) if player.rng.random() < 0.5]


def _categories(knowledge: Knowledge) -> list[str]:
    return list(dict.fromkeys(CATEGORY[noun] for noun in knowledge.storage))


def exercise(request: Sequence[object], text: str) -> tuple[Part, ...]:
    """Return an exercise: the messages of the request, and the text that answers it."""
    parts = [
        Part("system" if message.type == "system" else "user", str(message.content), False)  # type: ignore[attr-defined]
        for message in request
    ]
    return (*parts, Part("assistant", text, True))
