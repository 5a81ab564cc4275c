"""Tasks and rooms: an id determines its room, and splits share none."""

from __future__ import annotations

import pytest

from apprentice.environments.household import Household
from apprentice.environments.household.language import kind_of, parse_goal
from apprentice.environments.household.rooms import SIZES, SPLITS, generate
from apprentice.environments.household.vocabulary import (
    APPLIANCES,
    CATEGORY,
    FAMILIES,
    STORES,
    TREATABLE,
)
from apprentice.environments.household.world import NAMED, STRAY, world
from apprentice.state.errors import BadInput, OutOfBounds, UnknownName
from apprentice.state.trajectory import Task

EVERYWHERE = [(w, size) for w in ("north", "south", "alfworld", "w1") for size in SIZES]


def tasks(home: Household, split: str, limit: int = 120, seed: int = 0) -> list[Task]:
    return list(home.tasks(split, limit, seed))


@pytest.mark.parametrize(("world_name", "size"), EVERYWHERE)
def test_a_room_contains_what_its_goal_needs(world_name: str, size: str) -> None:
    home = Household(world_name, size)
    for task in tasks(home, "test", 60):
        room = home.reset(task).room
        goal = parse_goal(task.instruction)
        assert goal == room.goal
        assert goal is not None
        assert goal.family == task.kind
        low, high = SIZES[size]
        assert low <= len(room.places) <= high
        assert set(room.things.values()) <= set(room.places)
        places = [place for thing, place in room.things.items() if kind_of(thing) == goal.thing]
        assert len(places) >= (2 if goal.family == "two" else 1)
        kinds = {kind_of(place) for place in room.places}
        if goal.family == "light":
            assert f"{goal.target} 1" in room.things
        else:
            assert goal.target in kinds
            assert goal.target not in {kind_of(place) for place in places}
        if goal.family in TREATABLE:
            assert set(APPLIANCES) <= kinds


def test_an_id_determines_its_task_and_room() -> None:
    home, again = Household("north", "medium"), Household("north", "medium")
    for task in tasks(home, "train", 30):
        assert again.task(task.id) == task
        assert again.reset(task).room == home.reset(task).room


@pytest.mark.parametrize("task_id", ["train/06", "train/000000000006"])
def test_a_task_has_one_id(task_id: str) -> None:
    home = Household()
    assert home.task(task_id) == home.task("train/6")


def test_families_take_turns() -> None:
    kinds = [task.kind for task in Household().tasks("test", 60, seed=7)]
    assert kinds == list(FAMILIES) * 10


def test_seeds_share_no_tasks() -> None:
    home = Household()
    first, second = ({t.id for t in tasks(home, "test", 500, seed)} for seed in (0, 1))
    assert len(first) == len(second) == 500
    assert not first & second


def test_splits_share_no_goal_pair_in_any_world() -> None:
    pairs: dict[str, set[tuple[str, str]]] = {split: set() for split in SPLITS}
    for world_name in ("north", "south", "alfworld", "w1", "w2"):
        for split in SPLITS:
            goals = (generate(world(world_name), "small", split, i).goal for i in range(300))
            pairs[split] |= {(goal.thing, goal.target) for goal in goals}
    assert all(len(goal_pairs) > 20 for goal_pairs in pairs.values())
    assert not pairs["train"] & pairs["test"]
    assert not pairs["train"] & pairs["validation"]
    assert not pairs["validation"] & pairs["test"]


def test_splits_share_no_room() -> None:
    home = Household("north", "small")
    rooms = {
        split: {str(generate(home.world, "small", split, i).things) for i in range(300)}
        for split in SPLITS
    }
    assert sum(map(len, rooms.values())) == len(set.union(*rooms.values())) == 900


@pytest.mark.parametrize("world_name", ["north", "south", "w9"])
def test_most_things_are_where_the_world_stores_them(world_name: str) -> None:
    home = Household(world_name, "full")
    in_place = total = 0
    for task in tasks(home, "train", 120):
        room = home.reset(task).room
        present = {kind_of(place) for place in room.places}
        for thing, place in room.things.items():
            home_kind = home.world.keeps[CATEGORY[kind_of(thing)]]
            if home_kind in present:
                total += 1
                in_place += kind_of(place) == home_kind
    assert total > 1000
    assert 1 - STRAY - 0.05 < in_place / total <= 1 - STRAY + 0.08


def test_seeded_worlds_differ_from_named_ones() -> None:
    for seed in range(200):
        sample = world(f"w{seed}")
        for other in NAMED.values():
            assert sample.treats != other.treats
            same = sum(sample.keeps[c] == place for c, place in other.keeps.items())
            assert same <= len(other.keeps) // 2
        assert set(sample.treats.values()) == set(APPLIANCES)
        assert set(sample.keeps.values()) <= set(STORES)


@pytest.mark.parametrize(
    "task_id",
    [
        "",
        "test",
        "test/",
        "test/-1",
        "test/1.5",
        "dev/1",
        "test/1/2",
        "test/1\n",
        "test/" + "9" * 99,
        "test/\u0661",
        "../test/1",
    ],
)
def test_an_unknown_task_id_is_an_error(task_id: str) -> None:
    with pytest.raises(BadInput, match="There is no household task"):
        Household().task(task_id)


def test_an_error_names_the_unknown_part() -> None:
    with pytest.raises(UnknownName, match=r"household split 'tst'\. Did you mean 'test'"):
        tasks(Household(), "tst")
    with pytest.raises(UnknownName, match=r"household world 'nrth'\. Did you mean 'north'"):
        Household("nrth")
    with pytest.raises(UnknownName, match="household world 'w017'"):
        Household("w017")
    with pytest.raises(UnknownName, match="household size 'huge'"):
        Household("north", "huge")
    with pytest.raises(OutOfBounds, match="seed is -1"):
        tasks(Household(), "test", seed=-1)


def test_the_step_limit_depends_only_on_the_id() -> None:
    home = Household()
    for task in tasks(home, "test", 6):
        bare = Task(id=task.id, environment=task.environment)
        assert home.step_limit(bare) == home.step_limit(task) > 0
