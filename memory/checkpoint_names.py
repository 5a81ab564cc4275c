"""What was renamed since checkpoints were written that may still be opened.

Keys are names as they were stored, values are today's. When a class, a field or a channel of a
graph's state gets another name, add a line here, and change the lines that led to the former name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CLASSES: Final[Mapping[str, str]] = {
    # Before everything was called `apprentice`, every room was a package of its own.
    "state.advice.Advice": "apprentice.state.advice.Advice",
    "state.advice.Circumstances": "apprentice.state.advice.Circumstances",
    "state.advice.Cost": "apprentice.state.advice.Cost",
    "state.advice.Evidence": "apprentice.state.advice.AvailableData",
    "state.advice.Limits": "apprentice.state.advice.Limits",
    "state.advice.Overruling": "apprentice.state.advice.Override",
    "state.advice.Reason": "apprentice.state.advice.Reason",
    "state.expel.Counts": "apprentice.state.expel.OperationCounts",
    "state.expel.ForTask": "apprentice.state.expel.ForTask",
    "state.experience.Recalled": "apprentice.state.experience.Recollection",
    "state.feedback.SentVerdict": "apprentice.state.feedback.SentVerdict",
    "state.gate.Decision": "apprentice.state.gate.Decision",
    "state.gate.Family": "apprentice.state.gate.Family",
    "state.gate.Numbers": "apprentice.state.gate.Numbers",
    "state.gathering.Evidence": "apprentice.state.critique.CritiqueEvidence",
    "state.insights.Admitted": "apprentice.state.insights.Admission",
    "state.insights.Drawn": "apprentice.state.insights.InsightDraft",
    "state.insights.Experiment": "apprentice.state.insights.Experiment",
    "state.insights.Insight": "apprentice.state.insights.Insight",
    "state.insights.Plan": "apprentice.state.insights.Plan",
    "state.insights.Quarantined": "apprentice.state.insights.QuarantinedInsight",
    "state.insights.Report": "apprentice.state.insights.InsightReport",
    "state.nouns.InView": "apprentice.state.nouns.InView",
    "state.nouns.Reflection": "apprentice.state.nouns.Reflection",
    "state.nouns.Task": "apprentice.state.nouns.Task",
    "state.nouns.Trajectory": "apprentice.state.nouns.Trajectory",
    "state.nouns.Usage": "apprentice.state.nouns.Usage",
    "state.nouns.Verdict": "apprentice.state.nouns.Verdict",
    "state.prompts.Shown": "apprentice.state.prompts.Shown",
    "state.releases.Release": "apprentice.state.releases.Release",
    "state.review.Change": "apprentice.state.review.RuleChange",
    "state.review.Quarantined": "apprentice.state.review.QuarantinedOperation",
    "state.rules.Operation": "apprentice.state.rules.Operation",
    "state.rules.Rejected": "apprentice.state.rules.Rejection",
    "state.rules.Rule": "apprentice.state.rules.Rule",
}

FIELDS: Final[Mapping[str, Mapping[str, str]]] = {
    "state.advice.Circumstances": {"overruling": "override"},
    "state.advice.Evidence": {
        "graded": "can_grade",
        "hosted": "is_hosted",
        "solved": "successes",
    },
    "state.insights.Plan": {"admitted": "admissions"},
}
"""Fields of classes, by the name that the class was stored with."""

CHANNELS: Final[Mapping[str, str]] = {
    "adapting": "plan_usage",
    "book_name": "collection_name",
    "done": "reports_done",
    "drawn": "draft",
    "following": "follow_job",
    "kept": "other_environments",
    "launched": "job_launched",
    "moments": "similar_steps",
    "recalled": "recollections",
    "reflecting": "reflection_usage",
    "rejected": "rejections",
    "reviewed": "ask_person",
    "said": "named_fields",
    "seen": "surveyed_until",
    "stripped": "strip_views",
}
"""Channels of graphs; only checkpoints that hold a class of a former name are looked at."""
