"""What an agent is shown of what was done before: the questions that a run's settings put."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from apprentice.memory.experience import OpenExperience
from apprentice.state.context import Context
from apprentice.state.experience import OutcomeFilter, Query, Recollection, What
from apprentice.state.nouns import Task, digest
from apprentice.state.prompts import Shown
from apprentice.workspace import Workspace

_OBSERVATION: Final = 20_000  # characters of it that are searched with


class Source(Protocol):
    """Whoever can be asked what helps: the memory, or a fixed set."""

    async def recall(self, query: Query, count: Callable[[str], int] = len) -> list[Recollection]:
        """Return what helps with a task, the most relevant first."""


async def recollect(
    recall_from: OpenExperience, task: Task, context: Context, workspace: Workspace
) -> list[Recollection]:
    """Return what is shown from the start of an attempt: exemplars, failures, lessons."""
    asked: list[tuple[What, OutcomeFilter, int]] = [
        ("tasks", "successes", context.exemplars),
        ("tasks", "failures", context.failures),
        ("reflections", "failures", context.similar_reflections),
    ]
    return await _ask(recall_from, task, context, workspace, "", asked)


async def similar_steps(
    recall_from: OpenExperience,
    task: Task,
    context: Context,
    workspace: Workspace,
    observation: str,
) -> list[Recollection]:
    """Return what was done in other tasks when something like this was seen."""
    text = observation[-_OBSERVATION:]
    asked: list[tuple[What, OutcomeFilter, int]] = [("steps", "successes", context.similar_steps)]
    return await _ask(recall_from, task, context, workspace, text, asked)


def shown(recalled: Sequence[Recollection], plan: str = "") -> Shown:
    """Put what was recalled where the prompt has a place for it.

    A plan stands in the place of the exemplar that it was adapted from, the most relevant one.
    """
    exemplars = texts(recalled, "tasks", success=True)
    return Shown(
        exemplars=exemplars[1:] if plan else exemplars,
        failures=texts(recalled, "tasks", success=False),
        similar_reflections=texts(recalled, "reflections"),
        plan=[plan] if plan else (),
    )


def together(first: Shown, then: Shown) -> Shown:
    """Show both, section by section."""
    return Shown(
        **{name: [*entries, *getattr(then, name)] for name, entries in vars(first).items()}
    )


def texts(recalled: Sequence[Recollection], what: What, success: bool | None = None) -> list[str]:
    """Return the texts of one sort of memories; of attempts, those that ended so."""
    return [
        each.text
        for each in recalled
        if each.what == what and (success is None or each.success is success)
    ]


async def _ask(
    recall_from: OpenExperience,
    task: Task,
    context: Context,
    workspace: Workspace,
    text: str,
    asked: Sequence[tuple[What, OutcomeFilter, int]],
) -> list[Recollection]:
    """Put questions one after the other, within one budget of tokens."""
    wanted = [question for question in asked if question[2]]
    if not wanted:
        return []
    source = await _source(recall_from, context, workspace)
    budget = await asyncio.to_thread(_budget, context, workspace)
    count = await asyncio.to_thread(workspace.count_tokens, context.model) if budget else len
    found: list[Recollection] = []
    for what, outcome, limit in wanted:
        left = budget - sum(each.tokens for each in found)
        if budget and left <= 0:
            break
        query = Query(
            task=task,
            text=text,
            what=what,
            how="hybrid" if context.recall == "fixed" else context.recall,
            outcome=outcome,
            limit=limit,
            threshold=context.threshold,
            diversity=context.diversity,
            tokens=left if budget else 0,
            # Every task draws its own.
            seed=int(digest(context.seed, task.environment, task.id)[:8], 16),
        )
        found += await source.recall(query, count)
    return found


def _budget(context: Context, workspace: Workspace) -> int:
    """Return how many tokens may be shown: as the run allows, and half of what the model reads."""
    length = workspace.context_length(context.model)
    if length is None:
        return context.shown_tokens
    return min(context.shown_tokens or length, length // 2)


async def _source(recall_from: OpenExperience, context: Context, workspace: Workspace) -> Source:
    if context.recall == "fixed":
        return await asyncio.to_thread(workspace.exemplar_set, context.exemplar_set)
    return await recall_from(context.tenant)
