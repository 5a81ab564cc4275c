"""Examples from attempts: successes to imitate, turns to contrast, and tasks to attempt.

By default, the rules, exemplars and reflections of an attempt are removed from its prompts. The
model then learns to act as if it saw them, so their content goes into the weights.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import product, takewhile
from typing import Final, NamedTuple

from apprentice.models.toolcalls import as_chat
from apprentice.state.prompts import ACTING_SECTIONS
from apprentice.state.toolcalls import REFUSED
from apprentice.state.trajectory import Task, Trajectory, text_of
from apprentice.training.datasets.card import Example
from apprentice.training.datasets.rows import Row

TRAINABLE: Final = "train"
ENOUGH_ATTEMPTS: Final = 3  # with as many successes and no failure, a task is always solved
_REFUSAL: Final = f"<tool_response>\n{REFUSED}"
_HEADERS: Final = tuple(f"\n\n{header}\n" for _, header in ACTING_SECTIONS)


class Extraction(NamedTuple):
    """Examples from attempts, and the number of attempts that gave none, by reason."""

    examples: list[Example]
    left_out: Counter[str]

    @classmethod
    def nothing(cls) -> Extraction:
        """Return an extraction without examples."""
        return cls([], Counter())


def successes(attempts: Iterable[Trajectory], *, strip: bool = True) -> Extraction:
    """Return each success as a conversation to imitate; shorter ones have a lower rank.

    With `strip`, a success that saw reflections on its own task is left out. Without the
    reflections nothing in the prompt says what to do, so the model would learn to guess. Refused
    calls are removed with their refusal, so that the model learns the right call only.
    """
    examples: list[Example] = []
    left_out: Counter[str] = Counter()
    for attempt in attempts:
        if reason := (
            unusable(attempt)
            or ("" if attempt.verdict.success else "not_a_success")
            or _rests_on_lessons(attempt, strip=strip)
        ):
            left_out[reason] += 1
            continue
        chat = _carried_out(_chat(attempt, strip=strip))
        while chat and chat[-1]["role"] != "assistant":
            chat.pop()  # the model learns nothing from the environment's last turn
        if not chat:
            left_out["no_turns"] += 1
            continue
        examples.append(
            _example({"messages": chat}, attempt, rank=len(chat), sources=(attempt.id,))
        )
    return Extraction(examples, left_out)


def contrasts(attempts: Iterable[Trajectory], *, strip: bool = True) -> Extraction:
    """Return the turns at which a success and a failure of the same task diverge.

    The prompt of an example is what both attempts have in common. The two answers are the next turn
    of each. Later turns are left out, because they react to different situations and contain
    the environment's words. Successes are filtered and stripped as in `successes`.
    """
    left_out: Counter[str] = Counter()
    by_task: defaultdict[str, list[Trajectory]] = defaultdict(list)
    for attempt in attempts:
        if reason := unusable(attempt) or _rests_on_lessons(attempt, strip=strip):
            left_out[reason] += 1
        else:
            by_task[task_key(attempt.task)].append(attempt)
    examples: list[Example] = []
    for same_task in by_task.values():
        solutions = [attempt for attempt in same_task if attempt.verdict.success]
        failures = [attempt for attempt in same_task if attempt.verdict.success is False]
        if not (solutions and failures):
            left_out["one_sided"] += len(same_task)
        for success, failure in product(solutions, failures):
            better = _carried_out(_chat(success, strip=strip))
            row = _contrast(better, _chat(failure, strip=strip))
            if row is None:
                left_out["never_diverged"] += 1
                continue
            sources = (success.id, failure.id)
            examples.append(_example(row, success, rank=len(row["prompt"]), sources=sources))
    return Extraction(examples, left_out)


def challenges(attempts: Iterable[Trajectory]) -> Extraction:
    """Return each attempted task once, to be attempted in training.

    A task with several attempts, all of them successes, is left out: every new attempt would get
    the same reward, so the model would learn nothing.
    """
    left_out: Counter[str] = Counter()
    by_task: defaultdict[str, list[Trajectory]] = defaultdict(list)
    for attempt in attempts:
        if reason := unusable(attempt):
            left_out[reason] += 1
        else:
            by_task[task_key(attempt.task)].append(attempt)
    examples = []
    for same_task in by_task.values():
        task = same_task[0].task
        if len(same_task) >= ENOUGH_ATTEMPTS and all(
            attempt.verdict.success for attempt in same_task
        ):
            left_out["always_solved"] += 1
            continue
        row: Row = {"environment": task.environment, "task": task.id}
        sources = tuple(attempt.id for attempt in same_task)
        examples.append(_example(row, same_task[0], sources=sources))
    return Extraction(examples, left_out)


def shuffle_verdicts(attempts: Sequence[Trajectory], seed: int) -> list[Trajectory]:
    """Return the attempts with shuffled verdicts, as a control without information on outcomes."""
    verdicts = [attempt.verdict for attempt in attempts]
    random.Random(seed).shuffle(verdicts)
    return [
        attempt.model_copy(update={"verdict": verdict})
        for attempt, verdict in zip(attempts, verdicts, strict=True)
    ]


def task_key(task: Task) -> str:
    """Return a key that is unique among the tasks of all environments."""
    return f"{task.environment}#{task.id}"


def strip_view(system: str) -> str:
    """Return a system turn's instructions, without rules, exemplars and reflections."""
    cuts = [system.find(header) for header in _HEADERS]
    return system[: min((cut for cut in cuts if cut >= 0), default=len(system))]


def view_text(attempt: Trajectory) -> str:
    """Return what an attempt's system turns show after the instructions."""
    systems = [text_of(message) for message in attempt.messages if message.type == "system"]
    return "".join(system[len(strip_view(system)) :] for system in systems)


def unusable(attempt: Trajectory) -> str:
    """Return why an attempt is unusable for training; '' if it is usable."""
    if attempt.task.split != TRAINABLE:
        return "held_out_split"
    if attempt.verdict.success is None:
        return "no_verdict"
    if not any(message.type == "ai" for message in attempt.messages):
        return "no_turns"
    return ""


def _rests_on_lessons(attempt: Trajectory, *, strip: bool) -> str:
    """Return 'rests_on_lessons' for a success that saw reflections which `strip` removes."""
    rests = strip and attempt.verdict.success and attempt.in_view.reflections
    return "rests_on_lessons" if rests else ""


def _carried_out(chat: Sequence[Row]) -> list[Row]:
    """Remove refused calls, each with the refusal after it."""
    refusals = {at for at, turn in enumerate(chat) if turn["content"].startswith(_REFUSAL)}
    return [turn for at, turn in enumerate(chat) if not refusals & {at, at + 1}]


def _chat(attempt: Trajectory, *, strip: bool) -> list[Row]:
    turns = as_chat(attempt.messages)
    for turn in turns:
        if strip and turn["role"] == "system":
            turn["content"] = strip_view(turn["content"])
    return [turn for turn in turns if turn["content"] or turn.get("tool_calls")]


def _contrast(success: Sequence[Row], failure: Sequence[Row]) -> Row | None:
    """Return the first differing turns of two conversations as a row, if both are the agent's."""
    pairs = zip(success, failure, strict=False)
    common = [one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]
    after = len(common)
    if after >= min(len(success), len(failure)) or not common:
        return None
    better, worse = success[after], failure[after]
    if {better["role"], worse["role"]} != {"assistant"}:
        return None
    return {"prompt": common, "chosen": [better], "rejected": [worse]}


def _example(
    row: Row, attempt: Trajectory, *, sources: Sequence[str], rank: float = 0.0
) -> Example:
    return Example(
        row=row,
        task=task_key(attempt.task),
        environment=attempt.task.environment,
        opening=opening_of(attempt),
        family=attempt.task.kind,
        sources=tuple(sources),
        at=attempt.ended_at,
        rank=rank,
    )


def opening_of(attempt: Trajectory) -> str:
    """Return the first message of the environment or the user."""
    texts = (text_of(message) for message in attempt.messages if message.type == "human")
    return next(texts, "")
