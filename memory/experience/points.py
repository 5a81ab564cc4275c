"""A trajectory as points: the attempt, its document, and the useful steps of a success.

A search reads the payload of every candidate, so the document, which is long, is a point of its
own without vectors. Every other point of a trajectory carries its tenant, its task and its latest
outcome, so that one filter says what may be recalled. Ids are hashes of what a point is of, so
writing a point twice is writing it once.
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
from apprentice.state.nouns import (
    Task,
    Trajectory,
    Verdict,
    digest,
    render_turns,
    text_of,
    transcript,
)
from apprentice.state.submission import first_fault, write_attempt

DOCUMENT: Final = "document"
VERDICTS: Final = "verdicts"
_EMBEDDED: Final = 2_000
_STEPS: Final = 100
_UNCHANGED: Final = ("Nothing happens", "OK.")
"""How environments answer a turn that changed nothing."""

Kind = Literal["attempt", "step", "reflection", "document"]
SEARCHED: Final[tuple[Kind, ...]] = ("attempt", "step", "reflection")


class Draft(NamedTuple):
    """A point without its vectors, and the text that they are of, if it is searched for."""

    id: str
    payload: dict[str, Any]
    text: str | None = None


def point_id(tenant: str, *of: str | int) -> str:
    """Return the id of a point, a UUID."""
    return str(UUID(digest(tenant, *of)))


def attempt_id(tenant: str, trajectory: str) -> str:
    """Return the id of the point that is a whole trajectory."""
    return point_id(tenant, "attempt", trajectory)


def document_id(tenant: str, trajectory: str) -> str:
    """Return the id of the point that holds a trajectory's document."""
    return point_id(tenant, "document", trajectory)


def task_key(task: Task) -> str:
    """Name a task among those of all environments."""
    return digest(task.environment, task.id)


OUTCOMES: Final[dict[OutcomeFilter, tuple[str, ...]]] = {
    "successes": ("success",),
    "failures": ("failure",),
    "any": ("success", "failure"),
}


def shelf(tenant: str, kind: Kind, environment: str, outcome: str) -> str:
    """Name the points that are recalled together: one field to compare instead of four."""
    return "\n".join((tenant, kind, environment, outcome))


def outcome(verdict: Verdict) -> str:
    """Return a verdict as a filter knows it."""
    return {True: "success", False: "failure", None: "unknown"}[verdict.success]


def drafts(trajectory: Trajectory, now: float) -> list[Draft]:
    """Return a trajectory's points: the attempt first, its document, its steps if it succeeded.

    Raises:
        BadInput: if it cannot be written, or is too large.
    """
    document = _document(trajectory)  # first, because it says what cannot be kept
    return [_attempt(trajectory, now), document, *steps(trajectory, now)]


def steps(trajectory: Trajectory, now: float) -> list[Draft]:
    """Return a point for each useful step of a success: what was seen, and what was then done."""
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
    """Return what a point carries of its trajectory's latest verdict.

    What may never be recalled, because its split is held out, stands on no shelf.
    """
    result, task = outcome(trajectory.verdict), trajectory.task
    held_out = task.split != RECALLABLE
    place = "" if held_out else shelf(trajectory.tenant, kind, task.environment, result)
    return {"shelf": place, "outcome": result, "duplicate": "no"}


def reflection_draft(trajectory: Trajectory, text: str, now: float) -> Draft:
    """Return the point of what was learned from an attempt."""
    return Draft(
        id=point_id(trajectory.tenant, "reflection", trajectory.id, text),
        text=subject(trajectory.task, trajectory.messages),
        payload={**_common_fields("reflection", trajectory, now), "shown": text},
    )


def subject(task: Task, messages: Sequence[AnyMessage] = ()) -> str:
    """Return what a task is about: its instruction, else how its transcript begins."""
    opening = (text_of(message) for message in messages if message.type == "human")
    return (task.instruction or next(opening, "") or task.id)[:_EMBEDDED]


def step_subject(task: Task, observation: str) -> str:
    """Return what a moment within a task is about."""
    return f"{task.instruction}\n{observation}"[-_EMBEDDED:]


def read_attempt(attempt: Mapping[str, Any], document_payload: Mapping[str, Any]) -> StoredAttempt:
    """Read a trajectory and its verdicts back from the payloads of its attempt and document."""
    trajectory = document(document_payload)
    try:
        # Of two that came in the same moment, every reader takes the same for the later.
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
    """Read a trajectory, with its first verdict, back from the payload of its document."""
    try:
        return Trajectory.model_validate_json(payload[DOCUMENT])
    except ValidationError as error:
        raise _unreadable(payload, error) from error


def document_text(payload: Mapping[str, Any]) -> str:
    """Return the transcript that the payload of a document holds.

    Plain texts are taken as they are: making messages of them first is what recalling would
    otherwise spend a sixth of its time on.
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
        f"({first_fault(error)}). Forget it, or restore the memory from a backup."
    )


def verdict_entry(dated_verdict: DatedVerdict) -> dict[str, Any]:
    """Return a verdict as an entry of its trajectory's history."""
    return {
        digest(dated_verdict.verdict.model_dump(), dated_verdict.at): dated_verdict.model_dump(
            mode="json"
        )
    }


def sparse(text: str, *, query: bool = False) -> Sparse:
    """Return a text's BM25 vector, as a query or as what is found."""
    model = _bm25()
    vector = model.embed_query(text) if query else model.embed_document(text)
    return Sparse(list(vector.indices), list(vector.values))


def with_vectors(draft: Draft, vectors: Mapping[str, list[float]]) -> Point:
    """Return a draft with the vectors of its text."""
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
    """Return what every point of a trajectory carries that is searched for."""
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
    """Pair each turn that changed something with what was seen before it."""
    conversation = [message for message in messages if message.type != "system"]
    pairs: list[tuple[AnyMessage, AnyMessage]] = []
    for place, (observation, action) in enumerate(pairwise(conversation)):
        if action.type != "ai" or observation.type == "ai":
            continue
        answer = text_of(conversation[place + 2]) if place + 2 < len(conversation) else ""
        if answer != text_of(observation) and not answer.startswith(_UNCHANGED):
            pairs.append((observation, action))
    return pairs
