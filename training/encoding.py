"""From conversations to tokens, and to which of them are learned.

The tokens are the ones that the local engine reads when it serves: the model's own template, tools
shown the same way, special tokens once. What is learned is what the model has to write: the
assistant's turns, each with the token that ends it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from apprentice.models.toolcalls import plain_turns
from apprentice.state.errors import BadInput, MissingPart

_SENTENCE_ENDS: Final = frozenset(".!?;\n")
IGNORED: Final = -100

Turn = dict[str, Any]


@dataclass(frozen=True)
class Encoded:
    """One sample: its tokens, and the same where they are learned, IGNORED elsewhere."""

    ids: list[int]
    labels: list[int]

    def cut(self, limit: int) -> Encoded:
        """Return its first tokens."""
        return Encoded(self.ids[:limit], self.labels[:limit])

    def to_sentence_end(self, tokenizer: PreTrainedTokenizerBase, start: int) -> Encoded:
        """Learn nothing after the first learned token from a place on that ends a sentence.

        A line is a sentence as well.
        """
        for at in range(start, len(self.labels)):
            learned = self.labels[at] != IGNORED
            if learned and not _SENTENCE_ENDS.isdisjoint(tokenizer.decode(self.ids[at])):
                rest = len(self.labels) - at - 1
                return Encoded(self.ids, self.labels[: at + 1] + [IGNORED] * rest)
        return self

    @property
    def learned(self) -> int:
        """Count the tokens that are learned."""
        return sum(label != IGNORED for label in self.labels)


class Chat:
    """A model's way of writing conversations.

    Args:
        name: what the model is called in messages.
        tokenizer: a fast tokenizer with a chat template.
        ends: the tokens that end a turn.

    Raises:
        MissingPart: the tokenizer has no chat template, or cannot tell where its tokens lie.
    """

    def __init__(self, name: str, tokenizer: PreTrainedTokenizerBase, ends: frozenset[int]) -> None:
        if not tokenizer.chat_template:
            raise MissingPart(
                f"The tokenizer of local:{name} has no chat template, so nobody can tell how its "
                "conversations are written. Add the template of the model's makers "
                "(chat_template.jinja in its folder)."
            )
        if not tokenizer.is_fast:
            raise MissingPart(
                f"The tokenizer of local:{name} is a slow one, which cannot tell where in the text "
                "its tokens lie. Convert it: AutoTokenizer.from_pretrained(…).save_pretrained(…)."
            )
        self.name = name
        self.tokenizer = tokenizer
        self.ends = ends
        self._in_template = "tools" in str(tokenizer.chat_template)

    def text(self, turns: Sequence[Turn], tools: Sequence[Turn] = (), *, ask: bool) -> str:
        """Write a conversation; `ask` adds what comes before the assistant's next turn."""
        shown = [_as_read(turn) for turn in turns]
        try:
            written = self.tokenizer.apply_chat_template(
                shown if self._in_template else plain_turns(shown, tools),
                tools=[dict(tool) for tool in tools] if tools and self._in_template else None,
                add_generation_prompt=ask,
                tokenize=False,
            )
        except (TemplateError, TypeError, KeyError, ValueError) as error:
            raise BadInput(
                f"The chat template of local:{self.name} refuses a conversation of the roles "
                f"{', '.join(str(turn.get('role')) for turn in turns)[:200]}: {error}."
            ) from error
        return str(written)

    def prompt(self, turns: Sequence[Turn], tools: Sequence[Turn] = ()) -> list[int]:
        """Return the tokens that the model reads before its next turn."""
        return self._tokens(self.text(turns, tools, ask=True))[0]

    def samples(
        self, turns: Sequence[Turn], tools: Sequence[Turn] = (), *, first: int = 0
    ) -> list[Encoded]:
        """Return what a conversation teaches.

        Usually one sample. A template that rewrites earlier turns as a conversation grows (as
        some do with thoughts) gives one a turn: each as it is when the model writes it.

        Args:
            turns: the conversation.
            tools: JSON Schemas of functions.
            first: the turns before this one are not learned.
        """
        asked = [
            number
            for number, turn in enumerate(turns)
            if number >= first and turn["role"] == "assistant"
        ]
        whole = self.text(turns, tools, ask=False)
        spans, grown = [], []
        for number in asked:
            before = self.text(turns[:number], tools, ask=True)
            after = self.text(turns[: number + 1], tools, ask=False)
            if not after.startswith(before):
                raise BadInput(
                    f"The chat template of local:{self.name} writes an answer differently from "
                    "what it asks for, so training would show other tokens than serving does."
                )
            spans.append((len(before), len(after)))
            grown.append(after)
        if all(whole.startswith(text) for text in grown):
            return [self._encoded(whole, spans)] if spans else []
        return [self._encoded(text, [span]) for text, span in zip(grown, spans, strict=True)]

    def _encoded(self, text: str, spans: Sequence[tuple[int, int]]) -> Encoded:
        ids, places = self._tokens(text)
        labels = [IGNORED] * len(ids)
        for start, stop in spans:
            inside = [at for at, (a, b) in enumerate(places) if start <= a and b <= stop and a < b]
            last = max((at for at in inside if ids[at] in self.ends), default=None)
            if last is None:
                raise BadInput(
                    f"The chat template of local:{self.name} does not end an answer with one of "
                    f"the model's end tokens ({self._named_ends()}), so it would never learn to "
                    "stop. Correct the template, or the eos_token of its tokenizer."
                )
            for at in inside:
                if at <= last:
                    labels[at] = ids[at]
        return Encoded(ids, labels)

    def _tokens(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        # The template wrote every special token there is to be.
        read = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return list(read["input_ids"]), list(read["offset_mapping"])

    def _named_ends(self) -> str:
        return ", ".join(self.tokenizer.convert_ids_to_tokens(sorted(self.ends)))


def _as_read(turn: Mapping[str, Any]) -> Turn:
    """Return a turn as templates read it: no missing content, arguments as an object."""
    read = dict(turn)
    if read.get("content") is None:
        read["content"] = ""
    if turn.get("tool_calls"):
        read["tool_calls"] = [_call(call) for call in turn["tool_calls"]]
    else:
        read.pop("tool_calls", None)
    return read


def _call(call: Mapping[str, Any]) -> Turn:
    function = dict(call["function"])
    if isinstance(function.get("arguments"), str):
        try:
            function["arguments"] = json.loads(function["arguments"])
        except ValueError:
            raise BadInput(
                f"The arguments of a call are no JSON: {function['arguments'][:80]!r}."
            ) from None
    return {**call, "function": function}
