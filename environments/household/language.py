"""ALFWorld's language: every sentence the household says and hears, and how to read it.

Writers and readers stand side by side, because the expert, the corpus and the tests read what
the game writes. The real games' wording differs in two spots, both handled here: placing is
`put X in/on Y` in older game data and `move X to Y` in newer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

NOTHING: Final = "Nothing happens."
_ITEM = r"[a-z]+ \d+"
_SEEN = re.compile(rf"(?:On|In) (?:the )?(?:({_ITEM})|it), you see (.+?)\.(?:\s|$)")
_LISTED = re.compile(rf"\ba ({_ITEM})")
_CLOSED = re.compile(rf"The ({_ITEM}) is closed\.")
_OPENED = re.compile(rf"The ({_ITEM}) is open\.")
_ROOM = re.compile(r"Looking quickly around you, you see (.+?)\.")
_TASK = re.compile(r"Your task is to: (.+?)\.?\s*$", re.MULTILINE)


class Command(NamedTuple):
    """A parsed command: a verb, the thing or place it acts on, and the second one, if any."""

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
    """Read one command; case and surplus spaces are forgiven, anything else is None."""
    line = " ".join(text.lower().split()).rstrip(".")
    for verb, pattern in _COMMANDS:
        if match := pattern.match(line):
            return Command(verb, *match.groups())
    return None


def kind_of(item: str) -> str:
    """Return the noun of a numbered item: 'mug' for 'mug 1'."""
    return item.rpartition(" ")[0]


def in_order(items: Iterable[str]) -> list[str]:
    """Sort as the games list things: by noun, the highest number first."""
    return sorted(items, key=lambda item: (kind_of(item), -int(item.rpartition(" ")[2])))


def item_list(items: Iterable[str]) -> str:
    """Write 'a mug 1, a pen 2, and a pen 1', or 'nothing'."""
    names = [f"a {item}" for item in items]
    return _join(names) if names else "nothing"


def position(places: Iterable[str]) -> str:
    """Say in front of what one stands: places that share a spot are all named."""
    return f"You are facing the {_join(in_order(places))}. Next to it, you see nothing."


def _join(names: list[str]) -> str:
    *others, last = names
    return f"{', '.join(others)}, and {last}" if others else last


def room(places: Iterable[str]) -> str:
    """Say what places there are."""
    return (
        "You are in the middle of a room. Looking quickly around you, "
        f"you see {item_list(in_order(places))}."
    )


def contents(place: str, things: Iterable[str], *, door: bool, open_: bool) -> str:
    """Say what can be seen at a place."""
    if door and not open_:
        return f"The {place} is closed."
    seen = item_list(in_order(things))
    if door:
        return f"The {place} is open. In it, you see {seen}."
    return f"On the {place}, you see {seen}."


def items_in(text: str) -> list[str]:
    """Return the numbered items of a listing, in order."""
    return _LISTED.findall(text)


def places_in(first_text: str) -> list[str]:
    """Return the places that an episode's opening lists, in order."""
    match = _ROOM.search(first_text)
    return items_in(match[1]) if match else []


def goal_in(first_text: str) -> str:
    """Return the task sentence of an episode's opening, without 'Your task is to:'."""
    match = _TASK.search(first_text)
    return match[1] if match else ""


class Sight(NamedTuple):
    """What an observation shows of one place; `things` is None while it is closed."""

    place: str
    things: tuple[str, ...] | None


def sight_in(observation: str) -> Sight | None:
    """Read which place an observation shows and what can be seen there."""
    if match := _CLOSED.search(observation):
        return Sight(match[1], None)
    if match := _SEEN.search(observation):
        place = match[1]
        if place is None:
            opened = _OPENED.search(observation)
            if opened is None:
                return None
            place = opened[1]
        return Sight(place, tuple(items_in(match[2])))
    return None


class Goal(NamedTuple):
    """What a task asks for: family, thing, and destination kind (or the lamp's noun)."""

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

# The real games' task sentences, by family.
SENTENCES: Final[dict[str, tuple[str, ...]]] = {
    "pick": ("put a {thing} in {target}.", "put some {thing} on {target}."),
    "light": ("examine the {thing} with the {target}.", "look at {thing} under the {target}."),
    "clean": ("put a clean {thing} in {target}.", "clean some {thing} and put it in {target}."),
    "heat": ("put a hot {thing} in {target}.", "heat some {thing} and put it in {target}."),
    "cool": ("put a cool {thing} in {target}.", "cool some {thing} and put it in {target}."),
    "two": ("put two {thing} in {target}.", "find two {thing} and put them in {target}."),
}


def parse_goal(sentence: str) -> Goal | None:
    """Read a task sentence; None when it is not one of the six families'."""
    for family, pattern in _GOALS:
        if match := pattern.match(sentence.strip()):
            return Goal(family, match["thing"], match["target"])
    return None
