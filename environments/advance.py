"""What drives an episode, for the graphs, the gate and the trainer alike.

An episode is a pure function of its task and the actions so far. A live simulator is only a
cache of them: it is kept under its task and action prefix, handed out to one caller at a time,
and rebuilt by replaying the actions when it is gone (a crash, another worker, a fork).

What cannot be replayed is no cache but a session, and belongs to one attempt: the id of the
attempt's opening message names it. Once it is gone, or a fork has carried it on, the attempt ends
as interrupted.

Everything here is synchronous and may block for as long as a simulator's step or reset takes;
async callers go through `asyncio.to_thread`, unless the environment is `Instant`.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Final
from uuid import uuid4

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage

from apprentice.environments.answers import THOUGHT
from apprentice.environments.protocol import Environment, Simulator, TurnReader
from apprentice.state.messages import REASONING
from apprentice.state.nouns import Observation, Task, Verdict
from apprentice.state.toolcalls import text_with_calls

TURN_CHARACTERS: Final = 4_000
TURN_ACTIONS: Final = 10
REPEATS: Final = 3  # the same action with the same observation, in a row
LIVE_EPISODES: Final = 256
LIVE_SESSIONS: Final = 1024  # as many attempts as one command runs at once, at most
THOUGHT_REPLY: Final = "OK."
_INTERRUPTED: Final = "Interrupted: the environment was lost and cannot be replayed."

_SENTENCE_WORDS: Final = 12  # the longest commands of text games have about ten words
_DECORATION = re.compile(
    r"^(?:[>*+\-•\s]+|\d{1,2}[.)]\s+|(?:next )?(?:action|command)(?: \d+)?:\s*)", re.I
)
_PROSE = re.compile(r"(?:i|i'm|i'll|i've|let|let's|we|since|because|okay|ok|sure)[\s,.!]", re.I)


@dataclass(frozen=True)
class Advance:
    """What one turn of the agent brought about.

    Attributes:
        reply: the environment's answer, the observations a line each.
        steps: actions carried out in the attempt so far, this turn's included; a turn without
            a command counts as one, so that an attempt always ends.
        verdict: set when the attempt is over.
    """

    reply: HumanMessage
    steps: int
    verdict: Verdict | None = None


@dataclass
class _Episode:
    """A live simulator and what was done in it so far."""

    simulator: Simulator
    last: Observation
    actions: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)

    def step(self, action: str) -> str:
        self.last = self.simulator.step(action)
        self.actions.append(action)
        self.answers.append(self.last.text)
        return self.last.text

    def stuck(self) -> bool:
        recent = list(zip(self.actions, self.answers, strict=True))[-REPEATS:]
        return len(recent) == REPEATS and len(set(recent)) == 1


_Key = tuple[str, str, str, tuple[str, ...]]


class _Cache:
    """The live episodes, the longest unused of which is dropped when there are too many.

    An episode is taken out while it is advanced, so two callers never share one. Many may stand
    at the same prefix (attempts at one task side by side begin alike): each puts its own back, so
    only a fork, of which there was one and now are two, finds nothing and replays.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count = 0
        self._episodes: OrderedDict[_Key, list[_Episode]] = OrderedDict()
        self._lock = Lock()

    def take(self, key: _Key) -> _Episode | None:
        with self._lock:
            return self._pop(key) if key in self._episodes else None

    def put(self, key: _Key, episode: _Episode) -> None:
        with self._lock:
            self._episodes.setdefault(key, []).append(episode)
            self._episodes.move_to_end(key)
            self._count += 1
            while self._count > self._limit:
                self._pop(next(iter(self._episodes)))

    def _pop(self, key: _Key) -> _Episode:
        alike = self._episodes[key]
        self._count -= 1
        if len(alike) == 1:
            del self._episodes[key]
        return alike.pop()


class Episodes:
    """The episodes under way: begins them, and carries out turn after turn of the agent.

    Args:
        live: simulators that are kept, at most; one that is gone is rebuilt when it is needed.
        sessions: episodes that cannot be rebuilt and are kept, at most. They are apart, so that
            what can be rebuilt does not crowd them out.
    """

    def __init__(self, live: int = LIVE_EPISODES, sessions: int = LIVE_SESSIONS) -> None:
        self._cache = _Cache(live)
        self._sessions = _Cache(sessions)

    def start(self, where: Environment, task: Task) -> HumanMessage:
        """Begin an attempt: return what the environment shows first.

        The message's id stays with the attempt where its environment cannot be replayed.
        """
        episode = _begin(where, task)
        if where.replayable:
            opening = HumanMessage(episode.last.text)
            self._cache.put(_key(task, "", []), episode)
        else:
            opening = HumanMessage(episode.last.text, id=str(uuid4()))
            self._sessions.put(_key(task, str(opening.id), []), episode)
        return opening

    def advance(
        self, where: Environment, task: Task, messages: Sequence[AnyMessage], turn: AIMessage
    ) -> Advance:
        """Carry out one turn of the agent.

        Args:
            where: the task's environment.
            task: what the attempt is at, as its environment returned it.
            messages: the transcript before the turn.
            turn: what the agent wrote: thoughts, and usually one command.
        """
        past = [actions_of(where, message) for message in messages if message.type == "ai"]
        done = [action for each in past for action in each]
        steps = sum(max(1, len(each)) for each in past)
        session = "" if where.replayable else _session(messages)
        cache = self._cache if where.replayable else self._sessions
        episode = cache.take(_key(task, session, done))
        if episode is None and where.replayable:
            episode = _replay(where, task, done)
        if episode is None:
            return _interrupted(steps)
        limit = where.step_limit(task)
        actions = actions_of(where, turn)
        answers: list[str] = []
        for action in actions[: max(0, limit - steps)]:
            answers.append(episode.step(action))
            if episode.last.over or episode.stuck():
                break
        steps += max(1, len(answers))
        if not actions:
            answers = [THOUGHT_REPLY]
        verdict = _verdict(episode, steps, limit)
        if verdict is None:
            cache.put(_key(task, session, episode.actions), episode)
        return Advance(HumanMessage("\n".join(answers)), steps, verdict)


def actions_of(where: Environment, turn: AnyMessage) -> list[str]:
    """Return the actions of a turn: as the environment reads them, else its commands."""
    text = text_with_calls(turn)
    return where.read_turn(text) if isinstance(where, TurnReader) else read_actions(text)


def read_actions(text: str) -> list[str]:
    """Return the commands of a turn, in order; what models put around them is taken off.

    Lines that begin with 'think:' are thoughts, and so is what stands in <think> tags. Sentences
    beside a command are left out; alone, the first of them is the command, and so is nothing at
    all ('') in an empty turn: the environment answers it. Only a turn of thoughts has none.
    """
    return list(_read(text))


@lru_cache(maxsize=1024)  # every turn of a transcript is read again when the next one comes
def _read(text: str) -> tuple[str, ...]:
    text = REASONING.sub("\nthink:\n", text)[:TURN_CHARACTERS]
    lines = [_bare(line) for line in text.splitlines()]
    lines = [line for line in lines if line]
    said = [line for line in lines if not THOUGHT.match(line)]
    if not said:
        return () if lines else ("",)
    commands = [line for line in said if not _is_prose(line)]
    return tuple((commands or said[:1])[:TURN_ACTIONS])


def _bare(line: str) -> str:
    """Take bullets, quotes, code marks and 'Action:' off a line; a code fence leaves nothing."""
    line = line.strip()
    if line.startswith("```"):
        return ""
    while True:
        bare = _DECORATION.sub("", line.strip("`*\"' \t"), count=1).strip()
        if bare == line:
            return line
        line = bare


def _is_prose(line: str) -> bool:
    return len(line.split()) > _SENTENCE_WORDS or _PROSE.match(line) is not None


def _key(task: Task, session: str, actions: Sequence[str]) -> _Key:
    return task.environment, task.id, session, tuple(actions)


def _session(messages: Sequence[AnyMessage]) -> str:
    """Return the id of an attempt's opening message."""
    return next((message.id or "" for message in messages if message.type == "human"), "")


def _begin(where: Environment, task: Task) -> _Episode:
    simulator = where.reset(task)
    return _Episode(simulator, simulator.first_observation())


def _replay(where: Environment, task: Task, actions: Sequence[str]) -> _Episode:
    """Rebuild an episode from its actions."""
    episode = _begin(where, task)
    for action in actions:
        episode.step(action)
    return episode


def _verdict(episode: _Episode, steps: int, limit: int) -> Verdict | None:
    if episode.last.verdict is not None:
        return episode.last.verdict
    score = min(1.0, max(0.0, episode.last.score))
    if episode.last.done:
        solved = score >= 1.0
        feedback = "Solved." if solved else "The episode ended, and the task is not solved."
        return Verdict(success=solved, score=score, feedback=feedback)
    if episode.stuck():
        return Verdict(
            success=False,
            score=score,
            feedback=f"Stuck: {episode.actions[-1]!r} was answered the same way {REPEATS} times.",
        )
    if steps >= limit:
        return Verdict(
            success=False,
            score=score,
            feedback=f"Out of steps: all {limit} were used, and the task is not solved.",
        )
    return None


def _interrupted(steps: int) -> Advance:
    verdict = Verdict(feedback=_INTERRUPTED, interrupted=True)
    return Advance(HumanMessage(_INTERRUPTED), steps, verdict)
