"""What the commands print on the terminal: progress, tables and transcripts, with Rich."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from apprentice.cli.evaluation import steps
from apprentice.cli.journal import TaskResult
from apprentice.cli.plural import plural
from apprentice.cli.summary import Arm, Curve, Summary, Worlds
from apprentice.state.statistics import Difference, Rate
from apprentice.state.trajectory import Trajectory, text_of
from apprentice.workspace import Workspace

_EXPEL_STAGES: Final = {
    "expel.gathered": "training tasks",
    "expel.curated": "pieces of evidence",
    "expel.compared": "held-out tasks",
}

_WIDE: Final = 78  # columns that every terminal has
NOT_RELEASED: Final = "none released"
"""Replaces a figure if no learned rule passed the gate."""


def at_terminal() -> bool:
    """Return whether a person can answer questions."""
    return sys.stdin.isatty()


class Bar:
    """The line of an evaluation in a progress display. It is an `EvaluationListener`."""

    def __init__(self, progress: Progress, name: str, *, visible: bool = True) -> None:
        self._progress = progress
        self._line: TaskID = progress.add_task(name, total=None, visible=visible, status="")
        self._solved_count = 0
        self._attempts = 0
        self._expel_counts: Counter[str] = Counter()

    def begin(self, total: int, results: Sequence[TaskResult]) -> None:
        """Show the number of tasks, and the results from an earlier run."""
        self._solved_count = sum(result.solved_at is not None for result in results)
        self._attempts = sum(len(result.attempts) for result in results)
        self._progress.update(self._line, total=total, completed=len(results))
        self._show()

    def attempt(self) -> None:
        """Count an attempt."""
        self._attempts += 1
        self._show()

    def finish(self, result: TaskResult) -> None:
        """Count a task."""
        self._solved_count += result.solved_at is not None
        self._progress.advance(self._line)
        self._show()

    def expel_event(self, event: Mapping[str, Any]) -> None:
        """Show the progress of learning rules."""
        if stage := _EXPEL_STAGES.get(event["type"]):
            self._expel_counts[stage] += 1
            status = ", ".join(f"{count} {what}" for what, count in self._expel_counts.items())
            self._progress.update(self._line, status=f"learning rules: {status}")

    def _show(self) -> None:
        status = f"[green]{self._solved_count} solved[/], {plural(self._attempts, 'attempt')}"
        self._progress.update(self._line, status=status)


class Steps:
    """The line of a fine-tune in a progress display."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._line: TaskID = progress.add_task(name, total=None, status="")

    def step(self, steps_done: int, total: int) -> None:
        """Show the number of finished steps."""
        self._progress.update(self._line, completed=steps_done, total=total)


@contextmanager
def live_progress(console: Console) -> Iterator[Progress]:
    """Show live progress within the block; without a terminal, only its end."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TextColumn("{task.fields[status]}"),
        TimeElapsedColumn(),
        console=console,
    ) as progress:
        yield progress


def percent(share: Rate) -> str:
    """Render a share with its interval: '61 % (49-72)'."""
    return f"{100 * share.value:.0f} % ({100 * share.low:.0f}-{100 * share.high:.0f})"


def points(gap: Difference) -> str:
    """Render a difference with its interval and p: '+36 points (24 to 47), p < 0.001'."""
    chance = "p < 0.001" if gap.p < 0.001 else f"p = {gap.p:.3f}"
    return (
        f"{100 * gap.value:+.0f} points ({100 * gap.low:+.0f} to {100 * gap.high:+.0f}), {chance}"
    )


def by_trial(title: str, summaries: Mapping[str, Summary]) -> Table:
    """Return a table of the share of tasks solved within each number of trials, by technique."""
    table = _figures(title, "solved so far, 95 % intervals")
    table.add_column("technique", no_wrap=True)
    shown = max(len(summary.by_trial) for summary in summaries.values())
    for trial in range(1, shown + 1):
        table.add_column(f"trial {trial}", justify="right")
    for name, summary in summaries.items():
        table.add_row(name, *(_stack(percent(share)) for share in summary.by_trial))
    return table


def by_level(title: str, curve: Curve) -> Table:
    """Return a table of the share of tasks solved at each number of recorded successes."""
    table = _figures(title, "one attempt, 95 % intervals")
    table.add_column("in view", no_wrap=True)
    for level in curve.levels:
        table.add_column(str(level), justify="right")
    for name, rates in curve.rates.items():
        table.add_row(name, *(_stack(percent(share)) for share in rates))
    return table


def by_rules(title: str, worlds: Worlds) -> Table:
    """Return a table of the share of tasks solved with each kind of rules, by world."""
    table = _figures(title, "small rooms, 95 % intervals")
    table.add_column("rules in view", no_wrap=True)
    for column in (*worlds.released_rules, "both", "above none"):
        table.add_column(column, justify="right")
    for kind, arm in worlds.kinds.items():
        rates = [arm.rates.get(world) for world in worlds.released_rules]
        table.add_row(
            kind,
            *(_stack(percent(share) if share else NOT_RELEASED) for share in rates),
            _stack(percent(arm.share)) if arm.share and all(rates) else "",
            _stack(points(arm.above)) if arm.above else "",
        )
    return table


def _figures(title: str, caption: str) -> Table:
    """Return an empty table that is at least as wide as its title."""
    return Table(
        title=title,
        title_justify="left",
        caption=caption,
        caption_justify="left",
        min_width=min(len(title), _WIDE),
    )


def _stack(text: str) -> str:
    """Put the interval and the p value below the figure, so that the table stays narrow."""
    return text.replace(" (", "\n(").replace("), p", ")\np")


def by_weights(title: str, arms: Mapping[str, Arm]) -> Table:
    """Return a table of the share of tasks solved with each set of weights, and its cost."""
    table = _figures(title, "one attempt, 95 % intervals")
    table.add_column("weights", no_wrap=True)
    for column in ("solved", "above the plain model", "steps", "seconds", "peak MB"):
        table.add_column(column, justify="right")
    for name, arm in arms.items():
        took = arm.fine_tune
        table.add_row(
            name,
            _stack(percent(arm.share)),
            _stack(points(arm.above)) if arm.above else "",
            *((f"{took.steps}", f"{took.seconds:.0f}", f"{took.memory_mb:.0f}") if took else ()),
        )
    return table


def by_family(summary: Summary) -> Table:
    """Return a table of success by kind of task."""
    table = Table(title="By family, all trials", title_justify="left")
    table.add_column("family")
    table.add_column("tasks", justify="right")
    table.add_column("solved", justify="right")
    for family, share in summary.by_family.items():
        table.add_row(family, str(share.total), percent(share))
    return table


def cost(summary: Summary) -> str:
    """Return the cost of an evaluation: that of attempts, then that of reflections."""
    text = (
        f"{plural(summary.tasks, 'task')}, {plural(summary.attempts, 'attempt')}: "
        f"{plural(summary.calls, 'model call')}, {plural(summary.tokens, 'token')}, "
        f"{summary.seconds:,.1f} s of model time."
    )
    extra = summary.reflection_usage
    if not extra.calls:
        return text
    return (
        f"{text} Writing reflections took another {plural(extra.calls, 'call')}, "
        f"{plural(extra.tokens, 'token')}, "
        f"{extra.seconds:,.1f} s."
    )


def attempts(results: Sequence[TaskResult], workspace: Workspace) -> Table:
    """Return a table of all attempts of an evaluation."""
    table = Table("id", "task", "family", "trial", "ended", "steps")
    for result in results:
        for each in result.attempts:
            end, step_count = outcome(each), str(steps(each, workspace))
            table.add_row(
                each.id[:8], each.task.id, each.task.kind, str(each.trial), end, step_count
            )
    return table


def outcome(attempt: Trajectory) -> str:
    """Return the outcome of an attempt in one word."""
    if attempt.verdict.interrupted:
        return "interrupted"
    names = {True: "solved", False: "failed", None: "unknown"}
    return names[attempt.verdict.success]


def transcript(attempt: Trajectory) -> Text:
    """Render one attempt: the prompt dimmed, the agent's lines behind '> '."""
    head = f"{attempt.task.environment} {attempt.task.id} · trial {attempt.trial}"
    page = Text(f"{head} · {outcome(attempt)}\n", style="bold")
    page.append(f"id {attempt.id} · model {attempt.model or 'unknown'}\n\n", style="dim")
    for message in attempt.messages:
        body = text_of(message)
        if message.type == "ai":
            for line in body.splitlines():
                page.append(f"> {line}\n", style="cyan")
        else:
            page.append(f"{body}\n", style="dim" if message.type == "system" else "")
        if message.type != "ai":
            page.append("\n")
    if attempt.verdict.feedback:
        page.append(attempt.verdict.feedback, style="italic")
    return page
