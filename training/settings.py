"""The settings of a training job: one class for each method, with bounds and defaults.

They contain everything that changes the result, including the seed. So a job's id can be the hash
of its data, its base and its settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from apprentice.state.advice import Method
from apprentice.state.errors import BadInput

Choice = Literal["auto", "on", "off"]
Span = Literal["answer", "step"]
PLAIN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$"


class JobSettings(BaseModel):
    """The settings that all methods share.

    A step is one update of the weights. If a setting is 0 or "auto", the trainer chooses the value
    and reports it in its first event.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: Annotated[
        str, Field(pattern=PLAIN, description="plain name of the local model to train")
    ] = "novice"
    parent: Annotated[
        str,
        Field(
            pattern=rf"^$|{PLAIN}", description="adapter to continue from; empty: start a new one"
        ),
    ] = ""
    seed: Annotated[int, Field(ge=0, lt=2**31, description="seed of everything random")] = 0
    rank: Annotated[int, Field(ge=1, le=512, description="rank of the LoRA adapter")] = 16
    alpha: Annotated[int, Field(ge=1, le=1024, description="LoRA alpha: scale times rank")] = 32
    dropout: Annotated[float, Field(ge=0, lt=1, description="dropout of the LoRA adapter")] = 0.0
    targets: Annotated[
        tuple[str, ...],
        Field(description="last parts of the names of the layers to adapt; none: all linear ones"),
    ] = ()
    quantised: Annotated[bool, Field(description="load the base in four bits (NF4), for QLoRA")] = (
        False
    )
    tags: Annotated[
        bool, Field(description="add tokens for <think> and <tool_call> if the base has none")
    ] = False
    embeddings: Annotated[
        bool,
        Field(description="train the embeddings too, for tokens that the base has not seen"),
    ] = False
    learning_rate: Annotated[float, Field(gt=0, le=1, description="highest learning rate")] = 2e-4
    epochs: Annotated[float, Field(gt=0, le=1000, description="passes over the rows")] = 2.0
    max_steps: Annotated[
        int,
        Field(ge=0, le=10_000_000, description="number of steps; 0: as many as the epochs need"),
    ] = 0
    batch: Annotated[int, Field(ge=1, le=4096, description="rows in a forward pass")] = 8
    accumulate: Annotated[int, Field(ge=1, le=4096, description="forward passes in a step")] = 1
    warmup: Annotated[float, Field(ge=0, lt=1, description="share of the steps to warm up")] = 0.1
    max_length: Annotated[
        int, Field(ge=0, le=10_000_000, description="most tokens of a row; 0: the base's context")
    ] = 0
    every: Annotated[
        int, Field(ge=0, description="steps between checkpoints; 0: a tenth of all steps")
    ] = 0
    patience: Annotated[
        int,
        Field(
            ge=0, le=1000, description="stop after this many evaluations without progress; 0: never"
        ),
    ] = 3
    checkpointing: Annotated[Choice, Field(description="recompute activations to save memory")] = (
        "auto"
    )


class SftSettings(JobSettings):
    """Supervised fine-tuning on prompts and ideal answers."""

    method: Literal["sft"] = "sft"
    learning_rate: Annotated[float, Field(gt=0, le=1, description="highest learning rate")] = 2e-4
    packing: Annotated[
        Choice, Field(description="put several samples in a row if attention can separate them")
    ] = "auto"


class DpoSettings(JobSettings):
    """Direct preference optimisation on a better and a worse answer to each prompt."""

    method: Literal["dpo"] = "dpo"
    learning_rate: Annotated[float, Field(gt=0, le=1, description="highest learning rate")] = 5e-5
    beta: Annotated[
        float, Field(gt=0, le=10, description="strength of the pull to the reference")
    ] = 0.1
    imitation: Annotated[
        float, Field(ge=0, le=10, description="weight of also imitating the better answer")
    ] = 0.0
    span: Annotated[
        Span,
        Field(description="compare whole answers, or up to the sentence in which they diverge"),
    ] = "answer"


class GrpoSettings(JobSettings):
    """Group relative policy optimisation on the rewards of answers or of whole episodes."""

    method: Literal["grpo"] = "grpo"
    learning_rate: Annotated[float, Field(gt=0, le=1, description="highest learning rate")] = 1e-4
    generations: Annotated[int, Field(ge=2, le=256, description="attempts at each prompt")] = 8
    batch: Annotated[int, Field(ge=1, le=4096, description="attempts in a forward pass")] = 32
    temperature: Annotated[float, Field(gt=0, le=2, description="sampling temperature")] = 1.0
    beta: Annotated[float, Field(ge=0, le=10, description="weight of the KL penalty")] = 0.0
    turn_tokens: Annotated[int, Field(ge=1, le=4096, description="most tokens of a turn")] = 64
    shuffled: Annotated[
        bool, Field(description="shuffle the rewards of each row's attempts, as a control")
    ] = False
    graders: Annotated[
        tuple[str, ...],
        Field(
            description="graders of answers, each as name or name:weight (weight 1 by default): "
            "metric, rule, schema, format, model, person"
        ),
    ] = ()


class VisionSettings(JobSettings):
    """Supervised fine-tuning on images and their labels."""

    method: Literal["vision"] = "vision"
    learning_rate: Annotated[float, Field(gt=0, le=1, description="highest learning rate")] = 2e-4


AnySettings = Annotated[
    SftSettings | DpoSettings | GrpoSettings | VisionSettings, Field(discriminator="method")
]
METHODS: Final[dict[str, type[JobSettings]]] = {
    "sft": SftSettings,
    "dpo": DpoSettings,
    "grpo": GrpoSettings,
    "vision": VisionSettings,
}
_ANY: Final[TypeAdapter[AnySettings]] = TypeAdapter(AnySettings)


def own_settings(method: Method, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a method has, without the others."""
    return {name: value for name, value in values.items() if name in METHODS[method].model_fields}


def read_settings(values: dict[str, Any]) -> AnySettings:
    """Return validated settings.

    Raises:
        BadInput: a setting is unknown or out of its bounds; the message names it.
    """
    try:
        return _ANY.validate_python(values)
    except ValidationError as error:
        reason = error.errors()[0]
        where = ".".join(map(str, reason["loc"][1:])) or "method"
        raise BadInput(
            f"The training setting {where!r} is {str(reason['input'])[:80]!r}. {reason['msg']}."
        ) from error
