"""Release and Promotion: what an agent runs with.

A release never changes. The last promotion says which release is in force. A rollback is one more
promotion, so the history of what ran when is never lost.
"""

from __future__ import annotations

from typing import Final

from pydantic import Field

from apprentice.state.gate import Decision
from apprentice.state.rules import Author, Rule
from apprentice.state.trajectory import SCHEMA_VERSION, FrozenModel, Name, digest

NONE: Final = "none"
"""In place of a release's id: no release."""
CURRENT: Final = "current"
"""In place of a release's id: the one in force."""


class Release(FrozenModel):
    """Rules, exemplars and an adapter that are promoted, and rolled back, together.

    Attributes:
        rulebook: version of the rulebook whose strongest rules these are.
        rules: what prompts show, in order.
        adapter: the LoRA in force, '' for none, and the model that it is for.
        run: the run that made it.
        base: id of the release that it was compared with; '' when nothing was released.
        validation: what the gate decided, with its numbers; None where a person put it in force.
        made_at: Unix time in seconds.
        withdrawn: why the release may no longer run; '' if it may.
    """

    id: Name
    schema_version: int = SCHEMA_VERSION
    tenant: Name
    environment: Name
    rulebook: str = ""
    rules: tuple[Rule, ...] = ()
    exemplars: tuple[str, ...] = ()
    adapter: str = ""
    model: str = ""
    run: str = ""
    base: str = ""
    validation: Decision | None = None
    made_at: float = 0.0
    withdrawn: str = Field(default="", max_length=2_000)

    @property
    def texts(self) -> tuple[str, ...]:
        """The rules' texts, as prompts show them."""
        return tuple(rule.text for rule in self.rules)


class Promotion(FrozenModel):
    """The time from which a release is in force. An empty id means no release from then on."""

    schema_version: int = SCHEMA_VERSION
    release: str
    run: str
    author: Author = "model"
    reason: str = Field(default="", max_length=2_000)
    time: float = 0.0


def release_id(tenant: str, environment: str, rulebook: str, run: str) -> str:
    """Derive a release's id, so that a step that is retried makes one release."""
    return digest("release", tenant, environment, rulebook, run)
