"""Train a Llama from scratch on generated chats: initial weights, training loop, checkpoints.

Muon (Jordan et al. 2024) optimises the hidden matrices, and AdamW the other weights. The learning
rate warms up and then falls linearly to zero. In the loss, turns to learn have full weight, and
other tokens have the weight that the recipe sets. Every chunk of samples has its own seed, so a
resumed run sees the same samples as an uninterrupted one.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear
from transformers import (
    AttentionInterface,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from apprentice.state.errors import MissingPart
from apprentice.training.scratch.chat import CONTEXT
from apprentice.training.scratch.samples import Sample

LONGEST: Final = 1280
STRANGERS: Final = 1_500
"""Random tokens that compete with the right token in the loss, if the vocabulary is fixed."""


@dataclass(frozen=True)
class ScratchSettings:
    """The settings of a run: its length, seed, learning rates, and the sizes of the network."""

    tokens: int = 32_000_000
    batch: int = 2048
    seed: int = 1
    hidden: int = 192
    layers: int = 8
    heads: int = 6
    mlp: int = 512
    muon_rate: float = 2.5e-3
    adam_rate: float = 2e-3
    warmup: int = 100
    cooldown: float = 1.0
    device: str = "cpu"


class Recipe(Protocol):
    """What a model is made of: tokenizer, network and samples.

    Attributes:
        settings: the default settings.
        other_weight: weight in the loss of a token that the model does not have to write;
            a token that it has to write has weight 1.
    """

    settings: ScratchSettings
    other_weight: float

    def tokenizer(self, out: Path, seed: int) -> PreTrainedTokenizerFast:
        """Return the tokenizer of a run's folder; make and save it first if there is none."""

    def network(
        self, settings: ScratchSettings, tokenizer: PreTrainedTokenizerFast
    ) -> LlamaForCausalLM:
        """Return the untrained model."""

    def samples(
        self, tokenizer: PreTrainedTokenizerFast, seed: int, share: float
    ) -> Iterable[Sample]:
        """Return a chunk of samples; `share` is the share of all tokens seen so far."""

    def prompts(self) -> dict[str, str]:
        """Return the fingerprint of every prompt that the samples hold, by name."""

    def measure(
        self, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, device: str
    ) -> dict[str, float]:
        """Return shares of turns that the model predicts exactly, for the log."""


def train(
    out: Path, recipe: Recipe, settings: ScratchSettings, *, save_every: float = 120.0
) -> None:
    """Train on `settings.tokens` tokens, and resume from the checkpoint if there is one.

    Args:
        out: the folder of the run, with `state.pt`, `log.jsonl`, and at the end the model.
        recipe: what the model is made of.
        settings: the settings of this call; a resumed run uses them, not the stored ones.
        save_every: seconds between checkpoints.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    tokenizer = recipe.tokenizer(out, settings.seed)
    model = recipe.network(settings, tokenizer)
    model.to(torch.device(settings.device))  # type: ignore[arg-type]
    if settings.device == "cpu":
        AttentionInterface.register("products", _attend)
        model.set_attn_implementation("products")
    optimizers = _optimizers(model, settings)
    bases = (settings.muon_rate, settings.adam_rate)
    tokens_seen, step, chunk = 0, 0, 0
    path = out / "state.pt"
    if path.exists():
        checkpoint = torch.load(path, weights_only=True, map_location=settings.device)
        model.load_state_dict(checkpoint["model"])
        for optimizer, state in zip(optimizers, checkpoint["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        tokens_seen, step, chunk = checkpoint["seen"], checkpoint["step"], checkpoint["chunk"]
    model.train()
    start = last_save = time.monotonic()
    first = tokens_seen
    losses: list[float] = []
    while tokens_seen < settings.tokens:
        for ids, weights in _batches(recipe, tokenizer, settings, chunk, tokens_seen):
            rate = _rate(step, tokens_seen, settings)
            for optimizer, base in zip(optimizers, bases, strict=True):
                for group in optimizer.param_groups:
                    group["lr"] = base * rate
            losses.append(_step(model, optimizers, ids, weights, step))
            tokens_seen += ids.numel()
            step += 1
        chunk += 1
        if time.monotonic() - last_save > save_every or tokens_seen >= settings.tokens:
            last_save = time.monotonic()
            state = {
                "model": model.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                "seen": tokens_seen, "step": step, "chunk": chunk, "settings": asdict(settings),
            }  # fmt: skip
            torch.save(state, path.with_suffix(".part"))
            path.with_suffix(".part").replace(path)
            speed = (tokens_seen - first) / (last_save - start)
            _log(
                out,
                seen=tokens_seen,
                step=step,
                loss=sum(losses) / len(losses),
                rate=rate,
                tokens_per_second=speed,
                **recipe.measure(model, tokenizer, settings.device),
            )
            losses.clear()
    publish(out, recipe, out / "model")


def publish(out: Path, recipe: Recipe, folder: Path) -> None:
    """Write the latest checkpoint of a run as a model, even if the run has not finished.

    The folder also gets `training.json`, with the settings, the number of tokens seen, and the
    fingerprint of every prompt in the samples.

    Raises:
        MissingPart: the run has no checkpoint yet.
    """
    if not (out / "state.pt").exists():
        raise MissingPart(f"{out} has no checkpoint. Train first, with --out {out}.")
    checkpoint = torch.load(out / "state.pt", weights_only=True, map_location="cpu")
    settings = ScratchSettings(**checkpoint["settings"])
    tokenizer = recipe.tokenizer(out, settings.seed)
    model = recipe.network(settings, tokenizer)
    model.load_state_dict(checkpoint["model"])
    export(model, tokenizer, folder)
    facts = {
        "settings": asdict(settings),
        "tokens_seen": checkpoint["seen"],
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "prompts": recipe.prompts(),
    }
    (folder / "training.json").write_text(json.dumps(facts, indent=2) + "\n")


def build(settings: ScratchSettings, vocabulary: int, matchers: Sequence[int]) -> LlamaForCausalLM:
    """Return an untrained model of the Llama architecture.

    Args:
        settings: the sizes of the network.
        vocabulary: the number of tokens.
        matchers: numbers of the layers that initially attend to equal tokens.
    """
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=settings.hidden,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        intermediate_size=settings.mlp,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for number in matchers:
            if number < settings.layers:
                _as_matcher(model.model.layers[number])
    return model


def _as_matcher(layer: Any) -> None:
    """Initialise a layer so that each token attends to equal tokens.

    Queries and keys are equal, as in mimetic initialisation (Trockman and Kolter 2023, arXiv
    2305.09828). The output is zero, so the model uses the attention only where that helps.
    """
    attention = layer.self_attn
    attention.q_proj.weight.normal_(0, 0.07)
    attention.k_proj.weight.copy_(attention.q_proj.weight)
    attention.o_proj.weight.zero_()
    layer.mlp.down_proj.weight.zero_()


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **others: Any,
) -> tuple[Tensor, None]:
    """Compute causal attention with two batched products, which is faster on a CPU than SDPA.

    Samples are padded on the right, so the causal mask also hides the padding. Transformers'
    attention interface calls this function and sets the names of the parameters.

    Args:
        module: the layer.
        query: (batch, heads, length, size).
        key: (batch, heads, length, size).
        value: (batch, heads, length, size).
        attention_mask: not used.
        scaling: the factor of the products of queries and keys.
        others: not used.

    Returns:
        The output, (batch, length, heads, size), and None in place of attention weights.
    """
    batch, heads, length, _ = query.shape
    above = query.new_full((length, length), float("-inf")).triu(1)
    scores = torch.baddbmm(
        above.expand(batch * heads, length, length),
        query.flatten(0, 1),
        key.flatten(0, 1).transpose(1, 2),
        alpha=scaling,
    )
    mixture = torch.bmm(scores.softmax(-1), value.flatten(0, 1))
    return mixture.view(batch, heads, length, -1).transpose(1, 2).contiguous(), None


def export(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the model in bf16, with its tokenizer, in the format of Transformers."""
    copy = LlamaForCausalLM(model.config)
    copy.to(torch.bfloat16)  # type: ignore[arg-type]
    copy.load_state_dict(model.state_dict())
    for config in (copy.config, copy.generation_config):
        config.eos_token_id = tokenizer.eos_token_id
        config.pad_token_id = tokenizer.pad_token_id
    copy.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def encode(
    tokenizer: PreTrainedTokenizerFast, sample: Sample, other_weight: float
) -> tuple[list[int], list[float]]:
    """Return a sample's token ids and each token's weight in the loss."""
    end = tokenizer.eos_token_id
    roles = {role: _token(tokenizer, f"<|{role}|>") for role, _, _ in sample.parts}
    ids: list[int] = []
    weights: list[float] = []
    texts = tokenizer([part.text for part in sample.parts])["input_ids"]
    for part, text in zip(sample.parts, texts, strict=True):
        ids += [roles[part.role], *text, end]
        mine = part.role == "assistant"
        weight = 1.0 if part.learn else 0.0 if mine else other_weight
        weights += [other_weight if mine else 0.0, *([weight] * len(text))]
        weights.append(weight if mine else 0.0)
    return ids, weights


def _token(tokenizer: PreTrainedTokenizerFast, text: str) -> int:
    number = tokenizer.convert_tokens_to_ids(text)
    assert isinstance(number, int)  # noqa: S101
    return number


def predict_turns(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    samples: Iterable[Sample],
    device: str,
) -> list[tuple[Sample, int, bool]]:
    """Return every turn to learn, with its sample and index, and whether it is predicted exactly.

    Turns that end after LONGEST tokens are left out.
    """
    end = tokenizer.eos_token_id
    turns = []
    model.train(False)
    with torch.no_grad():
        for sample in samples:
            ids, _ = encode(tokenizer, sample, 0.0)
            guesses = model(torch.tensor([ids[:LONGEST]], device=device)).logits[0].argmax(-1)
            spot = 0
            texts = tokenizer([part.text for part in sample.parts])["input_ids"]
            for number, (part, text) in enumerate(zip(sample.parts, texts, strict=True)):
                size = len(text) + 2
                if part.learn and spot + size <= LONGEST:
                    answer = torch.tensor([*text, end], device=device)
                    right = bool((answer == guesses[spot : spot + size - 1]).all())
                    turns.append((sample, number, right))
                spot += size
    model.train()
    return turns


def _optimizers(model: LlamaForCausalLM, settings: ScratchSettings) -> list[torch.optim.Optimizer]:
    parameters = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    matrices = [p for n, p in parameters if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in parameters if p.ndim != 2 or "embed" in n]
    muon = torch.optim.Muon(
        matrices, lr=settings.muon_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"
    )
    adam = torch.optim.AdamW(rest, lr=settings.adam_rate, weight_decay=0.0, betas=(0.9, 0.98))
    return [muon, adam]


def _rate(step: int, tokens_seen: int, settings: ScratchSettings) -> float:
    share_left = 1 - tokens_seen / settings.tokens
    return min(1.0, (step + 1) / settings.warmup, max(share_left, 0.0) / settings.cooldown)


def _batches(
    recipe: Recipe,
    tokenizer: PreTrainedTokenizerFast,
    settings: ScratchSettings,
    chunk: int,
    tokens_seen: int,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield a chunk of samples in batches of similar lengths."""
    seed = settings.seed * 1_000_003 + chunk
    samples = recipe.samples(tokenizer, seed, tokens_seen / settings.tokens)
    encodings = [encode(tokenizer, sample, recipe.other_weight) for sample in samples]
    rows = sorted((row for row in encodings if len(row[0]) <= LONGEST), key=lambda row: len(row[0]))
    batches: list[list[tuple[list[int], list[float]]]] = [[]]
    for row in rows:
        if batches[-1] and len(row[0]) * (len(batches[-1]) + 1) > settings.batch:
            batches.append([])
        batches[-1].append(row)
    random.Random(seed).shuffle(batches)
    for batch in batches:
        longest = max(len(ids) for ids, _ in batch)
        ids = torch.zeros(len(batch), longest, dtype=torch.long)
        weights = torch.zeros(len(batch), longest)
        for number, (tokens, each) in enumerate(batch):
            ids[number, : len(tokens)] = torch.tensor(tokens)
            weights[number, : len(tokens)] = torch.tensor(each)
        yield ids.to(settings.device), weights.to(settings.device)


def _step(
    model: LlamaForCausalLM,
    optimizers: list[torch.optim.Optimizer],
    ids: Tensor,
    weights: Tensor,
    step: int,
) -> float:
    counts = weights[:, 1:] > 0
    targets, weight = ids[:, 1:][counts], weights[:, 1:][counts]
    with torch.autocast(ids.device.type, torch.bfloat16):
        states = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state[counts]
        table = model.lm_head.weight
        if not table.requires_grad:
            candidates = _candidate_tokens(ids, len(table), step)
            table, targets = table[candidates], torch.searchsorted(candidates, targets)
        logits = linear(states, table)
    each = cross_entropy(logits.float(), targets, reduction="none")
    loss = (each * weight).sum() / weight.sum()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(_trainable(model), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    in_full = weight >= 1
    return float((each * in_full).sum().detach() / in_full.sum())


def _candidate_tokens(ids: Tensor, vocabulary: int, step: int) -> Tensor:
    """Return the tokens of a batch and some random ones, sorted and without duplicates.

    They are enough for the loss if the vectors of the tokens are fixed. The whole vocabulary, tens
    of thousands of tokens, would cost more time than the network.
    """
    generator = torch.Generator().manual_seed(step)
    strangers = torch.randint(vocabulary, (STRANGERS,), generator=generator).to(ids.device)
    tokens: Tensor = torch.cat([ids.flatten(), strangers])
    return torch.tensor(sorted(set(tokens.tolist())), device=ids.device)


def _trainable(model: LlamaForCausalLM) -> list[Tensor]:
    return [weight for weight in model.parameters() if weight.requires_grad]


def _log(out: Path, **fields: Any) -> None:
    line = json.dumps({"at": round(time.time()), **fields})
    with (out / "log.jsonl").open("a") as file:
        file.write(line + "\n")
    print(line, flush=True)
