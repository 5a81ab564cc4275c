"""The expert: at a loss without knowledge, direct with it, and never wiser than its transcript."""

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
from apprentice.state.nouns import Task

SOMEWHERE = [(w, size) for w in ("north", "alfworld") for size in SIZES]


NONE = Knowledge()


def attempt(house: Game, limit: int, knowledge: Knowledge = NONE) -> tuple[bool, list[Turn]]:
    """Let the expert act until it is done or out of steps."""
    opening, turns = house.first_observation().text, list[Turn]()
    for _ in range(limit):
        text = expert(opening, turns, knowledge)
        observation = house.step(action_in(text))
        turns.append(Turn(text, observation.text))
        if observation.done:
            return True, turns
    return False, turns


def exact(home: Household, task: Task) -> Knowledge:
    """Tell where the task's things are in its very room, and what works in its world."""
    room = home.reset(task).room
    nouns = (room.goal.thing, room.goal.target)
    found = {n: tuple(p for t, p in room.things.items() if kind_of(t) == n) for n in nouns}
    return Knowledge(locations=found, appliances=dict(home.world.treats))


def rate(outcomes: Iterable[bool]) -> float:
    listed = list(outcomes)
    return sum(listed) / len(listed)


@pytest.mark.parametrize(("world_name", "size"), SOMEWHERE)
def test_limits_separate_those_who_know_from_those_who_do_not(world_name: str, size: str) -> None:
    home = Household(world_name, size)
    tasks = list(home.tasks("test", 300))
    knowing = rate(attempt(home.reset(t), home.step_limit(t), exact(home, t))[0] for t in tasks)
    blind = rate(attempt(home.reset(t), home.step_limit(t))[0] for t in tasks)
    assert knowing >= 0.98
    assert 0.25 <= blind <= 0.6


def test_its_own_lessons_solve_what_it_failed() -> None:
    home = Household("north", "small")
    solved = 0
    tasks = list(home.tasks("test", 120))
    for task in tasks:
        knowledge = Knowledge()
        for _ in range(4):
            done, turns = attempt(home.reset(task), home.step_limit(task), knowledge)
            if done:
                solved += 1
                break
            knowledge = learn(home.reset(task).first_observation().text, turns, knowledge)
    assert solved / len(tasks) >= 0.95


def test_another_rooms_lesson_does_not_help() -> None:
    home = Household("north", "small")
    tasks = [t for t in home.tasks("test", 240) if t.kind == "pick"]
    knowledge = [exact(home, task) for task in [*tasks[1:], tasks[0]]]
    misled = rate(
        attempt(home.reset(task), home.step_limit(task), other)[0]
        for task, other in zip(tasks, knowledge, strict=True)
    )
    assert misled <= 0.65


@pytest.mark.parametrize(("world_name", "size"), SOMEWHERE)
def test_every_command_it_gives_is_understood(world_name: str, size: str) -> None:
    home = Household(world_name, size)
    for task in home.tasks("validation", 30):
        _, turns = attempt(home.reset(task), 40)
        commands = [parse_command(action_in(turn.text)) for turn in turns]
        assert None not in commands
        refused = {c.verb for c, turn in zip(commands, turns, strict=True) if c and refuses(turn)}
        assert refused <= {"go", "clean", "cool", "heat"}  # what it has to try out
        assert not any(one == two for one, two in pairwise(commands) if one and one.verb == "go")


def refuses(turn: Turn) -> bool:
    return turn.observation == NOTHING


def test_it_acts_sensibly_after_anybodys_actions() -> None:
    home = Household("north", "small")
    for task in home.tasks("test", 60):
        house = home.reset(task)
        opening, turns = house.first_observation().text, list[Turn]()
        for command in ("sing", house.admissible()[0], "look", house.admissible()[-1]):
            turns.append(Turn(command, house.step(command).text))
        for _ in range(60):
            text = expert(opening, turns)
            observation = house.step(action_in(text))
            turns.append(Turn(text, observation.text))
            if observation.done:
                break
        assert observation.done


@pytest.mark.parametrize("text", ["", "hello", "Your task is to: be nice."])
def test_without_a_household_task_it_looks(text: str) -> None:
    assert expert(text, []) == "look"
    assert learn(text, []) == Knowledge()


ROOM = Room(
    Goal("two", "pen", "shelf"),
    "put two pen in shelf.",
    {"desk 1": False, "shelf 1": False, "sofa 1": False, "bed 1": False},
    {"pen 1": "desk 1", "pen 2": "bed 1"},
    spots={},
)


def test_a_second_thing_is_searched_on_from_where_the_search_stopped() -> None:
    house = Game(world("north"), ROOM)
    _, turns = attempt(house, limit=4)
    assert action_in(turns[-1].text) == "put pen 2 in/on shelf 1"
    lesson = learn(house.first_observation().text, turns)
    assert lesson.locations == {"pen": ("bed 1",)}
    assert lesson.candidates == {"pen": ("sofa 1", "desk 1")}
    done, turns = attempt(Game(world("north"), ROOM), 10, lesson)
    assert done
    assert [action_in(turn.text) for turn in turns[4:6]] == ["go to sofa 1", "go to desk 1"]


SHARED = "You are in the middle of a room. Looking quickly around you, you see a cabinet 2, \
and a cabinet 1.\n\nYour task is to: put a mug in cabinet."


def test_a_place_that_shares_its_spot_is_examined_instead() -> None:
    """In the real games one cannot go where one already is, though it has another name."""
    turns = [
        Turn("go to cabinet 2", "On the cabinet 2, you see nothing."),
        Turn("think: The mug is not here.\ngo to cabinet 1", NOTHING),
    ]
    assert expert(SHARED, turns) == "examine cabinet 1"
    turns.append(Turn("examine cabinet 1", "The cabinet 1 is closed."))
    assert expert(SHARED, turns) == "open cabinet 1"
