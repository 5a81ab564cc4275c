"""What attempts offer each method, before anything is curated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from apprentice.state.advice import AvailableData, Method
from apprentice.state.nouns import Trajectory, text_of
from apprentice.training.datasets.card import Example
from apprentice.training.datasets.curation import capped
from apprentice.training.datasets.episodes import (
    Found,
    challenges,
    contrasts,
    shown,
    successes,
    task_key,
    unusable,
)
from apprentice.training.datasets.rows import written
from apprentice.training.settings import AnySettings, GrpoSettings, own_settings, read_settings

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
    can_grade: bool = False,
    is_hosted: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> AvailableData:
    """Sum attempts up for the advisor.

    Args:
        attempts: all that are remembered.
        cap: rows that one task may have.
        last: the method of the adapter in use.
        can_grade: whether attempts can be graded again.
        is_hosted: whether the base model is somebody else's server.
        settings: what a job would be told; what a method does not have is not for it.

    Raises:
        BadInput: a setting is out of its bounds.
    """
    judged = [attempt for attempt in attempts if not unusable(attempt)]
    found = {method: capped(examples(method, judged).examples, cap) for method in FROM_ATTEMPTS}
    beside = [len(shown(attempt)) for attempt in judged]
    return AvailableData(
        rows={method: len(made) for method, made in found.items()},
        tasks=len({task_key(attempt.task) for attempt in judged}),
        attempts=len(judged),
        successes=sum(bool(attempt.verdict.success) for attempt in judged),
        shown_tokens=sum(beside) // max(1, len(beside)) // CHARACTERS_A_TOKEN,
        tokens={
            method: _tokens(_told(method, settings or {}), made, judged)
            for method, made in found.items()
        },
        last=last,
        can_grade=can_grade,
        is_hosted=is_hosted,
    )


def _told(method: Method, settings: Mapping[str, Any]) -> AnySettings:
    """Return what a job of a method would be told."""
    return read_settings({**own_settings(method, settings), "method": method})


def _tokens(settings: AnySettings, made: Sequence[Example], attempts: Sequence[Trajectory]) -> int:
    """Estimate the tokens that a training reads.

    Imitation and preference read their rows; reinforcement writes attempts at each row anew.
    """
    if not made:
        return 0
    if isinstance(settings, GrpoSettings):
        said = [sum(len(text_of(turn)) for turn in attempt.messages) for attempt in attempts]
        each, count = sum(said) / len(said), len(made) * settings.generations
    else:
        each, count = len(written([example.row for example in made])) / len(made), len(made)
    read = settings.max_steps * settings.batch * settings.accumulate or count * settings.epochs
    return int(read * each / CHARACTERS_A_TOKEN)
