"""Create tiny random models and adapters in folders."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, TypeVar

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from apprentice.models.transformers_workarounds import ignore_deprecated_attribute

M = TypeVar("M", bound=PreTrainedModel)
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
SHAPE = {
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.15,  # wide enough that what is said depends on what was read
}


def tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer of single bytes with a chat template."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={byte: at for at, byte in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core,
        pad_token=SPECIAL[0],
        eos_token=SPECIAL[1],
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def llama(folder: Path, *, seed: int = 0, **changes: Any) -> LlamaForCausalLM:
    """Save a random Llama with its tokenizer, and return it."""
    torch.manual_seed(seed)
    words = tokenizer()
    settings = SHAPE | {"vocab_size": len(words), "eos_token_id": words.eos_token_id} | changes
    model = LlamaForCausalLM(LlamaConfig(**settings))
    return saved(folder, model, words)


def chain(
    folder: Path, follows: dict[str, str], template: str = TEMPLATE, **changes: Any
) -> LlamaForCausalLM:
    """Save a Llama that answers with a chain of tokens, and return it.

    Args:
        folder: for the model.
        follows: the token that follows a token; those that are missing are added.
        template: the chat template.
        changes: of the network's settings.
    """
    words = tokenizer()
    words.chat_template = template
    texts = dict.fromkeys(token for pair in follows.items() for token in pair)
    words.add_tokens([AddedToken(token, normalized=False) for token in texts])
    settings = SHAPE | {"vocab_size": len(words), "eos_token_id": words.eos_token_id} | changes
    model = LlamaForCausalLM(LlamaConfig(**settings))
    with torch.no_grad():
        for layer in model.model.layers:  # the next token depends on the last one only
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight.zero_()
        model.lm_head.weight.zero_()
        for place, (token, successor) in enumerate(follows.items()):
            model.model.embed_tokens.weight[words.convert_tokens_to_ids(token), place] = 1
            model.lm_head.weight[words.convert_tokens_to_ids(successor), place] = 1
    return saved(folder, model, words)


def qwen(folder: Path) -> Qwen2ForCausalLM:
    """Save a random Qwen2, which is no plain Llama, with its tokenizer, and return it."""
    torch.manual_seed(0)
    words = tokenizer()
    settings = SHAPE | {"vocab_size": len(words), "eos_token_id": words.eos_token_id}
    return saved(folder, Qwen2ForCausalLM(Qwen2Config(**settings)), words)


def adapter(folder: Path, base: PreTrainedModel, *, seed: int, targets: list[str]) -> None:
    """Save a random LoRA adapter for a model, which stays as it is."""
    torch.manual_seed(seed)
    config = LoraConfig(
        r=4, lora_alpha=16, target_modules=targets, init_lora_weights=False, task_type="CAUSAL_LM"
    )
    ignore_deprecated_attribute()
    get_peft_model(copy.deepcopy(base), config).save_pretrained(str(folder))


def saved(folder: Path, model: M, words: PreTrainedTokenizerFast) -> M:
    """Save a model with its tokenizer, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    model.train(False)
    return model


def loaded(folder: Path) -> PreTrainedModel:
    """Load a saved model."""
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder)
    return model
