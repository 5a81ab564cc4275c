"""Running many tasks at once: what is loaded is left to itself, for as long as they run."""

from __future__ import annotations

import gc
import warnings

import pytest

from apprentice.cli import event_loop


async def frozen(*, fails: bool = False) -> int:
    if fails:
        raise LookupError("no such task")
    return gc.get_freeze_count()


def test_what_is_loaded_is_not_collected_while_a_job_runs() -> None:
    before = gc.get_freeze_count()
    assert event_loop.run(frozen()) > before + 10_000
    assert gc.get_freeze_count() == 0


def test_who_interrupts_before_a_job_began_hears_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(gc, "collect", interrupted)
        with pytest.raises(KeyboardInterrupt):
            event_loop.run(frozen())
    with warnings.catch_warnings(record=True) as heard:
        gc.collect()  # what was never awaited says so when it is let go of
    assert heard == []


def test_a_job_that_fails_leaves_nothing_frozen() -> None:
    with pytest.raises(LookupError):
        event_loop.run(frozen(fails=True))
    assert gc.get_freeze_count() == 0
