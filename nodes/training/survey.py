"""survey: look for an open round, and count the attempts since the last training."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

from langgraph.runtime import Runtime
from langgraph.types import Command
from pydantic import TypeAdapter

from apprentice.environments.protocol import Environment
from apprentice.environments.registry import Environments
from apprentice.memory.experience import OpenExperience
from apprentice.nodes import Node
from apprentice.nodes.expel.sample import VALIDATION
from apprentice.nodes.inputs import read, read_flag, read_name, read_number
from apprentice.nodes.stores import releases_of
from apprentice.nodes.training.attempts import JudgedAttempt, load_attempts, usable_attempts
from apprentice.nodes.training.rounds import base_of, job_of, rounds_of
from apprentice.nodes.training.trigger import group
from apprentice.state.advice import AvailableData, Circumstances, Method
from apprentice.state.context import Context
from apprentice.state.errors import BadInput
from apprentice.state.training import HELD_OUT, THRESHOLD, TrainingGiven, TrainingUpdate
from apprentice.state.trajectory import Name, digest
from apprentice.training.available_data import available_data
from apprentice.training.datasets.curation import Curation
from apprentice.training.rounds import Round, Rounds
from apprentice.training.settings import METHODS, read_settings
from apprentice.workspace import Workspace

Next = Literal["advise", "launch", "watch", "__end__"]
NOT_SETTINGS: Final = ("base", "method", "parent")
_CIRCUMSTANCES: Final = TypeAdapter(Circumstances)
_SETTINGS: Final = TypeAdapter(dict[str, Any])
_NAMES: Final = TypeAdapter(list[Name])


class CheckedInput(NamedTuple):
    """The input of a run, checked."""

    update: TrainingUpdate
    threshold: int
    again: bool


def survey_with(
    recall_from: OpenExperience, settings: Mapping[str, Any], workspace: Workspace
) -> Node[TrainingGiven, Command[Next]]:
    """Return the node that finds out what the run has to do.

    Args:
        recall_from: opens the experience memory to learn from.
        settings: of the job, where the input has no others.
        workspace: has the environments, rounds and adapters.
    """

    async def survey(state: TrainingGiven, runtime: Runtime[Context]) -> Command[Next]:
        """Go on with an open round, or count the attempts for a new one."""
        await workspace.ready()
        context = workspace.with_model(Context.of(runtime))
        checked_input = await asyncio.to_thread(read_input, state, context, settings, workspace)
        update = checked_input.update
        if update["base"]:
            await _withdraw_the_incompatible(
                update["base"], update["environment"], runtime, workspace
            )
        rounds = rounds_of(runtime, update["environment"], workspace)
        last = await asyncio.to_thread(rounds.last)
        if last and last[1] is None:
            return Command(
                update={**update, **update_from(last[0], update["other_environments"])},
                goto="watch",
            )
        if last and last[1] and last[1].outcome == "failed" and checked_input.again:
            taken_up = await asyncio.to_thread(once_more, last[0], rounds, workspace)
            training_round = await asyncio.to_thread(rounds.begin, taken_up)
            return Command(
                update={**update, **update_from(training_round, update["other_environments"])},
                goto="launch",
            )
        attempts = await load_attempts(recall_from, context.tenant, update["environment"])
        usable = usable_attempts(attempts)
        surveyed_until = last[0].seen if last else 0.0
        new = sum(one.at > surveyed_until for one in usable)
        event = {
            "type": "training.survey",
            "new_attempts": new,
            "threshold": checked_input.threshold,
        }
        runtime.stream_writer({**event, "usable_attempts": len(usable)})
        update["number"] = last[0].number + 1 if last else 0
        update["evidence"] = await asyncio.to_thread(
            sum_up,
            usable,
            rounds,
            context,
            await asyncio.to_thread(workspace.environment, update["environment"]),
            update["job_settings"],
        )
        if new < checked_input.threshold:
            update["stage"] = "waiting"
            update["reason"] = (
                f"{new} judged attempts on training tasks of {update['environment']} have been "
                "recorded since the last training; "
                f"{checked_input.threshold - new} more are needed."
            )
            return Command(update=update, goto="__end__")
        tried_on = [update["environment"], *update["other_environments"]]
        if lack := await asyncio.to_thread(no_held_out, tried_on, workspace.environments):
            return Command(update={**update, "stage": "refused", "reason": lack}, goto="__end__")
        update["surveyed_until"] = max(one.at for one in usable)
        return Command(update=update, goto="advise")

    return survey


def read_input(
    state: TrainingGiven, context: Context, defaults: Mapping[str, Any], workspace: Workspace
) -> CheckedInput:
    """Check an input; blocks while the environment is looked up.

    Raises:
        BadInput: a field, or a setting of the job, cannot have its value.
        UnknownName: there is no such environment.
    """
    name = read_name("environment", state.environment)
    if not name:
        raise BadInput(
            'No environment was given. The input needs one: {"environment": '
            '"household/north/small"}.'
        )
    environment = workspace.environment
    where = environment(name).name
    circumstances = read(_CIRCUMSTANCES, "circumstances", state.circumstances or Circumstances())
    given_settings = read(_SETTINGS, "settings", state.settings or {})
    settings = dict(defaults) | given_settings
    if not_settings := sorted(set(settings) & set(NOT_SETTINGS)):
        raise BadInput(
            f"The job's {not_settings[0]!r} is not a setting: the run's context names the "
            "model, and the advisor or circumstances.override chooses the method."
        )
    _check_settings(settings)
    update: TrainingUpdate = {
        "environment": where,
        "base": base_of(context),
        "situation": circumstances,
        "job_settings": settings,
        "strip_views": read_flag("strip", True if state.strip is None else state.strip),
        "most": read_number("held_out", state.held_out, HELD_OUT, 1, 5_000),
        "other_environments": [
            environment(name).name for name in read(_NAMES, "keep", state.keep or [])
        ],
        "follow_job": read_flag("follow", state.follow or False),
        "advice": None,
        "dataset": "",
        "job": "",
        "adapter": "",
        "progress": {},
        "job_launched": False,
        "looks": 0,
        "decisions": {},
        "reason": "",
    }
    threshold = read_number("threshold", state.threshold, THRESHOLD, 1, 1_000_000)
    return CheckedInput(update, threshold, read_flag("again", state.again or False))


def sum_up(
    attempts: list[JudgedAttempt],
    rounds: Rounds,
    context: Context,
    where: Environment,
    settings: Mapping[str, Any],
) -> AvailableData:
    """Sum up the available data for the advisor; the cost depends on the job's settings."""
    return available_data(
        [one.attempt for one in attempts],
        cap=Curation().cap,
        last=_last_method(rounds),
        can_grade=where.replayable,
        is_hosted=not base_of(context),
        settings=settings,
    )


def update_from(training_round: Round, other_environments: list[str]) -> TrainingUpdate:
    """Return the state of a run that goes on with a round; the round's environments stay in it."""
    return {
        "other_environments": list(dict.fromkeys([*training_round.kept, *other_environments])),
        "number": training_round.number,
        "dataset": training_round.dataset,
        "job": training_round.job,
        "adapter": training_round.adapter,
        "advice": training_round.advice,
        "evidence": AvailableData(),
    }


def once_more(failed_round: Round, rounds: Rounds, workspace: Workspace) -> Round:
    """Return a round that takes up the job of a failed one, on the current base; blocks."""
    settings, adapters = dict(failed_round.settings), workspace.adapters
    if (parent := settings["parent"]) and not (
        adapters.has(parent) and adapters.fits(adapters.read(parent))
    ):
        settings["parent"] = ""
    again = failed_round.model_copy(
        update={"number": failed_round.number + 1, "settings": settings}
    )
    job = job_of(again, rounds, workspace.local_models)
    return again.model_copy(update={"job": job.id, "adapter": job.adapter, "begun": time.time()})


def no_held_out(names: Iterable[str], environments: Environments) -> str:
    """Say which environment has no held-out tasks for an adapter; '' if all have some; blocks."""
    for name in names:
        splits = environments.get(name).splits
        if not set(VALIDATION) & set(splits):
            sentence = (
                f"An adapter is evaluated on held-out tasks, of {' or '.join(VALIDATION)}, but "
                f"{name} has only the splits {', '.join(splits)}."
            )
            above = group(name, environments)
            return sentence + (
                f" Train for {above}, which includes {name}."
                if above != name
                else " Put some of its tasks into one of these splits."
            )
    return ""


def _check_settings(settings: dict[str, Any]) -> None:
    """Refuse a setting that no method has, before a dataset is made."""
    known_names = {name for kind in METHODS.values() for name in kind.model_fields}
    for name in settings:
        if name not in known_names:
            raise BadInput(f"There is no training setting {name!r}. Known: {sorted(known_names)}.")
    shared_settings = {name: value for name, value in settings.items() if _is_shared(name)}
    read_settings({"method": "sft", **shared_settings})


def _is_shared(name: str) -> bool:
    return all(name in kind.model_fields for kind in METHODS.values())


def _last_method(rounds: Rounds) -> Method | None:
    """Return the method of the last promoted adapter."""
    methods = [
        training_round.method
        for training_round, end in rounds.all()
        if end and end.outcome == "promoted"
    ]
    return methods[-1] if methods else None


async def _withdraw_the_incompatible(
    base: str, environment_name: str, runtime: Runtime[Context], workspace: Workspace
) -> None:
    """Mark adapters that were trained on other weights of the base, and release none of them.

    The event has the plan that trains each adapter again. Other tenants' adapters are marked when
    those tenants run a survey.
    """
    adapters, tenant = workspace.adapters, Context.of(runtime).tenant
    stale = await asyncio.to_thread(adapters.mark_incompatible, base, tenant)
    for adapter in stale:
        plan = await asyncio.to_thread(adapters.retraining_plan, adapter.name, workspace.jobs)
        runtime.stream_writer(
            {
                "type": "training.incompatible",
                "adapter": adapter.name,
                "reason": adapter.reason,
                "plan": [job.model_dump() for job in plan],
            }
        )
    unfit = {each.name for each in await asyncio.to_thread(adapters.all, base, "incompatible")}
    for name in await asyncio.to_thread(workspace.environments.names_below, environment_name):
        releases = releases_of(runtime, name)
        current = await releases.current()
        if current and current.adapter in unfit:
            release_id = digest("release", "without", current.id)
            without = {"id": release_id, "adapter": "", "base": current.id, "validation": None}
            reason = f"The adapter {current.adapter} does not fit the weights of local:{base}."
            await releases.publish(current.model_copy(update=without), reason=reason)
