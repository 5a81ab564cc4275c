"""The engine behind a local model: one thread that owns it and answers requests in batches.

    submit -> inbox -> admit -> step -> step -> ... -> answer
                         ^        |
                         +--------+   new requests join between two steps

Every step reads or writes tokens of all active conversations. When a conversation has its answer,
it leaves, and its cache is stored for its next turn.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Literal

from apprentice.models.names import EngineLimits, LocalModels
from apprentice.models.prefixes import Prefixes
from apprentice.models.transformers_workarounds import LOAD_LOCK
from apprentice.state.errors import (
    ApprenticeError,
    BadInput,
    ContextOverflow,
    ModelFailure,
    missing_extra,
)
from apprentice.state.redaction import public_message

if TYPE_CHECKING:
    from apprentice.models.weights import Variant, Weights


@dataclass(frozen=True)
class Request:
    """One question to a local model.

    Attributes:
        messages: the conversation in the form that chat templates read.
        tools: JSON Schemas of functions.
        adapter: the folder of a LoRA adapter, or None.
        stop: texts that end the answer. They are not part of it.
    """

    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    adapter: Path | None = None
    temperature: float = 0.0
    max_tokens: int = 128
    seed: int | None = None
    stop: Sequence[str] = ()


@dataclass(frozen=True)
class Answer:
    """A model's answer. `cached_tokens` of its input tokens were in the cache already."""

    text: str
    finish: Literal["stop", "length"]
    input_tokens: int
    output_tokens: int
    cached_tokens: int


Inbox = SimpleQueue["tuple[Request, Future[Answer]] | None"]


@dataclass
class _Conversation:
    """An active conversation."""

    request: Request
    future: Future[Answer]
    variant: Variant
    cache: Any
    tokens: list[int]
    limit: int
    chance: Any
    cached_tokens: int
    output: list[int] = field(default_factory=list)

    @property
    def unread(self) -> Sequence[int]:
        """Return the tokens that the network has not read yet."""
        at = self.cache.length
        if at >= len(self.tokens):
            return self.output[at - len(self.tokens) :]
        return self.tokens[at:] + self.output


class InferenceEngine:
    """A local model in its own thread. It loads at the first request.

    Args:
        name: the model's plain name.
        models: the folders of the weights, the device, and the size of the batches.
    """

    def __init__(self, name: str, models: LocalModels) -> None:
        self.name = name
        self._models = models
        self._inbox: Inbox = SimpleQueue()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._end: ApprenticeError | None = None
        self._thread = threading.Thread(target=self._run, name=f"local:{name}", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether the engine still accepts requests."""
        return self._end is None

    def submit(self, request: Request) -> Future[Answer]:
        """Queue a request and return at once. To drop the request, cancel the future.

        Raises:
            ApprenticeError: the engine has ended, for this reason.
        """
        future: Future[Answer] = Future()
        with self._lock:
            if self._end:
                raise self._end
            self._inbox.put((request, future))
            if self._thread.ident is None:
                atexit.register(self.close)
                self._thread.start()
        return future

    def close(self) -> None:
        """Stop the thread. Requests without an answer fail."""
        with self._lock:
            self._end = self._end or ModelFailure(f"local:{self.name} was closed. Ask again.")
            has_started = self._thread.ident is not None
        self._stop.set()
        self._inbox.put(None)  # wakes the thread
        if has_started and threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        """Work until closed. This is the thread's boundary: every error goes to the requesters."""
        rows: list[_Conversation] = []
        end: ApprenticeError | None = None
        try:
            _Worker(self.name, self._models, self._inbox, rows).work(self._stop)
        except ApprenticeError as error:
            end = error
        except Exception as error:
            end = ModelFailure(
                f"local:{self.name} broke down: {type(error).__name__}: "
                f"{public_message(error)}. "
                "The next request loads it again."
            )
            end.__cause__ = error
        with self._lock:
            self._end = end or self._end
        atexit.unregister(self.close)
        orphans = [row.future for row in rows] + [item[1] for item in _drain(self._inbox) if item]
        for future in orphans:
            if not future.done():
                _fail(future, self._end)


class _Worker:
    """The loop inside the thread."""

    def __init__(
        self, name: str, models: LocalModels, inbox: Inbox, rows: list[_Conversation]
    ) -> None:
        self._rows = rows
        self._inbox = inbox
        folder = models.folder(name)
        with LOAD_LOCK:
            try:
                from apprentice.models import weights
            except ImportError as error:
                raise missing_extra("local", f"local:{name}", error) from error
            self._choose, self._generator = weights.choose, weights.generator
            self._weights: Weights = weights.Weights(name, folder, models.device or "cpu")
        self._prefixes = Prefixes()
        self._limits = models.limits

    def work(self, stop: threading.Event) -> None:
        """Answer requests until `stop` is set."""
        while True:
            self._admit()
            if stop.is_set():
                return
            for row in self._rows:
                if row.future.cancelled():
                    self._release(row)
            self._rows[:] = [row for row in self._rows if not row.future.done()]
            for variant in {id(row.variant): row.variant for row in self._rows}.values():
                self._step([row for row in self._rows if row.variant is variant])

    def _admit(self) -> None:
        """Admit new requests. If nothing is active, wait for one."""
        newcomers = [] if self._rows else [self._inbox.get()]
        while len(self._rows) + len(newcomers) < self._limits.conversations:
            try:
                newcomers.append(self._inbox.get_nowait())
            except Empty:
                break
        for request, future in filter(None, newcomers):
            if future.cancelled():
                continue
            try:
                self._rows.append(self._begin(request, future))
            except Exception as error:  # the request's fault: only its own future fails
                _fail(future, _sentence(self._weights.name, error))

    def _begin(self, request: Request, future: Future[Answer]) -> _Conversation:
        weights = self._weights
        if not request.messages:
            raise BadInput(f"A request to local:{weights.name} has no message. Send at least one.")
        variant = weights.variant(request.adapter)
        tokens = variant.words.encode(request.messages, request.tools)
        if len(tokens) >= weights.context:
            raise ContextOverflow(f"local:{weights.name}", len(tokens), weights.context - 1)
        cache = self._prefixes.take(variant.key, tokens) or variant.network.cache()
        return _Conversation(
            request=request,
            future=future,
            variant=variant,
            cache=cache,
            tokens=tokens,
            limit=min(request.max_tokens, weights.context - len(tokens)),
            chance=self._generator(request.seed, tokens) if request.temperature > 0 else None,
            cached_tokens=cache.length,
        )

    def _step(self, rows: list[_Conversation]) -> None:
        """Advance the conversations of one network, as many as fit into a step."""
        batch: list[tuple[_Conversation, Sequence[int]]] = []
        room = self._limits.step_tokens
        for row in rows:
            tokens = row.unread[:room]
            if tokens:
                batch.append((row, tokens))
                room -= len(tokens)
        logits = rows[0].variant.network.forward([(row.cache, tokens) for row, tokens in batch])
        ready = [number for number, (row, _) in enumerate(batch) if not row.unread]
        if not ready:
            return
        next_tokens = self._choose(
            logits[ready],
            [batch[number][0].request.temperature for number in ready],
            [batch[number][0].chance for number in ready],
        )
        for number, token in zip(ready, next_tokens, strict=True):
            self._write(batch[number][0], token)

    def _write(self, row: _Conversation, token: int) -> None:
        """Append a token, and answer if it ends the turn."""
        words = row.variant.words
        if token in words.ends:
            self._answer(row, words.decode(row.output), "stop")
            return
        row.output.append(token)
        if row.request.stop:
            text = words.decode(row.output)
            ends = [at for at in map(text.find, row.request.stop) if at >= 0]
            if ends:
                self._answer(row, text[: min(ends)], "stop")
                return
        if len(row.output) >= row.limit:
            self._answer(row, words.decode(row.output), "length")

    def _answer(self, row: _Conversation, text: str, finish: Literal["stop", "length"]) -> None:
        if row.future.set_running_or_notify_cancel():  # from here on it cannot be cancelled
            self._release(row)
            row.future.set_result(
                Answer(text, finish, len(row.tokens), len(row.output), row.cached_tokens)
            )

    def _release(self, row: _Conversation) -> None:
        """Store the cache of a conversation for its next turn."""
        read = (row.tokens + row.output)[: row.cache.length]
        self._prefixes.keep(row.variant.key, read, row.cache)


def _drain(inbox: SimpleQueue[Any]) -> list[Any]:
    items = []
    while not inbox.empty():
        items.append(inbox.get())
    return items


def _fail(future: Future[Answer], error: ApprenticeError | None) -> None:
    if future.set_running_or_notify_cancel():
        future.set_exception(error)


def _sentence(name: str, error: Exception) -> ApprenticeError:
    """Return any error of a request as an error of this project."""
    if isinstance(error, ApprenticeError):
        return error
    failure = ModelFailure(f"local:{name} cannot read this conversation: {public_message(error)}.")
    failure.__cause__ = error
    return failure


_engines: dict[tuple[Path, str, EngineLimits], InferenceEngine] = {}
_engines_lock = threading.Lock()


def engine(name: str, models: LocalModels) -> InferenceEngine:
    """Return the running engine of a model. Start one if there is none, or if it has ended.

    All callers with the same weights folder, device and limits share an engine.
    """
    key = (models.place(name), models.device, models.limits)
    with _engines_lock:
        current = _engines.get(key)
        if current is None or not current.alive:
            current = _engines[key] = InferenceEngine(name, models)
        return current


def close_all() -> None:
    """Stop every engine and free its memory."""
    with _engines_lock:
        running_engines = list(_engines.values())
        _engines.clear()
    for one in running_engines:
        one.close()
