"""Chat and embedding models of hosted providers, through LangChain's integrations.

Each provider's own environment variables set its address and key, such as OPENAI_API_KEY. For
vLLM, Ollama, llama.cpp and other servers with OpenAI's protocol, set OPENAI_BASE_URL. Callers
choose only a model's name.
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

from apprentice.models import OpenAIAccess
from apprentice.state.errors import MissingPart, UnknownName
from apprentice.state.redaction import redact

# The providers that a caller may name, and the variables that may hold their key.
# `huggingface` is missing on purpose: it would load any weights that a caller names into this
# process. Local weights are offered as `local:`.
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
"""Providers that also have embedding models."""
OPENAI: Final = "openai"
T = TypeVar("T")


HasKey = Callable[[Sequence[str]], bool]
"""A function that tells whether one of the named variables holds a key."""
MakeClient = Callable[..., BaseChatModel]
"""A function that makes a provider's client from a model's name and settings."""


def chat_model(
    provider: str,
    model: str,
    temperature: float,
    max_tokens: int,
    seed: int | None,
    has_key: HasKey,
    openai: OpenAIAccess,
    make_client: MakeClient = init_chat_model,
) -> BaseChatModel:
    """Return a provider's chat model. The same settings return the same client.

    Args:
        provider: one of `PROVIDERS`.
        model: the model's name at the provider.
        temperature: 0 for the likeliest answer, up to 2.
        max_tokens: the largest number of tokens in an answer.
        seed: makes sampled answers repeatable if the provider supports it.
        has_key: tells whether one of the named variables holds a key.
        openai: the key and the address of OpenAI's models.
        make_client: makes the client, with the arguments of LangChain's `init_chat_model`.

    Raises:
        UnknownName: there is no such provider.
        MissingPart: the provider's package is not installed, or its key is not set.
    """
    if not openai.key or provider != OPENAI:
        _check_key(provider, model, PROVIDERS, has_key)
    access = openai if provider == OPENAI else OpenAIAccess()
    return _chat(provider, model, temperature, max_tokens, seed, access, make_client)


def embedding_model(provider: str, model: str, has_key: HasKey, openai: OpenAIAccess) -> Embeddings:
    """Return a provider's embedding model. The same name returns the same client.

    Raises:
        UnknownName: there is no such provider.
        MissingPart: the provider's package is not installed, or its key is not set.
    """
    if not openai.key or provider != OPENAI:
        _check_key(provider, model, {name: PROVIDERS[name] for name in EMBEDDERS}, has_key)
    return _embeddings(provider, model, openai if provider == OPENAI else OpenAIAccess())


@lru_cache(maxsize=64)
def _chat(
    provider: str,
    model: str,
    temperature: float,
    max_tokens: int,
    seed: int | None,
    access: OpenAIAccess,
    make_client: MakeClient,
) -> BaseChatModel:
    options: dict[str, Any] = {**access.options()}

    def make() -> BaseChatModel:
        return make_client(
            model,
            model_provider=provider,
            temperature=temperature,
            max_tokens=max_tokens,
            **options,
        )

    client = _set_up(provider, model, make)
    if seed is None:
        return client
    if "seed" in type(client).model_fields:
        return client.model_copy(update={"seed": seed})
    return client.model_copy(update={"cache": SeededCache(seed)}) if temperature else client


@lru_cache(maxsize=8)
def _embeddings(provider: str, model: str, access: OpenAIAccess) -> Embeddings:
    options: dict[str, Any] = {**access.options()}
    if provider == OPENAI:
        # Texts are sent as text: other servers with OpenAI's protocol do not accept token ids.
        options["check_embedding_ctx_length"] = False

    def make() -> Embeddings:
        return init_embeddings(model, provider=provider, **options)

    return _set_up(provider, model, make)


def _check_key(
    provider: str, model: str, providers: Mapping[str, tuple[str, ...]], has_key: HasKey
) -> None:
    """Raise an error if the provider is unknown or its key is not set."""
    if provider not in providers:
        raise UnknownName("model provider", provider, ["local", *providers])
    keys = providers[provider]
    if keys and not has_key(keys):
        raise MissingPart(_no_key(provider, model, keys))


def _set_up(provider: str, model: str, make: Callable[[], T]) -> T:
    """Create a provider's model. If it fails, raise MissingPart with what is missing."""
    try:
        return make()
    except ImportError as error:
        raise MissingPart(
            f"{provider}:{model} needs a package that is not installed: {error}"
        ) from error
    except Exception as error:  # each constructor raises errors of its own
        first, *_ = str(error).strip().splitlines() or [f"{type(error).__name__}."]
        raise MissingPart(
            f"{provider}:{model} is not set up: {redact(first)} See LangChain's page on "
            f"{provider} for the environment variables that it reads."
        ) from error


class SeededCache(BaseCache):
    """LangChain's global cache of answers, with the seed as part of the key.

    It is for providers without a seed. For LangChain, all samples of one prompt are the same
    question, so every retry would get the first cached answer again.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """Return the cached answer to a prompt with this seed, if there is one."""
        cache = get_llm_cache()
        return cache.lookup(prompt, self._key(llm_string)) if cache else None

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Cache the answer to a prompt with this seed."""
        if cache := get_llm_cache():
            cache.update(prompt, self._key(llm_string), return_val)

    def clear(self, **kwargs: Any) -> None:
        """Clear the global cache."""
        if cache := get_llm_cache():
            cache.clear(**kwargs)

    def _key(self, llm_string: str) -> str:
        return f"{llm_string}---seed {self._seed}"


def _no_key(provider: str, model: str, keys: tuple[str, ...]) -> str:
    sentence = f"{provider}:{model} needs a key: set {' or '.join(keys)}."
    if provider == "openai":
        sentence += " For your own server at OPENAI_BASE_URL, any value works."
    return sentence
