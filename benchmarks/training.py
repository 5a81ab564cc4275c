"""The speed of supervised fine-tuning, compared with plain TRL scripts.

    python -m benchmarks.training

All three train the same LoRA on the same number of the same conversations in each round. *Plain
TRL* is TRL's own script with its defaults and this job's batch size. *Tutorial* has the settings of
common tutorials: one row in each step, no packing, eager attention, loss on every token. The figure
is tokens of the rows a second, without padding. On a CPU it is by process time, which other work on
the machine does not change; on a GPU it is by wall-clock time.

With --parameters the base is a random Llama of about that many million parameters, to estimate the
speed of a real model on this device. --quantised trains it as QLoRA.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, Final

from apprentice.settings import Settings, quieten_libraries
from apprentice.training.datasets.card import Dataset, fingerprint, load
from apprentice.training.datasets.rows import to_jsonl
from apprentice.training.novice.corpus import Corpus
from apprentice.training.settings import SftSettings
from apprentice.training.workbench import Workbench

RANDOM: Final = "random"

Make = Callable[[Workbench, SftSettings, Dataset, Path], Any]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="measurements for each figure")
    parser.add_argument("--rows", type=int, default=96, help="conversations for each measurement")
    parser.add_argument("--batch", type=int, default=8, help="conversations for each step")
    parser.add_argument(
        "--parameters", type=int, default=0, help="millions of parameters; 0 for the novice"
    )
    parser.add_argument("--quantised", action="store_true", help="four-bit weights")
    options = parser.parse_args()
    quieten_libraries()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        data = _dataset(root / "data", options.rows)
        if options.parameters:
            _random_model(root / RANDOM, options.parameters)
        settings = SftSettings(
            base=RANDOM if options.parameters else "novice",
            batch=options.batch,
            max_steps=options.rows // options.batch,
            quantised=options.quantised,
        )
        bench = Workbench.of(Settings(local_models=root, data=root))
        _compare(bench, settings, data, root, options.rounds)


def _compare(
    bench: Workbench, settings: SftSettings, data: Dataset, root: Path, rounds: int
) -> None:
    import torch

    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU"
    kinds: dict[str, Make] = {"ours": _ours, "plain TRL": _plain, "tutorial": _tutorial}
    speeds: dict[str, list[float]] = {kind: [] for kind in kinds}
    memory: dict[str, float] = {}
    for number in range(rounds):
        for kind, make in kinds.items():
            speed, peak = _measure(make, bench, settings, data, root / f"{number}-{kind}")
            speeds[kind].append(speed)
            memory[kind] = max(memory.get(kind, 0), peak)
    best = statistics.median(speeds["ours"])
    print(
        f"{len(data.rows())} conversations, batch {settings.batch}, {device}, of {rounds} rounds:"
    )
    print("  kind         tokens/s   ours is   peak MB")
    for kind, values in speeds.items():
        speed = statistics.median(values)
        print(f"  {kind:10s}   {speed:8.0f}   {best / speed:5.2f} x   {memory[kind]:7.0f}")


def _measure(
    make: Make, bench: Workbench, settings: SftSettings, data: Dataset, out: Path
) -> tuple[float, float]:
    """Train on all rows once; return tokens a second, and the peak memory of the GPU in MB."""
    import torch

    on_gpu = torch.cuda.is_available()
    clock = time.perf_counter if on_gpu else time.process_time
    trainer = make(bench, settings, data, out)
    trainer.args.save_strategy = "no"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    start = clock()
    trainer.train()
    seconds = clock() - start
    peak = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else 0.0
    return trainer._total_train_tokens / seconds, peak


def _ours(bench: Workbench, settings: SftSettings, data: Dataset, out: Path) -> Any:
    from apprentice.training import sft
    from apprentice.training.progress import Progress

    out.mkdir()
    progress = Progress(out / "progress.jsonl", io.StringIO())
    return sft.trainer(settings, data, out, progress, bench)


def _plain(bench: Workbench, settings: SftSettings, data: Dataset, out: Path) -> Any:
    """Return a trainer with TRL's defaults: bf16, gradient checkpointing, padding."""
    return _library(
        bench,
        settings,
        data,
        out,
        attention="sdpa",
        per_device_train_batch_size=settings.batch,
        max_steps=settings.max_steps,
        assistant_only_loss=True,
    )


def _tutorial(bench: Workbench, settings: SftSettings, data: Dataset, out: Path) -> Any:
    return _library(
        bench,
        settings,
        data,
        out,
        attention="eager",
        per_device_train_batch_size=1,
        max_steps=len(data.rows()),
        packing=False,
    )


def _library(
    bench: Workbench,
    settings: SftSettings,
    data: Dataset,
    out: Path,
    *,
    attention: str,
    **options: Any,
) -> Any:
    import torch
    from datasets import Dataset as Columns
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
    from trl import SFTConfig, SFTTrainer

    folder = bench.local.folder(settings.base)
    four_bits = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
    )
    on_gpu = torch.cuda.is_available()
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=torch.bfloat16 if on_gpu else torch.float32,
        attn_implementation=attention,
        quantization_config=four_bits if settings.quantised else None,
    )
    return SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(out),
            use_cpu=not on_gpu,
            max_length=model.config.max_position_embeddings,
            report_to="none",
            disable_tqdm=True,
            **options,
        ),
        train_dataset=Columns.from_list([{"messages": row["messages"]} for row in data.rows()]),
        processing_class=AutoTokenizer.from_pretrained(folder),
        peft_config=LoraConfig(
            r=settings.rank, lora_alpha=settings.alpha, target_modules="all-linear"
        ),
    )


def _dataset(folder: Path, count: int) -> Dataset:
    """Write household episodes of many lengths."""
    corpus = Corpus(7, {"small": 1.0, "medium": 1.0}, {"plain": 1.0, "reflected": 1.0}, rename=0.0)
    rows = [
        {"messages": [{"role": part.role, "content": part.text} for part in sample.parts]}
        for sample in islice(iter(corpus), count)
    ]
    folder.mkdir()
    (folder / "data.jsonl").write_text(to_jsonl(rows))
    (folder / "valid.jsonl").write_text("")
    card = {
        "kind": "sft",
        "counts": {"rows": count},
        "fingerprint": fingerprint(folder / "data.jsonl"),
        "valid_fingerprint": fingerprint(folder / "valid.jsonl"),
    }
    (folder / "card.json").write_text(json.dumps(card))
    return load(folder)


def _random_model(folder: Path, millions: int) -> None:
    """Save a random Llama of about this size, with the novice's tokenizer."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from apprentice.models.names import NOVICE, LocalModels

    words = AutoTokenizer.from_pretrained(LocalModels(None, folder).folder(NOVICE))
    layers = 16
    # A layer has about 12.6 times the square of its width: 4 for attention, 8.6 for the rest.
    width = max(1, round((millions * 1e6 / layers / 12.6) ** 0.5 / 128)) * 128
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=round(width * 2.875 / 64) * 64,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        num_key_value_heads=width // 64,
        max_position_embeddings=2048,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)  # type: ignore[arg-type]
    words.save_pretrained(folder)


if __name__ == "__main__":
    main()
