"""The simulator of the household: the state of a room and the effect of each command."""

from __future__ import annotations

from collections import defaultdict

from apprentice.environments.household import language
from apprentice.environments.household.language import NOTHING, Command, kind_of
from apprentice.environments.household.rooms import Room
from apprentice.environments.household.vocabulary import TREATMENTS
from apprentice.environments.household.world import World
from apprentice.state.trajectory import Observation


class Game:
    """One episode in one room; the same commands always give the same observations.

    Attributes:
        world: the conventions of the household.
        room: the room as it was at the start.
        at: the place at which the agent stands; '' at the start.
        in_hand: the thing that the agent carries, or ''.
        open: place -> whether it is open.
        things: place -> the things there.
        states: thing -> the treatments in effect.
        lamps_on: the lamps that are on.
        over: whether the goal has been reached.
    """

    def __init__(self, world: World, room: Room) -> None:
        self.world = world
        self.room = room
        self.at = ""
        self.in_hand = ""
        self.open = {place: not door for place, door in room.places.items()}
        self.things: dict[str, set[str]] = defaultdict(set)
        for thing, place in room.things.items():
            self.things[place].add(thing)
        self.states: dict[str, set[str]] = defaultdict(set)
        self.lamps_on: set[str] = set()
        self.over = False

    def first_observation(self) -> Observation:
        """Return the room and the task's sentence."""
        text = f"{language.room(self.room.places)}\n\nYour task is to: {self.room.sentence}"
        return Observation(text=text, admissible=self.admissible())

    def step(self, action: str) -> Observation:
        """Execute one command; an impossible one changes nothing and is answered all the same."""
        command = language.parse_command(action)
        text = NOTHING if command is None else getattr(self, f"_{command.verb}")(command)
        self.over = self.over or (text != NOTHING and self._goal_reached())
        return Observation(text=text, score=float(self.over), done=self.over)

    def admissible(self) -> tuple[str, ...]:
        """List every command that has an effect in the present state, sorted."""
        here = [place for place in self.room.places if self._here(place)]
        commands = [f"go to {place}" for place in self.room.places if place not in here]
        commands += ["look", "inventory", *(f"examine {place}" for place in here)]
        if self.in_hand:
            commands.append(f"examine {self.in_hand}")
        for place in here:
            commands += self._commands_at(place)
        return tuple(sorted(commands))

    def _commands_at(self, place: str) -> list[str]:
        commands: list[str] = []
        if self.room.places[place]:
            commands.append(f"{'close' if self.open[place] else 'open'} {place}")
        if self.open[place]:
            things = self.things[place]
            commands += [f"examine {thing}" for thing in things]
            commands += [f"use {thing}" for thing in things if kind_of(thing).endswith("lamp")]
            if self.in_hand:
                commands.append(f"put {self.in_hand} in/on {place}")
            else:
                commands += [f"take {thing} from {place}" for thing in things]
        if self.in_hand:
            treats = self.world.treats
            verbs = [verb for verb in TREATMENTS if treats[verb] == kind_of(place)]
            commands += [f"{verb} {self.in_hand} with {place}" for verb in verbs]
        return commands

    def _see(self, place: str) -> str:
        return language.contents(
            place, self.things[place], door=self.room.places[place], open_=self.open[place]
        )

    def _here(self, place: str) -> bool:
        """Return whether the agent stands at a place or at one that shares its spot."""
        spots = self.room.spots
        return bool(self.at) and spots.get(place, place) == spots.get(self.at, self.at)

    def _visible(self, thing: str) -> bool:
        return any(
            thing in self.things[place]
            for place in self.room.places
            if self._here(place) and self.open[place]
        )

    def _go(self, command: Command) -> str:
        if command.first not in self.room.places or self._here(command.first):
            return NOTHING
        self.at = command.first
        return self._see(self.at)

    def _take(self, command: Command) -> str:
        thing, place = command.first, command.second
        reachable = self._here(place) and self.open.get(place, False)
        if self.in_hand or not reachable or thing not in self.things[place]:
            return NOTHING
        self.things[place].remove(thing)
        self.in_hand = thing
        return f"You pick up the {thing} from the {place}."

    def _put(self, command: Command) -> str:
        thing, place = command.first, command.second
        if thing != self.in_hand or not self._here(place) or not self.open.get(place, False):
            return NOTHING
        self.things[place].add(thing)
        self.in_hand = ""
        return f"You put the {thing} in/on the {place}."

    def _open(self, command: Command) -> str:
        place = command.first
        if not self._here(place) or not self.room.places.get(place) or self.open[place]:
            return NOTHING
        self.open[place] = True
        return f"You open the {place}. {self._see(place)}"

    def _close(self, command: Command) -> str:
        place = command.first
        if not self._here(place) or not self.room.places.get(place) or not self.open[place]:
            return NOTHING
        self.open[place] = False
        return f"You close the {place}."

    def _use(self, command: Command) -> str:
        thing = command.first
        if not self._visible(thing) or not kind_of(thing).endswith("lamp"):
            return NOTHING
        if thing in self.lamps_on:
            self.lamps_on.remove(thing)
            return f"You turn off the {thing}."
        self.lamps_on.add(thing)
        return f"You turn on the {thing}."

    def _treat(self, command: Command) -> str:
        thing, place = command.first, command.second
        works = self.world.treats[command.verb] == kind_of(place)
        if thing != self.in_hand or not self._here(place) or not works:
            return NOTHING
        states = self.states[thing]
        states.add(command.verb)
        states -= {"heat": {"cool"}, "cool": {"heat"}}.get(command.verb, set())
        return f"You {command.verb} the {thing} using the {place}."

    _clean = _heat = _cool = _treat

    def _slice(self, command: Command) -> str:
        return NOTHING

    def _examine(self, command: Command) -> str:
        item = command.first
        if item in self.room.places and self._here(item):
            return self._see(item)
        if item != self.in_hand and not self._visible(item):
            return NOTHING
        if kind_of(item).endswith("lamp"):
            return f"This {item} is {'on' if item in self.lamps_on else 'off'}."
        words = {"heat": "hot", "clean": "clean", "cool": "cold"}
        states = [word for verb, word in words.items() if verb in self.states[item]]
        if states == ["clean", "cold"]:
            states = ["cool", "clean"]
        if not states:
            return f"There's nothing special about {item}."
        return f"This is a {' and '.join(states)} {item}."

    def _look(self, command: Command) -> str:
        if not self.at:
            return language.room(self.room.places)
        return language.position(place for place in self.room.places if self._here(place))

    def _inventory(self, command: Command) -> str:
        if not self.in_hand:
            return "You are not carrying anything."
        return f"You are carrying: a {self.in_hand}."

    def _goal_reached(self) -> bool:
        goal = self.room.goal
        if goal.family == "light":
            lamps = {lamp for lamp in self.lamps_on if kind_of(lamp) == goal.target}
            return kind_of(self.in_hand) == goal.thing and any(map(self._visible, lamps))
        need = 2 if goal.family == "two" else 1
        state = goal.family if goal.family in TREATMENTS else None
        for place, things in self.things.items():
            if kind_of(place) != goal.target:
                continue
            fit = [t for t in things if kind_of(t) == goal.thing]
            if state is not None:
                fit = [t for t in fit if state in self.states[t]]
            if len(fit) >= need:
                return True
        return False
