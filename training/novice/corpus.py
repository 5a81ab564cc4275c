"""The training corpus of the novice: the expert's turns and texts, generated from a seed.

Every sample is a chat. Its agent turns come from `environments/household/expert.py`, which knows
only what the prompt says. All worlds are generated from seeds. The corpus never contains the worlds
used for evaluation, their splits, or the real games.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from typing import Final

from apprentice.environments.household.vocabulary import APPLIANCES, CATEGORY, PLACES, THINGS
from apprentice.training.novice import action_exercises, calls, drills, text_exercises
from apprentice.training.novice.player import Player
from apprentice.training.scratch.samples import Part, Sample


class Corpus(Player):
    """An endless, seeded stream of samples.

    Args:
        seed: the same seed and mix give the same samples.
        sizes: room size -> weight.
        mix: kind of exercise -> weight; kinds are the keys of KINDS.
        rename: share of samples in which things and places exchange their names.
    """

    def __init__(
        self, seed: int, sizes: dict[str, float], mix: dict[str, float], rename: float = 0.2
    ) -> None:
        super().__init__(seed, sizes)
        self.mix = mix
        self.rename = rename

    def __iter__(self) -> Iterator[Sample]:
        kinds, weights = list(self.mix), list(self.mix.values())
        while True:
            kind = self.rng.choices(kinds, weights)[0]
            sample = KINDS[kind](self)
            if sample is None:
                continue
            if kind in _RENAMABLE and self.rng.random() < self.rename:
                sample = _swap_names(self.rng, sample)
            yield Sample(kind, sample)


def _call_tools(corpus: Player) -> tuple[Part, ...]:
    return tuple(Part(role, text, role == "assistant") for role, text in calls.sample(corpus.rng))


_THING = re.compile(
    r"(?<![a-z])("
    + "|".join(n for c, names in THINGS.items() if c != "lamp" for n in names)
    + r")(?![a-z])"
)
_PLACE = re.compile(
    r"(?<![a-z])(" + "|".join(p for p in PLACES if p not in APPLIANCES) + r")(?![a-z])"
)


def _swap_names(rng: random.Random, parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Exchange the names of things and places, so that the model copies names from the prompt."""
    for pattern, names in (
        (_THING, [n for n in CATEGORY if CATEGORY[n] != "lamp"]),
        (_PLACE, [p for p in PLACES if p not in APPLIANCES]),
    ):
        other_name = dict(zip(names, rng.sample(names, len(names)), strict=True))

        def replace(match: re.Match[str], other_name: dict[str, str] = other_name) -> str:
            return other_name[match[1]]

        parts = tuple(part._replace(text=pattern.sub(replace, part.text)) for part in parts)
    return tuple(part._replace(text=_KIND_OF.sub(_its_kind, part.text)) for part in parts)


_KIND_OF = re.compile(
    r"(?P<noun>[a-z]+)(?P<said>(?: [0-9]+ is here)?\. Look for )[a-z]+(?= in/on a )"
)


def _its_kind(match: re.Match[str]) -> str:
    return f"{match['noun']}{match['said']}{CATEGORY[match['noun']]}"


KINDS: Final[dict[str, Callable[[Player], tuple[Part, ...] | None]]] = {
    "matching": drills.match_places,
    "lookups": drills.look_up_rules,
    "reciting": drills.recite_rules,
    "criticising": drills.criticise_facts,
    "plain": action_exercises.act_without_help,
    "told": action_exercises.act_with_lesson,
    "reflected": action_exercises.act_with_reflections,
    "last_attempt": action_exercises.act_with_last_attempt,
    "others": action_exercises.act_with_unrelated_reflections,
    "similar": action_exercises.act_with_similar_reflections,
    "ruled": action_exercises.act_with_rules,
    "exampled": action_exercises.act_with_exemplars,
    "warned": action_exercises.act_with_failures,
    "planned": action_exercises.act_with_plan,
    "adapting": text_exercises.write_plan,
    "reflecting": text_exercises.write_reflection,
    "critic": text_exercises.write_rules,
    "calling": _call_tools,
}
_RENAMABLE: Final = frozenset(
    {"plain", "told", "reflected", "last_attempt", "reflecting", "others"}
)
