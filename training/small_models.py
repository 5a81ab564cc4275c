"""A table of small models to fine-tune, from their cards, and which of them fit given limits."""

from __future__ import annotations

from typing import Final, NamedTuple

from apprentice.state.advice import Limits

AS_OF: Final = "2025-09"
"""The month of the table. Update the table when it is old: new models appear every month."""

BYTES_A_WEIGHT: Final = 2.0  # bf16, as served
OVERHEAD: Final = 1.2  # cache and buffers on top of the weights


class SmallModel(NamedTuple):
    """A model of at most about eight billion parameters.

    Attributes:
        name: its name on the Hugging Face Hub.
        billions: billions of parameters.
        licence: the name of its licence.
        context: the number of tokens that it can read.
        permissive: whether the licence allows any use without special conditions.
        vision: whether it reads images.
    """

    name: str
    billions: float
    licence: str
    context: int
    permissive: bool
    vision: bool = False

    @property
    def gigabytes(self) -> float:
        """Return the memory that serving it in bf16 takes."""
        return self.billions * BYTES_A_WEIGHT * OVERHEAD

    def token_ms(self, bandwidth_gb_s: float) -> float:
        """Return the milliseconds that one token takes, reading every weight once."""
        return self.billions * BYTES_A_WEIGHT / bandwidth_gb_s * 1000


MODELS: Final = (
    SmallModel("HuggingFaceTB/SmolLM2-360M-Instruct", 0.36, "Apache-2.0", 8_192, True),
    SmallModel("Qwen/Qwen3-0.6B", 0.6, "Apache-2.0", 32_768, True),
    SmallModel("google/gemma-3-1b-it", 1.0, "Gemma", 32_768, False),
    SmallModel("meta-llama/Llama-3.2-1B-Instruct", 1.24, "Llama 3.2", 131_072, False),
    SmallModel("Qwen/Qwen3-1.7B", 1.7, "Apache-2.0", 32_768, True),
    SmallModel("HuggingFaceTB/SmolVLM2-2.2B-Instruct", 2.2, "Apache-2.0", 8_192, True, True),
    SmallModel("HuggingFaceTB/SmolLM3-3B", 3.1, "Apache-2.0", 65_536, True),
    SmallModel("meta-llama/Llama-3.2-3B-Instruct", 3.2, "Llama 3.2", 131_072, False),
    SmallModel("microsoft/Phi-4-mini-instruct", 3.8, "MIT", 131_072, True),
    SmallModel("Qwen/Qwen3-4B-Instruct-2507", 4.0, "Apache-2.0", 262_144, True),
    SmallModel("google/gemma-3-4b-it", 4.3, "Gemma", 131_072, False, True),
    SmallModel("Qwen/Qwen3-8B", 8.2, "Apache-2.0", 32_768, True),
    SmallModel("Qwen/Qwen2.5-VL-7B-Instruct", 8.3, "Apache-2.0", 32_768, True, True),
)


def models_within(limits: Limits) -> list[SmallModel]:
    """Return the models that meet all limits, the largest first."""
    models = [model for model in MODELS if not violation(model, limits)]
    return sorted(models, key=lambda model: -model.billions)


def violation(model: SmallModel, limits: Limits) -> str:
    """Return the first limit that a model violates, as a phrase; '' if it meets all limits."""
    if limits.memory_gb and model.gigabytes > limits.memory_gb:
        return f"needs {model.gigabytes:.1f} GB, more than {limits.memory_gb:g}"
    if limits.token_ms and model.token_ms(limits.bandwidth_gb_s) > limits.token_ms:
        return f"takes {model.token_ms(limits.bandwidth_gb_s):.0f} ms for a token"
    if model.context < limits.context:
        return f"reads {model.context} tokens, fewer than {limits.context}"
    if limits.permissive and not model.permissive:
        return f"is under the {model.licence} licence"
    if limits.vision != model.vision:
        return "reads no images" if limits.vision else "reads images, which is not needed"
    return ""
