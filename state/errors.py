"""Every error that Apprentice raises on purpose.

ApprenticeError
├── BadInput          the caller asked for something that cannot be
│   ├── UnknownName   a name that is in no registry
│   └── OutOfBounds   a number outside its limits
├── MissingPart       an extra, a key, a file or data that has to be provided first
├── ModelFailure      the model could not answer
│   ├── ModelUnavailable  for now: the same question may be answered later
│   └── ContextOverflow
├── TrainingFailure   a training job could not be carried out
│   └── AlreadyRunning    another process is at the same job
└── BrokenData        stored data that cannot be read as what it claims to be

Each message says what was wrong, with which value, and what to do. The LangGraph server shows its
callers only the messages of built-in kinds of errors, so every error here is also a RuntimeError.
What another program said goes into a message by `apprentice.state.redaction.public_message`.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class ApprenticeError(RuntimeError):
    """Base of all errors raised on purpose; the command line prints it as a sentence.

    Example:
        >>> try:
        ...     Workspace().environment("househld")
        ... except ApprenticeError as error:
        ...     print(str(error).split(" Known")[0])
        Unknown environment 'househld'. Did you mean 'household'?
    """


class BadInput(ApprenticeError, ValueError):
    """The caller asked for something that cannot be.

    Example:
        >>> issubclass(BadInput, ValueError)
        True
    """


class UnknownName(BadInput):
    """A name that is in no registry.

    Args:
        what: the kind of thing that was named, such as "environment".
        name: the name that was given.
        choices: the names that exist.

    Example:
        >>> print(UnknownName("environment", "alfword", ["alfworld", "household"]))
        Unknown environment 'alfword'. Did you mean 'alfworld'? Known: alfworld, household.
    """

    def __init__(self, what: str, name: str, choices: Iterable[str]) -> None:
        names = sorted(choices)
        near = get_close_matches(name, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        listed_names = ", ".join(names) if names else "none"
        super().__init__(f"Unknown {what} {name[:80]!r}.{hint} Known: {listed_names}.")


class OutOfBounds(BadInput):
    """A number outside its limits."""

    def __init__(self, what: str, value: float, low: float, high: float) -> None:
        super().__init__(f"{what} is {value}, but must lie between {low} and {high}.")


class MissingPart(ApprenticeError):
    """An extra, a key, a file or data that has to be provided first.

    Example:
        >>> try:
        ...     Workspace(settings=Settings(model="")).chat()
        ... except MissingPart as error:
        ...     print(str(error).split(".")[0])
        No chat model is named
    """


def missing_extra(extra: str, what: str, error: ImportError) -> MissingPart:
    """Return the error for packages that the light install leaves out.

    Args:
        extra: the extra of the distribution that brings them.
        what: what needs them, as the subject of a sentence.
        error: what was missing.
    """
    return MissingPart(
        f"{what} needs packages that are not installed ({error}). They are the extra {extra!r} of "
        f"apprentice-agents. In a clone: pip install -c constraints.txt -e '.[{extra}]'. "
        f"Elsewhere: pip install 'apprentice-agents[{extra}] @ ADDRESS', with the folder or "
        "address that it was installed from."
    )


class ModelFailure(ApprenticeError):
    """The model could not answer.

    Example:
        >>> issubclass(ModelFailure, ApprenticeError)
        True
    """


class ModelUnavailable(ModelFailure):
    """The model could not answer for now; the same question may be answered later."""


class ContextOverflow(ModelFailure):
    """The prompt is longer than the model's context."""

    def __init__(self, model: str, tokens: int, limit: int) -> None:
        super().__init__(
            f"The prompt has {tokens} tokens, but {model} reads at most {limit}. "
            "Show fewer rules or exemplars, or choose a model with a longer context."
        )


class TrainingFailure(ApprenticeError):
    """A training job could not be carried out; the adapter in use is not touched."""


class AlreadyRunning(TrainingFailure):
    """Another process is at the same job."""


class BrokenData(ApprenticeError):
    """Stored data that cannot be read as what it claims to be.

    Example:
        >>> print(BrokenData("Line 3 of runs/a.jsonl is cut. Remove it."))
        Line 3 of runs/a.jsonl is cut. Remove it.
    """
