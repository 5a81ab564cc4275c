"""A few samples of function calling for the embedded model, with generated tools.

There are enough samples for the model to know the format: tools as JSON Schema in the system turn,
a short thought, then one call or a plain answer. There are few enough that fine-tuning can still
improve the model.
"""

from __future__ import annotations

import json
import random
from typing import Any, Final

from apprentice.state.prompts import TOOLS

VERBS: Final = ("get", "set", "find", "book", "send", "cancel", "list", "add")
SUBJECTS: Final[dict[str, tuple[str, ...]]] = {
    "weather": ("city", "day"),
    "alarm": ("hour", "day"),
    "ticket": ("city", "count"),
    "message": ("name", "hour"),
    "meeting": ("name", "day"),
    "table": ("name", "count"),
    "song": ("name", "count"),
    "price": ("city", "count"),
}
VALUES: Final[dict[str, tuple[Any, ...]]] = {
    "city": ("Paris", "Rome", "Oslo", "Lima", "Cairo", "Delhi"),
    "day": ("Monday", "Tuesday", "Friday", "Sunday"),
    "name": ("Anna", "Ben", "Clara", "David", "Emma", "Felix"),
    "hour": tuple(range(1, 13)),
    "count": tuple(range(1, 10)),
}


def schema(verb: str, subject: str) -> dict[str, Any]:
    """Return a tool as JSON Schema, in the format that chat templates expect."""
    types = {"hour": "integer", "count": "integer"}
    properties = {name: {"type": types.get(name, "string")} for name in SUBJECTS[subject]}
    return {
        "name": f"{verb}_{subject}",
        "parameters": {
            "type": "object",
            "properties": properties,
            "required": list(properties),
        },
    }


def sample(rng: random.Random) -> list[tuple[str, str]]:
    """Sample one exchange as (role, text) pairs; a third of the requests need no tool call."""
    subjects = rng.sample(list(SUBJECTS), rng.randint(1, 3))
    verbs = [rng.choice(VERBS) for _ in subjects]
    tools = [schema(verb, subject) for verb, subject in zip(verbs, subjects, strict=True)]
    system = f"{TOOLS}\n<tools>\n" + "\n".join(json.dumps(tool) for tool in tools) + "\n</tools>"
    verb, subject = verbs[0], subjects[0]
    values = {name: rng.choice(VALUES[name]) for name in SUBJECTS[subject]}
    details = " and ".join(f"{name} {value}" for name, value in values.items())
    roll = rng.random()
    if roll < 0.66:
        call = json.dumps({"name": f"{verb}_{subject}", "arguments": values})
        request = f"Please {verb} the {subject} for {details}."
        thought_text = f"<think>The request asks for {verb}_{subject}.</think>"
        answer = f"{thought_text}<tool_call>{call}</tool_call>"
    elif roll < 0.78:
        missing_name = rng.choice(list(values))
        rest = " and ".join(
            f"{name} {value}" for name, value in values.items() if name != missing_name
        )
        request = f"Please {verb} the {subject} for {rest}."
        answer = f"<think>The {missing_name} is missing.</think>Which {missing_name}?"
    elif roll < 0.9:
        request = f"Imagine that I {verb} the {subject} for {details}. Would that be good?"
        answer = "<think>This is only imagined.</think>It might be. I did not call a tool."
    else:
        request = rng.choice(("Hello!", "Thank you.", "How are you?", "Good morning."))
        answer = "<think>This is small talk.</think>Hello! What can I do for you?"
    return [("system", system), ("user", request), ("assistant", answer)]
