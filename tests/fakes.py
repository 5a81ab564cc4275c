"""Stand-ins for parts of the house, for tests of control flow only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

Turns = Sequence[str] | Callable[[list[BaseMessage]], str]


class Scripted(BaseChatModel):
    """A chat model that says what it is told to.

    Args:
        turns: its turns in order, or a function from the messages so far to the next turn.
        delay: seconds that each turn takes.
    """

    _turns: Turns = PrivateAttr()
    _delay: float = PrivateAttr()
    _prompts: list[list[BaseMessage]] = PrivateAttr(default_factory=list)

    def __init__(self, turns: Turns, delay: float = 0.0) -> None:
        """Keep the script."""
        super().__init__()
        self._turns = turns
        self._delay = delay

    @property
    def prompts(self) -> list[list[BaseMessage]]:
        """Return what the model was shown, a list of messages a call."""
        return self._prompts

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _answer(self, messages: list[BaseMessage]) -> ChatResult:
        number = len(self._prompts)
        self._prompts.append(list(messages))
        if callable(self._turns):
            text = self._turns(messages)
        elif number < len(self._turns):
            text = self._turns[number]
        else:
            raise AssertionError(
                f"The script has {len(self._turns)} turns; one more was asked for."
            )
        read = sum(len(str(message.text).split()) for message in messages)
        wrote = len(text.split())
        usage = UsageMetadata(input_tokens=read, output_tokens=wrote, total_tokens=read + wrote)
        return ChatResult(
            generations=[ChatGeneration(message=AIMessage(text, usage_metadata=usage))]
        )

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        time.sleep(self._delay)
        return self._answer(messages)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        await asyncio.sleep(self._delay)
        return self._answer(messages)
