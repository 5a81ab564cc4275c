"""How often the gate errs, and what it costs: `python -m benchmarks.gate`.

Agents are simulated: each task has a chance of being solved, drawn anew; incumbent and candidate
succeed by that chance, the candidate's raised or lowered. The gate looks after every batch of two
tasks a family. Beside it stands what it replaces: a test at 0.05 (exact, McNemar's, one-sided) once
at the end, or at every look.
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

from apprentice.environments.household.nouns import FAMILIES
from apprentice.state.gate import Account, Decision, Gate, Pair
from apprentice.state.statistics import mcnemar, rate

BATCH = 2 * len(FAMILIES)
EASE = (0.9, 1.1)  # of the tasks' chances: a beta distribution with mean 0.45
MEAN = EASE[0] / sum(EASE)
CANDIDATES = 10


@dataclass(frozen=True)
class World:
    """What is true of a candidate.

    Attributes:
        gain: in success rate, over all tasks.
        ruined: a family that it no longer solves, but for a tenth.
        repeated: what repetition alone gains, which the control gains too.
        alike: share of tasks whose outcome the change can't touch.
        controlled: whether a control runs alongside.
    """

    gain: float = 0.0
    ruined: str = ""
    repeated: float = 0.0
    alike: float = 0.0
    controlled: bool = False


@dataclass(frozen=True)
class Held:
    """A held-out task as the incumbent has met it."""

    family: str
    ease: float
    solved: bool


@dataclass
class Tally:
    """What became of many gates."""

    decisions: list[Decision]

    @property
    def published(self) -> int:
        """Gates that published."""
        return sum(decision.outcome == "publish" for decision in self.decisions)

    @property
    def pairs(self) -> float:
        """Mean number of pairs until the decision."""
        return fmean(decision.numbers.pairs for decision in self.decisions)


def tasks(rng: random.Random) -> Iterator[Held]:
    """Draw tasks without end, the families in turn, and let the incumbent attempt them."""
    for number in count():
        ease = rng.betavariate(*EASE)
        yield Held(FAMILIES[number % len(FAMILIES)], ease, rng.random() < ease)


def pair(rng: random.Random, held: Held, world: World) -> Pair:
    """Let the candidate, and the control if there is one, attempt a task."""
    control = rng.random() < shifted(held.ease, world.repeated) if world.controlled else None
    if rng.random() < world.alike:
        return Pair(held.family, held.solved, held.solved, control)
    ease = held.ease / 10 if held.family == world.ruined else shifted(held.ease, world.gain)
    return Pair(held.family, held.solved, rng.random() < ease, control)


def shifted(ease: float, gain: float) -> float:
    """Raise a task's chance, or lower it, so that all of them gain so much on average."""
    return ease + (1 - ease) * gain / (1 - MEAN) if gain > 0 else ease + ease * gain / MEAN


def decided(rng: random.Random, gate: Gate, world: World, hold_out: list[Held]) -> Decision:
    """Feed the gate batch by batch; tasks beyond the hold-out are fresh."""
    fresh = tasks(rng)
    while (decision := gate.decide()).outcome == "undecided":
        done = gate.score.pairs
        batch = hold_out[done : done + BATCH] or [next(fresh) for _ in range(BATCH)]
        gate = gate.add(pair(rng, held, world) for held in batch)
    return decision


def simulated(rng: random.Random, gate: Gate, world: World, runs: int) -> Tally:
    """Let many candidates of a kind through gates of a kind, each with fresh tasks."""
    return Tally([decided(rng, gate, world, []) for _ in range(runs)])


def naively_published(
    rng: random.Random, most: int, looks: list[int], hold_out: list[Held]
) -> bool:
    """Tell whether the test at 0.05 publishes a candidate that gains nothing, at any look."""
    fresh = tasks(rng)
    held = hold_out or [next(fresh) for _ in range(most)]
    pairs = [pair(rng, each, World()) for each in held]
    for look in looks:
        ours = [each.candidate for each in pairs[:look]]
        theirs = [each.incumbent for each in pairs[:look]]
        if sum(ours) > sum(theirs) and mcnemar(ours, theirs) / 2 < 0.05:
            return True
    return False


def one_gate(rng: random.Random, runs: int, most: int) -> Table:
    """Return what a gate at level 0.05 does with candidates of all kinds."""
    table = Table(title=f"One gate, level 0.05, at most {most} pairs, {runs} runs each")
    for column in ("candidate", "published, % [95 %]", "pairs, mean"):
        table.add_column(column, justify="left" if column == "candidate" else "right")
    better = Gate(families=FAMILIES, most=most)
    no_worse = better.model_copy(update={"aim": "no_worse"})
    rows: tuple[tuple[str, Gate, World], ...] = (
        ("no gain", better, World()),
        ("no gain, control", better, World(controlled=True)),
        (
            "+20 points by repetition alone, control",
            better,
            World(gain=0.2, repeated=0.2, controlled=True),
        ),
        ("+10 points", better, World(gain=0.1)),
        ("+20 points", better, World(gain=0.2)),
        ("+20 points, control", better, World(gain=0.2, controlled=True)),
        ("+25 points", better, World(gain=0.25)),
        ("+25 points, but one family ruined", better, World(gain=0.25, ruined=FAMILIES[3])),
        ("taking away: 10 points worse", no_worse, World(gain=-0.1)),
        ("taking away: 5 points worse", no_worse, World(gain=-0.05)),
        ("taking away: no change on average", no_worse, World()),
        ("taking away: 4 of 5 tasks untouched", no_worse, World(alike=0.8)),
        ("taking away: 10 points better", no_worse, World(gain=0.1)),
    )
    for name, gate, world in rows:
        found = simulated(rng, gate, world, runs)
        table.add_row(name, _share(found.published, runs), f"{found.pairs:.0f}")
    looks = list(range(BATCH, most + 1, BATCH))
    for name, seen in (("at the end", looks[-1:]), ("at every look", looks)):
        wrong = sum(naively_published(rng, most, seen, []) for _ in range(runs))
        table.add_row(f"no gain, p < 0.05 {name} instead", _share(wrong, runs), "")
    return table


def many_candidates(rng: random.Random, runs: int, most: int) -> Table:
    """Return how often something is published of ten candidates that gain nothing."""
    table = Table(title=f"{CANDIDATES} candidates without a gain, {runs} runs each")
    for column in ("hold-out", "decided by", "anything published, % [95 %]"):
        table.add_column(column, justify="right" if "%" in column else "left")
    for shared in (True, False):
        where = f"the same {most} tasks" if shared else "fresh tasks each time"
        ways: tuple[tuple[str, Callable[[list[Held]], bool]], ...] = (
            ("gates with an account", lambda held: _any_published(rng, held, most)),
            (
                "p < 0.05 at the end",
                lambda held: any(
                    naively_published(rng, most, [most], held) for _ in range(CANDIDATES)
                ),
            ),
        )
        for name, published in ways:
            wrong = 0
            for _ in range(runs):
                fresh = tasks(rng)
                wrong += published([next(fresh) for _ in range(most)] if shared else [])
            table.add_row(where, name, _share(wrong, runs))
    return table


def price_of_patience(rng: random.Random, runs: int) -> Table:
    """Return what a place in the account costs a candidate that deserves to be published."""
    table = Table(title=f"+20 points, at most 600 pairs, by place in the account, {runs} runs each")
    for column in ("failed before", "level", "published, % [95 %]", "pairs, mean"):
        table.add_column(column, justify="right")
    for before in (0, 1, 4, 9, 99):
        level = Account(tried=before).next_level
        gate = Gate(families=FAMILIES, level=level, most=600)
        found = simulated(rng, gate, World(gain=0.2), runs)
        table.add_row(
            str(before), f"{level:.1g}", _share(found.published, runs), f"{found.pairs:.0f}"
        )
    return table


def _any_published(rng: random.Random, hold_out: list[Held], most: int) -> bool:
    account = Account()
    for _ in range(CANDIDATES):
        gate = Gate(families=FAMILIES, level=account.next_level, most=most)
        decision = decided(rng, gate, World(), hold_out)
        account = account.add(decision)
    return account.published > 0


def _share(successes: int, total: int) -> str:
    found = rate(successes, total)
    return f"{100 * found.value:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="simulated gates a row")
    parser.add_argument("--most", type=int, nargs="+", default=[132, 300], help="pairs a gate")
    options = parser.parse_args()
    rng = random.Random(0)
    console = Console()
    for most in options.most:
        console.print(one_gate(rng, options.runs, most))
    console.print(many_candidates(rng, options.runs, options.most[0]))
    console.print(price_of_patience(rng, options.runs))


if __name__ == "__main__":
    main()
