"""Let the expert play the household, with slips, and return the episodes as chats.

A share of the episodes (SLIP_SHARE) contains slips: random commands (SLIP), claims that the thing
is at a place where it is not (DELUSION), claims that it is not at the place where it is
(OVERSIGHT), and wrong numbers (MIX_UP). The model does not learn the slips. It learns how the
expert recovers, and what a reflection says about an attempt with slips.

Plans are the hardest part, so a share of the episodes (CUT) ends with a plan.
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
from apprentice.environments.household.rooms import generate
from apprentice.environments.household.vocabulary import CATEGORY
from apprentice.environments.household.world import World, world
from apprentice.state import prompts
from apprentice.state.prompts import HOUSEHOLD_INSTRUCTIONS, Shown
from apprentice.training.scratch.samples import Part

SLIP: Final = 0.04
SLIP_SHARE: Final = 0.3
DELUSION: Final = 0.15  # of the places without the thing, in episodes with slips
OVERSIGHT: Final = 0.3  # of the places with the thing, in episodes with slips
MIX_UP: Final = 0.1  # of the things taken, in episodes with slips
CUT: Final = 0.6
_MISSED = re.compile(r"think: The ([a-z]+) is not here")
_FOUND = re.compile(r"think: The ([a-z]+) [0-9]+ is here\.")
FIRST_WORLD: Final = 1_000  # worlds with lower numbers are reserved for evaluation


@dataclass(frozen=True)
class Episode:
    """An attempt of the expert.

    Attributes:
        world: the world in which it played.
        opening: the first observation, with the task.
        turns: the expert's turns and the observations that follow them.
        slips: the indexes of the turns that are slips.
        success: whether the task was solved.
    """

    world: World
    opening: str
    turns: tuple[Turn, ...]
    slips: frozenset[int]
    success: bool

    def text(self) -> str:
        """Render the episode as `apprentice.state.trajectory.transcript` renders messages."""
        lines = [self.opening]
        for turn in self.turns:
            lines += [f"> {line}" for line in turn.text.splitlines()]
            lines.append(turn.observation)
        return "\n".join(lines)


class Player:
    """Samples games of training worlds and lets the expert play them.

    Args:
        seed: the same seed and calls give the same games and episodes.
        sizes: room size -> weight.
    """

    def __init__(self, seed: int, sizes: dict[str, float]) -> None:
        self.rng = random.Random(seed)
        self.sizes = sizes

    def game(self, home: World | None = None, size: str | None = None) -> Game:
        """Start a game of the training split, in `home` or in a new world."""
        home = home or world(f"w{self.rng.randrange(FIRST_WORLD, 10**9)}")
        size = size or self.rng.choices(list(self.sizes), list(self.sizes.values()))[0]
        return Game(home, generate(home, size, "train", self.rng.randrange(10**9)))

    def play(
        self, game: Game, knowledge: Knowledge, limit: int, *, slip_share: float = SLIP_SHARE
    ) -> Episode:
        """Let the expert play up to `limit` turns, with slips in a share of the episodes."""
        slips_occur = self.rng.random() < slip_share
        opening = game.first_observation().text
        turns: list[Turn] = []
        slips: set[int] = set()
        while len(turns) < limit and not game.over:
            text = expert(opening, turns, knowledge)
            if slips_occur and (slip := self._slip(game, text, opening, turns)):
                text = slip
                slips.add(len(turns))
            turns.append(Turn(text, game.step(action_in(text)).text))
        return Episode(game.world, opening, tuple(turns), frozenset(slips), game.over)

    def _slip(self, game: Game, text: str, opening: str, turns: Sequence[Turn]) -> str:
        """Return a slip that replaces the expert's turn; '' means no slip."""
        chance = self.rng.random()
        if turns and self.rng.random() < SLIP:
            return self.rng.choice(game.admissible())
        if (no_find := _MISSED.match(text)) and chance < DELUSION:
            thing = f"{no_find[1]} {self.rng.randint(1, 2)}"
            return f"think: The {thing} is here.\ntake {thing} from {game.at}"
        if not (find := _FOUND.match(text)):
            return ""
        if chance < OVERSIGHT:
            memory = Memory.of(opening, turns)
            rest = [p for p in memory.plan if p not in memory.searched_places] if memory else []
            return f"think: The {find[1]} is not here.\ngo to {rest[0]}" if rest else ""
        if chance > 1 - MIX_UP:
            return re.sub(r" [0-9]+(?= is here| from)", f" {self.rng.randint(1, 4)}", text)
        return ""

    def limit(self, game: Game) -> int:
        """Return the step limit of a room of this size."""
        size = "small" if len(game.room.places) < 9 else "medium"
        size = "full" if len(game.room.places) > 13 else size
        return STEP_LIMITS[size][game.room.goal.family]

    def restart(self, game: Game) -> Game:
        """Start the same game again."""
        return Game(game.world, game.room)

    def failures(self, game: Game, count: int) -> list[Episode]:
        """Play up to `count` attempts that fail, each with the reflections on the earlier ones."""
        episodes: list[Episode] = []
        notes: list[Knowledge] = []
        for _ in range(count):
            limit = max(3, round(self.limit(game) * self.rng.uniform(0.35, 1.0)))
            episode = self.play(self.restart(game), merge(notes[-3:]), limit, slip_share=0.5)
            if episode.success:
                break
            episodes.append(episode)
            notes.append(room_knowledge(episode))
        return episodes

    def success(self, home: World, want: Callable[[Game], bool], tries: int = 40) -> Episode | None:
        """Return a solved attempt at a small game that `want` accepts; None if there is none."""
        for _ in range(tries):
            game = self.game(home, "tiny" if self.rng.random() < 0.5 else "small")
            if want(game):
                knowledge = Knowledge(
                    {noun: home.keeps[c] for noun, c in CATEGORY.items()},
                    appliances=dict(home.treats),
                )
                if self.rng.random() < 0.4:
                    knowledge = Knowledge()
                episode = self.play(game, knowledge, 24)
                if episode.success:
                    return episode
        return None

    def act(self, game: Game, view: Shown, knowledge: Knowledge) -> tuple[Part, ...]:
        """Return a chat in which the expert acts on what `view` tells, which is `knowledge`."""
        episode = self.play(self.restart(game), knowledge, self.limit(game) + 4)
        system = prompts.act_prompt(HOUSEHOLD_INSTRUCTIONS, view, episode.opening)[0]
        parts = [Part("system", str(system.content), False), Part("user", episode.opening, False)]
        for number, turn in enumerate(self._cut(episode)):
            parts.append(Part("assistant", turn.text, number not in episode.slips))
            parts.append(Part("user", turn.observation, False))
        return tuple(parts[:-1])

    def _cut(self, episode: Episode) -> Sequence[Turn]:
        """End a share of the episodes at a plan, and return the turns up to there."""
        plans = [n for n, turn in enumerate(episode.turns) if "Plan:" in turn.text]
        plans = [number for number in plans if number not in episode.slips]
        if not plans or self.rng.random() >= CUT:
            return episode.turns
        last = plans[0] if self.rng.random() < 0.5 else self.rng.choice(plans)
        return episode.turns[: last + 1]


def room_knowledge(episode: Episode) -> Knowledge:
    """Return what an attempt teaches about its own room."""
    return learn(episode.opening, episode.turns)


def world_knowledge(episode: Episode) -> Knowledge:
    """Return what a solved task shows about its world: places of kinds of things, appliances."""
    return knowledge_in(episode.turns)


def category_test(game: Game) -> Callable[[Game], bool]:
    """Return a predicate that accepts games about the same kind of thing."""
    category = CATEGORY[game.room.goal.thing]
    return lambda other: CATEGORY[other.room.goal.thing] == category


def by_noun(keeps: dict[str, str]) -> dict[str, str]:
    """Convert places by category to places by noun."""
    return {noun: keeps[c] for noun, c in CATEGORY.items() if c in keeps}
