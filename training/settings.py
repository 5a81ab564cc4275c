"""What a training job is told: one class of settings a method, with bounds and defaults.

Everything that changes the result is in here, the seed included, so a job's id can be the hash of
its data, its base and these settings.
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
    """What all methods share.

    A step is one update of the weights. Where 0 or "auto" stands, the trainer chooses, and its
    first line of progress says what it chose.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: Annotated[str, Field(pattern=PLAIN, description="a local model's plain name")] = "novice"
    parent: Annotated[
        str, Field(pattern=rf"^$|{PLAIN}", description="an adapter to go on from")
    ] = ""
    seed: Annotated[int, Field(ge=0, lt=2**31, description="fixes everything drawn")] = 0
    rank: Annotated[int, Field(ge=1, le=512, description="rank of the LoRA")] = 16
    alpha: Annotated[int, Field(ge=1, le=1024, description="its scale, times the rank")] = 32
    dropout: Annotated[float, Field(ge=0, lt=1, description="its dropout")] = 0.0
    targets: Annotated[
        tuple[str, ...],
        Field(description="layers it is added to, by the ends of their names; none: all linear"),
    ] = ()
    quantised: Annotated[bool, Field(description="QLoRA: the base in four bits (NF4)")] = False
    tags: Annotated[
        bool, Field(description="make <think> and <tool_call> tokens where the base has none")
    ] = False
    embeddings: Annotated[
        bool,
        Field(description="learn tokens' embeddings too, where the base has not seen them all"),
    ] = False
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 2e-4
    epochs: Annotated[float, Field(gt=0, le=1000)] = 2.0
    max_steps: Annotated[
        int, Field(ge=0, le=10_000_000, description="end after so many steps; 0: by epochs")
    ] = 0
    batch: Annotated[int, Field(ge=1, le=4096, description="rows a forward pass")] = 8
    accumulate: Annotated[int, Field(ge=1, le=4096, description="forward passes a step")] = 1
    warmup: Annotated[float, Field(ge=0, lt=1, description="share of the steps")] = 0.1
    max_length: Annotated[
        int, Field(ge=0, le=10_000_000, description="tokens a row; 0: the base's context")
    ] = 0
    every: Annotated[
        int, Field(ge=0, description="steps between checkpoints and evaluations; 0: a tenth")
    ] = 0
    patience: Annotated[
        int,
        Field(ge=0, le=1000, description="evaluations without progress before it ends; 0: never"),
    ] = 3
    checkpointing: Annotated[Choice, Field(description="recompute activations to save memory")] = (
        "auto"
    )


class SftSettings(JobSettings):
    """Supervised fine-tuning: prompts and ideal answers."""

    method: Literal["sft"] = "sft"
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 2e-4
    packing: Annotated[
        Choice, Field(description="several samples a row, where attention keeps them apart")
    ] = "auto"


class DpoSettings(JobSettings):
    """Direct preference optimisation: a better and a worse answer to one prompt."""

    method: Literal["dpo"] = "dpo"
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 5e-5
    beta: Annotated[float, Field(gt=0, le=10, description="how near to stay to the start")] = 0.1
    imitation: Annotated[
        float, Field(ge=0, le=10, description="weight of imitating the better answer beside")
    ] = 0.0
    span: Annotated[
        Span,
        Field(description="what counts: whole answers, or the sentence in which they part"),
    ] = "answer"


class GrpoSettings(JobSettings):
    """Group relative policy optimisation: answers or whole episodes, and their reward."""

    method: Literal["grpo"] = "grpo"
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-4
    generations: Annotated[int, Field(ge=2, le=256, description="attempts a prompt")] = 8
    batch: Annotated[int, Field(ge=1, le=4096, description="attempts a forward pass")] = 32
    temperature: Annotated[float, Field(gt=0, le=2)] = 1.0
    beta: Annotated[float, Field(ge=0, le=10, description="weight of the way back")] = 0.0
    turn_tokens: Annotated[int, Field(ge=1, le=4096, description="tokens a turn may have")] = 64
    shuffled: Annotated[
        bool, Field(description="deal rewards out at random among a row's attempts, as a control")
    ] = False
    graders: Annotated[
        tuple[str, ...],
        Field(
            description="graders of answers to prompts, each as name, or name:weight with its "
            "share of the reward (1): metric, rule, schema, format, model, person"
        ),
    ] = ()


class VisionSettings(JobSettings):
    """Supervised fine-tuning on images and what is to be said of them."""

    method: Literal["vision"] = "vision"
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 2e-4


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


def own_settings(method: Method, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of some settings that a method has."""
    return {name: value for name, value in given.items() if name in METHODS[method].model_fields}


def read_settings(given: dict[str, Any]) -> AnySettings:
    """Return checked settings, or raise BadInput that names what is wrong."""
    try:
        return _ANY.validate_python(given)
    except ValidationError as error:
        reason = error.errors()[0]
        where = ".".join(map(str, reason["loc"][1:])) or "method"
        raise BadInput(
            f"The training setting {where!r} is {str(reason['input'])[:80]!r}. {reason['msg']}."
        ) from error
