"""Write the tasks of the domains into data/.

    python -m apprentice.environments.toolcalls.task_writer

Two thirds of a domain's requests need a tool. Of the rest, one third lacks a parameter, one third
describes something hypothetical, and one third is small talk.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from apprentice.environments.toolcalls.domains import (
    DOMAINS,
    HYPOTHETICALS,
    SMALL_TALK,
    Domain,
    Split,
    Tool,
)

DATA: Final = Path(__file__).parent / "data"
COUNTS: Final[dict[Split, int]] = {"train": 90, "validation": 48, "test": 48}
KINDS: Final = {"call": 6, "missing": 1, "imagined": 1, "small_talk": 1}
NOT_STATED: Final = "-"
FUNCTION_WORDS: Final = frozenset({
    "s",  # of "a room's light"
    "a", "an", "the", "of", "to", "in", "for", "at", "on", "with", "by", "from", "and", "or",
    "is", "it", "its", "be", "i", "me", "my", "we", "you", "your", "us", "this", "that", "there",
    "are", "am", "was", "were", "not", "no", "do", "does", "did", "please", "can", "could",
    "would", "want", "like", "need", "have", "has", "help", "about", "some", "one", "as",
    "which", "what", "when", "where", "who", "how", "say", "yes", "only",
})  # fmt: skip
NO_TOOL: Final = "It is about none of them."
_SLOT = re.compile(r"{(\w+)}")
_WORD = re.compile("[A-Za-z]+")

Line = dict[str, Any]


def write(folder: Path = DATA) -> None:
    """Write every domain's tools and tasks."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, domain in DOMAINS.items():
        tools = [tool.schema(function) for function, tool in domain.tools.items()]
        (folder / f"{name}.tools.json").write_text(json.dumps(tools, indent=1) + "\n")
        lines = [json.dumps(line) + "\n" for line in tasks(name, domain)]
        (folder / f"{name}.jsonl").write_text("".join(lines))


def tasks(name: str, domain: Domain) -> list[Line]:
    """Return a domain's tasks; each has a request of its own."""
    rng = random.Random(name)
    count = COUNTS[domain.split]
    by_request: dict[str, Line] = {}
    for kind, share in KINDS.items():
        quota = count * share // sum(KINDS.values())
        source = requests(kind, domain, rng)
        while sum(line["kind"] == kind for line in by_request.values()) < quota:
            line = next(source)
            by_request.setdefault(line["request"], {"kind": kind, **line})
    lines = list(by_request.values())
    rng.shuffle(lines)
    return [{"id": f"{name}-{number}", **line} for number, line in enumerate(lines)]


def requests(kind: str, domain: Domain, rng: random.Random) -> Iterator[Line]:
    """Yield requests of a kind, each with its ideal turn; the iterator never ends."""
    while True:
        function, tool = rng.choice(list(domain.tools.items()))
        if kind == "call":
            yield _call(function, domain, rng)
        elif kind == "missing":
            parameter, ask = rng.choice(list(tool.lacks.items()))
            request, values = fill(ask, tool, rng)
            thought = _thought(function, domain, request, values)
            yield {"request": request, "thought": thought, "answer": f"Which {parameter}?"}
        elif kind == "imagined":
            action, _ = fill(tool.action, tool, rng)
            request = rng.choice(HYPOTHETICALS).format(doing=action)
            answer = "It might be. I did not call a tool."
            yield {"request": request, "thought": "This is only imagined.", "answer": answer}
        else:
            answer = "Hello! What can I do for you?"
            request = rng.choice(SMALL_TALK[domain.split])
            yield {"request": request, "thought": NO_TOOL, "answer": answer}


def _call(function: str, domain: Domain, rng: random.Random) -> Line:
    tool = domain.tools[function]
    request, values = fill(rng.choice(tool.asks), tool, rng)
    return {
        "request": request,
        "thought": _thought(function, domain, request, values),
        "calls": [{"name": function, "arguments": values}],
    }


def fill(ask: str, tool: Tool, rng: random.Random) -> tuple[str, Line]:
    """Sample values for a request's slots; return the request and the values by parameter."""
    names = _SLOT.findall(ask)
    values = {name: rng.choice(tool.takes[name]) for name in tool.takes if name in names}
    return ask.format(**values), values


def parameter_list(parameters: Iterable[str], values: Mapping[str, Any]) -> str:
    """Write each of a tool's parameters with the value that the request states, or a dash."""
    return "; ".join(f"{name}: {values.get(name, NOT_STATED)}" for name in parameters)


def quote(does: str, others: Iterable[str], request: str) -> str:
    """Return a tool's description from the word on that distinguishes it from the other tools.

    The first choice is a word that the request also has and no other description has. The second
    choice is a word that no other description has, and the third is any content word.
    """
    request_words, own = set(_content(request)), distinctive_words(does, others)
    first = next(
        (word for word in own if word in request_words), next(iter((*own, *_content(does))), "")
    )
    start = re.search(rf"\b{first}\b", does, re.IGNORECASE)
    return does[start.start() :] if start else does


def distinctive_words(does: str, others: Iterable[str]) -> list[str]:
    """Return the content words of a description that no other description has."""
    elsewhere = {word for other in others for word in _content(other)}
    return [word for word in _content(does) if word not in elsewhere]


def _content(text: str) -> list[str]:
    return [word for word in _WORD.findall(text.lower()) if word not in FUNCTION_WORDS]


def _thought(function: str, domain: Domain, request: str, values: Mapping[str, Any]) -> str:
    """Quote the tool's description, name the tool and list its parameters.

    The call then copies the list, or the list shows which value is missing.
    """
    tool = domain.tools[function]
    others = [each.does for each in domain.tools.values() if each is not tool]
    return f"{quote(tool.does, others, request)} {function}. {parameter_list(tool.takes, values)}."


if __name__ == "__main__":
    write()
