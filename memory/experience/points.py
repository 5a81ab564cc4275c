"""Turn a trajectory into points: the attempt, its document, and the useful steps of a success.

A search reads the payload of every candidate. The document is long, so it is a separate point
without vectors. Every other point has the trajectory's tenant, task and latest outcome, so that
one filter decides what may be recalled. A point's id is a hash of its origin, so a repeated write
changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from langchain_core.messages import AnyMessage
from pydantic import ValidationError
from qdrant_edge import Bm25

from apprentice.memory.experience.engine import TIME, Point, Sparse
from apprentice.state.errors import BrokenData
from apprentice.state.experience import RECALLABLE, DatedVerdict, OutcomeFilter, StoredAttempt
from apprentice.state.submission import first_fault, write_attempt
from apprentice.state.trajectory import (
    Task,
    Trajectory,
    Verdict,
    digest,
    render_turns,
    text_of,
    transcript,
)

DOCUMENT: Final = "document"
VERDICTS: Final = "verdicts"
_EMBEDDED: Final = 2_000
_STEPS: Final = 100
_UNCHANGED: Final = ("Nothing happens", "OK.")
"""How environments reply to a turn that changed nothing."""

Kind = Literal["attempt", "step", "reflection", "document"]
SEARCHED: Final[tuple[Kind, ...]] = ("attempt", "step", "reflection")


class Draft(NamedTuple):
    """A point without vectors, and the text to embed if the point can be searched for."""

    id: str
    payload: dict[str, Any]
    text: str | None = None


def point_id(tenant: str, *of: str | int) -> str:
    """Return a point's id, a UUID derived from its tenant and origin."""
    return str(UUID(digest(tenant, *of)))


def attempt_id(tenant: str, trajectory: str) -> str:
    """Return the id of a trajectory's attempt point."""
    return point_id(tenant, "attempt", trajectory)


def document_id(tenant: str, trajectory: str) -> str:
    """Return the id of a trajectory's document point."""
    return point_id(tenant, "document", trajectory)


def task_key(task: Task) -> str:
    """Return a key that identifies a task across environments."""
    return digest(task.environment, task.id)


OUTCOMES: Final[dict[OutcomeFilter, tuple[str, ...]]] = {
    "successes": ("success",),
    "failures": ("failure",),
    "any": ("success", "failure"),
}


def shelf(tenant: str, kind: Kind, environment: str, outcome: str) -> str:
    """Return the name of a shelf: the points that are recalled together. It joins four fields."""
    return "\n".join((tenant, kind, environment, outcome))


def outcome(verdict: Verdict) -> str:
    """Return the outcome of a verdict, as filters use it."""
    return {True: "success", False: "failure", None: "unknown"}[verdict.success]


def drafts(trajectory: Trajectory, now: float) -> list[Draft]:
    """Return a trajectory's points: the attempt, the document, and a success's steps.

    Raises:
        BadInput: if the trajectory cannot be written, or is too large.
    """
    document = _document(trajectory)  # first, because it raises BadInput
    return [_attempt(trajectory, now), document, *steps(trajectory, now)]


def steps(trajectory: Trajectory, now: float) -> list[Draft]:
    """Return a point for each useful step of a success: an observation and the next action."""
    if not trajectory.verdict.success:
        return []
    return [
        Draft(
            id=point_id(trajectory.tenant, "step", trajectory.id, number),
            text=step_subject(trajectory.task, text_of(observation)),
            payload={
                **_common_fields("step", trajectory, now),
                "shown": transcript([observation, action]),
            },
        )
        for number, (observation, action) in enumerate(_useful(trajectory.messages)[:_STEPS])
    ]


def verdict_fields(kind: Kind, trajectory: Trajectory) -> dict[str, Any]:
    """Return the payload fields that depend on the trajectory's latest verdict.

    A point of a held-out split gets no shelf, so it can never be recalled.
    """
    result, task = outcome(trajectory.verdict), trajectory.task
    held_out = task.split != RECALLABLE
    place = "" if held_out else shelf(trajectory.tenant, kind, task.environment, result)
    return {"shelf": place, "outcome": result, "duplicate": "no"}


def reflection_draft(trajectory: Trajectory, text: str, now: float) -> Draft:
    """Return the point of a reflection on an attempt."""
    return Draft(
        id=point_id(trajectory.tenant, "reflection", trajectory.id, text),
        text=subject(trajectory.task, trajectory.messages),
        payload={**_common_fields("reflection", trajectory, now), "shown": text},
    )


def subject(task: Task, messages: Sequence[AnyMessage] = ()) -> str:
    """Return the text to embed for a task: its instruction, or its first user message."""
    opening = (text_of(message) for message in messages if message.type == "human")
    return (task.instruction or next(opening, "") or task.id)[:_EMBEDDED]


def step_subject(task: Task, observation: str) -> str:
    """Return the text to embed for a step: the instruction and the observation."""
    return f"{task.instruction}\n{observation}"[-_EMBEDDED:]


def read_attempt(attempt: Mapping[str, Any], document_payload: Mapping[str, Any]) -> StoredAttempt:
    """Read a trajectory and its verdicts from the payloads of its attempt and document."""
    trajectory = document(document_payload)
    try:
        # Sorted by key first: of verdicts with the same time, every reader picks the same last one.
        verdicts = [
            DatedVerdict.model_validate(each) for _, each in sorted(attempt[VERDICTS].items())
        ]
    except ValidationError as error:
        raise _unreadable(attempt, error) from error
    history = sorted(verdicts, key=lambda dated_verdict: dated_verdict.at)
    latest = history[-1].verdict if history else trajectory.verdict
    return StoredAttempt(
        trajectory=trajectory.model_copy(update={"verdict": latest}), verdicts=tuple(history)
    )


def document(payload: Mapping[str, Any]) -> Trajectory:
    """Read a trajectory, with its first verdict, from the payload of its document."""
    try:
        return Trajectory.model_validate_json(payload[DOCUMENT])
    except ValidationError as error:
        raise _unreadable(payload, error) from error


def document_text(payload: Mapping[str, Any]) -> str:
    """Return the transcript in the payload of a document.

    Messages with plain text are rendered without building message objects, which would take a
    sixth of the time of a recall.
    """
    try:
        turns = [
            (each["type"], each["content"]) for each in json.loads(payload[DOCUMENT])["messages"]
        ]
    except (ValueError, LookupError, TypeError):
        turns = []
    if turns and all(isinstance(text, str) for _, text in turns):
        return render_turns(turns)
    return transcript(document(payload).messages)


def _unreadable(payload: Mapping[str, Any], error: ValidationError) -> BrokenData:
    return BrokenData(
        f"The trajectory {payload['trajectory']!r} in the experience memory cannot be read "
        f"({first_fault(error)}). Erase it, or restore the memory from a backup."
    )


def verdict_entry(dated_verdict: DatedVerdict) -> dict[str, Any]:
    """Return a verdict as an entry for the attempt's history of verdicts."""
    return {
        digest(dated_verdict.verdict.model_dump(), dated_verdict.at): dated_verdict.model_dump(
            mode="json"
        )
    }


def sparse(text: str, *, query: bool = False) -> Sparse:
    """Return the BM25 vector of a text, either of a query or of a document."""
    model = _bm25()
    vector = model.embed_query(text) if query else model.embed_document(text)
    return Sparse(list(vector.indices), list(vector.values))


def with_vectors(draft: Draft, vectors: Mapping[str, list[float]]) -> Point:
    """Return the point of a draft, with the vectors of its text."""
    if draft.text is None:
        return Point(draft.id, draft.payload)
    return Point(draft.id, draft.payload, vectors[draft.text], sparse(draft.text))


@cache
def _bm25() -> Bm25:
    return Bm25()


def _attempt(trajectory: Trajectory, now: float) -> Draft:
    has_verdict = trajectory.verdict != Verdict()
    turns = [message for message in trajectory.messages if message.type == "ai"]
    return Draft(
        id=attempt_id(trajectory.tenant, trajectory.id),
        text=subject(trajectory.task, trajectory.messages),
        payload={
            **_common_fields("attempt", trajectory, now),
            "score": trajectory.verdict.score,
            "turns": len(turns),
            "gist": " ".join(digest(text_of(turn))[:8] for turn in turns),
            "exemplars": list(trajectory.in_view.exemplars),
            VERDICTS: verdict_entry(DatedVerdict(verdict=trajectory.verdict, at=now))
            if has_verdict
            else {},
        },
    )


def _document(trajectory: Trajectory) -> Draft:
    return Draft(
        id=document_id(trajectory.tenant, trajectory.id),
        payload={
            "tenant": trajectory.tenant,
            "point": "document",
            "trajectory": trajectory.id,
            DOCUMENT: write_attempt(trajectory),
        },
    )


def _common_fields(kind: Kind, trajectory: Trajectory, now: float) -> dict[str, Any]:
    """Return the payload fields that all searchable points of a trajectory have."""
    task = trajectory.task
    about = task.model_copy(update={"instruction": task.instruction[:_EMBEDDED], "metadata": {}})
    return {
        "tenant": trajectory.tenant,
        "point": kind,
        "trajectory": trajectory.id,
        "environment": task.environment,
        "task": task_key(task),
        "type": task.kind,
        "split": task.split,
        **verdict_fields(kind, trajectory),
        TIME: trajectory.ended_at if trajectory.ended_at is not None else now,
        "about": json.dumps(about.model_dump(mode="json")),
    }


def _useful(messages: Sequence[AnyMessage]) -> list[tuple[AnyMessage, AnyMessage]]:
    """Return each turn that changed something, after the observation before it."""
    conversation = [message for message in messages if message.type != "system"]
    pairs: list[tuple[AnyMessage, AnyMessage]] = []
    for place, (observation, action) in enumerate(pairwise(conversation)):
        if action.type != "ai" or observation.type == "ai":
            continue
        answer = text_of(conversation[place + 2]) if place + 2 < len(conversation) else ""
        if answer != text_of(observation) and not answer.startswith(_UNCHANGED):
            pairs.append((observation, action))
    return pairs
