"""Ask the experience memory for what an agent is shown: a question for each setting of the run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from apprentice.memory.experience import OpenExperience
from apprentice.state.context import Context
from apprentice.state.experience import OutcomeFilter, Query, Recollection, What
from apprentice.state.prompts import Shown
from apprentice.state.trajectory import Task, digest
from apprentice.workspace import Workspace

_OBSERVATION: Final = 20_000  # characters of an observation that the search uses


class Source(Protocol):
    """A source of recollections: the experience memory, or a fixed set of exemplars."""

    async def recall(self, query: Query, count: Callable[[str], int] = len) -> list[Recollection]:
        """Return what helps with a task, the most relevant first."""


async def recollect(
    recall_from: OpenExperience, task: Task, context: Context, workspace: Workspace
) -> list[Recollection]:
    """Return what is shown from the start of an attempt: exemplars, failures and reflections."""
    questions: list[tuple[What, OutcomeFilter, int]] = [
        ("tasks", "successes", context.exemplars),
        ("tasks", "failures", context.failures),
        ("reflections", "failures", context.similar_reflections),
    ]
    return await _ask(recall_from, task, context, workspace, "", questions)


async def similar_steps(
    recall_from: OpenExperience,
    task: Task,
    context: Context,
    workspace: Workspace,
    observation: str,
) -> list[Recollection]:
    """Return the steps of other tasks that followed an observation like this one."""
    text = observation[-_OBSERVATION:]
    questions: list[tuple[What, OutcomeFilter, int]] = [
        ("steps", "successes", context.similar_steps)
    ]
    return await _ask(recall_from, task, context, workspace, text, questions)


def shown_from(recollections: Sequence[Recollection], plan: str = "") -> Shown:
    """Put recollections into the sections of the prompt.

    A plan replaces the exemplar that it was adapted from, the most relevant one.
    """
    exemplars = texts(recollections, "tasks", success=True)
    return Shown(
        exemplars=exemplars[1:] if plan else exemplars,
        failures=texts(recollections, "tasks", success=False),
        similar_reflections=texts(recollections, "reflections"),
        plan=[plan] if plan else (),
    )


def join(first: Shown, then: Shown) -> Shown:
    """Return both, section by section, the first one first."""
    return Shown(
        **{name: [*entries, *getattr(then, name)] for name, entries in vars(first).items()}
    )


def texts(
    recollections: Sequence[Recollection], what: What, success: bool | None = None
) -> list[str]:
    """Return the texts of one kind of recollection; with `success`, of those that ended so."""
    return [
        each.text
        for each in recollections
        if each.what == what and (success is None or each.success is success)
    ]


async def _ask(
    recall_from: OpenExperience,
    task: Task,
    context: Context,
    workspace: Workspace,
    text: str,
    questions: Sequence[tuple[What, OutcomeFilter, int]],
) -> list[Recollection]:
    """Ask one question after the other, within one budget of tokens."""
    active_questions = [question for question in questions if question[2]]
    if not active_questions:
        return []
    source = await _source(recall_from, context, workspace)
    budget = await asyncio.to_thread(_budget, context, workspace)
    count = await asyncio.to_thread(workspace.count_tokens, context.model) if budget else len
    recollections: list[Recollection] = []
    for what, outcome, limit in active_questions:
        tokens_left = budget - sum(each.tokens for each in recollections)
        if budget and tokens_left <= 0:
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
            tokens=tokens_left if budget else 0,
            # Each task has its own random sample.
            seed=int(digest(context.seed, task.environment, task.id)[:8], 16),
        )
        recollections += await source.recall(query, count)
    return recollections


def _budget(context: Context, workspace: Workspace) -> int:
    """Return how many tokens may be shown: the run's limit, at most half of the model's context."""
    length = workspace.context_length(context.model)
    if length is None:
        return context.shown_tokens
    return min(context.shown_tokens or length, length // 2)


async def _source(recall_from: OpenExperience, context: Context, workspace: Workspace) -> Source:
    if context.recall == "fixed":
        return await asyncio.to_thread(workspace.exemplar_set, context.exemplar_set)
    return await recall_from(context.tenant)
