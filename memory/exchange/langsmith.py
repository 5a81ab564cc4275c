"""Rows from a LangSmith project: its root runs, with the feedback that they got.

The client reads its own settings: LANGSMITH_API_KEY and, for another address, LANGSMITH_ENDPOINT. A
LangSmith of one's own has to be of version 0.16 or later.
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

_AT_ONCE: Final = 100  # runs whose feedback is asked for in one go
_EVER: Final = datetime(2000, 1, 1, tzinfo=UTC)  # or the last day is all that is found
_SELECTED: Final[list[RunSelectField]] = [
    *("ID", "NAME", "INPUTS", "OUTPUTS", "ERROR", "METADATA", "TAGS"),
    *("START_TIME", "END_TIME", "PROMPT_TOKENS", "COMPLETION_TOKENS"),
]
_SOURCES: Final = {"app": "human", "model": "model"}
_ASKED: Final = ("messages", "input", "question", "query", "prompt")
_ANSWERED: Final = ("messages", "output", "answer", "result", "content")


async def project(name: str, feedback: str = "", limit: int | None = None) -> AsyncIterator[Item]:
    """Yield the root runs of a project as rows, the latest first.

    A run's verdict is the latest feedback under one key. A score of 1 is a success, one of 0 a
    failure, and what lies between is kept as a score. Feedback under several keys, of which none
    was chosen, is kept as words: which of them means success is not guessed.

    Args:
        name: the project.
        feedback: the key whose feedback is the verdict.
        limit: how many runs, at most.

    Raises:
        BadInput: if there is no such project.
        MissingPart: if LangSmith cannot be reached or does not let one in.
    """
    from langsmith import APIError, Client
    from langsmith.utils import LangSmithError

    address = ""
    try:
        client = await asyncio.to_thread(Client, auto_batch_tracing=False)
        address = client.api_url
        if not address.startswith(("http://", "https://")):
            raise MissingPart(
                f"LANGSMITH_ENDPOINT is {address[:80]!r}, which is no address that begins with "
                "https://. Set it to LangSmith's, or unset it."
            )
        found = await asyncio.to_thread(client.read_project, project_name=name)
        runs = await asyncio.to_thread(lambda: client.runs)
        asked = runs.query_v2(
            project_ids=[str(found.id)], is_root=True, selects=_SELECTED, min_start_time=_EVER
        )
        batch: list[Run] = []
        left = limit
        async for run in asked:
            if left is not None and left <= 0:
                break
            left = left and left - 1
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
    """Return runs as rows, with the feedback on them."""
    by_run: dict[str, list[Feedback]] = defaultdict(list)
    for each in client.list_feedback(run_ids=[str(run.id) for run in runs]) if runs else ():
        by_run[str(each.run_id)].append(each)
    for given in by_run.values():
        given.sort(key=lambda each: each.modified_at)
    return [_item(run, by_run[str(run.id)], name, key) for run in runs]


def _item(run: Run, given: Sequence[Feedback], name: str, feedback: str) -> Item:
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
        **_verdict(given, feedback),
    }
    return Item(where, row)


def _verdict(given: Sequence[Feedback], key: str) -> dict[str, Any]:
    chosen = [each for each in given if not key or each.key == key]
    if len({each.key for each in chosen}) > 1:
        return {"feedback": "\n".join(_words(each, named=True) for each in chosen)}
    if not chosen:
        return {}
    latest = chosen[-1]
    source = latest.feedback_source.type if latest.feedback_source else ""
    row: dict[str, Any] = {"source": _SOURCES.get(source, "late")}
    score = latest.score
    if not isinstance(score, int | float) or not 0 <= score <= 1:
        return {**row, "feedback": _words(latest, named=True)}
    success = bool(score) if score in (0, 1) else None
    words = _words(latest, named=False)
    return {**row, "success": success, "score": float(score), "feedback": words}


def _words(feedback: Feedback, *, named: bool) -> str:
    """Word feedback: its key and score where they are not kept as such, value and comment."""
    parts = [feedback.value, feedback.comment]
    if named:
        parts = [f"{feedback.key}:", feedback.score, *parts]
    return " ".join(str(part) for part in parts if part is not None)


def _messages(run: Run) -> list[Any]:
    """Return a run's conversation: what went in and what came out, which may repeat it."""
    asked = _said(run.inputs, _ASKED, "user")
    answered = _said(run.outputs, _ANSWERED, "assistant") or _generated(run.outputs)
    if not answered:
        return []
    repeated = [_core(message) for message in answered[: len(asked)]]
    if repeated == [_core(message) for message in asked]:
        return answered
    return [*asked, *answered]


def _said(values: Mapping[str, Any] | None, names: Sequence[str], role: str) -> list[Any]:
    """Return the messages among a run's values; a lone text is said by `role`."""
    values = values or {}
    found = next((values[name] for name in names if values.get(name)), None)
    if found is None and len(values) == 1:
        found = next(iter(values.values()))
    if isinstance(found, str):
        return [{"role": role, "content": found}]
    if isinstance(found, Mapping):
        return [found] if _is_message(found) else _said(found, names, role)
    if isinstance(found, list) and len(found) == 1 and isinstance(found[0], list):
        found = found[0]  # a chat model's run: a list of conversations
    return found if isinstance(found, list) and all(map(_is_message, found)) else []


def _generated(outputs: Mapping[str, Any] | None) -> list[Any]:
    """Return the message of a model's run, LangChain's or OpenAI's."""
    outputs = outputs or {}
    found = outputs.get("generations") or outputs.get("choices") or []
    while isinstance(found, list) and found:
        found = found[0]
    message = found.get("message") if isinstance(found, Mapping) else None
    return [message] if _is_message(message) else []


def _is_message(value: object) -> bool:
    return isinstance(value, Mapping) and bool({"role", "type", "lc", "from"} & set(value))


def _core(message: Any) -> object:
    """Return what a message says, in whichever form: ids and the like differ between forms."""
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

    said = public_message(error, 200)
    if isinstance(error, LangSmithNotFoundError):
        return BadInput(f"LangSmith has no project {name[:80]!r} ({said}). Check its name.")
    if isinstance(error, LangSmithAuthError | LangSmithUserError):
        return MissingPart(f"LangSmith does not let you in ({said}). Set LANGSMITH_API_KEY.")
    if isinstance(error, LangSmithConnectionError | APIConnectionError):
        return MissingPart(
            f"LangSmith cannot be reached at {address}. Check the network and, if your LangSmith "
            "is elsewhere, LANGSMITH_ENDPOINT."
        )
    status = f" with status {error.status_code}" if isinstance(error, APIStatusError) else ""
    return MissingPart(f"LangSmith refused{status} ({said}). Try again later.")
