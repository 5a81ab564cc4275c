"""Your own agent and your own judge, learning by reflexion.

    python -m examples.own_agent

The agent here is a few lines of plain Python. A chat model, a compiled graph or any function from
messages to a turn can take its place. The agent searches a room place by place; if its prompt has a
reflection, it searches the places of the reflection first. The judge lowers the score of long
attempts. The reflector is plain Python too. Without one, the model in the run's context reflects.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AnyMessage

from apprentice import Context, Task, Verdict, build_reflexion

TASK = Task(environment="household/north/full", id="test/12")
GOAL = "vase"


def places_in(text: str) -> list[str]:
    """Return the places that the first observation lists, such as 'drawer 1'."""
    return re.findall(r"\ban? ([a-z]+ \d+)", text)


def agent(messages: Sequence[AnyMessage]) -> str:
    """Go to one place after another, those of the reflection first, and open closed places."""
    prompt, first_text, *rest = (message.text for message in messages)
    past = [text.removeprefix("go to ") for text in rest[::2] if text.startswith("go to ")]
    if rest and rest[-1].endswith("is closed."):
        return f"open {past[-1]}"
    hints = re.findall(r"look at ([a-z]+ \d+)", prompt)
    next_places = [place for place in [*hints, *places_in(first_text)] if place not in past]
    return f"go to {next_places[0]}" if next_places else "look"


def judge(task: Task, messages: Sequence[AnyMessage], verdict: Verdict) -> Verdict:
    """Return success if the agent saw the thing; the score is higher the sooner it saw it."""
    observations = [message.text for message in messages[2:] if message.type == "human"]
    sightings = [turn for turn, text in enumerate(observations, 1) if f"{GOAL} 1" in text]
    if not sightings:
        return Verdict(success=False, score=0, source="rule", feedback="It was never seen.")
    return Verdict(success=True, score=1 / sightings[0], source="rule", feedback="It was seen.")


def reflector(messages: Sequence[AnyMessage]) -> str:
    """Write which places the failed attempt did not visit."""
    attempt, _, _ = messages[-1].text.partition("STATUS: FAIL")
    first_text, _, turns = attempt.partition("\n> ")
    next_places = [place for place in places_in(first_text) if f"go to {place}" not in f"> {turns}"]
    return "Next I " + ", ".join(f"look at {place}" for place in next_places[:12]) + "."


async def main() -> dict[str, Any]:
    """Attempt the task up to four times and print each trial."""
    graph = build_reflexion(agent=agent, judge=judge, reflector=reflector).compile(name="reflexion")
    result = await graph.ainvoke({"task": TASK}, context=Context(max_trials=4))
    print(f"{result['task'].instruction} -> {result['outcome']} after {result['trials']} trials")
    for attempt in result["attempts"]:
        turns = sum(message.type == "ai" for message in attempt.messages)
        print(f"  trial {attempt.trial}: {turns} turns, {attempt.verdict.feedback}")
    return result


if __name__ == "__main__":
    asyncio.run(main())
