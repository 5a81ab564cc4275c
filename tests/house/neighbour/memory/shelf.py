"""Where the desk files what it did."""

from state.desk import Desk


def file(state: Desk) -> Desk:
    """Write down how it ended."""
    return {"filed": f"{state.get('outcome')} after {state.get('trials')}"}
