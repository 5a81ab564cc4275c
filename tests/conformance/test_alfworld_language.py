"""The household speaks the real games' language: real games are played, read and compared.

Needs the extra `alfworld` and games under ALFWORLD_DATA. Six games are played, one a family;
`make soak` plays 36.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, AnyMessage

from apprentice.environments import advance as driver
from apprentice.environments.alfworld import KINDS, STEP_LIMIT, Alfworld
from apprentice.environments.household import Household
from apprentice.environments.household.expert import Knowledge, Turn, action_in, expert, learn
from apprentice.environments.household.game import Game
from apprentice.environments.household.language import (
    SENTENCES,
    goal_in,
    kind_of,
    parse_command,
    parse_goal,
    places_in,
    sight_in,
)
from apprentice.environments.household.nouns import FAMILIES, PLACES
from apprentice.environments.protocol import Environment
from apprentice.state.nouns import Task, text_of
from tests.places import advance, environment, start

GAMES = Path(os.environ.get("ALFWORLD_DATA", "/nowhere")) / "json_2.1.1"
pytest.importorskip("alfworld", reason="needs the extra alfworld")
pytestmark = [
    pytest.mark.skipif(not GAMES.is_dir(), reason="no games under ALFWORLD_DATA"),
    pytest.mark.timeout(1200),
]

TRIALS = 6
ITEM = re.compile(r"\b[a-z]+ \d+\b")
LIST = re.compile(r"\ba ITEM(?:, (?:and )?a ITEM)*|(?<=you see )nothing")


@dataclass
class Played:
    """What was seen of one game: its attempts by the expert, and a tour of its commands."""

    task: Task
    opening: str = ""
    solved: list[bool] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    admissible: set[str] = field(default_factory=set)


def learning(task: Task) -> Played:
    """Let the expert attempt a game until it succeeds, learning from what it failed."""
    played, knowledge = Played(task), Knowledge()
    while len(played.solved) < TRIALS and not any(played.solved):
        opening, turns = start(task), list[Turn]()
        messages: list[AnyMessage] = [opening]
        played.opening, verdict = text_of(opening), None
        while verdict is None:
            turn = AIMessage(expert(played.opening, turns, knowledge))
            result = advance(task, messages, turn)
            messages += [turn, result.reply]
            turns.append(Turn(text_of(turn), text_of(result.reply)))
            verdict = result.verdict
        knowledge = learn(played.opening, turns, knowledge)
        played.turns += turns
        played.solved.append(verdict.success is True)
    return played


def tour(where: Environment, task: Task, steps: int, rng: random.Random) -> Played:
    """Walk through a game by commands not yet used, the rarer verbs first."""
    simulator = where.reset(task)
    observation = simulator.first_observation()
    played = Played(task, observation.text)
    for _ in range(steps):
        # The household lists what is admissible when it is asked, not after every step.
        listed = simulator.admissible() if isinstance(simulator, Game) else observation.admissible
        played.admissible |= set(listed)
        unused = [command for command in listed if command not in {t.text for t in played.turns}]
        telling = [command for command in unused if command.split()[0] not in ("go", "examine")]
        command = rng.choice(telling if telling and rng.random() < 0.7 else unused or ["sing"])
        observation = simulator.step(command)
        played.turns.append(Turn(command, observation.text))
    return played


@pytest.fixture(scope="module")
def played() -> list[Played]:
    tasks = list(Alfworld().tasks("valid_unseen", len(FAMILIES)))
    if not tasks:
        pytest.skip("ALFWORLD_DATA has no games of valid_unseen")
    return [learning(task) for task in tasks]


@pytest.fixture(scope="module")
def tours() -> list[Played]:
    rng, home = random.Random(5), Alfworld()
    return [tour(home, task, 25, rng) for task in home.tasks("valid_unseen", 4)]


@pytest.fixture(scope="module")
def household() -> list[Played]:
    """Tours of generated rooms, long enough to hear everything the household says."""
    rng = random.Random(7)
    homes = [
        Household(world, size) for world in ("north", "alfworld") for size in ("small", "full")
    ]
    return [tour(home, task, 60, rng) for home in homes for task in home.tasks("test", 60)]


def sentences(text: str) -> Iterator[str]:
    """Split a text into sentences, items and listings abstracted."""
    for sentence in re.split(r"(?<=\.)\s+", text.strip()):
        if sentence.startswith("Your task is to:"):
            continue  # compared with the official templates below
        sentence = LIST.sub("LIST", ITEM.sub("ITEM", sentence))
        yield re.sub(r"ITEM(, ITEM)*, and ITEM", "ITEM", sentence)  # places that share a spot


def heard(games: Iterable[Played]) -> set[str]:
    return {
        sentence
        for game in games
        for text in (game.opening, *(turn.observation for turn in game.turns))
        for sentence in sentences(text)
    }


def grammar_of(task: Task) -> str:
    file = Path(os.environ["ALFWORLD_DATA"]) / "json_2.1.1" / task.id / "game.tw-pddl"
    return str(json.loads(file.read_text())["grammar"])


def written(task: Task) -> set[str]:
    """Read the sentences that a game's own grammar can produce, abstracted alike."""
    said: set[str] = set()
    for rule in re.findall(r'"rhs": "(.*)"', grammar_of(task)):
        text = rule.replace("#look-variations#", "You are facing the ITEM")
        text = re.sub(r"\[\{\w+\.indefinite[^\]]*\]|#list_\w+#", "LIST", text)
        said |= set(sentences(re.sub(r"\{\w+\.name\}", "ITEM", text)))
    return said


def test_every_admissible_command_is_understood(tours: list[Played]) -> None:
    commands = {command for game in tours for command in game.admissible}
    assert len(commands) > 100
    assert [command for command in commands if parse_command(command) is None] == []


def test_every_command_of_the_household_is_a_real_one(household: list[Played]) -> None:
    (task,) = Alfworld().tasks("valid_unseen", 1)
    templates = re.findall(r'template :: "(.*)";', grammar_of(task))
    real = {re.sub(r"\{\w+\}|\[.*?\]", "ITEM", template) for template in templates}
    said = {ITEM.sub("ITEM", command) for game in household for command in game.admissible}
    assert len(said) >= 12
    assert said - real <= {"put ITEM in/on ITEM"}  # newer data says: move ITEM to ITEM


def test_openings_are_read(played: list[Played]) -> None:
    for game in played:
        goal = parse_goal(goal_in(game.opening))
        assert goal is not None
        assert goal.family == game.task.kind
        assert game.task.instruction.startswith(goal_in(game.opening))
        places = places_in(game.opening)
        assert len(places) == len(ITEM.findall(game.opening)) > 3
        assert {kind_of(place) for place in places} <= set(PLACES)


def test_what_a_place_shows_is_read(played: list[Played], tours: list[Played]) -> None:
    shown = [
        (turn.observation, sight_in(turn.observation))
        for game in [*played, *tours]
        for turn in game.turns
        if "is closed." in turn.observation
        or ("you see" in turn.observation and "You are" not in turn.observation)
    ]
    assert len(shown) > 30
    for text, sight in shown:
        assert sight is not None, text
        listed = ITEM.findall(text.partition("you see")[2])
        assert sight.things == (None if "is closed." in text else tuple(listed))
        assert text.count(sight.place) >= 1


def test_every_sentence_heard_in_real_games_is_known(
    played: list[Played], tours: list[Played], household: list[Played]
) -> None:
    assert heard([*played, *tours]) - heard(household) == set()


def test_every_sentence_of_the_household_is_a_real_one(
    played: list[Played], household: list[Played]
) -> None:
    said = heard(household)
    assert len(said) > 20
    real = written(played[0].task) | heard(played)
    assert {sentence for sentence in said if sentence not in real} == set()


def test_task_sentences_are_the_official_ones() -> None:
    from alfworld.gen.goal_library import gdict

    names = {"obj": "{thing}", "recep": "{target}", "toggle": "{target}"}
    official = {
        family: {f"{text.format(**names)}." for text in gdict[kind]["templates"]}
        for kind, family in KINDS.items()
    }
    assert {family: set(texts) for family, texts in SENTENCES.items()} == official


def test_a_lost_game_is_replayed(played: list[Played], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "_cache", driver._Cache(limit=0))
    game = next(game for game in played if len(game.solved) == 1)
    opening = start(game.task)
    assert text_of(opening) == game.opening
    messages: list[AnyMessage] = [opening]
    for turn in game.turns[:2]:
        reply = advance(game.task, messages, AIMessage(turn.text)).reply
        assert text_of(reply) == turn.observation
        messages += [AIMessage(turn.text), reply]


def test_games_in_several_threads_do_not_disturb_each_other(played: list[Played]) -> None:
    games = played[:3]

    def again(game: Played) -> list[str]:
        simulator = environment("alfworld").reset(game.task)
        return [simulator.step(action_in(turn.text)).text for turn in game.turns[:4]]

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(again, games)) == [
            [turn.observation for turn in game.turns[:4]] for game in games
        ]


@pytest.mark.parametrize(
    "wording",
    [
        "put {} in/on {}".format,
        "put {} in {}".format,
        "move {} to {}".format,
        "Put  {} on {}.".format,
    ],
)
def test_both_wordings_of_placing_are_accepted(
    played: list[Played], wording: Callable[[str, str], str]
) -> None:
    game = next(game for game in played if any("take" in turn.text for turn in game.turns))
    commands = [action_in(turn.text) for turn in game.turns]
    taken = next(i for i, command in enumerate(commands) if command.startswith("take"))
    simulator = environment("alfworld").reset(game.task)
    for command in commands[: taken + 1]:
        simulator.step(command)
    take = parse_command(commands[taken])
    assert take is not None
    answer = simulator.step(wording(take.first, take.second))
    assert answer.text == f"You put the {take.first} in/on the {take.second}."


def test_the_expert_learns_the_real_games(played: list[Played]) -> None:
    assert sum(any(game.solved) for game in played) >= len(played) - 1


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_step_limit_separates_those_who_know_from_those_who_do_not() -> None:
    home = Alfworld()
    blind, informed, learned = [], [], []
    for task in home.tasks("valid_unseen", 36):
        steps, opening, turns = walk(home, task, Knowledge(), limit=60)
        blind.append(steps <= STEP_LIMIT)
        informed.append(walk(home, task, learn(opening, turns), STEP_LIMIT)[0] <= STEP_LIMIT)
        learned.append(any(learning(task).solved))
    assert 0.3 <= sum(blind) / len(blind) <= 0.6
    assert sum(informed) / len(informed) >= 0.98
    assert sum(learned) / len(learned) >= 0.9


def walk(
    home: Alfworld, task: Task, knowledge: Knowledge, limit: int
) -> tuple[int, str, list[Turn]]:
    """Let the expert act, by its own limit; return its steps (limit + 1 when unsolved)."""
    simulator = home.reset(task)
    opening, turns = simulator.first_observation().text, list[Turn]()
    for step in range(1, limit + 1):
        text = expert(opening, turns, knowledge)
        observation = simulator.step(action_in(text))
        turns.append(Turn(text, observation.text))
        if observation.done:
            return step, opening, turns
    return limit + 1, opening, turns
