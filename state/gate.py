"""The gate: decides whether a candidate may replace the release in force.

Candidate and incumbent attempt the same held-out tasks with the same seeds, batch by batch. After
each batch the gate decides: publish, reject, or go on.

    account = Account()
    gate = Gate(families=("clean", "heat"), level=account.next_level)
    while (decision := gate.decide()).outcome == "undecided":
        gate = gate.add(pairs_of_the_next_batch())
    account = account.add(decision)

- *Better beyond chance*: the evidence for a gain (`state/evidence.py`) reaches 1 / level. Looking
  after every batch costs nothing, by Ville's inequality.
- *Better than repetition*: where a no-learning control ran alongside (the incumbent once more, as
  often as the candidate), the candidate has to be better than it as well, at the same level. Both
  have to be shown, so neither pays for the other (an intersection-union test, Berger 1982).
- *No family significantly worse*: each family of tasks has a test of its own for a loss, at `harm`
  divided by the number of families (Bonferroni). While a family looks worse (evidence of `doubt`),
  the gate asks for more pairs before it publishes, so that an early stop does not hide the loss.
- *Worth waiting for*: the gate gives up when a gain of `margin` is excluded at `miss_rate`, or when
  `most` pairs have not shown it.
- *Removal*: to take something away, it is enough to be no worse: by less than `margin`, beyond
  chance.
- *Many candidates*: `Account` sets the level of each, so that the expected share of undeserved ones
  among all that is ever published stays below the account's level.

A gate's level holds only if the candidate was not made from the gate's tasks. So every gate samples
fresh tasks if the environment can make them (`fresh_seed`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Final, Literal, NamedTuple

from pydantic import Field, field_validator

from apprentice.state.errors import UnknownName
from apprentice.state.evidence import evidence, gain_interval
from apprentice.state.trajectory import FrozenModel, digest

Aim = Literal["better", "no_worse"]
GateOutcome = Literal["publish", "reject", "undecided"]
_MOST_ODDS: Final = 10**9
"""The largest evidence that is printed as a number."""


class Pair(NamedTuple):
    """The outcomes of candidate, incumbent and control (if any) at one task and seed.

    `judged` is false if an attempt of any arm has no verdict. Then the pair does not count.
    """

    family: str
    incumbent: bool
    candidate: bool
    control: bool | None = None
    judged: bool = True


class Score(FrozenModel):
    """The candidate's outcomes against another arm: the number of pairs of each kind."""

    wins: int = Field(default=0, ge=0)
    losses: int = Field(default=0, ge=0)
    solved: int = Field(default=0, ge=0, description="Pairs that both solved.")
    failed: int = Field(default=0, ge=0, description="Pairs that both failed.")

    def __add__(self, other: Score) -> Score:
        return Score(
            wins=self.wins + other.wins,
            losses=self.losses + other.losses,
            solved=self.solved + other.solved,
            failed=self.failed + other.failed,
        )

    @property
    def pairs(self) -> int:
        """All pairs."""
        return self.wins + self.losses + self.ties

    @property
    def ties(self) -> int:
        """Pairs with equal outcomes."""
        return self.solved + self.failed

    @property
    def ours(self) -> float:
        """The candidate's success rate; 0 without pairs."""
        return (self.wins + self.solved) / self.pairs if self.pairs else 0.0

    @property
    def theirs(self) -> float:
        """The other arm's success rate; 0 without pairs."""
        return (self.losses + self.solved) / self.pairs if self.pairs else 0.0

    def gain_over(self, gain: float) -> float:
        """Return the evidence that the candidate's gain is above a value."""
        return evidence(self.wins, self.ties, self.losses, gain)

    def gain_under(self, gain: float) -> float:
        """Return the evidence that the candidate's gain is below a value."""
        return evidence(self.losses, self.ties, self.wins, -gain)


class Family(FrozenModel):
    """Success rates in one family of tasks. `harm` is the evidence that the candidate is worse."""

    pairs: int
    incumbent: float
    candidate: float
    harm: float


class Numbers(FrozenModel):
    """The numbers behind a decision, stored with the release.

    Attributes:
        pairs: tasks at which both have a verdict.
        wins: tasks that the candidate alone solved.
        losses: tasks that the incumbent alone solved.
        incumbent: success rate of the release in force.
        candidate: success rate of the candidate.
        control: success rate of the no-learning control, if one ran.
        gain: candidate minus incumbent.
        low: lower end of the gain's 95 % interval, which holds at all looks together.
        high: its upper end.
        evidence: e-value for the candidate; with a control, the smaller of the two.
        needed: the e-value from which on the gate publishes.
        families: each family's numbers.
        unjudged: tasks left out because an attempt had no verdict.
    """

    pairs: int
    wins: int
    losses: int
    incumbent: float
    candidate: float
    control: float | None
    gain: float
    low: float
    high: float
    evidence: float
    needed: float
    families: dict[str, Family]
    unjudged: int = 0


class Decision(FrozenModel):
    """The gate's decision, with a sentence for people and the numbers."""

    outcome: GateOutcome
    reason: str
    numbers: Numbers


class Gate(FrozenModel):
    """A sequential test of a candidate against the release in force; immutable.

    Attributes:
        families: every family of tasks that the hold-out has.
        aim: "better" to publish something new, "no_worse" to take something away.
        level: probability of publishing a candidate that is not better (or is worse by `margin`).
        margin: the gain not to be missed, or, to be no worse, the loss not to be allowed.
        harm: probability of rejecting a candidate for a family that is not worse, all families
            together.
        miss_rate: probability of giving up early on a candidate that has the gain.
        doubt: evidence of harm to a family from which on the gate asks for more pairs.
        least: pairs that every family needs before anything is published, while there are more.
        most: tasks after which the gate decides in any case.
        against_incumbent: the outcomes so far, by family.
        against_control: the same, against the control.
        unjudged: tasks without a verdict on every attempt: left out, never guessed.
    """

    families: tuple[str, ...] = Field(min_length=1)
    aim: Aim = "better"
    level: float = Field(default=0.05, gt=0, lt=1)
    margin: float = Field(default=0.1, gt=0, lt=1)
    harm: float = Field(default=0.1, gt=0, lt=1)
    miss_rate: float = Field(default=0.1, gt=0, lt=1)
    doubt: float = Field(default=2.0, gt=0)
    least: int = Field(default=8, ge=1)
    most: int = Field(default=300, ge=1)
    against_incumbent: dict[str, Score] = Field(default_factory=dict)
    against_control: dict[str, Score] = Field(default_factory=dict)
    unjudged: int = Field(default=0, ge=0)

    @field_validator("families")
    @classmethod
    def _each_once(cls, families: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(families))

    def add(self, pairs: Iterable[Pair]) -> Gate:
        """Return the gate with more outcomes; an UnknownName if a family is none of its own."""
        incumbent, control = dict(self.against_incumbent), dict(self.against_control)
        unjudged = self.unjudged
        for pair in pairs:
            family = pair.family
            if family not in self.families:
                raise UnknownName("family of this gate", family, self.families)
            if not pair.judged:
                unjudged += 1
                continue
            incumbent[family] = _count_pair(incumbent, family, pair.candidate, pair.incumbent)
            if pair.control is not None:
                control[family] = _count_pair(control, family, pair.candidate, pair.control)
        return self.model_copy(
            update={
                "against_incumbent": incumbent,
                "against_control": control,
                "unjudged": unjudged,
            }
        )

    def decide(self) -> Decision:
        """Decide from the outcomes so far."""
        outcome, reason = self._verdict()
        return Decision(outcome=outcome, reason=reason, numbers=self._numbers())

    @property
    def score(self) -> Score:
        """The pairs won and lost against the incumbent, over all families."""
        return _sum(self.against_incumbent)

    @property
    def _arms(self) -> tuple[Score, ...]:
        """The arms to beat. The control counts only when the candidate adds something."""
        has_control = self.aim == "better" and self.against_control
        return (self.score, _sum(self.against_control)) if has_control else (self.score,)

    @property
    def _zone(self) -> tuple[float, float]:
        """The gain to be exceeded, and the gain not to be missed."""
        return (0.0, self.margin) if self.aim == "better" else (-self.margin, 0.0)

    def _verdict(self) -> tuple[GateOutcome, str]:
        floor, target = self._zone
        points = f"{100 * self.margin:.0f} points"
        better = self.aim == "better"
        claim = "better" if better else f"less than {points} worse"
        hope = f"a gain of {points}" if better else "doing as well"
        strength, threshold = self._evidence(floor), 1 / self.level
        control = f", control {_sum(self.against_control).theirs:.0%}" * bool(self.against_control)
        odds = f"evidence {_odds(strength)}, {_odds(threshold)} needed"
        figures = f"{_score_text(self.score)}{control}; {odds}."
        if self.unjudged:
            figures += f" Left out, without a verdict: {self.unjudged}."
        if worse := self._worse():
            return (
                "reject",
                f"Significantly worse at {worse!r}: {_score_text(self._of(worse))}. {figures}",
            )
        if self._hopeless(target):
            return "reject", f"Not worth more tries: {hope} is ruled out. {figures}"
        is_exhausted = self.score.pairs + self.unjudged >= self.most
        pending_note = "" if is_exhausted else self._pending_note()
        if strength >= threshold and not pending_note:
            finding = f"{claim.capitalize()} beyond chance, and no family is significantly worse."
            return "publish", f"{finding} {figures}"
        if is_exhausted:
            return "reject", f"Not shown to be {claim} within {self.most} tasks. {figures}"
        return "undecided", f"Not decided yet. {figures}{pending_note}"

    def _evidence(self, floor: float) -> float:
        """Return the evidence for the candidate, against the arm that it beats the least."""
        return min(arm.gain_over(floor) for arm in self._arms)

    def _hopeless(self, target: float) -> bool:
        """Tell whether the gain that is worth waiting for is excluded, against any arm."""
        threshold = len(self._arms) / self.miss_rate
        return any(arm.gain_under(target) >= threshold for arm in self._arms)

    def _pending_note(self) -> str:
        """Name the families that need more pairs before anything is published."""
        names = [
            name
            for name in self.families
            if self._of(name).pairs < self.least or self._of(name).gain_under(0) >= self.doubt
        ]
        return f" More pairs are needed of {', '.join(names)}." if names else ""

    def _worse(self) -> str | None:
        """Return a family that is significantly worse, the worst of them."""
        worst = max(self.families, key=lambda name: self._of(name).gain_under(0))
        is_harmed = self._of(worst).gain_under(0) * self.harm >= len(self.families)
        return worst if is_harmed else None

    def _of(self, family: str) -> Score:
        return self.against_incumbent.get(family, Score())

    def _numbers(self) -> Numbers:
        score = self.score
        low, high = gain_interval(score.wins, score.ties, score.losses)
        return Numbers(
            pairs=score.pairs,
            wins=score.wins,
            losses=score.losses,
            incumbent=score.theirs,
            candidate=score.ours,
            control=_sum(self.against_control).theirs if self.against_control else None,
            gain=score.ours - score.theirs,
            low=low,
            high=high,
            evidence=self._evidence(self._zone[0]),
            needed=1 / self.level,
            families={name: _family(self._of(name)) for name in self.families},
            unjudged=self.unjudged,
        )


class Account(FrozenModel):
    """The gates of one agent so far. They set the level of the next gate (e-LOND).

    The k-th candidate is tested at level / (k (k + 1)), times one more than what was published
    before it. Then the expected share of undeserved releases among all stays below `level`,
    even if candidates depend on each other and share tasks. If no candidate deserves a release,
    `level` bounds the probability of ever publishing one. A lower level is cheap: a tenth of it
    costs a few more pairs, as evidence grows exponentially.

    Source: Xu and Ramdas 2024, "Online multiple testing with e-values" (arXiv 2311.06412).

    Attributes:
        level: the share of undeserved releases that is accepted.
        tried: candidates that had a gate, abandoned ones included.
        published: those that passed.
    """

    level: float = Field(default=0.05, gt=0, lt=1)
    tried: int = Field(default=0, ge=0)
    published: int = Field(default=0, ge=0)

    @property
    def next_level(self) -> float:
        """The level of the next candidate's gate."""
        share = (self.published + 1) / ((self.tried + 1) * (self.tried + 2))
        return self.level * share

    def add(self, decision: Decision) -> Account:
        """Return the account after one more candidate."""
        releases = self.published + (decision.outcome == "publish")
        return self.model_copy(update={"tried": self.tried + 1, "published": releases})


def fresh_seed(*about: str | int, below: int) -> int:
    """Return a seed for a gate's tasks. Each candidate and try has its own."""
    return int(digest("gate", *about), 16) % below


def _count_pair(scores: Mapping[str, Score], family: str, ours: bool, theirs: bool) -> Score:
    one = Score(
        wins=ours and not theirs,
        losses=theirs and not ours,
        solved=ours and theirs,
        failed=not ours and not theirs,
    )
    return scores.get(family, Score()) + one


def _sum(scores: Mapping[str, Score]) -> Score:
    return reduce(Score.__add__, scores.values(), Score())


def _family(score: Score) -> Family:
    return Family(
        pairs=score.pairs,
        incumbent=score.theirs,
        candidate=score.ours,
        harm=score.gain_under(0),
    )


def _score_text(score: Score) -> str:
    """Write a score as text."""
    return (
        f"{score.ours:.0%} against {score.theirs:.0%} in {score.pairs} pairs, "
        f"{score.wins} won and {score.losses} lost"
    )


def _odds(evidence_value: float) -> str:
    """Write evidence as people read it, to two figures: '27,000 to 1'."""
    if evidence_value >= _MOST_ODDS:
        return f"more than {_MOST_ODDS:,} to 1"
    two_figures = float(f"{evidence_value:.2g}")
    return f"{two_figures:,.0f} to 1" if two_figures >= 10 else f"{two_figures:g} to 1"
