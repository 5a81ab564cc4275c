"""Checkpoints: how they are read, also when this project's classes had other names.

A checkpoint names the class of each value by module and name. Pass the serializer to any
checkpointer, and it reads what earlier versions wrote, and makes no other classes than the
project's own of what is in the file:

    saver = SqliteSaver(connection, serde=CheckpointSerializer())
    graph = reflexion.build().compile(checkpointer=saver)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
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

from apprentice.memory.checkpoint_names import CHANNELS, CLASSES, FIELDS
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

_CONSTRUCTORS: Final = (
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
        allowed: more classes that may be made of what is in a checkpoint: those of the graph that
            the project's graphs are a part of.
    """

    def __init__(self, allowed: Iterable[type] = ()) -> None:
        super().__init__(allowed_msgpack_modules=[*own_classes(), *allowed])

    @override
    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Return a value, with the classes, fields and channels of today's names."""
        kind, stored = data
        if kind == "msgpack" and _former().search(stored):
            value = _with_channels_of_today(_unpacked(stored))
            stored = ormsgpack.packb(value, option=_OPTION)
        return super().loads_typed((kind, stored))


@cache
def own_classes() -> tuple[tuple[str, str], ...]:
    """Return the project's classes that a checkpoint can hold, as (module, name)."""
    return tuple(dict.fromkeys(pair for state in STATES for pair in _classes(state, set())))


def _classes(hint: Any, seen: set[Any]) -> Iterator[tuple[str, str]]:
    """Yield the project's classes that a type is made of."""
    for part in get_args(hint):
        yield from _classes(part, seen)
    if not isinstance(hint, type) or not hint.__module__.startswith(_OWN) or hint in seen:
        return
    seen.add(hint)
    yield hint.__module__, hint.__name__
    if is_dataclass(hint) or is_typeddict(hint) or issubclass(hint, BaseModel):
        for field in get_type_hints(hint).values():
            yield from _classes(field, seen)


@cache
def _former() -> re.Pattern[bytes]:
    """Match what may be a former name, so that only such checkpoints are rewritten."""
    modules = {name.rpartition(".")[0].encode() for name in CLASSES}
    # A string in MessagePack begins with its length, in one byte or after a marker.
    return re.compile(rb"[\xa0-\xbf\xd9].?(?:%s)" % b"|".join(map(re.escape, modules)), re.DOTALL)


def _unpacked(stored: bytes) -> Any:
    return ormsgpack.unpackb(stored, ext_hook=_rewritten, option=_OPTION)


def _rewritten(code: int, stored: bytes) -> ormsgpack.Ext:
    """Return a value as it was stored, with its class's name of today, and so for all in it."""
    if code == EXT_DELTA_SNAPSHOT:
        return ormsgpack.Ext(code, ormsgpack.packb(_unpacked(stored), option=_OPTION))
    if code not in _CONSTRUCTORS:
        return ormsgpack.Ext(code, stored)
    module, name, content, *rest = _unpacked(stored)
    former = f"{module}.{name}"
    module, _, name = CLASSES.get(former, former).rpartition(".")
    if fields := FIELDS.get(former):
        content = {fields.get(field, field): value for field, value in content.items()}
    return ormsgpack.Ext(code, ormsgpack.packb([module, name, content, *rest], option=_OPTION))


def _with_channels_of_today(value: Any) -> Any:
    """Return a whole checkpoint with today's channels, and anything else as it is."""
    if not (isinstance(value, dict) and {"channel_values", "channel_versions"} <= value.keys()):
        return value
    by_channel = {part: _renamed(value[part]) for part in ("channel_values", "channel_versions")}
    seen = {node: _renamed(versions) for node, versions in value["versions_seen"].items()}
    return {**value, **by_channel, "versions_seen": seen}


def _renamed(by_channel: Mapping[str, Any]) -> dict[str, Any]:
    return {CHANNELS.get(name, name): value for name, value in by_channel.items()}
