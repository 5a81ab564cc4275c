"""Runs a coroutine in an event loop that is tuned for many tasks at once."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(job: Coroutine[Any, Any, T]) -> T:
    """Run a job as `asyncio.run` does, and exclude existing objects from garbage collection.

    Parallel tasks create many objects that live for a step or two. Each garbage collection that
    they cause would also visit all objects of the libraries. That costs about 4 % of the throughput
    (`python -m benchmarks.concurrency`).
    """
    try:
        gc.collect()
        gc.freeze()
        return asyncio.run(job)
    finally:
        job.close()  # a job that never started would warn that nobody awaited it
        gc.unfreeze()
