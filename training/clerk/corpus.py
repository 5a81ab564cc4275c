"""What the clerk learns from: copying, and reading forms; never a function call.

A form is a list of tools as JSON Schema. It is asked which of them a sentence is about, and what
the sentence says of a parameter; of a sentence alone it says both, and fills the form in. The tools
are random (environments.toolcalls.random_domains), mostly with other English words in place of
their own, so that there is nothing to know by heart; half of the sentences say things in words that
are only near to the form's, some only in other words of a description, or by parameters alone.
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
ALIKE: Final = 0.5  # of the descriptions of a form say the same of other things
BLURRED: Final = 0.35  # of the words of a blurred sentence
LACKING: Final = 0.25  # of the sentences leave something out
GENERAL: Final = 0.3  # of the sentences have a verb that says nothing
UNNAMED: Final = 0.15  # of the sentences tell their tool by its parameters alone, where that can be
DESCRIBED: Final = 0.15  # of the sentences say another word of its description, no more
_GENERAL: Final = ("arrange", "do", "find", "get", "give", "handle", "have", "look", "make", "put",
                   "see", "sort", "take", "use")  # fmt: skip
_WORD: Final = re.compile("[A-Za-z]+")

Turn = tuple[str, str]


class Corpus:
    """An endless, seeded stream of samples.

    Args:
        seed: the same seed gives the same samples.
        words: whole words of the vocabulary.
        near: words of like meaning, of some of them.
        copying: the share of samples that are drills in copying.
    """

    def __init__(
        self, seed: int, words: Sequence[str], near: Mapping[str, Sequence[str]], copying: float
    ) -> None:
        self.rng = random.Random(seed)
        self.words = content_words(words)
        self.near = near
        self.copying = copying

    def __iter__(self) -> Iterator[Sample]:
        while True:
            copied = self.rng.random() < self.copying
            yield self.copied() if copied else self.read()

    def copied(self) -> Sample:
        """Say words again, or the line of a list that begins with one."""
        if self.rng.random() < 0.5:
            turns = [(f"Say {said}.", f'"{said}"') for said in self._several(COPIES)]
            return Sample("saying", _chat("", turns))
        lines = self._several(self.rng.randint(3, 2 * COPIES))
        asked = self.rng.sample(lines, min(len(lines), COPIES))
        turns = [(f"Which line begins with {line.split()[0]}?", line) for line in asked]
        return Sample("finding", _chat("\n".join(lines), turns))

    def read(self) -> Sample:
        """Answer questions about a form and sentences."""
        domain = random_domains.sample_domain(self.rng)
        other = self._other_words()
        tools = {name: _renamed(tool.schema(name), other) for name, tool in domain.tools.items()}
        if any(_clash(tools[name], tool) for name, tool in domain.tools.items()):
            return self.read()
        common = self._description()
        for name, tool in tools.items():
            about = (_swapped(word, other) for word in _about(domain.tools[name]))
            said = common if self.rng.random() < ALIKE else self._description()
            tool["description"] = said(*about)
            self._retitle(tool)
        if len({tool["name"] for tool in tools.values()}) < len(tools):
            return self.read()
        turns = [self._question(domain, tools, other) for _ in range(QUESTIONS)]
        return Sample("reading", _chat(section(list(tools.values())), turns))

    def _question(
        self, domain: Domain, tools: Mapping[str, Schema], other: Mapping[str, str]
    ) -> Turn:
        rng = self.rng
        function, said, values = _sentence(domain, rng)
        name, parameters = tools[function]["name"], tools[function]["parameters"]["properties"]
        does = tools[function]["description"]
        others = [each["description"] for each in tools.values() if each is not tools[function]]
        told_apart = len(_taking(values, domain)) == 1
        said = _swapped(said, other)
        values = {_swapped(key, other): _value(value, other) for key, value in values.items()}
        told = frozenset(_WORD.findall(" ".join(map(str, values.values())).lower()))
        verb, noun = _about(domain.tools[function])
        doing = _swapped(verb, other).lower()
        alone = sum(_about(each)[1] == noun for each in domain.tools.values()) == 1
        if alone and doing not in told and rng.random() < GENERAL:
            said = _swapped(said, {doing: rng.choice(_GENERAL)})
        thing = _swapped(noun, other).lower()
        if told_apart and told.isdisjoint((doing, thing)) and rng.random() < UNNAMED:
            said = _swapped(said, {doing: rng.choice(self.words), thing: rng.choice(self.words)})
        elif alone and told.isdisjoint((doing, thing)) and rng.random() < DESCRIBED:
            own = distinctive_words(does, others)
            said = _swapped(said, {doing: rng.choice(_GENERAL), thing: rng.choice([thing, *own])})
        if rng.random() < 0.5:
            said = self._blurred(said, keep=FUNCTION_WORDS | told)
        roll = rng.random()
        if roll < 0.6:
            quotation = quote(does, others, said)
            if roll < 0.15:
                return f"Which? {said}", f"{quotation} {name}"
            told_all = set(tools[function]["parameters"]["required"]) <= set(values)
            filled_in = {key: values[key] for key in parameters if key in values}
            end = f" {json.dumps(filled_in)}" if told_all else ""
            return said, f"{quotation} {name}. {parameter_list(parameters, values)}.{end}"
        if roll < 0.68:
            return self._elsewhere(domain), NO_TOOL
        if roll < 0.88:
            return f"{name}? {said}", parameter_list(parameters, values)
        asked = rng.choice(list(parameters))
        return f"{asked}? {said}", str(values.get(asked, NOT_STATED))

    def _elsewhere(self, domain: Domain) -> str:
        """Draw a sentence that is about none of a domain's tools."""
        known = {word for tool in domain.tools.values() for word in _about(tool)}
        while True:
            other = random_domains.sample_domain(self.rng)
            function, said, values = _sentence(other, self.rng)
            if known.isdisjoint(_about(other.tools[function])) and not _taking(values, domain):
                return _swapped(said, self._other_words()) if self.rng.random() < 0.5 else said

    def _other_words(self) -> dict[str, str]:
        """Deal out words for those that drawn domains are made of.

        Tools are about anything at all; parameters and values stay of their kind, mostly.
        """
        rng = self.rng
        other = {word: rng.choice(self.words) for word in ABOUT} if rng.random() < 0.8 else {}
        for words, share in ((TAKEN, 0.15), (VALUES, 0.1)):
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
        """Draw a way to say what a tool does, of so many that it has to be read."""
        rng = self.rng
        form = rng.choice(_DESCRIPTIONS)
        told = {name: rng.choice(self.words) for name in ("one", "other")}
        told |= {name: rng.choice(_PREPOSITIONS) for name in ("to", "of")}
        told |= {name: rng.choice(("a", "the")) for name in ("a", "the")}

        def said(verb: str, noun: str) -> str:
            written = form.format(verb=verb, noun=noun, **told)
            return f"{written[0].upper()}{written[1:]}."

        return said

    def _retitle(self, tool: Schema) -> None:
        """Let a tool's name and its description say different words: a sentence has either's."""
        rng = self.rng
        roll = rng.random()
        if roll < 0.4:
            parts = tool["name"].split("_")
            parts = [self._another(part) if rng.random() < 0.7 else part for part in parts]
            if rng.random() < 0.3:
                parts.insert(rng.randint(0, 2), rng.choice(self.words))
            tool["name"] = "_".join(parts[-1:] if rng.random() < 0.1 else parts)
        elif roll < 0.6:
            tool["description"] = self._blurred(tool["description"], keep=FUNCTION_WORDS)

    def _another(self, word: str) -> str:
        """Return a word of like meaning, or any."""
        return self.rng.choice([*self.near.get(word, ()), *self.rng.choices(self.words, k=3)])

    def _blurred(self, text: str, keep: frozenset[str]) -> str:
        """Say a text in words that are near to its own."""

        def other(match: re.Match[str]) -> str:
            word = match[0].lower()
            like = self.near.get(word)
            if word in keep or not like or self.rng.random() > BLURRED:
                return match[0]
            return _cased(self.rng.choice(like), match[0])

        return _WORD.sub(other, text)

    def _several(self, count: int) -> list[str]:
        return [self._anything() for _ in range(count)]

    def _anything(self) -> str:
        """Draw something to be copied: words, names of functions, numbers, names nobody has."""
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
    """Return words that say something."""
    return [word for word in words if len(word) > 2 and word not in FUNCTION_WORDS]


def _chat(system: str, turns: Sequence[Turn]) -> tuple[Part, ...]:
    told = [Part("system", system, False)] if system else []
    for asked, answer in turns:
        told += [Part("user", asked, False), Part("assistant", answer, True)]
    return tuple(told)


def _sentence(domain: Domain, rng: random.Random) -> tuple[str, str, dict[str, Any]]:
    """Draw a tool, a sentence about it, and what the sentence says of its parameters."""
    name, tool = rng.choice(list(domain.tools.items()))
    if rng.random() < LACKING:
        missing, ask = rng.choice(list(tool.lacks.items()))
        said, values = fill(ask, tool, rng)
        return name, said, {key: value for key, value in values.items() if key != missing}
    return name, *fill(rng.choice(tool.asks), tool, rng)


def _about(tool: Tool) -> tuple[str, str]:
    """Return what a drawn tool does, and to what."""
    verb, _, noun = tool.does.rstrip(".").lower().split()[:3]
    return verb, noun


def _taking(values: Mapping[str, Any], domain: Domain) -> list[str]:
    """Return which tools take all that a sentence says, if it says anything."""
    return [name for name, tool in domain.tools.items() if values and set(values) <= {*tool.takes}]


def _clash(schema: Schema, tool: Tool) -> bool:
    """Whether two parameters came to have one name."""
    return len(schema["parameters"]["properties"]) < len(tool.takes)


def _renamed(schema: Schema, other: Mapping[str, str]) -> Schema:
    """Return a tool with other words, and as yet no description."""
    parameters = schema["parameters"]
    properties = {}
    for name, kind in parameters["properties"].items():
        listed = {"enum": [_swapped(one, other) for one in kind["enum"]]} if "enum" in kind else {}
        properties[_swapped(name, other)] = {**kind, **listed}
    required = [_swapped(name, other) for name in parameters["required"]]
    return {
        "description": "",
        "name": _swapped(schema["name"], other),
        "parameters": {**parameters, "properties": properties, "required": required},
    }


def _swapped(text: str, other: Mapping[str, str]) -> str:
    def one(match: re.Match[str]) -> str:
        word = other.get(match[0].lower())
        return _cased(word, match[0]) if word else match[0]

    return _WORD.sub(one, text)


def _value(value: object, other: Mapping[str, str]) -> object:
    return _swapped(value, other) if isinstance(value, str) else value


def _cased(word: str, like: str) -> str:
    return word.capitalize() if like[0].isupper() else word


ABOUT: Final = (*random_domains.VERBS, *random_domains.NOUNS)
TAKEN: Final = sorted(
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
VALUES: Final = sorted(
    {
        value.lower()
        for values in (CITIES, NAMES, *random_domains.CHOICES.values())
        for value in values
    }
)
