"""Encode names as labels of a Store namespace, which must not contain a dot."""

from __future__ import annotations

import re

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_CODE = re.compile(r"~([0-9a-f]+)~")


def label(name: str) -> str:
    """Encode a name: every character but letters, digits, - and _ becomes its code, ~XX~.

    Two names never share a label. A label is never empty, and it contains no separator and no
    wildcard of any store.
    """
    return _UNSAFE.sub(lambda match: f"~{ord(match[0]):x}~", name) or "~"


def name_of(text: str) -> str:
    """Decode a label: return the name that it encodes."""
    return _CODE.sub(lambda match: chr(int(match[1], 16)), text) if text != "~" else ""
