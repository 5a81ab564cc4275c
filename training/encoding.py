"""Encode conversations as tokens and labels.

The tokens are the same as in the local engine: the model's own template, tools in the same format,
special tokens once. The labels are what the model has to write: the assistant's turns, each with
its end token.
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
class Encoding:
    """The tokens of one sample, and its labels: a token to learn, or IGNORED."""

    ids: list[int]
    labels: list[int]

    def cut(self, limit: int) -> Encoding:
        """Return the first `limit` tokens."""
        return Encoding(self.ids[:limit], self.labels[:limit])

    def to_sentence_end(self, tokenizer: PreTrainedTokenizerBase, start: int) -> Encoding:
        """Ignore all labels after the first sentence that ends at or after `start`.

        The end of a line also ends a sentence.
        """
        for at in range(start, len(self.labels)):
            counts = self.labels[at] != IGNORED
            if counts and not _SENTENCE_ENDS.isdisjoint(tokenizer.decode(self.ids[at])):
                rest = len(self.labels) - at - 1
                return Encoding(self.ids, self.labels[: at + 1] + [IGNORED] * rest)
        return self

    @property
    def label_count(self) -> int:
        """Return the number of tokens to learn."""
        return sum(label != IGNORED for label in self.labels)


class Chat:
    """A model's format of conversations.

    Args:
        name: the model's name, for error messages.
        tokenizer: a fast tokenizer with a chat template.
        ends: the tokens that end a turn.

    Raises:
        MissingPart: the tokenizer has no chat template, or it is not a fast one.
    """

    def __init__(self, name: str, tokenizer: PreTrainedTokenizerBase, ends: frozenset[int]) -> None:
        if not tokenizer.chat_template:
            raise MissingPart(
                f"The tokenizer of local:{name} has no chat template, so the format of its "
                "conversations is unknown. Add the template that the model was published with "
                "(chat_template.jinja in its folder)."
            )
        if not tokenizer.is_fast:
            raise MissingPart(
                f"The tokenizer of local:{name} is a slow one, which does not give the positions "
                "of its tokens in the text. Convert it to a fast one: "
                "AutoTokenizer.from_pretrained(…).save_pretrained(…)."
            )
        self.name = name
        self.tokenizer = tokenizer
        self.ends = ends
        self._in_template = "tools" in str(tokenizer.chat_template)

    def text(self, turns: Sequence[Turn], tools: Sequence[Turn] = (), *, ask: bool) -> str:
        """Return a conversation as text; `ask` adds the beginning of the assistant's next turn."""
        rows = [_as_read(turn) for turn in turns]
        try:
            text = self.tokenizer.apply_chat_template(
                rows if self._in_template else plain_turns(rows, tools),
                tools=[dict(tool) for tool in tools] if tools and self._in_template else None,
                add_generation_prompt=ask,
                tokenize=False,
            )
        except (TemplateError, TypeError, KeyError, ValueError) as error:
            raise BadInput(
                f"The chat template of local:{self.name} refuses a conversation of the roles "
                f"{', '.join(str(turn.get('role')) for turn in turns)[:200]}: {error}."
            ) from error
        return str(text)

    def prompt(self, turns: Sequence[Turn], tools: Sequence[Turn] = ()) -> list[int]:
        """Return the tokens that the model reads before its next turn."""
        return self._tokens(self.text(turns, tools, ask=True))[0]

    def samples(
        self, turns: Sequence[Turn], tools: Sequence[Turn] = (), *, first: int = 0
    ) -> list[Encoding]:
        """Return the samples of a conversation.

        Usually there is one. Some templates change earlier turns when the conversation grows, for
        example by removing thoughts. Then there is one sample for each answer, as the conversation
        was when the model wrote that answer.

        Args:
            turns: the conversation.
            tools: JSON Schemas of functions.
            first: index of the first turn that is learned.

        Raises:
            BadInput: the template refuses the conversation, or training would see other tokens
                than serving.
        """
        answers = [
            number
            for number, turn in enumerate(turns)
            if number >= first and turn["role"] == "assistant"
        ]
        whole = self.text(turns, tools, ask=False)
        spans, texts = [], []
        for number in answers:
            before = self.text(turns[:number], tools, ask=True)
            after = self.text(turns[: number + 1], tools, ask=False)
            if not after.startswith(before):
                raise BadInput(
                    f"The chat template of local:{self.name} does not continue its generation "
                    "prompt when it writes an answer, so training would see other tokens than "
                    "serving. Correct the template."
                )
            spans.append((len(before), len(after)))
            texts.append(after)
        if all(whole.startswith(text) for text in texts):
            return [self._encode(whole, spans)] if spans else []
        return [self._encode(text, [span]) for text, span in zip(texts, spans, strict=True)]

    def _encode(self, text: str, spans: Sequence[tuple[int, int]]) -> Encoding:
        ids, places = self._tokens(text)
        labels = [IGNORED] * len(ids)
        for start, stop in spans:
            inside = [at for at, (a, b) in enumerate(places) if start <= a and b <= stop and a < b]
            last = max((at for at in inside if ids[at] in self.ends), default=None)
            if last is None:
                raise BadInput(
                    f"The chat template of local:{self.name} does not end an answer with one of "
                    f"the model's end tokens ({self._end_names()}), so the model would never "
                    "learn to stop. Correct the template, or the tokenizer's eos_token."
                )
            for at in inside:
                if at <= last:
                    labels[at] = ids[at]
        return Encoding(ids, labels)

    def _tokens(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        # The template has already written all special tokens.
        read = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return list(read["input_ids"]), list(read["offset_mapping"])

    def _end_names(self) -> str:
        return ", ".join(self.tokenizer.convert_ids_to_tokens(sorted(self.ends)))


def _as_read(turn: Mapping[str, Any]) -> Turn:
    """Return a turn as templates expect it: with content, and with arguments as an object."""
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
                f"The arguments of a call are not JSON: {function['arguments'][:80]!r}. "
                "Correct the row."
            ) from None
    return {**call, "function": function}
