"""The help desk's tone set is large, varied, and what the preference trainer takes."""

from __future__ import annotations

import json
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path

from apprentice.training.datasets.curation import Curation, curate
from apprentice.training.datasets.files import preferences
from examples.helpdesk.tone import FILE, write


def test_the_set_becomes_a_dataset_split_by_case() -> None:
    read = preferences(FILE)
    assert read.refused == []
    made = curate("dpo", read.examples, Curation(cap=6))
    assert len(made.train) + len(made.valid) >= 200
    assert made.filters == {}
    assert not {one.task for one in made.train} & {one.task for one in made.valid}
    assert len({one.family for one in made.train}) >= 6


def test_no_pair_nearly_repeats_another() -> None:
    rows = [json.loads(line) for line in FILE.read_text().splitlines()]
    for name in ("chosen", "rejected"):
        texts = sorted(row[name] for row in rows)
        assert len(set(texts)) == len(texts)
        likenesses = [SequenceMatcher(None, *pair).ratio() for pair in pairwise(texts)]
        assert sum(likeness > 0.9 for likeness in likenesses) <= len(rows) * 0.02


def test_length_does_not_give_the_better_answer_away() -> None:
    rows = [json.loads(line) for line in FILE.read_text().splitlines()]
    longer = sum(len(row["chosen"]) > len(row["rejected"]) for row in rows)
    assert 0.3 < longer / len(rows) < 0.7


def test_the_file_is_what_its_author_says(tmp_path: Path) -> None:
    write(tmp_path / "tone.jsonl")
    assert (tmp_path / "tone.jsonl").read_text() == FILE.read_text()
