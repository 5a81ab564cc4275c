"""The example with an agent and a judge of one's own."""

from __future__ import annotations

import pytest

from examples import own_agent


async def test_the_example_succeeds_after_its_own_reflection(
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = await own_agent.main()
    first, last = result["attempts"][0], result["attempts"][-1]
    assert (first.verdict.success, last.verdict.success) == (False, True)
    assert last.verdict.source == "rule"
    assert last.in_view.reflections[0].text.startswith("Next I look at")
    assert "-> solved after 2 trials" in capsys.readouterr().out
