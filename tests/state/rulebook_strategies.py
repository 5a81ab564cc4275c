"""Rulebooks, operations and logs for property-based tests, and a plain model to compare with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from apprentice.state.rulebook import Author, Batch, Operation, Rule, Rulebook, batch_key, fold

RULES = tuple(
    f"{things} are kept {place}."
    for things in ("Mugs", "Knives", "Towels", "Books")
    for place in ("in cabinets", "on shelves", "in drawers")
)
Check = Callable[..., None]


def holds(*strategies: st.SearchStrategy[Any]) -> Callable[[Check], Check]:
    """Make a test of a property: a quick one, which carries the long one as `at_length`."""

    def decorate(check: Check) -> Check:
        quick: Check = settings(max_examples=40, deadline=None)(given(*strategies)(check))
        at_length = settings(max_examples=3_000, deadline=None)(given(*strategies)(check))
        quick.at_length = at_length  # type: ignore[attr-defined]
        return quick

    return decorate


texts = st.sampled_from(RULES)
kinds = st.sampled_from(("ADD", "AGREE", "EDIT", "REMOVE"))
authors: st.SearchStrategy[Author] = st.sampled_from(("model", "model", "person"))


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    """Draw an operation as a model writes it: its number may be wrong, its text another rule's."""
    kind = draw(kinds)
    number = None if kind == "ADD" else draw(st.integers(0, 9))
    text = "" if kind in ("AGREE", "REMOVE") and draw(st.booleans()) else draw(texts)
    return Operation(kind=kind, number=number, text=text)


answers = st.lists(operations(), max_size=6)


@st.composite
def logs(
    draw: st.DrawFn,
    run: str = "run",
    most: int = 8,
    authors: st.SearchStrategy[Author] = authors,
) -> list[Batch]:
    """Draw the log of one run: each batch was judged against what came before."""
    batches: list[Batch] = []
    moment = 0.0
    for index in range(draw(st.integers(0, most))):
        moment += draw(st.floats(0.01, 5.0))
        author = draw(authors)
        batches.append(logged(fold(batches), draw(answers), run, index, moment, author))
    return batches


def logged(
    book: Rulebook,
    given: list[Operation],
    run: str,
    index: int,
    moment: float,
    author: Author = "model",
) -> Batch:
    """Return the batch that operations on a book become."""
    key = batch_key(run, index)
    applied = book.apply(given, author=author, origin=key)
    return Batch(
        key=key,
        operations=applied.operations,
        author=author,
        base=book.version,
        run=run,
        index=index,
        time=moment,
    )


@dataclass
class Notebook:
    """The paper's list, kept the slow way: one list, a loop per kind, a stable sort at the end."""

    rules: list[tuple[str, str, int]] = field(default_factory=list)

    def take(self, operations: tuple[Operation, ...]) -> None:
        """Do a batch that was judged against this very list."""
        for kind in ("REMOVE", "AGREE", "EDIT", "ADD"):
            for operation in operations:
                if operation.kind == kind:
                    self._do(operation)
        self.rules = [rule for rule in self.rules if rule[2] > 0]
        self.rules.sort(key=lambda rule: -rule[2])

    def _do(self, operation: Operation) -> None:
        weight = operation.weight or 0
        if operation.kind == "ADD":
            self.rules.append((operation.rule, operation.text, weight))
            return
        place = [rule[0] for rule in self.rules].index(operation.rule)
        name, text, strength = self.rules[place]
        text = operation.text if operation.kind == "EDIT" else text
        self.rules[place] = (name, text, strength + weight)

    def frozen(self) -> tuple[Rule, ...]:
        """Return the list as rules."""
        return tuple(Rule(id=name, text=text, strength=n) for name, text, n in self.rules)
