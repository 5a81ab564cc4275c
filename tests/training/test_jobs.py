"""A job survives whatever kills its trainer, and there is one trainer a job."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from apprentice.state.errors import AlreadyRunning, BrokenData, UnknownName
from apprentice.training.jobs import (
    Job,
    hold_lock,
    in_turn,
    is_locked,
    look,
    read_job,
    write_job,
    write_whole,
)
from apprentice.training.run import STARTS, last_checkpoint
from apprentice.training.settings import SftSettings
from tests.training import tiny
from tests.training.conftest import Workplace
from tests.training.work import done, untrained

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*pin_memory.*"),
]
SLOW_ENOUGH = SftSettings(
    base="llama", batch=4, max_steps=20, every=4, learning_rate=5e-3, dropout=0.1
)


def job(workplace: Workplace, settings: SftSettings = SLOW_ENOUGH) -> Job:
    valid = tiny.chats(2, start=90)
    data = tiny.dataset(workplace.root / "data", "sft", tiny.chats(24), valid)
    return Job.of(data.folder, settings, workplace.local)


def said(folder: Path) -> list[dict[str, Any]]:
    file = folder / "progress.jsonl"
    lines = file.read_bytes().split(b"\n")[:-1] if file.is_file() else []
    return [json.loads(line) for line in lines]


def wait_for(folder: Path, event: str, seconds: float = 900) -> None:
    deadline = time.monotonic() + seconds
    while not any(one["event"] == event for one in said(folder)):
        assert time.monotonic() < deadline, (folder / "log.txt").read_text()
        time.sleep(0.02)


def send(folder: Path, what: signal.Signals) -> None:
    """Send a signal to the trainer."""
    os.kill(int((folder / "lock").read_text()), what)


def kill(folder: Path) -> None:
    """Kill the trainer as the system would, and wait until it is gone."""
    send(folder, signal.SIGKILL)
    while is_locked(folder):
        time.sleep(0.01)


def test_the_id_is_of_the_rows_the_base_and_the_settings(
    workplace: Workplace, tmp_path: Path
) -> None:
    one = job(workplace)
    moved = tiny.dataset(tmp_path / "moved", "sft", tiny.chats(24), tiny.chats(2, start=90))
    assert Job.of(moved.folder, SLOW_ENOUGH, workplace.local).id == one.id
    assert job(workplace, SftSettings(base="llama", seed=1)).id != one.id
    assert (
        job(workplace, SftSettings(base="phi")).id != job(workplace, SftSettings(base="llama")).id
    )


def test_a_training_that_is_killed_again_and_again_is_given_up_and_can_be_taken_up(
    workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_job(workplace.jobs, job(workplace))
    record = folder / "progress.jsonl"
    started = json.dumps({"event": "started", "at": 1.0}) + "\n"
    checkpoint = json.dumps({"event": "checkpoint", "at": 2.0, "step": 4}) + "\n"
    record.write_text(started * 9 + checkpoint + started * STARTS)

    assert workplace.carry_out(folder) == 1
    assert (
        "started 5 times without reaching its next checkpoint"
        in workplace.look(folder).outcome["error"]
    )

    assert workplace.carry_out(folder) == 0  # as who launches it again has it
    assert workplace.look(folder).stage == "done"
    capsys.readouterr()


def test_killed_in_mid_training_it_goes_on_and_ends_as_if_nothing_had_happened(
    workplace: Workplace,
) -> None:
    launcher = workplace.launcher()
    wanted = job(workplace)
    job_id = launcher.launch(wanted)
    folder = workplace.jobs / job_id
    wait_for(folder, "checkpoint")
    send(folder, signal.SIGSTOP)  # it holds its lock, and does not run away

    assert launcher.look(job_id).stage == "running"
    assert launcher.launch(wanted) == job_id  # twice is once
    with (
        pytest.raises(AlreadyRunning, match=f"Job {job_id} is being trained by process"),
        hold_lock(folder),
    ):
        pass
    kill(folder)
    found = workplace.launcher()  # as a server that has restarted finds it
    assert found.jobs() == [job_id]
    assert found.look(job_id).stage == "interrupted"
    assert found.look(job_id).latest["event"] in ("checkpoint", "progress", "evaluated")

    assert workplace.carry_out(folder) == 0
    assert found.look(job_id).stage == "done"
    assert any(one["event"] == "resumed" for one in said(folder))
    assert sum(one["event"] == "started" for one in said(folder)) == 2

    elsewhere = replace(workplace, root=workplace.root / "elsewhere")
    unbroken = write_job(elsewhere.jobs, wanted)
    assert elsewhere.carry_out(unbroken) == 0
    ends = [load_file(one / "adapter/adapter_model.safetensors") for one in (folder, unbroken)]
    assert ends[0].keys() == ends[1].keys()
    for name, weight in ends[0].items():
        assert torch.allclose(weight, ends[1][name], atol=1e-4), name
    ended = (workplace.look(folder), elsewhere.look(unbroken))
    losses = [one.outcome["metrics"]["train_loss"] for one in ended]
    assert losses[0] == pytest.approx(losses[1], rel=0.01)


def test_a_job_that_has_ended_is_not_done_again(workplace: Workplace) -> None:
    folder = write_job(workplace.jobs, job(workplace))
    untrained(folder, workplace.adapters)
    assert workplace.carry_out(folder) == 0
    assert workplace.launcher().launch(job(workplace)) == folder.name
    assert not said(folder)
    assert not is_locked(folder)


def test_a_job_whose_adapter_is_gone_has_not_ended(workplace: Workplace) -> None:
    data = tiny.dataset(workplace.root / "data", "sft", tiny.chats(8))
    folder = done(workplace, data, base="llama", max_steps=2, batch=4)
    (made,) = workplace.adapters.all()
    workplace.adapters.mark(made.name, "rejected")
    assert workplace.adapters.prune("llama", 0) == [made.name]
    assert workplace.look(folder).stage == "interrupted"
    # The job's folder still has the weights, so the same command registers them again.
    trained = len(said(folder))
    assert workplace.carry_out(folder) == 0
    assert workplace.adapters.read(made.name).metrics == made.metrics
    assert (workplace.look(folder).stage, len(said(folder))) == ("done", trained)

    shutil.rmtree(folder / "adapter")
    workplace.adapters.mark(made.name, "rejected")
    workplace.adapters.prune("llama", 0)
    assert workplace.carry_out(folder) == 0  # and without them it trains anew
    assert workplace.look(folder).stage == "done"
    assert sum(one["event"] == "started" for one in said(folder)) == 1
    assert workplace.adapters.read(made.name).metrics["steps"] == 2


def test_a_job_that_ends_while_one_looks_is_not_interrupted(workplace: Workplace) -> None:
    folder = write_job(workplace.jobs, job(workplace))
    (folder / "progress.jsonl").write_text('{"event": "progress", "step": 3}\n')

    def ends(folder: Path) -> bool:
        untrained(folder, workplace.adapters)
        return False

    assert look(folder, workplace.adapters, ends).stage == "done"


def test_a_failed_job_that_a_trainer_has_taken_up_is_no_failure(workplace: Workplace) -> None:
    folder = write_job(workplace.jobs, job(workplace))
    write_whole(folder / "failure.json", {"error": "The loss is nan."})
    assert workplace.look(folder).stage == "failed"
    with hold_lock(folder):
        assert workplace.look(folder).stage == "running"


def test_a_job_is_stopped_before_its_process_has_its_lock(
    workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    spawned: list[Path] = []
    launcher = workplace.launcher(lambda folder, *_: spawned.append(folder))
    job_id = launcher.launch(job(workplace))
    launcher.stop(job_id)
    (folder,) = spawned
    assert workplace.carry_out(folder) == 1
    assert f"Job {job_id} was stopped" in capsys.readouterr().err
    assert (launcher.look(job_id).stage, said(folder)) == ("waiting", [])
    launcher.stop(job_id)
    launcher.launch(job(workplace))  # whoever launches it again wants it again
    assert not (folder / "stop").exists()


def test_jobs_of_one_machine_take_turns(workplace: Workplace) -> None:
    folder = write_job(workplace.jobs, job(workplace))
    tiny.dataset(workplace.root / "data", "sft", tiny.chats(3))  # so that it ends soon
    other = workplace.jobs / "other"
    other.mkdir()
    with ThreadPoolExecutor(1) as pool:
        with hold_lock(other) as held, in_turn(other, held):
            ended = pool.submit(workplace.carry_out, folder, in_turn=True)
            deadline = time.monotonic() + 300
            while workplace.look(folder).stage != "queued":
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert workplace.look(other).stage == "running"
            assert not ended.done()
        assert ended.result(300) == 1
    assert workplace.look(folder).stage == "failed"


def test_two_threads_write_the_same_job(workplace: Workplace) -> None:
    wanted = job(workplace)
    roots = [workplace.root / str(number) for number in range(100) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        for folder in pool.map(write_job, roots, [wanted] * len(roots)):
            assert read_job(folder) == wanted


def test_a_dataset_that_was_moved_is_found_where_it_is_now(workplace: Workplace) -> None:
    before = write_job(workplace.jobs, job(workplace))
    (workplace.root / "data").rename(workplace.root / "moved")
    moved = Job.of(workplace.root / "moved", SLOW_ENOUGH, workplace.local)
    assert write_job(workplace.jobs, moved) == before
    assert read_job(before).rows().rows() == moved.rows().rows()


def test_a_checkpoint_that_was_cut_short_is_passed_over(tmp_path: Path) -> None:
    for step, state in (("4", '{"global_step": 4}'), ("8", '{"global_st'), ("12", None)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if state:
            (folder / "trainer_state.json").write_text(state)
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-4"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-4"]
    assert last_checkpoint(tmp_path / "none") is None


def test_a_lock_left_by_the_dead_is_no_lock(workplace: Workplace) -> None:
    folder = write_job(workplace.jobs, job(workplace))
    (folder / "lock").write_text("1")  # the pid of a process that is alive, and no trainer
    assert not is_locked(folder)
    assert workplace.look(folder).stage == "waiting"
    with hold_lock(folder):
        assert is_locked(folder)
        assert workplace.look(folder).stage == "running"
    assert not is_locked(folder)


def test_a_line_cut_by_a_crash_is_passed_over(workplace: Workplace) -> None:
    folder = write_job(workplace.jobs, job(workplace))
    (folder / "progress.jsonl").write_text('{"event": "progress", "step": 3}\n{"event": "pro')
    status = workplace.look(folder)
    assert (status.stage, status.latest["step"]) == ("interrupted", 3)


def test_a_launched_job_that_fails_says_why_and_may_be_launched_again(workplace: Workplace) -> None:
    launcher = workplace.launcher()
    wanted = job(workplace)
    (workplace.root / "data" / "data.jsonl").write_text('{"messages": []}\n')
    job_id = launcher.launch(wanted)
    deadline = time.monotonic() + 600
    while launcher.look(job_id).stage in ("waiting", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    status = launcher.look(job_id)
    assert status.stage == "failed"
    assert "fingerprint" in status.outcome["error"]


def test_the_command_exits_with_a_sentence_and_not_with_zero(workplace: Workplace) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "apprentice.training", str(workplace.root)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 1
    assert f"{workplace.root} contains no job: job.json is missing." in done.stderr


def test_a_replaced_dataset_is_noticed(workplace: Workplace) -> None:
    wanted = job(workplace)
    tiny.dataset(workplace.root / "data", "sft", tiny.chats(3))
    with pytest.raises(BrokenData, match="has changed since job"):
        wanted.rows()


def test_an_unknown_job_is_named(workplace: Workplace) -> None:
    with pytest.raises(UnknownName, match="Unknown job 'x'"):
        workplace.launcher().look("x")


@pytest.mark.parametrize("module", ["jobs", "adapters", "run"])
def test_what_a_server_imports_of_training_is_light(module: str) -> None:
    heavy = "{'torch', 'transformers', 'trl'}"
    script = f"import sys, apprentice.training.{module}; print({heavy} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=600, check=True
    )
    assert done.stdout.strip() == "set()"
