"""The layout of a memory's points: stored beside them, and checked when the memory is opened."""

from __future__ import annotations

import json
from typing import Self

from pydantic import ValidationError

from apprentice.state.errors import BrokenData
from apprentice.state.trajectory import FrozenModel

LAYOUT_VERSION = 1


class Layout(FrozenModel):
    """The version of the payload's fields, and the embedding model of the vectors."""

    schema_version: int = LAYOUT_VERSION
    embedding: str
    dimension: int

    @classmethod
    def read(cls, text: str, what: str) -> Self:
        """Read a layout. `what` names the memory in errors."""
        try:
            fields = json.loads(text)
            version = fields["schema_version"]
        except (ValueError, TypeError, KeyError) as error:
            raise BrokenData(
                f"{what} has no readable layout. Restore it from a backup, or move it away and "
                "import an exported JSONL."
            ) from error
        if version != LAYOUT_VERSION:
            raise BrokenData(
                f"{what} has schema version {version!r}, but this version of Apprentice reads "
                f"{LAYOUT_VERSION}. Export it with the version that wrote it, and import that."
            )
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise BrokenData(f"{what} has a layout that cannot be read: {error}") from error

    def expect(self, embedding: str, what: str) -> None:
        """Check the embedding model: vectors of another model mean nothing in this memory.

        Raises:
            BrokenData: the memory was made with another embedding model.
        """
        if self.embedding != embedding:
            raise BrokenData(
                f"{what} was made with the embeddings {self.embedding!r} ({self.dimension} "
                f"dimensions), but {embedding!r} is configured. Set APPRENTICE_EMBEDDINGS to "
                f"{self.embedding}, or export the memory and import it into an empty one."
            )
