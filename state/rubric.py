"""Grading by a rubric: reads a model's judgement into a verdict.

A judgement that cannot be read, leaves a criterion out or contradicts itself becomes a verdict with
success None. The reader never guesses.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from apprentice.state.messages import REASONING
from apprentice.state.trajectory import Task, Verdict

RUBRIC: Final = "rubric"
"""The key of a task's metadata that holds its criteria."""


class Finding(BaseModel):
    """A judge's finding on one criterion; `met` is None if the judge cannot tell."""

    model_config = ConfigDict(strict=True)

    number: int
    met: bool | None
    reason: Annotated[str, Field(max_length=2_000)] = ""


class Judgement(BaseModel):
    """A judge's answer."""

    model_config = ConfigDict(strict=True)

    criteria: list[Finding]
    success: bool | None


def is_open(task: Task) -> bool:
    """Tell whether only a model, a person or later feedback can grade a task's attempts.

    Such a task has a rubric in its metadata, possibly an empty one.
    """
    return isinstance(task.metadata.get(RUBRIC), Sequence)


def unknown(why: str) -> Verdict:
    """Return the verdict of a judge who failed."""
    return Verdict(success=None, feedback=why, source="model")


def read_judgement(text: str, rubric: Sequence[str]) -> Verdict:
    """Return the verdict of a model's judgement. Its score is the share of criteria met."""
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
    """Refuse an object that has a key twice, because one of the values would be lost."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("A key is there twice.")
    return fields


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique_keys)


def _feedback(judgement: Judgement, rubric: Sequence[str]) -> str:
    """List the criteria that are not met or unclear, with the reasons."""
    lines = []
    for finding in sorted(judgement.criteria, key=lambda finding: finding.number):
        if finding.met:
            continue
        word = "Not met" if finding.met is False else "Cannot be told"
        reason = f" ({finding.reason.strip()})" if finding.reason.strip() else ""
        lines.append(f"{word}: {rubric[finding.number - 1]}{reason}")
    return "\n".join(lines)[:20_000]
