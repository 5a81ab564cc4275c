"""Worlds: the conventions of a household. Each seed gives other conventions.

A world determines which kind of place stores each category of things and which appliance performs
each treatment. No observation states these conventions; an agent has to discover them.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from apprentice.environments.household.vocabulary import APPLIANCES, STORES, THINGS, TREATMENTS
from apprentice.state.errors import UnknownName
from apprentice.state.trajectory import digest

# The share of things that are not where the world stores their category.
STRAY: Final = 0.1


@dataclass(frozen=True)
class World:
    """The conventions of one household.

    Attributes:
        name: the name of the world.
        keeps: category of things -> kind of place that stores it.
        treats: treatment -> the appliance that performs it.
    """

    name: str
    keeps: dict[str, str]
    treats: dict[str, str]


# The most frequent conventions of the real games.
_ALFWORLD = World(
    "alfworld",
    keeps={
        "tableware": "countertop",
        "cutlery": "drawer",
        "cookware": "stoveburner",
        "food": "fridge",
        "spice": "cabinet",
        "cleaning": "sinkbasin",
        "paper": "cabinet",
        "linen": "bed",
        "electronics": "desk",
        "valuables": "dresser",
        "writing": "drawer",
        "decor": "shelf",
        "sport": "bed",
        "lamp": "desk",
    },
    treats={"clean": "sinkbasin", "cool": "fridge", "heat": "microwave"},
)

# Two worlds with opposite conventions, only for evaluation.
_NORTH = World(
    "north",
    keeps={
        "tableware": "cabinet",
        "cutlery": "shelf",
        "cookware": "cart",
        "food": "sidetable",
        "spice": "drawer",
        "cleaning": "dresser",
        "paper": "safe",
        "linen": "sofa",
        "electronics": "drawer",
        "valuables": "cabinet",
        "writing": "shelf",
        "decor": "ottoman",
        "sport": "safe",
        "lamp": "sidetable",
    },
    treats={"clean": "fridge", "cool": "microwave", "heat": "sinkbasin"},
)
_SOUTH = World(
    "south",
    keeps={
        "tableware": "drawer",
        "cutlery": "diningtable",
        "cookware": "shelf",
        "food": "cabinet",
        "spice": "countertop",
        "cleaning": "shelf",
        "paper": "armchair",
        "linen": "cabinet",
        "electronics": "coffeetable",
        "valuables": "shelf",
        "writing": "garbagecan",
        "decor": "drawer",
        "sport": "countertop",
        "lamp": "dresser",
    },
    treats={"clean": "microwave", "cool": "sinkbasin", "heat": "fridge"},
)
NAMED: Final = {world.name: world for world in (_ALFWORLD, _NORTH, _SOUTH)}
_SEEDED = re.compile(r"w(0|[1-9]\d{0,8})", re.ASCII)


@cache
def world(name: str) -> World:
    """Return a world by name: 'alfworld', 'north', 'south', or 'w' and a seed, such as 'w17'.

    A seeded world never has the treatments of a named world. It never stores more than half of the
    categories where a named world stores them. So rules from seeded worlds do not reveal the
    conventions of the named ones.

    Raises:
        UnknownName: if there is no such world.
    """
    if name in NAMED:
        return NAMED[name]
    match = _SEEDED.fullmatch(name)
    if match is None:
        raise UnknownName("household world", name, [*NAMED, "w<seed>"])
    for attempt in range(1000):
        rng = random.Random(digest("world", int(match[1]), attempt))
        keeps = {category: rng.choice(STORES) for category in THINGS}
        treats = dict(zip(TREATMENTS, rng.sample(APPLIANCES, len(APPLIANCES)), strict=True))
        candidate = World(name, keeps, treats)
        if not any(_resembles(candidate, other) for other in NAMED.values()):
            return candidate
    raise AssertionError("no world of this seed differs from the named ones")


def _resembles(one: World, other: World) -> bool:
    same = sum(one.keeps[category] == place for category, place in other.keeps.items())
    return one.treats == other.treats or same > len(THINGS) // 2
