"""The settings of a run: bounds, choices, and contexts that are not ours."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import pytest
from langgraph.runtime import Runtime
from pydantic import TypeAdapter

from apprentice.state.context import Context
from apprentice.state.errors import BadInput, OutOfBounds, UnknownName


@pytest.mark.parametrize(
    ("setting", "value", "error", "says"),
    [
        ("max_trials", 0, OutOfBounds, "'max_trials' is 0, but must lie between 1 and 100"),
        ("max_trials", 1_000_000, OutOfBounds, "'max_trials' is 1000000"),
        ("temperature", -0.1, OutOfBounds, "between 0 and 2"),
        ("max_tokens", 5_000, OutOfBounds, "between 8 and 4096"),
        ("seed", -1, OutOfBounds, "'seed' is -1"),
        ("window", 11, OutOfBounds, "between 1 and 10"),
        ("exemplars", 21, OutOfBounds, "between 0 and 20"),
        ("shown_tokens", -1, OutOfBounds, "'shown_tokens' is -1"),
        ("recall", "hybird", UnknownName, "Did you mean 'hybrid'?"),
        ("strategy", "reflect", UnknownName, "Did you mean 'reflection'?"),
        ("max_trials", "six", BadInput, "'max_trials' is 'six'"),
        ("max_trials", True, BadInput, "'max_trials' is 'True'"),
        ("temperature", float("nan"), OutOfBounds, "'temperature' is nan"),
        ("tenant", "", BadInput, "'tenant' is ''"),
        ("model", "x" * 201, BadInput, "'model'"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    setting: str, value: Any, error: type[BadInput], says: str
) -> None:
    with pytest.raises(error, match=re.escape(says)):
        Context(**{setting: value})


@pytest.mark.parametrize(
    "settings",
    [
        {"max_trials": 1, "window": 1, "max_tokens": 8, "temperature": 2},
        {"max_trials": 100, "window": 10, "max_tokens": 4096, "temperature": 0.5},
        {"strategy": "last_attempt_and_reflection", "adapter": "household-sft"},
    ],
)
def test_bounds_belong_to_the_range(settings: dict[str, Any]) -> None:
    assert replace(Context(), **settings) == Context(**settings)


def test_a_foreign_context_means_the_defaults() -> None:
    @dataclass
    class Foreign:
        model: str = "openai:expensive"
        max_trials: int = 5_000

    assert Context.of(Runtime(context=Foreign())) == Context()
    assert Context.of(Runtime(context={"model": "openai:expensive"})) == Context()
    assert Context.of(Runtime()) == Context()
    assert Context.of(Runtime(context=Context(window=1))).window == 1


def test_a_form_can_be_made_of_it() -> None:
    properties = TypeAdapter(Context).json_schema()["properties"]
    assert all(field["title"] and field["description"] for field in properties.values())
    assert properties["strategy"]["enum"][2] == "reflection"
    assert (properties["max_trials"]["minimum"], properties["max_trials"]["maximum"]) == (1, 100)
    assert (properties["temperature"]["minimum"], properties["temperature"]["maximum"]) == (0, 2)
