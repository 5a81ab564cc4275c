"""The scores match `hotpot_evaluate_v1.py` of Yang et al. 2018 (arXiv 1809.09600)."""

from __future__ import annotations

import pytest

from apprentice.environments.qa import exact_match, f1, normalise


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Eiffel-Tower, in PARIS!", "eiffeltower in paris"),
        ("A man, a plan; an answer: the end", "man plan answer end"),
        ("theatre Anna a1", "theatre anna a1"),
        ("a-b the.", "ab"),
        ("“curly” …", "“curly” …"),
        ("", ""),
    ],
)
def test_an_answer_is_normalised(text: str, normal: str) -> None:
    assert normalise(text) == normal


@pytest.mark.parametrize(
    ("prediction", "reference", "exact", "score"),
    [
        ("the Danube", "Danube", True, 1.0),
        ("river Danube", "Danube", False, 2 / 3),
        ("Danube", "Rhine", False, 0.0),
        ("to be or not to be", "to be", False, 0.5),
        ("be to", "to be", False, 1.0),
        ("yes", "Yes.", True, 1.0),
        ("yes it is", "yes", False, 0.0),
        ("no", "no man's land", False, 0.0),
        ("noanswer", "no answer", False, 0.0),
        ("yes and no", "no and yes", False, 1.0),
        ("", "Danube", False, 0.0),
        ("the", "a", True, 0.0),
    ],
)
def test_an_answer_has_its_score(
    prediction: str, reference: str, exact: bool, score: float
) -> None:
    assert exact_match(prediction, reference) is exact
    assert f1(prediction, reference) == pytest.approx(score)
