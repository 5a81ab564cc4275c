"""curate: what is remembered becomes a dataset."""

from __future__ import annotations

import asyncio
from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from apprentice.memory.experience import OpenExperience
from apprentice.nodes import Node
from apprentice.nodes.training.workshop import Judged, remembered, rounds_of, usable
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
    """Return the node that makes the dataset; the same attempts make the same one."""

    async def curate(state: TrainingState, runtime: Runtime[Context]) -> Command[Next]:
        """Choose what is learned from, or say why there is too little."""
        await workspace.ready()
        method = state.advice.method if state.advice else None
        if method is None:
            raise BrokenData("There is no method to curate for. Start the run anew.")
        judged = await remembered(recall_from, Context.of(runtime).tenant, state.environment)
        rounds = rounds_of(runtime, state.environment, workspace)
        try:
            dataset = await asyncio.to_thread(made, method, judged, rounds, strip=state.strip_views)
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


def made(method: Method, judged: list[Judged], rounds: Rounds, *, strip: bool) -> Dataset:
    """Make and save the dataset of a method."""
    learnable = usable(judged)
    names = {one.attempt.id for one in learnable}
    others = [one.attempt for one in judged if one.attempt.id not in names]
    held_out = [attempt for attempt in others if attempt.task.split != "train"]
    found = examples(method, [one.attempt for one in judged], strip=strip)
    curated = curate(
        method,
        found.examples,
        Curation(stripped=strip),
        held_out=HoldOut.of(
            map(task_key, (one.task for one in held_out)), map(opening_of, held_out)
        ),
        left_out=found.left_out,
    )
    return save(curated, rounds.datasets)
