"""Feedback: record attempts that were made elsewhere, and verdicts that come later.

START -> receive -> record -> END       (a transcript)
            |          |
            |          v                (known before, with another verdict)
            +-----> annotate -> END     (a verdict on a stored attempt)

This graph is all that an agent elsewhere needs so that others can learn from it. Sending the same
thing again changes nothing.
"""

from __future__ import annotations

from langgraph.graph import END, START

from apprentice.graphs.technique import Technique
from apprentice.memory.experience import OpenExperience
from apprentice.nodes.feedback.annotate import annotate_in
from apprentice.nodes.feedback.receive import receive_in
from apprentice.nodes.feedback.record import record_in
from apprentice.state.context import Context
from apprentice.state.feedback import FeedbackInput, FeedbackOutput, FeedbackState
from apprentice.workspace import Workspace, default

Feedback = Technique[FeedbackState, FeedbackInput, FeedbackOutput]


def build(
    *, workspace: Workspace | None = None, record_to: OpenExperience | None = None
) -> Feedback:
    """Wire the graph.

    Args:
        workspace: has the environments and the experience memory; by default, the workspace of this
            process.
        record_to: opens a tenant's experience memory; by default, the workspace opens it.

    Example:
        messages = [{"role": "user", "content": "Where is my parcel?"}, ...]
        task = {"environment": "returns-desk", "id": "ticket 7"}
        async with workspace.store() as store:
            graph = build_feedback(workspace=workspace).compile(store=store)
            sent = await graph.ainvoke({"messages": messages, "task": task})
            await graph.ainvoke({"trajectory": sent["id"], "verdict": {"success": True}})
    """
    own = workspace or default()
    target = record_to or own.experience
    return (
        Technique(FeedbackState, Context, input_schema=FeedbackInput, output_schema=FeedbackOutput)
        .add_node("receive", receive_in(own))
        .add_node("record", record_in(target, own), destinations=("annotate", END))
        .add_node("annotate", annotate_in(target, own))
        .add_edge(START, "receive")
        .add_edge("annotate", END)
    )


graph = build().compile(name="feedback")
