"""The training corpus of the clerk: copying and reading forms, but no function calls.

A form is a list of tools as JSON Schema. A question asks which tool a sentence is about, or what
the sentence says about a parameter. A bare sentence asks for both, and for the filled-in form.

The tools are sampled (`environments.toolcalls.random_domains`). Most of their words are replaced
with other English words, so that the model cannot memorise them. Half of the sentences use words
that are only similar to the words of the form. Some name their tool only by other words of its
description, or only by its parameters.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from apprentice.environments.toolcalls import random_domains
from apprentice.environments.toolcalls.calls import Schema
from apprentice.environments.toolcalls.domains import CITIES, NAMES, Domain, Tool
from apprentice.environments.toolcalls.task_writer import (
    FUNCTION_WORDS,
    NO_TOOL,
    NOT_STATED,
    distinctive_words,
    fill,
    parameter_list,
    quote,
)
from apprentice.state.toolcalls import section
from apprentice.training.scratch.samples import Part, Sample

QUESTIONS: Final = 14
_PREPOSITIONS: Final = ("about", "at", "by", "for", "from", "in", "into", "of", "on", "to", "with")
_DESCRIPTIONS: Final = (
    "{verb} {a} {noun}", "{verb} {a} {one} {noun}", "{verb} {a} {noun} {to} {the} {one}",
    "{verb} {the} {one} {of} {a} {noun}", "{verb} {one} {to} {the} {noun}",
    "{verb} {a} {noun}'s {one}", "{verb} {a} {noun} {to} {the} {one} {of} {other}",
    "{verb} {the} {one} {other} {of} {a} {noun}", "{verb} {a} {noun} when {one} is {other}",
    "{one} {a} {noun} {to} {other}, or {verb} it", "{verb} {to} {a} {noun}",
    "tell {the} {one} {of} {a} {noun}, {verb} it", "{verb} {one} {noun} {to} {a} {other}",
)  # fmt: skip
COPIES: Final = 6
SAME_DESCRIPTION: Final = 0.5  # share of a form's descriptions that share one pattern
BLUR_SHARE: Final = 0.35  # share of the words of a blurred text that are replaced
GAP_SHARE: Final = 0.25  # share of the sentences that leave a value out
GENERAL_SHARE: Final = 0.3  # share of the sentences with a verb that fits every tool
# Share of the sentences that name their tool only by its parameters, where these are unique.
UNNAMED_SHARE: Final = 0.15
# Share of the sentences that name their tool only by another word of its description.
DESCRIBED_SHARE: Final = 0.15
_GENERAL: Final = ("arrange", "do", "find", "get", "give", "handle", "have", "look", "make", "put",
                   "see", "sort", "take", "use")  # fmt: skip
_WORD: Final = re.compile("[A-Za-z]+")

Turn = tuple[str, str]


class Corpus:
    """An endless, seeded stream of samples.

    Args:
        seed: the same seed gives the same samples.
        words: whole words of the vocabulary.
        near: word -> words of similar meaning, for some of the words.
        copy_share: the share of samples that are drills in copying.
    """

    def __init__(
        self, seed: int, words: Sequence[str], near: Mapping[str, Sequence[str]], copy_share: float
    ) -> None:
        self.rng = random.Random(seed)
        self.words = content_words(words)
        self.near = near
        self.copy_share = copy_share

    def __iter__(self) -> Iterator[Sample]:
        while True:
            copies = self.rng.random() < self.copy_share
            yield self.copy_sample() if copies else self.read_sample()

    def copy_sample(self) -> Sample:
        """Return a drill: repeat words, or find the line of a list that begins with a word."""
        if self.rng.random() < 0.5:
            turns = [(f"Say {text}.", f'"{text}"') for text in self._several(COPIES)]
            return Sample("saying", _chat("", turns))
        lines = self._several(self.rng.randint(3, 2 * COPIES))
        lines_asked = self.rng.sample(lines, min(len(lines), COPIES))
        turns = [(f"Which line begins with {line.split()[0]}?", line) for line in lines_asked]
        return Sample("finding", _chat("\n".join(lines), turns))

    def read_sample(self) -> Sample:
        """Return questions about a form and about sentences, with their answers."""
        domain = random_domains.sample_domain(self.rng)
        other = self._other_words()
        tools = {name: _with_words(tool.schema(name), other) for name, tool in domain.tools.items()}
        if any(_clash(tools[name], tool) for name, tool in domain.tools.items()):
            return self.read_sample()
        common = self._description()
        for name, tool in tools.items():
            about = (_swap(word, other) for word in _about(domain.tools[name]))
            describe = common if self.rng.random() < SAME_DESCRIPTION else self._description()
            tool["description"] = describe(*about)
            self._retitle(tool)
        if len({tool["name"] for tool in tools.values()}) < len(tools):
            return self.read_sample()
        turns = [self._question(domain, tools, other) for _ in range(QUESTIONS)]
        return Sample("reading", _chat(section(list(tools.values())), turns))

    def _question(
        self, domain: Domain, tools: Mapping[str, Schema], other: Mapping[str, str]
    ) -> Turn:
        rng = self.rng
        function, sentence, values = _sentence(domain, rng)
        name, parameters = tools[function]["name"], tools[function]["parameters"]["properties"]
        description = tools[function]["description"]
        others = [each["description"] for each in tools.values() if each is not tools[function]]
        unique = len(_tools_that_take(values, domain)) == 1
        sentence = _swap(sentence, other)
        values = {_swap(key, other): _value(value, other) for key, value in values.items()}
        value_words = frozenset(_WORD.findall(" ".join(map(str, values.values())).lower()))
        verb, noun = _about(domain.tools[function])
        tool_verb = _swap(verb, other).lower()
        alone = sum(_about(each)[1] == noun for each in domain.tools.values()) == 1
        if alone and tool_verb not in value_words and rng.random() < GENERAL_SHARE:
            sentence = _swap(sentence, {tool_verb: rng.choice(_GENERAL)})
        thing = _swap(noun, other).lower()
        if unique and value_words.isdisjoint((tool_verb, thing)) and rng.random() < UNNAMED_SHARE:
            sentence = _swap(
                sentence, {tool_verb: rng.choice(self.words), thing: rng.choice(self.words)}
            )
        elif (
            alone and value_words.isdisjoint((tool_verb, thing)) and rng.random() < DESCRIBED_SHARE
        ):
            description_words = distinctive_words(description, others)
            sentence = _swap(
                sentence,
                {tool_verb: rng.choice(_GENERAL), thing: rng.choice([thing, *description_words])},
            )
        if rng.random() < 0.5:
            sentence = self._blur(sentence, keep=FUNCTION_WORDS | value_words)
        roll = rng.random()
        if roll < 0.6:
            quotation = quote(description, others, sentence)
            if roll < 0.15:
                return f"Which? {sentence}", f"{quotation} {name}"
            complete = set(tools[function]["parameters"]["required"]) <= set(values)
            arguments = {key: values[key] for key in parameters if key in values}
            end = f" {json.dumps(arguments)}" if complete else ""
            return sentence, f"{quotation} {name}. {parameter_list(parameters, values)}.{end}"
        if roll < 0.68:
            return self._elsewhere(domain), NO_TOOL
        if roll < 0.88:
            return f"{name}? {sentence}", parameter_list(parameters, values)
        parameter = rng.choice(list(parameters))
        return f"{parameter}? {sentence}", str(values.get(parameter, NOT_STATED))

    def _elsewhere(self, domain: Domain) -> str:
        """Sample a sentence that is about none of a domain's tools."""
        words = {word for tool in domain.tools.values() for word in _about(tool)}
        while True:
            other = random_domains.sample_domain(self.rng)
            function, sentence, values = _sentence(other, self.rng)
            if words.isdisjoint(_about(other.tools[function])) and not _tools_that_take(
                values, domain
            ):
                return _swap(sentence, self._other_words()) if self.rng.random() < 0.5 else sentence

    def _other_words(self) -> dict[str, str]:
        """Sample replacements for the words of the sampled domains.

        Words of tools become any words. Most words of parameters and values stay as they are or
        become similar words.
        """
        rng = self.rng
        other = {word: rng.choice(self.words) for word in TOOL_WORDS} if rng.random() < 0.8 else {}
        for words, share in ((PARAMETER_WORDS, 0.15), (VALUE_WORDS, 0.1)):
            alike = rng.random() < 0.6
            for word in words:
                like = self.near.get(word) if alike else None
                if rng.random() < share:
                    other[word] = rng.choice(self.words)
                elif like:
                    other[word] = rng.choice([word, *like])
                else:
                    other.pop(word, None)
        return other

    def _description(self) -> Callable[[str, str], str]:
        """Sample a pattern for descriptions.

        There are so many patterns that the model has to read the description.
        """
        rng = self.rng
        form = rng.choice(_DESCRIPTIONS)
        words = {name: rng.choice(self.words) for name in ("one", "other")}
        words |= {name: rng.choice(_PREPOSITIONS) for name in ("to", "of")}
        words |= {name: rng.choice(("a", "the")) for name in ("a", "the")}

        def describe(verb: str, noun: str) -> str:
            text = form.format(verb=verb, noun=noun, **words)
            return f"{text[0].upper()}{text[1:]}."

        return describe

    def _retitle(self, tool: Schema) -> None:
        """Change words in a tool's name or its description, so that the two differ.

        A sentence then uses the words of one of them.
        """
        rng = self.rng
        roll = rng.random()
        if roll < 0.4:
            parts = tool["name"].split("_")
            parts = [self._another(part) if rng.random() < 0.7 else part for part in parts]
            if rng.random() < 0.3:
                parts.insert(rng.randint(0, 2), rng.choice(self.words))
            tool["name"] = "_".join(parts[-1:] if rng.random() < 0.1 else parts)
        elif roll < 0.6:
            tool["description"] = self._blur(tool["description"], keep=FUNCTION_WORDS)

    def _another(self, word: str) -> str:
        """Return a word of similar meaning, or any word."""
        return self.rng.choice([*self.near.get(word, ()), *self.rng.choices(self.words, k=3)])

    def _blur(self, text: str, keep: frozenset[str]) -> str:
        """Replace some words of a text with similar words, except those in `keep`."""

        def other(match: re.Match[str]) -> str:
            word = match[0].lower()
            like = self.near.get(word)
            if word in keep or not like or self.rng.random() > BLUR_SHARE:
                return match[0]
            return _with_case_of(self.rng.choice(like), match[0])

        return _WORD.sub(other, text)

    def _several(self, count: int) -> list[str]:
        return [self._anything() for _ in range(count)]

    def _anything(self) -> str:
        """Sample a text to copy: words, function names, numbers or invented names."""
        rng = self.rng
        kinds: tuple[Callable[[], str], ...] = (
            lambda: " ".join(map(self._capital, rng.choices(self.words, k=rng.randint(1, 4)))),
            lambda: "_".join(rng.choices(self.words, k=rng.randint(2, 3))),
            lambda: random_domains.sample_words(rng),
            lambda: str(rng.choice((rng.randint(0, 999), rng.randint(1_000, 20_000)))),
            lambda: random_domains.invent_name(rng),
        )
        return rng.choices(kinds, (50, 15, 15, 10, 10))[0]()

    def _capital(self, word: str) -> str:
        return word.capitalize() if self.rng.random() < 0.3 else word


def content_words(words: Sequence[str]) -> list[str]:
    """Return the words that carry meaning: no short words, no function words."""
    return [word for word in words if len(word) > 2 and word not in FUNCTION_WORDS]


def _chat(system: str, turns: Sequence[Turn]) -> tuple[Part, ...]:
    parts = [Part("system", system, False)] if system else []
    for question, answer in turns:
        parts += [Part("user", question, False), Part("assistant", answer, True)]
    return tuple(parts)


def _sentence(domain: Domain, rng: random.Random) -> tuple[str, str, dict[str, Any]]:
    """Sample a tool, a sentence about it, and the parameter values in the sentence."""
    name, tool = rng.choice(list(domain.tools.items()))
    if rng.random() < GAP_SHARE:
        gap, ask = rng.choice(list(tool.lacks.items()))
        sentence, values = fill(ask, tool, rng)
        return name, sentence, {key: value for key, value in values.items() if key != gap}
    return name, *fill(rng.choice(tool.asks), tool, rng)


def _about(tool: Tool) -> tuple[str, str]:
    """Return the verb and the noun of a sampled tool."""
    verb, _, noun = tool.does.rstrip(".").lower().split()[:3]
    return verb, noun


def _tools_that_take(values: Mapping[str, Any], domain: Domain) -> list[str]:
    """Return the tools that have every parameter in `values`; none if `values` is empty."""
    return [name for name, tool in domain.tools.items() if values and set(values) <= {*tool.takes}]


def _clash(schema: Schema, tool: Tool) -> bool:
    """Return whether two parameters of a tool have the same name after the replacement."""
    return len(schema["parameters"]["properties"]) < len(tool.takes)


def _with_words(schema: Schema, other: Mapping[str, str]) -> Schema:
    """Return a tool with replaced words and an empty description."""
    parameters = schema["parameters"]
    properties = {}
    for name, kind in parameters["properties"].items():
        choices = {"enum": [_swap(one, other) for one in kind["enum"]]} if "enum" in kind else {}
        properties[_swap(name, other)] = {**kind, **choices}
    required_names = [_swap(name, other) for name in parameters["required"]]
    return {
        "description": "",
        "name": _swap(schema["name"], other),
        "parameters": {**parameters, "properties": properties, "required": required_names},
    }


def _swap(text: str, other: Mapping[str, str]) -> str:
    def one(match: re.Match[str]) -> str:
        word = other.get(match[0].lower())
        return _with_case_of(word, match[0]) if word else match[0]

    return _WORD.sub(one, text)


def _value(value: object, other: Mapping[str, str]) -> object:
    return _swap(value, other) if isinstance(value, str) else value


def _with_case_of(word: str, like: str) -> str:
    return word.capitalize() if like[0].isupper() else word


TOOL_WORDS: Final = (*random_domains.VERBS, *random_domains.NOUNS)
PARAMETER_WORDS: Final = sorted(
    {
        *random_domains.UNITS,
        *random_domains.NUMBER_NOUNS,
        *random_domains.PEOPLE,
        *random_domains.PLACES,
        *random_domains.COMPANIES,
        *random_domains.TITLE_NOUNS,
        *random_domains.TOPICS,
        *random_domains.CHOICES,
        "day",
        "hour",
    }
)
VALUE_WORDS: Final = sorted(
    {
        value.lower()
        for values in (CITIES, NAMES, *random_domains.CHOICES.values())
        for value in values
    }
)
