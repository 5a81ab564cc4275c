"""A model's answers kept in SQLite: what `--cache` uses."""

from __future__ import annotations

import json
from typing import Final

from langchain_community.cache import SQLiteCache
from langchain_core.caches import RETURN_VAL_TYPE

_BOOKKEEPING: Final = ("usage_metadata", "response_metadata")


class Answers(SQLiteCache):
    """An SQLite cache whose key is what the model reads.

    LangChain's key holds each earlier answer's bookkeeping too, and marks an answer that came
    from a cache there. So in a conversation only the first turn would ever be found again.
    """

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """Return the answers to a prompt, if there are any."""
        return super().lookup(_as_read(prompt), llm_string)

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Keep the answers to a prompt."""
        super().update(_as_read(prompt), llm_string, return_val)


def _as_read(prompt: str) -> str:
    """Leave a serialised conversation's bookkeeping out."""
    messages = json.loads(prompt)
    for message in messages:
        for name in _BOOKKEEPING:
            message["kwargs"].pop(name, None)
    return json.dumps(messages)
