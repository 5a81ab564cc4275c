"""receive: read the reports, and name the run."""

from __future__ import annotations

from typing import Final, Literal
from uuid import uuid4

from langgraph.runtime import Runtime
from langgraph.types import Command

from apprentice.nodes.inputs import read_flag, read_name, read_reports
from apprentice.state.context import Context
from apprentice.state.insights import InsightsGiven, InsightsUpdate
from apprentice.state.trajectory import Usage

COLLECTION: Final = "default"


async def receive(
    state: InsightsGiven, runtime: Runtime[Context]
) -> Command[Literal["draw", "review", "propose"]]:
    """Read the reports; clear what the thread held of an earlier run."""
    reports = list(dict.fromkeys(read_reports(state.reports)))
    ask_person = state.review is None or read_flag("review", state.review)
    info = runtime.execution_info
    update: InsightsUpdate = {
        "reports": reports,
        "collection_name": read_name("collection", state.collection) or COLLECTION,
        "run_name": (info and info.run_id) or str(uuid4()),
        "ask_person": ask_person,
        "reports_done": 0,
        "quarantined": [],
        "rounds": 0,
        "problems": [],
        "insights": [],
        "version": "",
        "experiment": None,
        "outcome": None,
        "usage": Usage(),
    }
    if reports:
        return Command(update=update, goto="draw")
    return Command(update=update, goto="review" if ask_person else "propose")
