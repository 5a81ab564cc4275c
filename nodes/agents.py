"""Whoever acts, reflects or judges: a model by name, or the caller's own code.

An *agent* turns messages into a turn. It is any chat model or other Runnable over messages, a
compiled graph over `{"messages": […]}`, or a function (async, or sync and then run in a thread).
It answers with a message, a text, or `{"messages": […]}`, of which the last AI message counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from time import perf_counter
from typing import Any, Final, NamedTuple

from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
    ModelTimeoutError,
)
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    AnyMessage,
    BaseMessage,
    convert_to_messages,
    message_chunk_to_message,
)
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.pregel.protocol import PregelProtocol
from langgraph.types import RetryPolicy

from apprentice.environments.advance import TURN_CHARACTERS
from apprentice.state.context import NO_ADAPTER, Context
from apprentice.state.errors import ApprenticeError, ModelFailure, ModelUnavailable
from apprentice.state.nouns import Usage, text_of
from apprentice.state.redaction import public_message
from apprentice.workspace import LOCAL, Workspace

Agent = (
    Runnable[Any, Any]
    | Callable[[list[AnyMessage]], Awaitable[Any]]
    | Callable[[list[AnyMessage]], Any]
)
RETRY: Final = RetryPolicy(max_attempts=3, retry_on=ModelUnavailable)

_ADVICE: Final[tuple[tuple[tuple[type[Exception], ...], str], ...]] = (
    (
        (ModelAuthenticationError, ModelPermissionDeniedError),
        "Check the provider's key, in the environment or in .env.",
    ),
    ((ModelNotFoundError,), "Check the model's name, and the address if it is your own server."),
    (
        (ContextOverflowError,),
        "Show fewer rules or exemplars, or choose a model with a longer context.",
    ),
    ((ModelInvalidRequestError,), "Check whether it takes this temperature and length of turn."),
    ((ModelRateLimitError,), "Wait a while, or run fewer tasks at once."),
    ((ModelTimeoutError, TimeoutError), "It took too long: try later, or run fewer tasks at once."),
    (
        (ModelConnectionError, ConnectionError),
        "Nobody answers there: check the network, and OPENAI_BASE_URL if it is your own server.",
    ),
    ((ModelError,), "The fault is the provider's: try later."),
)


class Reply(NamedTuple):
    """An agent's turn and what it cost."""

    message: AIMessage
    usage: Usage


async def ask(
    agent: Agent | None,
    messages: Sequence[AnyMessage],
    context: Context,
    workspace: Workspace,
    **about: str,
) -> Reply:
    """Ask an agent, or the context's model when there is none, for its next turn.

    Args:
        agent: the caller's own, if any.
        messages: the conversation so far.
        context: names the model and how to sample from it.
        workspace: has the models.
        about: what the call is for; metadata of its trace, such as the graph and the environment.

    Raises:
        MissingPart: if there is no agent, and nobody names a model.
        ModelUnavailable: if the model cannot answer for now.
        ModelFailure: if it cannot answer at all, or the answer is no turn.
    """
    began = perf_counter()
    given = list(messages)
    if agent is None:
        await workspace.ready()
        answer = await _ask_model(given, workspace.resolved(context), workspace, about)
    elif isinstance(agent, PregelProtocol):
        answer = await agent.ainvoke({"messages": given}, _traced(about))
    elif isinstance(agent, Runnable):
        answer = await agent.ainvoke(given, _traced(about))
    else:
        answer = await call(agent, given)
    said = _said(answer, given)
    usage = _usage(said, perf_counter() - began)
    return Reply(_capped(said[-1]), usage)


async def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call the caller's own function: await it if it is async, else run it in a thread."""
    if iscoroutinefunction(function):
        return await function(*arguments)
    answer = await asyncio.to_thread(function, *arguments)
    return await answer if isawaitable(answer) else answer


async def _ask_model(
    messages: list[AnyMessage], context: Context, workspace: Workspace, about: dict[str, str]
) -> Any:
    adapter = "" if context.adapter == NO_ADAPTER else context.adapter
    if adapter:
        await asyncio.to_thread(workspace.adapters.check_owner, adapter, context.tenant)
    named = partial(
        workspace.chat,
        context.model,
        adapter=adapter,
        temperature=context.temperature,
        max_tokens=context.max_tokens,
        seed=context.seed,
    )
    # A hosted provider's package may have to be imported; a local model waits in its own thread.
    local = context.model.startswith(LOCAL)
    model = named() if local else await asyncio.to_thread(named)
    about = {**about, "model": context.model, "adapter": context.adapter}
    try:
        async with asyncio.timeout(None if local else workspace.patience):
            return await model.ainvoke(messages, _traced(about))
    except ApprenticeError:
        raise
    except (ModelError, ConnectionError, TimeoutError) as error:
        raise _failure(context.model, error) from error
    except (ValueError, TypeError, LookupError) as error:  # what parsing an odd answer raises
        raise ModelFailure(
            f"The model {context.model!r} answered with something that is no chat message "
            f"({public_message(error)}). Check that its address is that of a chat model's API."
        ) from error


def _traced(about: dict[str, str]) -> RunnableConfig:
    """Label a call's trace, so that runs can be found by graph, environment and model."""
    tags = [f"{name}:{value}" for name, value in about.items() if value]
    return RunnableConfig(tags=tags, metadata=dict(about))


def _failure(model: str, error: Exception) -> ModelFailure:
    advice = next(advice for kinds, advice in _ADVICE if isinstance(error, kinds))
    reason = public_message(error)
    if getattr(error, "is_retryable", True):
        return ModelUnavailable(
            f"The model {model!r} did not answer ({reason}). {advice} What was done so far is "
            "kept: run it again to go on."
        )
    return ModelFailure(f"The model {model!r} refused to answer ({reason}). {advice}")


def _said(answer: object, given: Sequence[AnyMessage]) -> list[AIMessage]:
    """Return the AI messages of an answer that were not given; at least one."""
    if isinstance(answer, str):
        return [AIMessage(answer)]
    messages: list[Any] = [answer]
    if isinstance(answer, dict):
        known = {id(message) for message in given} | {m.id for m in given if m.id}
        messages = [
            message
            for message in convert_to_messages(answer.get("messages", []))
            if id(message) not in known and message.id not in known
        ]
    whole = [
        message_chunk_to_message(message) if isinstance(message, AIMessageChunk) else message
        for message in messages
    ]
    said = [message for message in whole if isinstance(message, AIMessage)]
    if not said:
        kind = answer.type if isinstance(answer, BaseMessage) else type(answer).__name__
        raise ModelFailure(
            f"The agent answered with {kind!r}, which holds no AI message. An agent returns a "
            'text, an AIMessage, or {"messages": [...]} that ends with one.'
        )
    return said


def _usage(said: Sequence[AIMessage], seconds: float) -> Usage:
    counts = [message.usage_metadata for message in said if message.usage_metadata]
    return Usage(
        calls=len(said),
        input_tokens=sum(count["input_tokens"] for count in counts),
        output_tokens=sum(count["output_tokens"] for count in counts),
        seconds=seconds,
    )


def _capped(message: AIMessage) -> AIMessage:
    """Cut what no environment reads, so that one endless turn does not fill every later prompt."""
    text = text_of(message)
    if len(text) <= TURN_CHARACTERS:
        return message
    # A long thought comes before the command it leads to; the thought is what can be spared.
    _, thought, rest = text.rpartition("</think>")
    return message.model_copy(update={"content": (rest if thought else text)[:TURN_CHARACTERS]})
