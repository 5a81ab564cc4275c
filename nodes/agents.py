"""Ask an agent for its next turn: a model by name, or the caller's own code.

An *agent* acts, reflects or judges: it reads messages and returns a turn. It is any chat model or
other Runnable over messages, a compiled graph over `{"messages": […]}`, or a function. A sync
function runs in a thread. The agent answers with a message, a text, or `{"messages": […]}`; the
last AI message counts.
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
from apprentice.state.redaction import public_message
from apprentice.state.trajectory import Usage, text_of
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
    ((ModelNotFoundError,), "Check the model's name, and the address if the server is your own."),
    (
        (ContextOverflowError,),
        "Show fewer rules or exemplars, or choose a model with a longer context.",
    ),
    (
        (ModelInvalidRequestError,),
        "Check whether the model accepts this temperature and max_tokens.",
    ),
    ((ModelRateLimitError,), "Wait a while, or run fewer tasks at once."),
    (
        (ModelTimeoutError, TimeoutError),
        "The model took too long: try later, or run fewer tasks at once.",
    ),
    (
        (ModelConnectionError, ConnectionError),
        "No server answers at the address: check the network, and OPENAI_BASE_URL if the server is "
        "your own.",
    ),
    ((ModelError,), "The provider reports a fault of its own: try later."),
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
        agent: the caller's own agent, if there is one.
        messages: the conversation so far.
        context: names the model and says how to sample from it.
        workspace: has the models.
        about: what the call is for, such as the graph and the environment. It becomes the metadata
            of the call's trace.

    Raises:
        MissingPart: there is no agent, and neither the context nor the workspace names a model.
        ModelUnavailable: the model cannot answer for now.
        ModelFailure: the model refuses to answer, or the answer contains no AI message.
    """
    started_at = perf_counter()
    conversation = list(messages)
    if agent is None:
        await workspace.ready()
        answer = await _ask_model(conversation, workspace.with_model(context), workspace, about)
    elif isinstance(agent, PregelProtocol):
        answer = await agent.ainvoke({"messages": conversation}, _trace_config(about))
    elif isinstance(agent, Runnable):
        answer = await agent.ainvoke(conversation, _trace_config(about))
    else:
        answer = await call(agent, conversation)
    turns = _ai_messages(answer, conversation)
    usage = _usage(turns, perf_counter() - started_at)
    return Reply(_cap(turns[-1]), usage)


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
    make_model = partial(
        workspace.chat,
        context.model,
        adapter=adapter,
        temperature=context.temperature,
        max_tokens=context.max_tokens,
        seed=context.seed,
    )
    # Making a hosted model may import its provider's package, which blocks.
    local = context.model.startswith(LOCAL)
    model = make_model() if local else await asyncio.to_thread(make_model)
    about = {**about, "model": context.model, "adapter": context.adapter}
    try:
        async with asyncio.timeout(None if local else workspace.patience):
            return await model.ainvoke(messages, _trace_config(about))
    except ApprenticeError:
        raise
    except (ModelError, ConnectionError, TimeoutError) as error:
        raise _failure(context.model, error) from error
    except (ValueError, TypeError, LookupError) as error:  # the client cannot parse the answer
        raise ModelFailure(
            f"The model {context.model!r} answered with something that is not a chat message "
            f"({public_message(error)}). Check that its address belongs to a chat model's API."
        ) from error


def _trace_config(about: dict[str, str]) -> RunnableConfig:
    """Label a call's trace, so that people can find runs by graph, environment and model."""
    tags = [f"{name}:{value}" for name, value in about.items() if value]
    return RunnableConfig(tags=tags, metadata=dict(about))


def _failure(model: str, error: Exception) -> ModelFailure:
    advice = next(advice for kinds, advice in _ADVICE if isinstance(error, kinds))
    reason = public_message(error)
    if getattr(error, "is_retryable", True):
        return ModelUnavailable(
            f"The model {model!r} did not answer ({reason}). {advice} Finished work is "
            "saved: run it again to go on."
        )
    return ModelFailure(f"The model {model!r} refused to answer ({reason}). {advice}")


def _ai_messages(answer: object, conversation: Sequence[AnyMessage]) -> list[AIMessage]:
    """Return the new AI messages of an answer, at least one.

    Raises:
        ModelFailure: the answer contains no AI message.
    """
    if isinstance(answer, str):
        return [AIMessage(answer)]
    messages: list[Any] = [answer]
    if isinstance(answer, dict):
        earlier_ids = {id(message) for message in conversation} | {
            m.id for m in conversation if m.id
        }
        messages = [
            message
            for message in convert_to_messages(answer.get("messages", []))
            if id(message) not in earlier_ids and message.id not in earlier_ids
        ]
    whole = [
        message_chunk_to_message(message) if isinstance(message, AIMessageChunk) else message
        for message in messages
    ]
    turns = [message for message in whole if isinstance(message, AIMessage)]
    if not turns:
        kind = answer.type if isinstance(answer, BaseMessage) else type(answer).__name__
        raise ModelFailure(
            f"The agent answered with {kind!r}, which contains no AI message. An agent returns a "
            'text, an AIMessage, or {"messages": [...]} that ends with one.'
        )
    return turns


def _usage(turns: Sequence[AIMessage], seconds: float) -> Usage:
    counts = [message.usage_metadata for message in turns if message.usage_metadata]
    return Usage(
        calls=len(turns),
        input_tokens=sum(count["input_tokens"] for count in counts),
        output_tokens=sum(count["output_tokens"] for count in counts),
        seconds=seconds,
    )


def _cap(message: AIMessage) -> AIMessage:
    """Cut a turn to the length that environments read, so that it does not fill later prompts."""
    text = text_of(message)
    if len(text) <= TURN_CHARACTERS:
        return message
    # The command comes after the thought, so the thought is cut first.
    _, end_of_thought, rest = text.rpartition("</think>")
    return message.model_copy(
        update={"content": (rest if end_of_thought else text)[:TURN_CHARACTERS]}
    )
