"""Apprentice makes an agent better from its own transcripts and outcomes.

Everything that a program of yours needs is here; a name is loaded when it is first used.

    from apprentice import Workspace, build_reflexion

    async with Workspace("apprentice-data", model="openai:gpt-5-mini") as workspace:
        async with workspace.store() as store:
            graph = build_reflexion(workspace=workspace).compile(store=store)
            result = await graph.ainvoke({"task": {"environment": "qa/mine", "id": "1"}})
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from apprentice.environments.protocol import Environment, Simulator
    from apprentice.graphs.episode import build as build_episode
    from apprentice.graphs.exemplar import build as build_exemplar
    from apprentice.graphs.expel import build as build_expel
    from apprentice.graphs.feedback import build as build_feedback
    from apprentice.graphs.insights import build as build_insights
    from apprentice.graphs.reflexion import build as build_reflexion
    from apprentice.graphs.training import build as build_training
    from apprentice.memory.exchange.files import read_jsonl
    from apprentice.memory.exchange.transfer import export_attempts, import_attempts
    from apprentice.memory.experience import Experience
    from apprentice.settings import Settings
    from apprentice.state.context import Context
    from apprentice.state.errors import (
        ApprenticeError,
        BadInput,
        BrokenData,
        MissingPart,
        ModelFailure,
        UnknownName,
    )
    from apprentice.state.experience import Query
    from apprentice.state.trajectory import Observation, Task, Trajectory, Verdict
    from apprentice.workspace import Workspace

__all__ = [
    "ApprenticeError",
    "BadInput",
    "BrokenData",
    "Context",
    "Environment",
    "Experience",
    "MissingPart",
    "ModelFailure",
    "Observation",
    "Query",
    "Settings",
    "Simulator",
    "Task",
    "Trajectory",
    "UnknownName",
    "Verdict",
    "Workspace",
    "build_episode",
    "build_exemplar",
    "build_expel",
    "build_feedback",
    "build_insights",
    "build_reflexion",
    "build_training",
    "export_attempts",
    "import_attempts",
    "read_jsonl",
]

_GRAPHS: Final = ("episode", "exemplar", "expel", "feedback", "insights", "reflexion", "training")
_HOMES: Final[dict[str, str]] = {
    **dict.fromkeys(("Environment", "Simulator"), "environments.protocol"),
    **dict.fromkeys(("export_attempts", "import_attempts"), "memory.exchange.transfer"),
    "read_jsonl": "memory.exchange.files",
    "Experience": "memory.experience",
    "Settings": "settings",
    "Context": "state.context",
    **dict.fromkeys(
        ("ApprenticeError", "BadInput", "BrokenData", "MissingPart", "ModelFailure", "UnknownName"),
        "state.errors",
    ),
    "Query": "state.experience",
    **dict.fromkeys(("Observation", "Task", "Trajectory", "Verdict"), "state.trajectory"),
    "Workspace": "workspace",
}


def __getattr__(name: str) -> Any:
    """Load a name from the room where it is defined."""
    if name.removeprefix("build_") in _GRAPHS and name.startswith("build_"):
        home, inner = f"graphs.{name.removeprefix('build_')}", "build"
    elif name in _HOMES:
        home, inner = _HOMES[name], name
    else:
        raise AttributeError(f"module 'apprentice' has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), inner)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
