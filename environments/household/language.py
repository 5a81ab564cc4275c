"""ALFWorld's language: the sentences of the household, and the functions that read them.

Each sentence is written and read in this module, because the expert, the corpus and the tests read
what the game writes. The real games have two wordings for one command: older game data has
`put X in/on Y`, newer data has `move X to Y`. The parser accepts both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

NOTHING: Final = "Nothing happens."
_ITEM = r"[a-z]+ \d+"
_SIGHT = re.compile(rf"(?:On|In) (?:the )?(?:({_ITEM})|it), you see (.+?)\.(?:\s|$)")
_ITEM_IN_LIST = re.compile(rf"\ba ({_ITEM})")
_CLOSED_PLACE = re.compile(rf"The ({_ITEM}) is closed\.")
_OPEN_PLACE = re.compile(rf"The ({_ITEM}) is open\.")
_ROOM = re.compile(r"Looking quickly around you, you see (.+?)\.")
_TASK = re.compile(r"Your task is to: (.+?)\.?\s*$", re.MULTILINE)


class Command(NamedTuple):
    """A command: its verb, the thing or place it acts on, and a second one if it names two."""

    verb: str
    first: str = ""
    second: str = ""


_COMMANDS: Final = (
    ("go", re.compile(rf"go to ({_ITEM})$")),
    ("take", re.compile(rf"take ({_ITEM}) from ({_ITEM})$")),
    ("put", re.compile(rf"(?:put|move) ({_ITEM}) (?:in/on|in|on|into|to) ({_ITEM})$")),
    ("open", re.compile(rf"open ({_ITEM})$")),
    ("close", re.compile(rf"close ({_ITEM})$")),
    ("use", re.compile(rf"use ({_ITEM})$")),
    ("clean", re.compile(rf"clean ({_ITEM}) with ({_ITEM})$")),
    ("heat", re.compile(rf"heat ({_ITEM}) with ({_ITEM})$")),
    ("cool", re.compile(rf"cool ({_ITEM}) with ({_ITEM})$")),
    ("slice", re.compile(rf"slice ({_ITEM}) with ({_ITEM})$")),
    ("examine", re.compile(rf"examine ({_ITEM})$")),
    ("look", re.compile(r"look$")),
    ("inventory", re.compile(r"inventory$")),
)


def parse_command(text: str) -> Command | None:
    """Parse one command, ignoring case and extra spaces; return None if it is no command."""
    line = " ".join(text.lower().split()).rstrip(".")
    for verb, pattern in _COMMANDS:
        if match := pattern.match(line):
            return Command(verb, *match.groups())
    return None


def kind_of(item: str) -> str:
    """Return the noun of a numbered item: 'mug' for 'mug 1'."""
    return item.rpartition(" ")[0]


def in_order(items: Iterable[str]) -> list[str]:
    """Sort items as the games list them: by noun, then by number, the highest first."""
    return sorted(items, key=lambda item: (kind_of(item), -int(item.rpartition(" ")[2])))


def item_list(items: Iterable[str]) -> str:
    """Write a list such as 'a mug 1, a pen 2, and a pen 1'; 'nothing' if it is empty."""
    names = [f"a {item}" for item in items]
    return _join(names) if names else "nothing"


def position(places: Iterable[str]) -> str:
    """Write which places the agent faces: all that share its spot."""
    return f"You are facing the {_join(in_order(places))}. Next to it, you see nothing."


def _join(names: list[str]) -> str:
    *others, last = names
    return f"{', '.join(others)}, and {last}" if others else last


def room(places: Iterable[str]) -> str:
    """Write which places the room has."""
    return (
        "You are in the middle of a room. Looking quickly around you, "
        f"you see {item_list(in_order(places))}."
    )


def contents(place: str, things: Iterable[str], *, door: bool, open_: bool) -> str:
    """Write what the agent sees at a place."""
    if door and not open_:
        return f"The {place} is closed."
    items = item_list(in_order(things))
    if door:
        return f"The {place} is open. In it, you see {items}."
    return f"On the {place}, you see {items}."


def items_in(text: str) -> list[str]:
    """Return the numbered items of a list, in order."""
    return _ITEM_IN_LIST.findall(text)


def places_in(first_text: str) -> list[str]:
    """Return the places that the first observation of an episode lists, in order."""
    match = _ROOM.search(first_text)
    return items_in(match[1]) if match else []


def goal_in(first_text: str) -> str:
    """Return the task sentence of the first observation, without 'Your task is to:'."""
    match = _TASK.search(first_text)
    return match[1] if match else ""


class Sight(NamedTuple):
    """A place and the things seen there; `things` is None if the place is closed."""

    place: str
    things: tuple[str, ...] | None


def sight_in(observation: str) -> Sight | None:
    """Return the place that an observation shows and its things; None if it shows no place."""
    if match := _CLOSED_PLACE.search(observation):
        return Sight(match[1], None)
    if match := _SIGHT.search(observation):
        place = match[1]
        if place is None:
            open_place = _OPEN_PLACE.search(observation)
            if open_place is None:
                return None
            place = open_place[1]
        return Sight(place, tuple(items_in(match[2])))
    return None


class Goal(NamedTuple):
    """The goal of a task: its family, the thing, and the kind of target place (or of lamp)."""

    family: str
    thing: str
    target: str


_THING = r"(?P<thing>[a-z]+)"
_TARGET = r"(?P<target>[a-z]+)"
_PUT_IT = rf"{_THING}(?: and put (?:it|them))? (?:in|on) {_TARGET}"
_GOALS: Final = (
    ("light", re.compile(rf"(?:examine the|look at) {_THING} (?:with|under) the {_TARGET}")),
    ("two", re.compile(rf"(?:find|put) two {_PUT_IT}")),
    ("clean", re.compile(rf"(?:put a clean|clean some) {_PUT_IT}")),
    ("heat", re.compile(rf"(?:put a hot|heat some) {_PUT_IT}")),
    ("cool", re.compile(rf"(?:put a cool|cool some) {_PUT_IT}")),
    ("pick", re.compile(rf"put (?:a|some) {_PUT_IT}")),
)

# The task sentences of the real games, by family.
SENTENCES: Final[dict[str, tuple[str, ...]]] = {
    "pick": ("put a {thing} in {target}.", "put some {thing} on {target}."),
    "light": ("examine the {thing} with the {target}.", "look at {thing} under the {target}."),
    "clean": ("put a clean {thing} in {target}.", "clean some {thing} and put it in {target}."),
    "heat": ("put a hot {thing} in {target}.", "heat some {thing} and put it in {target}."),
    "cool": ("put a cool {thing} in {target}.", "cool some {thing} and put it in {target}."),
    "two": ("put two {thing} in {target}.", "find two {thing} and put them in {target}."),
}


def parse_goal(sentence: str) -> Goal | None:
    """Parse a task sentence; return None if it belongs to none of the six families."""
    for family, pattern in _GOALS:
        if match := pattern.match(sentence.strip()):
            return Goal(family, match["thing"], match["target"])
    return None
