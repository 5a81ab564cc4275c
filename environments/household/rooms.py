"""Rooms generated from a task's id: the same id always gives the same room."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from apprentice.environments.household.language import SENTENCES, Goal, kind_of
from apprentice.environments.household.vocabulary import (
    APPLIANCES,
    CATEGORY,
    FAMILIES,
    PLACES,
    STORES,
    THINGS,
    TREATABLE,
)
from apprentice.environments.household.world import STRAY, World
from apprentice.state.trajectory import digest

SIZES: Final = {"small": (4, 8), "medium": (9, 13), "full": (14, 28)}
EXERCISE: Final = {"tiny": (2, 4)}  # only for the training of the embedded model
# A hash assigns each goal pair (thing, target) to a split: six, two and two tenths of them.
SPLITS: Final = {"train": range(6), "validation": range(6, 8), "test": range(8, 10)}
_LAMPS: Final = THINGS["lamp"]
_DOOR_SHARE: Final = 0.85  # of the places whose kind usually has a door


@dataclass(frozen=True)
class Room:
    """A room before the first action.

    Attributes:
        goal: the goal of the task.
        sentence: the task sentence.
        places: place -> whether it has a door; if so, the door is closed.
        things: thing -> the place where it is.
        spots: place -> another place that shares its spot. As in the real games, an agent at
            one of them is at both, and going to the other has no effect.
    """

    goal: Goal
    sentence: str
    places: dict[str, bool]
    things: dict[str, str]
    spots: dict[str, str] = field(default_factory=dict)


class _Pair(NamedTuple):
    thing: str
    target: str


def split_of(thing: str, target: str) -> str:
    """Return the split of a goal pair; it is the same in every world."""
    tenth = int(digest("pair", thing, target), 16) % 10
    return next(name for name, tenths in SPLITS.items() if tenth in tenths)


def family_of(index: int) -> str:
    """Return the family of the task with an index; the families take turns."""
    return FAMILIES[index % len(FAMILIES)]


def generate(world: World, size: str, split: str, index: int) -> Room:
    """Build the room and the goal of one task."""
    rng = random.Random(digest("room", world.name, size, split, index))
    family = family_of(index)
    goal = _goal(rng, world, family, split)
    places = _places(rng, world, goal, size)
    things = _things(rng, world, goal, places)
    sentence = rng.choice(SENTENCES[family]).format(thing=goal.thing, target=goal.target)
    doors = {place: PLACES[kind_of(place)] and rng.random() < _DOOR_SHARE for place in places}
    return Room(goal, sentence, doors, things, _spots(rng, places))


def _goal(rng: random.Random, world: World, family: str, split: str) -> Goal:
    categories = TREATABLE.get(family) or tuple(c for c in THINGS if c != "lamp")
    while True:
        thing = rng.choice(THINGS[rng.choice(categories)])
        target = rng.choice(_LAMPS if family == "light" else STORES)
        at_home = target == world.keeps[CATEGORY[thing]]
        if not at_home and split_of(thing, target) == split:
            return Goal(family, thing, target)


def _places(rng: random.Random, world: World, goal: Goal, size: str) -> list[str]:
    """Sample the places: those that the goal needs, then others, some kinds several times."""
    low, high = (SIZES | EXERCISE)[size]
    total = rng.randint(low, high)
    kinds = [world.keeps[CATEGORY[goal.thing]]]
    kinds.append(world.keeps["lamp"] if goal.family == "light" else goal.target)
    if goal.family in TREATABLE:
        kinds.extend(APPLIANCES)
    kinds = list(dict.fromkeys(kinds))
    variety = max(len(kinds), round(total * rng.uniform(0.35, 0.75)))
    others = [kind for kind in PLACES if kind not in kinds]
    kinds += rng.sample(others, min(len(others), variety - len(kinds)))
    counts = dict.fromkeys(kinds, 1)
    single = {"fridge", "microwave", "sinkbasin", "coffeemachine", "toaster"}
    many = [kind for kind in kinds if kind not in single] or kinds
    for _ in range(total - len(kinds)):
        counts[rng.choice(many)] += 1
    return [f"{kind} {number}" for kind, count in counts.items() for number in range(1, count + 1)]


def _things(rng: random.Random, world: World, goal: Goal, places: list[str]) -> dict[str, str]:
    """Place the things: those that the goal needs, never at its target, then clutter."""
    count = 2 + (rng.random() < 0.3) if goal.family == "two" else 1 + (rng.random() < 0.2)
    things: dict[str, str] = {}
    away = [place for place in places if kind_of(place) != goal.target]
    for number in range(1, count + 1):
        things[f"{goal.thing} {number}"] = _spot(rng, world, goal.thing, away)
    if goal.family == "light":
        things[f"{goal.target} 1"] = _spot(rng, world, goal.target, places)
    clutter = [t for c in THINGS.values() for t in c if t != goal.thing and t not in _LAMPS]
    for noun in rng.sample(clutter, min(len(clutter), round(len(places) * rng.uniform(0.7, 1.2)))):
        for number in range(1, rng.choice((1, 1, 2, 3)) + 1):
            things[f"{noun} {number}"] = _spot(rng, world, noun, places)
    return things


def _spots(rng: random.Random, places: list[str]) -> dict[str, str]:
    """Let some neighbouring places of one kind share a spot, as in the real games."""
    twins = [(one, two) for one, two in pairwise(places) if kind_of(one) == kind_of(two)]
    spots: dict[str, str] = {}
    for one, two in rng.sample(twins, min(len(twins), rng.choice((0, 0, 1, 2)))):
        if not {one, two} & {*spots, *spots.values()}:
            spots[two] = one
    return spots


def _spot(rng: random.Random, world: World, thing: str, places: list[str]) -> str:
    home = [place for place in places if kind_of(place) == world.keeps[CATEGORY[thing]]]
    return rng.choice(home if home and rng.random() >= STRAY else places)
