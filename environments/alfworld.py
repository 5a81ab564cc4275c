"""The real ALFWorld games (Shridhar et al., ICLR 2021), through the official packages.

The module needs the extra `alfworld` and the games' data, as `alfworld-download` stores them:
`$ALFWORLD_DATA/json_2.1.1/<split>/<task>/<trial>/game.tw-pddl`.
"""

from __future__ import annotations

import json
import os
import re
import sys
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from threading import Lock
from typing import Any, Final

from apprentice.environments.household.language import NOTHING, parse_command
from apprentice.state.errors import BadInput, BrokenData, MissingPart, UnknownName, missing_extra
from apprentice.state.prompts import HOUSEHOLD_INSTRUCTIONS
from apprentice.state.trajectory import Observation, Task, digest

# Actions an attempt may take. On 36 games of valid_unseen, an expert that knows where things are
# needs at most 9 actions. An expert that knows nothing solves 39 % within 10 actions, 53 % within
# 12, 67 % within 16, 86 % within 20, and all within 50, the limit of the papers.
STEP_LIMIT: Final = 12

KINDS: Final = {
    "pick_and_place_simple": "pick",
    "look_at_obj_in_light": "light",
    "pick_clean_then_place_in_recep": "clean",
    "pick_heat_then_place_in_recep": "heat",
    "pick_cool_then_place_in_recep": "cool",
    "pick_two_obj_and_place": "two",
}
SPLITS: Final = ("train", "valid_seen", "valid_unseen")

_DEFAULT_DATA: Final = "~/.cache/alfworld"  # the default of alfworld-download
_GAME_FILE: Final = "game.tw-pddl"
_FOLDER = r"(?!\.)[A-Za-z0-9_.-]+"
_ID = re.compile(rf"({'|'.join(SPLITS)})/({_FOLDER})/({_FOLDER})")
_SENTENCE = re.compile(r'"Your task is to: ([^"]+)"')
_ARRIVAL = re.compile(r"^You arrive at loc \d+\. ")

# The translation of a game's PDDL uses global options and replaces sys.argv and sys.stdout for a
# while. So one game is translated at a time, and output of other threads is lost meanwhile.
_engine_lock = Lock()


class Alfworld:
    """The games as tasks; a task's id is `<split>/<task folder>/<trial folder>`."""

    name = "alfworld"
    splits: tuple[str, ...] = SPLITS
    replayable = True
    instructions = HOUSEHOLD_INSTRUCTIONS

    def __init__(self, data: Path | None = None) -> None:
        self._data = data or Path(_DEFAULT_DATA)
        self._idle: deque[_TextGame] = deque()

    def tasks(self, split: str, limit: int, seed: int = 0) -> Iterator[Task]:
        """Yield tasks in an order that the seed determines, the families in turn.

        Like the official loader, this leaves out games that cannot be solved and tasks with
        movable receptacles or sliced things.
        """
        if split not in SPLITS:
            raise UnknownName("alfworld split", split, SPLITS)
        for task_id in _in_turns(_ids(self._root, split), seed):
            if limit <= 0:
                return
            file = _file(self._root, task_id)
            game = _read(file)
            if game["solvable"]:
                limit -= 1
                yield _task(task_id, game, file)

    def task(self, task_id: str) -> Task:
        """Return the task of an id."""
        file = _file(self._root, task_id)
        return _task(task_id, _read(file), file)

    def reset(self, task: Task) -> Game:
        """Start an episode. This takes 0.5 to 3 s, mostly for the translation of the PDDL."""
        file = _file(self._root, task.id)
        data = _read(file)
        try:
            engine = self._idle.pop()
        except IndexError:
            engine = _TextGame()
        engine.load(file, data)
        game = Game(engine)
        # Each engine loads a copy of the planner's library and never unloads it, so reuse engines.
        weakref.finalize(game, self._idle.append, engine).atexit = False
        return game

    def step_limit(self, task: Task) -> int:
        """Return how many actions an attempt may take: the same for every task."""
        return STEP_LIMIT

    @property
    def _root(self) -> Path:
        """The folder that holds the splits.

        Raises:
            MissingPart: if the folder does not exist.
        """
        folder = self._data.expanduser() / "json_2.1.1"
        if not folder.is_dir():
            raise MissingPart(
                f"There are no ALFWorld games at {folder}. Install the extra 'alfworld' (in a "
                "clone: make alfworld), run alfworld-download, and set ALFWORLD_DATA to the "
                "folder that contains json_2.1.1."
            )
        return folder


class Game:
    """One episode of one game, with the wording of ReAct's reference code."""

    def __init__(self, engine: _TextGame) -> None:
        self._engine = engine
        self._last = self._take_in(engine.first_observation.partition("\n\n")[2].strip())

    def first_observation(self) -> Observation:
        """Return the room and the task sentence, without the welcome banner."""
        return self._last

    def step(self, action: str) -> Observation:
        """Execute one command, in the wording of older or newer game data."""
        command = self._commands.get(parse_command(action))
        if command is None:
            return self._last.model_copy(update={"text": NOTHING})
        self._last = self._take_in(_ARRIVAL.sub("", self._engine.step(command)))
        return self._last

    def _take_in(self, text: str) -> Observation:
        admissible, success = self._engine.admissible, self._engine.success
        self._commands = {parse_command(command): command for command in admissible}
        return Observation(text=text, score=float(success), done=success, admissible=admissible)


class _TextGame:
    """One TextWorld interpreter and its copy of the planner's library."""

    def __init__(self) -> None:
        try:
            import textworld
            from alfworld.agents.environment.alfred_tw_env import AlfredDemangler
            from textworld.envs import PddlEnv

            infos = textworld.EnvInfos(feedback=True, won=True, admissible_commands=True)
            self._env: Any = AlfredDemangler(PddlEnv(infos))
        except ImportError as error:
            raise missing_extra("alfworld", "The environment alfworld", error) from error

    def load(self, file: Path, game: dict[str, Any]) -> None:
        self._file = file
        with self._interpret():
            self._env.load(game)
            self._state = self._env.reset()
        self.first_observation: str = self._state.feedback

    def step(self, command: str) -> str:
        with self._interpret():
            self._state, _, _ = self._env.step(command)
        return str(self._state.feedback)

    @property
    def admissible(self) -> tuple[str, ...]:
        return tuple(self._state.admissible_commands)

    @property
    def success(self) -> bool:
        return bool(self._state.won)

    @contextmanager
    def _interpret(self) -> Iterator[None]:
        with _engine_lock:
            arguments = sys.argv
            try:
                yield
            # A damaged file makes the interpreter's parsers raise a dozen kinds of errors.
            except (Exception, SystemExit) as error:
                raise _broken(self._file, str(error) or type(error).__name__) from error
            finally:
                sys.argv = arguments


def _ids(root: Path, split: str) -> Iterator[str]:
    """Yield the ids of a split's supported tasks, sorted."""
    for file in sorted((root / split).glob(f"*/*/{_GAME_FILE}")):
        task_id = file.parent.relative_to(root).as_posix()
        is_supported = "movable" not in task_id and "Sliced" not in task_id
        if is_supported and _ID.fullmatch(task_id) and _kind(task_id):
            yield task_id


def _in_turns(ids: Iterator[str], seed: int) -> Iterator[str]:
    """Order ids by the seed, the families in turn."""
    families: dict[str, list[str]] = {kind: [] for kind in KINDS.values()}
    for task_id in sorted(ids, key=lambda task_id: digest(seed, task_id)):
        families[_kind(task_id)].append(task_id)
    for turn in zip_longest(*families.values()):
        yield from (task_id for task_id in turn if task_id)


def _kind(task_id: str) -> str:
    return KINDS.get(task_id.split("/")[1].partition("-")[0], "")


def _file(root: Path, task_id: str) -> Path:
    file = root / task_id / _GAME_FILE
    # Where a file system takes 'Trial' for 'trial', a task would have two ids: ask for its names.
    written_so = _ID.fullmatch(task_id) and all(
        folder.is_dir() and folder.name in os.listdir(folder.parent) for folder in file.parents[:2]
    )
    if not written_so or not _kind(task_id) or not file.is_file():
        raise BadInput(
            f"There is no ALFWorld task {task_id[:200]!r}. Ids look like "
            "'valid_unseen/<task folder>/<trial folder>'."
        )
    return file


def _read(file: Path) -> dict[str, Any]:
    """Read a game file and check the parts that a task needs."""
    try:
        game: Any = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _broken(file, str(error)) from error
    parts = {"pddl_domain": str, "pddl_problem": str, "grammar": str, "solvable": bool}
    if not isinstance(game, dict):
        raise _broken(file, "it is not a JSON object")
    for part, kind in parts.items():
        if not isinstance(game.get(part), kind):
            raise _broken(file, f"it has no {part}")
    return game


def _task(task_id: str, game: dict[str, Any], file: Path) -> Task:
    sentence = _SENTENCE.search(game["grammar"])
    if sentence is None:
        raise _broken(file, "it has no task sentence")
    return Task(
        id=task_id,
        environment=Alfworld.name,
        instruction=sentence[1],
        kind=_kind(task_id),
        split=task_id.partition("/")[0],
    )


def _broken(file: Path, why: str) -> BrokenData:
    return BrokenData(
        f"{file} is not a game that can be played: {why}. Delete it and run alfworld-download."
    )
