"""A local model's weights: load them, encode and decode tokens, merge adapters, choose tokens.

This module imports torch and transformers. Only the engine's worker thread imports it.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, Self

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DynamicCache,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.cache_utils import DynamicLayer
from transformers.utils import logging

from apprentice.models.adapter_fit import check_fit
from apprentice.models.llama import Llama, is_plain
from apprentice.models.names import check_adapter
from apprentice.models.toolcalls import plain_turns
from apprentice.models.transformers_workarounds import ignore_deprecated_attribute
from apprentice.state.errors import BrokenData

MAX_ADAPTERS: Final = 8
TOKENIZER: Final = "tokenizer_config.json"
"""This file is beside an adapter whose training extended the vocabulary."""
_SMALL: Final = 100_000_000
_UNREADABLE: Final = (OSError, ValueError, KeyError, RuntimeError, SafetensorError)


class Cache(Protocol):
    """A network's keys and values of one conversation, or its state."""

    length: int

    @property
    def nbytes(self) -> int:
        """The size of the cache in bytes."""

    def prefix(self, length: int) -> Self | None:
        """Return a copy of the first positions, or None if the cache cannot be cut."""


class Network(Protocol):
    """A forward pass over several conversations at once."""

    def cache(self) -> Any:
        """Return an empty cache for one conversation."""

    def forward(self, batch: Sequence[tuple[Any, Sequence[int]]]) -> Tensor:
        """Read each conversation's new tokens, and return the logits after the last of each."""


class GeneralCache:
    """The general implementation's cache, for one conversation."""

    def __init__(self, cache: DynamicCache) -> None:
        self.cache = cache
        self.length = 0

    @property
    def nbytes(self) -> int:
        """The size of the cache in bytes."""
        states = (vars(layer) for layer in self.cache.layers)
        return sum(
            part.nbytes for state in states for part in state.values() if isinstance(part, Tensor)
        )

    def prefix(self, length: int) -> Self | None:
        """Return a copy of the first positions, or None for windows and recurrent states."""
        if any(type(layer) is not DynamicLayer for layer in self.cache.layers):
            return None
        other = type(self)(copy.deepcopy(self.cache))
        if length < self.length:
            other.cache.crop(length - self.length)
        other.length = length
        return other


class General:
    """Any causal language model. It reads one conversation after the other."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        accepts = inspect.signature(model.forward).parameters
        self._last_only = {"logits_to_keep": 1} if "logits_to_keep" in accepts else {}

    def cache(self) -> GeneralCache:
        """Return an empty cache for one conversation."""
        return GeneralCache(DynamicCache(config=self._model.config))

    @torch.inference_mode()
    def forward(self, batch: Sequence[tuple[GeneralCache, Sequence[int]]]) -> Tensor:
        """Read each conversation's new tokens, and return the logits after the last of each."""
        rows = []
        for cache, tokens in batch:
            output = self._model(
                input_ids=torch.tensor([list(tokens)], device=self._model.device),
                past_key_values=cache.cache,
                use_cache=True,
                **self._last_only,
            )
            cache.length += len(tokens)
            rows.append(output.logits[0, -1])
        return torch.stack(rows)


class Words:
    """A tokenizer, and the tokens that end a turn.

    Args:
        tokenizer: one with a chat template.
        ends: the tokens that end a turn.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, ends: frozenset[int]) -> None:
        self.ends = ends
        self._tokenizer = tokenizer
        self._in_template = "tools" in str(tokenizer.chat_template)

    def encode(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]
    ) -> list[int]:
        """Return the tokens of a conversation, up to the beginning of the next answer."""
        turns = [dict(message) for message in messages]
        ids: Any = self._tokenizer.apply_chat_template(
            turns if self._in_template else plain_turns(turns, tools),
            tools=[dict(tool) for tool in tools] if tools and self._in_template else None,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=False,
        )
        return list(ids)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens, tags included."""
        text = self._tokenizer.decode(
            list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return str(text)


@dataclass(frozen=True)
class Variant:
    """A variant of a model: its network and tokenizer, with or without an adapter.

    Attributes:
        key: identifies the adapter and its version; "" for none.
        network: the network, with the adapter merged in.
        words: the tokenizer.
    """

    key: str
    network: Network
    words: Words


class Weights:
    """A model that is loaded from its folder.

    Args:
        name: the model's name in messages.
        folder: a Hugging Face folder with a tokenizer that has a chat template.
        device: the device, as torch names it.

    Raises:
        BrokenData: the folder holds no readable model.
    """

    def __init__(self, name: str, folder: Path, device: str = "cpu") -> None:
        self.name = name
        self._folder = folder
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            self._tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                folder, local_files_only=True
            )
            model: Any = AutoModelForCausalLM.from_pretrained(
                folder, local_files_only=True, dtype="auto"
            )
        except _UNREADABLE as error:
            raise BrokenData(
                f"The weights of local:{name} cannot be read: {_first_line(error)}"
            ) from error
        if not self._tokenizer.chat_template:
            raise BrokenData(f"The tokenizer of local:{name} has no chat template. Add one.")
        model.eval().requires_grad_(False)
        if torch.device(device).type == "cpu" and model.num_parameters() < _SMALL:
            # Measured: a small network is fastest in float32 on one thread. Several threads wait
            # for each other longer than they compute.
            model.float()
            torch.set_num_threads(1)
        self._model: PreTrainedModel = model.to(device)
        self.context: int = self._model.config.max_position_embeddings
        self._variants: OrderedDict[str, Variant] = OrderedDict()
        words = Words(self._tokenizer, end_tokens(self._model, self._tokenizer))
        self._base = Variant("", _network(self._model), words)

    def variant(self, adapter: Path | None = None) -> Variant:
        """Return the model's variant with an adapter, or without one.

        Raises:
            UnknownName: there is no such adapter.
            BadInput: the adapter was trained on another model, or on other weights.
            BrokenData: the adapter cannot be read.
        """
        if adapter is None:
            return self._base
        folder = check_adapter(adapter)
        newest = max(path.stat().st_mtime_ns for path in folder.iterdir())
        key = f"{adapter}@{newest}"
        if key not in self._variants:
            check_fit(folder, self.name, self._folder)
            self._variants[key] = self._with(key, folder)
            if len(self._variants) > MAX_ADAPTERS:
                self._variants.popitem(last=False)
        self._variants.move_to_end(key)
        return self._variants[key]

    def _with(self, key: str, folder: Path) -> Variant:
        """Load an adapter, and its own tokenizer if it has one."""
        model, words = self._model, self._base.words
        try:
            if not (folder / TOKENIZER).is_file():
                return Variant(key, _network(_merge_adapter(model, folder)), words)
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            tokenizer.chat_template = tokenizer.chat_template or self._tokenizer.chat_template
            network = _network(_merge_adapter(model, folder, tokenizer))
        except _UNREADABLE as error:
            raise BrokenData(
                f"Adapter {folder.name!r} cannot be used with local:{self.name}: "
                f"{_first_line(error)}"
            ) from error
        return Variant(key, network, Words(tokenizer, end_tokens(model, tokenizer)))


def generator(seed: int | None, tokens: Sequence[int]) -> torch.Generator:
    """Return a random generator for one answer.

    The conversation is mixed into the seed. Otherwise each turn of an episode would use the same
    random numbers.
    """
    source = torch.Generator()
    if seed is None:
        source.seed()
    else:
        text = f"{seed}:{','.join(map(str, tokens))}".encode()
        source.manual_seed(int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) >> 1)
    return source


def choose(logits: Tensor, temperatures: Sequence[float], chances: Sequence[Any]) -> list[int]:
    """Choose each conversation's next token: the likeliest at temperature 0, else a sampled one.

    Args:
        logits: [conversations, vocabulary].
        temperatures: one per conversation.
        chances: one `torch.Generator` per conversation, unused at temperature 0.
    """
    best: list[int] = logits.argmax(-1).tolist()
    for row, temperature in enumerate(temperatures):
        if temperature > 0:
            odds = torch.softmax(logits[row].float().cpu() / temperature, -1)
            best[row] = int(torch.multinomial(odds, 1, generator=chances[row]))
    return best


def _network(model: PreTrainedModel) -> Network:
    return Llama(model) if is_plain(model) else General(model)


def make_room(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Extend the model's embeddings to the tokenizer's vocabulary."""
    embeddings: Any = model.get_input_embeddings()
    if len(tokenizer) > embeddings.num_embeddings:
        model.resize_token_embeddings(len(tokenizer))


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Return the tokens that end a turn."""
    end_ids = getattr(model.generation_config, "eos_token_id", None)
    ends = end_ids if isinstance(end_ids, list) else [end_ids]
    return frozenset(token for token in (*ends, tokenizer.eos_token_id) if token is not None)


def _merge_adapter(
    model: PreTrainedModel, folder: Path, tokenizer: PreTrainedTokenizerBase | None = None
) -> PreTrainedModel:
    """Return a copy of the model with an adapter merged in. Other weights are shared."""
    from peft import PeftModel

    memo = {
        id(parameter): nn.Parameter(parameter.data, requires_grad=False)
        for parameter in model.parameters()
    }
    twin = copy.deepcopy(model, memo)
    if tokenizer is not None:
        make_room(twin, tokenizer)
    ignore_deprecated_attribute()
    peft_model = PeftModel.from_pretrained(twin, folder, torch_device=str(model.device))
    # A safe merge creates new tensors. The other kind would write to the shared ones.
    merged: PreTrainedModel = peft_model.merge_and_unload(safe_merge=True)
    return merged


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
