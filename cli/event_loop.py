"""Many tasks at once in one process."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(job: Coroutine[Any, Any, T]) -> T:
    """Run a job as `asyncio.run` does, with what is loaded left out of garbage collection.

    Tasks side by side make many objects that live for a step or two, and every collection that
    they cause would go through all that the libraries hold: some four of a hundred of the
    throughput (`python -m benchmarks.concurrency`).
    """
    try:
        gc.collect()
        gc.freeze()
        return asyncio.run(job)
    finally:
        job.close()  # who is interrupted before it began would hear that nobody awaited it
        gc.unfreeze()
