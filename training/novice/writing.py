"""Exercises in writing: reflections, adapted plans and rule operations, from transcripts."""

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
from apprentice.environments.household.nouns import APPLIANCES, CATEGORY, PLACES, THINGS, TREATMENTS
from apprentice.environments.household.world import World
from apprentice.state import prompts
from apprentice.training.novice.lessons import kept_rule, reflection, works_rule
from apprentice.training.novice.player import Episode, Player, akin, by_noun, lesson_of, shows
from apprentice.training.scratch.samples import Part


def adapting(player: Player) -> tuple[Part, ...] | None:
    """Write a plan for a task from a solved case of the same world."""
    game = player.game()
    case = player.success(game.world, akin(game))
    if case is None:
        return None
    opening = game.first_observation().text
    return written(prompts.adapt_prompt(opening, case.text()), adapted(opening, case)[0])


def reflecting(player: Player) -> tuple[Part, ...] | None:
    """Write a reflection on a failed attempt."""
    failed = player.failures(player.game(), player.rng.choice((1, 1, 2, 3)))
    if not failed:
        return None
    earlier = [reflection(lesson_of(e)) for e in failed[:-1]]
    text = reflection(lesson_of(failed[-1]))
    steps = len(failed[-1].turns)
    feedback = player.rng.choice(
        ("", f"Out of steps: all {steps} were used, and the task is not solved.")
    )
    return written(prompts.reflect_prompt(failed[-1].text(), earlier[-3:], feedback), text)


def critic(player: Player) -> tuple[Part, ...] | None:
    """Write rule operations from a success and a failure, or from several successes."""
    rng = player.rng
    game = player.game(size="tiny" if rng.random() < 0.6 else "small")
    home = game.world
    pair = rng.random() < 0.6
    failed: list[Episode] = []
    if pair:
        failed = player.failures(game, 1)
        if not failed:
            return None
        known = lesson_of(failed[0])
        if rng.random() < 0.6:
            known = Knowledge(by_noun(home.keeps), appliances=dict(home.treats))
        won = player.play(player.again(game), known, 20)
        successes = [won] if won.solved else []
    else:
        drawn = [player.success(home, lambda _: True) for _ in range(rng.randint(2, 4))]
        successes = [episode for episode in drawn if episode is not None]
    if not successes:
        return None
    book = book_of(player, home, _shown(player, [*successes, *failed[:1]]))
    lines = operations([*successes, *failed[:1]], book)
    texts = [text for _, _, text in book]
    full = rng.random() < 0.1 and bool(book)
    if pair:
        asked = prompts.critique_pair(texts, successes[0].text(), failed[0].text(), full=full)
    else:
        asked = prompts.critique_successes(texts, [s.text() for s in successes], full=full)
    return written(asked, "\n".join(lines))


def adapted(opening: str, case: Episode) -> tuple[str, Knowledge]:
    """Word a plan for a new task from a solved case; return it and what it tells."""
    memory = Memory.of(opening, ())
    if memory is None:
        return "", Knowledge()
    goal, lesson = memory.goal, shows(case)
    category = CATEGORY[goal.thing]
    says = [f"I look for a {goal.thing}."]
    kept, works = {}, {}
    if kind := lesson.storage.get(goal.thing):
        kept = dict.fromkeys(THINGS[CATEGORY[goal.thing]], kind)
        says.append(storage_rule(category, kind))
    else:
        says.append(storage_rule(category, UNKNOWN_PLACE))
    if goal.family in TREATMENTS:
        if kind := lesson.appliances.get(goal.family):
            works = {goal.family: kind}
            says.append(appliance_rule(goal.family, kind))
        else:
            says.append(appliance_rule(goal.family, UNKNOWN_APPLIANCE))
    if goal.family == "light":
        says.append(f"Then use the {goal.target}.")
    else:
        says.append(f"Then put it in/on a {goal.target}.")
    return " ".join(says), Knowledge(kept, appliances=works)


WRONG: Final = 0.15
OPERATIONS: Final = 4  # a batch, at most
Entry = tuple[str, str, str]  # what the rule is about, the kind of place, its text


def operations(episodes: Sequence[Episode], book: Sequence[Entry]) -> list[str]:
    """Return what attempts support, given the rules in view."""
    evidence: dict[str, str] = {}
    for episode in episodes:
        lesson = shows(episode)
        evidence |= {
            CATEGORY[noun]: kind for noun, kind in lesson.storage.items()
        } | lesson.appliances
    return criticised(evidence, book)


def criticised(evidence: Mapping[str, str], book: Sequence[Entry]) -> list[str]:
    """Go through the rules, then through the evidence; an operation follows what calls for it.

    A small model finds the rule of a number far more easily than the number of a rule.
    """
    lines: list[str] = []
    passed: set[str] = set()
    for number, (about, kind, text) in enumerate(book, 1):
        shown = evidence.get(about)
        seen = f"Seen: {rule_on(about, shown)}" if shown else "Not seen."
        lines.append(f"think: {number}. {rule_on(about, kind)} {seen}")
        if shown and about in passed:
            lines.append(f"REMOVE {number}: {text}")
        elif shown:  # to what the rule says already, that is an AGREE
            lines.append(f"EDIT {number}: {rule_on(about, shown)}")
        passed.add(about)
    following = len(book) + 1
    for about, kind in evidence.items():
        text = rule_on(about, kind)
        lines.append(f"think: {text[:-1]}: {'known' if about in passed else 'new'}.")
        if about not in passed:
            lines.append(f"ADD {following}: {text}")
            following += 1
    ends = [n for n, line in enumerate(lines, 1) if not line.startswith("think:")]
    return lines[: ends[OPERATIONS - 1]] if len(ends) >= OPERATIONS else lines


def unknown(about: str) -> str:
    """Return what stands for the kind of place or appliance that nothing tells."""
    return UNKNOWN_APPLIANCE if about in TREATMENTS else UNKNOWN_PLACE


def rule_on(about: str, kind: str) -> str:
    """Word a convention as a rule."""
    return appliance_rule(about, kind) if about in TREATMENTS else storage_rule(about, kind)


def worded(about: str, kind: str, rng: random.Random | None) -> str:
    """Word a convention as a rule in one of the wordings, or as the model itself does."""
    return (works_rule if about in TREATMENTS else kept_rule)(about, kind, rng)


def book_of(
    player: Player, home: World, about: Sequence[str], *, wrong: float = WRONG
) -> list[Entry]:
    """Draw the rules in view: none, others, right ones, wrong ones and duplicates.

    Args:
        player: draws.
        home: the world whose conventions the right ones state.
        about: conventions that are among the rules in any case.
        wrong: share of the rules that state something else.
    """
    rng = player.rng
    conventions = home.keeps | home.treats
    count = rng.choice((0, 0, 0, 1, 2, 3, 5, 8, 12, 16))
    names = {*rng.sample(list(conventions), count), *about}
    book: list[Entry] = []
    for name in sorted(names):
        kind = conventions[name]
        if rng.random() < wrong:
            kind = rng.choice(APPLIANCES if name in TREATMENTS else list(PLACES))
        for _ in range(2 if rng.random() < 0.08 else 1):
            draw = None if rng.random() < 0.5 else rng
            book.append((name, kind, worded(name, kind, draw)))
    rng.shuffle(book)
    return book


def _shown(player: Player, episodes: Sequence[Episode]) -> list[str]:
    """Return half of the conventions that attempts show."""
    lessons = [shows(episode) for episode in episodes]
    about = [name for each in lessons for name in (*_categories(each), *each.appliances)]
    return [name for name in dict.fromkeys(about) if player.rng.random() < 0.5]


def _categories(lesson: Knowledge) -> list[str]:
    return list(dict.fromkeys(CATEGORY[noun] for noun in lesson.storage))


def written(asked: Sequence[object], text: str) -> tuple[Part, ...]:
    """Return an exercise: what is asked, and the text that answers it."""
    parts = [
        Part("system" if message.type == "system" else "user", str(message.content), False)  # type: ignore[attr-defined]
        for message in asked
    ]
    return (*parts, Part("assistant", text, True))
