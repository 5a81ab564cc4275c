"""The SQLite cache of a model's answers, for `--cache`."""

from __future__ import annotations

import json
from typing import Final

from langchain_community.cache import SQLiteCache
from langchain_core.caches import RETURN_VAL_TYPE

_BOOKKEEPING: Final = ("usage_metadata", "response_metadata")


class Answers(SQLiteCache):
    """An SQLite cache whose key is the text that the model reads.

    LangChain's own key includes the metadata of earlier answers, and that metadata says whether an
    answer came from a cache. With that key only the first turn of a conversation would be found.
    """

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """Return the stored answers to a prompt, or None."""
        return super().lookup(_as_read(prompt), llm_string)

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Store the answers to a prompt."""
        super().update(_as_read(prompt), llm_string, return_val)


def _as_read(prompt: str) -> str:
    """Remove the metadata of answers from a serialised conversation."""
    messages = json.loads(prompt)
    for message in messages:
        for name in _BOOKKEEPING:
            message["kwargs"].pop(name, None)
    return json.dumps(messages)
