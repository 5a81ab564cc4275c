"""Supervised fine-tuning, from a dataset's folder to an adapter that answers."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl.trainer import utils as scoring

from apprentice.state.errors import MissingPart
from apprentice.training import sft
from apprentice.training.base import load
from apprentice.training.commands import main
from apprentice.training.jobs import read_job
from apprentice.training.progress import Progress
from apprentice.training.settings import SftSettings
from tests.models import tiny as tiny_models
from tests.training import tiny
from tests.training.conftest import Workplace
from tests.training.work import done, events, quantised

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*pin_memory.*"),
]
QUICK: dict[str, Any] = {"base": "llama", "batch": 8, "learning_rate": 2e-2, "every": 8}


def train(workplace: Workplace, rows: list[Any], valid: list[Any], **settings: Any) -> Path:
    """Carry a job out in this process; return its folder."""
    data = tiny.dataset(workplace.root / "data", "sft", rows, valid)
    return done(workplace, data, **QUICK | settings)


def test_an_adapter_says_what_it_was_taught_and_its_child_goes_on_from_there(
    workplace: Workplace,
) -> None:
    folder = train(workplace, tiny.chats(32), tiny.chats(4, start=50), max_steps=24)
    adapter = workplace.look(folder).outcome["adapter"]
    told = workplace.chat("local:llama", adapter=adapter, max_tokens=8)
    plain = workplace.chat("local:llama", max_tokens=8)
    assert told.invoke("say 77").text == ":-)"
    assert plain.invoke("say 77").text != ":-)"

    second = train(workplace, tiny.chats(16), [], max_steps=2, parent=adapter, learning_rate=1e-5)
    losses = [event["loss"] for event in events(second) if event["event"] == "progress"]
    assert losses[0] < 0.5  # what the parent had learned is there from the first step
    assert workplace.adapters.read(workplace.look(second).outcome["adapter"]).parent == adapter


def test_only_what_is_learned_is_scored(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, scored = scoring._ChunkedLogProbFunction, list[int]()

    def counted(hidden: torch.Tensor, *rest: Any) -> Any:
        scored.append(len(hidden))
        return real.apply(hidden, *rest)

    monkeypatch.setattr(scoring, "_ChunkedLogProbFunction", SimpleNamespace(apply=counted))
    trainer = sft.trainer(
        SftSettings(base="llama", batch=8),
        tiny.dataset(workplace.root / "data", "sft", tiny.chats(16)),
        workplace.root / "out",
        Progress(workplace.root / "said", io.StringIO()),
        workplace.bench,
    )
    batch = next(iter(trainer.get_train_dataloader()))
    loss = trainer.compute_loss(trainer.model, batch)
    learned = int((batch["labels"] != -100).sum())
    assert sum(scored) == learned > 0

    def gradients(loss: torch.Tensor) -> list[torch.Tensor]:
        weights = [each for each in trainer.model.parameters() if each.requires_grad]
        return list(torch.autograd.grad(loss, weights))

    scored.clear()
    librarys_loss = type(trainer).compute_loss(trainer, trainer.model, batch)
    assert sum(scored) > 2 * learned
    torch.testing.assert_close(loss, librarys_loss)
    torch.testing.assert_close(gradients(loss), gradients(librarys_loss))


def test_progress_card_and_result_say_what_happened(workplace: Workplace) -> None:
    folder = train(workplace, tiny.chats(16), tiny.chats(4, start=50), max_steps=10, seed=7)
    said = events(folder)
    names = [event["event"] for event in said]
    assert names[:3] == ["started", "encoded", "training"]
    assert names[-1] == "finished"
    assert {"progress", "evaluated", "checkpoint"} <= set(names)
    progress = next(event for event in said if event["event"] == "progress")
    assert {"loss", "tokens_per_second", "seconds_left", "step", "steps"} <= progress.keys()
    evaluated = [event["loss"] for event in said if event["event"] == "evaluated"]
    card = workplace.adapters.read(workplace.look(folder).outcome["adapter"])
    assert card.metrics["eval_loss"] == pytest.approx(min(evaluated), abs=1e-4)
    assert (card.method, card.base, card.status) == ("sft", "llama", "candidate")
    assert card.settings["seed"] == 7
    assert (
        card.dataset == json.loads((workplace.root / "data/card.json").read_text())["fingerprint"]
    )
    assert card.job == folder.name


def test_it_ends_early_when_the_held_out_loss_no_longer_falls(workplace: Workplace) -> None:
    other = [{"messages": tiny.turns(f"say {n}", "NO NO NO")} for n in range(4)]
    folder = train(workplace, tiny.chats(16), other, max_steps=60, every=1, patience=2)
    steps = [event["step"] for event in events(folder) if event["event"] == "progress"]
    assert max(steps) < 20


def test_learned_embeddings_are_served_and_the_base_stays_as_it_is(workplace: Workplace) -> None:
    """The embedded model's head is tied to its embeddings, and many tokens are strange to it."""
    before = workplace.chat("local:novice", max_tokens=8).invoke("say 77").text
    told = {"base": "novice", "embeddings": True, "targets": ["o_proj"]}
    folder = train(workplace, tiny.chats(32), [], max_steps=24, **told)
    adapter = workplace.look(folder).outcome["adapter"]
    answer = workplace.chat("local:novice", adapter=adapter, max_tokens=8).invoke("say 77")
    assert answer.text == ":-)"
    assert workplace.chat("local:novice", max_tokens=8).invoke("say 77").text == before != ":-)"
    folder = workplace.adapters.export_merged(adapter, workplace.root / "merged")
    merged: Any = AutoModelForCausalLM.from_pretrained(folder)
    plain: Any = load(SftSettings(base="novice"), workplace.local).model.get_input_embeddings()
    assert (merged.get_input_embeddings().weight - plain.weight).abs().max() > 0.01
    assert merged.get_output_embeddings().weight is merged.get_input_embeddings().weight


@quantised
@pytest.mark.parametrize("tags", [False, True], ids=["plain", "tags"])
@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers` to `True`")
def test_quantised_training_works_on_a_cpu(workplace: Workplace, tags: bool) -> None:
    told: dict[str, Any] = {"max_steps": 6, "quantised": True, "batch": 4, "every": 1, "tags": tags}
    folder = train(workplace, tiny.chats(8), tiny.chats(2, start=50), **told)
    assert len(events(folder, "evaluated")) == 6  # and it goes on learning after each
    losses = [event["loss"] for event in events(folder) if event["event"] == "progress"]
    assert losses[-1] < losses[0]
    card = workplace.adapters.read(workplace.look(folder).outcome["adapter"])
    assert card.settings["quantised"] is True
    assert workplace.chat("local:llama", adapter=card.name, max_tokens=8).invoke("say 77").text


def test_fused_projections_are_trained_and_served(workplace: Workplace) -> None:
    folder = train(workplace, tiny.chats(16), [], max_steps=4, base="phi", targets=["q_proj"])
    config = json.loads((folder / "adapter/adapter_config.json").read_text())
    assert config["target_modules"] == ["qkv_proj"]
    answer = workplace.chat(
        "local:phi", adapter=workplace.look(folder).outcome["adapter"], max_tokens=8
    )
    assert answer.invoke("say 1").text


def test_packing_gives_each_sample_what_it_would_see_alone(workplace: Workplace) -> None:
    base = load(SftSettings(base="llama"), workplace.local)
    assert sft.keeps_apart(base)
    forward = base.model.forward

    def mixing(*args: Any, position_ids: Any = None, **kwargs: Any) -> Any:
        return forward(*args, **kwargs)

    base.model.forward = mixing
    assert not sft.keeps_apart(base)
    with pytest.raises(MissingPart, match="mixes samples"):
        sft.packs(SftSettings(base="llama", packing="on"), base)


def test_packed_and_padded_batches_have_the_same_loss(workplace: Workplace) -> None:
    data = tiny.dataset(workplace.root / "data", "sft", tiny.chats(4))
    losses = {}
    for packing in ("on", "off"):
        told = SftSettings(base="llama", packing=packing, batch=1 if packing == "on" else 4)
        progress = Progress(workplace.root / "said", io.StringIO())
        trainer = sft.trainer(told, data, workplace.root / packing, progress, workplace.bench)
        batch = next(iter(trainer.get_train_dataloader()))
        with torch.no_grad():
            losses[packing] = float(trainer.compute_loss(trainer.model, batch))
    assert losses["on"] == pytest.approx(losses["off"], rel=0.02)


def test_rows_longer_than_the_context_are_cut_and_those_without_an_answer_left_out(
    workplace: Workplace,
) -> None:
    base = load(SftSettings(base="llama"), workplace.local)
    rows = [{"messages": tiny.turns("x" * 300, ":-)")}, *tiny.chats(1)]
    (kept,) = sft.encode(base, rows, 40)
    assert len(kept.ids) <= 40
    with pytest.raises(MissingPart, match="first 40 tokens"):
        sft.trainer(
            SftSettings(base="llama", max_length=40),
            tiny.dataset(workplace.root / "long", "sft", rows[:1]),
            workplace.root / "out",
            Progress(workplace.root / "said", io.StringIO()),
            workplace.bench,
        )


def test_the_command_line_carries_out_a_job(
    workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tiny.dataset(workplace.root / "data", "sft", tiny.chats(8))
    given = ["--dataset", str(data.folder), "--jobs", str(workplace.jobs), "--base", "llama"]
    assert (
        main(
            SftSettings,
            [*given, "--max-steps", "2", "--batch", "4", "--tenant", "acme"],
            workplace.bench,
        )
        == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert json.loads(lines[-1])["event"] == "finished"
    (job,) = workplace.jobs.iterdir()
    adapter = workplace.adapters.read(read_job(job).adapter)
    assert adapter.tenant == "acme"
    assert (
        main(SftSettings, [*given, "--parent", adapter.name], workplace.bench) == 1
    )  # it would be everybody's
    assert "Unknown adapter" in capsys.readouterr().err
    assert main(SftSettings, [*given, "--rank", "0"], workplace.bench) == 1
    assert "'rank' is '0'" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers` to `True`")
@pytest.mark.parametrize(
    "shape", [{}, {"vocab_size": 512, "tie_word_embeddings": True}], ids=["exact", "with room"]
)
def test_new_tags_are_served_as_they_are_exported(
    workplace: Workplace, shape: dict[str, Any]
) -> None:
    """An adapter that adds to the vocabulary brings its own tokenizer, which answers with it."""
    base = "-".join(["tagless", *shape])
    tiny_models.llama(workplace.models / base, **shape)
    said = "<tool_call>{}</tool_call>"
    rows = [{"messages": tiny.turns(f"say {number}", said)} for number in range(16)]
    folder = train(workplace, rows, [], max_steps=40, tags=True, base=base)
    adapter = workplace.look(folder).outcome["adapter"]
    merged = workplace.adapters.export_merged(adapter, workplace.root / "merged")
    words: Any = AutoTokenizer.from_pretrained(merged)
    assert len(words("<tool_call>", add_special_tokens=False)["input_ids"]) == 1
    asked = words.apply_chat_template(
        tiny.turns("say 3"), add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    model: Any = AutoModelForCausalLM.from_pretrained(merged)
    written = model.generate(**asked, max_new_tokens=12, do_sample=False)[0]
    exported = words.decode(written[asked["input_ids"].shape[1] :]).removesuffix("<|end|>")
    served = workplace.chat(f"local:{base}", adapter=adapter, max_tokens=12).invoke("say 3").text
    assert served == exported == said
    plain = workplace.chat(f"local:{base}", max_tokens=12).invoke("say 3").text
    assert plain != said  # the base keeps its own words

    child = train(workplace, rows, [], max_steps=1, base=base, parent=adapter, learning_rate=1e-5)
    (loss,) = [event["loss"] for event in events(child, "progress")]
    assert loss < 0.5  # it goes on with its parent's words
    assert "<tool_call>" in AutoTokenizer.from_pretrained(child / "adapter").get_vocab()
