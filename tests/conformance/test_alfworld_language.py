"""The household has the language of the real games: these tests play real games and compare.

They need the extra `alfworld` and games under ALFWORLD_DATA. They play six games, one for each
family; `make soak` plays 36.
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

from apprentice.environments.advance import Episodes
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
from apprentice.environments.household.vocabulary import FAMILIES, PLACES
from apprentice.environments.protocol import Environment
from apprentice.state.trajectory import Task, text_of
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
class Record:
    """The texts of one game: from attempts by the expert or from a walk through its commands."""

    task: Task
    first_text: str = ""
    successes: list[bool] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    admissible: set[str] = field(default_factory=set)


def attempts_of(task: Task) -> Record:
    """Let the expert attempt a game, with the knowledge of failed attempts, until it succeeds."""
    record, knowledge = Record(task), Knowledge()
    while len(record.successes) < TRIALS and not any(record.successes):
        opening, turns = start(task), list[Turn]()
        messages: list[AnyMessage] = [opening]
        record.first_text, verdict = text_of(opening), None
        while verdict is None:
            turn = AIMessage(expert(record.first_text, turns, knowledge))
            result = advance(task, messages, turn)
            messages += [turn, result.reply]
            turns.append(Turn(text_of(turn), text_of(result.reply)))
            verdict = result.verdict
        knowledge = learn(record.first_text, turns, knowledge)
        record.turns += turns
        record.successes.append(verdict.success is True)
    return record


def tour(where: Environment, task: Task, steps: int, rng: random.Random) -> Record:
    """Walk through a game with commands not used before; prefer the rarer verbs."""
    simulator = where.reset(task)
    observation = simulator.first_observation()
    record = Record(task, observation.text)
    for _ in range(steps):
        # The household lists the admissible commands on request, not after every step.
        commands = simulator.admissible() if isinstance(simulator, Game) else observation.admissible
        record.admissible |= set(commands)
        fresh = [command for command in commands if command not in {t.text for t in record.turns}]
        effective = [command for command in fresh if command.split()[0] not in ("go", "examine")]
        command = rng.choice(effective if effective and rng.random() < 0.7 else fresh or ["sing"])
        observation = simulator.step(command)
        record.turns.append(Turn(command, observation.text))
    return record


@pytest.fixture(scope="module")
def records() -> list[Record]:
    tasks = list(Alfworld().tasks("valid_unseen", len(FAMILIES)))
    if not tasks:
        pytest.skip("ALFWORLD_DATA has no games of valid_unseen")
    return [attempts_of(task) for task in tasks]


@pytest.fixture(scope="module")
def tours() -> list[Record]:
    rng, home = random.Random(5), Alfworld()
    return [tour(home, task, 25, rng) for task in home.tasks("valid_unseen", 4)]


@pytest.fixture(scope="module")
def household() -> list[Record]:
    """Walks through generated rooms, long enough to show every sentence of the household."""
    rng = random.Random(7)
    homes = [
        Household(world, size) for world in ("north", "alfworld") for size in ("small", "full")
    ]
    return [tour(home, task, 60, rng) for home in homes for task in home.tasks("test", 60)]


def sentences(text: str) -> Iterator[str]:
    """Split a text into sentences, with placeholders for items and lists."""
    for sentence in re.split(r"(?<=\.)\s+", text.strip()):
        if sentence.startswith("Your task is to:"):
            continue  # another test compares it with the official templates
        sentence = LIST.sub("LIST", ITEM.sub("ITEM", sentence))
        yield re.sub(r"ITEM(, ITEM)*, and ITEM", "ITEM", sentence)  # places that share a spot


def sentences_of(games: Iterable[Record]) -> set[str]:
    return {
        sentence
        for game in games
        for text in (game.first_text, *(turn.observation for turn in game.turns))
        for sentence in sentences(text)
    }


def grammar_of(task: Task) -> str:
    file = Path(os.environ["ALFWORLD_DATA"]) / "json_2.1.1" / task.id / "game.tw-pddl"
    return str(json.loads(file.read_text())["grammar"])


def grammar_sentences(task: Task) -> set[str]:
    """Return the sentences that a game's grammar can produce, with the same placeholders."""
    texts: set[str] = set()
    for rule in re.findall(r'"rhs": "(.*)"', grammar_of(task)):
        text = rule.replace("#look-variations#", "You are facing the ITEM")
        text = re.sub(r"\[\{\w+\.indefinite[^\]]*\]|#list_\w+#", "LIST", text)
        texts |= set(sentences(re.sub(r"\{\w+\.name\}", "ITEM", text)))
    return texts


def test_the_parser_reads_every_admissible_command(tours: list[Record]) -> None:
    commands = {command for game in tours for command in game.admissible}
    assert len(commands) > 100
    assert [command for command in commands if parse_command(command) is None] == []


def test_every_command_of_the_household_exists_in_the_real_games(household: list[Record]) -> None:
    (task,) = Alfworld().tasks("valid_unseen", 1)
    templates = re.findall(r'template :: "(.*)";', grammar_of(task))
    real = {re.sub(r"\{\w+\}|\[.*?\]", "ITEM", template) for template in templates}
    commands = {ITEM.sub("ITEM", command) for game in household for command in game.admissible}
    assert len(commands) >= 12
    assert commands - real <= {"put ITEM in/on ITEM"}  # newer data has: move ITEM to ITEM


def test_first_observations_are_parsed(records: list[Record]) -> None:
    for game in records:
        goal = parse_goal(goal_in(game.first_text))
        assert goal is not None
        assert goal.family == game.task.kind
        assert game.task.instruction.startswith(goal_in(game.first_text))
        places = places_in(game.first_text)
        assert len(places) == len(ITEM.findall(game.first_text)) > 3
        assert {kind_of(place) for place in places} <= set(PLACES)


def test_the_contents_of_places_are_parsed(records: list[Record], tours: list[Record]) -> None:
    sights = [
        (turn.observation, sight_in(turn.observation))
        for game in [*records, *tours]
        for turn in game.turns
        if "is closed." in turn.observation
        or ("you see" in turn.observation and "You are" not in turn.observation)
    ]
    assert len(sights) > 30
    for text, sight in sights:
        assert sight is not None, text
        items = ITEM.findall(text.partition("you see")[2])
        assert sight.things == (None if "is closed." in text else tuple(items))
        assert text.count(sight.place) >= 1


def test_the_household_has_every_sentence_of_the_real_games(
    records: list[Record], tours: list[Record], household: list[Record]
) -> None:
    assert sentences_of([*records, *tours]) - sentences_of(household) == set()


def test_the_real_games_have_every_sentence_of_the_household(
    records: list[Record], household: list[Record]
) -> None:
    texts = sentences_of(household)
    assert len(texts) > 20
    real = grammar_sentences(records[0].task) | sentences_of(records)
    assert {sentence for sentence in texts if sentence not in real} == set()


def test_task_sentences_match_the_official_templates() -> None:
    from alfworld.gen.goal_library import gdict

    names = {"obj": "{thing}", "recep": "{target}", "toggle": "{target}"}
    official = {
        family: {f"{text.format(**names)}." for text in gdict[kind]["templates"]}
        for kind, family in KINDS.items()
    }
    assert {family: set(texts) for family, texts in SENTENCES.items()} == official


def test_a_replay_restores_a_lost_game(records: list[Record]) -> None:
    episodes, games = Episodes(live=0), environment("alfworld")
    game = next(game for game in records if len(game.successes) == 1)
    opening = episodes.start(games, game.task)
    assert text_of(opening) == game.first_text
    messages: list[AnyMessage] = [opening]
    for turn in game.turns[:2]:
        reply = episodes.advance(games, game.task, messages, AIMessage(turn.text)).reply
        assert text_of(reply) == turn.observation
        messages += [AIMessage(turn.text), reply]


def test_games_in_several_threads_are_independent(records: list[Record]) -> None:
    games = records[:3]

    def again(game: Record) -> list[str]:
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
def test_the_game_accepts_both_wordings_of_put(
    records: list[Record], phrase: Callable[[str, str], str]
) -> None:
    game = next(game for game in records if any("take" in turn.text for turn in game.turns))
    commands = [action_in(turn.text) for turn in game.turns]
    index = next(i for i, command in enumerate(commands) if command.startswith("take"))
    simulator = environment("alfworld").reset(game.task)
    for command in commands[: index + 1]:
        simulator.step(command)
    take = parse_command(commands[index])
    assert take is not None
    answer = simulator.step(phrase(take.first, take.second))
    assert answer.text == f"You put the {take.first} in/on the {take.second}."


def test_the_expert_solves_the_real_games_after_reflection(records: list[Record]) -> None:
    assert sum(any(game.successes) for game in records) >= len(records) - 1


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_step_limit_suffices_with_knowledge_and_rarely_without() -> None:
    home = Alfworld()
    blind, with_knowledge, after_reflection = [], [], []
    for task in home.tasks("valid_unseen", 36):
        steps, opening, turns = walk(home, task, Knowledge(), limit=60)
        blind.append(steps <= STEP_LIMIT)
        with_knowledge.append(walk(home, task, learn(opening, turns), STEP_LIMIT)[0] <= STEP_LIMIT)
        after_reflection.append(any(attempts_of(task).successes))
    assert 0.3 <= sum(blind) / len(blind) <= 0.6
    assert sum(with_knowledge) / len(with_knowledge) >= 0.98
    assert sum(after_reflection) / len(after_reflection) >= 0.9


def walk(
    home: Alfworld, task: Task, knowledge: Knowledge, limit: int
) -> tuple[int, str, list[Turn]]:
    """Let the expert act; return its steps (limit + 1 on failure), the first text, its turns."""
    simulator = home.reset(task)
    opening, turns = simulator.first_observation().text, list[Turn]()
    for step in range(1, limit + 1):
        text = expert(opening, turns, knowledge)
        observation = simulator.step(action_in(text))
        turns.append(Turn(text, observation.text))
        if observation.done:
            return step, opening, turns
    return limit + 1, opening, turns
