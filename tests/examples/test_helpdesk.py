"""The tone set of the help desk is large and varied, and the preference trainer accepts it."""

from __future__ import annotations

import json
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path

from apprentice.training.datasets.curation import Curation, curate
from apprentice.training.datasets.files import preferences
from examples.helpdesk.tone import FILE, write


def test_curation_splits_the_set_by_case() -> None:
    read = preferences(FILE)
    assert read.refusals == []
    dataset = curate("dpo", read.examples, Curation(cap=6))
    assert len(dataset.train) + len(dataset.valid) >= 200
    assert dataset.filters == {}
    assert not {one.task for one in dataset.train} & {one.task for one in dataset.valid}
    assert len({one.family for one in dataset.train}) >= 6


def test_answers_differ() -> None:
    rows = [json.loads(line) for line in FILE.read_text().splitlines()]
    for name in ("chosen", "rejected"):
        texts = sorted(row[name] for row in rows)
        assert len(set(texts)) == len(texts)
        likenesses = [SequenceMatcher(None, *pair).ratio() for pair in pairwise(texts)]
        assert sum(likeness > 0.9 for likeness in likenesses) <= len(rows) * 0.02


def test_the_length_does_not_reveal_the_better_answer() -> None:
    rows = [json.loads(line) for line in FILE.read_text().splitlines()]
    longer = sum(len(row["chosen"]) > len(row["rejected"]) for row in rows)
    assert 0.3 < longer / len(rows) < 0.7


def test_the_file_matches_its_source(tmp_path: Path) -> None:
    write(tmp_path / "tone.jsonl")
    assert (tmp_path / "tone.jsonl").read_text() == FILE.read_text()
