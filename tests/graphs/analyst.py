"""An analyst in a few lines: it knows one insight for each of the example's reports."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from langchain_core.messages import AnyMessage

from apprentice.state.trajectory import text_of

FIXTURE: Final = Path(__file__).parents[2] / "examples" / "kpi_reports.json"
REPORTS: Final[list[dict[str, Any]]] = json.loads(FIXTURE.read_text())
SAYS: Final = {
    "Visits": "Campaigns that promise more than the landing page shows raise the bounce rate.",
    "newsletters": "Short subject lines get newsletters opened.",
    "carts": "Costs that appear late make customers leave their carts.",
    "order": "Matching offers beside the cart raise the average order.",
    "sign-ups": "Every further field in a form costs sign-ups.",
}


def analyst(messages: Sequence[AnyMessage]) -> str:
    """Draw the insight that fits the report, or propose an experiment from the first insight."""
    asked = text_of(messages[-1])
    _, report, body = asked.partition("<report>")
    if not report:
        return f"Try this on half of the visitors: {asked.splitlines()[1][3:]}"
    return f"ADD: {next(says for word, says in SAYS.items() if word in body)}"
