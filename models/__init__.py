"""Chat and embedding models: a name in, a LangChain model out.

`local:<name>` runs in this process, and `<provider>:<model>` is hosted. Callers choose names and
bounded numbers. The workspace sets addresses, keys and folders.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel

from apprentice.models.names import LocalModels, plain
from apprentice.state.errors import BadInput

_NAME: Final = re.compile(r"([a-z_]+):([A-Za-z0-9._:/-]{1,120})")

__all__ = ["Models"]


@dataclass(frozen=True)
class Models:
    """The chat and embedding models of one workspace.

    Attributes:
        local: the local models and adapters of the workspace.
        has_key: tells whether one of the named environment variables holds a key.
    """

    local: LocalModels
    has_key: Callable[[Sequence[str]], bool]

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

        return chat_model(provider, model, temperature, max_tokens, seed, self.has_key)

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

        return embedding_model(provider, model, self.has_key)


def _parse(name: str, examples: str) -> tuple[str, str]:
    match = _NAME.fullmatch(name)
    if not match:
        raise BadInput(f"{name[:130]!r} names no model. Write provider:model, such as {examples}.")
    return match[1], match[2]
