"""Your own agent and your own judge, learning by reflexion.

    python -m examples.own_agent

The agent here is a few lines of plain Python, in place of which any chat model, compiled graph
or function from messages to a turn will do. It searches a room place by place, in the order of
the lesson it is shown, if it is shown one. The judge marks down what took long. The reflector
is plain Python too; leave it out, and the model that the run's context names reflects.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AnyMessage

from apprentice.environments.household.language import parse_goal, places_in
from apprentice.graphs.reflexion import build
from apprentice.state.context import Context
from apprentice.state.nouns import Task, Verdict

TASK = Task(environment="household/north/full", id="test/12")


def agent(messages: Sequence[AnyMessage]) -> str:
    """Go to one place after another, those of the lesson first, and look at what is there."""
    prompt, opening, *rest = (message.text for message in messages)
    tried = [text.removeprefix("go to ") for text in rest[::2] if text.startswith("go to ")]
    if rest and rest[-1].endswith("is closed."):
        return f"open {tried[-1]}"
    told = re.findall(r"look at ([a-z]+ \d+)", prompt)
    left = [place for place in [*told, *places_in(opening)] if place not in tried]
    return f"go to {left[0]}" if left else "look"


def judge(task: Task, messages: Sequence[AnyMessage], verdict: Verdict) -> Verdict:
    """Be content when the thing was seen, and the more so the sooner."""
    goal = parse_goal(task.instruction)
    seen = [message.text for message in messages[2:] if message.type == "human"]
    found = [turn for turn, text in enumerate(seen, 1) if goal and f"{goal.thing} 1" in text]
    if not found:
        return Verdict(success=False, score=0, source="rule", feedback="It was never seen.")
    return Verdict(success=True, score=1 / found[0], source="rule", feedback="It was seen.")


def reflector(messages: Sequence[AnyMessage]) -> str:
    """Say which places the failed attempt has left out."""
    attempt, _, _ = messages[-1].text.partition("STATUS: FAIL")
    opening, _, turns = attempt.partition("\n> ")
    left = [place for place in places_in(opening) if f"go to {place}" not in f"> {turns}"]
    return "Next I " + ", ".join(f"look at {place}" for place in left[:12]) + "."


async def main() -> dict[str, Any]:
    """Try up to four times."""
    graph = build(agent=agent, judge=judge, reflector=reflector).compile(name="reflexion")
    ended = await graph.ainvoke({"task": TASK}, context=Context(max_trials=4))
    print(f"{ended['task'].instruction} -> {ended['outcome']} after {ended['trials']} trials")
    for attempt in ended["attempts"]:
        turns = sum(message.type == "ai" for message in attempt.messages)
        print(f"  trial {attempt.trial}: {turns} turns, {attempt.verdict.feedback}")
    return ended


if __name__ == "__main__":
    asyncio.run(main())
