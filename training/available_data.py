"""Summarise recorded attempts for the advisor: what each training method could learn from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from apprentice.state.advice import AvailableData, Method
from apprentice.state.trajectory import Trajectory, text_of
from apprentice.training.datasets.card import Example
from apprentice.training.datasets.curation import limit_per_task
from apprentice.training.datasets.episodes import (
    Extraction,
    challenges,
    contrasts,
    successes,
    task_key,
    unusable,
    view_text,
)
from apprentice.training.datasets.rows import to_jsonl
from apprentice.training.settings import AnySettings, GrpoSettings, own_settings, read_settings

CHARACTERS_A_TOKEN: Final = 4
FROM_ATTEMPTS: Final[tuple[Method, ...]] = ("sft", "dpo", "grpo")


def examples(method: Method, attempts: Sequence[Trajectory], *, strip: bool = True) -> Extraction:
    """Return the examples for a method; `vision` has none, because its images come from files."""
    if method == "grpo":
        return challenges(attempts)
    make = {"sft": successes, "dpo": contrasts}.get(method)
    return make(attempts, strip=strip) if make else Extraction.nothing()


def available_data(
    attempts: Sequence[Trajectory],
    *,
    cap: int,
    last: Method | None = None,
    can_grade: bool = False,
    is_hosted: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> AvailableData:
    """Summarise attempts for the advisor.

    Args:
        attempts: all recorded attempts.
        cap: the most rows that one task may have.
        last: the method of the adapter in use.
        can_grade: whether attempts can be graded again.
        is_hosted: whether the base model runs on somebody else's server.
        settings: the settings of a job; each method ignores those that it does not have.

    Raises:
        BadInput: a setting is out of its bounds.
    """
    usable = [attempt for attempt in attempts if not unusable(attempt)]
    examples_by_method = {
        method: limit_per_task(examples(method, usable).examples, cap) for method in FROM_ATTEMPTS
    }
    view_sizes = [len(view_text(attempt)) for attempt in usable]
    return AvailableData(
        rows={method: len(rows) for method, rows in examples_by_method.items()},
        tasks=len({task_key(attempt.task) for attempt in usable}),
        attempts=len(usable),
        successes=sum(bool(attempt.verdict.success) for attempt in usable),
        shown_tokens=sum(view_sizes) // max(1, len(view_sizes)) // CHARACTERS_A_TOKEN,
        tokens={
            method: _tokens(_job_settings(method, settings or {}), rows, usable)
            for method, rows in examples_by_method.items()
        },
        last=last,
        can_grade=can_grade,
        is_hosted=is_hosted,
    )


def _job_settings(method: Method, settings: Mapping[str, Any]) -> AnySettings:
    """Return the settings of a job of this method."""
    return read_settings({**own_settings(method, settings), "method": method})


def _tokens(settings: AnySettings, rows: Sequence[Example], attempts: Sequence[Trajectory]) -> int:
    """Estimate the tokens that a training run processes.

    SFT and DPO read their rows. GRPO makes new attempts at each row.
    """
    if not rows:
        return 0
    if isinstance(settings, GrpoSettings):
        sizes = [sum(len(text_of(turn)) for turn in attempt.messages) for attempt in attempts]
        size, count = sum(sizes) / len(sizes), len(rows) * settings.generations
    else:
        size, count = len(to_jsonl([example.row for example in rows])) / len(rows), len(rows)
    rows_read = settings.max_steps * settings.batch * settings.accumulate or count * settings.epochs
    return int(rows_read * size / CHARACTERS_A_TOKEN)
