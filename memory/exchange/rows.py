"""A row is one attempt in a file or table: chat messages and an outcome, in flat columns.

This is a complete row:

    {"messages": [{"role": "user", "content": "…"}, …], "success": true}

`ExchangeRow` lists the other columns. A column that it does not list goes into the metadata of
the row's task. An exported row holds the whole attempt, and an import restores it unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from apprentice.state.errors import BadInput
from apprentice.state.experience import DatedVerdict, StoredAttempt, Timestamp
from apprentice.state.messages import read_messages, write_message
from apprentice.state.submission import as_stored, flaw, sent_id
from apprentice.state.trajectory import (
    SCHEMA_VERSION,
    InView,
    Name,
    Source,
    Split,
    Task,
    Trajectory,
    Usage,
    Verdict,
    digest,
    text_of,
)

IMPORTED: Final = "imported"
_MOST_TRIALS: Final = 1_000_000_000
_MESSAGES: Final = ("messages", "conversations", "conversation")


class RowVerdict(BaseModel):
    """A verdict in a row, with its time (Unix time in seconds)."""

    model_config = ConfigDict(extra="forbid")

    verdict: Verdict
    at: Timestamp


class ExchangeRow(BaseModel):
    """The columns with a meaning. All of them but the messages may be missing or empty.

    Attributes:
        id: the sender's id. It is derived from the content when missing.
        task: the task's id. Rows with the same instruction have the same task when missing.
        instruction: the task's text. It is the first user message when missing.
        verdicts: the history of verdicts. The last one counts, even if `success` differs.
    """

    model_config = ConfigDict(extra="allow")

    schema_version: int = SCHEMA_VERSION
    id: Name | None = None
    environment: Name | None = None
    task: Name | None = None
    instruction: str = Field(default="", max_length=20_000)
    kind: str = Field(default="", max_length=80)
    split: Split = "train"
    metadata: dict[str, Any] = Field(default_factory=dict)
    success: bool | None = None
    score: float | None = Field(default=None, ge=0, le=1)
    feedback: str = Field(default="", max_length=20_000)
    source: Source = "environment"
    interrupted: bool = False
    verdicts: tuple[RowVerdict, ...] = ()
    run: str = ""
    trial: int = Field(default=1, ge=1, le=_MOST_TRIALS)
    in_view: InView = InView()
    model: str = ""
    adapter: str = ""
    usage: Usage = Usage()
    ended_at: Timestamp | None = None


class RowContent(NamedTuple):
    """The content of a row.

    Attributes:
        trajectory: the attempt, with the row's verdict.
        verdicts: the history of verdicts, if the row has one.
        named_fields: the fields of the task that the row names.
        extra_columns: columns without a meaning here, which go into the metadata.
    """

    trajectory: Trajectory
    verdicts: tuple[DatedVerdict, ...]
    named_fields: frozenset[str]
    extra_columns: tuple[str, ...]


def read_row(value: object, tenant: str, environment: str = "") -> RowContent:
    """Return the attempt in a row.

    Args:
        value: the row.
        tenant: the attempt's new tenant. A tenant in the row is ignored.
        environment: the environment if the row names none; `imported` when empty.

    Raises:
        BadInput: if the row cannot be read, or is too large.
    """
    if not isinstance(value, Mapping):
        raise BadInput(f"A row is an object, but this is a {type(value).__name__}.")
    columns = {str(name): cell for name, cell in value.items() if cell is not None}
    message_columns = [name for name in _MESSAGES if name in columns]
    if len(message_columns) != 1:
        raise BadInput(
            f"The row has {' and '.join(message_columns) or 'no messages'}. Give it one list of "
            "messages, in a column 'messages'."
        )
    messages = read_messages(columns.pop(message_columns[0]))
    if reason := flaw(columns):
        raise BadInput(f"The row cannot be stored: {reason}.")
    row = _validate(columns)
    if row.schema_version != SCHEMA_VERSION:
        raise BadInput(
            f"The row has schema version {row.schema_version}, but this version of Apprentice "
            f"reads {SCHEMA_VERSION}. Use the version that wrote it."
        )
    extra_columns = dict(row.model_extra or {})
    opening = next((text_of(message) for message in messages if message.type == "human"), "")
    instruction = row.instruction or opening[:20_000]
    task = Task(
        id=row.task or digest(instruction or [write_message(message) for message in messages]),
        environment=row.environment or environment or IMPORTED,
        instruction=instruction,
        kind=row.kind,
        split=row.split,
        metadata={**extra_columns, **row.metadata},
    )
    trajectory = as_stored(
        Trajectory(
            id=sent_id(tenant, task, messages, row.id or ""),
            tenant=tenant,
            task=task,
            messages=messages,
            verdict=_verdict(row),
            **{name: getattr(row, name) for name in _SAME_NAMES},
        )
    )
    verdicts = tuple(DatedVerdict(verdict=each.verdict, at=each.at) for each in row.verdicts)
    return RowContent(
        trajectory, verdicts, _named_fields(row, environment), tuple(sorted(extra_columns))
    )


def write_row(stored: StoredAttempt) -> dict[str, Any]:
    """Return a stored attempt as a row, without its tenant."""
    attempt = stored.trajectory
    task, verdict = attempt.task, attempt.verdict
    return {
        "schema_version": SCHEMA_VERSION,
        "id": attempt.id,
        "environment": task.environment,
        "task": task.id,
        **task.model_dump(mode="json", include={"instruction", "kind", "split", "metadata"}),
        "messages": [write_message(message) for message in attempt.messages],
        **verdict.model_dump(mode="json"),
        "verdicts": [each.model_dump(mode="json") for each in stored.verdicts],
        **attempt.model_dump(mode="json", include=set(_SAME_NAMES)),
    }


_SAME_NAMES: Final = ("run", "trial", "in_view", "model", "adapter", "usage", "ended_at")


_TASK_FIELDS: Final = {
    "environment": "environment",
    "task": "id",
    **{name: name for name in ("instruction", "kind", "split")},
}


def _validate(columns: Mapping[str, Any]) -> ExchangeRow:
    try:
        return ExchangeRow.model_validate(columns)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ").removesuffix(".")
        raise BadInput(f"Its column {where!r} cannot be read: {reason}.") from error


def _named_fields(row: ExchangeRow, environment: str) -> frozenset[str]:
    """Return the fields of the task that the row or the import names."""
    named_columns = {
        field for column, field in _TASK_FIELDS.items() if column in row.model_fields_set
    }
    empty = {field for column, field in _TASK_FIELDS.items() if not getattr(row, column)}
    return frozenset((named_columns - empty) | ({"environment"} if environment else set()))


def _verdict(row: ExchangeRow) -> Verdict:
    if row.verdicts:
        return max(row.verdicts, key=lambda row_verdict: row_verdict.at).verdict
    fields = row.model_dump(include=set(Verdict.model_fields))
    return Verdict.model_validate(fields)
