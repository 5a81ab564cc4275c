"""Workarounds for transformers: a lock for loading, and a filter for one warning."""

from __future__ import annotations

import warnings
from threading import Lock
from typing import Final

LOAD_LOCK: Final = Lock()
"""A thread holds this lock while it imports transformers and loads a model.

Each local model has its own thread, and transformers imports its modules lazily. Two threads that
import at the same time would get incomplete modules.
"""


def ignore_deprecated_attribute() -> None:
    """Ignore the warning about an attribute that PEFT and TRL read and transformers deprecates.

    PEFT and TRL read it whenever they load an adapter, so this project cannot avoid it.
    """
    warnings.filterwarnings("ignore", ".is_gradient_checkpointing. is deprecated", FutureWarning)
