"""Hosted models: a name becomes a client, and errors name what is missing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from langchain.chat_models import base
from langchain_core.caches import InMemoryCache
from langchain_core.globals import get_llm_cache, set_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from apprentice.models.providers import PROVIDERS, MakeClient, chat_model
from apprentice.settings import Settings
from apprentice.state.errors import BadInput, MissingPart, UnknownName
from apprentice.testing import Scripted
from tests.served import SHIPPED

MODELS = replace(SHIPPED, has_key=Settings().has_key)


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove all keys from the environment."""
    for keys in PROVIDERS.values():
        for key in keys:
            monkeypatch.delenv(key, raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """Run a server with OpenAI's protocol; return the requests that it gets."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            choice = {"message": {"role": "assistant", "content": "look"}, "finish_reason": "stop"}
            usage = {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}
            answer = {"id": "1", "object": "chat.completion", "model": "m", "created": 0}
            body = json.dumps({**answer, "choices": [{"index": 0, **choice}], "usage": usage})
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            """Keep the test's output clean."""

    listening = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{listening.server_port}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    yield asked
    listening.shutdown()
    thread.join()
    listening.server_close()


def test_an_own_server_gets_the_callers_settings(
    server: list[dict[str, Any]],
) -> None:
    chat = MODELS.chat("openai:org/my-model:7b", temperature=0.5, max_tokens=32, seed=3)
    answer = chat.invoke("What now?")
    assert isinstance(answer, AIMessage)
    assert answer.content == "look"
    assert answer.usage_metadata
    assert answer.usage_metadata["input_tokens"] == 7
    (asked,) = server
    assert asked["model"] == "org/my-model:7b"
    assert (asked["temperature"], asked["seed"]) == (0.5, 3)
    assert 32 in (asked.get("max_tokens"), asked.get("max_completion_tokens"))


def test_the_same_settings_share_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    assert MODELS.chat("openai:a") is MODELS.chat("openai:a")
    assert MODELS.chat("openai:a") is not MODELS.chat("openai:b")


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("openai:gpt-4.1", MissingPart, "set OPENAI_API_KEY. For your own server"),
        ("google_genai:gemini", MissingPart, "set GOOGLE_API_KEY or GEMINI_API_KEY"),
        ("opnai:gpt-4.1", UnknownName, "Did you mean 'openai'"),
        ("huggingface:gpt2", UnknownName, "Unknown model provider 'huggingface'"),
        ("gpt-4.1", BadInput, "Write provider:model"),
        ("openai:gpt 4", BadInput, "names no model"),
        ("openai:" + "a" * 121, BadInput, "names no model"),
        ("", BadInput, "names no model"),
    ],
)
def test_what_is_missing_is_named(name: str, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as caught:
        MODELS.chat(name)
    assert sentence in str(caught.value)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "any")
    with pytest.raises(MissingPart, match=r"groq:llama needs a package.*langchain-groq"):
        MODELS.chat("groq:llama")


def test_a_provider_that_fails_without_a_message_is_named() -> None:
    def wordless(*_: Any, **__: Any) -> BaseChatModel:
        raise AssertionError

    with pytest.raises(MissingPart, match="ollama:llama is not set up: AssertionError"):
        chat_model("ollama", "llama", 0.0, 32, None, MODELS.has_key, MODELS.openai, wordless)


def test_adapters_are_for_local_models() -> None:
    with pytest.raises(BadInput, match="Adapters are for local models"):
        MODELS.chat("openai:gpt-4.1", adapter="mine")


def test_every_provider_but_huggingface_is_offered() -> None:
    assert set(base._BUILTIN_PROVIDERS) - set(PROVIDERS) == {"huggingface"}


@pytest.mark.parametrize(("temperature", "draws"), [(1.0, 2), (0.0, 1)])
def test_the_cache_key_contains_the_seed_if_the_provider_takes_none(
    temperature: float, draws: int
) -> None:
    texts = iter(["look", "inventory", "neither"])

    def client(model: str, **_: Any) -> Scripted:
        return Scripted(lambda _: next(texts))  # one that takes no seed

    def answer(seed: int, make_client: MakeClient) -> str:
        chat = chat_model(
            "anthropic", "m", temperature, 32, seed, lambda _: True, MODELS.openai, make_client
        )
        return chat.invoke("What now?").text

    before = get_llm_cache()
    set_llm_cache(InMemoryCache())
    try:
        answers = [answer(seed, client) for seed in (1, 2, 1, 2)]
        again = answer(1, partial(client))  # another client, as in another process
    finally:
        set_llm_cache(before)
    assert answers == ["look", "inventory"][:draws] * (4 // draws)
    assert again == "look"
