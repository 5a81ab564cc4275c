"""Drills: short, dense exercises in what all else rests on and what a small model learns late."""

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
from apprentice.environments.household.nouns import APPLIANCES, CATEGORY, PLACES, THINGS, TREATMENTS
from apprentice.state import prompts
from apprentice.state.prompts import HOUSEHOLD_INSTRUCTIONS, Shown
from apprentice.training.novice.lessons import rule_in_view, world_rules
from apprentice.training.novice.player import Player, by_noun
from apprentice.training.novice.writing import book_of, criticised, rule_on, unknown, written
from apprentice.training.scratch.samples import Part

LOOKUPS: Final = 8  # facts asked for in a prompt, at most


def matching(player: Player) -> tuple[Part, ...]:
    """Say, place after place, whether what is wanted is among what is seen there.

    Matching by name is what all else rests on and what a small model learns late, so it is
    drilled: short listings of any things anywhere, until the wanted one turns up.
    """
    rng = player.rng
    places = in_order(f"{kind} {rng.randint(1, 9)}" for kind in rng.sample(list(PLACES), 6))
    noun, *others = rng.sample(list(CATEGORY), 30)
    sentence = rng.choice(SENTENCES["pick"]).format(thing=noun, target=kind_of(places[0]))
    opening = f"{room(places)}\n\nYour task is to: {sentence}"
    parts = [Part("system", HOUSEHOLD_INSTRUCTIONS, False), Part("user", opening, False)]
    parts.append(Part("assistant", f"go to {places[0]}", False))
    for place, following in pairwise(places):
        seen = [f"{rng.choice(others)} {rng.randint(1, 4)}" for _ in range(rng.randint(0, 6))]
        here = rng.random() < 0.4
        wanted = f"{noun} {rng.randint(1, 4)}"
        sight = contents(place, {*seen, wanted} if here else set(seen), door=False, open_=True)
        parts.append(Part("user", sight, False))
        if here:
            noted = storage_rule(CATEGORY[noun], kind_of(place))
            turn = f"think: The {wanted} is here. {noted}\ntake {wanted} from {place}"
            return (*parts, Part("assistant", turn, True))
        turn = f"think: The {noun} is not here.\ngo to {following}"
        parts.append(Part("assistant", turn, True))
    return tuple(parts)


def lookups(player: Player) -> tuple[Part, ...]:
    """Find the rule that tells: task after task in tiny rooms, each of another kind of thing.

    An episode looks up one rule or two; here one prompt asks for eight.
    """
    rng = player.rng
    first = player.game(size="tiny")
    home = first.world
    keeps, treats = (
        {name: kind for name, kind in told.items() if rng.random() < 0.85}
        for told in (home.keeps, home.treats)
    )
    rules = world_rules(keeps, treats, None if rng.random() < 0.3 else rng)
    rng.shuffle(rules)
    known = Knowledge(by_noun(keeps), appliances=treats)
    system = prompts.act_prompt(HOUSEHOLD_INSTRUCTIONS, Shown(rules=rules), "")[0]
    parts = [Part("system", str(system.content), False)]
    asked: set[str] = set()
    for _ in range(4 * LOOKUPS):
        game = player.game(home, "tiny")
        goal = game.room.goal
        about = {CATEGORY[goal.thing], *({goal.family} & {*TREATMENTS})}
        if about & asked or len(asked) >= LOOKUPS:
            continue
        asked |= about
        opening = game.first_observation().text
        parts.append(Part("user", opening, False))
        turns: list[Turn] = []
        for _ in range(6):
            text = expert(opening, turns, known)
            parts.append(Part("assistant", text, True))
            if goal.family not in TREATMENTS or "I will" in text:
                break
            turns.append(Turn(text, game.step(action_in(text)).text))
            parts.append(Part("user", turns[-1].observation, False))
        if parts[-1].role == "user":
            parts.pop()
    return tuple(parts)


def reciting(player: Player) -> tuple[Part, ...]:
    """Recite rules, thing after thing or number after number; nothing else.

    A lookup in five tokens, where an episode of hundreds asks for one or two.
    """
    rng = player.rng
    drawn = {category: rng.choice(list(PLACES)) for category in THINGS}
    drawn |= {verb: rng.choice(APPLIANCES) for verb in TREATMENTS}
    told = rng.sample(list(drawn), rng.randint(4, len(drawn)))
    own = rng.random() < 0.5
    rules = [rule_in_view(name, drawn[name], None if own else rng) for name in told]
    system = prompts.act_prompt(HOUSEHOLD_INSTRUCTIONS, Shown(rules=rules), "")[0]
    parts = [Part("system", str(system.content), False)]
    if rng.random() < 0.5:
        numbers = rng.sample(range(1, len(told) + 1), min(LOOKUPS + 4, len(told)))
        said = [(n, rule_on(told[n - 1], drawn[told[n - 1]])) for n in numbers]
        parts.append(Part("user", "; ".join(f"rule {number}" for number in numbers), False))
        recited = "\n".join(f"think: {number}. {rule}" for number, rule in said)
        return (*parts, Part("assistant", recited, True))
    asked = rng.sample(list(drawn), min(LOOKUPS + 4, len(drawn)))
    things = {name: rng.choice(THINGS[name]) if name in THINGS else name for name in asked}
    says: list[str] = []
    for name in asked:
        kind = drawn[name] if name in told else unknown(name)
        says.append(f"{things[name]}. {rule_on(name, kind)}")
    parts.append(Part("user", "; ".join(things.values()), False))
    return (*parts, Part("assistant", f"think: {' '.join(says)}", True))


def criticising(player: Player) -> tuple[Part, ...]:
    """Write rule operations from facts that are given as they are."""
    rng = player.rng
    home = player.game(size="tiny").world
    conventions = list((home.keeps | home.treats).items())
    evidence = dict(rng.sample(conventions, rng.randint(1, 6)))
    book = book_of(player, home, [name for name in evidence if rng.random() < 0.8], wrong=0.5)
    facts = [rule_on(about, kind) for about, kind in evidence.items()]
    asked = prompts.critique_successes([text for _, _, text in book], ["\n".join(facts)])
    return written(asked, "\n".join(criticised(evidence, book)))
