"""receive: the reports are read, and the run gets its name."""

from __future__ import annotations

from typing import Final, Literal
from uuid import uuid4

from langgraph.runtime import Runtime
from langgraph.types import Command

from apprentice.nodes.tasks import read_flag, read_name, read_reports
from apprentice.state.context import Context
from apprentice.state.insights import InsightsGiven, InsightsUpdate
from apprentice.state.nouns import Usage

BOOK: Final = "default"


async def receive(
    state: InsightsGiven, runtime: Runtime[Context]
) -> Command[Literal["draw", "review", "propose"]]:
    """Read the reports; whatever the thread held of an earlier run is over."""
    reports = list(dict.fromkeys(read_reports(state.reports)))
    reviewed = state.review is None or read_flag("review", state.review)
    info = runtime.execution_info
    update: InsightsUpdate = {
        "reports": reports,
        "collection_name": read_name("collection", state.collection) or BOOK,
        "run_name": (info and info.run_id) or str(uuid4()),
        "ask_person": reviewed,
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
    return Command(update=update, goto="review" if reviewed else "propose")
