"""Local models: answers as of transformers, caches, batches, adapters and errors."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.globals import get_llm_cache, set_llm_cache
from langchain_core.messages import AIMessage, HumanMessage
from peft import PeftModel

from apprentice.models import Models
from apprentice.models.engine import InferenceEngine, Request, close_all, engine
from apprentice.models.names import SHIPPED, EngineLimits, LocalModels
from apprentice.models.transformers_workarounds import LOAD_LOCK
from apprentice.models.weights import Variant, Weights, choose, generator
from apprentice.state.errors import (
    BadInput,
    BrokenData,
    ContextOverflow,
    MissingPart,
    ModelFailure,
    UnknownName,
)
from tests.models import tiny
from tests.models.conftest import Offered, generated, generated_tokens
from tests.served import served

# peft asks transformers for a property by its old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")

LONG = "Once there was a novice who read everything twice. "


def text(served: Models, name: str, prompt: Any, **settings: Any) -> str:
    return str(served.chat(name, **settings).invoke(prompt).content)


@pytest.mark.parametrize("name", ["llama", "qwen"])
def test_greedy_answers_match_generate(name: str, offered: Offered) -> None:
    for prompt in ("hello", LONG):
        wanted = generated(getattr(offered, name), prompt, 24)
        assert text(offered.served, f"local:{name}", prompt, max_tokens=24) == wanted


@pytest.mark.parametrize("name", ["llama", "qwen"])
def test_a_continued_conversation_uses_its_cache_and_gets_the_same_answer(
    name: str, offered: Offered
) -> None:
    chat = offered.served.chat(f"local:{name}", max_tokens=8)
    first = chat.invoke([HumanMessage(LONG)])
    longer = [HumanMessage(LONG), AIMessage("I see."), HumanMessage("go on")]
    warm = chat.invoke(longer)
    assert isinstance(warm, AIMessage)
    assert warm.usage_metadata
    remembered = warm.usage_metadata["input_token_details"]["cache_read"]
    assert isinstance(first, AIMessage)
    assert first.usage_metadata
    assert remembered == first.usage_metadata["input_tokens"]
    assert warm.usage_metadata["input_tokens"] > remembered

    close_all()
    cold = chat.invoke(longer)
    assert isinstance(cold, AIMessage)
    assert cold.usage_metadata
    assert cold.usage_metadata["input_token_details"]["cache_read"] == 0
    assert cold.content == warm.content


async def test_concurrent_requests_get_the_same_answers_as_single_ones(offered: Offered) -> None:
    prompts = [LONG[: 3 * number] + str(number) for number in range(12)]
    chat = offered.served.chat("local:llama", max_tokens=16)
    together = await asyncio.gather(*(chat.ainvoke(prompt) for prompt in prompts))
    assert [answer.content for answer in together] == [
        generated(offered.llama, prompt, 16) for prompt in prompts
    ]


async def test_a_request_chooses_its_adapter_and_the_base_stays_unchanged(offered: Offered) -> None:
    names = ["", "first", "second"] * 3
    answers = await asyncio.gather(
        *(
            offered.served.chat("local:llama", adapter=name, max_tokens=16).ainvoke(LONG)
            for name in names
        )
    )
    wanted = {"": generated(offered.llama, LONG, 16)}
    for name in ("first", "second"):
        base = tiny.loaded(offered.models / "llama")
        wanted[name] = generated(PeftModel.from_pretrained(base, offered.adapters / name), LONG, 16)
    assert len(set(wanted.values())) == 3
    assert [answer.content for answer in answers] == [wanted[name] for name in names]


def test_an_adapter_shares_the_weights_that_it_does_not_change(
    offered: Offered,
) -> None:
    weights = Weights("llama", offered.models / "llama")
    base, adapted = (
        held(weights.variant(offered.adapters / name if name else None)) for name in ("", "first")
    )
    own = {name for name, place in adapted.items() if place != base[name]}
    assert own == {f"{number}.query_key_value" for number in range(3)}
    again = held(weights.variant(offered.adapters / "second"))
    assert {name for name, place in again.items() if place == base[name]} == {
        "embedding", "head", "norm", *(name for name in base if name.endswith("_norm"))
    }  # fmt: skip


def held(variant: Variant) -> dict[str, int]:
    """Return the memory address of each tensor of a network, by name."""
    network: Any = variant.network
    tensors = {
        f"{number}.{name}": tensor
        for number, layer in enumerate(network._layers)
        for name, tensor in vars(layer).items()
    }
    tensors |= {"embedding": network._embedding, "head": network._head, "norm": network._norm}
    return {name: tensor.data_ptr() for name, tensor in tensors.items()}


def test_a_retrained_adapter_is_loaded_again(offered: Offered) -> None:
    folder = offered.adapters / "renewed"
    tiny.adapter(folder, offered.llama, seed=5, targets=["q_proj", "v_proj"])
    before = text(offered.served, "local:llama", LONG, adapter="renewed", max_tokens=16)
    tiny.adapter(folder, offered.llama, seed=6, targets=["q_proj", "v_proj"])
    after = text(offered.served, "local:llama", LONG, adapter="renewed", max_tokens=16)
    base = tiny.loaded(offered.models / "llama")
    assert after == generated(PeftModel.from_pretrained(base, folder), LONG, 16)
    assert after != before


async def test_a_seed_repeats_sampled_answers_alone_or_in_a_batch(offered: Offered) -> None:
    seeded = [
        offered.served.chat("local:llama", temperature=1.0, seed=seed, max_tokens=12)
        for seed in range(4)
    ]
    alone = [(await chat.ainvoke("hello")).content for chat in seeded]
    again = await asyncio.gather(*(chat.ainvoke("hello") for chat in seeded))
    assert [answer.content for answer in again] == alone
    assert len(set(alone)) == 4


def test_tokens_are_sampled_with_their_probabilities() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0]])
    source = generator(7, [1, 2])
    drawn = Counter(choose(logits, [0.5], [source])[0] for _ in range(4000))
    likely = torch.softmax(logits[0] / 0.5, -1).tolist()
    assert [drawn[token] / 4000 for token in range(3)] == pytest.approx(likely, abs=0.03)


def test_the_same_seed_gives_each_conversation_other_numbers() -> None:
    first, second = (torch.rand(1, generator=generator(7, tokens)) for tokens in ([1], [2]))
    assert first != second


def test_an_answer_ends_at_a_stop_text_or_the_token_limit(offered: Offered) -> None:
    whole = generated(offered.llama, LONG, 40)
    chat = offered.served.chat("local:llama", max_tokens=40)
    stopped = chat.invoke(LONG, stop=[whole[10:12]])
    assert stopped.content == whole[: whole.index(whole[10:12])]
    assert stopped.response_metadata["finish_reason"] == "stop"
    cut = offered.served.chat("local:llama", max_tokens=3).invoke(LONG)
    assert isinstance(cut, AIMessage)
    assert cut.usage_metadata
    assert cut.usage_metadata["output_tokens"] == 3
    assert cut.response_metadata["finish_reason"] == "length"


def test_the_end_of_a_turn_ends_the_answer(
    offered: Offered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny.llama(tmp_path / "brief")
    said = generated_tokens(model, "hello", 12)
    model.generation_config.eos_token_id = [said[6]]
    model.save_pretrained(tmp_path / "brief")
    answer = served(tmp_path).chat("local:brief", max_tokens=12).invoke("hello")
    assert answer.content == tiny.tokenizer().decode(said[: said.index(said[6])])
    assert answer.response_metadata["finish_reason"] == "stop"


def test_the_context_limits_question_and_answer_together(offered: Offered) -> None:
    chat = offered.served.chat("local:llama", max_tokens=5000)
    near = chat.invoke("x" * 500)  # 8 tokens more for the roles: 508 of 512
    assert isinstance(near, AIMessage)
    assert near.usage_metadata
    assert near.usage_metadata["total_tokens"] == 512
    with pytest.raises(ContextOverflow, match=r"603 tokens, but local:llama reads at most 511"):
        chat.invoke("x" * 600)


def test_a_prompt_longer_than_a_step_gets_the_same_answer(offered: Offered) -> None:
    limits = EngineLimits(step_tokens=7)
    models = Models(replace(offered.served.local, limits=limits), lambda _: False)
    assert text(models, "local:llama", LONG, max_tokens=8) == generated(offered.llama, LONG, 8)


def wait_for_a_request(running: InferenceEngine) -> None:
    """Wait until the engine has its first request, which starts its thread."""
    while running._thread.ident is None:
        time.sleep(0.01)


async def test_a_cancelled_request_makes_room(tmp_path: Path) -> None:
    """Two requests fill the engine, and either alone would take a hundred thousand tokens."""
    follows = {"<|assistant|>": "on.", "on.": "on."}
    tiny.chain(tmp_path / "tireless", follows, max_position_embeddings=200_000)
    local = LocalModels(tmp_path, tmp_path, limits=EngineLimits(conversations=2))
    models = Models(local, lambda _: False)
    try:
        doomed = asyncio.create_task(
            models.chat("local:tireless", max_tokens=100_000).ainvoke(LONG)
        )
        running = engine("tireless", local)
        await asyncio.to_thread(wait_for_a_request, running)
        await models.chat("local:tireless", max_tokens=1).ainvoke("hi")  # answered after it began
        other = running.submit(Request([{"role": "user", "content": LONG}], max_tokens=100_000))
        assert not doomed.done()
        doomed.cancel()
        with pytest.raises(asyncio.CancelledError):
            await doomed
        question = models.chat("local:tireless", max_tokens=8).ainvoke("hello")
        answer = await asyncio.wait_for(question, timeout=100)
        assert answer.content == "on." * 8
        assert not other.done()
    finally:
        close_all()


def test_a_request_cancelled_at_its_end_leaves_one_cache(offered: Offered) -> None:
    opening = {"role": "user", "content": LONG}
    said = generated(offered.llama, LONG, 1)
    running = engine("llama", offered.served.local)
    submitted = threading.Event()

    class CancelWhenRead(tuple[str, ...]):
        """Stop texts that cancel their request when the engine reads them in its last step."""

        def __iter__(self) -> Iterator[str]:
            assert submitted.wait(timeout=100)
            future.cancel()
            return super().__iter__()

    future = running.submit(Request([opening], max_tokens=1, stop=CancelWhenRead(["never said"])))
    submitted.set()
    with pytest.raises(CancelledError):
        future.result()
    # The next answer comes after the cancelled request has left. It shares no token with it.
    running.submit(Request([{"role": "system", "content": "Hi."}], max_tokens=1)).result()
    ways = [
        [opening, {"role": "assistant", "content": said}, {"role": "user", "content": way}]
        for way in ("left", "right")
    ]
    together = [
        engine("llama", offered.served.local).submit(Request(way, max_tokens=12)) for way in ways
    ]
    answers = [future.result().text for future in together]
    close_all()
    assert answers == [
        engine("llama", offered.served.local).submit(Request(way, max_tokens=12)).result().text
        for way in ways
    ]


async def test_the_event_loop_keeps_running(offered: Offered) -> None:
    wanted = generated(offered.llama, "hello", 8)
    async with asyncio.timeout(200):
        with LOAD_LOCK:  # the model cannot answer before the loop leaves this block
            asking = asyncio.create_task(
                offered.served.chat("local:llama", max_tokens=8).ainvoke("hello")
            )
            await asyncio.sleep(0.05)
            assert not asking.done()
        assert (await asking).content == wanted


async def test_no_blocking_call_runs_on_the_event_loop(offered: Offered) -> None:
    blockbuster = pytest.importorskip("blockbuster")
    with blockbuster.blockbuster_ctx():
        answer = await offered.served.chat("local:llama", max_tokens=8).ainvoke("hello")
    assert answer.content == generated(offered.llama, "hello", 8)


@pytest.mark.parametrize(
    ("name", "settings", "prompt", "error", "sentence"),
    [
        ("local:lama", {}, "hi", UnknownName, "Unknown local model 'lama'. Did you mean 'llama'?"),
        ("local:llama", {"adapter": "frist"}, "hi", UnknownName, "Did you mean 'first'?"),
        ("local:llama", {"adapter": "misfit"}, "hi", BrokenData, "Adapter 'misfit' cannot be used"),
        ("local:llama", {}, [], BadInput, "has no message. Send at least one"),
        ("local:../llama", {}, "hi", BadInput, "no local model name"),
        ("local:llama", {"adapter": "a/b"}, "hi", BadInput, "no adapter name"),
        ("novice", {}, "hi", BadInput, "names no model"),
    ],
)
def test_bad_input_raises_an_error_with_a_remedy(
    name: str,
    settings: dict[str, Any],
    prompt: Any,
    error: type[Exception],
    sentence: str,
    offered: Offered,
) -> None:
    with pytest.raises(error, match=sentence.replace("?", r"\?")):
        text(offered.served, name, prompt, **settings)


def test_a_bad_request_does_not_affect_others(offered: Offered) -> None:
    good = engine("llama", offered.served.local).submit(
        Request([{"role": "user", "content": "hello"}], max_tokens=8)
    )
    bad = engine("llama", offered.served.local).submit(Request([{"role": "user"}]))
    assert good.result().text == generated(offered.llama, "hello", 8)
    with pytest.raises(ModelFailure, match="cannot read this conversation"):
        bad.result()


def test_unreadable_weights_are_named(
    offered: Offered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.llama(tmp_path / "broken")
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(BrokenData, match="The weights of local:broken cannot be read"):
        text(served(tmp_path), "local:broken", "hi")


@pytest.mark.parametrize("name", SHIPPED)
def test_missing_weights_say_how_to_get_them(name: str, tmp_path: Path) -> None:
    models = Models(LocalModels(None, tmp_path, shipped_root=tmp_path), lambda _: False)
    with pytest.raises(MissingPart, match=f"make {name}"):
        text(models, f"local:{name}", "hi")


def test_without_torch_the_extra_is_named(offered: Offered) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from apprentice.models.engine import Request, engine\n"
        "from apprentice.models.names import LocalModels\n"
        f"models = LocalModels(Path({str(offered.models)!r}), Path())\n"
        "engine('llama', models).submit(Request([{'role': 'user', 'content': 'hi'}])).result()\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "MissingPart: local:llama" in run.stderr
    assert "-e '.[local]'" in run.stderr


def test_after_a_crash_all_requests_fail_and_the_next_one_loads_again(tmp_path: Path) -> None:
    """The tokenizer has tokens for which a network of half the vocabulary has no vector."""
    tiny.llama(tmp_path / "torn", vocab_size=len(tiny.tokenizer()) // 2, eos_token_id=None)
    models = served(tmp_path)
    try:
        with LOAD_LOCK:  # so that all requests wait for the same engine
            waiting = [
                engine("torn", models.local).submit(Request([{"role": "user", "content": "hello"}]))
                for _ in range(3)
            ]
        for future in waiting:
            with pytest.raises(ModelFailure, match="broke down: IndexError: index"):
                future.result()
        whole = tiny.llama(tmp_path / "torn")
        answer = text(models, "local:torn", "hello", max_tokens=8)
        assert answer == generated(whole, "hello", 8)
    finally:
        close_all()


def test_close_fails_the_requests_in_the_queue(offered: Offered) -> None:
    running = engine("llama", offered.served.local)
    future = running.submit(Request([{"role": "user", "content": LONG}], max_tokens=400))
    running.close()
    with pytest.raises(ModelFailure, match="was closed"):
        future.result(timeout=100)


def test_runs_are_traced_with_the_models_name(offered: Offered) -> None:
    seen: dict[str, Any] = {}

    class Listener(BaseCallbackHandler):
        def on_chat_model_start(self, *_: Any, **kwargs: Any) -> None:
            seen.update(kwargs["metadata"], tags=kwargs["tags"])

    offered.served.chat("local:llama", adapter="first", max_tokens=2).invoke(
        "hi", {"callbacks": [Listener()], "metadata": {"graph": "episode"}, "tags": ["acting"]}
    )
    assert (seen["ls_provider"], seen["ls_model_name"]) == ("local", "llama+first")
    assert (seen["graph"], seen["tags"]) == ("episode", ["acting"])


def test_the_import_of_models_loads_no_heavy_package() -> None:
    heavy = "{'torch', 'transformers', 'peft', 'langchain_openai'}"
    code = (
        f"import sys, apprentice.models, apprentice.models.local; print({heavy} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_a_cache_never_returns_another_models_answer(
    offered: Offered, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A retrained model with its old name, or another adapter, is asked again."""
    tiny.llama(tmp_path / "mine", seed=1)
    before = get_llm_cache()
    set_llm_cache(InMemoryCache())
    try:
        first = text(served(tmp_path), "local:mine", LONG)
        close_all()
        assert text(served(tmp_path), "local:mine", LONG) == first
        assert (
            engine("mine", served(tmp_path).local)._thread.ident is None
        )  # nobody had to be asked
        tiny.llama(tmp_path / "mine", seed=2)
        close_all()
        second = text(served(tmp_path), "local:mine", LONG)
    finally:
        set_llm_cache(before)
    assert second != first
