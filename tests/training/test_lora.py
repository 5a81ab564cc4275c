"""An adapter goes where it was asked to go, or it is said that it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

from apprentice.state.errors import BadInput, UnknownName
from apprentice.training.base import TAGS, load
from apprentice.training.lora import policy, resolve
from apprentice.training.settings import SftSettings
from tests.training.conftest import Workplace

ALL = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]


def test_every_linear_layer_but_the_head_is_the_default(bases: Path) -> None:
    llama = AutoModelForCausalLM.from_pretrained(bases / "llama")
    assert resolve(llama) == ALL


def test_fused_layers_stand_for_their_parts(bases: Path) -> None:
    phi = AutoModelForCausalLM.from_pretrained(bases / "phi")
    assert resolve(phi) == ["down_proj", "gate_up_proj", "o_proj", "qkv_proj"]
    assert resolve(phi, ("q_proj", "v_proj")) == ["qkv_proj"]
    assert resolve(phi, ("up_proj", "o_proj")) == ["gate_up_proj", "o_proj"]


def test_what_reads_images_is_adapted_too(bases: Path) -> None:
    eyes = AutoModelForImageTextToText.from_pretrained(bases / "eyes")
    assert {"linear_1", "fc1", "out_proj", *ALL} == set(resolve(eyes)) - {"fc2", "linear_2"}


def test_a_target_that_matches_nothing_is_an_error_that_names_what_there_is(bases: Path) -> None:
    llama = AutoModelForCausalLM.from_pretrained(bases / "llama")
    with pytest.raises(BadInput, match=r"'c_attn' matches no layer of LlamaForCausalLM.*q_proj"):
        resolve(llama, ("q_proj", "c_attn"))


def test_tags_become_single_tokens_whose_embeddings_are_learned(workplace: Workplace) -> None:
    base = load(SftSettings(base="llama", tags=True), workplace.local)
    assert len(base.new_tokens) == len(TAGS)
    for tag, token in zip(TAGS, base.new_tokens, strict=True):
        assert base.tokenizer(tag, add_special_tokens=False)["input_ids"] == [token]
        # A server that hides special tokens must not hide calls.
        assert base.tokenizer.decode([token], skip_special_tokens=True) == tag
    told = policy(base, SftSettings(base="llama", tags=True), workplace.local)
    rows = list(base.new_tokens)  # of a head that is not the embeddings, too: it has to write them
    assert told["peft_config"].trainable_token_indices == {"embed_tokens": rows, "lm_head": rows}


def test_tags_that_are_tokens_already_are_left_alone(workplace: Workplace) -> None:
    assert load(SftSettings(base="novice", tags=True), workplace.local).new_tokens == ()


def test_a_base_that_is_not_offered_is_named(workplace: Workplace) -> None:
    with pytest.raises(UnknownName, match=r"Unknown local model 'lama'. Did you mean 'llama'"):
        load(SftSettings(base="lama"), workplace.local)
