"""The expert: it explores without knowledge, acts directly with it, and sees only transcripts."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest

from apprentice.environments.household import Household
from apprentice.environments.household.expert import Knowledge, Turn, action_in, expert, learn
from apprentice.environments.household.game import Game
from apprentice.environments.household.language import NOTHING, Goal, kind_of, parse_command
from apprentice.environments.household.rooms import SIZES, Room
from apprentice.environments.household.world import world
from apprentice.state.trajectory import Task

SOMEWHERE = [(w, size) for w in ("north", "alfworld") for size in SIZES]


NONE = Knowledge()


def attempt(house: Game, limit: int, knowledge: Knowledge = NONE) -> tuple[bool, list[Turn]]:
    """Let the expert act until it succeeds or is out of steps; return success and the turns."""
    first_text, turns = house.first_observation().text, list[Turn]()
    for _ in range(limit):
        text = expert(first_text, turns, knowledge)
        observation = house.step(action_in(text))
        turns.append(Turn(text, observation.text))
        if observation.done:
            return True, turns
    return False, turns


def exact(home: Household, task: Task) -> Knowledge:
    """Return the locations of the task's things in its room, and the appliances of its world."""
    room = home.reset(task).room
    nouns = (room.goal.thing, room.goal.target)
    locations = {n: tuple(p for t, p in room.things.items() if kind_of(t) == n) for n in nouns}
    return Knowledge(locations=locations, appliances=dict(home.world.treats))


def rate(outcomes: Iterable[bool]) -> float:
    results = list(outcomes)
    return sum(results) / len(results)


@pytest.mark.parametrize(("world_name", "size"), SOMEWHERE)
def test_step_limits_suffice_with_knowledge_and_rarely_without(world_name: str, size: str) -> None:
    home = Household(world_name, size)
    tasks = list(home.tasks("test", 300))
    with_knowledge = rate(
        attempt(home.reset(t), home.step_limit(t), exact(home, t))[0] for t in tasks
    )
    blind = rate(attempt(home.reset(t), home.step_limit(t))[0] for t in tasks)
    assert with_knowledge >= 0.98
    assert 0.25 <= blind <= 0.6


def test_knowledge_from_failed_attempts_solves_the_task() -> None:
    home = Household("north", "small")
    successes = 0
    tasks = list(home.tasks("test", 120))
    for task in tasks:
        knowledge = Knowledge()
        for _ in range(4):
            success, turns = attempt(home.reset(task), home.step_limit(task), knowledge)
            if success:
                successes += 1
                break
            knowledge = learn(home.reset(task).first_observation().text, turns, knowledge)
    assert successes / len(tasks) >= 0.95


def test_locations_of_another_room_do_not_help() -> None:
    home = Household("north", "small")
    tasks = [t for t in home.tasks("test", 240) if t.kind == "pick"]
    knowledge = [exact(home, task) for task in [*tasks[1:], tasks[0]]]
    with_wrong_room = rate(
        attempt(home.reset(task), home.step_limit(task), other)[0]
        for task, other in zip(tasks, knowledge, strict=True)
    )
    assert with_wrong_room <= 0.65


@pytest.mark.parametrize(("world_name", "size"), SOMEWHERE)
def test_the_game_understands_every_command_of_the_expert(world_name: str, size: str) -> None:
    home = Household(world_name, size)
    for task in home.tasks("validation", 30):
        _, turns = attempt(home.reset(task), 40)
        commands = [parse_command(action_in(turn.text)) for turn in turns]
        assert None not in commands
        failed_verbs = {
            c.verb for c, turn in zip(commands, turns, strict=True) if c and has_no_effect(turn)
        }
        assert failed_verbs <= {"go", "clean", "cool", "heat"}  # it has to try these out
        assert not any(one == two for one, two in pairwise(commands) if one and one.verb == "go")


def has_no_effect(turn: Turn) -> bool:
    return turn.observation == NOTHING


def test_it_solves_a_task_after_arbitrary_commands() -> None:
    home = Household("north", "small")
    for task in home.tasks("test", 60):
        house = home.reset(task)
        first_text, turns = house.first_observation().text, list[Turn]()
        for command in ("sing", house.admissible()[0], "look", house.admissible()[-1]):
            turns.append(Turn(command, house.step(command).text))
        for _ in range(60):
            text = expert(first_text, turns)
            observation = house.step(action_in(text))
            turns.append(Turn(text, observation.text))
            if observation.done:
                break
        assert observation.done


@pytest.mark.parametrize("text", ["", "hello", "Your task is to: be nice."])
def test_its_command_is_look_if_there_is_no_household_task(text: str) -> None:
    assert expert(text, []) == "look"
    assert learn(text, []) == Knowledge()


ROOM = Room(
    Goal("two", "pen", "shelf"),
    "put two pen in shelf.",
    {"desk 1": False, "shelf 1": False, "sofa 1": False, "bed 1": False},
    {"pen 1": "desk 1", "pen 2": "bed 1"},
    spots={},
)


def test_the_search_for_a_second_thing_continues_after_the_last_place() -> None:
    house = Game(world("north"), ROOM)
    _, turns = attempt(house, limit=4)
    assert action_in(turns[-1].text) == "put pen 2 in/on shelf 1"
    knowledge = learn(house.first_observation().text, turns)
    assert knowledge.locations == {"pen": ("bed 1",)}
    assert knowledge.candidates == {"pen": ("sofa 1", "desk 1")}
    success, turns = attempt(Game(world("north"), ROOM), 10, knowledge)
    assert success
    assert [action_in(turn.text) for turn in turns[4:6]] == ["go to sofa 1", "go to desk 1"]


TWO_CABINETS = "You are in the middle of a room. Looking quickly around you, you see a cabinet 2, \
and a cabinet 1.\n\nYour task is to: put a mug in cabinet."


def test_it_examines_a_place_that_shares_its_spot() -> None:
    """In the real games, an agent cannot go to a place that shares its spot."""
    turns = [
        Turn("go to cabinet 2", "On the cabinet 2, you see nothing."),
        Turn("think: The mug is not here.\ngo to cabinet 1", NOTHING),
    ]
    assert expert(TWO_CABINETS, turns) == "examine cabinet 1"
    turns.append(Turn("examine cabinet 1", "The cabinet 1 is closed."))
    assert expert(TWO_CABINETS, turns) == "open cabinet 1"
