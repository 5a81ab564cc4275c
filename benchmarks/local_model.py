"""The speed of a local model, compared with plain `generate`.

    python -m benchmarks.local_model

The network is random and has the size of the embedded model, so no training is needed. An action is
a short command (8 tokens) or a thought and a command (20). It follows an observation of 30 tokens,
in a conversation of 1,000 tokens. The alternative reads the whole conversation again with
`model.generate`. Both use one thread, and their rounds alternate, so that other work on the machine
slows both. Figures are medians of wall-clock times.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from apprentice.models.engine import Request, close_all, engine
from apprentice.models.names import LocalModels

NAME: Final = "random"
PROMPT: Final = 1000
OBSERVATION: Final = 30
ACTIONS: Final = (8, 20)
CONCURRENT: Final = (1, 4, 16, 64)

Conversation = list[dict[str, str]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="measurements for each figure")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        models = LocalModels(Path(folder), Path(folder) / "adapters")
        _random_model(Path(folder) / NAME)
        _compare(models, rounds)
        _concurrency(models, rounds)
        close_all()


def _compare(models: LocalModels, rounds: int) -> None:
    print(f"One action in a conversation of {PROMPT} tokens, median of {rounds}:")
    print("  tokens   engine ms   generate ms   ratio")
    generate = _plain_generate(models)
    for length in ACTIONS:
        engine_times, generate_times = [], []
        for number in range(rounds + 1):
            conversation = [_observation(number, PROMPT)]
            _act(models, [conversation], length)
            conversation.append(_observation(number, OBSERVATION))
            generate_times.append(_seconds(generate, conversation, length))
            engine_times.append(_seconds(_act, models, [conversation], length))
        fast, slow = (
            statistics.median(times[1:]) * 1000 for times in (engine_times, generate_times)
        )
        print(f"  {length:6d}   {fast:9.1f}   {slow:11.1f}   {slow / fast:5.1f}")


def _concurrency(models: LocalModels, rounds: int) -> None:
    length = ACTIONS[-1]
    print(f"Conversations at once, {PROMPT // 2} tokens long and growing, {length} an action:")
    print("  at once   tokens/s   ms/action")
    for many in CONCURRENT:
        conversations = [[_observation(number, PROMPT // 2)] for number in range(many)]
        _act(models, conversations, length)
        times = []
        for turn in range(rounds):
            for number, conversation in enumerate(conversations):
                conversation.append(_observation(number * rounds + turn, OBSERVATION))
            times.append(_seconds(_act, models, conversations, length))
        seconds = statistics.median(times)
        print(f"  {many:7d}   {many * length / seconds:8.0f}   {seconds / many * 1000:9.1f}")


def _act(models: LocalModels, conversations: list[Conversation], length: int) -> None:
    """Let the engine answer all conversations at once, and append the answers."""
    requests = [Request(tuple(conversation), max_tokens=length) for conversation in conversations]
    futures = [engine(NAME, models).submit(request) for request in requests]
    for conversation, future in zip(conversations, futures, strict=True):
        conversation.append({"role": "assistant", "content": future.result().text})


def _plain_generate(models: LocalModels) -> Callable[[Conversation, int], None]:
    """Return a function that answers a conversation with transformers' own `generate`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    folder = models.folder(NAME)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)

    def generate(conversation: Conversation, length: int) -> None:
        tokens: Any = tokenizer.apply_chat_template(
            conversation, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        model.generate(**tokens, max_new_tokens=length, do_sample=False, pad_token_id=0)

    return generate


def _random_model(folder: Path) -> None:
    """Save a random network of the embedded model's size; a token is a word, none ends a turn."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = ["<pad>", "<user>", "<assistant>", "<end>", *(f"w{number}" for number in range(1020))]
    core = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, "<pad>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core,
        chat_template=(
            "{% for message in messages %} <{{ message['role'] }}> {{ message['content'] }} <end>"
            "{% endfor %}{% if add_generation_prompt %} <assistant>{% endif %}"
        ),
    )
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=8,
        num_attention_heads=6,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        eos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _observation(seed: int, count: int) -> dict[str, str]:
    words = (f"w{(seed * 7919 + at * at * 31 + at) % 1020}" for at in range(count))
    return {"role": "user", "content": " ".join(words)}


def _seconds(work: Callable[..., None], *inputs: Any) -> float:
    start = time.perf_counter()
    work(*inputs)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
