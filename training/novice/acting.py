"""Exercises in acting: the expert's turns, with all kinds of things in view."""

from __future__ import annotations

import random

from apprentice.environments.household.expert import Knowledge, action_in, merge
from apprentice.environments.household.game import Game
from apprentice.environments.household.language import (
    kind_of,
    parse_command,
)
from apprentice.environments.household.nouns import CATEGORY, THINGS, TREATMENTS
from apprentice.state.prompts import Shown
from apprentice.training.novice.lessons import reflection, world_rules
from apprentice.training.novice.player import Episode, Player, akin, by_noun, lesson_of, shows
from apprentice.training.novice.writing import adapted
from apprentice.training.scratch.samples import Part


def plain(player: Player) -> tuple[Part, ...]:
    """Act with nothing in view."""
    return player.acted(player.game(), Shown(), Knowledge())


def told(player: Player) -> tuple[Part, ...]:
    """Act with a lesson that names places outright: the simplest lesson there is."""
    game = player.game()
    goal, things = game.room.goal, game.room.things
    found = {
        noun: tuple(place for thing, place in things.items() if kind_of(thing) == noun)[:2]
        for noun in ((goal.thing, goal.target) if goal.family == "light" else (goal.thing,))
    }
    works = {goal.family: game.world.treats[goal.family]} if goal.family in TREATMENTS else {}
    if works and player.rng.random() < 0.3:
        works = {}
    known = Knowledge(locations=found, appliances=works)
    return player.acted(game, Shown(reflections=(reflection(known, player.rng),)), known)


def reflected(player: Player) -> tuple[Part, ...] | None:
    """Act with up to three reflections of the agent's own failed attempts."""
    game = player.game()
    failed = player.failures(game, player.rng.randint(1, 3))[-3:]
    if not failed:
        return None
    lessons = [lesson_of(episode) for episode in failed]
    own = player.rng.random() < 0.4
    texts = [reflection(lesson, None if own else player.rng) for lesson in lessons]
    shown = Shown(reflections=texts)
    if player.rng.random() < 0.12:
        shown = Shown(reflections=texts, last_attempt=(failed[-1].text(),))
    return player.acted(game, shown, merge(lessons))


def last_attempt(player: Player) -> tuple[Part, ...] | None:
    """Act with the whole of the last failed attempt in view."""
    game = player.game()
    failed = player.failures(game, 1)
    if not failed:
        return None
    known = lesson_of(failed[0])
    return player.acted(game, Shown(last_attempt=(failed[0].text(),)), known)


def others(player: Player) -> tuple[Part, ...] | None:
    """Act with reflections of another task: they say nothing about this one."""
    game, other = player.game(), player.game()
    if game.room.goal.thing == other.room.goal.thing or {
        game.room.goal.family,
        other.room.goal.family,
    } & {*TREATMENTS, "light"}:
        return None
    failed = player.failures(other, player.rng.randint(1, 2))
    texts = [reflection(lesson_of(e), player.rng) for e in failed]
    return player.acted(game, Shown(reflections=texts), Knowledge()) if texts else None


def similar(player: Player) -> tuple[Part, ...] | None:
    """Act with lessons of similar tasks in view: other rooms, the same world.

    They tell kinds of places, not places; those of another kind of thing tell nothing.
    """
    game = player.game()
    wanted = akin(game) if player.rng.random() < 0.7 else lambda _: True
    known, texts = Knowledge(), []
    for _ in range(20):
        other = player.game(game.world, "tiny")
        if not wanted(other):
            continue
        lesson = lesson_of(player.play(other, Knowledge(), 8))
        if text := reflection(lesson, player.rng):
            kinds = {
                kin: kind_of(places[0])
                for noun, places in lesson.locations.items()
                for kin in THINGS[CATEGORY[noun]]
            }
            known = merge([known, Knowledge(kinds, appliances=lesson.appliances)])
            texts.append(text)
        if len(texts) == 2:
            break
    return player.acted(game, Shown(similar_reflections=texts), known) if texts else None


def ruled(player: Player) -> tuple[Part, ...]:
    """Act with rules in view, relevant and irrelevant ones."""
    game = player.game()
    home, rng = game.world, player.rng
    keeps, treats = _some(rng, home.keeps), _some(rng, home.treats)
    goal = game.room.goal
    if rng.random() < 0.75:
        keeps[CATEGORY[goal.thing]] = home.keeps[CATEGORY[goal.thing]]
    if goal.family in TREATMENTS and rng.random() < 0.75:
        treats[goal.family] = home.treats[goal.family]
    rules = world_rules(keeps, treats, None if rng.random() < 0.3 else rng)
    rng.shuffle(rules)
    known = Knowledge(by_noun(keeps), appliances=treats)
    shown = Shown(rules=rules)
    if rng.random() < 0.2 and (failed := player.failures(game, 1)):
        lesson = lesson_of(failed[0])
        shown = Shown(rules=rules, reflections=(reflection(lesson, rng),))
        known = merge([known, lesson])
    return player.acted(game, shown, known)


def exampled(player: Player) -> tuple[Part, ...] | None:
    """Act with solved tasks in view: relevant ones tell, irrelevant ones must not."""
    game = player.game(size="small" if player.rng.random() < 0.7 else None)
    goal = game.room.goal
    category = CATEGORY[goal.thing]

    def same(other: Game) -> bool:
        return CATEGORY[other.room.goal.thing] == category

    def alike(other: Game) -> bool:
        return same(other) and other.room.goal.family == goal.family

    def unlike(other: Game) -> bool:
        return not same(other) and other.room.goal.family not in TREATMENTS

    def treated(other: Game) -> bool:
        return other.room.goal.family == goal.family

    count = player.rng.choices((1, 2, 3), (4, 3, 4))[0]
    wanted = player.rng.choices([same, alike, treated, unlike], [3, 2, 2, 4], k=count)
    cases = [player.success(game.world, want) for want in wanted]
    episodes = [case for case in cases if case is not None]
    if not episodes:
        return None
    known = merge([shows(case) for case in episodes])
    texts = tuple(case.text() for case in episodes)
    if player.rng.random() < 0.2:
        shown = Shown(steps=tuple(_moment(case) for case in episodes))
    else:
        shown = Shown(exemplars=texts)
    return player.acted(game, shown, known)


def warned(player: Player) -> tuple[Part, ...] | None:
    """Act with other tasks' failures in view, marked as such: they must not mislead."""
    game = player.game()
    failed = player.failures(player.game(game.world, "tiny"), 1)
    if not failed:
        return None
    return player.acted(game, Shown(failures=(failed[0].text(),)), Knowledge())


def planned(player: Player) -> tuple[Part, ...] | None:
    """Act on a plan that was adapted from a similar case."""
    game = player.game()
    case = player.success(game.world, akin(game))
    if case is None:
        return None
    plan, known = adapted(game.first_observation().text, case)
    return player.acted(game, Shown(plan=(plan,)), known)


def _moment(episode: Episode) -> str:
    """Cut the moment of the find, or of the treatment, out of a solved task."""
    for number, turn in enumerate(episode.turns):
        command = parse_command(action_in(turn.text))
        if command is not None and command.verb == "take" and number:
            lines = "\n".join(f"> {line}" for line in turn.text.splitlines())
            return f"{episode.turns[number - 1].observation}\n{lines}\n{turn.observation}"
    return episode.turns[-1].observation


def _some(rng: random.Random, conventions: dict[str, str]) -> dict[str, str]:
    names = rng.sample(list(conventions), rng.randint(0, len(conventions)))
    return {name: conventions[name] for name in names}
