"""What a trainer says while it works: a JSON object a line, on stdout and in the job's folder."""

from __future__ import annotations

import json
import math
import re
import resource
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import torch
from transformers import (
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from apprentice.state.errors import TrainingFailure


class Progress:
    """Writes events.

    Args:
        file: the job's record, which is appended to.
        stream: where else they go.
    """

    def __init__(self, file: Path, stream: TextIO) -> None:
        self._file = file
        self._stream = stream
        if file.is_file() and not file.read_bytes().endswith(b"\n"):
            self._write("\n")  # a crash cut the last line

    def say(self, event: str, **facts: Any) -> None:
        """Write one event with its facts."""
        line = json.dumps({"event": event, "at": round(time.time(), 3), **facts}) + "\n"
        self._write(line)
        self._stream.write(line)
        self._stream.flush()

    def _write(self, line: str) -> None:
        with self._file.open("a") as file:
            file.write(line)


class Reporter(TrainerCallback):
    """Turns what the library's trainer logs into events; ends a training that has gone wrong.

    Args:
        progress: where the events go.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._started = 0.0
        self._first = 0

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Say how much there is to do."""
        self._started, self._first = time.monotonic(), state.global_step
        self._progress.say("training", step=state.global_step, steps=state.max_steps)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Say where the training is, or why it cannot go on."""
        said = logs or {}
        if "loss" in said:
            self._check(said, state.global_step)
            self._progress.say("progress", **self._facts(said, state))
            if said.get("frac_reward_zero_std", 0) == 1:
                self._progress.say(
                    "warning",
                    step=state.global_step,
                    text="Every attempt at the same task got the same reward, so nothing was "
                    "learned. Show the format and the tools in the prompt, choose tasks that are "
                    "neither always nor never solved, or raise the temperature.",
                )
        elif "eval_loss" in said:
            self._check({"loss": said["eval_loss"]}, state.global_step)
            self._progress.say(
                "evaluated",
                step=state.global_step,
                **{
                    name.removeprefix("eval_"): round(value, 5)
                    for name, value in said.items()
                    if name.startswith("eval_") and isinstance(value, int | float)
                },
            )

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Say that a checkpoint is complete."""
        self._progress.say("checkpoint", step=state.global_step)

    def _facts(self, said: Mapping[str, float], state: TrainerState) -> dict[str, Any]:
        passed = time.monotonic() - self._started
        done = max(1, state.global_step - self._first)
        facts: dict[str, Any] = {
            "step": state.global_step,
            "steps": state.max_steps,
            "seconds_left": round(passed / done * (state.max_steps - state.global_step), 1),
            "memory_mb": peak_memory_mb(),
        }
        if said.get("num_tokens"):
            facts["tokens_per_second"] = round(said["num_tokens"] / passed, 1)
        for name in ("loss", "grad_norm", "learning_rate", "reward", "frac_reward_zero_std"):
            if name in said:
                facts[name] = float(f"{said[name]:.6g}")
        return facts

    def _check(self, said: Mapping[str, float], step: int) -> None:
        loss = float(said["loss"])
        if not math.isfinite(loss):
            raise TrainingFailure(
                f"The loss is {loss} at step {step}. Lower the learning rate, or look for broken "
                "rows; the last checkpoint before it is kept."
            )


def peak_memory_mb() -> int:
    """Return the most memory held so far: the accelerator's where there is one, else this one's."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated() >> 20)
    # Not getrusage, which on Linux begins with what the process held that started this one.
    status = Path("/proc/self/status")
    if status.is_file():
        (kilobytes,) = re.findall(r"VmHWM:\s+(\d+)", status.read_text())
        return int(kilobytes) >> 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 20  # bytes, on macOS
