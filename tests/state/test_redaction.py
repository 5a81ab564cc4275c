"""No secret leaves in a sentence."""

from __future__ import annotations

import pytest

from apprentice.state.redaction import public_message, redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Incorrect API key provided: sk-ab12cd34.", "Incorrect API key provided: ***."),
        ("Incorrect API key provided: sk-ab******cd.", "Incorrect API key provided: ***."),
        ("Illegal header value b'Bearer s3cret'", "Illegal header value b'Bearer ***'"),
        ("http://me:s3cret@host:6333/x refused", "http://***@host:6333/x refused"),
        ('{"api_key": "abcdef99"}', '{"api_key": "***"}'),
        ("OPENAI_API_KEY=abc123456 is wrong", "OPENAI_API_KEY=*** is wrong"),
        ("password: hunter22, user: me", "password: ***, user: me"),
        ("token=abcdefgh12&x=1", "token=***&x=1"),
        ("lsv2_pt_abcdef0123 expired", "*** expired"),
    ],
)
def test_secrets_become_stars(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "This model reads at most 8192 tokens, but the prompt has 9000.",
        "max_tokens=4000 is too large",
        "Nobody answers at http://127.0.0.1:8000/v1.",
        "The task household/north/small train/6 is skipped.",
    ],
)
def test_other_words_stay(text: str) -> None:
    assert redact(text) == text


def test_a_message_is_one_line_and_never_empty() -> None:
    assert public_message(ValueError("No\n  room.")) == "No room"
    assert public_message(TimeoutError()) == "TimeoutError"
    assert public_message(ValueError("x" * 400), 20) == "x" * 20
