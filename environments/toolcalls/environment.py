"""Tool calls as an environment: requests from files that need a call or none.

`toolcalls/<domain>` has the requests of one domain; `toolcalls` has those of all domains. The
environment checks each call against its schema. After a faulty call it names the faults, and the
agent may correct them once; a second faulty call ends the attempt. The domains of validation and
test have tools that training never sees.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from apprentice.environments.answers import without_thoughts
from apprentice.environments.toolcalls.calls import Answer, Call, Schema, read, same
from apprentice.environments.toolcalls.domains import DOMAINS
from apprentice.state.errors import BadInput, BrokenData, MissingPart, UnknownName
from apprentice.state.toolcalls import REFUSED, call, response, section
from apprentice.state.trajectory import FrozenModel, Observation, Task, Verdict, digest

SPLITS: Final = ("train", "validation", "test")
STEP_LIMIT: Final = 3  # a turn, its correction, and one turn that has only thoughts
_DATA: Final = Path(__file__).parent / "data"


class ReferenceCall(FrozenModel):
    """A call that solves a request, or a part of it."""

    name: str
    arguments: dict[str, Any]


class Request(FrozenModel):
    """A line of a domain's file: a request, and its reference calls or its answer.

    Attributes:
        id: the task's id.
        kind: call, missing, imagined or small_talk.
        request: the words of the user.
        thought: the thought of an ideal turn.
        calls: the reference calls; empty if the request needs none.
        answer: the text of an ideal turn if the request needs no call.
    """

    id: str
    kind: str
    request: str
    thought: str = ""
    calls: tuple[ReferenceCall, ...] = ()
    answer: str = ""

    @property
    def reference_calls(self) -> tuple[Call, ...]:
        """The reference calls in the form that `same` compares."""
        return tuple(Call(one.name, one.arguments) for one in self.calls)

    @property
    def ideal(self) -> str:
        """The ideal turn: its thought, and its calls or its answer."""
        thought = f"<think>{self.thought}</think>" if self.thought else ""
        return thought + "".join(call(*one) for one in self.reference_calls) + self.answer


class Toolcalls:
    """The requests of one domain, or of all domains if none is named.

    The instructions of a domain list its tools, in the same form as the training data.
    """

    replayable = True

    def __init__(self, domain: str = "") -> None:
        if domain and domain not in DOMAINS:
            raise UnknownName("tool-call domain", domain, DOMAINS)
        self.domain = domain
        self.name = f"toolcalls/{domain}" if domain else "toolcalls"
        self.splits: tuple[str, ...] = (DOMAINS[domain].split,) if domain else SPLITS
        self.tools = _tools(domain) if domain else []
        self.instructions = section(self.tools) if domain else ""

    def tasks(self, split: str, limit: int, seed: int = 0) -> Iterator[Task]:
        """Yield tasks in an order that the seed determines; each task names its own domain."""
        if split not in self.splits:
            raise UnknownName(f"{self.name} split", split, self.splits)
        domains = [self.domain] if self.domain else DOMAINS
        ids = [one for name in domains if DOMAINS[name].split == split for one in _requests(name)]
        for task_id in sorted(ids, key=lambda one: digest(seed, one))[: max(0, limit)]:
            yield self.task(task_id)

    def task(self, task_id: str) -> Task:
        """Return the task of an id such as 'calendar-0', or raise BadInput."""
        domain, request = self._find(task_id)
        return Task(
            id=task_id,
            environment=f"toolcalls/{domain}",
            instruction=request.request,
            kind=request.kind,
            split=DOMAINS[domain].split,
        )

    def reset(self, task: Task) -> Desk:
        """Start an episode."""
        domain, request = self._find(task.id)
        return Desk(request, _tools(domain))

    def step_limit(self, task: Task) -> int:
        """Return how many turns an attempt may take: the same for every task."""
        return STEP_LIMIT

    def read_turn(self, text: str) -> list[str]:
        """Return the whole turn as one action; none if it has only thoughts."""
        answer = without_thoughts(text)
        return [answer] if answer else []

    def request(self, task_id: str) -> Request:
        """Return the request of a task, with its reference calls."""
        return self._find(task_id)[1]

    def _find(self, task_id: str) -> tuple[str, Request]:
        domain = task_id.rpartition("-")[0]
        if domain not in DOMAINS or self.domain not in ("", domain):
            example = f"{self.domain or 'calendar'}-0"
            raise BadInput(
                f"There is no {self.name} task {task_id[:200]!r}. Ids look like {example!r}."
            )
        request = _requests(domain).get(task_id)
        if request is None:
            raise BadInput(
                f"There is no {self.name} task {task_id[:200]!r}. The domain {domain} has "
                f"{len(_requests(domain))} tasks, numbered from 0."
            )
        return domain, request


class Desk:
    """An episode with one request: a turn, and a second turn if the first one has faults."""

    def __init__(self, request: Request, tools: list[Schema]) -> None:
        self._request = request
        self._tools = tools
        self._is_correction = False

    def first_observation(self) -> Observation:
        """Return the request."""
        return Observation(text=self._request.request)

    def step(self, action: str) -> Observation:
        """Check a turn and accept it if it has no fault."""
        answer = read(action, self._tools)
        if answer.valid:
            return self._take(answer)
        faults = " ".join(answer.faults) or "There is neither a call nor an answer."
        if self._is_correction:
            return _over(f"Refused. {faults}", success=False, feedback=f"Refused: {faults}")
        self._is_correction = True
        return Observation(text=response(f"{REFUSED} {faults} Correct it."))

    def _take(self, answer: Answer) -> Observation:
        right = same(answer.calls, self._request.reference_calls)
        reply = "Done." if answer.calls else "Received."
        if right:
            return _over(reply, success=True, feedback="Solved.")
        feedback = "The call is valid, but not what was asked for."
        if not answer.calls:
            feedback = "There was a tool for this, and the request said all it needs."
        elif not self._request.calls:
            feedback = "Nothing should have been called."
        return _over(reply, success=False, feedback=feedback)


def _over(text: str, *, success: bool, feedback: str) -> Observation:
    verdict = Verdict(success=success, score=float(success), feedback=feedback)
    return Observation(text=response(text), done=True, score=float(success), verdict=verdict)


@lru_cache(maxsize=len(DOMAINS))
def _tools(domain: str) -> list[Schema]:
    tools: list[Schema] = json.loads(_text(f"{domain}.tools.json"))
    return tools


@lru_cache(maxsize=len(DOMAINS))
def _requests(domain: str) -> dict[str, Request]:
    lines = _text(f"{domain}.jsonl").splitlines()
    try:
        read_lines = [Request.model_validate_json(line) for line in lines]
    except ValidationError as error:
        raise BrokenData(
            f"{_DATA / domain}.jsonl has a line that is not a request ({error}). Install the "
            "package again."
        ) from error
    return {one.id: one for one in read_lines}


def _text(name: str) -> str:
    try:
        return (_DATA / name).read_text("utf-8")
    except FileNotFoundError as error:
        raise MissingPart(f"{_DATA / name} is missing. Install the package again.") from error
