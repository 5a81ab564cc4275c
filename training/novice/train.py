"""Train the embedded model from scratch on the generated corpus.

Curriculum: rooms grow and exercises are added as tokens are seen (STAGES). Hidden matrices are
optimised with Muon (Jordan et al. 2024), the rest with AdamW; the learning rate warms up and then
falls evenly to nothing. The loss counts agent tokens in full and everything else a tenth. Every
chunk of samples has its own seed, so a resumed run sees what an unbroken one would have seen.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import (
    AttentionInterface,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from state import prompts
from state.errors import MissingPart
from training.novice import tokenizer as tokenizers
from training.novice.corpus import KINDS, Corpus, Sample

CHUNK: Final = 256
LONGEST: Final = 1280
OTHER_WEIGHT: Final = 0.1
DRILLS: Final = ("matching", "lookups", "reciting", "criticising")
MATCHERS: Final = (2, 5)  # layers that start by looking for equal tokens


@dataclass(frozen=True)
class Stage:
    """What is practised until `until` (a share of all tokens) have been seen."""

    until: float
    sizes: dict[str, float]
    mix: dict[str, float]
    rename: float


STAGES: Final = (
    Stage(
        0.06,
        {"tiny": 0.75, "small": 0.25},
        {"matching": 6, "plain": 3, "told": 3, "reflected": 1, "reflecting": 1, "lookups": 2},
        0.5,
    ),
    Stage(
        0.2,
        {"tiny": 0.25, "small": 0.5, "medium": 0.25},
        {"matching": 2, "lookups": 2, "reciting": 10, "criticising": 3,
         "plain": 2, "told": 2, "reflected": 3,
         "ruled": 2.5, "reflecting": 2, "exampled": 1, "others": 0.3, "last_attempt": 0.3,
         "critic": 0.7, "calling": 0.5, "planned": 0.3, "adapting": 0.3, "warned": 0.2},
        0.3,
    ),
    Stage(
        1.0,
        {"tiny": 0.1, "small": 0.2, "medium": 0.3, "full": 0.4},
        {"matching": 2, "lookups": 3, "reciting": 4, "criticising": 4,
         "plain": 3, "told": 1, "reflected": 5,
         "ruled": 4, "reflecting": 14, "exampled": 7, "others": 0.6, "similar": 0.8,
         "last_attempt": 0.4, "critic": 4, "calling": 0.5, "planned": 0.6, "adapting": 0.6,
         "warned": 0.4},
        0.2,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
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


def train(out: Path, settings: Settings, *, save_every: float = 120.0) -> None:
    """Train until all tokens are seen, writing checkpoints and a log; resumes by itself.

    Args:
        out: folder of the run: `state.pt`, `log.jsonl`, and the finished model.
        settings: kept in the checkpoint's folder; a resumed run uses the given ones.
        save_every: seconds between checkpoints.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    tokenizer = _tokenizer(out, settings.seed)
    model = build(settings, len(tokenizer))
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
        for ids, weights in _batches(tokenizer, settings, chunk, seen / settings.tokens):
            rate = _rate(step, seen, settings)
            for optimizer, base in zip(optimizers, bases, strict=True):
                for group in optimizer.param_groups:
                    group["lr"] = base * rate
            losses.append(_step(model, optimizers, ids, weights, settings.device))
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
                **probe(model, tokenizer, settings.device),
            )
            losses.clear()
    publish(out, out / "model")


def publish(out: Path, folder: Path) -> None:
    """Write the latest checkpoint of a run as a model, whether or not the run has finished.

    Beside the weights lies `training.json`: the settings, the tokens seen, and the fingerprint of
    every prompt the model was trained on.

    Raises:
        MissingPart: if the run has no checkpoint yet.
    """
    if not (out / "state.pt").exists():
        raise MissingPart(f"{out} has no checkpoint. Train first: python -m training.novice.")
    tokenizer = tokenizers.load(out / "tokenizer")
    kept = torch.load(out / "state.pt", weights_only=True, map_location="cpu")
    settings = Settings(**kept["settings"])
    model = build(settings, len(tokenizer))
    model.load_state_dict(kept["model"])
    export(model, tokenizer, folder)
    facts = {
        "settings": asdict(settings),
        "tokens_seen": kept["seen"],
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "prompts": prompts.fingerprints(),
    }
    (folder / "training.json").write_text(json.dumps(facts, indent=2) + "\n")


def build(settings: Settings, vocabulary: int) -> LlamaForCausalLM:
    """Return a fresh Llama-architecture model."""
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=settings.hidden,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        intermediate_size=settings.mlp,
        max_position_embeddings=tokenizers.CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for number in MATCHERS:
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


def encode(tokenizer: PreTrainedTokenizerFast, sample: Sample) -> tuple[list[int], list[float]]:
    """Return a sample's token ids and each token's weight in the loss."""
    end = tokenizer.eos_token_id
    roles = {role: _token(tokenizer, f"<|{role}|>") for role, _, _ in sample.parts}
    ids: list[int] = []
    weights: list[float] = []
    texts = tokenizer([part.text for part in sample.parts])["input_ids"]
    for part, text in zip(sample.parts, texts, strict=True):
        ids += [roles[part.role], *text, end]
        mine = part.role == "assistant"
        weight = 1.0 if part.learn else 0.0 if mine else OTHER_WEIGHT
        weights += [OTHER_WEIGHT if mine else 0.0, *([weight] * len(text))]
        weights.append(weight if mine else 0.0)
    return ids, weights


def _token(tokenizer: PreTrainedTokenizerFast, text: str) -> int:
    found = tokenizer.convert_tokens_to_ids(text)
    assert isinstance(found, int)  # noqa: S101
    return found


def probe(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, device: str, count: int = 60
) -> dict[str, float]:
    """Measure, on fixed fresh samples, the share of agent turns predicted whole, by first word."""
    right: dict[str, list[bool]] = {}
    model.train(False)
    kinds = ("told", "reflected", "ruled", "exampled", "reflecting", "critic")
    mix = dict.fromkeys(kinds, 1.0) | dict.fromkeys(DRILLS, 0.4)
    corpus = Corpus(777_777, {"small": 1, "medium": 1}, mix, rename=0.0)
    end = tokenizer.eos_token_id
    with torch.no_grad():
        for sample in islice(iter(corpus), count):
            ids, _ = encode(tokenizer, sample)
            guesses = model(torch.tensor([ids[:LONGEST]], device=device)).logits[0].argmax(-1)
            spot = 0
            for part, text in zip(
                sample.parts, tokenizer([p.text for p in sample.parts])["input_ids"], strict=True
            ):
                size = len(text) + 2
                if part.learn and spot + size <= LONGEST:
                    want = torch.tensor([*text, end], device=device)
                    got = guesses[spot : spot + size - 1]
                    key = _turn_kind(sample.kind, part.text)
                    right.setdefault(key, []).append(bool((want == got).all()))
                spot += size
    model.train()
    return {key: round(sum(hits) / len(hits), 3) for key, hits in sorted(right.items())}


def _turn_kind(kind: str, text: str) -> str:
    if kind in ("reflecting", "critic"):
        return f"write_{kind}"
    if kind in DRILLS:
        return f"drill_{kind}"
    if "Plan:" in text:
        return f"plan_{kind}"
    for word in ("take", "put", "go", "open"):
        if text.splitlines()[-1].startswith(word):
            return word
    return "other"


def _tokenizer(out: Path, seed: int) -> PreTrainedTokenizerFast:
    folder = out / "tokenizer"
    if not folder.exists():
        corpus = Corpus(seed, {"tiny": 1, "small": 1}, dict.fromkeys(KINDS, 1.0))
        texts = [part.text for sample in islice(iter(corpus), 3000) for part in sample.parts]
        tokenizers.train(texts).save_pretrained(folder)
    return tokenizers.load(folder)


def _optimizers(model: LlamaForCausalLM, settings: Settings) -> list[torch.optim.Optimizer]:
    hidden = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    muon = torch.optim.Muon(
        hidden, lr=settings.muon_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"
    )
    adam = torch.optim.AdamW(rest, lr=settings.adam_rate, weight_decay=0.0, betas=(0.9, 0.98))
    return [muon, adam]


def _rate(step: int, seen: int, settings: Settings) -> float:
    left = 1 - seen / settings.tokens
    return min(1.0, (step + 1) / settings.warmup, max(left, 0.0) / settings.cooldown)


def _batches(
    tokenizer: PreTrainedTokenizerFast, settings: Settings, chunk: int, share: float
) -> Iterator[tuple[Tensor, Tensor]]:
    """Draw a chunk of samples and yield it in batches of like lengths."""
    stage = next(stage for stage in STAGES if share < stage.until)
    seed = settings.seed * 1_000_003 + chunk
    corpus = Corpus(seed, stage.sizes, stage.mix, stage.rename)
    drawn = [encode(tokenizer, sample) for sample in islice(iter(corpus), CHUNK)]
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
        yield ids, weights


def _step(
    model: LlamaForCausalLM,
    optimizers: list[torch.optim.Optimizer],
    ids: Tensor,
    weights: Tensor,
    device: str,
) -> float:
    ids, weights = ids.to(device), weights.to(device)
    with torch.autocast(torch.device(device).type, torch.bfloat16):
        states = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
        logits = model.lm_head(states)
    each = cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    weight = weights[:, 1:].flatten()
    loss = (each * weight).sum() / weight.sum()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    mine = weight >= 1
    return float((each * mine).sum().detach() / mine.sum())


def _log(out: Path, **fields: Any) -> None:
    line = json.dumps({"at": round(time.time()), **fields})
    with (out / "log.jsonl").open("a") as file:
        file.write(line + "\n")
    print(line, flush=True)
