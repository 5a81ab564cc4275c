"""Drills: short exercises in basic skills, which a small model otherwise learns late."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from apprentice.environments.household.expert import (
    Knowledge,
    Turn,
    action_in,
    expert,
    storage_rule,
)
from apprentice.environments.household.language import SENTENCES, contents, in_order, kind_of, room
from apprentice.environments.household.vocabulary import (
    APPLIANCES,
    CATEGORY,
    PLACES,
    THINGS,
    TREATMENTS,
)
from apprentice.state import prompts
from apprentice.state.prompts import HOUSEHOLD_INSTRUCTIONS, Shown
from apprentice.training.novice.player import Player, by_noun
from apprentice.training.novice.text_exercises import (
    exercise,
    operations_on,
    placeholder,
    rule_on,
    sample_rules,
)
from apprentice.training.novice.wordings import rule_in_view, world_rules
from apprentice.training.scratch.samples import Part

LOOKUPS: Final = 8  # the most facts that one prompt asks for


def match_places(player: Player) -> tuple[Part, ...]:
    """Say at each place whether the target is among the things there.

    All other skills need this matching by name, and a small model learns it late. The drill shows
    short lists of random things until the target appears.
    """
    rng = player.rng
    places = in_order(f"{kind} {rng.randint(1, 9)}" for kind in rng.sample(list(PLACES), 6))
    noun, *others = rng.sample(list(CATEGORY), 30)
    sentence = rng.choice(SENTENCES["pick"]).format(thing=noun, target=kind_of(places[0]))
    opening_text = f"{room(places)}\n\nYour task is to: {sentence}"
    parts = [Part("system", HOUSEHOLD_INSTRUCTIONS, False), Part("user", opening_text, False)]
    parts.append(Part("assistant", f"go to {places[0]}", False))
    for place, next_place in pairwise(places):
        others_here = [
            f"{rng.choice(others)} {rng.randint(1, 4)}" for _ in range(rng.randint(0, 6))
        ]
        here = rng.random() < 0.4
        target = f"{noun} {rng.randint(1, 4)}"
        sight = contents(
            place, {*others_here, target} if here else set(others_here), door=False, open_=True
        )
        parts.append(Part("user", sight, False))
        if here:
            rule = storage_rule(CATEGORY[noun], kind_of(place))
            turn = f"think: The {target} is here. {rule}\ntake {target} from {place}"
            return (*parts, Part("assistant", turn, True))
        turn = f"think: The {noun} is not here.\ngo to {next_place}"
        parts.append(Part("assistant", turn, True))
    return tuple(parts)


def look_up_rules(player: Player) -> tuple[Part, ...]:
    """Look up the relevant rule for several tasks in tiny rooms, each about another kind of thing.

    An episode looks up one or two rules. This drill looks up eight in one prompt.
    """
    rng = player.rng
    first = player.game(size="tiny")
    home = first.world
    keeps, treats = (
        {name: kind for name, kind in conventions.items() if rng.random() < 0.85}
        for conventions in (home.keeps, home.treats)
    )
    rules = world_rules(keeps, treats, None if rng.random() < 0.3 else rng)
    rng.shuffle(rules)
    knowledge = Knowledge(by_noun(keeps), appliances=treats)
    system = prompts.act_prompt(HOUSEHOLD_INSTRUCTIONS, Shown(rules=rules), "")[0]
    parts = [Part("system", str(system.content), False)]
    asked_about: set[str] = set()
    for _ in range(4 * LOOKUPS):
        game = player.game(home, "tiny")
        goal = game.room.goal
        about = {CATEGORY[goal.thing], *({goal.family} & {*TREATMENTS})}
        if about & asked_about or len(asked_about) >= LOOKUPS:
            continue
        asked_about |= about
        opening_text = game.first_observation().text
        parts.append(Part("user", opening_text, False))
        turns: list[Turn] = []
        for _ in range(6):
            text = expert(opening_text, turns, knowledge)
            parts.append(Part("assistant", text, True))
            if goal.family not in TREATMENTS or "I will" in text:
                break
            turns.append(Turn(text, game.step(action_in(text)).text))
            parts.append(Part("user", turns[-1].observation, False))
        if parts[-1].role == "user":
            parts.pop()
    return tuple(parts)


def recite_rules(player: Player) -> tuple[Part, ...]:
    """Recite rules, by thing or by number.

    A lookup takes about five tokens here. An episode of hundreds of tokens needs one or two.
    """
    rng = player.rng
    kinds = {category: rng.choice(list(PLACES)) for category in THINGS}
    kinds |= {verb: rng.choice(APPLIANCES) for verb in TREATMENTS}
    names = rng.sample(list(kinds), rng.randint(4, len(kinds)))
    first_wording = rng.random() < 0.5
    rules = [rule_in_view(name, kinds[name], None if first_wording else rng) for name in names]
    system = prompts.act_prompt(HOUSEHOLD_INSTRUCTIONS, Shown(rules=rules), "")[0]
    parts = [Part("system", str(system.content), False)]
    if rng.random() < 0.5:
        numbers = rng.sample(range(1, len(names) + 1), min(LOOKUPS + 4, len(names)))
        answers = [(n, rule_on(names[n - 1], kinds[names[n - 1]])) for n in numbers]
        parts.append(Part("user", "; ".join(f"rule {number}" for number in numbers), False))
        text = "\n".join(f"think: {number}. {rule}" for number, rule in answers)
        return (*parts, Part("assistant", text, True))
    questions = rng.sample(list(kinds), min(LOOKUPS + 4, len(kinds)))
    things = {name: rng.choice(THINGS[name]) if name in THINGS else name for name in questions}
    sentences: list[str] = []
    for name in questions:
        kind = kinds[name] if name in names else placeholder(name)
        sentences.append(f"{things[name]}. {rule_on(name, kind)}")
    parts.append(Part("user", "; ".join(things.values()), False))
    return (*parts, Part("assistant", f"think: {' '.join(sentences)}", True))


def criticise_facts(player: Player) -> tuple[Part, ...]:
    """Write rule operations from plain facts instead of transcripts."""
    rng = player.rng
    home = player.game(size="tiny").world
    conventions = list((home.keeps | home.treats).items())
    evidence = dict(rng.sample(conventions, rng.randint(1, 6)))
    rules = sample_rules(player, home, [name for name in evidence if rng.random() < 0.8], wrong=0.5)
    facts = [rule_on(about, kind) for about, kind in evidence.items()]
    request = prompts.critique_successes([text for _, _, text in rules], ["\n".join(facts)])
    return exercise(request, "\n".join(operations_on(evidence, rules)))
