"""Who judges the agent, and who teaches it."""

from collections.abc import Sequence

from langchain_core.messages import AnyMessage

from apprentice import Task, Verdict


def judge(task: Task, messages: Sequence[AnyMessage], verdict: Verdict) -> Verdict:
    """Be content with an agent that went to the shelf."""
    went = any(message.text == "go to shelf 1" for message in messages if message.type == "ai")
    return Verdict(success=went, source="rule", feedback="" if went else "Never at the shelf.")


def reflector(messages: Sequence[AnyMessage]) -> str:
    """Write the reflection."""
    return "Next time I look at shelf 1."
