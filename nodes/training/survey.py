"""survey: what is under way, and what has been gathered since the last training."""

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
from apprentice.nodes.expel.draw import VALIDATION
from apprentice.nodes.kept import releases_of
from apprentice.nodes.tasks import read, read_flag, read_name, read_number
from apprentice.nodes.training.notice import group
from apprentice.nodes.training.workshop import (
    Judged,
    base_of,
    job_of,
    remembered,
    rounds_of,
    usable,
)
from apprentice.state.advice import AvailableData, Circumstances, Method
from apprentice.state.context import Context
from apprentice.state.errors import BadInput
from apprentice.state.nouns import Name, digest
from apprentice.state.training import HELD_OUT, THRESHOLD, TrainingGiven, TrainingUpdate
from apprentice.training.available_data import available_data
from apprentice.training.datasets.curation import Curation
from apprentice.training.rounds import Round, Rounds
from apprentice.training.settings import METHODS, read_settings
from apprentice.workspace import Workspace

Next = Literal["advise", "launch", "watch", "__end__"]
FIXED: Final = ("base", "method", "parent")
_CIRCUMSTANCES: Final = TypeAdapter(Circumstances)
_SETTINGS: Final = TypeAdapter(dict[str, Any])
_NAMES: Final = TypeAdapter(list[Name])


class Asked(NamedTuple):
    """What was asked for, checked."""

    update: TrainingUpdate
    threshold: int
    again: bool


def survey_with(
    recall_from: OpenExperience, settings: Mapping[str, Any], workspace: Workspace
) -> Node[TrainingGiven, Command[Next]]:
    """Return the node that looks at what is, and sends the run where something is to be done.

    A job has these settings where the input gives no others.
    """

    async def survey(state: TrainingGiven, runtime: Runtime[Context]) -> Command[Next]:
        """Go on with the round that is open, or count what has been gathered for another."""
        await workspace.ready()
        context = workspace.resolved(Context.of(runtime))
        asked = await asyncio.to_thread(read_asked, state, context, settings, workspace)
        update = asked.update
        if update["base"]:
            await _withdraw_the_incompatible(
                update["base"], update["environment"], runtime, workspace
            )
        rounds = rounds_of(runtime, update["environment"], workspace)
        last = await asyncio.to_thread(rounds.last)
        if last and last[1] is None:
            return Command(
                update={**update, **resumed(last[0], update["other_environments"])}, goto="watch"
            )
        if last and last[1] and last[1].outcome == "failed" and asked.again:
            taken_up = await asyncio.to_thread(once_more, last[0], rounds, workspace)
            begun = await asyncio.to_thread(rounds.begin, taken_up)
            return Command(
                update={**update, **resumed(begun, update["other_environments"])}, goto="launch"
            )
        judged = await remembered(recall_from, context.tenant, update["environment"])
        found = usable(judged)
        seen = last[0].seen if last else 0.0
        new = sum(one.at > seen for one in found)
        event = {"type": "training.survey", "new": new, "threshold": asked.threshold}
        runtime.stream_writer({**event, "all": len(found)})
        update["number"] = last[0].number + 1 if last else 0
        update["evidence"] = await asyncio.to_thread(
            summed,
            found,
            rounds,
            context,
            await asyncio.to_thread(workspace.environment, update["environment"]),
            update["job_settings"],
        )
        if new < asked.threshold:
            update["stage"] = "waiting"
            update["reason"] = (
                f"{new} judged attempts on training tasks of {update['environment']} have been "
                f"recorded since the last training; {asked.threshold - new} more are needed."
            )
            return Command(update=update, goto="__end__")
        tried_on = [update["environment"], *update["other_environments"]]
        if lack := await asyncio.to_thread(no_held_out, tried_on, workspace.environments):
            return Command(update={**update, "stage": "refused", "reason": lack}, goto="__end__")
        update["surveyed_until"] = max(one.at for one in found)
        return Command(update=update, goto="advise")

    return survey


def read_asked(
    state: TrainingGiven, context: Context, defaults: Mapping[str, Any], workspace: Workspace
) -> Asked:
    """Check an input; blocks while the environment is looked up.

    Raises:
        BadInput: if something cannot be; a setting of the job, too.
        UnknownName: if there is no such environment.
    """
    named = read_name("environment", state.environment)
    if not named:
        raise BadInput(
            'No environment was given. The input needs one: {"environment": '
            '"household/north/small"}.'
        )
    environment = workspace.environment
    where = environment(named).name
    given = read(_CIRCUMSTANCES, "circumstances", state.circumstances or Circumstances())
    given_settings = read(_SETTINGS, "settings", state.settings or {})
    settings = dict(defaults) | given_settings
    if fixed := sorted(set(settings) & set(FIXED)):
        raise BadInput(
            f"The job's {fixed[0]!r} is not for settings: the model is that of the run's context, "
            "the method is the advisor's or in circumstances.override."
        )
    _check_settings(settings)
    update: TrainingUpdate = {
        "environment": where,
        "base": base_of(context),
        "situation": given,
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
    return Asked(update, threshold, read_flag("again", state.again or False))


def summed(
    found: list[Judged],
    rounds: Rounds,
    context: Context,
    where: Environment,
    settings: Mapping[str, Any],
) -> AvailableData:
    """Sum up what is at hand, for the advisor; what it costs depends on the job's settings."""
    return available_data(
        [one.attempt for one in found],
        cap=Curation().cap,
        last=_last_method(rounds),
        can_grade=where.replayable,
        is_hosted=not base_of(context),
        settings=settings,
    )


def resumed(begun: Round, kept: list[str]) -> TrainingUpdate:
    """Return what a run has to know to go on with a round; what it was to keep, it is to keep."""
    return {
        "other_environments": list(dict.fromkeys([*begun.kept, *kept])),
        "number": begun.number,
        "dataset": begun.dataset,
        "job": begun.job,
        "adapter": begun.adapter,
        "advice": begun.advice,
        "evidence": AvailableData(),
    }


def once_more(failed: Round, rounds: Rounds, workspace: Workspace) -> Round:
    """Return a round that takes up the job of one that failed, on the base as it is now; blocks."""
    settings, adapters = dict(failed.settings), workspace.adapters
    if (parent := settings["parent"]) and not (
        adapters.has(parent) and adapters.fits(adapters.read(parent))
    ):
        settings["parent"] = ""
    again = failed.model_copy(update={"number": failed.number + 1, "settings": settings})
    job = job_of(again, rounds, workspace.local_models)
    return again.model_copy(update={"job": job.id, "adapter": job.adapter, "begun": time.time()})


def no_held_out(names: Iterable[str], environments: Environments) -> str:
    """Say which environment has no tasks to try an adapter out on, if one has none; blocks."""
    for name in names:
        splits = environments.get(name).splits
        if not set(VALIDATION) & set(splits):
            said = (
                f"What is trained is tried out on held-out tasks, of {' or '.join(VALIDATION)}, "
                f"but {name} has only the splits {', '.join(splits)}."
            )
            above = group(name, environments)
            return said + (
                f" Train for {above}, which {name} belongs to."
                if above != name
                else " Give some of its tasks one of those."
            )
    return ""


def _check_settings(settings: dict[str, Any]) -> None:
    """Refuse a setting that no method has, before anything is curated for it."""
    known = {name for kind in METHODS.values() for name in kind.model_fields}
    for name in settings:
        if name not in known:
            raise BadInput(f"There is no training setting {name!r}. Known: {sorted(known)}.")
    shared = {name: value for name, value in settings.items() if _is_shared(name)}
    read_settings({"method": "sft", **shared})


def _is_shared(name: str) -> bool:
    return all(name in kind.model_fields for kind in METHODS.values())


def _last_method(rounds: Rounds) -> Method | None:
    """Return the method of the adapter that was promoted last."""
    promoted = [begun.method for begun, end in rounds.all() if end and end.outcome == "promoted"]
    return promoted[-1] if promoted else None


async def _withdraw_the_incompatible(
    base: str, environment_name: str, runtime: Runtime[Context], workspace: Workspace
) -> None:
    """Mark adapters of other weights than the base has now, and let none of them act.

    What trains each anew is in the event. Other tenants' adapters are left for them to hear of.
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
    for name in await asyncio.to_thread(workspace.environments.covered, environment_name):
        releases = releases_of(runtime, name)
        current = await releases.current()
        if current and current.adapter in unfit:
            made = digest("release", "without", current.id)
            without = {"id": made, "adapter": "", "base": current.id, "validation": None}
            reason = f"The adapter {current.adapter} does not fit the weights of local:{base}."
            await releases.publish(current.model_copy(update=without), reason=reason)
