"""Find the layers of a model that get an adapter, by name, and check that every name matches.

PEFT silently ignores a name that matches nothing if another name matches. A model with fused layers
would then train fewer layers than requested. Here such a name resolves to the fused layer, or it is
an error.
"""

from __future__ import annotations

from typing import Any, Final

from peft import LoraConfig, PeftModel
from peft.utils.other import TrainableTokensWrapper
from safetensors import SafetensorError
from torch import nn
from transformers.pytorch_utils import Conv1D

from apprentice.models.adapter_fit import check_fit
from apprentice.models.names import LocalModels
from apprentice.state.errors import BadInput, BrokenData
from apprentice.training.base import Base
from apprentice.training.settings import JobSettings

# Fused layers, and the names of their parts in other architectures.
FUSED: Final[dict[str, frozenset[str]]] = {
    "qkv_proj": frozenset({"q_proj", "k_proj", "v_proj"}),
    "query_key_value": frozenset({"q_proj", "k_proj", "v_proj"}),
    "gate_up_proj": frozenset({"gate_proj", "up_proj"}),
}


def policy(base: Base, settings: JobSettings, models: LocalModels) -> dict[str, Any]:
    """Return a trainer's arguments for the model: the base with a new adapter or with the parent.

    The trainer initialises a new adapter, because it sets the seed first.

    Raises:
        BadInput: a target matches no layer, or the parent was trained on other weights.
        BrokenData: the parent cannot be read.
    """
    if settings.parent:
        return {"model": _parent(base, settings.parent, models)}
    tokens = _tokens(base, settings)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=resolve(base.model, settings.targets),
        trainable_token_indices=_rows(base.model, tokens) if tokens else None,
        task_type="CAUSAL_LM",
    )
    return {"model": base.model, "peft_config": config}


def complete_head(model: Any) -> None:
    """Give a head with trainable rows a `bias` attribute, which the trainers' loss reads.

    PEFT wraps such a head, and the wrapper has only its weight.
    """
    head: Any = model.get_output_embeddings()
    if isinstance(head, TrainableTokensWrapper):
        bias: Any = getattr(head.token_adapter.base_layer, "bias", None)
        head.bias = bias


def resolve(model: nn.Module, targets: tuple[str, ...] = ()) -> list[str]:
    """Return the last parts of the names of the layers that get an adapter.

    Args:
        model: the base model.
        targets: last parts of names; if empty, all linear layers except the head.

    Raises:
        BadInput: a target matches no linear layer.
    """
    layers = _linears(model)
    if not layers:
        raise BadInput(
            f"{type(model).__name__} has no linear layers, so it cannot get a LoRA adapter. "
            "Choose another base model."
        )
    if not targets:
        return sorted(layers)
    names: set[str] = set()
    for name in targets:
        matches = {end for end in layers if end == name or name in FUSED.get(end, ())}
        if not matches:
            raise BadInput(
                f"The LoRA target {name!r} matches no layer of {type(model).__name__}. "
                f"Choose from: {', '.join(sorted(layers))}."
            )
        names |= matches
    return sorted(names)


def _tokens(base: Base, settings: JobSettings) -> list[int]:
    """Return the tokens whose embeddings are trained."""
    if settings.embeddings:
        embeddings: Any = base.model.get_input_embeddings()
        return list(range(embeddings.num_embeddings))
    return list(base.new_tokens)


def _rows(model: Any, tokens: list[int]) -> dict[str, list[int]]:
    """Return the trainable rows of the embeddings, and of the head if it has its own weights.

    Otherwise the head could never learn to write the tokens that the embeddings learn to read.
    """
    names = {module: name.rpartition(".")[2] for name, module in model.named_modules()}
    reads, writes = model.get_input_embeddings(), model.get_output_embeddings()
    own = [reads] if writes is None or writes.weight is reads.weight else [reads, writes]
    return {names[layer]: tokens for layer in own}


def _linears(model: nn.Module) -> set[str]:
    """Return the last parts of the names of all linear layers except the head."""
    head = getattr(model, "get_output_embeddings", lambda: None)()
    ends = set()
    for name, module in model.named_modules():
        # Quantised layers are subclasses of nn.Linear; GPT-2 uses Conv1D as a linear layer.
        if not isinstance(module, nn.Linear | Conv1D) or module is head:
            continue
        ends.add(name.rpartition(".")[2])
    return {end for end in ends if not end.isdigit()}


def _parent(base: Base, name: str, models: LocalModels) -> PeftModel:
    folder = models.adapter(name)
    check_fit(folder, base.name, models.folder(base.name))
    try:
        model: Any = PeftModel.from_pretrained(base.model, folder, is_trainable=True)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise BrokenData(f"Adapter {name!r} cannot be continued: {reason}") from error
    return model  # type: ignore[no-any-return]
