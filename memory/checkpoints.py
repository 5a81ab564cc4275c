"""Read checkpoints, also those in which this project's classes have older names.

A checkpoint names the class of each value by module and name. Pass the serializer to any
checkpointer. It then reads what earlier versions wrote, and it creates only the project's own
classes from a file:

    saver = SqliteSaver(connection, serde=CheckpointSerializer())
    graph = reflexion.build().compile(checkpointer=saver)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from functools import cache
from typing import Any, Final, get_args, get_type_hints

import ormsgpack
from langgraph.checkpoint.serde.jsonplus import (
    EXT_CONSTRUCTOR_KW_ARGS,
    EXT_CONSTRUCTOR_POS_ARGS,
    EXT_CONSTRUCTOR_SINGLE_ARG,
    EXT_DELTA_SNAPSHOT,
    EXT_PYDANTIC_V2,
    JsonPlusSerializer,
)
from pydantic import BaseModel
from typing_extensions import is_typeddict, override

from apprentice.state.episode import EpisodeState
from apprentice.state.exemplar import ExemplarState
from apprentice.state.expel import ExpelState, ForTask
from apprentice.state.feedback import FeedbackState
from apprentice.state.insights import InsightsState
from apprentice.state.reflexion import ReflexionState
from apprentice.state.training import TrainingState

STATES: Final = (
    EpisodeState,
    ExemplarState,
    ExpelState,
    FeedbackState,
    ForTask,
    InsightsState,
    ReflexionState,
    TrainingState,
)

CURRENT_NAMES: Final[Mapping[str, str]] = {
    # Before 0.2, each room was a top-level package: `state.nouns`.
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
    "state.nouns.InView": "apprentice.state.trajectory.InView",
    "state.nouns.Reflection": "apprentice.state.trajectory.Reflection",
    "state.nouns.Task": "apprentice.state.trajectory.Task",
    "state.nouns.Trajectory": "apprentice.state.trajectory.Trajectory",
    "state.nouns.Usage": "apprentice.state.trajectory.Usage",
    "state.nouns.Verdict": "apprentice.state.trajectory.Verdict",
    "state.prompts.Shown": "apprentice.state.prompts.Shown",
    "state.releases.Release": "apprentice.state.releases.Release",
    "state.review.Change": "apprentice.state.review.RuleChange",
    "state.review.Quarantined": "apprentice.state.review.QuarantinedOperation",
    "state.rules.Operation": "apprentice.state.rules.Operation",
    "state.rules.Rejected": "apprentice.state.rules.Rejection",
    "state.rules.Rule": "apprentice.state.rules.Rule",
}
"""The current name of each class that was moved or renamed, by the name in old checkpoints.

When you rename a class of a graph's state, add a line, and update the lines that point to it.
"""

_FIELDS: Final[Mapping[str, Mapping[str, str]]] = {
    "apprentice.state.advice.AvailableData": {
        "graded": "can_grade",
        "hosted": "is_hosted",
        "solved": "successes",
    },
    "apprentice.state.advice.Circumstances": {"overruling": "override"},
    "apprentice.state.insights.Plan": {"admitted": "admissions"},
}
"""The current names of renamed fields, by the class's current name and the field's old name."""

_CHANNELS: Final[Sequence[tuple[frozenset[str], Mapping[str, str]]]] = (
    (frozenset({"in_view", "moments"}), {"moments": "similar_steps"}),
    (frozenset({"background", "reflecting"}), {"reflecting": "reflection_usage"}),
    (
        frozenset({"background", "adapting"}),
        {"adapting": "plan_usage", "recalled": "recollections"},
    ),
    (
        frozenset({"tasks_drawn", "reviewed"}),
        {"rejected": "rejections", "reviewed": "ask_person"},
    ),
    (
        frozenset({"book_name", "reports"}),
        {
            "book_name": "collection_name",
            "done": "reports_done",
            "drawn": "draft",
            "reviewed": "ask_person",
        },
    ),
    (frozenset({"id", "judgement"}), {"kept": "effect", "said": "named_fields"}),
    (
        frozenset({"job_settings", "stripped"}),
        {
            "following": "follow_job",
            "kept": "other_environments",
            "launched": "job_launched",
            "seen": "surveyed_until",
            "stripped": "strip_views",
        },
    ),
)
"""The current names of renamed state fields, by their old names. Each entry begins with the fields
that identify the graph which wrote the checkpoint."""

_CLASSES: Final = (
    EXT_CONSTRUCTOR_SINGLE_ARG,
    EXT_CONSTRUCTOR_POS_ARGS,
    EXT_CONSTRUCTOR_KW_ARGS,
    EXT_PYDANTIC_V2,
)
_OPTION: Final = ormsgpack.OPT_NON_STR_KEYS
_OWN: Final = "apprentice."


class CheckpointSerializer(JsonPlusSerializer):
    """LangGraph's serializer, for checkpoints of this project's graphs.

    Args:
        extra_classes: further classes that a checkpoint may contain. Name those of your own graph
            when the project's graphs are parts of it.
    """

    def __init__(self, extra_classes: Iterable[type] = ()) -> None:
        super().__init__(allowed_msgpack_modules=[*own_classes(), *extra_classes])

    @override
    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Return a value with the current names of its classes and state fields."""
        kind, stored = data
        if kind == "msgpack" and _old_names().search(stored):
            stored = ormsgpack.packb(_unpack(stored), option=_OPTION)
        value = super().loads_typed((kind, stored))
        if isinstance(value, dict) and isinstance(value.get("channel_values"), dict):
            return _with_fields(value)
        return value


@cache
def own_classes() -> tuple[tuple[str, str], ...]:
    """Return the project's classes that a checkpoint can hold, as (module, name)."""
    return tuple(dict.fromkeys(pair for state in STATES for pair in _classes(state, set())))


def _classes(hint: Any, classes_seen: set[Any]) -> Iterator[tuple[str, str]]:
    """Yield the project's classes that occur in a type."""
    for part in get_args(hint):
        yield from _classes(part, classes_seen)
    if not isinstance(hint, type) or not hint.__module__.startswith(_OWN) or hint in classes_seen:
        return
    classes_seen.add(hint)
    yield hint.__module__, hint.__name__
    if is_dataclass(hint) or is_typeddict(hint) or issubclass(hint, BaseModel):
        for field in get_type_hints(hint).values():
            yield from _classes(field, classes_seen)


@cache
def _old_names() -> re.Pattern[bytes]:
    """Match bytes that may be an old name; other checkpoints need no rewriting."""
    modules = {name.rpartition(".")[0].encode() for name in CURRENT_NAMES}
    # A string in MessagePack begins with its length, in one byte or after a marker.
    return re.compile(rb"[\xa0-\xbf\xd9].?(?:%s)" % b"|".join(map(re.escape, modules)), re.DOTALL)


def _with_fields(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return a checkpoint with the current field names."""
    fields = checkpoint["channel_values"].keys()
    for signature, names in _CHANNELS:
        if signature <= fields:
            versions_seen = checkpoint["versions_seen"]
            return {
                **checkpoint,
                "channel_values": _with_keys(checkpoint["channel_values"], names),
                "channel_versions": _with_keys(checkpoint["channel_versions"], names),
                "versions_seen": {
                    node: _with_keys(each, names) for node, each in versions_seen.items()
                },
            }
    return checkpoint


def _with_keys(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in values.items()}


def _unpack(stored: bytes) -> Any:
    return ormsgpack.unpackb(stored, ext_hook=_rewrite, option=_OPTION)


def _rewrite(code: int, stored: bytes) -> ormsgpack.Ext:
    """Return a stored value with the current name of its class and of all classes inside it."""
    if code == EXT_DELTA_SNAPSHOT:
        return ormsgpack.Ext(code, ormsgpack.packb(_unpack(stored), option=_OPTION))
    if code not in _CLASSES:
        return ormsgpack.Ext(code, stored)
    module, name, content, *rest = _unpack(stored)
    stored_as = f"{module}.{name}"
    class_name = CURRENT_NAMES.get(stored_as, stored_as)
    if fields := _FIELDS.get(class_name):
        content = _with_keys(content, fields)
    module, _, name = class_name.rpartition(".")
    return ormsgpack.Ext(code, ormsgpack.packb([module, name, content, *rest], option=_OPTION))
