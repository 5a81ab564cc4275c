"""The expert: explores sensibly when it doesn't know, acts directly when it does.

It sees what an agent sees, the opening and the observations so far, and whatever knowledge it
is handed; never the simulator. So it can be asked at any state, after anybody's actions, and
what it would do is a pure function of the transcript and the knowledge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from apprentice.environments.household.language import (
    NOTHING,
    Command,
    Goal,
    goal_in,
    kind_of,
    parse_command,
    parse_goal,
    places_in,
    sight_in,
)
from apprentice.environments.household.nouns import APPLIANCES, CATEGORY, THINGS, TREATMENTS

PLAN_LENGTH: Final = 8
UNKNOWN_PLACE: Final = "place not known yet"
UNKNOWN_APPLIANCE: Final = "first that works"
_AIM = re.compile(r"I look for (?:a|another) ([a-z]+)\.|I will (clean|cool|heat) it\.")
_NOTED = re.compile(r" is here\. Look for ([a-z]+) in/on a ([a-z]+)\.")
_WORKED = re.compile(r"^think: To (clean|cool|heat) a thing, use the ([a-z]+)\.")


class Turn(NamedTuple):
    """One exchange: what the agent wrote and what came back."""

    text: str
    observation: str


@dataclass(frozen=True)
class Knowledge:
    """What reflections, rules and examples tell.

    Attributes:
        kept: thing's noun -> kind of place where such things are kept (rules, examples).
        found: thing's noun -> the places where some were found in this very room.
        untried: thing's noun or treatment -> places that earlier attempts have not tried.
        works: treatment -> kind of appliance that performs it.
    """

    kept: dict[str, str] = field(default_factory=dict)
    found: dict[str, tuple[str, ...]] = field(default_factory=dict)
    untried: dict[str, tuple[str, ...]] = field(default_factory=dict)
    works: dict[str, str] = field(default_factory=dict)


def kept_in_words(category: str, kind: str) -> str:
    """Word where a category of things is kept, the same in a thought as in a rule."""
    return f"Look for {category} in/on a {kind}."


def works_in_words(verb: str, kind: str) -> str:
    """Word which appliance performs a treatment, the same in a thought as in a rule."""
    return f"To {verb} a thing, use the {kind}."


def noted(turns: Iterable[Turn]) -> Knowledge:
    """Return what the thoughts of an attempt say it found out, on kinds of things and places."""
    kept: dict[str, str] = {}
    works: dict[str, str] = {}
    for turn in turns:
        if found := _NOTED.search(turn.text):
            kept |= dict.fromkeys(THINGS[found[1]], found[2])
        if worked := _WORKED.search(turn.text):
            works[worked[1]] = worked[2]
    return Knowledge(kept, works=works)


def action_in(text: str) -> str:
    """Return the command of a turn: its last line that is not a thought."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    commands = [line for line in lines if not line.lower().startswith("think:")]
    return commands[-1] if commands else ""


@dataclass
class Memory:
    """What a transcript tells: the room, what was seen where, and how far the task is."""

    goal: Goal
    places: list[str]
    at: str = ""
    held: str = ""
    seen: dict[str, tuple[str, ...]] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    searched: list[str] = field(default_factory=list)
    treated: set[str] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)
    worked: str = ""
    delivered: dict[str, str] = field(default_factory=dict)
    taken: dict[str, str] = field(default_factory=dict)
    plan: tuple[str, ...] = ()
    aim: str = ""  # what the last stated plan is for: a noun, or a treatment
    stuck: bool = False

    @classmethod
    def of(cls, opening: str, turns: Sequence[Turn]) -> Memory | None:
        """Read a transcript; None when its task is not a household task."""
        goal = parse_goal(goal_in(opening))
        if goal is None:
            return None
        memory = cls(goal, places_in(opening))
        for turn in turns:
            memory.read(turn)
        return memory

    def read(self, turn: Turn) -> None:
        """Take in one exchange."""
        if "Plan:" in turn.text:
            self.plan = plan_in(turn.text)
        if stated := _AIM.search(turn.text):
            self.aim = stated[1] or stated[2]
        command = parse_command(action_in(turn.text))
        self.stuck = turn.observation.strip() == NOTHING
        if command is None:
            return
        if self.stuck:
            if command.verb in TREATMENTS and command.first == self.held:
                self.failed.append(command.second)
            if command.verb == "go" and command.first in self.places:
                # Some places of the real games share a spot: who is at one is at both.
                self.at = command.first
            return
        self._apply(command)
        if sight := sight_in(turn.observation):
            self._see(sight.place, sight.things)

    def _apply(self, command: Command) -> None:
        match command.verb:
            case "go":
                self.at = command.first
            case "take":
                self.held, self.aim = command.first, ""
                self.taken[command.first] = command.second
                self._forget(command.first)
            case "put":
                self.held, self.aim = "", ""
                self.seen[command.second] = (*self.seen.get(command.second, ()), command.first)
                if kind_of(command.second) == self.goal.target:
                    self.delivered[command.first] = command.second
            case "clean" | "heat" | "cool":
                self.treated.add(command.first)
                self.aim = ""
                self.worked = command.second
            case "close":
                self.closed.add(command.first)

    def _forget(self, thing: str) -> None:
        for place, things in self.seen.items():
            self.seen[place] = tuple(other for other in things if other != thing)

    def _see(self, place: str, things: tuple[str, ...] | None) -> None:
        if things is None:
            self.closed.add(place)
            return
        self.closed.discard(place)
        self.seen[place] = things
        if place not in self.searched:
            self.searched.append(place)

    def unknown(self, place: str) -> bool:
        """Tell whether not even the outside of a place has been seen."""
        return place in self.places and place not in self.seen and place not in self.closed

    def sightings(self, noun: str) -> list[tuple[str, str]]:
        """Return (thing, place) of every remembered thing of a noun, deliveries left out."""
        return [
            (thing, place)
            for place, things in self.seen.items()
            for thing in things
            if kind_of(thing) == noun and thing not in self.delivered
        ]

    def first_of(self, kind: str) -> str:
        """Return the first place of a kind in the room's list, '' when there is none."""
        return next((place for place in self.places if kind_of(place) == kind), "")


def plan_in(text: str) -> tuple[str, ...]:
    """Read the places of a turn's 'Plan: …' ."""
    listed = text.rpartition("Plan:")[2].split(".")[0]
    return tuple(place.strip() for place in listed.split(";") if place.strip())


def expert(opening: str, turns: Sequence[Turn], knowledge: Knowledge = Knowledge()) -> str:
    """Return the expert's next turn: usually a thought, always a command on the last line."""
    memory = Memory.of(opening, turns)
    if memory is None:
        return "look"
    goal, held = memory.goal, memory.held
    if held and kind_of(held) == goal.thing:
        if goal.family == "light":
            return _seek(memory, knowledge, goal.target)
        if goal.family in TREATMENTS and held not in memory.treated:
            return _treat(memory, knowledge)
        return _deliver(memory)
    if held:
        return _reach(memory, memory.at, f"put {held} in/on {memory.at}")
    return _seek(memory, knowledge, goal.thing)


def _reach(memory: Memory, place: str, action: str) -> str:
    """Go to a place, open it if it is closed, then act."""
    if memory.at != place:
        return f"go to {place}"
    if memory.unknown(place):
        return f"examine {place}"
    return f"open {place}" if place in memory.closed else action


def _deliver(memory: Memory) -> str:
    goal = memory.goal
    delivered = [place for thing, place in memory.delivered.items() if kind_of(thing) == goal.thing]
    place = delivered[0] if delivered else memory.first_of(goal.target)
    step = _reach(memory, place, f"put {memory.held} in/on {place}")
    said = []
    if memory.held in memory.treated and memory.at in (memory.worked, ""):
        said.append(works_in_words(goal.family, kind_of(memory.worked)))
    if memory.at != place:
        said.append(f"I put it in/on a {goal.target}.")
    return f"think: {' '.join(said)}\n{step}" if said else step


def _treat(memory: Memory, knowledge: Knowledge) -> str:
    verb = memory.goal.family
    ready = f"{verb} {memory.held} with {memory.at}"
    if memory.aim == verb and (rest := _untried(memory, memory.plan)):
        if memory.at == rest[0]:
            return ready
        thought = "think: That does nothing.\n" if memory.stuck else ""
        return f"{thought}go to {rest[0]}"
    untried = _untried(memory, [p for p in memory.places if kind_of(p) in APPLIANCES])
    plan = untried or memory.places[:PLAN_LENGTH]
    why = works_in_words(verb, UNKNOWN_APPLIANCE)
    if kind := knowledge.works.get(verb):
        if known := [place for place in untried if kind_of(place) == kind]:
            plan, why = known, works_in_words(verb, kind)
    elif left := [place for place in knowledge.untried.get(verb, ()) if place in untried]:
        plan, why = left, "I go on where I stopped."
    act = ready if memory.at == plan[0] else f"go to {plan[0]}"
    return f"think: I will {verb} it. {why} Plan: {'; '.join(plan)}.\n{act}"


def _untried(memory: Memory, places: Iterable[str]) -> list[str]:
    return [place for place in places if place not in memory.failed]


def _seek(memory: Memory, knowledge: Knowledge, noun: str) -> str:
    """Look for a thing: take it (or use the lamp) when it is in sight, else go on searching."""
    here = memory.seen.get(memory.at, ()) if memory.at not in memory.closed else ()
    for thing in here:
        if kind_of(thing) == noun and thing not in memory.delivered:
            lamp = noun != memory.goal.thing
            act = f"use {thing}" if lamp else f"take {thing} from {memory.at}"
            note = kept_in_words(CATEGORY[noun], kind_of(memory.at)) if noun in CATEGORY else ""
            return f"think: The {thing} is here. {note}".rstrip() + f"\n{act}"
    if memory.at in memory.closed and memory.at not in memory.seen:
        return f"open {memory.at}"
    if memory.unknown(memory.at):
        return f"examine {memory.at}"
    searching = memory.aim == noun
    if searching:
        rest = [p for p in memory.plan if p in memory.places and p not in memory.searched]
        if rest:
            return f"think: The {noun} is not here.\ngo to {rest[0]}"
    plan, why = _search_plan(memory, knowledge, noun)
    if not plan:
        return "look"
    stated = f"Plan: {'; '.join(plan)}.\ngo to {plan[0]}"
    if searching:
        return f"think: The {noun} is not here. {stated}"
    another = "another" if memory.delivered else "a"
    return f"think: I look for {another} {noun}. {why} {stated}"


def _search_plan(memory: Memory, knowledge: Knowledge, noun: str) -> tuple[list[str], str]:
    if sightings := memory.sightings(noun):
        place = sightings[-1][1]
        return [place], f"I saw it at {place}."
    unsearched = [place for place in memory.places if place not in memory.searched]
    if found := [p for p in knowledge.found.get(noun, ()) if p in unsearched]:
        return found[:1], f"It is at {found[0]}."
    if untried := [p for p in knowledge.untried.get(noun, ()) if p in unsearched]:
        return untried[:PLAN_LENGTH], "I go on where I stopped."
    category = CATEGORY.get(noun, "things")
    if kind := knowledge.kept.get(noun):
        plan = sorted(unsearched, key=lambda place: kind_of(place) != kind)
        return plan[:PLAN_LENGTH], kept_in_words(category, kind)
    return unsearched[:PLAN_LENGTH], kept_in_words(category, UNKNOWN_PLACE)


def merge(lessons: Sequence[Knowledge]) -> Knowledge:
    """Put several lessons together: the newest counts, and a find ends a search."""
    kept: dict[str, str] = {}
    found: dict[str, tuple[str, ...]] = {}
    untried: dict[str, tuple[str, ...]] = {}
    works: dict[str, str] = {}
    for lesson in lessons:
        kept |= lesson.kept
        found |= lesson.found
        untried |= lesson.untried
        works |= lesson.works
    left = {aim: p for aim, p in untried.items() if aim not in found and aim not in works}
    return Knowledge(kept, found, left, works)


def learn(opening: str, turns: Sequence[Turn], earlier: Knowledge = Knowledge()) -> Knowledge:
    """Return what one failed attempt teaches about its own room.

    Only what the transcript shows counts: where things were seen, which places come after the
    last one searched, which appliance worked and which are left to try.
    """
    memory = Memory.of(opening, turns)
    if memory is None:
        return earlier
    found, untried, works = dict(earlier.found), dict(earlier.untried), dict(earlier.works)
    goal = memory.goal
    for noun in (goal.thing, goal.target) if goal.family == "light" else (goal.thing,):
        spots = [place for thing, place in memory.taken.items() if kind_of(thing) == noun]
        spots += [
            place
            for _, place in memory.sightings(noun)
            if place not in spots or goal.family == "two"
        ]
        if spots:
            found[noun] = tuple(spots[:2])
            untried.pop(noun, None)
            if goal.family == "two" and len(spots) == 1:
                left = [p for p in earlier.untried.get(noun, ()) if p not in memory.searched]
                untried[noun] = tuple(left) or _after(memory.places, memory.searched)
        elif noun not in found and (noun == goal.thing or memory.taken):
            untried[noun] = _after(memory.places, memory.searched)
    if goal.family in TREATMENTS:
        if memory.worked:
            works[goal.family] = kind_of(memory.worked)
            untried.pop(goal.family, None)
        elif memory.failed:
            appliances = [place for place in memory.places if kind_of(place) in APPLIANCES]
            untried[goal.family] = _after(appliances, memory.failed)
    return Knowledge(earlier.kept, found, untried, works)


def _after(places: Sequence[str], tried: Sequence[str]) -> tuple[str, ...]:
    """Return the untried places, from the one after the last tried, around the list."""
    start = places.index(tried[-1]) + 1 if tried and tried[-1] in places else 0
    around = [*places[start:], *places[:start]]
    return tuple(place for place in around if place not in tried)[:PLAN_LENGTH]
