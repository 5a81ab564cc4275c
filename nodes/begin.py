"""begin: look the task up, and show it together with its released rules."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from langchain_core.messages import RemoveMessage
from langgraph.graph.message import REMOVE_ALL_MESSAGES
from langgraph.runtime import Runtime

from apprentice.memory.releases import Releases
from apprentice.nodes import Node
from apprentice.nodes.inputs import read_run, read_shown, read_task
from apprentice.state.context import NO_ADAPTER, Context
from apprentice.state.episode import EpisodeGiven, EpisodeUpdate
from apprentice.state.prompts import act_prompt
from apprentice.state.releases import Release
from apprentice.state.trajectory import InView, Usage, text_of
from apprentice.workspace import Workspace


def begin_in(workspace: Workspace) -> Node[EpisodeGiven, EpisodeUpdate]:
    """Return the node that looks the task up and shows it."""

    async def begin(state: EpisodeGiven, runtime: Runtime[Context]) -> EpisodeUpdate:
        """Show the agent the released rules and its task; clear what the thread held before."""
        shown = read_shown(state.shown)
        run = read_run(state.run, runtime)
        task = await asyncio.to_thread(read_task, state.task, workspace)
        await workspace.ready()
        context = workspace.with_model(Context.of(runtime))
        in_view = InView()
        releases = Releases(runtime.store, context.tenant, task.environment)
        if release := await releases.resolve(context.rules):
            shown = replace(shown, rules=[*release.texts, *shown.rules])
            rules = tuple(rule.id for rule in release.rules)
            in_view = InView(rules=rules, rulebook_version=release.rulebook)
        where = workspace.environment(task.environment)
        opening = await asyncio.to_thread(workspace.episodes.start, where, task)
        system, _ = act_prompt(where.instructions, shown, text_of(opening))
        return {
            "task": task,
            "run_name": run,
            "trajectory": "",
            "messages": [
                RemoveMessage(REMOVE_ALL_MESSAGES),
                system,
                opening,  # the same object, because its id may name a live session
            ],
            "steps": 0,
            "verdict": None,
            "usage": Usage(),
            "in_view": in_view,
            "view": shown,
            "similar_steps": [],
            "adapter": await adapter_for(context, release, releases),
        }

    return begin


async def adapter_for(context: Context, shown: Release | None, releases: Releases) -> str:
    """Return the adapter that acts: the requested one, else the released one of this model."""
    if context.adapter:
        return "" if context.adapter == NO_ADAPTER else context.adapter
    release = shown or await releases.current()
    return release.adapter if release and release.model == context.model else ""
