"""Examples from attempts: successes to imitate, turns that made the difference, tasks to try.

What was in view beside the task (rules, examples, lessons) is taken out of the prompts unless told
otherwise: a model that learns to act as if it had seen them has them in its weights.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import product, takewhile
from typing import Final, NamedTuple

from apprentice.models.toolcalls import as_chat
from apprentice.state.nouns import Task, Trajectory, text_of
from apprentice.state.prompts import ACTING_SECTIONS
from apprentice.state.toolcalls import REFUSED
from apprentice.training.datasets.card import Example
from apprentice.training.datasets.rows import Row

TRAINABLE: Final = "train"
TELLING: Final = 3  # attempts
_REFUSAL: Final = f"<tool_response>\n{REFUSED}"
_HEADERS: Final = tuple(f"\n\n{header}\n" for _, header in ACTING_SECTIONS)


class Found(NamedTuple):
    """Examples, and how many attempts gave none, by reason."""

    examples: list[Example]
    left_out: Counter[str]

    @classmethod
    def nothing(cls) -> Found:
        """Return no examples."""
        return cls([], Counter())


def successes(attempts: Iterable[Trajectory], *, strip: bool = True) -> Found:
    """Return each success as a conversation to imitate; a task's shortest come first.

    One that had lessons about its own task in view is left out where views are taken out: nothing
    in what remains would tell what to do, so imitating it is learning to guess. Calls that were
    refused are taken out with their refusal: what is learned is to be right at once.
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
            chat.pop()  # the last word is the environment's; nothing is learned from it
        if not chat:
            left_out["no_turns"] += 1
            continue
        examples.append(
            _example({"messages": chat}, attempt, rank=len(chat), sources=(attempt.id,))
        )
    return Found(examples, left_out)


def contrasts(attempts: Iterable[Trajectory], *, strip: bool = True) -> Found:
    """Return the turns at which a success and a failure of the same task diverge.

    Of successes the same are left out, and the same is taken out, as where they are imitated. The
    prompt is what both had in common; of either only the one turn is kept, because what comes
    after it answers to another situation, and the environment's words are not the model's.
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
        solved = [attempt for attempt in same_task if attempt.verdict.success]
        failed = [attempt for attempt in same_task if attempt.verdict.success is False]
        if not (solved and failed):
            left_out["one_sided"] += len(same_task)
        for success, failure in product(solved, failed):
            better = _carried_out(_chat(success, strip=strip))
            row = _contrast(better, _chat(failure, strip=strip))
            if row is None:
                left_out["never_diverged"] += 1
                continue
            sources = (success.id, failure.id)
            examples.append(_example(row, success, rank=len(row["prompt"]), sources=sources))
    return Found(examples, left_out)


def challenges(attempts: Iterable[Trajectory]) -> Found:
    """Return the tasks that were attempted, to be attempted in training.

    A task that was solved every time, often enough to tell, gives every attempt the same reward,
    and so teaches nothing.
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
        if len(same_task) >= TELLING and all(attempt.verdict.success for attempt in same_task):
            left_out["always_solved"] += 1
            continue
        row: Row = {"environment": task.environment, "task": task.id}
        sources = tuple(attempt.id for attempt in same_task)
        examples.append(_example(row, same_task[0], sources=sources))
    return Found(examples, left_out)


def shuffled(attempts: Sequence[Trajectory], seed: int) -> list[Trajectory]:
    """Return attempts with their verdicts dealt out anew: a control that knows no outcomes."""
    verdicts = [attempt.verdict for attempt in attempts]
    random.Random(seed).shuffle(verdicts)
    return [
        attempt.model_copy(update={"verdict": verdict})
        for attempt, verdict in zip(attempts, verdicts, strict=True)
    ]


def task_key(task: Task) -> str:
    """Return what names a task among those of all environments."""
    return f"{task.environment}#{task.id}"


def stripped(system: str) -> str:
    """Return a system turn without what was shown beside the instructions."""
    cuts = [system.find(header) for header in _HEADERS]
    return system[: min((cut for cut in cuts if cut >= 0), default=len(system))]


def shown(attempt: Trajectory) -> str:
    """Return what was in view beside the instructions and the task."""
    systems = [text_of(message) for message in attempt.messages if message.type == "system"]
    return "".join(system[len(stripped(system)) :] for system in systems)


def unusable(attempt: Trajectory) -> str:
    """Say why nothing can be learned from an attempt; '' when something can."""
    if attempt.task.split != TRAINABLE:
        return "held_out_split"
    if attempt.verdict.success is None:
        return "no_verdict"
    if not any(message.type == "ai" for message in attempt.messages):
        return "no_turns"
    return ""


def _rests_on_lessons(attempt: Trajectory, *, strip: bool) -> str:
    """Say so of a success whose prompt will not show what it knew; '' of any other attempt."""
    rests = strip and attempt.verdict.success and attempt.in_view.reflections
    return "rests_on_lessons" if rests else ""


def _carried_out(chat: Sequence[Row]) -> list[Row]:
    """Take calls out that were not carried out, each with the refusal after it."""
    refusals = {at for at, turn in enumerate(chat) if turn["content"].startswith(_REFUSAL)}
    return [turn for at, turn in enumerate(chat) if not refusals & {at, at + 1}]


def _chat(attempt: Trajectory, *, strip: bool) -> list[Row]:
    turns = as_chat(attempt.messages)
    for turn in turns:
        if strip and turn["role"] == "system":
            turn["content"] = stripped(turn["content"])
    return [turn for turn in turns if turn["content"] or turn.get("tool_calls")]


def _contrast(success: Sequence[Row], failure: Sequence[Row]) -> Row | None:
    """Cut two conversations at the first turn in which they differ, if that is the agent's."""
    pairs = zip(success, failure, strict=False)
    common = [one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]
    after = len(common)
    if after >= min(len(success), len(failure)) or not common:
        return None
    chosen, rejected = success[after], failure[after]
    if {chosen["role"], rejected["role"]} != {"assistant"}:
        return None
    return {"prompt": common, "chosen": [chosen], "rejected": [rejected]}


def _example(
    row: Row, attempt: Trajectory, *, sources: Sequence[str], rank: float = 0.0
) -> Example:
    return Example(
        row=row,
        task=task_key(attempt.task),
        environment=attempt.task.environment,
        opening=opening(attempt),
        family=attempt.task.kind,
        sources=tuple(sources),
        at=attempt.ended_at,
        rank=rank,
    )


def opening(attempt: Trajectory) -> str:
    """Return what the environment, or a person, said first."""
    said = (text_of(message) for message in attempt.messages if message.type == "human")
    return next(said, "")
