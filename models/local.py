"""Chat models that run in this process, with weights in a folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LangSmithParams, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field, field_validator

from apprentice.models.engine import Answer, Request, engine
from apprentice.models.names import LocalModels, plain
from apprentice.models.toolcalls import as_chat
from apprentice.state.toolcalls import parse


class LocalChatModel(BaseChatModel):
    """A model in this process, by its plain name.

    Instances are cheap and hold no weights. All instances with the same model share one engine,
    which loads in its own thread at the first question.

    Attributes:
        model: `novice`, or a model of the workspace.
        models: the folders of the workspace's models and adapters.
        adapter: name of a LoRA adapter, or "" for none.
        temperature: 0 takes the likeliest token. Otherwise tokens are sampled.
        max_tokens: the largest number of tokens in an answer.
        seed: makes sampled answers repeatable: the same seed and conversation, the same answer.
    """

    model: str
    models: LocalModels = Field(exclude=True, repr=False)
    adapter: str = ""
    temperature: float = Field(default=0.0, ge=0, le=2)
    max_tokens: int = Field(default=128, ge=1)
    seed: int | None = None

    @field_validator("model")
    @classmethod
    def _plain_model(cls, name: str) -> str:
        return plain("local model", name)

    @field_validator("adapter")
    @classmethod
    def _plain_adapter(cls, name: str) -> str:
        return plain("adapter", name) if name else name

    @property
    def _llm_type(self) -> str:
        return "local"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {
            "model": f"local:{self.model}",
            "adapter": self.adapter,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
        }

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = "local"
        params["ls_model_name"] = f"{self.model}+{self.adapter}" if self.adapter else self.model
        return params

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        """Add the weights' fingerprint, so that a cache never returns another model's answer."""
        key = super()._get_llm_string(stop, **kwargs)
        return f"{key}---{self.models.fingerprint(self.model, self.adapter)}"

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Show tools to the model and read its calls. The model chooses which tools to call."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _request(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> Request:
        return Request(
            messages=as_chat(messages),
            tools=kwargs.get("tools", ()),
            adapter=self.models.adapters / self.adapter if self.adapter else None,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            seed=self.seed,
            stop=stop or (),
        )

    def _result(self, answer: Answer, request: Request) -> ChatResult:
        message = parse(answer.text) if request.tools else AIMessage(answer.text)
        message.usage_metadata = UsageMetadata(
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
            total_tokens=answer.input_tokens + answer.output_tokens,
            input_token_details={"cache_read": answer.cached_tokens},
        )
        message.response_metadata = {
            "model_name": f"local:{self.model}",
            "model_provider": "local",
            "adapter": self.adapter,
            "finish_reason": answer.finish,
        }
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = self._request(messages, stop, kwargs)
        return self._result(engine(self.model, self.models).submit(request).result(), request)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = self._request(messages, stop, kwargs)
        answer = await asyncio.wrap_future(engine(self.model, self.models).submit(request))
        return self._result(answer, request)
