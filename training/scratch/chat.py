"""The chat format of the embedded models: tokens for roles, tags for calls, and the template."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

CONTEXT: Final = 2048
SPECIAL: Final = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
TAGS: Final = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<tools>", "</tools>")
TEMPLATE: Final = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}<|assistant|>"
    "{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}"
    "{% else %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def chat_tokenizer(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """Add the special tokens and the chat template to a tokenizer."""
    chat: PreTrainedTokenizerFast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=SPECIAL[0],
        eos_token=SPECIAL[1],
        model_max_length=CONTEXT,
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
    )
    return chat


def load(folder: Path) -> PreTrainedTokenizerFast:
    """Load the tokenizer of a weights folder."""
    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(folder)
    return tokenizer
