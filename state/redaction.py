"""Remove secrets and addresses from other programs' messages before they are shown.

A server's callers read its errors, and a provider's error may quote the key that it was sent.
"""

from __future__ import annotations

import re
from typing import Final

_MASK: Final = "***"
_PATTERNS: Final = (
    # The user and the password of an address.
    (re.compile(r"(?<=://)[^/\s@]+(?=@)"), _MASK),
    # Authorization headers.
    (
        re.compile(
            r"\b((?:authorization|x-api-key)['\"]?\s*[:=]?\s*['\"]?(?:(?:bearer|basic|token)\s+)?)"
            r"[^\s'\",;)]+",
            re.IGNORECASE,
        ),
        rf"\1{_MASK}",
    ),
    (re.compile(r"\b(bearer)\s+(?=\S*\d)[^\s'\",;)]+", re.IGNORECASE), rf"\1 {_MASK}"),
    # The key in an address.
    (re.compile(r"([?&](?:api_?)?key=)[^\s&'\"]+", re.IGNORECASE), rf"\1{_MASK}"),
    # Keys that begin as providers' keys do, also where they are masked in part already.
    (
        re.compile(
            r"\b(?:(?:sk|pk|rk|hf|gsk|xai|lsv2|gh[a-z]|github_pat|nvapi|pplx)[-_]|AIza|AKIA|ya29\.|eyJ)[\w*.-]*[\w*]{6,}"
        ),
        _MASK,
    ),
    # A value that is called a key, a token, a secret or a password.
    (
        re.compile(
            r"((?:api[-_ ]?key|token|secret|password)\b['\"]?(?:\s+provided)?\s*[:=]\s*['\"]?)"
            r"[^\s'\",;&)]{6,}",
            re.IGNORECASE,
        ),
        rf"\1{_MASK}",
    ),
)


def redact(text: str) -> str:
    """Return a text with keys, tokens, passwords and the users of addresses as `***`."""
    for pattern, mask in _PATTERNS:
        text = pattern.sub(mask, text)
    return text


def public_message(error: BaseException, limit: int = 300) -> str:
    """Return another program's message on one line, redacted, without its full stop.

    Args:
        error: what was raised; the name of its class stands in for an empty message.
        limit: characters, at most.
    """
    text = " ".join(redact(str(error)).split())
    return text[:limit].rstrip(".") or type(error).__name__
