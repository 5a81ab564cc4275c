"""The project's graphs as a server has them, with the expert in the place of a model."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from langchain_core.messages import AnyMessage

from apprentice.graphs import episode as episodes
from apprentice.graphs import exemplar as exemplars
from apprentice.graphs import expel as expels
from apprentice.graphs import insights as insight_graphs
from apprentice.graphs import reflexion as reflexions
from apprentice.state.trajectory import Verdict, digest, text_of
from apprentice.workspace import default
from tests.experts import expert_agent, expert_critic, expert_reflector
from tests.graphs.analyst import analyst

PAUSE = 0.05
WRITERS = 32
together = asyncio.Barrier(WRITERS)


async def patient_expert(messages: Sequence[AnyMessage]) -> str:
    """Take a moment, as a model would."""
    await asyncio.sleep(PAUSE)
    return expert_agent(messages)


episode = episodes.build(agent=patient_expert, record_to=default().experience).compile(
    name="episode"
)
exemplar = exemplars.build(agent=patient_expert, planner=lambda _: "As before.").compile(
    name="exemplar"
)
reflexion = reflexions.build(agent=patient_expert, reflector=expert_reflector).compile(
    name="reflexion"
)
insights = insight_graphs.build(analyst=analyst).compile(name="insights")
expel = expels.build(agent=expert_agent, reflector=expert_reflector, critic=expert_critic).compile(
    name="expel"
)


COMPANIONS = 4
met = asyncio.Barrier(COMPANIONS)


async def companion(messages: Sequence[AnyMessage]) -> str:
    """Go on once as many runs as there are companions are under way."""
    if not any(message.type == "ai" for message in messages):
        async with asyncio.timeout(600):
            await met.wait()
    return expert_agent(messages)


company = episodes.build(agent=companion).compile(name="company")


async def original(messages: Sequence[AnyMessage]) -> str:
    """Add a rule that nobody else adds, once all writers are about to write."""
    async with asyncio.timeout(600):
        await together.wait()
    letters = digest(text_of(messages[-1])).translate(str.maketrans("0123456789", "ghijklmnop"))
    return f"ADD: Look for {letters}."


writer = expels.build(
    agent=lambda _: "look", judge=lambda *_: Verdict(success=True), critic=original
).compile(name="writer")
