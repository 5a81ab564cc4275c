"""The training graph as a server has it: real jobs and memory, and the expert's words.

With an adapter the model knows how things are in the north; without one, nothing.
"""

from __future__ import annotations

from typing import Any

import nodes.agents
from environments.household.expert import Knowledge
from graphs import episode as episodes
from graphs import feedback as feedbacks
from graphs import training as trainings
from tests.fakes import Scripted
from tests.training.attempts import speaking, told, words


def chat(name: str, *, adapter: str, **_: Any) -> Scripted:
    """Return the expert in the place of a model."""
    return Scripted(speaking(told("north") if adapter else Knowledge()))


setattr(nodes.agents, "chat", chat)  # noqa: B010 - in the server's process there is nothing else

episode = episodes.build().compile(name="episode")
feedback = feedbacks.build(words).compile(name="feedback")
training = trainings.build(memory=words, settings={"max_steps": 3}).compile(name="training")
