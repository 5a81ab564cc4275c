"""Where an adapter is added to a model: resolved by name, and verified.

A name that matches nothing is dropped in silence by PEFT as long as another one matches, so that
a fused model is trained on less than was asked for. Here it is an error, or the fused layer.
"""

from __future__ import annotations

from typing import Any, Final

from peft import LoraConfig, PeftModel
from peft.utils.other import TrainableTokensWrapper
from safetensors import SafetensorError
from torch import nn
from transformers.pytorch_utils import Conv1D

from apprentice.models.fit import check_fit
from apprentice.models.names import LocalModels
from apprentice.state.errors import BadInput, BrokenData
from apprentice.training.base import Base
from apprentice.training.settings import JobSettings

# What fused layers hold, by the names that other architectures give to the parts.
FUSED: Final[dict[str, frozenset[str]]] = {
    "qkv_proj": frozenset({"q_proj", "k_proj", "v_proj"}),
    "query_key_value": frozenset({"q_proj", "k_proj", "v_proj"}),
    "gate_up_proj": frozenset({"gate_proj", "up_proj"}),
}


def policy(base: Base, settings: JobSettings, models: LocalModels) -> dict[str, Any]:
    """Return what a trainer takes as its model: the base and a new adapter, or the parent's.

    A new adapter is left to the trainer to draw, after it has set the seed.

    Raises:
        BadInput: a target matches no layer, or the parent was trained on other weights.
        BrokenData: the parent cannot be read.
    """
    if settings.parent:
        return {"model": _parent(base, settings.parent, models)}
    learned = _tokens(base, settings)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=resolve(base.model, settings.targets),
        trainable_token_indices=_rows(base.model, learned) if learned else None,
        task_type="CAUSAL_LM",
    )
    return {"model": base.model, "peft_config": config}


def complete_head(model: Any) -> None:
    """Give a head whose rows are learned the bias that the trainers' loss asks it for.

    PEFT wraps such a head, and the wrapper passes on its weight alone.
    """
    head: Any = model.get_output_embeddings()
    if isinstance(head, TrainableTokensWrapper):
        bias: Any = getattr(head.token_adapter.base_layer, "bias", None)
        head.bias = bias


def resolve(model: nn.Module, wanted: tuple[str, ...] = ()) -> list[str]:
    """Return the ends of the names of the layers that get an adapter.

    Args:
        model: the base.
        wanted: ends of names; none for every linear layer but the head.

    Raises:
        BadInput: one of them matches no layer that can have an adapter.
    """
    found = _linears(model)
    if not found:
        raise BadInput(f"{type(model).__name__} has no linear layers, so nothing can be adapted.")
    if not wanted:
        return sorted(found)
    resolved: set[str] = set()
    for name in wanted:
        matches = {end for end in found if end == name or name in FUSED.get(end, ())}
        if not matches:
            raise BadInput(
                f"The LoRA target {name!r} matches no layer of {type(model).__name__}. "
                f"It has: {', '.join(sorted(found))}."
            )
        resolved |= matches
    return sorted(resolved)


def _tokens(base: Base, settings: JobSettings) -> list[int]:
    """Return the tokens whose embeddings are learned."""
    if settings.embeddings:
        embeddings: Any = base.model.get_input_embeddings()
        return list(range(embeddings.num_embeddings))
    return list(base.added)


def _rows(model: Any, tokens: list[int]) -> dict[str, list[int]]:
    """Return which rows are learned of every layer that has one a token.

    A head of its own would never learn to write the tokens that the embeddings learn to read.
    """
    names = {module: name.rpartition(".")[2] for name, module in model.named_modules()}
    reads, writes = model.get_input_embeddings(), model.get_output_embeddings()
    own = [reads] if writes is None or writes.weight is reads.weight else [reads, writes]
    return {names[layer]: tokens for layer in own}


def _linears(model: nn.Module) -> set[str]:
    """Return the last parts of the names of all linear layers but the head."""
    head = getattr(model, "get_output_embeddings", lambda: None)()
    ends = set()
    for name, module in model.named_modules():
        # Quantised layers are kinds of nn.Linear; Conv1D is what GPT-2 calls one.
        if not isinstance(module, nn.Linear | Conv1D) or module is head:
            continue
        ends.add(name.rpartition(".")[2])
    return {end for end in ends if not end.isdigit()}


def _parent(base: Base, name: str, models: LocalModels) -> PeftModel:
    folder = models.adapter(name)
    check_fit(folder, base.name, models.folder(base.name))
    try:
        loaded: Any = PeftModel.from_pretrained(base.model, folder, is_trainable=True)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise BrokenData(f"Adapter {name!r} cannot be continued: {reason}") from error
    return loaded  # type: ignore[no-any-return]
