"""Open the collections of a run's Store for its tenant: rules, releases, quarantine, findings."""

from __future__ import annotations

from typing import TypeVar

from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore

from apprentice.memory.quarantine import Quarantine
from apprentice.memory.releases import Releases
from apprentice.memory.rulebook import RulebookLog
from apprentice.memory.run_results import Findings
from apprentice.memory.withdrawal import withdrawn_ids
from apprentice.state.context import Context
from apprentice.state.errors import MissingPart
from apprentice.state.trajectory import FrozenModel

_N = TypeVar("_N", bound=FrozenModel)


def store_of(runtime: Runtime[Context]) -> BaseStore:
    """Return the run's store.

    Raises:
        MissingPart: the graph runs without one.
    """
    if runtime.store is None:
        raise MissingPart(
            "Rules are stored in a LangGraph Store, and this graph runs without one. The server "
            "has a store; elsewhere, compile the graph with store=..., such as workspace.store()."
        )
    return runtime.store


def log_of(runtime: Runtime[Context], environment: str) -> RulebookLog:
    """Return the rulebook's log for an environment: the draft from which releases are made."""
    return RulebookLog(store_of(runtime), Context.of(runtime).tenant, environment)


def releases_of(runtime: Runtime[Context], environment: str) -> Releases:
    """Return the releases for an environment."""
    return Releases(store_of(runtime), Context.of(runtime).tenant, environment)


def quarantine_of(runtime: Runtime[Context], environment: str) -> Quarantine:
    """Return the quarantine of an environment: operations that wait for a person."""
    return Quarantine(store_of(runtime), Context.of(runtime).tenant, environment)


async def withdrawn_from(runtime: Runtime[Context], environment: str) -> set[str]:
    """Return the ids of the trajectories that were withdrawn from an environment's rules."""
    return await withdrawn_ids(store_of(runtime), Context.of(runtime).tenant, environment)


def findings_of(
    runtime: Runtime[Context], environment: str, run: str, noun: type[_N]
) -> Findings[_N]:
    """Return the findings of a run in an environment so far."""
    return Findings(store_of(runtime), Context.of(runtime).tenant, environment, run, noun)
