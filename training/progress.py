"""Report a training's progress as JSON lines, on stdout and in the job's folder."""

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
        file: the job's record; events are appended to it.
        stream: a second place for the events, such as stdout.
    """

    def __init__(self, file: Path, stream: TextIO) -> None:
        self._file = file
        self._stream = stream
        if file.is_file() and not file.read_bytes().endswith(b"\n"):
            self._write("\n")  # a crash cut the last line short

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
    """Turns the logs of the library's trainer into events, and stops a training that diverges.

    Args:
        progress: the writer of the events.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._start = 0.0
        self._first = 0

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Report the number of steps."""
        self._start, self._first = time.monotonic(), state.global_step
        self._progress.say("training", step=state.global_step, steps=state.max_steps)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Report progress or an evaluation.

        Raises:
            TrainingFailure: the loss is not a finite number.
        """
        values = logs or {}
        if "loss" in values:
            self._check(values, state.global_step)
            self._progress.say("progress", **self._facts(values, state))
            if values.get("frac_reward_zero_std", 0) == 1:
                self._progress.say(
                    "warning",
                    step=state.global_step,
                    text="All attempts at the same task got the same reward, so the model learned "
                    "nothing. Show the format and the tools in the prompt, choose tasks that are "
                    "neither always nor never solved, or raise the temperature.",
                )
        elif "eval_loss" in values:
            self._check({"loss": values["eval_loss"]}, state.global_step)
            self._progress.say(
                "evaluated",
                step=state.global_step,
                **{
                    name.removeprefix("eval_"): round(value, 5)
                    for name, value in values.items()
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
        """Report a complete checkpoint."""
        self._progress.say("checkpoint", step=state.global_step)

    def _facts(self, values: Mapping[str, float], state: TrainerState) -> dict[str, Any]:
        seconds = time.monotonic() - self._start
        steps = max(1, state.global_step - self._first)
        facts: dict[str, Any] = {
            "step": state.global_step,
            "steps": state.max_steps,
            "seconds_left": round(seconds / steps * (state.max_steps - state.global_step), 1),
            "memory_mb": peak_memory_mb(),
        }
        if values.get("num_tokens"):
            facts["tokens_per_second"] = round(values["num_tokens"] / seconds, 1)
        for name in ("loss", "grad_norm", "learning_rate", "reward", "frac_reward_zero_std"):
            if name in values:
                facts[name] = float(f"{values[name]:.6g}")
        return facts

    def _check(self, values: Mapping[str, float], step: int) -> None:
        loss = float(values["loss"])
        if not math.isfinite(loss):
            raise TrainingFailure(
                f"The loss is {loss} at step {step}. Lower the learning rate, or look for broken "
                "rows. The last checkpoint remains."
            )


def peak_memory_mb() -> int:
    """Return the peak memory of the GPU, or of this process if there is no GPU."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated() >> 20)
    # On Linux, getrusage would include the memory of the process that started this one.
    status = Path("/proc/self/status")
    if status.is_file():
        (kilobytes,) = re.findall(r"VmHWM:\s+(\d+)", status.read_text())
        return int(kilobytes) >> 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 20  # bytes, on macOS
