"""The readers understand what the writers write, and tolerate what models write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.environments.household import language
from apprentice.environments.household.language import (
    SENTENCES,
    Command,
    Goal,
    Sight,
    goal_in,
    parse_command,
    parse_goal,
    places_in,
    sight_in,
)
from apprentice.environments.household.vocabulary import PLACES, THINGS

THING = st.sampled_from([noun for nouns in THINGS.values() for noun in nouns])
PLACE = st.sampled_from(sorted(PLACES))
NUMBER = st.integers(1, 30)
ITEMS = st.sets(st.builds("{} {}".format, THING, NUMBER), max_size=8)
PLACE_NAME = st.builds("{} {}".format, PLACE, NUMBER)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("go to desk 1", Command("go", "desk 1")),
        ("  Go  to DESK 1. ", Command("go", "desk 1")),
        ("take mug 1 from desk 1", Command("take", "mug 1", "desk 1")),
        ("put mug 1 in/on shelf 2", Command("put", "mug 1", "shelf 2")),
        ("put mug 1 in shelf 2", Command("put", "mug 1", "shelf 2")),
        ("move mug 1 to shelf 2", Command("put", "mug 1", "shelf 2")),
        ("clean mug 1 with sinkbasin 1", Command("clean", "mug 1", "sinkbasin 1")),
        ("use desklamp 1", Command("use", "desklamp 1")),
        ("examine mug 1", Command("examine", "mug 1")),
        ("look", Command("look")),
        ("inventory", Command("inventory")),
    ],
)
def test_a_command_is_parsed(text: str, command: Command) -> None:
    assert parse_command(text) == command


@pytest.mark.parametrize(
    "text",
    [
        "",
        "go",
        "go to",
        "go to desk",
        "go to desk one",
        "go to desk 1 and look",
        "take mug 1",
        "put mug 1",
        "look around",
        "sit desk 1",
    ],
)
def test_other_text_is_not_a_command(text: str) -> None:
    assert parse_command(text) is None


@given(st.text(max_size=80))
def test_the_parser_accepts_any_text(text: str) -> None:
    command = parse_command(text)
    assert command is None or command.verb


@given(PLACE_NAME, ITEMS, st.booleans())
def test_the_reader_returns_the_contents_that_were_written(
    place: str, things: set[str], door: bool
) -> None:
    text = language.contents(place, things, door=door, open_=True)
    assert sight_in(text) == Sight(place, tuple(language.in_order(things)))
    assert sight_in(f"You open the {place}. {text}") == sight_in(text)


@given(PLACE_NAME, ITEMS)
def test_a_closed_place_has_no_visible_contents(place: str, things: set[str]) -> None:
    text = language.contents(place, things, door=True, open_=False)
    assert sight_in(text) == Sight(place, None)


@pytest.mark.parametrize(
    "text", ["Nothing happens.", "OK.", "You pick up the mug 1 from the desk 1.", ""]
)
def test_other_observations_show_no_place(text: str) -> None:
    assert sight_in(text) is None


@given(st.sets(PLACE_NAME, min_size=1, max_size=30))
def test_the_first_observation_has_the_places_and_the_task(places: set[str]) -> None:
    first_text = f"{language.room(places)}\n\nYour task is to: put a mug in desk."
    assert set(places_in(first_text)) == places
    assert goal_in(first_text) == "put a mug in desk"


@pytest.mark.parametrize(
    ("family", "sentence"), [(f, s) for f, pair in SENTENCES.items() for s in pair]
)
def test_every_task_sentence_is_parsed(family: str, sentence: str) -> None:
    target = "desklamp" if family == "light" else "coffeetable"
    task_sentence = sentence.format(thing="mug", target=target)
    assert parse_goal(task_sentence) == Goal(family, "mug", target)


@pytest.mark.parametrize("text", ["", "be happy", "put mug", "slice the bread"])
def test_other_sentences_have_no_goal(text: str) -> None:
    assert parse_goal(text) is None
