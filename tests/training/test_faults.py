"""What goes wrong ends a job with one sentence and not with zero; what was kept stays."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from apprentice.state.errors import ApprenticeError, BadInput, TrainingFailure, UnknownName
from apprentice.training import run
from apprentice.training.jobs import Job, write_job
from apprentice.training.run import named_errors
from apprentice.training.settings import SftSettings, read_settings
from tests.training import tiny
from tests.training.conftest import Workplace
from tests.training.work import done, events, job

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*pin_memory.*"),
]
QUICK: dict[str, Any] = {"base": "llama", "batch": 4, "max_steps": 4, "every": 2}


def failed(workplace: Workplace, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Carry out a job that fails; return the last line of what it says."""
    capsys.readouterr()
    assert workplace.carry_out(folder) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    status = workplace.look(folder)
    assert (status.stage, status.outcome["error"]) == ("failed", said)
    return said


def test_a_tampered_dataset(workplace: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    data = tiny.dataset(workplace.root / "data", "sft", tiny.chats(4))
    folder = job(workplace, data, **QUICK)
    with (data.folder / "data.jsonl").open("a") as file:
        file.write('{"messages": []}\n')
    assert "fingerprint" in failed(workplace, folder, capsys)


def test_a_dataset_for_another_method(
    workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tiny.dataset(workplace.root / "data", "sft", tiny.chats(4))
    told = read_settings({"method": "dpo", "base": "llama"})
    folder = write_job(workplace.jobs, Job.of(data.folder, told, workplace.local))
    assert "is a dataset for sft, not dpo" in failed(workplace, folder, capsys)


def test_a_base_without_a_chat_template(
    workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    offered = workplace.root / "models"
    shutil.copytree(workplace.models / "llama", offered / "bare")
    (offered / "bare" / "chat_template.jinja").unlink()
    workplace = replace(workplace, models=offered)
    data = tiny.dataset(workplace.root / "data", "sft", tiny.chats(4))
    folder = job(workplace, data, **QUICK | {"base": "bare"})
    assert "local:bare has no chat template" in failed(workplace, folder, capsys)


def test_a_base_that_cannot_be_read(
    workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    offered = workplace.root / "models"
    shutil.copytree(workplace.models / "llama", offered / "cut")
    weights = offered / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    workplace = replace(workplace, models=offered)
    data = tiny.dataset(workplace.root / "data", "sft", tiny.chats(4))
    folder = job(workplace, data, **QUICK | {"base": "cut"})
    assert "local:cut cannot be read" in failed(workplace, folder, capsys)


def test_a_base_that_is_missing(workplace: Workplace) -> None:
    data = tiny.dataset(workplace.root / "data", "sft", tiny.chats(4))
    with pytest.raises(UnknownName, match="Unknown local model 'gone'"):
        Job.of(data.folder, SftSettings(base="gone"), workplace.local)


def test_a_loss_that_is_no_number(workplace: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    data = tiny.dataset(workplace.root / "data", "sft", tiny.chats(16))
    before = done(workplace, data, **QUICK)
    broken = workplace.models / "broken"
    shutil.copytree(workplace.models / "llama", broken)
    weights = load_file(broken / "model.safetensors")
    weights["model.norm.weight"][0] = torch.nan
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    folder = job(workplace, data, **QUICK | {"base": "broken"})
    said = failed(workplace, folder, capsys)
    assert said.startswith("The loss is ")
    assert "Lower the learning rate" in said
    # What was there keeps serving.
    assert [one.name for one in workplace.adapters.all()] == [
        workplace.look(before).outcome["adapter"]
    ]


def test_a_disk_without_room(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tiny.dataset(workplace.root / "data", "sft", tiny.chats(4))
    folder = job(workplace, data, **QUICK)
    usage = shutil.disk_usage(workplace.root)._replace(free=1 << 20)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _: usage)
        assert "Only 1 MB are free" in failed(workplace, folder, capsys)
    assert workplace.carry_out(folder) == 0  # with room again it is done
    assert workplace.look(folder).stage == "done"


def test_a_disk_that_fills_up_in_mid_training(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tiny.dataset(workplace.root / "data", "sft", tiny.chats(8))
    folder = job(workplace, data, **QUICK)
    save = torch.save
    calls: list[int] = []

    def full(*args: Any, **kwargs: Any) -> None:
        calls.append(1)
        if len(calls) > 4:  # the first checkpoint is whole
            raise OSError(errno.ENOSPC, "No space left on device")
        save(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", full)
        assert "The disk is full" in failed(workplace, folder, capsys)
    assert workplace.carry_out(folder) == 0
    (resumed,) = events(folder, "resumed")
    assert resumed["step"] == 2


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "Out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "Out of memory"),
        (MemoryError(), "Out of memory"),
        (
            RuntimeError("PytorchStreamWriter failed writing file: file write failed"),
            "disk is full",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full"),
        (
            SafetensorError("Error while serializing: I/O error: No space left (os error 28)"),
            "disk is full",
        ),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 5"), "is full"),
        (shutil.Error([("a", "b", "[Errno 28] No space left on device: 'a'")]), "disk is full"),
    ],
)
def test_errors_of_libraries_become_sentences(error: Exception, said: str) -> None:
    with pytest.raises(TrainingFailure, match=said), named_errors():
        raise error


SMALL_DISK = """
import shutil, sys, pathlib, numpy
from safetensors.numpy import save_file
from apprentice.state.errors import TrainingFailure
from apprentice.training.run import named_errors
disk, rows = pathlib.Path(sys.argv[1]), numpy.zeros(100_000)
source = disk.parent / "source"
source.mkdir()
(source / "rows").write_bytes(rows.tobytes())
for save in (
    lambda: save_file({"rows": rows}, disk / "adapter.safetensors"),
    lambda: shutil.copytree(source, disk / "copied"),
    lambda: (disk / "checkpoint").write_bytes(rows.tobytes()),
):
    try:
        with named_errors():
            save()
    except TrainingFailure as error:
        print(error)
"""


def test_a_disk_that_is_full_is_told_by_whoever_writes_to_it(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = 'mount -t tmpfs -o size=64k none "$1" && exec "$2" -c "$3" "$1"'
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    command = [*alone, "sh", "-c", mount, "sh", str(disk), sys.executable, SMALL_DISK]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout.count("The disk is full.") == 3, told.stderr


@pytest.mark.parametrize("error", [RuntimeError("a bug"), OSError(errno.EIO, "broken")])
def test_errors_that_are_not_known_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error), match=r"a bug|broken"), named_errors():
        raise error


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"method": "sft", "rank": 0}, "'rank' is '0'"),
        ({"method": "sft", "base": "../../etc"}, "'base'"),
        ({"method": "sft", "unheard": 1}, "'unheard'"),
        ({"method": "magic"}, "'method'"),
        ({"method": "dpo", "beta": float("nan")}, "'beta'"),
    ],
)
def test_settings_out_of_bounds_are_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read_settings(given)


def test_a_failure_is_written_down_with_its_kind(workplace: Workplace) -> None:
    data = tiny.dataset(workplace.root / "data", "sft", tiny.chats(4))
    folder = job(workplace, data, **QUICK)
    with pytest.raises(ApprenticeError), run.record_failure(folder):
        raise TrainingFailure("It broke.")
    written: Callable[[str], str] = json.loads((folder / "failure.json").read_text()).get
    assert (written("error"), written("kind")) == ("It broke.", "TrainingFailure")


def test_a_breakdown_nobody_foresaw_is_written_down_too(workplace: Workplace) -> None:
    data = tiny.dataset(workplace.root / "data", "sft", tiny.chats(4))
    folder = job(workplace, data, **QUICK)
    with pytest.raises(KeyError), run.record_failure(folder):
        raise KeyError("a bug")
    assert workplace.look(folder).stage == "failed"
    assert "log.txt." in workplace.look(folder).outcome["error"]
