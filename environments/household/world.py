"""Worlds: the conventions of a household, fixed by a seed and different under another.

A world says where each category of things is kept and which appliance performs each
treatment. Nothing in an observation says so; it has to be found out.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from apprentice.environments.household.nouns import APPLIANCES, STORES, THINGS, TREATMENTS
from apprentice.state.errors import UnknownName
from apprentice.state.nouns import digest

# One thing in ten is not where its kind is kept.
STRAY: Final = 0.1


@dataclass(frozen=True)
class World:
    """The conventions of one household.

    Attributes:
        keeps: category of things -> kind of place where it is kept.
        treats: treatment -> the appliance that performs it.
    """

    name: str
    keeps: dict[str, str]
    treats: dict[str, str]


# What the real games do most often.
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

# Two worlds of opposite conventions, for evaluation alone.
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
    """Return a world by name: 'alfworld', 'north', 'south', or 'w' and a seed.

    A seeded world never has a named world's treatments, nor its place for more than half of
    the categories: what is learned in seeded worlds says nothing about the named ones.

    Raises:
        UnknownName: if the name is neither.
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
        drawn = World(name, keeps, treats)
        if not any(_resembles(drawn, named) for named in NAMED.values()):
            return drawn
    raise AssertionError("no world of this seed differs from the named ones")


def _resembles(drawn: World, named: World) -> bool:
    same = sum(drawn.keeps[category] == place for category, place in named.keeps.items())
    return drawn.treats == named.treats or same > len(THINGS) // 2
