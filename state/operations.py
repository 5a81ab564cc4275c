# ruff: noqa: RUF001  (models write typographic punctuation, so it is matched as such)
"""Reads rule operations from a model's answer.

A model writes lines such as `AGREE 2: Mugs are kept in cabinets.` (Zhao et al. 2023, arXiv
2308.10144). The parser tolerates Markdown, bullets, code fences, missing spaces, lower case, and a
rule spread over several lines. It never guesses a rule's number.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final, NamedTuple, cast

from apprentice.state.rules import RULE_LENGTH, Kind, Operation, Rejection
from apprentice.state.trajectory import FrozenModel


class ParsedOperations(FrozenModel):
    """The operations in a text, in order, and the lines that look like one but cannot be read."""

    operations: tuple[Operation, ...] = ()
    rejections: tuple[Rejection, ...] = ()


class _Entry(NamedTuple):
    """A line that opens an operation, with what follows its verb and the lines after it."""

    verb: str
    rest: str


_LEAD = re.compile(r"(?:[-+*•·>#_`|]|[0-9]{1,3}[.)]|\s)*")
_VERB = re.compile(r"(ADD|AGREE|EDIT|REMOVE)(?![A-Za-z])", re.IGNORECASE)
_TARGET = re.compile(
    r"[\s*_`]{0,6}(?:rule\b)?[\s#(\[<*_`]{0,6}(?P<number>[0-9]+)?[\s)\]>*_`]{0,6}"
    r"(?:[:：]|->|→|[-–—](?=\s)|\.(?=\s|$)|$)(?P<text>.*)",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(r"[A-Z]{3,12}\s?#?[0-9]+\s?[:：]")
_SECOND = re.compile(r"\b(?:ADD|AGREE|EDIT|REMOVE)\W{0,4}[0-9]{0,6}\W{0,3}[:：]")
_COPIED = re.compile(r"([0-9]{1,6})[.)]\s+")
_ENDED = re.compile(r"[.!?。！？][\"'”’)*_`]*$")
_EMPTY = re.compile(r"[:：][*_`]*$")
_FENCES: Final = ("```", "~~~")
_QUOTES: Final = ('""', "''", "“”", "‘’", "``")
_DIGITS: Final = 6


def parse_operations(text: str) -> ParsedOperations:
    """Read rule operations from a model's answer. No text raises an error."""
    operations: list[Operation] = []
    rejections: list[Rejection] = []
    for entry in _entries(_decodable(text)):
        outcome = _read(entry)
        if isinstance(outcome, Operation):
            operations.append(outcome)
        else:
            rejections.append(outcome)
    if not operations and not rejections:
        rejections.append(
            _refuse(text, "No operation was found: write lines such as 'ADD: <rule>'.")
        )
    return ParsedOperations(operations=tuple(operations), rejections=tuple(rejections))


def plain(text: str) -> str:
    """Return a text on one line, without control characters and surplus spaces."""
    printable = (" " if unicodedata.category(c) == "Cc" else c for c in text)
    return " ".join("".join(printable).split())


def _decodable(text: str) -> str:
    """Replace lone surrogates, which no store and no prompt can carry."""
    return text.encode("utf-8", "replace").decode()


def _entries(text: str) -> Iterator[_Entry]:
    """Yield the lines that open an operation, each joined with the lines that continue it."""
    entry: _Entry | None = None
    is_open = False
    for line in map(plain, text.splitlines()):
        if opening := _opening(line):
            if entry:
                yield entry
            entry, is_open = opening, True
        elif entry and is_open:
            is_open = _continues(entry.rest, line)
            if is_open:
                entry = _Entry(entry.verb, f"{entry.rest} {line}".rstrip())
    if entry:
        yield entry


def _opening(line: str) -> _Entry | None:
    """Read a line's verb. Return None for prose that begins with such a word."""
    body = _LEAD.sub("", line, count=1)
    verb = _VERB.match(body)
    if verb is None:
        return _Entry("", body) if _UNKNOWN.match(body) else None
    entry = _Entry(verb[1].upper(), body[verb.end() :])
    is_upper = verb[1].isupper()
    return entry if is_upper or _TARGET.match(entry.rest) else None


def _continues(rest: str, line: str) -> bool:
    """Tell whether a line goes on with a rule that has not ended yet."""
    if line.startswith(_FENCES) or len(rest) > 2 * RULE_LENGTH:
        return False
    return bool(_EMPTY.search(rest[-8:])) or bool(line and not _ENDED.search(rest[-8:]))


def _read(entry: _Entry) -> Operation | Rejection:
    """Read one operation, or say why it cannot be read."""
    line = f"{entry.verb}{entry.rest}"
    if not entry.verb:
        return _refuse(line, "The operations are ADD, AGREE, EDIT and REMOVE.")
    target = _TARGET.match(entry.rest)
    if target is None:
        return _refuse(line, "After the operation comes one rule number, then a colon.")
    if _SECOND.search(target["text"]):
        return _refuse(line, "The line holds more than one operation; each needs its own.")
    number, rule = target["number"], _unwrap(target["text"])
    repeated_number = _COPIED.match(rule)
    if repeated_number:
        rule = rule[repeated_number.end() :]
    if reason := _unclear(entry.verb, number, repeated_number and repeated_number[1], rule):
        return _refuse(line, reason)
    return Operation(
        kind=cast("Kind", entry.verb),
        number=None if entry.verb == "ADD" else int(number),
        text=rule,
    )


def _unclear(verb: str, number: str | None, repeated_number: str | None, rule: str) -> str | None:
    """Say what is unclear about an operation, if anything."""
    if verb != "ADD":
        if number is None:
            return f"{verb} names no rule number, and none is guessed."
        if len(number) > _DIGITS:
            return f"{verb} names a rule number with {len(number)} digits."
        if repeated_number is not None and int(repeated_number) != int(number):
            return f"{verb} names two rules, {number} and {repeated_number}."
    if not rule and verb in ("ADD", "EDIT"):
        return f"{verb} gives no rule."
    if len(rule) > RULE_LENGTH:
        return f"The rule has {len(rule)} characters; at most {RULE_LENGTH} are allowed."
    return None


def _unwrap(text: str) -> str:
    """Take off the Markdown and the quotation marks around a rule."""
    rule = text.replace("**", "").replace("__", "").strip(" *_")
    if len(rule) > 1 and rule[0] + rule[-1] in _QUOTES:
        rule = rule[1:-1]
    return rule.strip(" *_")


def _refuse(line: str, reason: str) -> Rejection:
    return Rejection(written=plain(_decodable(line[:2_000]))[:200], reason=reason)
