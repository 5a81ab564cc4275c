"""Context: the settings of a run, the same for every graph.

What a caller of the API may set is a name or a bounded number, never a path or code. Titles,
descriptions, choices and bounds are part of the type, because Studio makes a form of them.

A number outside its limits raises OutOfBounds, a setting or a choice that does not exist
UnknownName, a value of the wrong kind BadInput.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, Literal, Self, cast, get_args, get_origin, get_type_hints

from langgraph.runtime import Runtime
from pydantic import Field, TypeAdapter, ValidationError

from apprentice.state.errors import BadInput, OutOfBounds, UnknownName
from apprentice.state.trajectory import Name

Strategy = Literal["none", "last_attempt", "reflection", "last_attempt_and_reflection"]
JudgeName = Literal["model", "person", "later"]
Recall = Literal["hybrid", "meaning", "text", "type", "random", "fixed"]
MAX_SHOWN = 20
MAX_SEED = 2**31 - 1
NO_ADAPTER = "none"
"""In place of an adapter's name: use no adapter, even if one is released."""


@dataclass(frozen=True)
class Context:
    """The settings of a run.

    Example:
        >>> Context(max_trials=3).max_trials
        3
    """

    tenant: Annotated[
        Name,
        Field(
            title="Tenant",
            description="Whose experience, rules and reflections this run reads and writes.",
        ),
    ] = "default"
    model: Annotated[
        str,
        Field(
            title="Model",
            description="provider:model, such as openai:gpt-5-mini, or local:<name>; empty for the "
            "deployment's own.",
            max_length=200,
        ),
    ] = ""
    adapter: Annotated[
        str,
        Field(
            title="Adapter",
            description="A LoRA adapter of a local model: its name, or none; empty for the "
            "released one.",
            max_length=200,
        ),
    ] = ""
    temperature: Annotated[
        float,
        Field(title="Temperature", description="0 always takes the most likely token.", ge=0, le=2),
    ] = 0.0
    max_tokens: Annotated[
        int,
        Field(
            title="Longest turn",
            description="Tokens per turn of the agent, at most.",
            ge=8,
            le=4096,
        ),
    ] = 128
    seed: Annotated[
        int,
        Field(title="Seed", description="Makes sampling repeatable.", ge=0, le=MAX_SEED),
    ] = 0
    judge: Annotated[
        JudgeName,
        Field(
            title="Judge",
            description="Who grades open tasks: a model, a person, or feedback that comes later.",
        ),
    ] = "model"
    judge_model: Annotated[
        str,
        Field(
            title="Judge's model",
            description="provider:model that grades open tasks; empty for the agent's own model.",
            max_length=200,
        ),
    ] = ""
    recall: Annotated[
        Recall,
        Field(
            title="Recall",
            description="How exemplars, reflections and steps are selected: by meaning and text "
            "(hybrid), by one of the two, by type of task, at random, or from a fixed set.",
        ),
    ] = "hybrid"
    exemplar_set: Annotated[
        str,
        Field(
            title="Exemplar set",
            description="Name of a set of exemplars on the server; only for recall 'fixed'.",
            max_length=80,
        ),
    ] = ""
    exemplars: Annotated[
        int,
        Field(
            title="Exemplars",
            description="Transcripts of solved tasks shown, at most.",
            ge=0,
            le=MAX_SHOWN,
        ),
    ] = 3
    failures: Annotated[
        int,
        Field(
            title="Failures",
            description="Failed attempts at other tasks shown as warnings, at most.",
            ge=0,
            le=MAX_SHOWN,
        ),
    ] = 0
    similar_steps: Annotated[
        int,
        Field(
            title="Similar steps",
            description="Single steps of solved tasks shown, at most. Each turn recalls the steps "
            "that fit the latest observation.",
            ge=0,
            le=MAX_SHOWN,
        ),
    ] = 0
    similar_reflections: Annotated[
        int,
        Field(
            title="Similar reflections",
            description="Reflections on similar tasks shown, at most.",
            ge=0,
            le=MAX_SHOWN,
        ),
    ] = 0
    adapt: Annotated[
        bool,
        Field(
            title="Adapt",
            description="The model turns the best exemplar into a plan. The prompt shows the plan "
            "in place of the exemplar.",
        ),
    ] = False
    threshold: Annotated[
        float,
        Field(
            title="Threshold",
            description="Lowest similarity at which something is recalled by meaning.",
            ge=0,
            le=1,
        ),
    ] = 0.0
    diversity: Annotated[
        float,
        Field(
            title="Diversity",
            description="0 recalls the most relevant; values towards 1 recall what differs more.",
            ge=0,
            le=1,
        ),
    ] = 0.5
    shown_tokens: Annotated[
        int,
        Field(
            title="Tokens shown",
            description="Tokens of what is recalled, at most, counted by the model's tokenizer. "
            "The limit holds for the attempt, and again for the similar steps of each turn. 0: no "
            "limit.",
            ge=0,
            le=1_000_000,
        ),
    ] = 4_000
    max_trials: Annotated[
        int,
        Field(title="Trials", description="Attempts at the task, at most.", ge=1, le=100),
    ] = 6
    strategy: Annotated[
        Strategy,
        Field(title="Strategy", description="What a retry is shown of the earlier attempts."),
    ] = "reflection"
    window: Annotated[
        int,
        Field(title="Window", description="Latest reflections shown, at most.", ge=1, le=10),
    ] = 3
    rules: Annotated[
        str,
        Field(
            title="Rules",
            description="Which released rules prompts show: current, none, or a release's id.",
            min_length=1,
            max_length=200,
        ),
    ] = "current"

    record: Annotated[
        bool,
        Field(
            title="Record",
            description="Store every attempt in the experience memory, if there is one.",
        ),
    ] = True

    def __new__(cls, *_: object, **settings: object) -> Self:
        """Refuse names that are no settings, before the dataclass raises a TypeError."""
        check_names(settings)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field.name, getattr(self, field.name))

    @property
    def reflects(self) -> bool:
        """Whether failures become reflections, and those are shown."""
        return self.strategy in ("reflection", "last_attempt_and_reflection")

    @property
    def shows_last_attempt(self) -> bool:
        """Whether the transcript of the last attempt is shown."""
        return self.strategy in ("last_attempt", "last_attempt_and_reflection")

    @classmethod
    def of(cls, runtime: Runtime[Any]) -> Context:
        """Return the run's settings. Without any, or with those of another graph, the defaults."""
        return runtime.context if isinstance(runtime.context, cls) else _defaults()


def check_names(settings: Iterable[str]) -> None:
    """Refuse a name that is no setting, and name the nearest one.

    Raises:
        UnknownName: there is no such setting.
    """
    names = [field.name for field in fields(Context)]
    for name in settings:
        if name not in names:
            raise UnknownName("setting", name, names)


@cache
def _defaults() -> Context:
    return Context()


@cache
def _rule(name: str) -> tuple[Any, dict[str, Any], TypeAdapter[Any]]:
    """Return a setting's plain type, its JSON schema (title, bounds) and its validator."""
    hint = get_type_hints(Context, include_extras=True)[name]
    adapter: TypeAdapter[Any] = TypeAdapter(hint)
    return get_args(hint)[0], adapter.json_schema(), adapter


def _check(name: str, value: object) -> None:
    plain, schema, adapter = _rule(name)
    try:
        adapter.validate_python(value, strict=True)
    except ValidationError as error:
        what = f"The setting {name!r}"
        if get_origin(plain) is Literal:
            raise UnknownName(name, str(value), get_args(plain)) from error
        reason = error.errors()[0]
        if reason["type"] in ("greater_than_equal", "less_than_equal"):
            number = cast("float", value)
            raise OutOfBounds(what, number, schema["minimum"], schema["maximum"]) from error
        raise BadInput(f"{what} is {str(value)[:80]!r}. {reason['msg']}.") from error
