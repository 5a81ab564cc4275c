"""Fakes for tests of your own graphs, without a key, a network or a model.

async with Workspace(tmp_path, model=Scripted(["look", "go to desk 1"])) as workspace:
    graph = build(workspace=workspace).compile()
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any, Final
from zlib import crc32

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr
from typing_extensions import override

__all__ = ["Scripted", "WordEmbeddings"]

Turns = Sequence[str | AIMessage] | Callable[[list[BaseMessage]], str | AIMessage]


class Scripted(BaseChatModel):
    """A chat model that answers from a script.

    Args:
        turns: its turns in order, or a function from the messages so far to the next turn. A turn
            is a text or a message.
        delay: seconds that each turn takes.

    Raises:
        AssertionError: a call needs more turns than the script has.

    Example:
        >>> Scripted(["look", "go to desk 1"]).invoke("What now?").text
        'look'
    """

    _turns: Turns = PrivateAttr()
    _delay: float = PrivateAttr()
    _prompts: list[list[BaseMessage]] = PrivateAttr(default_factory=list)

    def __init__(self, turns: Turns, delay: float = 0.0) -> None:
        super().__init__()
        self._turns = turns
        self._delay = delay

    @property
    def prompts(self) -> list[list[BaseMessage]]:
        """Return what the model was shown, a list of messages a call."""
        return self._prompts

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        """Take any tools; the script knows which to call."""
        return self

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _answer(self, messages: list[BaseMessage]) -> ChatResult:
        number = len(self._prompts)
        self._prompts.append(list(messages))
        if callable(self._turns):
            turn = self._turns(messages)
        elif number < len(self._turns):
            turn = self._turns[number]
        else:
            raise AssertionError(
                f"The script has {len(self._turns)} turns, but a call needs one more."
            )
        message = AIMessage(turn) if isinstance(turn, str) else turn
        read = sum(len(str(each.text).split()) for each in messages)
        wrote = len(message.text.split())
        usage = UsageMetadata(input_tokens=read, output_tokens=wrote, total_tokens=read + wrote)
        message = message.model_copy(update={"usage_metadata": usage})
        return ChatResult(generations=[ChatGeneration(message=message)])

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


_WORD: Final = re.compile(r"\w+")


class WordEmbeddings(Embeddings):
    """Embeddings without a model: texts that share words have similar vectors.

    Args:
        dimension: how many numbers a vector has.

    Example:
        >>> len(WordEmbeddings(8).embed_query("Where is the mug?"))
        8
    """

    def __init__(self, dimension: int = 64) -> None:
        self._dimension = dimension

    @override
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    @override
    def embed_query(self, text: str) -> list[float]:
        vector = [0.01] * self._dimension
        for word, count in Counter(_WORD.findall(text.lower())).items():
            vector[crc32(word.encode()) % self._dimension] += count
        length = sqrt(sum(part * part for part in vector))
        return [part / length for part in vector]

    @override
    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.embed_documents(texts)

    @override
    async def aembed_query(self, text: str) -> list[float]:
        return self.embed_query(text)
