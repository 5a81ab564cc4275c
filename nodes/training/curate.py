"""curate: make a dataset of the judged attempts."""

from __future__ import annotations

import asyncio
from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from apprentice.memory.experience import OpenExperience
from apprentice.nodes import Node
from apprentice.nodes.training.attempts import JudgedAttempt, load_attempts, usable_attempts
from apprentice.nodes.training.rounds import rounds_of
from apprentice.state.advice import Method
from apprentice.state.context import Context
from apprentice.state.errors import BrokenData, MissingPart
from apprentice.state.training import TrainingState
from apprentice.training.available_data import examples
from apprentice.training.datasets.card import Dataset, save
from apprentice.training.datasets.curation import Curation, HoldOut, curate
from apprentice.training.datasets.episodes import opening_of, task_key
from apprentice.training.rounds import Rounds
from apprentice.workspace import Workspace

Next = Literal["launch", "__end__"]


def curate_from(
    recall_from: OpenExperience, workspace: Workspace
) -> Node[TrainingState, Command[Next]]:
    """Return the node that makes the dataset; the same attempts make the same dataset."""

    async def curate(state: TrainingState, runtime: Runtime[Context]) -> Command[Next]:
        """Select the rows to learn from, or say why there are too few."""
        await workspace.ready()
        method = state.advice.method if state.advice else None
        if method is None:
            raise BrokenData("The run has no method to curate a dataset for. Start it again.")
        attempts = await load_attempts(recall_from, Context.of(runtime).tenant, state.environment)
        rounds = rounds_of(runtime, state.environment, workspace)
        try:
            dataset = await asyncio.to_thread(
                make_dataset, method, attempts, rounds, strip=state.strip_views
            )
        except MissingPart as too_little:
            reason = f"{state.reason}\n{too_little}".strip()
            return Command(update={"stage": "refused", "reason": reason}, goto="__end__")
        card = dataset.card
        runtime.stream_writer(
            {
                "type": "training.dataset",
                "dataset": dataset.folder.name,
                **card.model_dump(mode="json", include={"kind", "counts", "filters", "balance"}),
            }
        )
        return Command(update={"dataset": dataset.folder.name}, goto="launch")

    return curate


def make_dataset(
    method: Method, attempts: list[JudgedAttempt], rounds: Rounds, *, strip: bool
) -> Dataset:
    """Make and save the dataset of a method."""
    learnable = usable_attempts(attempts)
    names = {one.attempt.id for one in learnable}
    others = [one.attempt for one in attempts if one.attempt.id not in names]
    held_out = [attempt for attempt in others if attempt.task.split != "train"]
    available = examples(method, [one.attempt for one in attempts], strip=strip)
    rows = curate(
        method,
        available.examples,
        Curation(stripped=strip),
        held_out=HoldOut.of(
            map(task_key, (one.task for one in held_out)), map(opening_of, held_out)
        ),
        left_out=available.left_out,
    )
    return save(rows, rounds.datasets)
