"""The wordings of rules and reflections.

A wording is an opener followed by a core, so each rule has dozens of wordings. The last third of
the cores is held out of training, so that evaluation can use words that the model has not seen. The
model itself always writes the first wording.
"""

from __future__ import annotations

import random
from typing import Final

from apprentice.environments.household.expert import Knowledge, appliance_rule, storage_rule
from apprentice.environments.household.vocabulary import CATEGORY, TREATMENTS

OPENERS: Final = ("", "Remember: ", "Note: ", "Next time: ", "As I saw, ")

# Lesson -> cores. Fields: noun, place, places, other, verb, kind, category.
CORES: Final[dict[str, tuple[str, ...]]] = {
    "found": (
        "The {noun} is at {place}.",
        "I saw a {noun} at {place}.",
        "Go to {place} for the {noun}.",
        "There is a {noun} at {place}.",
        "Take the {noun} from {place}.",
        "At {place} I found the {noun}.",
        "The place of the {noun} is {place}.",
        "Look at {place}, the {noun} is there.",
        "It is {place} that has the {noun}.",
    ),
    "found_two": (
        "The {noun} is at {place} and another {noun} is at {other}.",
        "I saw a {noun} at {place} and one at {other}.",
        "Go to {place} for the {noun}, then to {other} for the second.",
        "There is a {noun} at {place} and one more at {other}.",
        "Take the {noun} from {place} and the other from {other}.",
        "At {place} I found a {noun}, at {other} a second.",
        "The places of the {noun} are {place} and {other}.",
        "Look at {place} and at {other}, a {noun} is at each.",
        "It is {place} that has a {noun}, and {other} too.",
    ),
    "untried": (
        "The {noun} was not found. Next I look at {places}.",
        "The {noun} was not where I looked. Not searched yet: {places}.",
        "To find the {noun}, go on with {places}.",
        "Still to search for the {noun}: {places}.",
        "No {noun} so far; try {places}.",
        "For the {noun} I have yet to see {places}.",
        "I missed the {noun}. Places left: {places}.",
        "Search for the {noun} at {places}.",
        "The {noun} may be at {places}.",
    ),
    "kept": (
        storage_rule("{category}", "{kind}"),
        "The place for {category} is a {kind}.",
        "To find {category}, go to a {kind} first.",
        "For {category}: see each {kind} first.",
        "Things like {category} lie in/on a {kind}.",
        "All {category} is kept at a {kind}.",
        "Most {category} can be found at a {kind}.",
        "When you need {category}, check each {kind}.",
        "Here {category} is stored with the {kind}.",
    ),
    "works": (
        appliance_rule("{verb}", "{kind}"),
        "You {verb} things with the {kind}.",
        "If something is to {verb}, take it to the {kind}.",
        "In order to {verb}: go to the {kind}.",
        "Things can {verb} only with the {kind}.",
        "To {verb} here, the {kind} is right.",
        "The way to {verb} is the {kind}.",
        "What does {verb} here is the {kind}.",
        "Anything to {verb} belongs at the {kind}.",
    ),
    "untried_treatment": (
        "To {verb} it, next I try {places}.",
        "What I used does not {verb}. Not tried yet: {places}.",
        "To {verb} it, go on with {places}.",
        "Still to try, to {verb}: {places}.",
        "It did not {verb}; try {places}.",
        "To {verb} I have yet to use {places}.",
        "The wrong one to {verb}. Left: {places}.",
        "Try to {verb} with {places}.",
        "Maybe it will {verb} with {places}.",
    ),
}
HELD_OUT: Final = 3

# A share of the rules has random words around the informative ones, so that the model ignores them.
FILLED: Final = 0.3
FILLERS: Final = (
    "the", "a", "it", "is", "are", "and", "or", "in", "on", "at", "by", "of", "for", "with",
    "from", "near", "this", "that", "here", "there", "often", "always", "usually", "things",
    "kind", "place", "house", "home", "room", "go", "see", "look", "try", "first", "then", "where",
    "you", "we", "I", "some", "many", "best", "good", "likely", "kept", "put", "will", "should",
    "want", "all", "one", "goes", "lie", "way", "right", "only", "use", "to", "take",
)  # fmt: skip
_SPANS: Final = ((0, 3), (1, 5), (0, 2))


def sample_wording(
    rng: random.Random | None, topic: str, *, held_out: bool = False, **fields: str
) -> str:
    """Return the text of a rule or a reflection.

    Args:
        rng: samples the wording; None gives the first one, which the model itself writes.
        topic: a key of CORES.
        held_out: whether to sample from the wordings that are held out of training.
        fields: the values of the fields in the core.
    """
    cores = CORES[topic]
    if rng is None:
        return cores[0].format(**fields)
    candidates = cores[-HELD_OUT:] if held_out else cores[:-HELD_OUT]
    opener = rng.choice(OPENERS)
    return opener + rng.choice(candidates).format(**fields)


def reflection(
    knowledge: Knowledge, rng: random.Random | None = None, *, held_out: bool = False
) -> str:
    """Return a reflection's text: where things are, what is left to try, which appliance works."""
    sentences: list[str] = []
    for noun, spots in knowledge.locations.items():
        if len(spots) > 1 and spots[0] != spots[1]:
            fields = {"noun": noun, "place": spots[0], "other": spots[1]}
            sentences.append(sample_wording(rng, "found_two", held_out=held_out, **fields))
        else:
            sentences.append(
                sample_wording(rng, "found", held_out=held_out, noun=noun, place=spots[0])
            )
    for aim, places in knowledge.candidates.items():
        if not places:
            continue
        joined_places = "; ".join(places)
        if aim in CATEGORY:
            sentences.append(
                sample_wording(rng, "untried", held_out=held_out, noun=aim, places=joined_places)
            )
        else:
            text = sample_wording(
                rng, "untried_treatment", held_out=held_out, verb=aim, places=joined_places
            )
            sentences.append(text)
    for verb, kind in knowledge.appliances.items():
        sentences.append(sample_wording(rng, "works", held_out=held_out, verb=verb, kind=kind))
    return " ".join(sentences)


def kept_rule(
    category: str, kind: str, rng: random.Random | None = None, *, held_out: bool = False
) -> str:
    """Return the rule that says where a category of things is kept."""
    return sample_wording(rng, "kept", held_out=held_out, category=category, kind=kind)


def works_rule(
    verb: str, kind: str, rng: random.Random | None = None, *, held_out: bool = False
) -> str:
    """Return the rule that says which appliance performs a treatment."""
    return sample_wording(rng, "works", held_out=held_out, verb=verb, kind=kind)


def rule_in_view(
    about: str, kind: str, rng: random.Random | None = None, *, held_out: bool = False
) -> str:
    """Return the rule for a convention; a share of the rules (FILLED) gets random words added."""
    if rng is not None and not held_out and rng.random() < FILLED:
        before, between, after = (rng.choices(FILLERS, k=rng.randint(*n)) for n in _SPANS)
        return f"{' '.join([*before, about, *between, kind, *after])}."
    word = works_rule if about in TREATMENTS else kept_rule
    return word(about, kind, rng, held_out=held_out)


def world_rules(
    keeps: dict[str, str],
    treats: dict[str, str],
    rng: random.Random | None = None,
    *,
    held_out: bool = False,
) -> list[str]:
    """Return a rule for every convention of a world, places first."""
    conventions = keeps | treats
    return [
        rule_in_view(about, kind, rng, held_out=held_out) for about, kind in conventions.items()
    ]
