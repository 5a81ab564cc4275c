"""The scripted expert in place of every model: it acts, and writes down what it learns.

Run as a program this is the `apprentice` command with that model, which is what the tests of
signals start.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage, BaseMessage

from apprentice.cli.app import app
from apprentice.state.prompts import CRITIQUE_PAIR, CRITIQUE_SUCCESSES, REFLECT
from apprentice.testing import Scripted
from apprentice.workspace import Workspace
from tests.experts import expert_agent, expert_critic, expert_reflector


def pupil(messages: Sequence[BaseMessage]) -> str:
    """Act on a transcript, reflect on one, or draw rules from some."""
    told = messages[0].text
    plays = expert_reflector if told == REFLECT else expert_agent
    if told.startswith((CRITIQUE_PAIR, CRITIQUE_SUCCESSES)):
        plays = expert_critic
    return plays(cast("Sequence[AnyMessage]", messages))


def chat(name: str, **settings: Any) -> BaseChatModel:
    """Return the pupil, whatever model is named."""
    return Scripted(pupil, delay=float(os.environ.get("PUPIL_DELAY", "0")))


if __name__ == "__main__":
    app(prog_name="apprentice", obj=Workspace(model="local:novice", chat_models=chat))
