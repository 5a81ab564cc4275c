"""What happens to what comes in."""

from apprentice import Task
from state.desk import Desk, DeskInput


def receive(state: DeskInput) -> Desk:
    """Make a task of it."""
    return {"task": Task(environment=state["place"], id="test/6")}
