"""The example does what it says."""

from __future__ import annotations

import pytest

from examples import own_agent


async def test_the_example_learns_from_its_own_lesson(capsys: pytest.CaptureFixture[str]) -> None:
    ended = await own_agent.main()
    first, last = ended["attempts"][0], ended["attempts"][-1]
    assert (first.verdict.success, last.verdict.success) == (False, True)
    assert last.verdict.source == "rule"
    assert last.in_view.reflections[0].text.startswith("Next I look at")
    assert "-> solved after 2 trials" in capsys.readouterr().out
