"""record: store every attempt with its outcome."""

from __future__ import annotations

from collections.abc import Sequence

from langgraph.runtime import Runtime

from apprentice.memory.experience import Experience, OpenExperience
from apprentice.memory.showings import Showings
from apprentice.nodes import Node
from apprentice.nodes.attempt import trajectory_of
from apprentice.nodes.experience import experience_of
from apprentice.nodes.training.trigger import trigger_training
from apprentice.state.context import Context
from apprentice.state.episode import EpisodeState, EpisodeUpdate
from apprentice.state.reflexion import ReflexionState, ReflexionUpdate
from apprentice.state.trajectory import Trajectory, digest, transcript
from apprentice.workspace import Workspace


def record_in(
    record_to: OpenExperience, workspace: Workspace
) -> Node[ReflexionState, ReflexionUpdate]:
    """Return the node that stores a run's attempts so far; running it again changes nothing."""

    async def record(state: ReflexionState, runtime: Runtime[Context]) -> ReflexionUpdate:
        """Store the attempts so far."""
        if experience := await experience_of(runtime, record_to, workspace):
            await remember(experience, state.attempts, runtime, record_to, workspace, "reflexion")
        return {}

    return record


def record_episode_in(
    record_to: OpenExperience, workspace: Workspace
) -> Node[EpisodeState, EpisodeUpdate]:
    """Return the node that stores a finished episode; running it again changes nothing."""

    async def record(state: EpisodeState, runtime: Runtime[Context]) -> EpisodeUpdate:
        """Count the attempt for the rules in view, store it, and return its id."""
        await workspace.ready()
        context = workspace.with_model(Context.of(runtime))
        attempt = trajectory_of(vars(state), context, run=state.run_name)
        # A fork has the name of its run, but is an attempt of its own.
        name = digest(attempt.id, transcript(attempt.messages))
        attempt = attempt.model_copy(update={"id": name})
        await Showings(runtime.store, context.tenant, state.task.environment).add(attempt)
        experience = await experience_of(runtime, record_to, workspace)
        if experience is None:
            return {}
        await remember(experience, [attempt], runtime, record_to, workspace, "episode")
        return {"trajectory": name}

    return record


async def remember(
    experience: Experience,
    attempts: Sequence[Trajectory],
    runtime: Runtime[Context],
    record_to: OpenExperience,
    workspace: Workspace,
    graph: str,
) -> None:
    """Store a run's attempts at its task, and let the new ones trigger a training that is due."""
    report = await experience.record(attempts)
    event = {"type": f"{graph}.recorded", "task": attempts[-1].task.id}
    runtime.stream_writer({**event, "trajectories": list(report.new)})
    await trigger_training(
        [one for one in attempts if one.id in report.new], runtime, record_to, workspace
    )
