"""The model that a job starts from."""

from __future__ import annotations

from apprentice.training.base import attend, load
from apprentice.training.settings import SftSettings
from tests.training.conftest import Workplace


def test_short_rows_get_the_plain_attention_and_long_ones_the_fused(workplace: Workplace) -> None:
    base = load(SftSettings(base="novice"), workplace.local)
    attend(base, 4, 900)
    assert base.model.config._attn_implementation == "sdpa"
    attend(base, 8, 300)
    assert base.model.config._attn_implementation == "eager"
