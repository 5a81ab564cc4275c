"""Play the household as the expert would, with slips, and show it as a chat.

Slips are added to a share of the episodes (SLIPPING): commands drawn at random (SLIP), seeing the
wanted thing where it is not (DELUSION), overlooking it where it is (OVERSIGHT), and taking a
number that is not there (MIX_UP). They are not learned; what is learned is how the expert
recovers, and what a reflection says of an attempt with slips.

Most of what is hard is said in plans, so a share of the episodes (CUT) ends with one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from apprentice.environments.household.environment import STEP_LIMITS
from apprentice.environments.household.expert import (
    Knowledge,
    Memory,
    Turn,
    action_in,
    expert,
    knowledge_in,
    learn,
    merge,
)
from apprentice.environments.household.game import Game
from apprentice.environments.household.nouns import CATEGORY
from apprentice.environments.household.rooms import generate
from apprentice.environments.household.world import World, world
from apprentice.state import prompts
from apprentice.state.prompts import HOUSEHOLD_INSTRUCTIONS, Shown
from apprentice.training.scratch.samples import Part

SLIP: Final = 0.04
SLIPPING: Final = 0.3
DELUSION: Final = 0.15  # of the places without the thing, in episodes with slips
OVERSIGHT: Final = 0.3  # of the places with the thing, in episodes with slips
MIX_UP: Final = 0.1  # of the things taken, in episodes with slips
CUT: Final = 0.6
_MISSED = re.compile(r"think: The ([a-z]+) is not here")
_FOUND = re.compile(r"think: The ([a-z]+) [0-9]+ is here\.")
FIRST_WORLD: Final = 1_000  # seeded worlds below this number are kept for evaluation


@dataclass(frozen=True)
class Episode:
    """A played attempt: what was seen and said, which turns were slips, and its outcome."""

    world: World
    opening: str
    turns: tuple[Turn, ...]
    slips: frozenset[int]
    solved: bool

    def text(self) -> str:
        """Render as `apprentice.state.nouns.transcript` renders messages."""
        lines = [self.opening]
        for turn in self.turns:
            lines += [f"> {line}" for line in turn.text.splitlines()]
            lines.append(turn.observation)
        return "\n".join(lines)


class Player:
    """Draws games of training worlds and lets the expert play them.

    Args:
        seed: the same seed and calls give the same games and episodes.
        sizes: room size -> weight.
    """

    def __init__(self, seed: int, sizes: dict[str, float]) -> None:
        self.rng = random.Random(seed)
        self.sizes = sizes

    def game(self, home: World | None = None, size: str | None = None) -> Game:
        """Start a game in a seeded world, of the training split."""
        home = home or world(f"w{self.rng.randrange(FIRST_WORLD, 10**9)}")
        size = size or self.rng.choices(list(self.sizes), list(self.sizes.values()))[0]
        return Game(home, generate(home, size, "train", self.rng.randrange(10**9)))

    def play(
        self, game: Game, known: Knowledge, limit: int, *, slipping: float = SLIPPING
    ) -> Episode:
        """Let the expert play, with slips in a share of the episodes."""
        slips_occur = self.rng.random() < slipping
        opening = game.first_observation().text
        turns: list[Turn] = []
        slips: set[int] = set()
        while len(turns) < limit and not game.over:
            text = expert(opening, turns, known)
            if slips_occur and (slip := self._slip(game, text, opening, turns)):
                text = slip
                slips.add(len(turns))
            turns.append(Turn(text, game.step(action_in(text)).text))
        return Episode(game.world, opening, tuple(turns), frozenset(slips), game.over)

    def _slip(self, game: Game, text: str, opening: str, turns: Sequence[Turn]) -> str:
        """Return what is done in place of the expert's turn, mostly nothing ('')."""
        chance = self.rng.random()
        if turns and self.rng.random() < SLIP:
            return self.rng.choice(game.admissible())
        if (missed := _MISSED.match(text)) and chance < DELUSION:
            thing = f"{missed[1]} {self.rng.randint(1, 2)}"
            return f"think: The {thing} is here.\ntake {thing} from {game.at}"
        if not (found := _FOUND.match(text)):
            return ""
        if chance < OVERSIGHT:
            memory = Memory.of(opening, turns)
            rest = [p for p in memory.plan if p not in memory.searched_places] if memory else []
            return f"think: The {found[1]} is not here.\ngo to {rest[0]}" if rest else ""
        if chance > 1 - MIX_UP:
            return re.sub(r" [0-9]+(?= is here| from)", f" {self.rng.randint(1, 4)}", text)
        return ""

    def limit(self, game: Game) -> int:
        """Return the step limit of a room of this size."""
        size = "small" if len(game.room.places) < 9 else "medium"
        size = "full" if len(game.room.places) > 13 else size
        return STEP_LIMITS[size][game.room.goal.family]

    def again(self, game: Game) -> Game:
        """Start the same game afresh."""
        return Game(game.world, game.room)

    def failures(self, game: Game, count: int) -> list[Episode]:
        """Play attempts that fail, each with the lessons of those before it."""
        failed: list[Episode] = []
        known: list[Knowledge] = []
        for _ in range(count):
            limit = max(3, round(self.limit(game) * self.rng.uniform(0.35, 1.0)))
            episode = self.play(self.again(game), merge(known[-3:]), limit, slipping=0.5)
            if episode.solved:
                break
            failed.append(episode)
            known.append(lesson_of(episode))
        return failed

    def success(self, home: World, want: Callable[[Game], bool], tries: int = 40) -> Episode | None:
        """Play a small game of a world that fits, knowing its conventions, to success."""
        for _ in range(tries):
            game = self.game(home, "tiny" if self.rng.random() < 0.5 else "small")
            if want(game):
                known = Knowledge(
                    {noun: home.keeps[c] for noun, c in CATEGORY.items()},
                    appliances=dict(home.treats),
                )
                if self.rng.random() < 0.4:
                    known = Knowledge()
                episode = self.play(game, known, 24)
                if episode.solved:
                    return episode
        return None

    def acted(self, game: Game, shown: Shown, known: Knowledge) -> tuple[Part, ...]:
        """Act with something in view, on what it tells."""
        episode = self.play(self.again(game), known, self.limit(game) + 4)
        system = prompts.act_prompt(HOUSEHOLD_INSTRUCTIONS, shown, episode.opening)[0]
        parts = [Part("system", str(system.content), False), Part("user", episode.opening, False)]
        for number, turn in enumerate(self._cut(episode)):
            parts.append(Part("assistant", turn.text, number not in episode.slips))
            parts.append(Part("user", turn.observation, False))
        return tuple(parts[:-1])

    def _cut(self, episode: Episode) -> Sequence[Turn]:
        """Leave out what comes after a plan, in a share of the episodes."""
        plans = [n for n, turn in enumerate(episode.turns) if "Plan:" in turn.text]
        plans = [number for number in plans if number not in episode.slips]
        if not plans or self.rng.random() >= CUT:
            return episode.turns
        last = plans[0] if self.rng.random() < 0.5 else self.rng.choice(plans)
        return episode.turns[: last + 1]


def lesson_of(episode: Episode) -> Knowledge:
    """Return what an attempt teaches about its own room."""
    return learn(episode.opening, episode.turns)


def shows(episode: Episode) -> Knowledge:
    """Return what a solved task shows about its world: where kinds of things are, what works."""
    return knowledge_in(episode.turns)


def akin(game: Game) -> Callable[[Game], bool]:
    """Return a test for games that look for the same kind of thing."""
    category = CATEGORY[game.room.goal.thing]
    return lambda other: CATEGORY[other.room.goal.thing] == category


def by_noun(keeps: dict[str, str]) -> dict[str, str]:
    """Spell where categories are kept for each of their nouns."""
    return {noun: keeps[c] for noun, c in CATEGORY.items() if c in keeps}
