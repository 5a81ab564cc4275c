"""The figures of evaluations: success by trial and by family, differences, and the cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from apprentice.cli.demo.fine_tuner import FineTune
from apprentice.cli.journal import TaskResult
from apprentice.state.errors import BadInput
from apprentice.state.statistics import Difference, Rate, difference, rate
from apprentice.state.trajectory import Usage


class Summary(BaseModel):
    """The figures of one evaluation.

    Attributes:
        by_trial: the share of tasks solved within 1, 2, … trials.
        by_family: the share solved within all trials, by kind of task.
        calls: model calls of the attempts; `tokens` and `seconds` are also the attempts'.
        reflection_usage: the cost of writing reflections. Stored as `reflecting`.
    """

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    tasks: int
    attempts: int
    by_trial: list[Rate]
    by_family: dict[str, Rate]
    calls: int
    tokens: int
    seconds: float
    reflection_usage: Usage = Field(alias="reflecting")


class Curve(NamedTuple):
    """Success on unseen tasks, by the number of solved tasks in memory.

    Attributes:
        levels: the numbers of recorded successes, from 0.
        rates: technique -> the share solved at each level.
        differences: control -> recall by similarity minus the control, at the last level.
    """

    levels: list[int]
    rates: dict[str, list[Rate]]
    differences: dict[str, Difference]


class Arm(NamedTuple):
    """First attempts at unseen tasks with one set of weights.

    Attributes:
        share: the share of tasks solved.
        above: the difference to the plain model; None for the plain model itself.
        fine_tune: the adapter and its cost; None for the plain model.
    """

    share: Rate
    above: Difference | None
    fine_tune: FineTune | None


class RulesArm(NamedTuple):
    """First attempts at unseen tasks with one kind of rules in view.

    Attributes:
        rates: world -> the share solved; worlds without such rules are absent.
        share: the share solved in all these worlds; None if no world has such rules.
        above: the difference to no rules on the same tasks; None for the arm without rules.
    """

    rates: dict[str, Rate]
    share: Rate | None
    above: Difference | None


class Worlds(NamedTuple):
    """Rules in two worlds of opposite conventions.

    Attributes:
        released_rules: world -> the rules that were learned and released there.
        kinds: kind of rules in view -> the success of first attempts.
        differences: other kind -> learned rules minus that kind.
    """

    released_rules: dict[str, tuple[str, ...]]
    kinds: dict[str, RulesArm]
    differences: dict[str, Difference]


def summarise(results: Sequence[TaskResult], trials: int) -> Summary:
    """Return the figures of an evaluation with up to `trials` attempts at each task."""
    usages = [attempt.usage for result in results for attempt in result.attempts]
    families = sorted({result.task.kind for result in results})
    return Summary(
        tasks=len(results),
        attempts=len(usages),
        by_trial=[within(results, trial) for trial in range(1, trials + 1)],
        by_family={
            family: within([result for result in results if result.task.kind == family], trials)
            for family in families
        },
        calls=sum(usage.calls for usage in usages),
        tokens=sum(usage.tokens for usage in usages),
        seconds=round(sum(round(usage.seconds, 4) for usage in usages), 3),
        reflection_usage=sum((result.reflection_usage for result in results), Usage()),
    )


def compare(ours: Sequence[TaskResult], theirs: Sequence[TaskResult], trial: int) -> Difference:
    """Return the difference of two evaluations after a trial, on the same tasks.

    Raises:
        BadInput: the tasks differ.
    """
    mine, other = (
        {(result.task.environment, result.task.id): is_solved(result, trial) for result in side}
        for side in (ours, theirs)
    )
    if mine.keys() != other.keys():
        raise BadInput(
            "The two evaluations have different tasks. Compare evaluations of the same tasks."
        )
    return difference(list(mine.values()), [other[key] for key in mine])


def is_solved(result: TaskResult, trial: int) -> bool:
    """Return whether a task was solved within a number of trials."""
    return result.solved_at is not None and result.solved_at <= trial


def within(results: Sequence[TaskResult], trial: int) -> Rate:
    """Return the share of tasks solved within a number of trials."""
    return rate(sum(is_solved(result, trial) for result in results), len(results))
