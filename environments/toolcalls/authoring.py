"""Write the tasks of the domains into data/.

    python -m apprentice.environments.toolcalls.authoring

Two thirds of a domain's requests need a tool; of the others, a third each lacks a parameter, only
imagines something, or is small talk.
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
    IMAGINED,
    SMALL_TALK,
    Domain,
    Split,
    Tool,
)

DATA: Final = Path(__file__).parent / "data"
COUNTS: Final[dict[Split, int]] = {"train": 90, "validation": 48, "test": 48}
KINDS: Final = {"call": 6, "missing": 1, "imagined": 1, "small_talk": 1}
UNSAID: Final = "-"
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
    """Return a domain's tasks, no two of which say the same."""
    rng = random.Random(name)
    count = COUNTS[domain.split]
    made: dict[str, Line] = {}
    for kind, share in KINDS.items():
        wanted = count * share // sum(KINDS.values())
        source = requests(kind, domain, rng)
        while sum(line["kind"] == kind for line in made.values()) < wanted:
            line = next(source)
            made.setdefault(line["request"], {"kind": kind, **line})
    lines = list(made.values())
    rng.shuffle(lines)
    return [{"id": f"{name}-{number}", **line} for number, line in enumerate(lines)]


def requests(kind: str, domain: Domain, rng: random.Random) -> Iterator[Line]:
    """Yield requests of a kind without end, each with its ideal turn."""
    while True:
        function, tool = rng.choice(list(domain.tools.items()))
        if kind == "call":
            yield _call(function, domain, rng)
        elif kind == "missing":
            parameter, ask = rng.choice(list(tool.lacks.items()))
            said, values = filled(ask, tool, rng)
            thought = _thought(function, domain, said, values)
            yield {"request": said, "thought": thought, "answer": f"Which {parameter}?"}
        elif kind == "imagined":
            doing, _ = filled(tool.doing, tool, rng)
            said = rng.choice(IMAGINED).format(doing=doing)
            answer = "It might be. I did not call a tool."
            yield {"request": said, "thought": "This is only imagined.", "answer": answer}
        else:
            answer = "Hello! What can I do for you?"
            said = rng.choice(SMALL_TALK[domain.split])
            yield {"request": said, "thought": NO_TOOL, "answer": answer}


def _call(function: str, domain: Domain, rng: random.Random) -> Line:
    tool = domain.tools[function]
    said, values = filled(rng.choice(tool.asks), tool, rng)
    return {
        "request": said,
        "thought": _thought(function, domain, said, values),
        "calls": [{"name": function, "arguments": values}],
    }


def filled(ask: str, tool: Tool, rng: random.Random) -> tuple[str, Line]:
    """Return a request with values drawn for its slots, and these values by parameter."""
    names = _SLOT.findall(ask)
    values = {name: rng.choice(tool.takes[name]) for name in tool.takes if name in names}
    return ask.format(**values), values


def taken(parameters: Iterable[str], values: Mapping[str, Any]) -> str:
    """Write what a request says of a tool's parameters."""
    return "; ".join(f"{name}: {values.get(name, UNSAID)}" for name in parameters)


def quoted(does: str, others: Iterable[str], said: str) -> str:
    """Return a description from the word on that tells its tool from the others.

    That is the first word that the request says and no other description; where there is none,
    the first that no other has, or the first of all that says something.
    """
    asked, own = set(_content(said)), own_words(does, others)
    first = next((word for word in own if word in asked), next(iter((*own, *_content(does))), ""))
    start = re.search(rf"\b{first}\b", does, re.IGNORECASE)
    return does[start.start() :] if start else does


def own_words(does: str, others: Iterable[str]) -> list[str]:
    """Return the words of a description that say something, and that no other description has."""
    elsewhere = {word for other in others for word in _content(other)}
    return [word for word in _content(does) if word not in elsewhere]


def _content(text: str) -> list[str]:
    return [word for word in _WORD.findall(text.lower()) if word not in FUNCTION_WORDS]


def _thought(function: str, domain: Domain, said: str, values: Mapping[str, Any]) -> str:
    """Quote what the tool does, name it and what it takes: the call follows, or a gap is seen."""
    tool = domain.tools[function]
    others = [each.does for each in domain.tools.values() if each is not tool]
    return f"{quoted(tool.does, others, said)} {function}. {taken(tool.takes, values)}."


if __name__ == "__main__":
    write()
