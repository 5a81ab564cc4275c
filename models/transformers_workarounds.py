"""Local models are loaded one after the other.

Each has a thread of its own, but transformers imports its parts as they are asked for, and two
threads that do so at once get modules that are not finished yet.
"""

from __future__ import annotations

import warnings
from threading import Lock
from typing import Final

LOAD_LOCK: Final = Lock()
"""Held by a thread while it imports transformers and reads a model with it."""


def ignore_deprecated_attribute() -> None:
    """Ignore that PEFT and TRL read an attribute of models that transformers deprecates.

    Their code does so whenever an adapter is put on a model, so nobody here can act on it.
    """
    warnings.filterwarnings("ignore", ".is_gradient_checkpointing. is deprecated", FutureWarning)
