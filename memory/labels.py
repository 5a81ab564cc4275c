"""Names as labels of a Store namespace, in which a dot is not allowed."""

from __future__ import annotations

import re

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_CODE = re.compile(r"~([0-9a-f]+)~")


def label(name: str) -> str:
    """Encode a name: other characters than letters, digits, - and _ become their code, ~XX.

    Two names never share a label, and a label is never empty nor holds what a store could take
    for a separator or a wildcard.
    """
    return _UNSAFE.sub(lambda match: f"~{ord(match[0]):x}~", name) or "~"


def name_of(text: str) -> str:
    """Return the name that a label stands for."""
    return _CODE.sub(lambda match: chr(int(match[1], 16)), text) if text != "~" else ""
