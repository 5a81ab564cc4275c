"""Feedback: attempts that were made elsewhere, and verdicts that come later, are remembered.

START -> receive -> record -> END       (a transcript)
            |          |
            |          v                (known before, with another verdict)
            +-----> annotate -> END     (a verdict on an attempt that is kept)

An agent that runs elsewhere needs no other graph to be learned from. Sending the same thing again
changes nothing.
"""

from __future__ import annotations

from langgraph.graph import END, START

from apprentice.graphs.technique import Technique
from apprentice.nodes.experience import Memory, experience
from apprentice.nodes.feedback.annotate import annotating
from apprentice.nodes.feedback.receive import receive
from apprentice.nodes.feedback.record import recording
from apprentice.state.context import Context
from apprentice.state.feedback import FeedbackInput, FeedbackOutput, FeedbackState

Feedback = Technique[FeedbackState, FeedbackInput, FeedbackOutput]


def build(memory: Memory = experience) -> Feedback:
    """Wire the graph.

    Args:
        memory: opens a tenant's experience; the one that this process keeps when none is given.
    """
    return (
        Technique(FeedbackState, Context, input_schema=FeedbackInput, output_schema=FeedbackOutput)
        .add_node(receive)
        .add_node("record", recording(memory), destinations=("annotate", END))
        .add_node("annotate", annotating(memory))
        .add_edge(START, "receive")
        .add_edge("annotate", END)
    )


graph = build().compile(name="feedback")
