"""The error rates of the gate, and its cost in tasks: `python -m benchmarks.gate`.

Agents are simulated. Each task has a random probability of being solved. The incumbent succeeds
with this probability, and the candidate with a higher or lower one. The gate looks after every
batch of two tasks from each family. It is compared with what it replaces: McNemar's exact,
one-sided test at 0.05, once at the end or at every look.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from statistics import fmean

from rich.console import Console
from rich.table import Table

from apprentice.environments.household.vocabulary import FAMILIES
from apprentice.state.gate import Account, Decision, Gate, Pair
from apprentice.state.statistics import mcnemar, rate

BATCH = 2 * len(FAMILIES)
EASE = (0.9, 1.1)  # the tasks' probabilities have a beta distribution with mean 0.45
MEAN = EASE[0] / sum(EASE)
CANDIDATES = 10


@dataclass(frozen=True)
class World:
    """The true properties of a candidate.

    Attributes:
        gain: in success rate, over all tasks.
        ruined_family: a family of which it solves only a tenth.
        repetition_gain: the gain from repetition alone, which the control also has.
        alike: the share of tasks with the same outcome for both.
        has_control: whether there is a control.
    """

    gain: float = 0.0
    ruined_family: str = ""
    repetition_gain: float = 0.0
    alike: float = 0.0
    has_control: bool = False


@dataclass(frozen=True)
class HeldOutTask:
    """A held-out task, with the outcome of the incumbent."""

    family: str
    ease: float
    incumbent_solved: bool


@dataclass
class Tally:
    """The decisions of many gates."""

    decisions: list[Decision]

    @property
    def publications(self) -> int:
        """The number of decisions to publish."""
        return sum(decision.outcome == "publish" for decision in self.decisions)

    @property
    def pairs(self) -> float:
        """The mean number of pairs until the decision."""
        return fmean(decision.numbers.pairs for decision in self.decisions)


def tasks(rng: random.Random) -> Iterator[HeldOutTask]:
    """Yield random tasks without end, with the outcome of the incumbent; families alternate."""
    for number in count():
        ease = rng.betavariate(*EASE)
        yield HeldOutTask(FAMILIES[number % len(FAMILIES)], ease, rng.random() < ease)


def pair(rng: random.Random, task: HeldOutTask, world: World) -> Pair:
    """Return the outcomes of candidate, incumbent and control at a task."""
    control = rng.random() < shift(task.ease, world.repetition_gain) if world.has_control else None
    if rng.random() < world.alike:
        return Pair(task.family, task.incumbent_solved, task.incumbent_solved, control)
    ease = task.ease / 10 if task.family == world.ruined_family else shift(task.ease, world.gain)
    return Pair(task.family, task.incumbent_solved, rng.random() < ease, control)


def shift(ease: float, gain: float) -> float:
    """Change a task's probability so that the mean over all tasks changes by the gain."""
    return ease + (1 - ease) * gain / (1 - MEAN) if gain > 0 else ease + ease * gain / MEAN


def run_gate(rng: random.Random, gate: Gate, world: World, hold_out: list[HeldOutTask]) -> Decision:
    """Add batches until the gate decides; after the hold-out the tasks are new."""
    fresh = tasks(rng)
    while (decision := gate.decide()).outcome == "undecided":
        count = gate.score.pairs
        batch = hold_out[count : count + BATCH] or [next(fresh) for _ in range(BATCH)]
        gate = gate.add(pair(rng, task, world) for task in batch)
    return decision


def simulate(rng: random.Random, gate: Gate, world: World, runs: int) -> Tally:
    """Run one gate for each of many candidates, each with new tasks."""
    return Tally([run_gate(rng, gate, world, []) for _ in range(runs)])


def naively_published(
    rng: random.Random, most: int, looks: list[int], hold_out: list[HeldOutTask]
) -> bool:
    """Return whether the test at 0.05 publishes a candidate without a gain, at any look."""
    fresh = tasks(rng)
    hold_out_tasks = hold_out or [next(fresh) for _ in range(most)]
    pairs = [pair(rng, each, World()) for each in hold_out_tasks]
    for look in looks:
        ours = [each.candidate for each in pairs[:look]]
        theirs = [each.incumbent for each in pairs[:look]]
        if sum(ours) > sum(theirs) and mcnemar(ours, theirs) / 2 < 0.05:
            return True
    return False


def one_gate(rng: random.Random, runs: int, most: int) -> Table:
    """Return the table of one gate at level 0.05 with candidates of all kinds."""
    table = Table(title=f"One gate, level 0.05, at most {most} pairs, {runs} runs each")
    for column in ("candidate", "published, % [95 %]", "pairs, mean"):
        table.add_column(column, justify="left" if column == "candidate" else "right")
    better = Gate(families=FAMILIES, most=most)
    no_worse = better.model_copy(update={"aim": "no_worse"})
    rows: tuple[tuple[str, Gate, World], ...] = (
        ("no gain", better, World()),
        ("no gain, control", better, World(has_control=True)),
        (
            "+20 points by repetition alone, control",
            better,
            World(gain=0.2, repetition_gain=0.2, has_control=True),
        ),
        ("+10 points", better, World(gain=0.1)),
        ("+20 points", better, World(gain=0.2)),
        ("+20 points, control", better, World(gain=0.2, has_control=True)),
        ("+25 points", better, World(gain=0.25)),
        ("+25 points, but one family ruined", better, World(gain=0.25, ruined_family=FAMILIES[3])),
        ("taking away: 10 points worse", no_worse, World(gain=-0.1)),
        ("taking away: 5 points worse", no_worse, World(gain=-0.05)),
        ("taking away: no change on average", no_worse, World()),
        ("taking away: 4 of 5 tasks untouched", no_worse, World(alike=0.8)),
        ("taking away: 10 points better", no_worse, World(gain=0.1)),
    )
    for name, gate, world in rows:
        tally = simulate(rng, gate, world, runs)
        table.add_row(name, _share(tally.publications, runs), f"{tally.pairs:.0f}")
    looks = list(range(BATCH, most + 1, BATCH))
    for name, stops in (("at the end", looks[-1:]), ("at every look", looks)):
        wrong = sum(naively_published(rng, most, stops, []) for _ in range(runs))
        table.add_row(f"no gain, p < 0.05 {name} instead", _share(wrong, runs), "")
    return table


def many_candidates(rng: random.Random, runs: int, most: int) -> Table:
    """Return the table of ten candidates without a gain: how often one is published."""
    table = Table(title=f"{CANDIDATES} candidates without a gain, {runs} runs each")
    for column in ("hold-out", "decided by", "anything published, % [95 %]"):
        table.add_column(column, justify="right" if "%" in column else "left")
    for same_tasks in (True, False):
        where = f"the same {most} tasks" if same_tasks else "fresh tasks each time"
        ways: tuple[tuple[str, Callable[[list[HeldOutTask]], bool]], ...] = (
            ("gates with an account", lambda hold_out: _any_published(rng, hold_out, most)),
            (
                "p < 0.05 at the end",
                lambda hold_out: any(
                    naively_published(rng, most, [most], hold_out) for _ in range(CANDIDATES)
                ),
            ),
        )
        for name, publishes in ways:
            wrong = 0
            for _ in range(runs):
                fresh = tasks(rng)
                wrong += publishes([next(fresh) for _ in range(most)] if same_tasks else [])
            table.add_row(where, name, _share(wrong, runs))
    return table


def price_of_patience(rng: random.Random, runs: int) -> Table:
    """Return the table of a good candidate by its place in the account."""
    table = Table(title=f"+20 points, at most 600 pairs, by place in the account, {runs} runs each")
    for column in ("failed before", "level", "published, % [95 %]", "pairs, mean"):
        table.add_column(column, justify="right")
    for before in (0, 1, 4, 9, 99):
        level = Account(tried=before).next_level
        gate = Gate(families=FAMILIES, level=level, most=600)
        tally = simulate(rng, gate, World(gain=0.2), runs)
        table.add_row(
            str(before), f"{level:.1g}", _share(tally.publications, runs), f"{tally.pairs:.0f}"
        )
    return table


def _any_published(rng: random.Random, hold_out: list[HeldOutTask], most: int) -> bool:
    account = Account()
    for _ in range(CANDIDATES):
        gate = Gate(families=FAMILIES, level=account.next_level, most=most)
        decision = run_gate(rng, gate, World(), hold_out)
        account = account.add(decision)
    return account.published > 0


def _share(successes: int, total: int) -> str:
    share = rate(successes, total)
    return f"{100 * share.value:.1f} [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="simulated gates for each row")
    parser.add_argument(
        "--most", type=int, nargs="+", default=[132, 300], help="pairs for each gate, at most"
    )
    options = parser.parse_args()
    rng = random.Random(0)
    console = Console()
    for most in options.most:
        console.print(one_gate(rng, options.runs, most))
    console.print(many_candidates(rng, options.runs, options.most[0]))
    console.print(price_of_patience(rng, options.runs))


if __name__ == "__main__":
    main()
