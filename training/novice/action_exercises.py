"""Exercises in acting: the expert's turns, with different kinds of help in the prompt."""

from __future__ import annotations

import random

from apprentice.environments.household.expert import Knowledge, action_in, merge
from apprentice.environments.household.game import Game
from apprentice.environments.household.language import (
    kind_of,
    parse_command,
)
from apprentice.environments.household.vocabulary import CATEGORY, THINGS, TREATMENTS
from apprentice.state.prompts import Shown
from apprentice.training.novice.player import (
    Episode,
    Player,
    by_noun,
    category_test,
    room_knowledge,
    world_knowledge,
)
from apprentice.training.novice.text_exercises import plan_from_case
from apprentice.training.novice.wordings import reflection, world_rules
from apprentice.training.scratch.samples import Part


def act_without_help(player: Player) -> tuple[Part, ...]:
    """Act with no help in the prompt."""
    return player.act(player.game(), Shown(), Knowledge())


def act_with_lesson(player: Player) -> tuple[Part, ...]:
    """Act with a lesson that names the right places. This is the simplest lesson."""
    game = player.game()
    goal, things = game.room.goal, game.room.things
    locations = {
        noun: tuple(place for thing, place in things.items() if kind_of(thing) == noun)[:2]
        for noun in ((goal.thing, goal.target) if goal.family == "light" else (goal.thing,))
    }
    appliances = {goal.family: game.world.treats[goal.family]} if goal.family in TREATMENTS else {}
    if appliances and player.rng.random() < 0.3:
        appliances = {}
    knowledge = Knowledge(locations=locations, appliances=appliances)
    return player.act(game, Shown(reflections=(reflection(knowledge, player.rng),)), knowledge)


def act_with_reflections(player: Player) -> tuple[Part, ...] | None:
    """Act with up to three reflections on the agent's own failed attempts."""
    game = player.game()
    failures = player.failures(game, player.rng.randint(1, 3))[-3:]
    if not failures:
        return None
    notes = [room_knowledge(episode) for episode in failures]
    first_wording = player.rng.random() < 0.4
    texts = [reflection(note, None if first_wording else player.rng) for note in notes]
    view = Shown(reflections=texts)
    if player.rng.random() < 0.12:
        view = Shown(reflections=texts, last_attempt=(failures[-1].text(),))
    return player.act(game, view, merge(notes))


def act_with_last_attempt(player: Player) -> tuple[Part, ...] | None:
    """Act with the transcript of the last failed attempt in the prompt."""
    game = player.game()
    failures = player.failures(game, 1)
    if not failures:
        return None
    knowledge = room_knowledge(failures[0])
    return player.act(game, Shown(last_attempt=(failures[0].text(),)), knowledge)


def act_with_unrelated_reflections(player: Player) -> tuple[Part, ...] | None:
    """Act with reflections on another task, which do not help with this one."""
    game, other = player.game(), player.game()
    if game.room.goal.thing == other.room.goal.thing or {
        game.room.goal.family,
        other.room.goal.family,
    } & {*TREATMENTS, "light"}:
        return None
    failures = player.failures(other, player.rng.randint(1, 2))
    texts = [reflection(room_knowledge(e), player.rng) for e in failures]
    return player.act(game, Shown(reflections=texts), Knowledge()) if texts else None


def act_with_similar_reflections(player: Player) -> tuple[Part, ...] | None:
    """Act with reflections on similar tasks, from other rooms of the same world.

    Such a reflection tells the kind of place, not the exact place. A reflection about another
    kind of thing does not help.
    """
    game = player.game()
    is_similar = category_test(game) if player.rng.random() < 0.7 else lambda _: True
    knowledge, texts = Knowledge(), []
    for _ in range(20):
        other = player.game(game.world, "tiny")
        if not is_similar(other):
            continue
        note = room_knowledge(player.play(other, Knowledge(), 8))
        if text := reflection(note, player.rng):
            kinds = {
                kin: kind_of(places[0])
                for noun, places in note.locations.items()
                for kin in THINGS[CATEGORY[noun]]
            }
            knowledge = merge([knowledge, Knowledge(kinds, appliances=note.appliances)])
            texts.append(text)
        if len(texts) == 2:
            break
    return player.act(game, Shown(similar_reflections=texts), knowledge) if texts else None


def act_with_rules(player: Player) -> tuple[Part, ...]:
    """Act with relevant and irrelevant rules in the prompt."""
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
    knowledge = Knowledge(by_noun(keeps), appliances=treats)
    view = Shown(rules=rules)
    if rng.random() < 0.2 and (failures := player.failures(game, 1)):
        note = room_knowledge(failures[0])
        view = Shown(rules=rules, reflections=(reflection(note, rng),))
        knowledge = merge([knowledge, note])
    return player.act(game, view, knowledge)


def act_with_exemplars(player: Player) -> tuple[Part, ...] | None:
    """Act with solved tasks in the prompt; only relevant ones may change what the agent does."""
    game = player.game(size="small" if player.rng.random() < 0.7 else None)
    goal = game.room.goal
    category = CATEGORY[goal.thing]

    def same_category(other: Game) -> bool:
        return CATEGORY[other.room.goal.thing] == category

    def same_kind(other: Game) -> bool:
        return same_category(other) and other.room.goal.family == goal.family

    def other_category(other: Game) -> bool:
        return not same_category(other) and other.room.goal.family not in TREATMENTS

    def same_treatment(other: Game) -> bool:
        return other.room.goal.family == goal.family

    number = player.rng.choices((1, 2, 3), (4, 3, 4))[0]
    tests = player.rng.choices(
        [same_category, same_kind, same_treatment, other_category], [3, 2, 2, 4], k=number
    )
    attempts = [player.success(game.world, test) for test in tests]
    episodes = [attempt for attempt in attempts if attempt is not None]
    if not episodes:
        return None
    knowledge = merge([world_knowledge(attempt) for attempt in episodes])
    texts = tuple(attempt.text() for attempt in episodes)
    if player.rng.random() < 0.2:
        view = Shown(steps=tuple(_decisive_step(attempt) for attempt in episodes))
    else:
        view = Shown(exemplars=texts)
    return player.act(game, view, knowledge)


def act_with_failures(player: Player) -> tuple[Part, ...] | None:
    """Act with failures of other tasks in the prompt. They are marked and must not mislead."""
    game = player.game()
    failures = player.failures(player.game(game.world, "tiny"), 1)
    if not failures:
        return None
    return player.act(game, Shown(failures=(failures[0].text(),)), Knowledge())


def act_with_plan(player: Player) -> tuple[Part, ...] | None:
    """Act on a plan that was adapted from a similar solved task."""
    game = player.game()
    case = player.success(game.world, category_test(game))
    if case is None:
        return None
    plan, knowledge = plan_from_case(game.first_observation().text, case)
    return player.act(game, Shown(plan=(plan,)), knowledge)


def _decisive_step(episode: Episode) -> str:
    """Return the step of a solved task in which the agent takes the thing, as text."""
    for number, turn in enumerate(episode.turns):
        command = parse_command(action_in(turn.text))
        if command is not None and command.verb == "take" and number:
            lines = "\n".join(f"> {line}" for line in turn.text.splitlines())
            return f"{episode.turns[number - 1].observation}\n{lines}\n{turn.observation}"
    return episode.turns[-1].observation


def _some(rng: random.Random, conventions: dict[str, str]) -> dict[str, str]:
    names = rng.sample(list(conventions), rng.randint(0, len(conventions)))
    return {name: conventions[name] for name in names}
