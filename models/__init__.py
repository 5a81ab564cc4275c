"""The one seam to chat models: a name in, a LangChain chat model out.

`local:<name>` runs in this process; `<provider>:<model>` is hosted. Callers choose names and
bounded numbers; addresses, keys and folders are the server's settings.
"""

from __future__ import annotations

import re
from typing import Final

from langchain_core.language_models import BaseChatModel

from state.errors import BadInput

_NAME: Final = re.compile(r"([a-z_]+):([A-Za-z0-9._:/-]{1,120})")

__all__ = ["chat"]


def chat(
    name: str,
    *,
    adapter: str = "",
    temperature: float = 0.0,
    max_tokens: int = 128,
    seed: int | None = None,
) -> BaseChatModel:
    """Return the chat model of a name.

    A local model's weights and adapter are looked up with the first question, in the model's
    own thread. A hosted provider's package is imported here, which takes a moment the first
    time: call this off the event loop.

    Args:
        name: `local:<name>`, or `<provider>:<model>` such as `openai:gpt-4.1-mini`.
        adapter: name of a LoRA adapter, for local models.
        temperature: 0 for the likeliest answer, up to 2.
        max_tokens: how many tokens an answer may have.
        seed: makes drawn answers repeatable where the provider offers that.

    Raises:
        BadInput: the name has not that form, or an adapter is asked of a hosted model.
        UnknownName: there is no such provider.
        MissingPart: a key or a package is missing.
    """
    match = _NAME.fullmatch(name)
    if not match:
        raise BadInput(
            f"{name[:130]!r} names no model. Write provider:model, such as local:novice or "
            "openai:gpt-4.1-mini."
        )
    provider, model = match.groups()
    if provider == "local":
        from models.local import LocalChatModel
        from models.names import plain

        return LocalChatModel(
            model=plain("local model", model),
            adapter=adapter and plain("adapter", adapter),
            temperature=temperature,
            max_tokens=max_tokens,
            seed=seed,
        )
    if adapter:
        raise BadInput(f"Adapters are for local models; {name} is hosted. Leave adapter empty.")
    from models.hosted import hosted

    return hosted(provider, model, temperature, max_tokens, seed)
