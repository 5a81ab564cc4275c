"""The expert: it explores while it lacks knowledge, and acts directly once it has it.

It sees the first observation, the turns so far and the knowledge that the caller passes; it never
sees the simulator. Its next turn is a pure function of these three, so a caller can ask for it in
any state, whoever acted before.
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
from apprentice.environments.household.vocabulary import APPLIANCES, CATEGORY, THINGS, TREATMENTS

PLAN_LENGTH: Final = 8
UNKNOWN_PLACE: Final = "place not known yet"
UNKNOWN_APPLIANCE: Final = "first that works"
_AIM = re.compile(r"I look for (?:a|another) ([a-z]+)\.|I will (clean|cool|heat) it\.")
_STORAGE_NOTE = re.compile(r" is here\. Look for ([a-z]+) in/on a ([a-z]+)\.")
_APPLIANCE_NOTE = re.compile(r"^think: To (clean|cool|heat) a thing, use the ([a-z]+)\.")


class Turn(NamedTuple):
    """One exchange: the agent's text and the observation that followed."""

    text: str
    observation: str


@dataclass(frozen=True)
class Knowledge:
    """The facts that reflections, rules and examples state.

    Attributes:
        storage: thing's noun -> kind of place that stores such things (rules, examples).
        locations: thing's noun -> places in this very room where an attempt saw some.
        candidates: thing's noun or treatment -> places that earlier attempts have not tried.
        appliances: treatment -> kind of appliance that performs it.
    """

    storage: dict[str, str] = field(default_factory=dict)
    locations: dict[str, tuple[str, ...]] = field(default_factory=dict)
    candidates: dict[str, tuple[str, ...]] = field(default_factory=dict)
    appliances: dict[str, str] = field(default_factory=dict)


def storage_rule(category: str, kind: str) -> str:
    """Write which kind of place stores a category; thoughts and rules share this wording."""
    return f"Look for {category} in/on a {kind}."


def appliance_rule(verb: str, kind: str) -> str:
    """Write which appliance performs a treatment; thoughts and rules share this wording."""
    return f"To {verb} a thing, use the {kind}."


def knowledge_in(turns: Iterable[Turn]) -> Knowledge:
    """Return the facts about storage and appliances that the thoughts of an attempt state."""
    storage: dict[str, str] = {}
    appliances: dict[str, str] = {}
    for turn in turns:
        if match := _STORAGE_NOTE.search(turn.text):
            storage |= dict.fromkeys(THINGS[match[1]], match[2])
        if match := _APPLIANCE_NOTE.search(turn.text):
            appliances[match[1]] = match[2]
    return Knowledge(storage, appliances=appliances)


def action_in(text: str) -> str:
    """Return the command of a turn: its last line that is not a thought."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    commands = [line for line in lines if not line.lower().startswith("think:")]
    return commands[-1] if commands else ""


@dataclass
class Memory:
    """The state that a transcript implies: the room, the contents of places, the progress.

    Attributes:
        goal: what the task asks for.
        places: the room's places, in the order of its list.
        at: the place at which the agent stands; '' at the start.
        in_hand: the thing that the agent carries, or ''.
        contents: place -> the things last seen there.
        closed_places: places last seen closed.
        searched_places: places whose contents were seen, in that order.
        treated_things: things that were cleaned, heated or cooled.
        failed_appliances: places that did not perform the treatment.
        appliance: the place that performed the treatment, or ''.
        deliveries: thing -> the target place where the agent put it.
        origins: thing -> the place from which the agent took it.
        plan: the places of the last plan.
        aim: what the last plan is for, a noun or a treatment.
        no_effect: whether the last command changed nothing.
    """

    goal: Goal
    places: list[str]
    at: str = ""
    in_hand: str = ""
    contents: dict[str, tuple[str, ...]] = field(default_factory=dict)
    closed_places: set[str] = field(default_factory=set)
    searched_places: list[str] = field(default_factory=list)
    treated_things: set[str] = field(default_factory=set)
    failed_appliances: list[str] = field(default_factory=list)
    appliance: str = ""
    deliveries: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    plan: tuple[str, ...] = ()
    aim: str = ""
    no_effect: bool = False

    @classmethod
    def of(cls, first_text: str, turns: Sequence[Turn]) -> Memory | None:
        """Read a transcript; return None if its task is not a household task."""
        goal = parse_goal(goal_in(first_text))
        if goal is None:
            return None
        memory = cls(goal, places_in(first_text))
        for turn in turns:
            memory.read(turn)
        return memory

    def read(self, turn: Turn) -> None:
        """Update the memory with one exchange."""
        if "Plan:" in turn.text:
            self.plan = plan_in(turn.text)
        if match := _AIM.search(turn.text):
            self.aim = match[1] or match[2]
        command = parse_command(action_in(turn.text))
        self.no_effect = turn.observation.strip() == NOTHING
        if command is None:
            return
        if self.no_effect:
            if command.verb in TREATMENTS and command.first == self.in_hand:
                self.failed_appliances.append(command.second)
            if command.verb == "go" and command.first in self.places:
                # In the real games, some places share a spot: an agent at one is at both.
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
                self.in_hand, self.aim = command.first, ""
                self.origins[command.first] = command.second
                self._forget(command.first)
            case "put":
                self.in_hand, self.aim = "", ""
                self.contents[command.second] = (
                    *self.contents.get(command.second, ()),
                    command.first,
                )
                if kind_of(command.second) == self.goal.target:
                    self.deliveries[command.first] = command.second
            case "clean" | "heat" | "cool":
                self.treated_things.add(command.first)
                self.aim = ""
                self.appliance = command.second
            case "close":
                self.closed_places.add(command.first)

    def _forget(self, thing: str) -> None:
        for place, things in self.contents.items():
            self.contents[place] = tuple(other for other in things if other != thing)

    def _see(self, place: str, things: tuple[str, ...] | None) -> None:
        if things is None:
            self.closed_places.add(place)
            return
        self.closed_places.discard(place)
        self.contents[place] = things
        if place not in self.searched_places:
            self.searched_places.append(place)

    def unknown(self, place: str) -> bool:
        """Return whether the agent has seen neither the contents nor the door of a place."""
        return (
            place in self.places and place not in self.contents and place not in self.closed_places
        )

    def sightings(self, noun: str) -> list[tuple[str, str]]:
        """Return (thing, place) for every thing of a noun in memory, except deliveries."""
        return [
            (thing, place)
            for place, things in self.contents.items()
            for thing in things
            if kind_of(thing) == noun and thing not in self.deliveries
        ]

    def first_of(self, kind: str) -> str:
        """Return the first place of a kind in the room's list; '' if there is none."""
        return next((place for place in self.places if kind_of(place) == kind), "")


def plan_in(text: str) -> tuple[str, ...]:
    """Return the places that a turn lists after 'Plan:'."""
    plan = text.rpartition("Plan:")[2].split(".")[0]
    return tuple(place.strip() for place in plan.split(";") if place.strip())


def expert(first_text: str, turns: Sequence[Turn], knowledge: Knowledge = Knowledge()) -> str:
    """Return the expert's next turn: a command on the last line, usually after a thought."""
    memory = Memory.of(first_text, turns)
    if memory is None:
        return "look"
    goal, in_hand = memory.goal, memory.in_hand
    if in_hand and kind_of(in_hand) == goal.thing:
        if goal.family == "light":
            return _seek(memory, knowledge, goal.target)
        if goal.family in TREATMENTS and in_hand not in memory.treated_things:
            return _treat(memory, knowledge)
        return _deliver(memory)
    if in_hand:
        return _reach(memory, memory.at, f"put {in_hand} in/on {memory.at}")
    return _seek(memory, knowledge, goal.thing)


def _reach(memory: Memory, place: str, action: str) -> str:
    """Go to a place, open it if it is closed, then act."""
    if memory.at != place:
        return f"go to {place}"
    if memory.unknown(place):
        return f"examine {place}"
    return f"open {place}" if place in memory.closed_places else action


def _deliver(memory: Memory) -> str:
    goal = memory.goal
    targets = [place for thing, place in memory.deliveries.items() if kind_of(thing) == goal.thing]
    place = targets[0] if targets else memory.first_of(goal.target)
    step = _reach(memory, place, f"put {memory.in_hand} in/on {place}")
    sentences = []
    if memory.in_hand in memory.treated_things and memory.at in (memory.appliance, ""):
        sentences.append(appliance_rule(goal.family, kind_of(memory.appliance)))
    if memory.at != place:
        sentences.append(f"I put it in/on a {goal.target}.")
    return f"think: {' '.join(sentences)}\n{step}" if sentences else step


def _treat(memory: Memory, knowledge: Knowledge) -> str:
    verb = memory.goal.family
    ready = f"{verb} {memory.in_hand} with {memory.at}"
    if memory.aim == verb and (rest := _candidates(memory, memory.plan)):
        if memory.at == rest[0]:
            return ready
        thought = "think: That does nothing.\n" if memory.no_effect else ""
        return f"{thought}go to {rest[0]}"
    candidates = _candidates(memory, [p for p in memory.places if kind_of(p) in APPLIANCES])
    plan = candidates or memory.places[:PLAN_LENGTH]
    why = appliance_rule(verb, UNKNOWN_APPLIANCE)
    if kind := knowledge.appliances.get(verb):
        if of_kind := [place for place in candidates if kind_of(place) == kind]:
            plan, why = of_kind, appliance_rule(verb, kind)
    elif unsearched_places := [p for p in knowledge.candidates.get(verb, ()) if p in candidates]:
        plan, why = unsearched_places, "I go on where I stopped."
    act = ready if memory.at == plan[0] else f"go to {plan[0]}"
    return f"think: I will {verb} it. {why} Plan: {'; '.join(plan)}.\n{act}"


def _candidates(memory: Memory, places: Iterable[str]) -> list[str]:
    """Return those of the places that have not failed to perform the treatment."""
    return [place for place in places if place not in memory.failed_appliances]


def _seek(memory: Memory, knowledge: Knowledge, noun: str) -> str:
    """Take a visible thing (or use a visible lamp); otherwise continue the search."""
    here = memory.contents.get(memory.at, ()) if memory.at not in memory.closed_places else ()
    for thing in here:
        if kind_of(thing) == noun and thing not in memory.deliveries:
            lamp = noun != memory.goal.thing
            act = f"use {thing}" if lamp else f"take {thing} from {memory.at}"
            note = storage_rule(CATEGORY[noun], kind_of(memory.at)) if noun in CATEGORY else ""
            return f"think: The {thing} is here. {note}".rstrip() + f"\n{act}"
    if memory.at in memory.closed_places and memory.at not in memory.contents:
        return f"open {memory.at}"
    if memory.unknown(memory.at):
        return f"examine {memory.at}"
    has_plan = memory.aim == noun
    if has_plan:
        rest = [p for p in memory.plan if p in memory.places and p not in memory.searched_places]
        if rest:
            return f"think: The {noun} is not here.\ngo to {rest[0]}"
    plan, why = _search_plan(memory, knowledge, noun)
    if not plan:
        return "look"
    steps = f"Plan: {'; '.join(plan)}.\ngo to {plan[0]}"
    if has_plan:
        return f"think: The {noun} is not here. {steps}"
    another = "another" if memory.deliveries else "a"
    return f"think: I look for {another} {noun}. {why} {steps}"


def _search_plan(memory: Memory, knowledge: Knowledge, noun: str) -> tuple[list[str], str]:
    if sightings := memory.sightings(noun):
        place = sightings[-1][1]
        return [place], f"I saw it at {place}."
    unseen = [place for place in memory.places if place not in memory.searched_places]
    if locations := [p for p in knowledge.locations.get(noun, ()) if p in unseen]:
        return locations[:1], f"It is at {locations[0]}."
    if candidates := [p for p in knowledge.candidates.get(noun, ()) if p in unseen]:
        return candidates[:PLAN_LENGTH], "I go on where I stopped."
    category = CATEGORY.get(noun, "things")
    if kind := knowledge.storage.get(noun):
        plan = sorted(unseen, key=lambda place: kind_of(place) != kind)
        return plan[:PLAN_LENGTH], storage_rule(category, kind)
    return unseen[:PLAN_LENGTH], storage_rule(category, UNKNOWN_PLACE)


def merge(parts: Sequence[Knowledge]) -> Knowledge:
    """Merge several pieces of knowledge; later ones win, and a known location ends a search."""
    storage: dict[str, str] = {}
    locations: dict[str, tuple[str, ...]] = {}
    candidates: dict[str, tuple[str, ...]] = {}
    appliances: dict[str, str] = {}
    for part in parts:
        storage |= part.storage
        locations |= part.locations
        candidates |= part.candidates
        appliances |= part.appliances
    open_candidates = {
        aim: p for aim, p in candidates.items() if aim not in locations and aim not in appliances
    }
    return Knowledge(storage, locations, open_candidates, appliances)


def learn(first_text: str, turns: Sequence[Turn], earlier: Knowledge = Knowledge()) -> Knowledge:
    """Add to `earlier` what one failed attempt shows about its own room.

    The transcript shows where things are, which places come after the last place that was
    searched, which appliance performed the treatment, and which appliances are still untried.
    """
    memory = Memory.of(first_text, turns)
    if memory is None:
        return earlier
    locations, candidates, appliances = (
        dict(earlier.locations),
        dict(earlier.candidates),
        dict(earlier.appliances),
    )
    goal = memory.goal
    for noun in (goal.thing, goal.target) if goal.family == "light" else (goal.thing,):
        spots = [place for thing, place in memory.origins.items() if kind_of(thing) == noun]
        spots += [
            place
            for _, place in memory.sightings(noun)
            if place not in spots or goal.family == "two"
        ]
        if spots:
            locations[noun] = tuple(spots[:2])
            candidates.pop(noun, None)
            if goal.family == "two" and len(spots) == 1:
                rest = [
                    p for p in earlier.candidates.get(noun, ()) if p not in memory.searched_places
                ]
                candidates[noun] = tuple(rest) or _after(memory.places, memory.searched_places)
        elif noun not in locations and (noun == goal.thing or memory.origins):
            candidates[noun] = _after(memory.places, memory.searched_places)
    if goal.family in TREATMENTS:
        if memory.appliance:
            appliances[goal.family] = kind_of(memory.appliance)
            candidates.pop(goal.family, None)
        elif memory.failed_appliances:
            tools = [place for place in memory.places if kind_of(place) in APPLIANCES]
            candidates[goal.family] = _after(tools, memory.failed_appliances)
    return Knowledge(earlier.storage, locations, candidates, appliances)


def _after(places: Sequence[str], past: Sequence[str]) -> tuple[str, ...]:
    """Return the places not yet tried, in order; the list starts again after its end."""
    start = places.index(past[-1]) + 1 if past and past[-1] in places else 0
    around = [*places[start:], *places[:start]]
    return tuple(place for place in around if place not in past)[:PLAN_LENGTH]
