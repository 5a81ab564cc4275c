"""propose: propose one experiment from the promoted insights."""

from __future__ import annotations

from langgraph.runtime import Runtime

from apprentice.nodes import Node
from apprentice.nodes.agents import Agent
from apprentice.nodes.insights import consult, log
from apprentice.state.context import Context
from apprentice.state.insight_prompts import propose_prompt as prompt
from apprentice.state.insights import Experiment, InsightsState, InsightsUpdate, insights_of
from apprentice.state.rulebook import LIMIT
from apprentice.state.trajectory import text_of
from apprentice.workspace import Workspace


def propose_with(
    analyst: Agent | None, workspace: Workspace
) -> Node[InsightsState, InsightsUpdate]:
    """Return the node in which a model, or the caller's own analyst, proposes an experiment."""

    async def propose(state: InsightsState, runtime: Runtime[Context]) -> InsightsUpdate:
        """Propose one experiment from the promoted insights, if there are any."""
        memory = log(runtime, state.collection_name)
        rulebook = await memory.load()
        update: InsightsUpdate = {
            "insights": insights_of(rulebook, await memory.batches()),
            "version": rulebook.version,
            "outcome": "nothing_promoted",
        }
        promoted_insights = [each for each in update["insights"] if each.standing == "promoted"][
            :LIMIT
        ]
        if promoted_insights:
            question = prompt([each.text for each in promoted_insights])
            reply = await consult(analyst, question, Context.of(runtime), workspace)
            text = text_of(reply.message).strip()
            update["usage"] = state.usage + reply.usage
            update["outcome"] = "proposed" if text else "unanswered"
            if text:
                rests_on = tuple(each.id for each in promoted_insights)
                update["experiment"] = Experiment(text=text, insights=rests_on)
        runtime.stream_writer(
            {
                "type": "insights.done",
                "outcome": update["outcome"],
                "promoted_insights": len(promoted_insights),
                "quarantined_insights": len(state.quarantined),
            }
        )
        return update

    return propose
