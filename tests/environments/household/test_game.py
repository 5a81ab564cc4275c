"""The rules of the household, on small rooms written by hand and on generated rooms."""

from __future__ import annotations

import random
from collections.abc import Sequence
from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apprentice.environments.household import Household
from apprentice.environments.household.game import Game
from apprentice.environments.household.language import NOTHING, Goal
from apprentice.environments.household.rooms import Room
from apprentice.environments.household.vocabulary import APPLIANCES, TREATMENTS
from apprentice.environments.household.world import world

PLACES = {"desk 1": False, "shelf 1": False, "safe 1": True, "shelf 2": False, "safe 2": True}
SPOTS = {"safe 2": "shelf 2"}
PLACES |= {f"{kind} 1": kind != "sinkbasin" for kind in APPLIANCES}
THINGS = {"mug 1": "desk 1", "mug 2": "safe 1", "desklamp 1": "shelf 1", "pen 1": "desk 1"}
GOAL = Goal("pick", "mug", "shelf")


def game(goal: Goal = GOAL, world_name: str = "north") -> Game:
    return Game(world(world_name), Room(goal, "put a mug in shelf.", PLACES, THINGS, SPOTS))


def play(house: Game, commands: Sequence[str]) -> list[str]:
    return [house.step(command).text for command in commands]


@pytest.mark.parametrize(
    ("commands", "answer"),
    [
        (["go to desk 1"], "On the desk 1, you see a mug 1, and a pen 1."),
        (["go to safe 1"], "The safe 1 is closed."),
        (
            ["go to safe 1", "open safe 1"],
            "You open the safe 1. The safe 1 is open. In it, you see a mug 2.",
        ),
        (["go to safe 1", "open safe 1", "close safe 1"], "You close the safe 1."),
        (
            ["go to safe 1", "open safe 1", "close safe 1", "examine safe 1"],
            "The safe 1 is closed.",
        ),
        (["go to desk 1", "take pen 1 from desk 1"], "You pick up the pen 1 from the desk 1."),
        (["go to desk 1", "take pen 1 from desk 1", "inventory"], "You are carrying: a pen 1."),
        (
            ["go to desk 1", "take pen 1 from desk 1", "go to shelf 1", "move pen 1 to shelf 1"],
            "You put the pen 1 in/on the shelf 1.",
        ),
        (["inventory"], "You are not carrying anything."),
        (["go to safe 2", "examine shelf 2"], "On the shelf 2, you see nothing."),
        (["go to shelf 2", "examine safe 2"], "The safe 2 is closed."),
        (
            ["go to shelf 2", "open safe 2"],
            "You open the safe 2. The safe 2 is open. In it, you see nothing.",
        ),
        (
            ["go to shelf 2", "look"],
            "You are facing the safe 2, and shelf 2. Next to it, you see nothing.",
        ),
        (["go to desk 1", "look"], "You are facing the desk 1. Next to it, you see nothing."),
        (["go to desk 1", "examine pen 1"], "There's nothing special about pen 1."),
        (["go to shelf 1", "use desklamp 1"], "You turn on the desklamp 1."),
        (["go to shelf 1", "use desklamp 1", "examine desklamp 1"], "This desklamp 1 is on."),
        (["go to shelf 1", "use desklamp 1", "use desklamp 1"], "You turn off the desklamp 1."),
    ],
)
def test_a_command_has_its_observation(commands: list[str], answer: str) -> None:
    assert play(game(), commands)[-1] == answer


@pytest.mark.parametrize(
    "commands",
    [
        ["go to moon 1"],
        ["go to desk 1", "go to desk 1"],
        ["go to shelf 2", "go to safe 2"],  # they share a spot
        ["open safe 1"],
        ["go to desk 1", "open desk 1"],
        ["take mug 1 from desk 1"],
        ["go to safe 1", "take mug 2 from safe 1"],  # the safe is closed
        ["go to safe 1", "examine mug 2"],
        ["go to desk 1", "take mug 1 from desk 1", "take pen 1 from desk 1"],
        ["go to desk 1", "take mug 1 from desk 1", "go to safe 1", "put mug 1 in/on safe 1"],
        ["go to desk 1", "put mug 1 in/on desk 1"],
        ["go to desk 1", "use mug 1"],
        ["use desklamp 1"],
        ["go to desk 1", "use desklamp 1"],
        ["go to fridge 1", "clean mug 1 with fridge 1"],
        ["go to desk 1", "take mug 1 from desk 1", "clean mug 1 with fridge 1"],
        ["slice mug 1 with pen 1"],
        ["think about it"],
        [""],
    ],
)
def test_an_impossible_command_changes_nothing(commands: list[str]) -> None:
    house = game()
    play(house, commands[:-1])
    before = deepcopy(vars(house))
    assert house.step(commands[-1]).text == NOTHING
    assert state_of(vars(house)) == state_of(before)


def state_of(fields: dict[str, object]) -> dict[str, object]:
    """Return the fields without empty sets, because a look-up may add some."""
    return {
        name: {k: v for k, v in value.items() if v != set()} if isinstance(value, dict) else value
        for name, value in fields.items()
    }


@pytest.mark.parametrize("world_name", ["north", "south", "alfworld", "w5"])
@pytest.mark.parametrize("verb", TREATMENTS)
def test_a_treatment_works_with_one_appliance(world_name: str, verb: str) -> None:
    appliances = set()
    for appliance in APPLIANCES:
        house = game(world_name=world_name)
        place = f"{appliance} 1"
        play(house, ["go to desk 1", "take mug 1 from desk 1", f"go to {place}"])
        answer = house.step(f"{verb} mug 1 with {place}").text
        if answer != NOTHING:
            assert answer == f"You {verb} the mug 1 using the {place}."
            appliances.add(appliance)
    assert appliances == {world(world_name).treats[verb]}


def test_heat_replaces_cool_and_not_clean() -> None:
    house = game(world_name="alfworld")
    play(house, ["go to desk 1", "take mug 1 from desk 1"])
    texts = []
    for verb, place in (("clean", "sinkbasin"), ("cool", "fridge"), ("heat", "microwave")):
        play(house, [f"go to {place} 1", f"{verb} mug 1 with {place} 1"])
        texts.append(house.step("examine mug 1").text)
    assert texts == [
        "This is a clean mug 1.",
        "This is a cool and clean mug 1.",
        "This is a hot and clean mug 1.",
    ]


FETCH = ["go to desk 1", "take mug 1 from desk 1"]
PLACE_IT = ["go to shelf 1", "put mug 1 in/on shelf 1"]
SECOND = ["go to safe 1", "open safe 1", "take mug 2 from safe 1"]
CLEAN = ["go to sinkbasin 1", "clean mug 1 with sinkbasin 1"]


@pytest.mark.parametrize(
    ("goal", "commands"),
    [
        (Goal("pick", "mug", "shelf"), FETCH + PLACE_IT),
        (Goal("clean", "mug", "shelf"), FETCH + CLEAN + PLACE_IT),
        (Goal("light", "mug", "desklamp"), [*FETCH, "go to shelf 1", "use desklamp 1"]),
        (
            Goal("two", "mug", "shelf"),
            [*FETCH, *PLACE_IT, *SECOND, "go to shelf 1", "put mug 2 in/on shelf 1"],
        ),
    ],
)
def test_only_the_last_command_reaches_the_goal(goal: Goal, commands: list[str]) -> None:
    house = game(goal, "alfworld")
    observations = [house.step(command) for command in commands]
    assert [o.done for o in observations] == [False] * (len(commands) - 1) + [True]
    assert [o.score for o in observations] == [0.0] * (len(commands) - 1) + [1.0]


@pytest.mark.parametrize(
    ("goal", "commands"),
    [
        (Goal("clean", "mug", "shelf"), FETCH + PLACE_IT),
        (Goal("light", "mug", "desklamp"), ["go to shelf 1", "use desklamp 1"]),
        (Goal("two", "mug", "shelf"), FETCH + PLACE_IT),
        (
            Goal("two", "mug", "shelf"),
            [*FETCH, *PLACE_IT, *SECOND, "go to desk 1", "put mug 2 in/on desk 1"],
        ),
        (Goal("pick", "pen", "shelf"), FETCH + PLACE_IT),
    ],
)
def test_half_of_a_goal_is_not_success(goal: Goal, commands: list[str]) -> None:
    house = game(goal, "alfworld")
    assert not any(house.step(command).done for command in commands)


def test_nothing_names_the_contents_of_a_closed_place() -> None:
    house = game()
    texts = [
        house.first_observation().text,
        *play(house, ["go to safe 1", "examine safe 1", "look"]),
    ]
    assert not any("mug 2" in text for text in texts)
    assert not any("mug 2" in command for command in house.admissible())


ROOMS = st.builds(
    lambda w, size, index: (Household(w, size), f"test/{index}"),
    st.sampled_from(["north", "south", "alfworld", "w3"]),
    st.sampled_from(["small", "medium"]),
    st.integers(0, 10_000),
)


@settings(max_examples=12, deadline=None)
@given(ROOMS, st.randoms(use_true_random=False))
def test_exactly_the_admissible_commands_have_an_effect(
    sample: tuple[Household, str], rng: random.Random
) -> None:
    home, task_id = sample
    house = home.reset(home.task(task_id))
    for _ in range(12):
        admissible = house.admissible()
        for command in admissible:
            assert deepcopy(house).step(command).text != NOTHING, command
        for command in imaginable(house) - set(admissible):
            assert house.step(command).text == NOTHING, command
        # Prefer commands that take or open things, so that the walk reaches more states.
        effective = [c for c in admissible if c.split()[0] not in ("go", "examine", "look")]
        house.step(rng.choice(effective if effective and rng.random() < 0.6 else admissible))


def imaginable(house: Game) -> set[str]:
    """Return every command that can be formed with the room's own nouns."""
    places, things = list(house.room.places), list(house.room.things)
    single = {f"{verb} {item}" for verb in ("examine", "use", "open") for item in places + things}
    pairs = {
        phrase.format(thing, place)
        for phrase in ("take {} from {}", "put {} in/on {}", "clean {} with {}", "heat {} with {}")
        for thing in things
        for place in places
    }
    return single | pairs | {f"{verb} {place}" for verb in ("go to", "close") for place in places}


@settings(max_examples=30, deadline=None)
@given(ROOMS, st.randoms(use_true_random=False))
def test_the_same_commands_give_the_same_answers(
    sample: tuple[Household, str], rng: random.Random
) -> None:
    home, task_id = sample
    first, second = home.reset(home.task(task_id)), home.reset(home.task(task_id))
    assert first.first_observation() == second.first_observation()
    for _ in range(15):
        command = rng.choice(first.admissible())
        assert first.step(command) == second.step(command)
