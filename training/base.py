"""Load the base model of a job, with its tokenizer, on its device."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from transformers import (
    AddedToken,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging
from transformers.utils.import_utils import is_flash_attn_2_available

from apprentice.models.names import LocalModels
from apprentice.models.transformers_workarounds import ignore_deprecated_attribute
from apprentice.models.weights import TOKENIZER, end_tokens, make_room
from apprentice.state.errors import BrokenData, MissingPart, missing_extra
from apprentice.training.encoding import Chat
from apprentice.training.settings import JobSettings

SMALL: Final = 100_000_000  # parameters
SCORES: Final = 64 << 20  # the most attention scores to hold in memory on a CPU
TAGS: Final = ("<think>", "</think>", "<tool_call>", "</tool_call>")
_UNREADABLE: Final = (OSError, ValueError, KeyError, RuntimeError, SafetensorError)


@dataclass(frozen=True)
class Base:
    """A model to train.

    Attributes:
        name: plain name of the local model.
        model: the weights.
        tokenizer: its tokenizer.
        chat: its format of conversations.
        context: the most tokens that it can read.
        new_tokens: the tokens that were added to its vocabulary; their embeddings are learned.
        processor: for models with eyes, what turns images into their input.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    chat: Chat
    context: int
    new_tokens: tuple[int, ...] = ()
    processor: Any = None

    @property
    def device(self) -> torch.device:
        """Return the device of the weights."""
        return self.model.device

    @property
    def small(self) -> bool:
        """Return whether the model is so small that memory is no concern."""
        return self.model.num_parameters() < SMALL


def load(settings: JobSettings, models: LocalModels, *, sees: bool = False) -> Base:
    """Load the base of a job.

    Args:
        settings: the settings of the job.
        models: the local models, and the device to train on.
        sees: whether the model has to read images.

    Raises:
        UnknownName: there is no such model or parent.
        BrokenData: its files cannot be read.
        MissingPart: it has no chat template, or this machine cannot quantise it.
    """
    if settings.quantised and not find_spec("bitsandbytes"):
        no_package = ImportError("No module named 'bitsandbytes'")
        raise missing_extra("quantised", "Training with `quantised`", no_package)
    name, folder = settings.base, models.folder(settings.base)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    ignore_deprecated_attribute()
    kind: Any = AutoModelForImageTextToText if sees else AutoModelForCausalLM
    device = _device(models.device)
    tokenizer_folder = _words(folder, models.adapter(settings.parent) if settings.parent else None)
    try:
        words: Any = AutoProcessor if sees else AutoTokenizer
        reader = words.from_pretrained(tokenizer_folder, local_files_only=True)
        model = kind.from_pretrained(
            folder,
            local_files_only=True,
            dtype=_dtype(device),
            attn_implementation=_attention(device),
            quantization_config=_nf4(device) if settings.quantised else None,
            device_map={"": device},
        )
    except (ImportError, NotImplementedError) as error:
        raise MissingPart(
            f"local:{name} cannot be loaded here: {_first_line(error)}. "
            + ("Try without --quantised." if settings.quantised else "")
        ) from error
    except _UNREADABLE as error:
        raise BrokenData(f"local:{name} cannot be read: {_first_line(error)}") from error
    tokenizer = reader.tokenizer if sees else reader
    if sees and not tokenizer.chat_template:
        tokenizer.chat_template = reader.chat_template
    torch.manual_seed(settings.seed)  # the embeddings of new tokens are random
    if settings.quantised and device.type == "cpu":
        _keep_trainable(model)
    make_room(model, tokenizer)
    new_tokens = _add_tags(model, tokenizer) if settings.tags else ()
    chat = Chat(name, tokenizer, end_tokens(model, tokenizer))
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    context = model.config.get_text_config().max_position_embeddings
    return Base(name, model, tokenizer, chat, context, new_tokens, reader if sees else None)


def attend(base: Base, batch: int, longest: int) -> None:
    """Choose the fastest attention for rows of a given length, on a CPU.

    Measured on the embedded model: on short rows, training with plain attention is a third faster
    than with fused attention. Plain attention keeps all scores, so much memory is released and
    allocated again in every step: on rows of 900 tokens it takes 2.6 times as long.
    """
    config = base.model.config.get_text_config()
    scores = batch * longest**2 * config.num_attention_heads * config.num_hidden_layers
    if base.device.type == "cpu" and scores <= SCORES:
        base.model.set_attn_implementation("eager")


def merge(folder: Path, adapter: Path, out: Path, *, sees: bool = False) -> None:
    """Write a model merged with an adapter, and its tokenizer or processor.

    Raises:
        BrokenData: the model or the adapter cannot be read, or they do not fit together.
    """
    from peft import PeftModel

    ignore_deprecated_attribute()
    kind: Any = AutoModelForImageTextToText if sees else AutoModelForCausalLM
    words: Any = AutoProcessor if sees else AutoTokenizer
    try:
        reader = words.from_pretrained(_words(folder, adapter), local_files_only=True)
        model = kind.from_pretrained(folder, local_files_only=True, dtype="auto")
        make_room(model, reader.tokenizer if sees else reader)
        model_with_adapter = PeftModel.from_pretrained(model, adapter).merge_and_unload(
            safe_merge=True
        )
    except _UNREADABLE as error:
        raise BrokenData(
            f"Adapter {adapter.name!r} cannot be merged: {_first_line(error)}"
        ) from error
    model_with_adapter.save_pretrained(out)
    reader.save_pretrained(out)


def bf16_pays(device: torch.device) -> bool:
    """Return whether the device supports bfloat16; emulation would be slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def _words(folder: Path, adapter: Path | None) -> Path:
    """Return the folder of the tokenizer: the adapter's if it has its own, else the model's."""
    return adapter if adapter and (adapter / TOKENIZER).is_file() else folder


def _device(name: str) -> torch.device:
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


def _dtype(device: torch.device) -> torch.dtype:
    on_gpu = device.type == "cuda" and bf16_pays(device)
    return torch.bfloat16 if on_gpu else torch.float32


def _attention(device: torch.device) -> str:
    return "flash_attention_2" if device.type == "cuda" and is_flash_attn_2_available() else "sdpa"


def _nf4(device: torch.device) -> BitsAndBytesConfig:
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=_dtype(device),
    )


def _keep_trainable(model: PreTrainedModel) -> None:
    """Prevent that an evaluation packs four-bit weights.

    On CPUs with AVX-512 BF16, the first evaluation would pack the weights for inference. They would
    stay packed, and packed weights pass on no gradient.
    """
    layers: Any = model.modules()
    for layer in layers:
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False


def _add_tags(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Add the tags as tokens, unless the template has its own tags; return the new tokens.

    They are not special tokens, because a server that hides special tokens would hide the calls.
    """
    if any(tag in str(tokenizer.chat_template) for tag in TAGS):
        return ()
    vocabulary = tokenizer.get_vocab()
    new = [tag for tag in TAGS if tag not in vocabulary]
    tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in new])
    make_room(model, tokenizer)
    new_vocabulary = tokenizer.get_vocab()
    return tuple(new_vocabulary[tag] for tag in new)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
