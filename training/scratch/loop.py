"""Train a Llama from nothing on generated chats: the loop, and how such a model begins.

Hidden matrices are optimised with Muon (Jordan et al. 2024), the rest with AdamW; the learning rate
warms up and falls evenly to nothing at the end. The loss counts the turns that are learned in full
and the rest as the recipe says. Every chunk of samples has its own seed, so a resumed run sees what
an unbroken one would have seen.
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
"""Tokens of the vocabulary, drawn at random, that a fixed one's right token is told apart from."""


@dataclass(frozen=True)
class ScratchSettings:
    """How long, how fast, from which seed."""

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
    """What is made.

    Attributes:
        settings: by default.
        other_weight: what a token that nobody has to write counts in the loss, beside 1.
    """

    settings: ScratchSettings
    other_weight: float

    def tokenizer(self, out: Path, seed: int) -> PreTrainedTokenizerFast:
        """Return the tokenizer of a run's folder, made there if need be."""

    def network(
        self, settings: ScratchSettings, tokenizer: PreTrainedTokenizerFast
    ) -> LlamaForCausalLM:
        """Return the fresh model."""

    def samples(
        self, tokenizer: PreTrainedTokenizerFast, seed: int, share: float
    ) -> Iterable[Sample]:
        """Return a chunk of samples; `share` of all tokens have been seen."""

    def prompts(self) -> dict[str, str]:
        """Return the fingerprint of every prompt that the samples hold, by name."""

    def measured(
        self, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, device: str
    ) -> dict[str, float]:
        """Return shares of turns that are right, for the log."""


def train(
    out: Path, recipe: Recipe, settings: ScratchSettings, *, save_every: float = 120.0
) -> None:
    """Train until all tokens are seen, writing checkpoints and a log; resumes by itself.

    Args:
        out: folder of the run: `state.pt`, `log.jsonl`, and the finished model.
        recipe: what is made.
        settings: kept in the checkpoint's folder; a resumed run uses the given ones.
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
    seen, step, chunk = 0, 0, 0
    checkpoint = out / "state.pt"
    if checkpoint.exists():
        kept = torch.load(checkpoint, weights_only=True, map_location=settings.device)
        model.load_state_dict(kept["model"])
        for optimizer, state in zip(optimizers, kept["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        seen, step, chunk = kept["seen"], kept["step"], kept["chunk"]
    model.train()
    started = saved = time.monotonic()
    first = seen
    losses: list[float] = []
    while seen < settings.tokens:
        for ids, weights in _batches(recipe, tokenizer, settings, chunk, seen):
            rate = _rate(step, seen, settings)
            for optimizer, base in zip(optimizers, bases, strict=True):
                for group in optimizer.param_groups:
                    group["lr"] = base * rate
            losses.append(_step(model, optimizers, ids, weights, step))
            seen += ids.numel()
            step += 1
        chunk += 1
        if time.monotonic() - saved > save_every or seen >= settings.tokens:
            saved = time.monotonic()
            state = {
                "model": model.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                "seen": seen, "step": step, "chunk": chunk, "settings": asdict(settings),
            }  # fmt: skip
            torch.save(state, checkpoint.with_suffix(".part"))
            checkpoint.with_suffix(".part").replace(checkpoint)
            speed = (seen - first) / (saved - started)
            _log(
                out,
                seen=seen,
                step=step,
                loss=sum(losses) / len(losses),
                rate=rate,
                tokens_per_second=speed,
                **recipe.measured(model, tokenizer, settings.device),
            )
            losses.clear()
    publish(out, recipe, out / "model")


def publish(out: Path, recipe: Recipe, folder: Path) -> None:
    """Write the latest checkpoint of a run as a model, whether or not the run has finished.

    Beside the weights lies `training.json`: the settings, the tokens seen, and the fingerprint of
    every prompt the model was trained on.

    Raises:
        MissingPart: if the run has no checkpoint yet.
    """
    if not (out / "state.pt").exists():
        raise MissingPart(f"{out} has no checkpoint. Train first, with --out {out}.")
    kept = torch.load(out / "state.pt", weights_only=True, map_location="cpu")
    settings = ScratchSettings(**kept["settings"])
    tokenizer = recipe.tokenizer(out, settings.seed)
    model = recipe.network(settings, tokenizer)
    model.load_state_dict(kept["model"])
    export(model, tokenizer, folder)
    facts = {
        "settings": asdict(settings),
        "tokens_seen": kept["seen"],
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "prompts": recipe.prompts(),
    }
    (folder / "training.json").write_text(json.dumps(facts, indent=2) + "\n")


def build(settings: ScratchSettings, vocabulary: int, matchers: Sequence[int]) -> LlamaForCausalLM:
    """Return a fresh Llama-architecture model.

    Args:
        settings: its sizes.
        vocabulary: how many tokens it has.
        matchers: layers that start by looking for equal tokens.
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
    """Let a layer start by looking for tokens equal to its own, and saying nothing yet.

    Equal queries and keys, after mimetic initialisation (Trockman and Kolter 2023, arXiv
    2305.09828); an output of zero, so that what it sees is used only where that helps.
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
    """Attend causally by two batched products, which CPUs do faster than the fused kernel.

    Samples are padded on the right, so that causality alone hides the padding.

    Args:
        module: the layer, as Transformers' attention interface passes it.
        query: (batch, heads, length, size), as are `key` and `value`.
        key: see `query`.
        value: see `query`.
        attention_mask: unused.
        scaling: of the products.
        others: unused.

    Returns:
        (batch, length, heads, size), and no weights.
    """
    batch, heads, length, _ = query.shape
    above = query.new_full((length, length), float("-inf")).triu(1)
    scores = torch.baddbmm(
        above.expand(batch * heads, length, length),
        query.flatten(0, 1),
        key.flatten(0, 1).transpose(1, 2),
        alpha=scaling,
    )
    seen = torch.bmm(scores.softmax(-1), value.flatten(0, 1))
    return seen.view(batch, heads, length, -1).transpose(1, 2).contiguous(), None


def export(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the model in bf16 with its tokenizer, as Transformers loads it."""
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
    found = tokenizer.convert_tokens_to_ids(text)
    assert isinstance(found, int)  # noqa: S101
    return found


def predicted(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    samples: Iterable[Sample],
    device: str,
) -> list[tuple[Sample, int, bool]]:
    """Return each turn that is learned (its sample and place) and whether it is predicted whole."""
    end = tokenizer.eos_token_id
    found = []
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
                    want = torch.tensor([*text, end], device=device)
                    right = bool((want == guesses[spot : spot + size - 1]).all())
                    found.append((sample, number, right))
                spot += size
    model.train()
    return found


def _optimizers(model: LlamaForCausalLM, settings: ScratchSettings) -> list[torch.optim.Optimizer]:
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    hidden = [p for n, p in named if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in named if p.ndim != 2 or "embed" in n]
    muon = torch.optim.Muon(
        hidden, lr=settings.muon_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"
    )
    adam = torch.optim.AdamW(rest, lr=settings.adam_rate, weight_decay=0.0, betas=(0.9, 0.98))
    return [muon, adam]


def _rate(step: int, seen: int, settings: ScratchSettings) -> float:
    left = 1 - seen / settings.tokens
    return min(1.0, (step + 1) / settings.warmup, max(left, 0.0) / settings.cooldown)


def _batches(
    recipe: Recipe,
    tokenizer: PreTrainedTokenizerFast,
    settings: ScratchSettings,
    chunk: int,
    seen: int,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Draw a chunk of samples and yield it in batches of like lengths."""
    seed = settings.seed * 1_000_003 + chunk
    samples = recipe.samples(tokenizer, seed, seen / settings.tokens)
    drawn = [encode(tokenizer, sample, recipe.other_weight) for sample in samples]
    rows = sorted((row for row in drawn if len(row[0]) <= LONGEST), key=lambda row: len(row[0]))
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
    told = weights[:, 1:] > 0
    wanted, weight = ids[:, 1:][told], weights[:, 1:][told]
    with torch.autocast(ids.device.type, torch.bfloat16):
        states = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state[told]
        table = model.lm_head.weight
        if not table.requires_grad:
            some = _told_apart(ids, len(table), step)
            table, wanted = table[some], torch.searchsorted(some, wanted)
        logits = linear(states, table)
    each = cross_entropy(logits.float(), wanted, reduction="none")
    loss = (each * weight).sum() / weight.sum()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(_learned(model), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    mine = weight >= 1
    return float((each * mine).sum().detach() / mine.sum())


def _told_apart(ids: Tensor, vocabulary: int, step: int) -> Tensor:
    """Return the tokens of a batch and others, sorted: enough where no token's vector is learned.

    Whole, a vocabulary of tens of thousands would cost more than the network below it.
    """
    source = torch.Generator().manual_seed(step)
    strangers = torch.randint(vocabulary, (STRANGERS,), generator=source).to(ids.device)
    several: Tensor = torch.cat([ids.flatten(), strangers])
    return torch.tensor(sorted(set(several.tolist())), device=ids.device)


def _learned(model: LlamaForCausalLM) -> list[Tensor]:
    return [weight for weight in model.parameters() if weight.requires_grad]


def _log(out: Path, **fields: Any) -> None:
    line = json.dumps({"at": round(time.time()), **fields})
    with (out / "log.jsonl").open("a") as file:
        file.write(line + "\n")
    print(line, flush=True)
