"""Judging by a rubric: what a model is asked, and what its answer amounts to.

A judgement that cannot be read, that leaves a criterion out or that contradicts itself amounts to a
verdict without success: it is never guessed what was meant.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from apprentice.state.messages import REASONING
from apprentice.state.nouns import Task, Verdict

RUBRIC: Final = "rubric"
"""The key of a task's metadata that holds its criteria."""


class Finding(BaseModel):
    """What a judge found of one criterion; `met` is None where it cannot tell."""

    model_config = ConfigDict(strict=True)

    number: int
    met: bool | None
    reason: Annotated[str, Field(max_length=2_000)] = ""


class Judgement(BaseModel):
    """What a judge writes."""

    model_config = ConfigDict(strict=True)

    criteria: list[Finding]
    success: bool | None


def is_open(task: Task) -> bool:
    """Return whether a task's attempts can only be judged by a model, a person or later feedback.

    Such a task has a rubric in its metadata, be it an empty one.
    """
    return isinstance(task.metadata.get(RUBRIC), Sequence)


def unknown(why: str) -> Verdict:
    """Return the verdict of a judge who failed."""
    return Verdict(success=None, feedback=why, source="model")


def read_judgement(text: str, rubric: Sequence[str]) -> Verdict:
    """Return the verdict that a model's judgement amounts to; its score is the part that is met."""
    judgements = _judgements(text)
    if not judgements:
        return unknown("The judge's answer holds no judgement that can be read.")
    first, *others = judgements
    if any(other != first for other in others):
        return unknown("The judge contradicts itself: it gives several judgements.")
    if sorted(finding.number for finding in first.criteria) != list(range(1, len(rubric) + 1)):
        return unknown(f"The judge did not judge each of the {len(rubric)} criteria once.")
    results = [finding.met for finding in first.criteria]
    success = False if False in results else None if None in results else True
    if first.success is not success:
        return unknown(
            "The judge contradicts itself: its verdict does not follow from its findings."
        )
    if success is None:
        return unknown(f"The judge cannot tell. {_feedback(first, rubric)}")
    score = results.count(True) / len(results)
    feedback = _feedback(first, rubric) or "Every criterion is met."
    return Verdict(success=success, score=score, feedback=feedback, source="model")


def _judgements(text: str) -> list[Judgement]:
    """Return every judgement in a text, in order."""
    text = REASONING.sub("", text)
    judgements, start = [], text.find("{")
    while start >= 0:
        try:
            value, end = _DECODER.raw_decode(text, start)
            judgements.append(Judgement.model_validate(value))
        except (ValueError, RecursionError) as error:
            # A whole object that is no judgement may hold one: look inside it, too.
            end = start + 1
            if isinstance(error, RecursionError):
                break
        start = text.find("{", end)
    return judgements


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that has a key twice: which of them was meant?"""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("A key is there twice.")
    return fields


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique_keys)


def _feedback(judgement: Judgement, rubric: Sequence[str]) -> str:
    """Word what is not met, or cannot be told, with the reasons."""
    lines = []
    for finding in sorted(judgement.criteria, key=lambda finding: finding.number):
        if finding.met:
            continue
        word = "Not met" if finding.met is False else "Cannot be told"
        reason = f" ({finding.reason.strip()})" if finding.reason.strip() else ""
        lines.append(f"{word}: {rubric[finding.number - 1]}{reason}")
    return "\n".join(lines)[:20_000]
