"""What attempts offer each method, before anything is curated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from state.advice import Evidence, Method
from state.nouns import Trajectory, text_of
from training.datasets.card import Example
from training.datasets.curation import capped
from training.datasets.episodes import (
    Found,
    challenges,
    contrasts,
    shown,
    successes,
    task_key,
    unusable,
)
from training.datasets.rows import written
from training.settings import METHODS, GrpoSettings

CHARACTERS_A_TOKEN: Final = 4
FROM_ATTEMPTS: Final[tuple[Method, ...]] = ("sft", "dpo", "grpo")


def examples(method: Method, attempts: Sequence[Trajectory], *, strip: bool = True) -> Found:
    """Return what a method could learn from attempts; images come from files alone."""
    if method == "grpo":
        return challenges(attempts)
    make = {"sft": successes, "dpo": contrasts}.get(method)
    return make(attempts, strip=strip) if make else Found.nothing()


def evidence(
    attempts: Sequence[Trajectory],
    *,
    cap: int,
    last: Method | None = None,
    graded: bool = False,
    hosted: bool = False,
) -> Evidence:
    """Sum attempts up for the advisor.

    Args:
        attempts: all that are remembered.
        cap: rows that one task may have.
        last: the method of the adapter in use.
        graded: whether attempts can be graded again.
        hosted: whether the base model is somebody else's server.
    """
    judged = [attempt for attempt in attempts if not unusable(attempt)]
    found = {method: capped(examples(method, judged).examples, cap) for method in FROM_ATTEMPTS}
    beside = [len(shown(attempt)) for attempt in judged]
    return Evidence(
        rows={method: len(made) for method, made in found.items()},
        tasks=len({task_key(attempt.task) for attempt in judged}),
        attempts=len(judged),
        solved=sum(bool(attempt.verdict.success) for attempt in judged),
        shown_tokens=sum(beside) // max(1, len(beside)) // CHARACTERS_A_TOKEN,
        tokens={method: _tokens(method, made, judged) for method, made in found.items()},
        last=last,
        graded=graded,
        hosted=hosted,
    )


def _tokens(method: Method, made: Sequence[Example], attempts: Sequence[Trajectory]) -> int:
    """Estimate the tokens that a training reads, its own settings left as they are.

    Imitation and preference read their rows; reinforcement writes attempts at each row anew.
    """
    settings = METHODS[method]()
    if isinstance(settings, GrpoSettings):
        said = [sum(len(text_of(turn)) for turn in attempt.messages) for attempt in attempts]
        an_attempt = sum(said) / max(1, len(said))
        characters = len(made) * settings.generations * an_attempt
    else:
        characters = len(written([example.row for example in made]))
    return int(characters * settings.epochs / CHARACTERS_A_TOKEN)
