"""Settings: every environment variable that Apprentice reads, with its type and its default.

No other module of the product reads the environment. A value comes from the environment, else from
the file `.env` in the working directory, else from its default. An empty variable is an unset one.
`apprentice settings` prints each value and where it comes from.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from dotenv import dotenv_values
from pydantic import Field, PrivateAttr, SecretStr, ValidationError
from pydantic.config import JsonDict
from pydantic_settings import BaseSettings, SettingsConfigDict

from apprentice.state.errors import BadInput, UnknownName
from apprentice.state.redaction import redact

FILE: Final = ".env"
MASK: Final = "********"
_LIBRARIES: Final = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
"""Variables for a trainer's libraries: with them, the libraries fetch and report nothing."""
_RECOMMENDED: Final = ("LANGGRAPH_STRICT_MSGPACK",)
"""Variables that `.env.example` sets."""


def _variable(
    name: str, default: Any, description: str, *, section: str, example: str = "", **limits: Any
) -> Any:
    """Declare a setting that one environment variable holds.

    Args:
        name: of the variable.
        default: the setting's value if the variable is not set.
        description: what the setting is for, in one sentence.
        section: the setting's section in `.env.example`.
        example: a value for `.env.example`, if that helps.
        **limits: pydantic checks the value against these.
    """
    about: JsonDict = {"section": section, "example": example}
    return Field(
        default, validation_alias=name, description=description, json_schema_extra=about, **limits
    )


HOSTED: Final = "Models"
LOCAL: Final = "Local models and adapters"
DATA: Final = "Where Apprentice stores what it learns"
TASKS: Final = "Tasks"
TRAINING: Final = "Fine-tuning"
TRACING: Final = "Tracing with LangSmith"
LIBRARIES: Final = "Libraries"


class Setting(NamedTuple):
    """One setting as `apprentice settings` prints it; a secret's value is masked.

    Attributes:
        source: "environment", ".env", "code" (passed to `Settings`) or "default".
    """

    name: str
    value: str
    source: str
    description: str


class Settings(BaseSettings):
    """The settings of a deployment.

    Example:
        >>> Settings(train_after=50).train_after
        50

    Raises:
        BadInput: a variable cannot have its value. The sentence names the variable.
    """

    model_config = SettingsConfigDict(
        env_file=FILE,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        case_sensitive=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    model: str = _variable(
        "APPRENTICE_MODEL",
        "",
        "The chat model of every run that names none.",
        section=HOSTED,
        example="openai:gpt-5-mini",
        max_length=200,
    )
    openai_api_key: SecretStr | None = _variable(
        "OPENAI_API_KEY",
        None,
        "The key of OpenAI's models; a server of your own takes any value.",
        section=HOSTED,
    )
    openai_base_url: str = _variable(
        "OPENAI_BASE_URL",
        "",
        "The address of a server that speaks OpenAI's protocol: vLLM, Ollama, llama.cpp.",
        section=HOSTED,
        example="http://localhost:8000/v1",
    )
    embeddings: str = _variable(
        "APPRENTICE_EMBEDDINGS",
        "",
        "The embeddings that find similar tasks; unset: local:minilm if installed, else none.",
        section=HOSTED,
        example="openai:text-embedding-3-small",
    )
    local_models: Path | None = _variable(
        "APPRENTICE_LOCAL_MODELS",
        None,
        "A folder whose sub-folders are Hugging Face models, each then known as "
        "local:<sub-folder>.",
        section=LOCAL,
        example="./local-models",
    )
    adapters: Path | None = _variable(
        "APPRENTICE_ADAPTERS",
        None,
        "The folder of the LoRA adapters; `adapters` under APPRENTICE_DATA when unset.",
        section=LOCAL,
        example="./adapters",
    )
    device: str = _variable(
        "APPRENTICE_DEVICE",
        "",
        "The device of local models; when unset they act on the CPU and train on the first GPU.",
        section=LOCAL,
        example="cuda:0",
        pattern=r"^$|^[a-z]+(:[0-9]+)?$",
    )
    threads: str = _variable(
        "OMP_NUM_THREADS",
        "",
        "How many CPU threads a training job uses; its share of the cores when unset.",
        section=LOCAL,
        example="4",
    )
    data: Path = _variable(
        "APPRENTICE_DATA",
        Path("apprentice-data"),
        "The folder of the store, the experience memory, the adapters and the jobs.",
        section=DATA,
        example="./apprentice-data",
    )
    qdrant_url: str = _variable(
        "QDRANT_URL",
        "",
        "The address of a Qdrant server that keeps the experience memory in place of a folder.",
        section=DATA,
        example="http://localhost:6333",
    )
    qdrant_api_key: SecretStr | None = _variable(
        "QDRANT_API_KEY", None, "The key of that Qdrant server.", section=DATA
    )
    exemplars: Path | None = _variable(
        "APPRENTICE_EXEMPLARS",
        None,
        "A folder of fixed examples, each set <name>.jsonl; `exemplars` under APPRENTICE_DATA when "
        "unset.",
        section=DATA,
        example="./exemplars",
    )
    tasks: Path | None = _variable(
        "APPRENTICE_TASKS",
        None,
        "A folder with qa/<name>.jsonl and chat/<name>.jsonl, each then known as qa/<name> or "
        "chat/<name>.",
        section=TASKS,
        example="./tasks",
    )
    alfworld: Path | None = _variable(
        "ALFWORLD_DATA",
        None,
        "The folder of the real ALFWorld games, as `alfworld-download` writes it; "
        "~/.cache/alfworld when unset.",
        section=TASKS,
        example="~/.cache/alfworld",
    )
    train_after: int = _variable(
        "APPRENTICE_TRAIN_AFTER",
        200,
        "How many judged attempts start a fine-tune; 0 for never.",
        section=TRAINING,
        ge=0,
    )
    judge: str = _variable(
        "APPRENTICE_JUDGE",
        "",
        "The model that grades answers in reinforcement learning with the grader `model`.",
        section=TRAINING,
        example="openai:gpt-5-mini",
    )
    langsmith_tracing: bool = _variable(
        "LANGSMITH_TRACING",
        False,
        "Whether LangChain sends traces of every call to LangSmith.",
        section=TRACING,
        example="true",
    )
    langsmith_api_key: SecretStr | None = _variable(
        "LANGSMITH_API_KEY", None, "The key of LangSmith.", section=TRACING
    )
    langsmith_project: str = _variable(
        "LANGSMITH_PROJECT",
        "",
        "The LangSmith project that traces go to.",
        section=TRACING,
        example="apprentice",
    )
    langsmith_endpoint: str = _variable(
        "LANGSMITH_ENDPOINT",
        "",
        "The address of LangSmith; the public one when unset.",
        section=TRACING,
    )
    strict_msgpack: bool = _variable(
        "LANGGRAPH_STRICT_MSGPACK",
        False,
        "Whether LangGraph's server refuses types in checkpoints that the state does not declare.",
        section=LIBRARIES,
        example="true",
    )

    _from_code: frozenset[str] = PrivateAttr(frozenset())

    def __init__(self, **values: Any) -> None:
        """Read the settings; values that are passed here win."""
        fields = type(self).model_fields
        for name in values:
            if name not in fields and not name.startswith("_"):
                raise UnknownName("setting", name, fields)
        try:
            super().__init__(**values)
            self._from_code = frozenset(values)
        except ValidationError as error:
            raise BadInput(_sentence(error)) from None

    @classmethod
    def of_process(cls) -> Self:
        """Read the settings of this process, and copy the variables of `.env` to the environment.

        Libraries (a provider's client, LangSmith) read the environment, but they do not read
        `.env`. A variable that is already in the environment stays as it is.
        """
        settings = cls()
        for name, value in settings._file.items():
            if not os.environ.get(name):
                os.environ[name] = value
        return settings

    @cached_property
    def _file(self) -> dict[str, str]:
        """Return the variables of `.env` that are not empty."""
        return {name: value for name, value in dotenv_values(FILE).items() if value}

    def has_key(self, names: Sequence[str]) -> bool:
        """Tell whether any of these variables, which hold a provider's key, is set.

        The clients read the environment only. `of_process` copies the variables of `.env` there.
        """
        return any(os.environ.get(name) for name in names)

    def entries(self) -> Iterator[Setting]:
        """Yield every setting with its value and its source."""
        for field, about in type(self).model_fields.items():
            name = str(about.validation_alias)
            value = getattr(self, field)
            shown = MASK if isinstance(value, SecretStr) else redact(_text(value))
            yield Setting(name, shown, self._source(field, name), about.description or "")

    def for_process(self, **overrides: object) -> dict[str, str]:
        """Return the environment variables of another process that shall have these settings.

        Args:
            **overrides: settings that have another value there, by name; paths become absolute.
        """
        variables = dict(os.environ)
        for field, about in type(self).model_fields.items():
            name = str(about.validation_alias)
            value = overrides.get(field, getattr(self, field))
            if isinstance(value, SecretStr):
                value = value.get_secret_value()
            if isinstance(value, Path):
                value = value.expanduser().absolute()
            if value in (None, ""):
                variables.pop(name, None)
            else:
                variables[name] = _text(value)
        return variables

    def _source(self, field: str, name: str) -> str:
        if field in self._from_code:
            return "code"
        if os.environ.get(name):
            return "environment"
        return FILE if self._file.get(name) else "default"


def quieten_libraries() -> None:
    """Stop a trainer's libraries from fetching and reporting; call this before you import them.

    A variable that is already in the environment stays as it is.
    """
    for name, value in _LIBRARIES.items():
        os.environ.setdefault(name, value)


def example() -> str:
    """Return the text of `.env.example`, made from the settings' names and sentences."""
    lines = [
        "# Copy this file to .env and uncomment what you need. `apprentice settings` prints every",
        "# setting with its value and source. `apprentice settings --example` prints this file.",
        "# Other providers' keys go here too, under their usual names, such as ANTHROPIC_API_KEY.",
    ]
    section = ""
    for about in Settings.model_fields.values():
        facts: Mapping[str, Any] = about.json_schema_extra  # type: ignore[assignment]
        if facts["section"] != section:
            section = facts["section"]
            lines += ["", f"# --- {section} ".ljust(96, "-")]
        value = facts["example"] or _text(about.default)
        mark = "" if about.validation_alias in _RECOMMENDED else "# "
        lines += [f"# {about.description}", f"{mark}{about.validation_alias}={value}"]
    return "\n".join(lines) + "\n"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _sentence(error: ValidationError) -> str:
    """Say which variable cannot have its value, without quoting a secret."""
    first = error.errors()[0]
    name = str(first["loc"][0])
    for field, about in Settings.model_fields.items():
        if name in (field, about.validation_alias):
            secret = "SecretStr" in str(about.annotation)
            was = "" if secret else f" is {str(first['input'])[:80]!r}, which"
            return (
                f"{about.validation_alias}{was} cannot be read: {first['msg']}. "
                f"{about.description} Correct or unset it, in the environment or in {FILE}."
            )
    return f"The setting {name!r} cannot be read: {first['msg']}."
