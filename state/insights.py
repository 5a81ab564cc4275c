"""Types of the insights graph: input, state and output.

An insight is a rule in a rulebook of its own. Its strength is its standing: it enters at 2, each
report's outcome adds or subtracts one, and people set it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, Required

from langgraph.channels import EphemeralValue
from pydantic import Field
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict

from apprentice.state.rulebook import Batch, Operation, Rule, Rulebook
from apprentice.state.rules import RuleText
from apprentice.state.trajectory import FrozenModel, Name, Usage, digest

MOST_REPORTS: Final = 200
PROMOTED: Final = 3
"""Strength from which on an insight counts as promoted."""
DEMOTED: Final = 1
"""Strength of an insight that stays in the list but is not used."""

Standing = Literal["promoted", "open", "demoted", "retired"]
Action = Literal["promote", "demote", "edit", "add", "remove", "admit"]
InsightsOutcome = Literal["proposed", "nothing_promoted", "unanswered"]


class InsightReport(FrozenModel):
    """A report, and whether its figure reached the target."""

    text: str = Field(
        min_length=1, max_length=4_000, title="Report", description="What was measured, in words."
    )
    hit_target: bool = Field(title="Hit target", description="Whether it reached its target.")

    @property
    def id(self) -> str:
        """Derive the report's id, so that a report that is sent twice counts once."""
        return digest("report", self.text.strip())

    @property
    def outcome(self) -> str:
        """The outcome and the text, in one line."""
        return f"{'Hit' if self.hit_target else 'Missed'} its target: {self.text}"


class Insight(FrozenModel):
    """An insight as people see it.

    Attributes:
        id: what changes name it by.
        text: the insight.
        strength: votes for it minus votes against it.
        standing: promoted ones are used; a retired one can be revived.
        because: the reports behind it, the oldest first.
    """

    id: str
    text: str
    strength: int
    standing: Standing
    because: tuple[str, ...] = ()


class QuarantinedInsight(FrozenModel):
    """An insight that a model wrote and that no prompt shows until a person admits it.

    Attributes:
        text: the insight, or the beginning of what the model wrote instead.
        reason: why it was stopped.
        report: the report.
    """

    text: str
    reason: str
    report: InsightReport


class InsightDraft(FrozenModel):
    """A model's answer to a report.

    Attributes:
        text: the new insight, or, with a problem, what the model wrote.
        insight: the id of an insight that says it already.
        problem: why a person has to look at it.
    """

    text: str = ""
    insight: str = ""
    problem: str = ""


class InsightChange(FrozenModel):
    """One thing that a person wants changed."""

    action: Action
    insight: str = Field(default="", max_length=200, description="Its id; all but add and admit.")
    text: RuleText = Field(default="", description="For edit and add; for admit, if reworded.")
    quarantined: int = Field(default=0, ge=0, description="For admit: its number, from 1.")


class InsightReview(FrozenModel):
    """A person's answer. If `done` is false, the review shows the result and asks again."""

    changes: tuple[InsightChange, ...] = Field(default=(), max_length=100)
    reason: str = Field(default="", max_length=1_000)
    done: bool = True


class Admission(FrozenModel):
    """A quarantined insight that a person admits, unchanged or reworded."""

    number: int
    text: str


class Plan(FrozenModel):
    """The operations and admissions that carry out a person's answer."""

    operations: tuple[Operation, ...] = ()
    admissions: tuple[Admission, ...] = ()
    reason: str = ""
    done: bool = True


class Experiment(FrozenModel):
    """What to try next, and the insights that it rests on, by id."""

    text: str
    insights: tuple[str, ...]


GivenReports = Annotated[
    list[InsightReport],
    Field(
        title="Reports",
        max_length=MOST_REPORTS,
        description="What was measured, each with whether it hit its target. An empty list goes "
        "straight to the review of what is known.",
    ),
]


class InsightsInput(TypedDict, total=False):
    """The reports, and options of this run. Options do not carry over to later runs."""

    reports: Required[GivenReports]
    collection: Annotated[
        Name,
        Field(title="Collection", description="Name of the collection of insights."),
        EphemeralValue(str),
    ]
    review: Annotated[
        bool,
        Field(title="Review", description="Ask a person before an experiment is proposed."),
        EphemeralValue(bool),
    ]


@dataclass
class InsightsGiven:
    """An input before validation."""

    reports: object = None
    collection: object = None
    review: object = None


class InsightsUpdate(TypedDict, total=False):
    """What a node of insights changes."""

    reports: list[InsightReport]
    collection_name: str
    run_name: str
    ask_person: bool
    reports_done: int
    draft: InsightDraft
    quarantined: list[QuarantinedInsight]
    rounds: int
    problems: list[str]
    plan: Plan
    insights: list[Insight]
    version: str
    experiment: Experiment | None
    outcome: InsightsOutcome | None
    usage: Usage


class InsightsOutput(TypedDict):
    """Every insight with its standing, the quarantined ones, and the experiment to try next."""

    outcome: Annotated[InsightsOutcome, Field(title="Outcome", description="How the run ended.")]
    experiment: Experiment | None
    insights: list[Insight]
    quarantined: list[QuarantinedInsight]
    version: Annotated[str, Field(title="Version", description="The rulebook's version.")]
    usage: Usage


@pydantic_dataclass
class InsightsState:
    """A run so far: the reports done, what waits for a person, and the insights."""

    reports: list[InsightReport] = field(default_factory=list)
    collection_name: str = ""
    run_name: str = ""
    ask_person: bool = True
    reports_done: int = 0
    draft: InsightDraft = field(default_factory=InsightDraft)
    quarantined: list[QuarantinedInsight] = field(default_factory=list)
    rounds: int = 0
    problems: list[str] = field(default_factory=list)
    plan: Plan = field(default_factory=Plan)
    insights: list[Insight] = field(default_factory=list)
    version: str = ""
    experiment: Experiment | None = None
    outcome: InsightsOutcome | None = None
    usage: Usage = field(default_factory=Usage)


def standing_of(strength: int) -> Standing:
    """Return the standing of an insight with a given strength."""
    if strength >= PROMOTED:
        return "promoted"
    if strength > DEMOTED:
        return "open"
    return "demoted" if strength else "retired"


def insights_of(rulebook: Rulebook, batches: Iterable[Batch]) -> list[Insight]:
    """Return a rulebook's insights with their reasons: the strongest first, the retired last."""
    because = reasons(rulebook, batches)
    return [_insight(rule, because) for rule in (*rulebook.rules, *rulebook.retired)]


def reasons(rulebook: Rulebook, batches: Iterable[Batch]) -> Mapping[str, list[str]]:
    """Return, by insight, the reasons of the batches that touched it, the oldest first."""
    by_insight: defaultdict[str, list[str]] = defaultdict(list)
    for batch in batches:
        for operation in batch.operations:
            insight_reasons = by_insight[rulebook.merged.get(operation.rule, operation.rule)]
            if batch.reason and batch.reason not in insight_reasons:
                insight_reasons.append(batch.reason)
    return by_insight


def _insight(rule: Rule, because: Mapping[str, list[str]]) -> Insight:
    return Insight(
        id=rule.id,
        text=rule.text,
        strength=rule.strength,
        standing=standing_of(rule.strength),
        because=tuple(because.get(rule.id, ())),
    )


def review_question(
    insights: Iterable[Insight], quarantine: Iterable[QuarantinedInsight], problems: Iterable[str]
) -> dict[str, Any]:
    """Return the question to a person as plain JSON, with an example of an answer."""
    return {
        "question": "Which insights shall stand? Answer with changes, or with none to go on.",
        "problems": list(problems),
        "insights": [insight.model_dump(mode="json") for insight in insights],
        "quarantined": [
            {"number": number, **insight.model_dump(mode="json")}
            for number, insight in enumerate(quarantine, 1)
        ],
        "answer": {
            "changes": [
                {"action": "promote", "insight": "<id>"},
                {"action": "demote", "insight": "<id>"},
                {"action": "remove", "insight": "<id>"},
                {"action": "edit", "insight": "<id>", "text": "<new text>"},
                {"action": "add", "text": "<insight>"},
                {"action": "admit", "quarantined": 1},
            ],
            "reason": "<why>",
            "done": True,
        },
    }
