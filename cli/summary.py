"""What an evaluation amounts to: success by trial and by family, differences, and the cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from apprentice.cli.demo.fine_tunes import FineTune
from apprentice.cli.journal import TaskResult
from apprentice.state.errors import BadInput
from apprentice.state.nouns import Usage
from apprentice.state.statistics import Difference, Rate, difference, rate


class Summary(BaseModel):
    """The figures of one evaluation.

    Attributes:
        by_trial: share of tasks solved within 1, 2, … trials.
        by_family: the same within all trials, for each kind of task.
        calls: model calls of the attempts; tokens and seconds are theirs too.
        reflection_usage: what writing the reflections took; stored as `reflecting`.
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
    """Success on unseen tasks by how many solved ones are in memory.

    Attributes:
        levels: recorded successes, from 0.
        rates: technique -> share solved at each level.
        differences: control -> how far recall is above it, at the last level.
    """

    levels: list[int]
    rates: dict[str, list[Rate]]
    differences: dict[str, Difference]


class Arm(NamedTuple):
    """First attempts at unseen tasks with one set of weights.

    Attributes:
        share: of the tasks, solved.
        above: how far that is above the plain model; None for the plain model itself.
        tuned: what the fine-tune took; None where there was none.
    """

    share: Rate
    above: Difference | None
    fine_tune: FineTune | None


class RulesArm(NamedTuple):
    """First attempts at unseen tasks with one kind of rules in view.

    Attributes:
        rates: world -> share solved; a world that has no such rules is left out.
        share: of all their tasks, solved; None where no world has such rules.
        above: how far that is above no rules, on the same tasks; None for no rules themselves.
    """

    rates: dict[str, Rate]
    share: Rate | None
    above: Difference | None


class Worlds(NamedTuple):
    """Rules in two worlds of opposite conventions.

    Attributes:
        learned: world -> the rules that were learned and released there.
        kinds: kind of rules in view -> how first attempts went.
        differences: other kind -> how far learned rules are above it.
    """

    released_rules: dict[str, tuple[str, ...]]
    kinds: dict[str, RulesArm]
    differences: dict[str, Difference]


def summarise(results: Sequence[TaskResult], trials: int) -> Summary:
    """Sum up an evaluation of up to `trials` attempts a task."""
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
    """Return how far one evaluation is above another after a trial, on the same tasks."""
    mine, other = (
        {(result.task.environment, result.task.id): is_solved(result, trial) for result in side}
        for side in (ours, theirs)
    )
    if mine.keys() != other.keys():
        raise BadInput("Two evaluations can only be compared on the same tasks.")
    return difference(list(mine.values()), [other[key] for key in mine])


def is_solved(result: TaskResult, trial: int) -> bool:
    """Say whether a task was solved within some trials."""
    return result.solved_at is not None and result.solved_at <= trial


def within(results: Sequence[TaskResult], trial: int) -> Rate:
    """Return the share of tasks solved within some trials."""
    return rate(sum(is_solved(result, trial) for result in results), len(results))
