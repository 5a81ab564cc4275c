# ruff: noqa: RUF001  (look-alike characters are what is looked for)
"""Screening of rule texts: a rule that a model wrote is untrusted.

Every later prompt repeats a rule, so an attacker who gets a sentence into a transcript may get an
order into every prompt. `screen` says why a text is more than one plain sentence. In doubt it flags
the rule, and a person reviews it.

It is one layer of several. It catches forms that a prompt, a program or a browser interprets, and
orders with consequences beyond the task in ordinary words (`state/consequences.py`). It does not
catch bad advice about the task itself: corroboration, validation on held-out tasks and people do.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from apprentice.state.consequences import beyond_the_task
from apprentice.state.rules import RULE_LENGTH

_WORD_LENGTH: Final = 40
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
_ALIKE: Final = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"})
_LEET: Final = str.maketrans("013457@$!|", "oieastasil")

Signs = tuple[tuple[str, re.Pattern[str]], ...]


def _signs(*signs: tuple[str, str]) -> Signs:
    return tuple((what, re.compile(pattern, re.IGNORECASE)) for what, pattern in signs)


# What a prompt, a program or a browser gives a meaning to; searched in the text as it is written,
# compatibility forms folded.
_MARKS: Final = _signs(
    ("a URL", r"\b\w{2,10}://|\bwww\.|\b(?:data|javascript|mailto):"),
    (
        "a URL",
        r"\b[\w-]+(?:\.|\[\.\]|\(dot\)| dot )"
        r"(?:com|net|org|io|ai|dev|co|ru|cn|xyz|info|app|sh|site|top)\b",
    ),
    ("an address", r"\S@\w|\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b"),
    ("a chat-template token", r"<\s?\||\|\s?>|\[/?INST\]|<<|</?s>|\bim_(?:start|end)\b"),
    ("a tag", r"<\s?[/!]?\s?[a-z_]|&(?:lt|gt|#\w+);"),
    (
        "a role marker",
        r"\b(?:system|user|assistant|human|ai|developer|tool|function)\s?(?:message)?\s?\]?\s?:",
    ),
    ("a heading", r"#{2,}|-{3,}|={3,}|\*{3,}|~~~"),
    (
        "words of the prompt's own format",
        r"\b(?:status|operations|feedback|plan|rules|think|add|agree|edit|remove|set)"
        r"\s?[0-9]*\s?:|\byour task is to\b|^>",
    ),
    ("code", r"[`{}\\]|\$\(|\w\(\)|\);|&&|\|\||\brm -|\b(?:sudo|eval|curl|wget|bash)\b"),
    ("an encoding", r"(?:%[0-9a-f]{2}){2}|\bu\+[0-9a-f]{4}|\b(?:base[ -]?64|rot[ -]?13)\b"),
)

# What speaks of the agent and its prompt instead of the task; searched in the text's skeleton.
_ORDERS: Final = _signs(
    (
        "talk about rules or prompts",
        r"\b(?:rules?|prompts?|instructions?|guidance|guidelines?|directives?|polic(?:y|ies)|"
        r"guardrails?|constraints?|configuration|transcripts?|conversations?|chat history|"
        r"context window|assistant|chatbot|language models?|ai)\b|\bthis list\b|\binstruct",
    ),
    (
        "talk about rules or prompts",
        r"\b(?:anweisung|instrucc|instruz|instruc|istruz|vorschrift)|\b(?:regeln|reglas|regles|"
        r"consignes|regras)\b|指令|指示|命令|规则|規則|提示词|инструкц|правил|указани",
    ),
    (
        "talk about what came before it",
        r"\b(?:previous|prior|above|earlier|preceding|hidden|system) "
        r"(?:message|text|context|order|command|content)s?\b|"
        r"\beverything (?:above|before|earlier|you)\b|\byou (?:were|are|have been) told\b",
    ),
    (
        "a new role",
        r"\byou are (?:now|no longer|actually)\b|\bact(?:ing)? as (?:a|an|the|if|though)\b|"
        r"\bpretend\b|\brole-?play|\bfrom now on\b|\bjailbr\w*|\b(?:developer|dan) mode\b|"
        r"\byour (?:new|real|true) (?:role|task|goal|job|objective|purpose)\b|"
        r"\bunrestricted\b|\bdo anything now\b",
    ),
    (
        "a request for secrets",
        r"\b(?:passwords?|passphrase|api[ _-]?keys?|secrets?|credentials?|access tokens?|"
        r"credit cards?|private keys?|ssn)\b|\b(?:exfiltrat|upload|pastebin|webhook|verbatim)\w*",
    ),
    (
        "words about destruction",
        r"\b(?:delet|wip|destroy|eras)\w*[ _](?:all|every\w*)\b",
    ),
    (
        "words about concealment",
        r"\b(?:tell|inform|alert) (?:nobody|no one)\b|"
        r"\b(?:do not|don't|never|without) (?:tell|inform|mention|alert|ask|notify)\w*\b.{0,30}"
        r"\b(?:users?|anyone|people|person|humans?|operators?|developers?)\b",
    ),
    (
        "an appeal to authority",
        r"\b(?:administrator|admin|operator|developer|creator|supervisor)s?\b|\boverrid\w*|"
        r"\bobey\w*|\b(?:tell|tells|told|ask|asks|order|orders|command|commands) you\b|"
        r"\b(?:treat|take|regard)\b.{0,50}\bas (?:an? )?(?:command|instruction|order)s?\b|"
        r"\btrust\b.{0,40}\bover\b",
    ),
    (
        "an end to the task",
        r"\b(?:stop|quit|abandon|refuse|end|cancel|set aside)\w* (?:work\w*|acting|"
        r"(?:the|your|this|any|every) (?:\w+ )?(?:task|goal|job|work|episode|session))\b|"
        r"\b(?:task|goal|job)s? aside\b|\bthe (?:magic |secret )?word\b|"
        r"\b(?:answer|say|reply|respond|write|print) (?:only |with |always )*"
        r"(?:done|yes|ok|hello)\b",
    ),
    (
        "an appeal to those who judge it",
        r"\b(?:judge|grader|evaluator|verdict)\b.{0,40}"
        r"\b(?:success\w*|pass(?:ed)?|perfect|maximum|true)\b|"
        r"\bmark\b.{0,20}\b(?:success\w*|solved|passed|correct)\b|"
        r"\bclaim\w*\b.{0,20}\b(?:success\w*|solved|victory)\b",
    ),
)

# The commonest order once more, for the text with everything but its letters taken out.
_SQUEEZED: Final = _signs(
    (
        "an instruction to ignore instructions",
        r"(?:ignore|disregard|forget|override|bypass)(?:all|any|the|your|these|of)*"
        r"(?:previous|prior|above|earlier|preceding|system)?(?:instruction|rules|prompt|guideline)",
    ),
)
_SENTENCE_ENDS = re.compile(r"[.!?。！？]['\"”’)]*\s+(?=[^\W\d_])|[。！？](?=\S)")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|vs|cf|approx)\.", re.IGNORECASE)


def screen(text: str) -> str | None:
    """Return why a rule's text may not reach a prompt unreviewed, or None if it may."""
    if reason := _form_problem(text):
        return reason
    skeleton = _skeleton(text)
    letters = "".join(filter(str.isalpha, skeleton))
    searches = (
        (unicodedata.normalize("NFKC", text), _MARKS),
        (skeleton, _ORDERS),
        (letters, _SQUEEZED),
    )
    for form, signs in searches:
        for what, pattern in signs:
            if match := pattern.search(form):
                return f"The rule holds {what}: {match[0][:40]!r}."
    act = beyond_the_task(skeleton)
    return f"The rule holds {act}." if act else None


def _form_problem(text: str) -> str | None:
    """Say what keeps a text from being one sentence in visible characters."""
    if not any(map(str.isalpha, text)):
        return "The rule has no words."
    if len(text) > RULE_LENGTH:
        return f"The rule has {len(text)} characters; at most {RULE_LENGTH} are allowed."
    for character in text:
        if unicodedata.category(character) in _INVISIBLE:
            return f"The rule holds the control or invisible character U+{ord(character):04X}."
    for word in text.split():
        if len(word) > _WORD_LENGTH and word.isascii():
            return f"The rule holds a word of {len(word)} characters, which may encode a text."
        if len(_scripts(word) & _ALIKE) > 1:
            return f"The rule mixes alphabets within a word, {word[:40]!r}."
    if _SENTENCE_ENDS.search(_ABBREVIATION.sub("", text)):
        return "The rule is more than one sentence."
    return None


def _scripts(letters: Iterable[str]) -> set[str]:
    """Return the scripts that letters belong to, as Unicode's names of them begin."""
    return {unicodedata.name(c, "").partition(" ")[0] for c in letters if c.isalpha()}


def _skeleton(text: str) -> str:
    """Fold a text to what a reader makes of it: no case, no accents, digits in words as letters."""
    letters = unicodedata.normalize("NFKD", text).casefold().replace("’", "'")
    bare = "".join(c for c in letters if not unicodedata.combining(c))
    return " ".join(
        word.rstrip("!|").translate(_LEET) if any(map(str.isalpha, word)) else word
        for word in bare.split()
    )
