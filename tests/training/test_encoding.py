"""What is learned is what the assistant says, and each turn's end; nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from apprentice.models.weights import Weights
from apprentice.state.errors import BadInput, MissingPart
from apprentice.training.encoding import IGNORED, Chat, Encoding
from tests.models import tiny
from tests.training.tiny import turns

TOOL = {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}
CALL = {"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Oslo"}}}
REWRITES = (
    "{% for message in messages %}<|{{ message['role'] }}|>"
    "{% if message['role'] == 'assistant' and not loop.last %}"
    "{{ message['content'].split('</think>')[-1] }}"
    "{% else %}{{ message['content'] }}{% endif %}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def chat(template: str = tiny.TEMPLATE, end: str = "<|end|>") -> Chat:
    words = tiny.tokenizer()
    words.chat_template = template
    return Chat("llama", words, frozenset({words.get_vocab()[end]}))


def spoken(one: Chat, sample: Encoding) -> str:
    """Return what is learned, as text."""
    return str(one.tokenizer.decode([label for label in sample.labels if label != IGNORED]))


def test_only_the_assistants_turns_and_their_ends_are_learned() -> None:
    one = chat()
    system = {"role": "system", "content": "Be kind."}
    (sample,) = one.samples([system, *turns("Hi", "Hello!", "Bye", "See you.")])
    assert spoken(one, sample) == "Hello!<|end|>See you.<|end|>"
    assert one.tokenizer.decode(sample.ids) == (
        "<|system|>Be kind.<|end|><|user|>Hi<|end|><|assistant|>Hello!<|end|>"
        "<|user|>Bye<|end|><|assistant|>See you.<|end|>"
    )
    for token, label in zip(sample.ids, sample.labels, strict=True):
        assert label in (token, IGNORED)


def test_a_turn_before_the_first_is_not_learned() -> None:
    one = chat()
    (sample,) = one.samples(turns("Hi", "Hello!", "Bye", "See you."), first=2)
    assert spoken(one, sample) == "See you.<|end|>"


def test_a_tools_output_is_not_learned() -> None:
    one = chat()
    asked: list[dict[str, Any]] = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "Sunny."},
        {"role": "assistant", "content": "It is sunny."},
    ]
    (sample,) = one.samples(asked, [TOOL])
    called = '<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}}</tool_call>'
    assert spoken(one, sample) == f"{called}<|end|>It is sunny.<|end|>"
    assert "<tools>" in one.tokenizer.decode(sample.ids)


def test_arguments_may_be_text_as_others_write_them() -> None:
    one = chat()
    text = {"type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    rows = [{"role": "assistant", "content": "", "tool_calls": [text]}]
    (sample,) = one.samples([*turns("x"), *rows])
    assert '"arguments": {"a": 1}' in spoken(one, sample)


@pytest.mark.parametrize("tools", [[], [TOOL]])
def test_the_tokens_are_those_that_the_engine_reads(bases: Path, tools: list[Any]) -> None:
    asked = [{"role": "system", "content": "s"}, *turns("Grüße", "Hello", "again")]
    engine = Weights("llama", bases / "llama").variant().words
    words = AutoTokenizer.from_pretrained(bases / "llama")
    one = Chat("llama", words, engine.ends)
    assert one.prompt(asked, tools) == engine.encode(asked, tools)
    (sample,) = one.samples([*asked, {"role": "assistant", "content": "Yes"}], tools)
    read = engine.encode(asked, tools)
    assert sample.ids[: len(read)] == read
    assert [label for label in sample.labels[len(read) :] if label == IGNORED] == []


def test_a_template_that_rewrites_earlier_turns_gives_a_sample_a_turn() -> None:
    one = chat(REWRITES)
    rows = turns("Hi", "<think>a</think>Hello", "Bye", "<think>b</think>See you")
    first, second = one.samples(rows)
    assert spoken(one, first) == "<think>a</think>Hello<|end|>"
    assert spoken(one, second) == "<think>b</think>See you<|end|>"
    assert "<think>a" not in one.tokenizer.decode(second.ids)


def test_what_follows_the_end_of_a_turn_is_not_learned() -> None:
    one = chat(tiny.TEMPLATE.replace("<|end|>", "<|end|>\n"))
    (sample,) = one.samples(turns("Hi", "Hello"))
    assert spoken(one, sample) == "Hello<|end|>"


def test_special_tokens_are_not_added_twice() -> None:
    one = chat("<|pad|>" + tiny.TEMPLATE)
    (sample,) = one.samples(turns("Hi", "Hello"))
    assert sample.ids.count(one.tokenizer.get_vocab()["<|pad|>"]) == 1


def test_a_tokenizer_without_a_template_is_told_so() -> None:
    words = tiny.tokenizer()
    words.chat_template = None
    with pytest.raises(MissingPart, match="no chat template"):
        Chat("bare", words, frozenset({1}))


def test_a_template_that_never_ends_a_turn_is_told_so() -> None:
    with pytest.raises(BadInput, match="learn to stop"):
        chat(tiny.TEMPLATE.replace("<|end|>", "")).samples(turns("Hi", "Hello"))


def test_a_template_that_refuses_a_role_is_told_so() -> None:
    refuses = "{{ raise_exception('System role not supported') }}"
    with pytest.raises(BadInput, match="System role not supported"):
        chat(refuses).samples(turns("Hi", "Hello"))
