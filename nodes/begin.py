"""begin: the task is looked up and the opening observation shown."""

from __future__ import annotations

import asyncio

from langchain_core.messages import RemoveMessage
from langgraph.graph.message import REMOVE_ALL_MESSAGES

from environments import advance
from environments.registry import environment
from nodes.tasks import read_shown, read_task
from state.episode import EpisodeGiven, EpisodeUpdate
from state.nouns import InView, Usage, text_of
from state.prompts import acting


async def begin(state: EpisodeGiven) -> EpisodeUpdate:
    """Look the task up and show the agent its opening; whatever the thread held is over."""
    shown = read_shown(state.shown)
    task = await asyncio.to_thread(read_task, state.task)
    opening = await asyncio.to_thread(advance.start, task)
    instructions = environment(task.environment).instructions
    system, _ = acting(instructions, shown, text_of(opening))
    return {
        "task": task,
        "messages": [
            RemoveMessage(REMOVE_ALL_MESSAGES),
            system,
            opening,  # itself, because its id may name a live session
        ],
        "steps": 0,
        "verdict": None,
        "usage": Usage(),
        "in_view": InView(),
        "view": shown,
        "moments": [],
    }
