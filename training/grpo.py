"""Group relative policy optimisation: reinforce the attempts that got better rewards.

    python -m apprentice.training.grpo --dataset runs/tasks --base novice --generations 8

Source: Shao et al. 2024 (arXiv 2402.03300). A row is a task of an environment or a prompt. A task
is attempted in whole episodes, and the verdict is the reward. The answer to a prompt is scored by
graders (`training/graders.py`). The model learns only the tokens that it wrote, and these are the
same as in the local engine.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from apprentice.state.errors import BadInput, MissingPart, TrainingFailure
from apprentice.training.datasets.card import Dataset
from apprentice.training.datasets.rows import Row
from apprentice.training.graders import Grader, WeightedGraders, check_rows, graders
from apprentice.training.settings import GrpoSettings

if TYPE_CHECKING:
    from apprentice.training.base import Base
    from apprentice.training.progress import Progress
    from apprentice.training.workbench import Workbench

Reward = Callable[..., list[float | None]]
_ROW: Final = "row"


def trainer(
    settings: GrpoSettings, dataset: Dataset, out: Path, progress: Progress, bench: Workbench
) -> Any:
    """Return the trainer of a job.

    Args:
        settings: the settings of the job.
        dataset: tasks (`environment`, `task`), or prompts with the fields that graders read.
        out: the folder of the checkpoints.
        progress: the writer of progress events.
        bench: the workbench of the job.

    Raises:
        BadInput: the batch does not divide into groups, or the graders do not fit the rows.
        MissingPart: the dataset has no rows.
    """
    from trl import GRPOConfig, GRPOTrainer

    from apprentice.training.arguments import add_reports, arguments
    from apprentice.training.base import load
    from apprentice.training.lora import policy

    class Groups(GRPOTrainer):  # type: ignore[misc]
        """The library's trainer, which skips attempts that have no gradient."""

        def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
            skip = model.training and not settings.beta
            return super()._compute_loss(model, select_with_advantage(inputs) if skip else inputs)

    rows, held_out = dataset.rows(), dataset.valid()
    rewards, weights = _rewards(settings, [*rows, *held_out], bench)
    if settings.shuffled:
        rewards = [shuffle_rewards(reward, settings) for reward in rewards]
    if settings.batch * settings.accumulate % settings.generations:
        raise BadInput(
            f"A step has {settings.batch} x {settings.accumulate} attempts, which cannot be "
            f"divided into groups of {settings.generations}. Set batch to a multiple of "
            "generations."
        )
    if not rows:
        raise MissingPart(
            f"The dataset {dataset.folder} has no rows, so there is nothing to attempt. "
            "Make a dataset with rows."
        )
    base = load(settings, bench.local)
    options = arguments(
        settings,
        base,
        out,
        rows=len(rows) * settings.generations,
        held_out=len(held_out) * settings.generations,
    )
    if held_out:
        # In an evaluation, too, all attempts at one prompt must be in the same batch.
        groups = -(-settings.batch // settings.generations)
        options["per_device_eval_batch_size"] = groups * settings.generations
        options |= {"metric_for_best_model": "eval_reward", "greater_is_better": True}
    config = GRPOConfig(
        **options,
        num_generations=settings.generations,
        temperature=settings.temperature,
        beta=settings.beta,
        reward_weights=weights,
        max_completion_length=base.context,
    )
    play = _rollout(settings, base, bench)
    grpo_trainer = Groups(
        **policy(base, settings, bench.local),
        args=config,
        reward_funcs=rewards,
        rollout_func=play,
        train_dataset=_columns(rows),
        eval_dataset=_columns(held_out) if held_out else None,
        processing_class=base.tokenizer,
    )
    return add_reports(grpo_trainer, settings, progress)


def select_with_advantage(inputs: dict[str, Any]) -> dict[str, Any]:
    """Remove attempts without an advantage, since they have no gradient; keep at least one.

    The number of tokens by which the loss is divided is already fixed, so the weight of the other
    attempts does not change.
    """
    mask = inputs["advantages"] != 0
    if not mask.any():
        mask[0] = True
    count, longest = len(mask), int(inputs["completion_mask"][mask].sum(1).max())
    rows = {
        name: value[mask] if getattr(value, "shape", ())[:1] == (count,) else value
        for name, value in inputs.items()
    }
    for name in ("completion_ids", "completion_mask", "tool_mask"):
        if name in rows:
            rows[name] = rows[name][:, :longest]
    return rows


def _rollout(
    settings: GrpoSettings, base: Base, bench: Workbench
) -> Callable[[list[Any], Any], dict[str, Any]]:
    """Return the function that makes attempts at rows for the library's trainer."""
    import json

    from apprentice.training.rollouts import Attempt, Sampler, attempt_at, attempt_seed, network

    limit = min(settings.max_length or base.context, base.context)

    def begin(row: Row, seed: int) -> Attempt:
        if row.get("environment"):
            return attempt_at(bench, row["environment"], row["task"], seed)
        return Attempt(row["prompt"], tools=row.get("tools") or (), seed=seed)

    def rollout(prompts: list[Any], trainer: Any) -> dict[str, Any]:
        step = trainer.state.global_step
        rows = [json.loads(prompt[0][_ROW]) for prompt in prompts]
        attempts = [
            begin(row, attempt_seed(settings.seed, step, number)) for number, row in enumerate(rows)
        ]
        model = trainer.accelerator.unwrap_model(trainer.model)
        was_training = model.training
        model.train(False)
        Sampler(network(model), base.chat, limit, settings.temperature, settings.turn_tokens).play(
            attempts
        )
        model.train(was_training)
        return {
            "prompt_ids": [attempt.ids[: attempt.prompt] for attempt in attempts],
            "completion_ids": [attempt.ids[attempt.prompt :] for attempt in attempts],
            "env_mask": [attempt.mine[attempt.prompt :] for attempt in attempts],
            "logprobs": None,
            "answer": [attempt.answer for attempt in attempts],
            "verdict": [attempt.reward for attempt in attempts],
        }

    return rollout


def _rewards(
    settings: GrpoSettings, rows: list[Row], bench: Workbench
) -> tuple[list[Reward], list[float]]:
    """Return the reward functions and their weights: verdicts of episodes, or graders."""
    episodes = [bool(row.get("environment")) for row in rows]
    if all(episodes):
        if settings.graders:
            raise BadInput(
                "The rows are tasks, which their environment judges, so graders cannot be used. "
                "Leave graders empty, or use a dataset of prompts."
            )
        return [verdict], [1.0]
    if any(episodes):
        raise BadInput("Some rows are tasks and some are prompts. Make a dataset of each kind.")
    if not settings.graders:
        raise BadInput("Prompts need graders. Set them, such as --graders schema:0.8 format:0.2.")
    parts = graders(settings.graders, bench)
    check_rows(parts, rows)
    return [_reward_of(WeightedGraders(parts))], [1.0]


def verdict(verdict: list[float | None], **_: Any) -> list[float | None]:
    """Return the verdicts of the episodes as their rewards."""
    return verdict


def shuffle_rewards(reward: Reward, settings: GrpoSettings) -> Reward:
    """Shuffle the rewards among the attempts at each row, as a control that cannot learn."""
    from apprentice.training.rollouts import attempt_seed

    def shuffled_reward(*args: Any, trainer_state: Any, **columns: Any) -> list[float | None]:
        rewards, size = reward(*args, trainer_state=trainer_state, **columns), settings.generations
        rng = random.Random(attempt_seed(settings.seed, trainer_state.global_step))
        groups = (rewards[first : first + size] for first in range(0, len(rewards), size))
        return [each for group in groups for each in rng.sample(group, len(group))]

    shuffled_reward.__name__ = reward.__name__
    return shuffled_reward


def _reward_of(grader: Grader) -> Reward:
    import json

    def reward(prompts: list[Any], answer: list[str], **_: Any) -> list[float | None]:
        # The trainer already repeats each prompt for every answer.
        rows = [json.loads(prompt[0][_ROW]) for prompt in prompts]
        grades = [grader.grade(text, row) for text, row in zip(answer, rows, strict=True)]
        scores = [grade.score for grade in grades]
        if all(score is None for score in scores):
            raise TrainingFailure(
                f"None of the {len(scores)} answers of a step could be graded. "
                f"{grades[0].reason} Launch the job again when they can be graded; it will ask "
                "for the same answers."
            )
        return scores

    reward.__name__ = grader.name
    return reward


def _columns(rows: list[Row]) -> Any:
    """Return rows in the library's format: a prompt that contains its row."""
    import json

    from datasets import Dataset as Columns

    return Columns.from_dict(
        {
            "prompt": [
                [{"role": "user", "content": _name(row), _ROW: json.dumps(row)}] for row in rows
            ]
        }
    )


def _name(row: Row) -> str:
    return f"{row['environment']} {row['task']}" if row.get("environment") else "prompt"


if __name__ == "__main__":
    from apprentice.training.commands import run

    run(GrpoSettings)
