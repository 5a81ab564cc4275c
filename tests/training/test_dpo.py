"""Preferences: the better answer gains on the worse, against the model as it was found."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from apprentice.training.base import load
from apprentice.training.datasets.rows import Row
from apprentice.training.dpo import Collator, encode_pairs
from apprentice.training.encoding import IGNORED
from apprentice.training.settings import DpoSettings
from tests.training import tiny
from tests.training.conftest import Workplace
from tests.training.work import done, events

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*pin_memory.*"),
]
QUICK: dict[str, Any] = {"base": "llama", "batch": 8, "max_steps": 8, "learning_rate": 5e-3}


def pairs(count: int, start: int = 0) -> list[Row]:
    return [
        {
            "prompt": tiny.turns(f"say {number}"),
            "chosen": [{"role": "assistant", "content": "please"}],
            "rejected": [{"role": "assistant", "content": "never!"}],
        }
        for number in range(start, start + count)
    ]


def test_the_better_answer_gains(workplace: Workplace) -> None:
    data = tiny.dataset(workplace.root / "pairs", "dpo", pairs(16), pairs(4, start=50))
    folder = done(workplace, data, **QUICK)
    first, *_, last = events(folder, "evaluated")
    assert last["rewards/margins"] > first["rewards/margins"] + 0.1
    assert last["rewards/accuracies"] == 1.0
    assert workplace.look(folder).outcome["adapter"].startswith("llama-dpo-")


def test_with_imitation_the_better_answer_itself_becomes_likelier(workplace: Workplace) -> None:
    data = tiny.dataset(workplace.root / "pairs", "dpo", pairs(16), pairs(4, start=50))
    gained = {}
    for weight in (0.0, 4.0):
        folder = done(workplace, data, **QUICK, imitation=weight)
        gained[weight] = events(folder, "evaluated")[-1]["rewards/chosen"]
    assert gained[4.0] > gained[0.0] > -1
    assert gained[4.0] > 0.1


def test_the_reference_is_the_parent_and_only_the_new_adapter_is_kept(
    workplace: Workplace,
) -> None:
    chats = tiny.dataset(workplace.root / "chats", "sft", tiny.chats(16))
    sft = done(workplace, chats, base="llama", max_steps=6, learning_rate=1e-2)
    parent = workplace.look(sft).outcome["adapter"]
    data = tiny.dataset(workplace.root / "pairs", "dpo", pairs(16))
    folder = done(workplace, data, **QUICK | {"max_steps": 1}, parent=parent)
    # Before the first update the policy is its reference: neither side is preferred.
    assert events(folder, "progress")[0]["loss"] == pytest.approx(0.6931, abs=1e-3)
    assert not (folder / "adapter" / "ref").exists()


def test_what_the_environment_says_counts_for_neither_side(workplace: Workplace) -> None:
    base = load(DpoSettings(base="llama"), workplace.local)
    answer = [
        {"role": "assistant", "content": "go"},
        {"role": "user", "content": "You went."},
        {"role": "assistant", "content": "take"},
    ]
    row = {"prompt": tiny.turns("x"), "chosen": answer, "rejected": answer[:1]}
    batch = Collator(0)(
        [
            {
                "chosen_ids": better.ids,
                "chosen_labels": better.labels,
                "rejected_ids": worse.ids,
                "rejected_labels": worse.labels,
            }
            for better, worse in encode_pairs(base, [row], 512)
        ]
    )
    counted = [
        base.tokenizer.decode(ids[mask.bool()])
        for ids, mask in zip(batch["input_ids"], batch["completion_mask"], strict=True)
    ]
    assert counted == ["go<|end|>take<|end|>", "go<|end|>"]
    assert batch["attention_mask"].sum(1).tolist() == [
        len(base.chat.samples([*row["prompt"], *answer])[0].ids),
        len(base.chat.samples([*row["prompt"], *answer[:1]])[0].ids),
    ]


def test_a_pair_that_does_not_fit_whole_is_left_out(workplace: Workplace) -> None:
    base = load(DpoSettings(base="llama"), workplace.local)
    long = pairs(1)[0] | {"rejected": [{"role": "assistant", "content": "no" * 200}]}
    assert len(encode_pairs(base, [long, *pairs(2)], 60)) == 2


def test_the_base_itself_stays_as_it_was(workplace: Workplace) -> None:
    before = AutoModelForCausalLM.from_pretrained(workplace.models / "llama").state_dict()
    data = tiny.dataset(workplace.root / "pairs", "dpo", pairs(8))
    done(workplace, data, **QUICK | {"max_steps": 2})
    after = AutoModelForCausalLM.from_pretrained(workplace.models / "llama").state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_what_follows_from_a_choice_does_not_count_when_asked(workplace: Workplace) -> None:
    base = load(DpoSettings(base="novice"), workplace.local)
    said = ("Look for decor in/on a shelf. Plan: shelf 1; bed 1.", "Look for decor in/on a cart.")
    prompt = [{"role": "user", "content": "Where?"}]
    row = {
        "prompt": prompt,
        "chosen": [{"role": "assistant", "content": f"think: {said[0]}\ngo to shelf 1"}],
        "rejected": [{"role": "assistant", "content": f"think: {said[1]}\ngo to cart 1"}],
    }
    ((better, worse),) = encode_pairs(base, [row], 512, "step")
    whole = encode_pairs(base, [row], 512)[0]
    for side, full, place in ((better, whole[0], " shelf"), (worse, whole[1], " cart")):
        counted = [token for token in side.labels if token != IGNORED]
        text = str(base.tokenizer.decode(counted))
        assert side.ids == full.ids
        assert text.startswith("think: Look for decor in/on a" + place + ".")
        assert " 1" not in text
        assert side.label_count < full.label_count


def test_answers_that_part_in_what_the_environment_says_count_to_the_next_sentence(
    workplace: Workplace,
) -> None:
    base = load(DpoSettings(base="novice"), workplace.local)

    def answer(seen: str, then: str) -> list[Row]:
        turns = (("assistant", "go to bed 1"), ("user", seen), ("assistant", then))
        return [{"role": role, "content": text} for role, text in turns]

    row = {
        "prompt": [{"role": "user", "content": "x"}],
        "chosen": answer("On the bed 1, you see a mug 1.", "think: The mug 1 is here.\ntake it"),
        "rejected": answer("On the bed 1, you see nothing.", "think: The mug is not here.\nlook"),
    }
    ((better, worse),) = encode_pairs(base, [row], 512, "step")
    for side in (better, worse):
        counted = str(base.tokenizer.decode([one for one in side.labels if one != IGNORED]))
        assert "go to bed 1" in counted
        assert "here" in counted
        assert counted.rstrip().endswith((".", ".\ntake", ".\nlook"))


def test_preferring_by_steps_learns_the_choice(workplace: Workplace) -> None:
    data = tiny.dataset(workplace.root / "pairs", "dpo", pairs(16), pairs(4, start=50))
    folder = done(workplace, data, **QUICK, span="step")
    assert events(folder, "evaluated")[-1]["rewards/accuracies"] == 1.0
