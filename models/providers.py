"""Chat and embedding models behind somebody's API, through LangChain's integrations.

The server's settings say where and as whom: each provider's own environment variables, such as
OPENAI_API_KEY, and OPENAI_BASE_URL for vLLM, Ollama, llama.cpp and whatever else speaks
OpenAI's protocol. Callers say a name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar

from langchain.chat_models import init_chat_model
from langchain.embeddings import init_embeddings
from langchain_core.caches import RETURN_VAL_TYPE, BaseCache
from langchain_core.embeddings import Embeddings
from langchain_core.globals import get_llm_cache
from langchain_core.language_models import BaseChatModel

from apprentice.state.errors import MissingPart, UnknownName
from apprentice.state.redaction import redact

# Providers whose integration is chosen by name alone, and the variables that may hold their key.
# Not among them: `huggingface`, which would load whatever weights a caller names into this
# process; `local:` is for those.
PROVIDERS: Final[dict[str, tuple[str, ...]]] = {
    "anthropic": ("ANTHROPIC_API_KEY",),
    "anthropic_bedrock": (),
    "azure_ai": (),
    "azure_openai": (),
    "baseten": ("BASETEN_API_KEY",),
    "bedrock": (),
    "bedrock_converse": (),
    "bedrock_mantle_anthropic": (),
    "bedrock_mantle_openai": (),
    "cohere": ("COHERE_API_KEY",),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "fireworks": ("FIREWORKS_API_KEY",),
    "google_anthropic_vertex": (),
    "google_genai": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    "google_vertexai": (),
    "groq": ("GROQ_API_KEY",),
    "ibm": (),
    "langsmith": ("LANGSMITH_GATEWAY_API_KEY", "LANGSMITH_API_KEY"),
    "litellm": (),
    "meta": (),
    "mistralai": ("MISTRAL_API_KEY",),
    "nvidia": (),
    "ollama": (),
    "openai": ("OPENAI_API_KEY",),
    "openrouter": ("OPENROUTER_API_KEY",),
    "perplexity": ("PPLX_API_KEY", "PERPLEXITY_API_KEY"),
    "together": ("TOGETHER_API_KEY",),
    "upstage": ("UPSTAGE_API_KEY",),
    "xai": ("XAI_API_KEY",),
}

EMBEDDERS: Final = (
    "azure_ai", "azure_openai", "bedrock", "cohere", "google_genai", "google_vertexai",
    "mistralai", "ollama", "openai",
)  # fmt: skip
"""Providers that have embedding models too."""
T = TypeVar("T")


HasKey = Callable[[Sequence[str]], bool]
"""Tells whether one of some variables holds a key."""


def chat_model(
    provider: str,
    model: str,
    temperature: float,
    max_tokens: int,
    seed: int | None,
    has_key: HasKey,
) -> BaseChatModel:
    """Return a provider's model; the same settings give the same client.

    Raises:
        UnknownName: there is no such provider.
        MissingPart: its package is not installed, or its key is not set.
    """
    _check_key(provider, model, PROVIDERS, has_key)
    return _chat(provider, model, temperature, max_tokens, seed)


def embedding_model(provider: str, model: str, has_key: HasKey) -> Embeddings:
    """Return a provider's embedding model; the same name gives the same client.

    Raises:
        UnknownName: there is no such provider.
        MissingPart: its package is not installed, or its key is not set.
    """
    _check_key(provider, model, {name: PROVIDERS[name] for name in EMBEDDERS}, has_key)
    return _embeddings(provider, model)


@lru_cache(maxsize=64)
def _chat(
    provider: str, model: str, temperature: float, max_tokens: int, seed: int | None
) -> BaseChatModel:
    def make() -> BaseChatModel:
        client: BaseChatModel = init_chat_model(
            model, model_provider=provider, temperature=temperature, max_tokens=max_tokens
        )
        return client

    client = _set_up(provider, model, make)
    if seed is None:
        return client
    if "seed" in type(client).model_fields:
        return client.model_copy(update={"seed": seed})
    return client.model_copy(update={"cache": SeededCache(seed)}) if temperature else client


@lru_cache(maxsize=8)
def _embeddings(provider: str, model: str) -> Embeddings:
    # Texts go to the provider as they are: servers that speak OpenAI's protocol know no token ids.
    options = {"check_embedding_ctx_length": False} if provider == "openai" else {}

    def make() -> Embeddings:
        return init_embeddings(model, provider=provider, **options)

    return _set_up(provider, model, make)


def _check_key(
    provider: str, model: str, providers: Mapping[str, tuple[str, ...]], has_key: HasKey
) -> None:
    """Refuse a provider that is not known, or whose key is not set."""
    if provider not in providers:
        raise UnknownName("model provider", provider, ["local", *providers])
    keys = providers[provider]
    if keys and not has_key(keys):
        raise MissingPart(_no_key(provider, model, keys))


def _set_up(provider: str, model: str, make: Callable[[], T]) -> T:
    """Make a provider's model, and say in a sentence what is missing if that fails."""
    try:
        return make()
    except ImportError as error:
        raise MissingPart(
            f"{provider}:{model} needs a package that is not installed: {error}"
        ) from error
    except Exception as error:  # each provider's constructor raises what it likes
        first, *_ = str(error).strip().splitlines() or [f"{type(error).__name__}."]
        raise MissingPart(
            f"{provider}:{model} is not set up: {redact(first)} See LangChain's page on "
            f"{provider} for the environment variables that it reads."
        ) from error


class SeededCache(BaseCache):
    """The process's cache of answers, if it has one, told apart by a seed.

    For providers that take no seed: to LangChain all their draws for one prompt are the same
    question, so every sampled retry would be the first one again.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """Return what was drawn for a prompt with this seed, if anything was."""
        cache = get_llm_cache()
        return cache.lookup(prompt, self._key(llm_string)) if cache else None

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Keep what was drawn for a prompt with this seed."""
        if cache := get_llm_cache():
            cache.update(prompt, self._key(llm_string), return_val)

    def clear(self, **kwargs: Any) -> None:
        """Clear the process's cache."""
        if cache := get_llm_cache():
            cache.clear(**kwargs)

    def _key(self, llm_string: str) -> str:
        return f"{llm_string}---seed {self._seed}"


def _no_key(provider: str, model: str, keys: tuple[str, ...]) -> str:
    sentence = f"{provider}:{model} needs a key: set {' or '.join(keys)}."
    if provider == "openai":
        sentence += " For a server of your own, named by OPENAI_BASE_URL, any value will do."
    return sentence
