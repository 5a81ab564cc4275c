"""Ordinary rules of ten trades, for measuring how many of them a screen stops.

They were written without sight of the screen. `ordinary_rules_held_out.jsonl` is for the last
measurement: nobody fits a screen to it, so nobody reads it before.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent


def rows(name: str) -> list[dict[str, str]]:
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_both_sets_cover_ten_trades_in_english_and_chinese_and_share_no_rule() -> None:
    fit, held_out = rows("ordinary_rules.jsonl"), rows("ordinary_rules_held_out.jsonl")
    for listed, least in ((fit, 30), (held_out, 20)):
        counts = Counter((row["trade"], row["language"]) for row in listed)
        main = {key: count for key, count in counts.items() if key[1] in ("en", "zh")}
        assert len(main) == 20
        assert min(main.values()) >= least
    texts = [row["rule"] for row in (*fit, *held_out)]
    assert len(texts) == len(set(texts)) >= 900
    assert len(held_out) >= 300
