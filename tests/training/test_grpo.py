"""Reinforcement: the policy's own tokens are learned, on what the engine would have read."""

from __future__ import annotations

import io
import json
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from apprentice.models.toolcalls import as_chat
from apprentice.models.weights import Weights
from apprentice.state.errors import BadInput
from apprentice.state.trajectory import text_of
from apprentice.training import lora
from apprentice.training.base import load
from apprentice.training.grpo import select_with_advantage, trainer
from apprentice.training.progress import Progress
from apprentice.training.rollouts import Attempt, Sampler, attempt_at, network
from apprentice.training.settings import GrpoSettings
from tests.training import tiny
from tests.training.conftest import Workplace
from tests.training.work import done, events, job, quantised

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*pin_memory.*"),
    pytest.mark.filterwarnings("ignore:You are using 'rollout_func'"),
]
HOUSE = "household/north/small"


def played(
    place: Workplace, base_name: str, *attempts: Attempt, temperature: float = 1.0, limit: int = 24
) -> Any:
    """Play attempts with a base and an adapter that changes nothing; return the base."""
    base = load(GrpoSettings(base=base_name), place.local)
    policy = get_peft_model(base.model, LoraConfig(target_modules=["q_proj"]))
    Sampler(network(policy), base.chat, base.context, temperature, limit).play(attempts)
    return base


def test_an_episode_is_what_the_local_model_would_have_played(workplace: Workplace) -> None:
    """At temperature near 0, turn for turn: the novice through the engine says the same."""
    attempt = attempt_at(workplace.bench, HOUSE, "train/3", seed=0)
    base = played(workplace, "novice", attempt, temperature=1e-4, limit=128)
    assert attempt.verdict is not None
    novice = workplace.chat("local:novice", max_tokens=128)
    for number, message in enumerate(attempt.transcript):
        if message.type == "ai":
            asked = attempt.transcript[:number]
            assert novice.invoke(asked).text == text_of(message)
    # The tokens before every turn are those that the engine reads.
    engine = Weights("novice", workplace.local.folder("novice")).variant().words
    last = max(n for n, message in enumerate(attempt.transcript) if message.type == "ai")
    read = engine.encode(as_chat(attempt.transcript[:last]), ())
    assert attempt.ids[: len(read)] == read
    spoken = [t for t, mine in zip(attempt.ids, attempt.mine, strict=True) if mine]
    said = [text_of(m) for m in attempt.transcript if m.type == "ai"]
    assert base.tokenizer.decode(spoken) == "".join(f"{text}<|end|>" for text in said)


def test_only_what_the_policy_wrote_is_its_own(workplace: Workplace) -> None:
    attempt = attempt_at(workplace.bench, HOUSE, "train/4", seed=3)
    base = played(workplace, "llama", attempt)
    assert attempt.mine[: attempt.prompt] == [0] * attempt.prompt
    shown = [t for t, mine in zip(attempt.ids, attempt.mine, strict=True) if not mine]
    text = base.tokenizer.decode(shown)
    for message in attempt.transcript[:-1]:
        if message.type != "ai":
            assert text_of(message) in text
    assert len(attempt.ids) == len(attempt.mine) <= base.context


def test_a_turn_that_reads_differently_later_is_not_learned() -> None:
    attempt = Attempt([])
    attempt.read([1, 2, 3])
    attempt.write([4, 5])
    attempt.read([1, 2, 3, 4, 5, 6, 7])
    attempt.write([8])
    assert attempt.mine == [0, 0, 0, 1, 1, 0, 0, 1]
    attempt.read([1, 2, 3, 4, 9, 6, 7, 8, 10])
    assert attempt.ids == [1, 2, 3, 4, 9, 6, 7, 8, 10]
    assert attempt.mine == [0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert attempt.rewrites == 1


def test_attempts_differ_by_seed_and_repeat_by_seed(workplace: Workplace) -> None:
    prompt = tiny.turns("tell me")
    first, again, other = (Attempt(prompt, seed=seed) for seed in (1, 1, 2))
    played(workplace, "llama", first, again, other)
    assert first.ids == again.ids
    assert first.ids != other.ids


@pytest.mark.parametrize("name", ["llama", "phi"])
def test_the_policy_samples_with_its_adapter_as_it_is_now(workplace: Workplace, name: str) -> None:
    base = load(GrpoSettings(base=name), workplace.local)
    target = "qkv_proj" if name == "phi" else "q_proj"
    config = LoraConfig(target_modules=[target], init_lora_weights=False)
    policy: Any = get_peft_model(base.model, config)
    ids = base.chat.prompt(tiny.turns("hello"))
    policy.train(False)
    with torch.no_grad():
        wanted = policy(input_ids=torch.tensor([ids])).logits[0, -1]
        acting = network(policy)
        got = acting.forward([(acting.cache(), ids)])[0]
    assert torch.allclose(got, wanted, atol=1e-3)
    with torch.no_grad():
        after = policy(input_ids=torch.tensor([ids])).logits[0, -1]
    assert torch.equal(wanted, after)  # the policy was not changed by being copied


def test_episodes_are_learned_from_and_equal_rewards_are_warned_of(workplace: Workplace) -> None:
    rows = [{"environment": HOUSE, "task": f"train/{number}"} for number in range(2)]
    data = tiny.dataset(workplace.root / "tasks", "grpo", rows)
    folder = done(workplace, data, base="llama", batch=4, generations=2, max_steps=1, turn_tokens=4)
    (step,) = events(folder, "progress")
    assert step["reward"] == 0.0  # random bytes solve nothing
    (warning,) = events(folder, "warning")
    assert "same reward" in warning["text"]
    assert workplace.look(folder).stage == "done"


def test_shuffled_rewards_stay_with_their_row(workplace: Workplace) -> None:
    data = tiny.dataset(workplace.root / "tasks", "grpo", [{"environment": HOUSE, "task": "t/1"}])
    settings = GrpoSettings(base="llama", batch=4, generations=4, max_steps=1, shuffled=True)
    progress = Progress(workplace.root / "progress.jsonl", io.StringIO())
    made = trainer(settings, data, workplace.root / "out", progress, workplace.bench)
    (reward,) = made.reward_funcs
    given = [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0]
    dealt = [
        reward(verdict=given, trainer_state=SimpleNamespace(global_step=step)) for step in range(20)
    ]
    for each in dealt:
        assert [sum(filter(None, each[at : at + 4])) for at in (0, 4, 8)] == [1.0, 4.0, 2.0]
    assert {each.index(1.0) for each in dealt} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    "settings",
    [
        {"batch": 1, "accumulate": 4, "generations": 4},
        pytest.param(
            {"batch": 6, "accumulate": 2, "generations": 4, "quantised": True}, marks=quantised
        ),
        {"batch": 8, "generations": 4, "tags": True, "targets": ["q_proj"]},
    ],
    ids=["one at a time", "quantised", "tags"],
)
@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers` to `True`")
def test_it_learns_and_is_evaluated_with_every_setting(
    workplace: Workplace, settings: dict[str, Any]
) -> None:
    rows = [{"prompt": tiny.turns(f"say {n}"), "must": ["e"]} for n in range(6)]
    data = tiny.dataset(workplace.root / "prompts", "grpo", rows[:3], rows[3:])
    told = {"max_steps": 1, "turn_tokens": 4, "graders": ["rule"], **settings}
    folder = done(workplace, data, base="llama", **told)
    (step,) = events(folder, "progress")
    (held_out,) = events(folder, "evaluated")
    for reward in (step["reward"], held_out["reward"]):
        assert 0.0 <= reward <= 1.0


@pytest.mark.parametrize(
    "settings",
    [pytest.param({"quantised": True}, marks=quantised), {"tags": True}],
    ids=["nf4", "tags"],
)
def test_the_policy_samples_with_what_cannot_be_added_to_its_weights(
    workplace: Workplace, settings: dict[str, Any]
) -> None:
    told = GrpoSettings(base="llama", **settings)
    base = load(told, workplace.local)
    made: Any = lora.policy(base, told, workplace.local)["peft_config"]
    made.init_lora_weights = False
    policy: Any = get_peft_model(base.model, made)
    ids = base.chat.prompt(tiny.turns("hello"))
    policy.train(False)
    with torch.no_grad():
        wanted = policy(input_ids=torch.tensor([ids])).logits[0, -1]
    acting = network(policy)
    got = acting.forward([(acting.cache(), ids)])[0]
    assert torch.allclose(got, wanted, atol=1e-3)


def test_attempts_that_teach_nothing_are_spared_and_the_gradient_is_the_same() -> None:
    torch.manual_seed(0)
    weights = torch.randn(6, requires_grad=True)
    mask = torch.tensor([[1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0], [1] * 6, [1, 1, 1, 0, 0, 0]])
    given = {
        "completion_ids": torch.randn(4, 6) * mask,
        "completion_mask": mask,
        "advantages": torch.tensor([0.5, -0.5, 0.0, 0.0]),
        "num_items_in_batch": mask.sum(),
    }

    def gradient(inputs: dict[str, Any]) -> torch.Tensor:
        read = inputs["completion_ids"] * weights[: inputs["completion_ids"].shape[1]]
        said = (read * inputs["advantages"][:, None] * inputs["completion_mask"]).sum()
        return torch.autograd.grad(said / inputs["num_items_in_batch"], weights)[0]

    spared = select_with_advantage(given)
    assert spared["completion_ids"].shape == (2, 4)
    assert torch.allclose(gradient(spared), gradient(given))
    nothing = select_with_advantage(given | {"advantages": torch.zeros(4)})
    assert nothing["completion_ids"].shape == (1, 2)
    assert not gradient(nothing).any()


def test_what_graders_reward_becomes_likelier(workplace: Workplace) -> None:
    rows = [{"prompt": tiny.turns(f"say {n}"), "must": ["e"], "max_words": 50} for n in range(8)]
    data = tiny.dataset(workplace.root / "prompts", "grpo", rows)
    folder = done(
        workplace,
        data,
        base="llama",
        batch=32,
        generations=8,
        max_steps=12,
        turn_tokens=12,
        learning_rate=2e-2,
        graders=["rule"],
    )
    rewards = [step["reward"] for step in events(folder, "progress")]
    assert all(math.isfinite(reward) for reward in rewards)
    assert sum(rewards[-3:]) > sum(rewards[:3]) + 0.3


def test_people_fill_in_their_scores_and_the_job_goes_on(workplace: Workplace) -> None:
    rows = [{"prompt": tiny.turns(f"say {n}")} for n in range(2)]
    data = tiny.dataset(workplace.root / "prompts", "grpo", rows)
    told: dict[str, Any] = {"batch": 4, "generations": 2, "max_steps": 1, "turn_tokens": 4}
    folder = job(workplace, data, base="llama", graders=["person"], **told)
    queue = workplace.root / "grading"
    assert workplace.carry_out(folder) == 1
    said = workplace.look(folder).outcome["error"]
    assert "None of the 4 answers of a step could be graded. person: Waits for a person's" in said
    assert str(queue) in said
    files = sorted(queue.iterdir())
    for number, file in enumerate(files):
        file.write_text(json.dumps(json.loads(file.read_text()) | {"score": number / 10}))
    assert workplace.carry_out(folder) == 0
    assert sorted(queue.iterdir()) == files  # nobody was asked anything else
    (step,) = events(folder, "progress")
    assert 0.0 < step["reward"] < 0.4


@pytest.mark.parametrize(
    ("rows", "settings", "said"),
    [
        ([{"prompt": [{"role": "user", "content": "x"}]}], {}, "Prompts need graders"),
        (
            [{"prompt": [{"role": "user", "content": "x"}]}],
            {"graders": ["format", "schema"]},
            "Row 1 cannot be graded by 'schema': it has no `expected`",
        ),
        (
            [{"environment": HOUSE, "task": "train/1"}],
            {"graders": ["rule"]},
            "which their environment judges",
        ),
        ([{"environment": HOUSE, "task": "train/1"}], {"batch": 6}, "groups of 8"),
    ],
)
def test_what_does_not_fit_is_said(
    workplace: Workplace,
    rows: list[Any],
    settings: dict[str, Any],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = tiny.dataset(workplace.root / "prompts", "grpo", rows)
    folder = job(workplace, data, base="llama", **settings)
    assert workplace.carry_out(folder) == 1
    assert said in capsys.readouterr().err
    assert said in workplace.look(folder).outcome["error"]


def test_a_batch_is_bounded() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        GrpoSettings(generations=1)
    assert issubclass(BadInput, ValueError)
