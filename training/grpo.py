"""Group relative policy optimisation: attempt, be judged, and do more of what went better.

    python -m apprentice.training.grpo --dataset runs/tasks --base novice --generations 8

Shao et al. 2024 (arXiv 2402.03300). A row is a task of an environment, attempted in whole episodes
whose verdict is the reward; or a prompt, whose answer graders judge (`training/graders.py`). Only
the tokens that the policy wrote are learned, and they are the ones that the local engine would
have written.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from apprentice.state.errors import BadInput, MissingPart, TrainingFailure
from apprentice.training.datasets.card import Dataset
from apprentice.training.datasets.rows import Row
from apprentice.training.graders import Composed, Grader, check_rows, graders
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
        settings: the job's.
        dataset: tasks (`environment`, `task`), or prompts with what their graders need.
        out: folder of the checkpoints.
        progress: where the training is reported.
        bench: what it works with.

    Raises:
        BadInput: the batch does not divide into groups, or the rows and the graders do not fit.
    """
    from trl import GRPOConfig, GRPOTrainer

    from apprentice.training.arguments import arguments, attended
    from apprentice.training.base import load
    from apprentice.training.lora import policy

    class Groups(GRPOTrainer):  # type: ignore[misc]
        """The library's trainer, sparing itself attempts that teach nothing."""

        def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
            spared = model.training and not settings.beta
            return super()._compute_loss(model, telling(inputs) if spared else inputs)

    rows, held_out = dataset.rows(), dataset.valid()
    rewards, weights = _rewards(settings, [*rows, *held_out], bench)
    if settings.shuffled:
        rewards = [dealt_out(reward, settings) for reward in rewards]
    if settings.batch * settings.accumulate % settings.generations:
        raise BadInput(
            f"A step has {settings.batch} x {settings.accumulate} attempts, which do not divide "
            f"into groups of {settings.generations}. Choose a batch that does."
        )
    if not rows:
        raise MissingPart(f"{dataset.folder} has no rows. There is nothing to attempt.")
    base = load(settings, bench.local)
    told = arguments(
        settings,
        base,
        out,
        rows=len(rows) * settings.generations,
        held_out=len(held_out) * settings.generations,
    )
    if held_out:
        # Attempts at one prompt stay together there as well.
        groups = -(-settings.batch // settings.generations)
        told["per_device_eval_batch_size"] = groups * settings.generations
        told |= {"metric_for_best_model": "eval_reward", "greater_is_better": True}
    config = GRPOConfig(
        **told,
        num_generations=settings.generations,
        temperature=settings.temperature,
        beta=settings.beta,
        reward_weights=weights,
        max_completion_length=base.context,
    )
    play = _rollout(settings, base, bench)
    made = Groups(
        **policy(base, settings, bench.local),
        args=config,
        reward_funcs=rewards,
        rollout_func=play,
        train_dataset=_columns(rows),
        eval_dataset=_columns(held_out) if held_out else None,
        processing_class=base.tokenizer,
    )
    return attended(made, settings, progress)


def telling(inputs: dict[str, Any]) -> dict[str, Any]:
    """Leave out attempts that went as all of their group: with no advantage, they have no gradient.

    How many tokens the loss is divided by was counted before, so the rest weighs what it did.
    One attempt stays in any case.
    """
    kept = inputs["advantages"] != 0
    if not kept.any():
        kept[0] = True
    count, longest = len(kept), int(inputs["completion_mask"][kept].sum(1).max())
    rows = {
        name: value[kept] if getattr(value, "shape", ())[:1] == (count,) else value
        for name, value in inputs.items()
    }
    for name in ("completion_ids", "completion_mask", "tool_mask"):
        if name in rows:
            rows[name] = rows[name][:, :longest]
    return rows


def _rollout(
    settings: GrpoSettings, base: Base, bench: Workbench
) -> Callable[[list[Any], Any], dict[str, Any]]:
    """Return what the library's trainer calls for attempts at its rows."""
    import json

    from apprentice.training.rollouts import Attempt, Sampler, attempt_at, network, seeded

    limit = min(settings.max_length or base.context, base.context)

    def begin(row: Row, seed: int) -> Attempt:
        if row.get("environment"):
            return attempt_at(bench, row["environment"], row["task"], seed)
        return Attempt(row["prompt"], tools=row.get("tools") or (), seed=seed)

    def rollout(prompts: list[Any], trainer: Any) -> dict[str, Any]:
        step = trainer.state.global_step
        rows = [json.loads(prompt[0][_ROW]) for prompt in prompts]
        attempts = [
            begin(row, seeded(settings.seed, step, number)) for number, row in enumerate(rows)
        ]
        model = trainer.accelerator.unwrap_model(trainer.model)
        training = model.training
        model.train(False)
        Sampler(network(model), base.chat, limit, settings.temperature, settings.turn_tokens).play(
            attempts
        )
        model.train(training)
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
    """Return the rewards and their weights: the verdict of episodes, or graders of answers."""
    episodes = [bool(row.get("environment")) for row in rows]
    if all(episodes):
        if settings.graders:
            raise BadInput(
                "Episodes are judged by their environment; leave graders empty, or give prompts."
            )
        return [verdict], [1.0]
    if any(episodes):
        raise BadInput("Some rows are tasks and some are prompts. Make a dataset of each.")
    if not settings.graders:
        raise BadInput("Prompts need graders, such as --graders schema:0.8 format:0.2.")
    named = graders(settings.graders, bench)
    check_rows(named, rows)
    return [_graded(Composed(named))], [1.0]


def verdict(verdict: list[float | None], **_: Any) -> list[float | None]:
    """Reward an episode with its environment's verdict."""
    return verdict


def dealt_out(reward: Reward, settings: GrpoSettings) -> Reward:
    """Deal rewards out at random among the attempts at each row: as many, and nothing to learn."""
    from apprentice.training.rollouts import seeded

    def dealt(*args: Any, trainer_state: Any, **told: Any) -> list[float | None]:
        given, size = reward(*args, trainer_state=trainer_state, **told), settings.generations
        rng = random.Random(seeded(settings.seed, trainer_state.global_step))
        groups = (given[first : first + size] for first in range(0, len(given), size))
        return [each for group in groups for each in rng.sample(group, len(group))]

    dealt.__name__ = reward.__name__
    return dealt


def _graded(grader: Grader) -> Reward:
    import json

    def reward(prompts: list[Any], answer: list[str], **_: Any) -> list[float | None]:
        # Prompts come repeated already, one an answer.
        rows = [json.loads(prompt[0][_ROW]) for prompt in prompts]
        grades = [grader.grade(text, row) for text, row in zip(answer, rows, strict=True)]
        scores = [grade.score for grade in grades]
        if all(score is None for score in scores):
            raise TrainingFailure(
                f"None of the {len(scores)} answers of a step could be graded. "
                f"{grades[0].reason} Launch the job again when they can: it asks for the same ones."
            )
        return scores

    reward.__name__ = grader.name
    return reward


def _columns(rows: list[Row]) -> Any:
    """Return rows in the library's form: a prompt that carries its row along."""
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
