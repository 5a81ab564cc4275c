"""Chat and embedding models: a name in, a LangChain model out.

`local:<name>` runs in this process, and `<provider>:<model>` is hosted. Callers choose names and
bounded numbers. The workspace sets addresses, keys and folders.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel

from apprentice.models.names import LocalModels, plain
from apprentice.settings import Settings
from apprentice.state.errors import BadInput

_NAME: Final = re.compile(r"([a-z_]+):([A-Za-z0-9._:/-]{1,120})")

__all__ = ["Models", "OpenAIAccess"]


@dataclass(frozen=True)
class OpenAIAccess:
    """The key and the address of OpenAI's models, or of a server with its protocol."""

    key: str = field(default="", repr=False)
    address: str = ""

    def options(self) -> dict[str, str]:
        """Return them as the arguments of LangChain's clients; what is empty is left out."""
        options = {"api_key": self.key, "base_url": self.address}
        return {name: value for name, value in options.items() if value}


@dataclass(frozen=True)
class Models:
    """The chat and embedding models of one workspace.

    Attributes:
        local: the local models and adapters of the workspace.
        has_key: tells whether one of the named environment variables holds a key.
        openai: the key and the address of OpenAI's models, or of a server with its protocol; a
            part that is empty is left to the environment.
    """

    local: LocalModels
    has_key: Callable[[Sequence[str]], bool]
    openai: OpenAIAccess = OpenAIAccess()

    @classmethod
    def of(cls, settings: Settings, data: Path) -> Self:
        """Return the models of a deployment.

        Args:
            settings: of the deployment.
            data: its folder; the adapters are in it unless the settings name another folder.
        """
        adapters = settings.adapters or data / "adapters"
        key = settings.openai_api_key
        return cls(
            LocalModels(settings.local_models, adapters, settings.device),
            settings.has_key,
            OpenAIAccess(key.get_secret_value() if key else "", settings.openai_base_url),
        )

    def chat(
        self,
        name: str,
        *,
        adapter: str = "",
        temperature: float = 0.0,
        max_tokens: int = 128,
        seed: int | None = None,
    ) -> BaseChatModel:
        """Return the chat model with a name.

        A local model loads its weights and adapter at the first question, in its own thread. A
        hosted provider's package is imported here, which is slow the first time: call this off the
        event loop.

        Args:
            name: `local:<name>`, or `<provider>:<model>` such as `openai:gpt-4.1-mini`.
            adapter: name of a LoRA adapter, for local models.
            temperature: 0 for the likeliest answer, up to 2.
            max_tokens: the largest number of tokens in an answer.
            seed: makes sampled answers repeatable if the provider supports it.

        Raises:
            BadInput: the name has another form, or a hosted model gets an adapter.
            UnknownName: there is no such provider.
            MissingPart: a key or a package is missing.
        """
        provider, model = _parse(name, "local:novice or openai:gpt-4.1-mini")
        if provider == "local":
            from apprentice.models.local import LocalChatModel

            return LocalChatModel(
                model=plain("local model", model),
                models=self.local,
                adapter=adapter and plain("adapter", adapter),
                temperature=temperature,
                max_tokens=max_tokens,
                seed=seed,
            )
        if adapter:
            raise BadInput(f"Adapters are for local models; {name} is hosted. Leave adapter empty.")
        from apprentice.models.providers import chat_model

        return chat_model(provider, model, temperature, max_tokens, seed, self.has_key, self.openai)

    def embeddings(self, name: str) -> Embeddings:
        """Return the embedding model with a name. The same name returns the same object.

        Weights are loaded at the first text. A hosted provider's package is imported here: call
        this off the event loop.

        Args:
            name: `local:minilm`, or `<provider>:<model>` such as `openai:text-embedding-3-small`.

        Raises:
            BadInput: the name has another form.
            UnknownName: there is no such local model or provider.
            MissingPart: a key or a package is missing.
        """
        provider, model = _parse(name, "local:minilm or openai:text-embedding-3-small")
        if provider == "local":
            from apprentice.models.minilm import local_embeddings

            return local_embeddings(model)
        from apprentice.models.providers import embedding_model

        return embedding_model(provider, model, self.has_key, self.openai)


def _parse(name: str, examples: str) -> tuple[str, str]:
    match = _NAME.fullmatch(name)
    if not match:
        raise BadInput(f"{name[:130]!r} names no model. Write provider:model, such as {examples}.")
    return match[1], match[2]
