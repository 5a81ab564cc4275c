"""The driver of episodes: turn semantics, ends, replay and forks, on the real household."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AnyMessage, SystemMessage

from apprentice.environments import advance as driver
from apprentice.environments.advance import TURN_ACTIONS, Advance, Episodes, read_actions
from apprentice.environments.household.expert import Turn, expert
from apprentice.environments.protocol import Environment
from apprentice.state.trajectory import Observation, Task, text_of
from tests.places import environment

HOUSE = environment("household/north/small")
TASK = HOUSE.task("test/0")
ROOM = HOUSE.reset(TASK).first_observation()
PLACES = [c.removeprefix("go to ") for c in ROOM.admissible if c.startswith("go to ")]
LIMIT = HOUSE.step_limit(TASK)


@dataclass(frozen=True)
class Drive:
    """Episodes in one environment."""

    where: Environment = HOUSE
    episodes: Episodes = field(default_factory=Episodes)

    def start(self, task: Task) -> AnyMessage:
        return self.episodes.start(self.where, task)

    def advance(self, task: Task, messages: Sequence[AnyMessage], turn: AIMessage) -> Advance:
        return self.episodes.advance(self.where, task, messages, turn)


DRIVE = Drive()
start, advance = DRIVE.start, DRIVE.advance


def play(task: Task, turns: Sequence[str], drive: Drive = DRIVE) -> list[Advance]:
    """Drive an attempt with fixed turns, as a graph would."""
    messages: list[AnyMessage] = [SystemMessage("act"), drive.start(task)]
    results = []
    for text in turns:
        turn = AIMessage(text)
        results.append(drive.advance(task, messages, turn))
        messages += [turn, results[-1].reply]
    return results


def replies(results: Sequence[Advance]) -> list[str]:
    return [text_of(result.reply) for result in results]


def alone(*commands: str) -> str:
    """Say how a game of its own answers the last of these commands."""
    game = HOUSE.reset(TASK)
    return [game.step(command).text for command in commands][-1]


@pytest.fixture
def forgetful() -> Drive:
    """Lose every live episode at once, as another worker would find it."""
    return Drive(episodes=Episodes(live=0))


@pytest.mark.parametrize(
    ("text", "actions"),
    [
        ("go to desk 1", ["go to desk 1"]),
        ("think: where is it?\ngo to desk 1", ["go to desk 1"]),
        ("Thought: where is it?\nAction: go to desk 1", ["go to desk 1"]),
        ("Thought 2: where?\nAction 2: look", ["look"]),
        ("> go to desk 1", ["go to desk 1"]),
        ("**Action:** `go to desk 1`", ["go to desk 1"]),
        ("- open desk 1\n* look", ["open desk 1", "look"]),
        ("1. open desk 1\n2) look", ["open desk 1", "look"]),
        ("```\ngo to desk 1\n```", ["go to desk 1"]),
        ("```text\ngo to desk 1\n```", ["go to desk 1"]),
        ("I'll look at the desk first.\n\ngo to desk 1", ["go to desk 1"]),
        ("<think>\ngo to bed 1?\nno\n</think>\n\ngo to desk 1", ["go to desk 1"]),
        (f"<think>{'hm ' * 5_000}</think>look", ["look"]),
        ("<think>go to bed 1 or", []),
        ("think: a", []),
        ("> think: a\nTHINK: b", []),
        ("", [""]),
        (" \n\t\n", [""]),
        ("I am not sure.\nI would rather stop.", ["I am not sure."]),
        ("i", ["i"]),
        ("look\n" * 50, ["look"] * TURN_ACTIONS),
        ("x" * 5_000, ["x" * 4_000]),
    ],
)
def test_reads_what_models_write(text: str, actions: list[str]) -> None:
    assert read_actions(text) == actions


PIECES = ["look", "think: ", "- ", "> ", "`", "\n", "<think>", "</think>", "Action:", "1. "]


@given(st.text(max_size=300) | st.lists(st.sampled_from(PIECES)))
def test_reading_never_fails_and_is_bounded(text: str | list[str]) -> None:
    actions = read_actions("".join(text))
    assert len(actions) <= TURN_ACTIONS
    assert all("\n" not in action for action in actions)
    assert actions == [""] or all(action.strip() for action in actions)


@given(st.lists(st.sampled_from(["look", "go to desk 1", "inventory", "open safe 2"]), min_size=1))
def test_plain_commands_are_read_back(commands: list[str]) -> None:
    assert read_actions("\n".join(commands)) == commands[:TURN_ACTIONS]


def test_an_attempt_begins_with_the_environments_opening() -> None:
    assert text_of(start(TASK)) == ROOM.text
    assert TASK.instruction in ROOM.text


def test_thoughts_beside_a_command_cost_nothing() -> None:
    (with_thought,) = play(TASK, [f"think: hm.\ngo to {PLACES[0]}"])
    (plain,) = play(TASK, [f"go to {PLACES[0]}"])
    assert with_thought == plain
    assert plain.steps == 1


def test_a_turn_of_thoughts_is_acknowledged_and_counted() -> None:
    results = play(TASK, ["think: hm."] * LIMIT)
    assert replies(results) == ["OK."] * LIMIT
    assert [result.steps for result in results] == list(range(1, LIMIT + 1))
    assert results[-1].verdict is not None
    assert results[-1].verdict.success is False


@pytest.mark.parametrize("text", ["", "I would rather not.", "fly to the moon 1"])
def test_what_is_no_command_is_answered_by_the_environment(text: str) -> None:
    (result,) = play(TASK, [text])
    assert replies([result]) == ["Nothing happens."]
    assert (result.steps, result.verdict) == (1, None)


def test_several_commands_in_a_turn_are_carried_out_in_order() -> None:
    commands = [f"go to {place}" for place in PLACES[:3]]
    (together,) = play(TASK, ["\n".join(commands)])
    apart = play(TASK, commands)
    assert text_of(together.reply) == "\n".join(replies(apart))
    assert together.steps == apart[-1].steps == 3


def test_an_attempt_ends_out_of_steps_in_the_middle_of_a_turn() -> None:
    steps = [f"go to {PLACES[i % 2]}" for i in range(LIMIT + 3)]
    first, second = play(TASK, ["\n".join(steps[: LIMIT - 1]), "\n".join(steps[LIMIT - 1 :])])
    assert (first.steps, first.verdict) == (LIMIT - 1, None)
    assert second.steps == LIMIT
    assert len(text_of(second.reply).splitlines()) == 1
    assert second.verdict is not None
    assert second.verdict.success is False
    assert second.verdict.feedback.startswith("Out of steps")
    assert (second.verdict.score, second.verdict.source) == (0.0, "environment")


def test_the_same_action_with_the_same_answer_three_times_is_stuck() -> None:
    *before, last = play(TASK, ["dance", "think: again.\ndance", "dance"])
    assert [result.verdict for result in before] == [None, None]
    assert last.verdict is not None
    assert last.verdict.success is False
    assert last.verdict.feedback.startswith("Stuck: 'dance'")


def test_stuck_within_one_turn_ends_it_there() -> None:
    (result,) = play(TASK, ["look\nlook\nlook\nlook\nlook"])
    assert result.steps == 3
    assert result.verdict is not None


def test_the_same_action_with_another_answer_or_another_action_between_is_not_stuck() -> None:
    go = f"go to {PLACES[0]}"  # answered once, then 'Nothing happens.'
    assert play(TASK, [go, go, go])[-1].verdict is None
    assert play(TASK, ["look", "look", "inventory", "look", "look"])[-1].verdict is None


def solve(task: Task) -> tuple[list[str], Advance]:
    """Let the expert act; return its turns and how the attempt ended."""
    messages: list[AnyMessage] = [start(task)]
    turns: list[Turn] = []
    while True:
        text = expert(text_of(messages[0]), turns)
        result = advance(task, messages, AIMessage(text))
        turns.append(Turn(text, text_of(result.reply)))
        messages += [AIMessage(text), result.reply]
        if result.verdict is not None:
            return [turn.text for turn in turns], result


@pytest.fixture(scope="module")
def solved() -> tuple[Task, list[str]]:
    """A task that the unknowing expert solves, and its turns."""
    for task in HOUSE.tasks("test", 24):
        turns, result = solve(task)
        if result.verdict is not None and result.verdict.success:
            return task, turns
    raise AssertionError("the expert solves none of 24 tasks")


def test_a_solved_attempt_scores_one(solved: tuple[Task, list[str]]) -> None:
    task, turns = solved
    last = play(task, turns)[-1]
    assert last.verdict is not None
    assert (last.verdict.success, last.verdict.score) == (True, 1.0)
    assert last.steps == len(turns)


def test_a_lost_episode_is_replayed(solved: tuple[Task, list[str]], forgetful: Drive) -> None:
    task, turns = solved
    assert play(task, turns, forgetful) == play(task, turns)


def test_the_stuck_rule_survives_a_lost_episode(forgetful: Drive) -> None:
    verdicts = [result.verdict for result in play(TASK, ["dance"] * 3, forgetful)]
    assert [verdict is not None for verdict in verdicts] == [False, False, True]


def test_a_fork_leaves_the_other_branch_alone() -> None:
    opening = start(TASK)
    trunk = AIMessage(f"go to {PLACES[0]}")
    messages: list[AnyMessage] = [opening, trunk, advance(TASK, [opening], trunk).reply]
    left = [f"go to {PLACES[1]}", "look"]
    right = [f"go to {PLACES[-1]}", "look"]
    branches: dict[str, list[AnyMessage]] = {"left": [*messages], "right": [*messages]}
    for step in range(2):
        for name, texts in (("left", left), ("right", right)):
            turn = AIMessage(texts[step])
            branches[name] += [turn, advance(TASK, branches[name], turn).reply]
    seen = {name: text_of(branch[-1]) for name, branch in branches.items()}
    assert seen == {"left": alone(*left), "right": alone(*right)}
    assert seen["left"] != seen["right"]


def test_a_turn_that_is_repeated_after_a_crash_gives_the_same() -> None:
    opening = start(TASK)
    turn = AIMessage(f"go to {PLACES[0]}")
    assert advance(TASK, [opening], turn) == advance(TASK, [opening], turn)


def test_many_callers_at_one_prefix_do_not_disturb_each_other() -> None:
    opening = start(TASK)
    trunk = AIMessage(f"go to {PLACES[0]}")
    messages: list[AnyMessage] = [opening, trunk, advance(TASK, [opening], trunk).reply]
    targets = PLACES[1:] * 20

    def visit(place: str) -> str:
        turn = AIMessage(f"go to {place}")
        reply = advance(TASK, messages, turn).reply
        again = AIMessage("look")
        return text_of(advance(TASK, [*messages, turn, reply], again).reply)

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(visit, targets))
    assert seen == [alone(f"go to {PLACES[0]}", f"go to {place}", "look") for place in targets]


COMMANDS = st.sampled_from(
    [*ROOM.admissible, *(f"open {p}" for p in PLACES), *(f"close {p}" for p in PLACES), "sing", ""]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(COMMANDS, max_size=LIMIT - 1), st.data())
def test_an_episode_depends_on_its_actions_alone(commands: list[str], data: Any) -> None:
    """However actions are spread over turns, and whatever is lost between, they say the same."""
    singly = play(TASK, commands)
    ended = next((i for i, result in enumerate(singly, 1) if result.verdict), len(singly))
    singly = singly[:ended]
    turns: list[list[str]] = []
    for command in commands[:ended]:
        if turns and command and turns[-1] != [""] and data.draw(st.booleans()):
            turns[-1].append(command)
        else:
            turns.append([command])
    scarce = Drive(episodes=Episodes(live=data.draw(st.integers(0, 2))))
    grouped = play(TASK, ["\n".join(turn) for turn in turns], scarce)
    assert "\n".join(replies(grouped)) == "\n".join(replies(singly))
    if singly:
        assert (grouped[-1].steps, grouped[-1].verdict) == (singly[-1].steps, singly[-1].verdict)


def test_the_cache_keeps_no_more_than_its_limit() -> None:
    cache = driver._Cache(limit=2)
    simulator = environment("household").reset(TASK)
    for number in (0, 1, 2, 3, 4, 4):
        cache.put(("e", str(number), "", ()), driver._Episode(simulator, ROOM))
    kept = [n for n in (3, 4, 4, 4) if cache.take(("e", str(n), "", ()))]
    assert kept == [4, 4]


def test_attempts_side_by_side_at_one_task_replay_nothing() -> None:
    """They stand at the same prefix, and each finds a live episode there."""
    begun = 0

    def counting(task: Task) -> Any:
        nonlocal begun
        begun += 1
        return HOUSE.reset(task)

    stand: Any = Stand(reset=counting)
    drive = Drive(stand)
    openings: list[AnyMessage] = [drive.start(TASK) for _ in range(8)]
    transcripts = [[opening] for opening in openings]
    for step in range(5):
        turn = AIMessage(f"go to {PLACES[step % 2]}")
        for transcript in transcripts:
            transcript += [turn, drive.advance(TASK, transcript, turn).reply]
    assert begun == 8
    assert len({tuple(map(text_of, transcript)) for transcript in transcripts}) == 1


@dataclass
class Stand:
    """The household, with its own way to begin an episode."""

    reset: Any
    replayable: bool = True
    step_limit: Any = HOUSE.step_limit


@dataclass
class Once:
    """An environment whose episodes cannot be repeated: each counts what was said in it.

    It ends with half a score.
    """

    name: str = "once"
    instructions: str = ""
    splits: tuple[str, ...] = ("test",)
    replayable: bool = False

    def tasks(self, split: str, limit: int, seed: int = 0) -> Iterator[Task]:
        yield from [self.task("only")][:limit]

    def task(self, task_id: str) -> Task:
        return Task(id=task_id, environment=self.name)

    def reset(self, task: Task) -> Session:
        return Session()

    def step_limit(self, task: Task) -> int:
        return 5


class Session:
    """One live session of it."""

    def __init__(self) -> None:
        self.said = 0

    def first_observation(self) -> Observation:
        return Observation(text="hello")

    def step(self, action: str) -> Observation:
        self.said += 1
        return Observation(text=f"{action} {self.said}", score=0.5, done=action == "finish")


@pytest.fixture
def drive() -> Drive:
    return Drive(Once())


@pytest.fixture
def once(drive: Drive) -> Task:
    return drive.where.task("only")


def test_an_episode_may_end_without_being_solved(once: Task, drive: Drive) -> None:
    verdict = play(once, ["wait", "finish"], drive)[-1].verdict
    assert verdict is not None
    assert (verdict.success, verdict.score) == (False, 0.5)


def test_attempts_side_by_side_never_share_what_cannot_be_replayed(
    once: Task, drive: Drive
) -> None:
    one: list[AnyMessage] = [drive.start(once)]
    two: list[AnyMessage] = [drive.start(once)]
    for attempt in (one, two, two, one):  # the same actions, so the same prefixes
        turn = AIMessage("wait")
        attempt += [turn, drive.advance(once, attempt, turn).reply]
    assert [text_of(m) for m in one] == [text_of(m) for m in two]
    assert [text_of(m) for m in one if m.type == "human"] == ["hello", "wait 1", "wait 2"]


@pytest.mark.parametrize("done", [0, 1])
def test_what_cannot_be_replayed_is_interrupted(done: int, once: Task, drive: Drive) -> None:
    messages: list[AnyMessage] = [drive.start(once)]
    for _ in range(done):
        turn = AIMessage("wait")
        messages += [turn, drive.advance(once, messages, turn).reply]
    elsewhere = Drive(drive.where)  # another worker
    result = elsewhere.advance(once, messages, AIMessage("wait"))
    assert result.verdict is not None
    assert result.verdict.interrupted
    assert result.verdict.success is None
    assert result.verdict.feedback.startswith("Interrupted")
    assert result.steps == done


def test_a_fork_of_what_cannot_be_replayed_is_interrupted(once: Task, drive: Drive) -> None:
    messages: list[AnyMessage] = [drive.start(once)]
    turn = AIMessage("wait")
    first, fork = (drive.advance(once, messages, turn) for _ in range(2))
    assert first.verdict is None
    assert fork.verdict is not None
    assert fork.verdict.interrupted
