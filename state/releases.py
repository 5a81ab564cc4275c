"""What an agent runs with: the nouns Release and Promotion.

A release is made once and never changed. Which one is in force is the last promotion, so going
back is one more promotion, and the history of what ran when is never lost.
"""

from __future__ import annotations

from typing import Final

from pydantic import Field

from apprentice.state.gate import Decision
from apprentice.state.nouns import SCHEMA_VERSION, Name, Noun, digest
from apprentice.state.rules import Author, Rule

NONE: Final = "none"
"""In place of a release's id: no release at all."""
CURRENT: Final = "current"
"""In place of a release's id: the one in force."""


class Release(Noun):
    """Rules, exemplars and an adapter that are promoted, and rolled back, together.

    Attributes:
        rulebook: version of the rulebook that the rules are the strongest of.
        rules: what prompts show, in order.
        adapter: the LoRA in force, '' for none, and the model that it is for.
        run: the run that made it.
        base: id of the release that it was compared with; '' when nothing was released.
        validation: what the gate decided, with its numbers; None where a person put it in force.
        made_at: Unix time in seconds.
        withdrawn: why it may not run any more; '' when it may.
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
        """What prompts show of the rules."""
        return tuple(rule.text for rule in self.rules)


class Promotion(Noun):
    """The moment from which a release is in force; its id is '' where none is from then on."""

    schema_version: int = SCHEMA_VERSION
    release: str
    run: str
    author: Author = "model"
    reason: str = Field(default="", max_length=2_000)
    time: float = 0.0


def release_id(tenant: str, environment: str, rulebook: str, run: str) -> str:
    """Derive a release's id, so that a step that is retried makes one release."""
    return digest("release", tenant, environment, rulebook, run)
