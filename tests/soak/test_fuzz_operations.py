# ruff: noqa: RUF001  (models write typographic punctuation)
"""The rulebook's properties at length, and the parser on mutated model output."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apprentice.state.rulebook import RULE_LENGTH, Rulebook, parse_operations, screen
from tests.state import test_provenance as provenance
from tests.state import test_rulebook_parser as parser
from tests.state import test_rulebook_properties as properties

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

PROPERTIES = [
    value.at_length
    for module in (parser, properties, provenance)
    for value in vars(module).values()
    if hasattr(value, "at_length")
]
WRITTEN = [case[0] for case in parser.READ.values()] + [case[0] for case in parser.REFUSED.values()]
SEEDS = [text for text in WRITTEN if len(text) < 500]
PIECES = [
    "\n",
    "**",
    "```",
    ":",
    "：",
    " ",
    "1",
    "0",
    "-",
    "ADD",
    "AGREE 1",
    "\x00",
    "\u202e",
    "\ud800",
    "é",
]


@pytest.mark.parametrize("check", PROPERTIES, ids=lambda check: check.__name__)
def test_property_at_length(check: Callable[[], Any]) -> None:
    check()


@settings(max_examples=3_000)
@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_mutated_answers_never_break_a_book(randomness: random.Random, edits: int) -> None:
    book = Rulebook()
    for _ in range(4):
        text = "\n".join(randomness.choices(SEEDS, k=4))
        for _ in range(edits):
            at = randomness.randrange(len(text) + 1)
            cut = at + randomness.choice((0, 0, 1, 5))
            text = text[:at] + randomness.choice(PIECES) + text[cut:]
        parsed = parse_operations(text)
        assert parsed.operations or parsed.rejections
        applied = book.apply(parsed.operations)
        assert len(applied.operations) + len(applied.rejections) == len(parsed.operations)
        book = applied.rulebook
        properties.check(book)
        assert all(screen(rule.text) is None for rule in book.rules)
        assert all(0 < len(rule.text) <= RULE_LENGTH for rule in book.rules)
