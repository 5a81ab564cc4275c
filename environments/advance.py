"""`Episodes` executes the turns of attempts; the graphs, the gate and the trainer all use it.

An episode is a pure function of its task and its actions so far. A live simulator only caches that
function. The cache stores it under its task and its actions and hands it to one caller at a time.
If the simulator is lost (a crash, another worker, a fork), a replay of the actions rebuilds it.

An episode that cannot be replayed is a session and belongs to one attempt. The id of the attempt's
first message names the session. If the session is lost, or a fork has advanced it, the attempt ends
as interrupted.

The functions are synchronous and block while a simulator steps or resets. Async callers use
`asyncio.to_thread`, unless the environment is `Instant`.
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
from apprentice.state.toolcalls import text_with_calls
from apprentice.state.trajectory import Observation, Task, Verdict

TURN_CHARACTERS: Final = 4_000
TURN_ACTIONS: Final = 10
REPEATS: Final = 3  # the same action with the same observation, in a row
LIVE_EPISODES: Final = 256
LIVE_SESSIONS: Final = 1024  # the most attempts that one command runs at the same time
THOUGHT_REPLY: Final = "OK."
_INTERRUPTION: Final = "Interrupted: the environment was lost and cannot be replayed."

_SENTENCE_WORDS: Final = 12  # the longest commands of text games have about ten words
_DECORATION = re.compile(
    r"^(?:[>*+\-•\s]+|\d{1,2}[.)]\s+|(?:next )?(?:action|command)(?: \d+)?:\s*)", re.I
)
_PROSE = re.compile(r"(?:i|i'm|i'll|i've|let|let's|we|since|because|okay|ok|sure)[\s,.!]", re.I)


@dataclass(frozen=True)
class Advance:
    """The result of one turn of the agent.

    Attributes:
        reply: the environment's message, with one line for each observation.
        steps: the number of actions in the attempt so far, including this turn. A turn without
            a command counts as one, so that every attempt ends.
        verdict: the verdict if the attempt is over, else None.
    """

    reply: HumanMessage
    steps: int
    verdict: Verdict | None = None


@dataclass
class _Episode:
    """A live simulator, and the actions and observations so far."""

    simulator: Simulator
    last: Observation
    actions: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)

    def step(self, action: str) -> str:
        self.last = self.simulator.step(action)
        self.actions.append(action)
        self.answers.append(self.last.text)
        return self.last.text

    def repeats_itself(self) -> bool:
        recent = list(zip(self.actions, self.answers, strict=True))[-REPEATS:]
        return len(recent) == REPEATS and len(set(recent)) == 1


_Key = tuple[str, str, str, tuple[str, ...]]


class _Cache:
    """The live episodes; above the limit, the cache drops the one that was unused for longest.

    `take` removes an episode from the cache, so two callers never share one. Several episodes may
    have the same key, because parallel attempts at one task begin with the same actions. Each
    caller puts its own episode back. A fork needs two episodes where there was one, so its second
    branch replays.
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
        episodes = self._episodes[key]
        self._count -= 1
        if len(episodes) == 1:
            del self._episodes[key]
        return episodes.pop()


class Episodes:
    """The episodes of the present attempts: it begins them and executes the agent's turns.

    Args:
        live: the most simulators in the cache. A replay rebuilds one that the cache dropped.
        sessions: the most episodes that cannot be replayed. They have a cache of their own, so
            that replayable episodes do not displace them.
    """

    def __init__(self, live: int = LIVE_EPISODES, sessions: int = LIVE_SESSIONS) -> None:
        self._cache = _Cache(live)
        self._sessions = _Cache(sessions)

    def start(self, where: Environment, task: Task) -> HumanMessage:
        """Begin an attempt and return its first message, the first observation.

        If the environment cannot be replayed, the message's id identifies the attempt's session.
        """
        episode = _begin(where, task)
        if where.replayable:
            message = HumanMessage(episode.last.text)
            self._cache.put(_key(task, "", []), episode)
        else:
            message = HumanMessage(episode.last.text, id=str(uuid4()))
            self._sessions.put(_key(task, str(message.id), []), episode)
        return message

    def advance(
        self, where: Environment, task: Task, messages: Sequence[AnyMessage], turn: AIMessage
    ) -> Advance:
        """Execute one turn of the agent.

        Args:
            where: the task's environment.
            task: the task of the attempt, as its environment returned it.
            messages: the transcript before the turn.
            turn: the agent's message: thoughts, and usually one command.
        """
        turns = [actions_of(where, message) for message in messages if message.type == "ai"]
        past_actions = [action for actions in turns for action in actions]
        steps = sum(max(1, len(actions)) for actions in turns)
        session = "" if where.replayable else _session(messages)
        cache = self._cache if where.replayable else self._sessions
        episode = cache.take(_key(task, session, past_actions))
        if episode is None and where.replayable:
            episode = _replay(where, task, past_actions)
        if episode is None:
            return _interruption(steps)
        limit = where.step_limit(task)
        actions = actions_of(where, turn)
        answers: list[str] = []
        for action in actions[: max(0, limit - steps)]:
            answers.append(episode.step(action))
            if episode.last.over or episode.repeats_itself():
                break
        steps += max(1, len(answers))
        if not actions:
            answers = [THOUGHT_REPLY]
        verdict = _verdict(episode, steps, limit)
        if verdict is None:
            cache.put(_key(task, session, episode.actions), episode)
        return Advance(HumanMessage("\n".join(answers)), steps, verdict)


def actions_of(where: Environment, turn: AnyMessage) -> list[str]:
    """Return the actions of a turn, as the environment reads them; else the commands."""
    text = text_with_calls(turn)
    return where.read_turn(text) if isinstance(where, TurnReader) else read_actions(text)


def read_actions(text: str) -> list[str]:
    """Return the commands of a turn, in order, without the decoration that models add.

    Lines that begin with 'think:' and <think> blocks are thoughts, not commands. Prose sentences
    beside a command are ignored. Without a command, the first sentence counts as one, and an empty
    turn counts as the command ''; the environment replies to both. Only a turn of thoughts has no
    command.
    """
    return list(_read(text))


@lru_cache(maxsize=1024)  # `advance` reads all earlier turns of a transcript again
def _read(text: str) -> tuple[str, ...]:
    text = REASONING.sub("\nthink:\n", text)[:TURN_CHARACTERS]
    lines = [_bare(line) for line in text.splitlines()]
    lines = [line for line in lines if line]
    candidates = [line for line in lines if not THOUGHT.match(line)]
    if not candidates:
        return () if lines else ("",)
    commands = [line for line in candidates if not _is_prose(line)]
    return tuple((commands or candidates[:1])[:TURN_ACTIONS])


def _bare(line: str) -> str:
    """Strip bullets, quotes, code marks and 'Action:' from a line; a code fence becomes ''."""
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
    """Return the id of an attempt's first message."""
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
        success = score >= 1.0
        feedback = "Solved." if success else "The episode ended, and the task is not solved."
        return Verdict(success=success, score=score, feedback=feedback)
    if episode.repeats_itself():
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


def _interruption(steps: int) -> Advance:
    verdict = Verdict(feedback=_INTERRUPTION, interrupted=True)
    return Advance(HumanMessage(_INTERRUPTION), steps, verdict)
