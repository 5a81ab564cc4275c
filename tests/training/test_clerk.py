"""The clerk's words and what it learns from: forms, sentences about them, and never a call."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from apprentice import models
from apprentice.environments.toolcalls.environment import Toolcalls
from apprentice.environments.toolcalls.task_writer import NO_TOOL, NOT_STATED, parameter_list
from apprentice.state.toolcalls import read_section, section
from apprentice.training.clerk import vocabulary
from apprentice.training.clerk.corpus import Corpus, content_words
from apprentice.training.clerk.recipe import Clerk
from apprentice.training.scratch import chat
from apprentice.training.scratch.loop import train
from apprentice.training.scratch.samples import Sample

WEIGHTS = Path(models.__file__).parent / "clerk" / "weights"


@pytest.fixture(scope="module")
def words() -> Any:
    return chat.load(WEIGHTS)


@pytest.fixture(scope="module")
def samples(words: Any) -> list[Sample]:
    corpus = Corpus(5, vocabulary.whole_words(words), {"send": ["post", "mail"]}, copy_share=0.3)
    return list(islice(corpus, 200))


def questions(samples: list[Sample]) -> list[tuple[list[dict[str, Any]], str, str]]:
    """Return tools, question and answer of every question about a form."""
    return [
        (read_section(sample.parts[0].text)[1], asked.text, answer.text)
        for sample in samples
        if sample.kind == "reading"
        for asked, answer in zip(sample.parts[1::2], sample.parts[2::2], strict=True)
    ]


def test_a_tokenizer_that_is_made_anew_reads_like_the_shipped_one(words: Any) -> None:
    made = vocabulary.tokenizer()
    shown = section(Toolcalls("travel").tools)
    call = '{"name": "find_hotel", "arguments": {}}'
    for text in ("Rent a car in Prague, please.", call, "x9", shown):
        tokens = made.convert_ids_to_tokens(made(text)["input_ids"])
        assert tokens == words.convert_ids_to_tokens(words(text)["input_ids"])


@pytest.mark.parametrize(
    "text",
    ["Rent a car, please.", 'a  b\n\n\n"c_d": [1,234]', "naïve 東京 \t{}", " x ", "o'clock (3pm)"],
)
def test_text_survives_whole(words: Any, text: str) -> None:
    assert words.decode(words(text)["input_ids"]) == text


def test_a_word_is_one_token_in_each_form_and_its_vectors_differ_in_form_alone(words: Any) -> None:
    table = vocabulary_table()
    for word in ("train", "hotel", "monday", "city", "12"):
        forms = dict.fromkeys((word, f" {word}", word.capitalize(), f" {word.capitalize()}"))
        tokens = [words(form)["input_ids"] for form in forms]
        assert all(len(each) == 1 for each in tokens), word
        rows = torch.stack([table[token] for (token,) in tokens])
        said = rows[:, : -vocabulary.FORM]
        assert torch.equal(said, said[:1].expand_as(said))
        assert len({tuple(row.tolist()) for row in rows}) == len(forms)


def test_words_of_like_meaning_are_near(words: Any) -> None:
    table = vocabulary_table()
    listed = content_words(vocabulary.whole_words(words))
    similar_words = vocabulary.similar_words(listed, table[words.convert_tokens_to_ids(listed)])
    assert "railway" in similar_words["train"]
    assert "tuesday" in similar_words["monday"]
    assert {"buy", "purchase"} & {*similar_words["buy"], *similar_words["purchase"]}
    assert not [word for word, like in similar_words.items() if word in like]


def test_a_seed_fixes_the_samples(words: Any, samples: list[Sample]) -> None:
    again = Corpus(5, vocabulary.whole_words(words), {"send": ["post", "mail"]}, copy_share=0.3)
    assert list(islice(again, 20)) == samples[:20]


def test_every_answer_stands_in_the_form_or_in_the_sentence(samples: list[Sample]) -> None:
    asked = questions(samples)
    assert len(asked) > 900
    seen = Counter[str]()
    for tools, question, answer in asked:
        by = {tool["name"]: tool for tool in tools}
        about, sentence = "", question
        if prefixed := re.fullmatch(r"(\w+)\? (.+)", question):
            about, sentence = prefixed.groups()
        if answer == NO_TOOL:
            assert not about
            seen["nothing"] += 1
            continue
        told = answer
        if about in {"Which", ""}:
            thought = re.fullmatch(r"(.+?) (\w+)(?:\. (\w+: .+?)\.)?(?: ({.+}))?", answer)
            assert thought, answer
            quote, about, told, filled_in = thought.groups()
            assert by[about]["description"].endswith(quote)
            seen["which" if told is None else "all"] += 1
            if told is None:
                continue
            lacks = set(by[about]["parameters"]["required"]) & set(re.findall(r"(\w+): -", told))
            assert bool(lacks) != bool(filled_in)
            if filled_in:
                written = parameter_list(
                    by[about]["parameters"]["properties"], json.loads(filled_in)
                )
                assert written == told
        pairs = [(about, told)]
        if about in by:
            pairs = [(name, value) for name, value in re.findall(r"(?:^|; )(\w+): ([^;]+)", told)]
            assert [name for name, _ in pairs] == list(by[about]["parameters"]["properties"])
        seen["unsaid"] += sum(value == NOT_STATED for _, value in pairs)
        assert all(value in sentence for _, value in pairs if value != NOT_STATED), (
            question,
            answer,
        )
    assert min(seen[kind] for kind in ("nothing", "which", "all", "unsaid")) > 100, seen


def test_no_sample_holds_a_call(samples: list[Sample]) -> None:
    said = [part.text for sample in samples for part in sample.parts if part.learn]
    assert not [text for text in said if "<" in text or '"arguments"' in text]


def test_forms_are_in_other_words_and_sentences_in_near_ones(samples: list[Sample]) -> None:
    names = {tool["name"] for tools, _, _ in questions(samples) for tool in tools}
    verbs = {name.partition("_")[0] for name in names}
    assert len(verbs) > 200


def test_a_training_leaves_the_vectors_as_they_were_and_resumes(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    recipe = Clerk(frequent=300)  # to embed a few words only
    settings = replace(recipe.settings, tokens=1, layers=1, mlp=32, batch=1_024)
    train(tmp_path, recipe, settings)
    first = torch.load(tmp_path / "state.pt", weights_only=True)
    table = vocabulary.vectors(chat.load(tmp_path / "tokenizer"))
    assert torch.equal(first["model"]["model.embed_tokens.weight"], table)
    train(tmp_path, recipe, replace(settings, tokens=first["seen"] + 1))
    second = torch.load(tmp_path / "state.pt", weights_only=True)
    assert second["seen"] > first["seen"]
    assert torch.equal(second["model"]["lm_head.weight"], table)
    layer = "model.layers.0.self_attn.q_proj.weight"
    assert not torch.equal(first["model"][layer], second["model"][layer])


def vocabulary_table() -> torch.Tensor:
    """Return the vectors of the shipped tokens."""
    from safetensors.torch import load_file

    return load_file(WEIGHTS / "model.safetensors")["model.embed_tokens.weight"].float()
