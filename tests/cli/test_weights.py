"""The lesson of `learn` in which practice moves into the weights."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from apprentice.cli import journal
from apprentice.cli.demo import weights
from apprentice.cli.demo.fine_tuner import (
    CONTROL,
    RECIPES,
    SFT,
    FineTuner,
    Recipe,
    fine_tuning_workspace,
    run_job,
)
from apprentice.cli.demo.reflexion import SIZES
from apprentice.environments.household.expert import Knowledge
from apprentice.models.names import LocalModels
from apprentice.settings import Settings
from apprentice.state.errors import TrainingFailure
from apprentice.state.trajectory import text_of
from apprentice.testing import Scripted
from apprentice.training import jobs
from apprentice.training.adapters import Adapters
from apprentice.training.datasets.episodes import task_key
from apprentice.training.jobs import Job
from apprentice.training.settings import SftSettings
from apprentice.workspace import Workspace
from tests.cli import pupil
from tests.cli.conftest import Apprentice
from tests.cli.test_learn import Page
from tests.places import environment
from tests.training.attempts import attempt, pairs, speaking, told
from tests.training.work import untrained

LESSON = (
    *("learn", "--name", "a", "--tasks", "2", "--trials", "1"),
    *("--exemplars", "12", "--training", "0", "--steps", "3"),
)
FEW = ("--rows", "1", "--fresh", "12", "--draws", str(DRAWS := 3))
FOLDER = Path("runs/a")


def broken(folder: Path) -> None:
    """End a job badly."""
    jobs.write_whole(folder / jobs.FAILURE, {"error": "The disk is full."})


def chat(
    name: str, *, adapter: str = "", temperature: float = 0, seed: int = 0, **settings: Any
) -> Scripted:
    """Play an expert who needs examples, until an adapter has taught it where things are.

    Every other time that it is drawn, its answers are those of one who knows nothing.
    """
    if not adapter:
        return Scripted(pupil.pupil)
    blind = temperature > 0 and seed % 2
    return Scripted(speaking(Knowledge() if blind else Knowledge(told("north").storage)))


@pytest.fixture
def started(apprentice: Apprentice) -> list[Path]:
    """Put the quick trainer in place of the process, and count what it is given."""
    given: list[Path] = []

    def spawn(folder: Path) -> None:
        given.append(folder)
        registry = Adapters(LocalModels(None, (FOLDER / "weights" / "adapters").resolve()))
        untrained(folder, registry)

    apprentice.spawn = spawn
    return given


def workshop(folder: Path) -> FineTuner:
    """Return a workshop whose trainers die without a word."""
    workspace = Workspace(folder / "data", spawn=lambda *_: None)
    return FineTuner(workspace, folder, "local:novice", steps=1)


def test_each_way_has_a_row_and_what_was_done_is_not_done_again(
    apprentice: Apprentice, started: list[Path]
) -> None:
    apprentice.chat = chat
    quick, apprentice.spawn = apprentice.spawn, broken
    failed = apprentice(*LESSON, *FEW)
    apprentice.spawn = quick
    assert failed.exit_code == 1
    assert "The disk is full." in failed.output
    assert "with the same options, continues." in failed.output
    practised = journal.read(FOLDER / "coached.jsonl")[1]
    assert len(practised) == 2 * 12

    result = apprentice(*LESSON, *FEW)
    assert result.exit_code == 0, result.output
    assert journal.read(FOLDER / "coached.jsonl")[1] == practised
    figures = json.loads((FOLDER / "report.json").read_text())["weights"]
    assert list(figures) == [weights.BASE, *RECIPES]
    page = " ".join(Page((FOLDER / "report.html").read_text()).texts)
    for name, row in figures.items():
        assert name in result.output
        assert name in page
        assert row["rate"][1] == 4  # two tasks of each size of room
    plain = figures[weights.BASE]["rate"][0]
    assert figures[SFT]["rate"][0] >= plain
    assert figures[SFT]["above_base"]["value"] == pytest.approx(
        (figures[SFT]["rate"][0] - plain) / 4
    )
    # Each adapter is another one, and those that refine go on from the imitator's.
    names = {name: row["tuned"]["adapter"] for name, row in figures.items() if row["tuned"]}
    assert len(set(names.values())) == len(RECIPES) == len(started)
    registry = FOLDER / "weights" / "adapters"
    assert {path.name for path in registry.iterdir()} == set(names.values())
    for name, way in RECIPES.items():
        told = json.loads((registry / names[name] / "card.json").read_text())
        assert told["parent"] == (names[SFT] if way.after else "")
        assert told["settings"]["max_steps"] == 3 * way.share
    assert figures[CONTROL]["tuned"]["rows"] > 0
    # What refines is learned from the imitator's own attempts, at tasks that taught it nothing.
    draws = [journal.read(path)[1] for path in sorted(FOLDER.glob("drawn-*.jsonl"))]
    assert [len(each) for each in draws] == [6] * DRAWS * len(SIZES)
    own = [done for each in draws for done in each]
    assert not {task_key(done.task) for done in own} & {task_key(done.task) for done in practised}
    assert {each.adapter for done in own for each in done.attempts} == {names[SFT]}
    solved = Counter(task_key(done.task) for done in own if done.solved_at)
    assert set(solved.values()) >= {1, DRAWS}
    assert figures["sft + dpo"]["tuned"]["rows"] > 0
    always = sum(times == DRAWS for times in solved.values())
    assert figures["sft + grpo"]["tuned"]["rows"] == 12 - always

    # The same command again trains nothing, and says the same.
    before = (FOLDER / "report.json").read_text()
    apprentice.chat = lambda name, **settings: Scripted([])
    assert apprentice(*LESSON, *FEW).exit_code == 0
    assert (FOLDER / "report.json").read_text() == before
    assert len(started) == len(RECIPES)


def test_a_way_with_too_little_to_learn_from_is_left_out(
    apprentice: Apprentice, started: list[Path]
) -> None:
    apprentice.chat = chat
    small = ("--exemplars", "2", "--training", "0", "--steps", "3", "--rows", "20")
    result = apprentice(*LESSON[:7], *small)
    assert result.exit_code == 0, result.output
    figures = json.loads((FOLDER / "report.json").read_text())["weights"]
    told = " ".join(result.output.split())
    assert "Not trained, sft" in told
    assert "needs at least 20 rows" in told
    assert len(started) == max(0, len(figures) - 1) < len(RECIPES)


def test_a_hosted_model_has_no_such_rows(apprentice: Apprentice, started: list[Path]) -> None:
    small = ("--exemplars", "1", "--training", "0", "--steps", "3")
    result = apprentice(*LESSON[:7], *small, "--model", "openai:gpt-5-mini")
    assert result.exit_code == 0, result.output
    assert json.loads((FOLDER / "report.json").read_text())["weights"] == {}
    assert started == []


async def test_a_trainer_that_dies_without_a_word_is_told(tmp_path: Path) -> None:
    shop = workshop(tmp_path)
    data = shop.dataset(RECIPES[SFT], list(pairs(12)))
    job = Job.of(data.folder, SftSettings(max_steps=1), shop.workspace.local_models)
    launcher = shop.launcher
    launcher.patience = 0.0
    with pytest.raises(TrainingFailure, match="its process was killed or never started"):
        await run_job(job, launcher)


def test_a_dataset_holds_nothing_of_the_tasks_that_it_is_tried_on(tmp_path: Path) -> None:
    attempts = list(pairs(24))
    shop = workshop(tmp_path)
    test = [attempts[0].task]
    rows = shop.dataset(RECIPES[SFT], attempts, test).rows()
    said = {turn["content"] for row in rows for turn in row["messages"]}
    assert text_of(attempts[0].messages[1]) not in said
    assert text_of(attempts[2].messages[1]) in said


def test_the_control_has_as_many_rows_and_knows_no_outcomes(tmp_path: Path) -> None:
    tasks = environment("household/north/small").tasks("train", 40)
    attempts = [
        attempt(task, told("north") if number % 2 else Knowledge())
        for number, task in enumerate(tasks)
    ]
    right = {each.id for each in attempts if each.verdict.success}
    shop = workshop(tmp_path)
    learned = {
        chance: shop.dataset(Recipe("", "sft", chance=chance), attempts) for chance in (False, True)
    }
    assert len(learned[True].rows()) == len(learned[False].rows()) == len(right)
    assert set(learned[False].card.sources) == right
    assert set(learned[True].card.sources) - right


def test_a_lessons_adapters_are_in_its_own_folder_and_jobs_share_the_cores(tmp_path: Path) -> None:
    here = Workspace(tmp_path / "data", settings=Settings(adapters=tmp_path / "elsewhere"))
    there = fine_tuning_workspace(here, tmp_path / "weights")
    assert there.adapters.root == tmp_path / "weights" / "adapters"
    assert here.adapters.root == tmp_path / "elsewhere"
    told = there.settings.for_process(data=there.data, adapters=there.adapters.root)
    assert told["APPRENTICE_ADAPTERS"] == str(tmp_path / "weights" / "adapters")
    assert int(told["OMP_NUM_THREADS"]) >= 1
