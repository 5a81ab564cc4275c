"""How fast a local model acts, beside plain `generate`, measured in one run.

    python -m benchmarks.local_model                # a random network of the embedded model's size
    python -m benchmarks.local_model --model novice # the embedded model itself

An action is 20 new tokens after an observation of 30, in a conversation of 1,000 tokens. The
alternative reads the whole conversation again with `model.generate`. Both run on one thread;
rounds alternate, so that a busy machine slows both. Figures are medians.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from models.engine import Request, close_all, engine
from models.names import model_folder

PROMPT: Final = 1000
OBSERVATION: Final = 30
ACTION: Final = 20
CONCURRENT: Final = (1, 4, 16, 64)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="", help="a local model's name; default: a random one")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        name = arguments.model
        if not name:
            name = "random"
            os.environ["APPRENTICE_LOCAL_MODELS"] = folder
            _random_model(Path(folder) / name)
        _compare(name, arguments.rounds)
        _concurrency(name)
        close_all()


def _compare(name: str, rounds: int) -> None:
    kept, plain = [], []
    generate = _plain_generate(name)
    for number in range(-1, rounds):
        opening = _words(number, PROMPT)
        _ask(name, [opening])
        observation = _words(number + 1000, OBSERVATION)
        kept.append(_timed(lambda turns=[opening, observation]: _ask(name, turns)))
        plain.append(_timed(lambda words=f"{opening} {observation}": generate(words)))
    fast, slow = statistics.median(kept[1:]), statistics.median(plain[1:])
    print(f"One action ({ACTION} tokens) in a conversation of {PROMPT} tokens, median of {rounds}:")
    print(f"  engine, conversation remembered  {fast * 1000:8.1f} ms")
    print(f"  model.generate                   {slow * 1000:8.1f} ms")
    print(f"  ratio                            {slow / fast:8.1f}")


def _concurrency(name: str) -> None:
    print(f"Conversations at once, {ACTION} tokens an action, three actions each:")
    print("  at once   tokens/s   ms/action")
    for many in CONCURRENT:
        openings = [_words(number, PROMPT // 2) for number in range(many)]
        asyncio.run(_all([[opening] for opening in openings], name))
        seconds, actions = 0.0, 0
        for turn in range(3):
            turns = [
                [opening, *(_words(number * 9 + at, OBSERVATION) for at in range(turn + 1))]
                for number, opening in enumerate(openings)
            ]
            start = time.perf_counter()
            asyncio.run(_all(turns, name))
            seconds += time.perf_counter() - start
            actions += many
        print(f"  {many:7d}   {actions * ACTION / seconds:8.0f}   {seconds / actions * 1000:9.1f}")


def _request(turns: list[str]) -> Request:
    messages = []
    for turn in turns:
        messages += [{"role": "user", "content": turn}, {"role": "assistant", "content": "ok"}]
    return Request(messages[:-1], max_tokens=ACTION, stop=())


def _ask(name: str, turns: list[str]) -> Any:
    return engine(name).submit(_request(turns)).result()


async def _all(conversations: list[list[str]], name: str) -> None:
    futures = [engine(name).submit(_request(turns)) for turns in conversations]
    await asyncio.gather(*(asyncio.wrap_future(future) for future in futures))


def _plain_generate(name: str) -> Any:
    """Return a function that answers a prompt with transformers' own `generate`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    folder = model_folder(name)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    def generate(words: str) -> None:
        tokens: Any = tokenizer.apply_chat_template(
            [{"role": "user", "content": words}],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        model.generate(
            **tokens, max_new_tokens=ACTION, min_new_tokens=ACTION, do_sample=False, pad_token_id=0
        )

    return generate


def _random_model(folder: Path) -> None:
    """Save a random network of the embedded model's size, with a word a token."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = ["<pad>", "<user>", "<assistant>", "<end>", "ok", *(f"w{n}" for n in range(1019))]
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
        num_hidden_layers=6,
        num_attention_heads=6,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        eos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _words(seed: int, count: int) -> str:
    return " ".join(f"w{(seed * 7919 + at * at * 31 + at) % 1019}" for at in range(count))


def _timed(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
