"""Environments by name."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from apprentice.environments.household import Household
from apprentice.environments.protocol import Environment
from apprentice.environments.registry import GROUP, Environments
from apprentice.state.errors import BadInput, MissingPart, UnknownName

ROOM = "apprentice.environments.household"


ENVIRONMENTS = Environments()
environment, known = ENVIRONMENTS.get, ENVIRONMENTS.names


def provided(**values: str) -> Environments:
    """Return the environments where installed packages declare these entry points."""
    points = [EntryPoint(name, value, GROUP) for name, value in values.items()]
    return Environments(providers=lambda: points)


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("household", "household/north/small"),
        ("household/south", "household/south/small"),
        ("household/w17/full", "household/w17/full"),
        ("alfworld", "alfworld"),
    ],
)
def test_a_name_gives_an_environment_that_knows_its_full_name(name: str, full: str) -> None:
    made = environment(name)
    assert isinstance(made, Environment)
    assert made.name == full
    assert environment(full) is environment(full) is environment(made.name)


def test_every_household_that_is_listed_exists() -> None:
    names = [name for name in known() if name.startswith("household/")]
    assert len(names) == 9
    assert [environment(name).name for name in names] == names


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("houshold", "'household'"),
        ("household/nroth", "'north'"),
        ("household/north/smal", "'small'"),
        ("household/north/small/1", "'household/north/small'"),
        ("alfworld/x", "'alfworld'"),
    ],
)
def test_an_unknown_name_is_met_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(UnknownName, match=f"Did you mean {hint}"):
        environment(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "os.path:join",
        f"{ROOM}:Household",
        "../household",
        "\x00",
    ],
)
def test_only_names_are_names(name: str) -> None:
    with pytest.raises(UnknownName):
        environment(name)


def test_an_entry_point_is_an_environment_by_its_name() -> None:
    environments = provided(attic=f"{ROOM}:Household")
    assert "attic" in environments.names()
    assert environments.get("attic").name == "household/north/small"
    assert environments.get("attic/south/full").name == "household/south/full"


def test_an_environment_of_ones_own_is_known_by_its_name() -> None:
    environments = Environments(own={"attic": Household})
    assert "attic" in environments.names()
    assert environments.get("attic/south").name == "household/south/small"


def test_an_entry_point_does_not_replace_what_ships() -> None:
    assert isinstance(provided(household="builtins:dict").get("household"), Household)


@pytest.mark.parametrize(
    ("value", "name", "error", "words"),
    [
        ("nowhere.at.all:Thing", "attic", MissingPart, "cannot be loaded"),
        (f"{ROOM}:Nothing", "attic", MissingPart, "cannot be loaded"),
        ("fractions:Fraction", "attic", MissingPart, "gives a Fraction, not an Environment"),
        (f"{ROOM}:Household", "attic/a/b/c", BadInput, "does not take"),
        (
            f"{ROOM}:Household",
            "attic/nroth",
            UnknownName,
            "Did you mean 'north'",
        ),
    ],
)
def test_an_entry_point_that_does_not_work_says_why(
    value: str, name: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        provided(attic=value).get(name)


def test_importing_the_registry_is_light() -> None:
    code = (
        "import sys, environments.registry, environments.advance;"
        "heavy = {'textworld', 'alfworld', 'torch', 'transformers', 'langgraph'};"
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
