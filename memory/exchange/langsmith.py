"""Read the root runs of a LangSmith project as rows, with their feedback.

The client reads its own settings: LANGSMITH_API_KEY and, for another address, LANGSMITH_ENDPOINT. A
self-hosted LangSmith must have version 0.16 or later.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from apprentice.memory.exchange.files import Item
from apprentice.state.errors import ApprenticeError, BadInput, MissingPart
from apprentice.state.redaction import public_message

if TYPE_CHECKING:
    from langsmith import Client
    from langsmith.schemas import Feedback
    from langsmith.types import Run, RunSelectField

_AT_ONCE: Final = 100  # runs whose feedback is fetched in one call
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)  # the default is one day ago
_SELECTED: Final[list[RunSelectField]] = [
    *("ID", "NAME", "INPUTS", "OUTPUTS", "ERROR", "METADATA", "TAGS"),
    *("START_TIME", "END_TIME", "PROMPT_TOKENS", "COMPLETION_TOKENS"),
]
_SOURCES: Final = {"app": "human", "model": "model"}
_INPUT_KEYS: Final = ("messages", "input", "question", "query", "prompt")
_OUTPUT_KEYS: Final = ("messages", "output", "answer", "result", "content")


async def project(name: str, feedback: str = "", limit: int | None = None) -> AsyncIterator[Item]:
    """Yield the root runs of a project as rows, the latest first.

    A run's verdict is the latest feedback under one key. A score of 1 is a success, and 0 is a
    failure. A score in between is stored without an outcome. If a run has feedback under several
    keys and `feedback` names none, all of it is stored as text: no key is guessed.

    Args:
        name: the project's name.
        feedback: the key of the feedback that counts as the verdict.
        limit: the largest number of runs.

    Raises:
        BadInput: if there is no such project.
        MissingPart: if LangSmith cannot be reached or refuses access.
    """
    from langsmith import APIError, Client
    from langsmith.utils import LangSmithError

    address = ""
    try:
        client = await asyncio.to_thread(Client, auto_batch_tracing=False)
        address = client.api_url
        if not address.startswith(("http://", "https://")):
            raise MissingPart(
                f"LANGSMITH_ENDPOINT is {address[:80]!r}, which does not begin with https://. Set "
                "it to LangSmith's address, or unset it."
            )
        record = await asyncio.to_thread(client.read_project, project_name=name)
        runs = await asyncio.to_thread(lambda: client.runs)
        run_query = runs.query_v2(
            project_ids=[str(record.id)], is_root=True, selects=_SELECTED, min_start_time=_EARLIEST
        )
        batch: list[Run] = []
        budget = limit
        async for run in run_query:
            if budget is not None and budget <= 0:
                break
            budget = budget and budget - 1
            batch.append(run)
            if len(batch) == _AT_ONCE:
                for item in await asyncio.to_thread(_items, client, batch, name, feedback):
                    yield item
                batch = []
        for item in await asyncio.to_thread(_items, client, batch, name, feedback):
            yield item
    except (LangSmithError, APIError) as error:
        raise _failure(error, name, address) from error


def _items(client: Client, runs: Sequence[Run], name: str, key: str) -> list[Item]:
    """Return runs as rows, each with its feedback."""
    by_run: dict[str, list[Feedback]] = defaultdict(list)
    for each in client.list_feedback(run_ids=[str(run.id) for run in runs]) if runs else ():
        by_run[str(each.run_id)].append(each)
    for run_feedback in by_run.values():
        run_feedback.sort(key=lambda each: each.modified_at)
    return [_item(run, by_run[str(run.id)], name, key) for run in runs]


def _item(run: Run, run_feedback: Sequence[Feedback], name: str, key: str) -> Item:
    where = f"run {run.id}"
    messages = _messages(run)
    if not messages:
        return Item(
            where,
            fault=f"Its inputs ({_keys(run.inputs)}) and outputs ({_keys(run.outputs)}) hold no "
            "conversation.",
        )
    took = run.end_time and run.start_time and run.end_time - run.start_time
    row = {
        "id": str(run.id),
        "environment": f"langsmith/{name}",
        "messages": messages,
        "model": (run.metadata or {}).get("ls_model_name"),
        "usage": {
            "calls": 0,
            "input_tokens": run.prompt_tokens or 0,
            "output_tokens": run.completion_tokens or 0,
            "seconds": took.total_seconds() if took else 0.0,
        },
        "ended_at": run.end_time.timestamp() if run.end_time else None,
        "metadata": {"name": run.name, "tags": run.tags or [], "error": run.error},
        **_verdict(run_feedback, key),
    }
    return Item(where, row)


def _verdict(run_feedback: Sequence[Feedback], key: str) -> dict[str, Any]:
    relevant = [each for each in run_feedback if not key or each.key == key]
    if len({each.key for each in relevant}) > 1:
        return {"feedback": "\n".join(_words(each, with_key=True) for each in relevant)}
    if not relevant:
        return {}
    latest = relevant[-1]
    source = latest.feedback_source.type if latest.feedback_source else ""
    row: dict[str, Any] = {"source": _SOURCES.get(source, "late")}
    score = latest.score
    if not isinstance(score, int | float) or not 0 <= score <= 1:
        return {**row, "feedback": _words(latest, with_key=True)}
    success = bool(score) if score in (0, 1) else None
    words = _words(latest, with_key=False)
    return {**row, "success": success, "score": float(score), "feedback": words}


def _words(feedback: Feedback, *, with_key: bool) -> str:
    """Return the value and comment of feedback as text, with its key and score if requested."""
    parts = [feedback.value, feedback.comment]
    if with_key:
        parts = [f"{feedback.key}:", feedback.score, *parts]
    return " ".join(str(part) for part in parts if part is not None)


def _messages(run: Run) -> list[Any]:
    """Return a run's conversation: its inputs and outputs. Outputs may repeat the inputs."""
    inputs = _messages_in(run.inputs, _INPUT_KEYS, "user")
    outputs = _messages_in(run.outputs, _OUTPUT_KEYS, "assistant") or _model_message(run.outputs)
    if not outputs:
        return []
    first_outputs = [_core(message) for message in outputs[: len(inputs)]]
    if first_outputs == [_core(message) for message in inputs]:
        return outputs
    return [*inputs, *outputs]


def _messages_in(values: Mapping[str, Any] | None, names: Sequence[str], role: str) -> list[Any]:
    """Return the messages in a run's values. A plain text becomes a message of `role`."""
    values = values or {}
    value = next((values[name] for name in names if values.get(name)), None)
    if value is None and len(values) == 1:
        value = next(iter(values.values()))
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    if isinstance(value, Mapping):
        return [value] if _is_message(value) else _messages_in(value, names, role)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]  # a chat model's run holds a list of conversations
    return value if isinstance(value, list) and all(map(_is_message, value)) else []


def _model_message(outputs: Mapping[str, Any] | None) -> list[Any]:
    """Return the message in the outputs of a LangChain or OpenAI model's run."""
    outputs = outputs or {}
    value = outputs.get("generations") or outputs.get("choices") or []
    while isinstance(value, list) and value:
        value = value[0]
    message = value.get("message") if isinstance(value, Mapping) else None
    return [message] if _is_message(message) else []


def _is_message(value: object) -> bool:
    return isinstance(value, Mapping) and bool({"role", "type", "lc", "from"} & set(value))


def _core(message: Any) -> object:
    """Return a message's content without ids, which differ between message formats."""
    inner = message.get("kwargs") or message.get("data")
    inner = inner if isinstance(inner, Mapping) else message
    return inner.get("content", inner.get("value"))


def _keys(values: Mapping[str, Any] | None) -> str:
    return ", ".join(values or ()) or "none"


def _failure(error: Exception, name: str, address: str) -> ApprenticeError:
    from langsmith import APIConnectionError, APIStatusError
    from langsmith.utils import (
        LangSmithAuthError,
        LangSmithConnectionError,
        LangSmithNotFoundError,
        LangSmithUserError,
    )

    reason = public_message(error, 200)
    if isinstance(error, LangSmithNotFoundError):
        return BadInput(f"LangSmith has no project {name[:80]!r} ({reason}). Check its name.")
    if isinstance(error, LangSmithAuthError | LangSmithUserError):
        return MissingPart(f"LangSmith does not let you in ({reason}). Set LANGSMITH_API_KEY.")
    if isinstance(error, LangSmithConnectionError | APIConnectionError):
        return MissingPart(
            f"LangSmith cannot be reached at {address}. Check the network and, if your LangSmith "
            "is elsewhere, LANGSMITH_ENDPOINT."
        )
    status = f" with status {error.status_code}" if isinstance(error, APIStatusError) else ""
    return MissingPart(f"LangSmith refused{status} ({reason}). Try again later.")
