"""Exercises in writing: reflections, adapted plans and rule operations, from transcripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from environments.household.expert import Knowledge, Memory
from environments.household.nouns import APPLIANCES, CATEGORY, PLACES, THINGS, TREATMENTS
from environments.household.world import World
from state import prompts
from training.novice.lessons import kept_rule, reflection, works_rule
from training.novice.player import Episode, Part, Player, akin, by_noun, lesson_of, shows


def adapting(player: Player) -> tuple[Part, ...] | None:
    """Write a plan for a task from a solved case of the same world."""
    game = player.game()
    case = player.success(game.world, akin(game))
    if case is None:
        return None
    opening = game.opening().text
    return written(prompts.adapting(opening, case.text()), adapted(opening, case)[0])


def reflecting(player: Player) -> tuple[Part, ...] | None:
    """Write a reflection on a failed attempt."""
    failed = player.failures(player.game(), player.rng.choice((1, 1, 2, 3)))
    if not failed:
        return None
    earlier = [reflection(lesson_of(e)) for e in failed[:-1]]
    text = reflection(lesson_of(failed[-1]))
    steps = len(failed[-1].turns)
    feedback = player.rng.choice(
        ("", f"Out of steps: all {steps} were used, and the task is not solved.")
    )
    return written(prompts.reflecting(failed[-1].text(), earlier[-3:], feedback), text)


def critic(player: Player) -> tuple[Part, ...] | None:
    """Write rule operations from a success and a failure, or from several successes."""
    rng = player.rng
    game = player.game(size="tiny" if rng.random() < 0.6 else "small")
    home = game.world
    pair = rng.random() < 0.6
    if pair:
        failed = player.failures(game, 1)
        if not failed:
            return None
        known = lesson_of(failed[0])
        if rng.random() < 0.6:
            known = Knowledge(by_noun(home.keeps), works=dict(home.treats))
        won = player.play(player.again(game), known, 20)
        successes = [won] if won.solved else []
    else:
        drawn = [player.success(home, lambda _: True) for _ in range(rng.randint(2, 4))]
        successes = [episode for episode in drawn if episode is not None]
    if not successes:
        return None
    book = book_of(player, home, _shown(player, successes))
    lines = operations(successes, book)
    texts = [text for _, _, text in book]
    full = rng.random() < 0.1 and bool(book)
    if pair:
        asked = prompts.critique_pair(texts, successes[0].text(), failed[0].text(), full=full)
    else:
        asked = prompts.critique_successes(texts, [s.text() for s in successes], full=full)
    return written(asked, "\n".join(lines))


def adapted(opening: str, case: Episode) -> tuple[str, Knowledge]:
    """Word a plan for a new task from a solved case; return it and what it tells."""
    memory = Memory.of(opening, ())
    if memory is None:
        return "", Knowledge()
    goal, lesson = memory.goal, shows(case)
    category = CATEGORY[goal.thing]
    says: list[str] = []
    kept, works = {}, {}
    if kind := lesson.kept.get(goal.thing):
        kept = dict.fromkeys(THINGS[CATEGORY[goal.thing]], kind)
        says.append(f"Look for the {goal.thing}, a kind of {category}, in/on a {kind}.")
    else:
        says.append(
            f"Look for the {goal.thing}, a kind of {category}; the case does not tell where."
        )
    if goal.family in TREATMENTS:
        if kind := lesson.works.get(goal.family):
            works = {goal.family: kind}
            says.append(f"Then {goal.family} it with the {kind}.")
        else:
            says.append(f"Then {goal.family} it; the case does not tell how.")
    if goal.family == "light":
        says.append(f"Then use the {goal.target}.")
    else:
        says.append(f"Then put it in/on a {goal.target}.")
    return " ".join(says), Knowledge(kept, works=works)


Entry = tuple[str, str, str]  # what the rule is about, the kind of place, its text


def operations(successes: Sequence[Episode], book: Sequence[Entry]) -> list[str]:
    """Return what successes support, given the rules in view: a thought, then operations."""
    evidence: dict[str, str] = {}
    for episode in successes:
        lesson = shows(episode)
        for noun, kind in lesson.kept.items():
            evidence.setdefault(CATEGORY[noun], kind)
        evidence |= {verb: kind for verb, kind in lesson.works.items() if verb not in evidence}
    lines: list[str] = []
    seen: dict[str, int] = {}
    for number, (about, _, text) in enumerate(book, 1):
        if about in seen and about in evidence:
            lines.append(f"REMOVE {number}: {text}")
        seen.setdefault(about, number)
    thought = f"think: {known_as(evidence, book)}."
    following = len(book) + 1
    for about, kind in evidence.items():
        text = works_rule(about, kind) if about in TREATMENTS else kept_rule(about, kind)
        known = seen.get(about)
        if known is None:
            lines.append(f"ADD {following}: {text}")
            following += 1
        elif book[known - 1][1] == kind:
            lines.append(f"AGREE {known}: {book[known - 1][2]}")
        else:
            lines.append(f"EDIT {known}: {text}")
    return [thought, *lines[:4]]


def known_as(evidence: Mapping[str, str], book: Sequence[Entry]) -> str:
    """Say of each fact which rules state it, which contradict it, or that it is new."""
    said = []
    for about, kind in evidence.items():
        numbers = [
            str(number) if told == kind else f"not {number}"
            for number, (name, told, _) in enumerate(book, 1)
            if name == about
        ]
        said.append(f"{fact(about, kind)}: {', '.join(numbers) or 'new'}")
    return "; ".join(said)


def fact(about: str, kind: str) -> str:
    """Word what a convention is, in short."""
    return f"to {about}, the {kind}" if about in TREATMENTS else f"{about} in/on a {kind}"


def book_of(player: Player, home: World, about: Sequence[str]) -> list[Entry]:
    """Draw the rules in view: none, others, right ones, wrong ones and duplicates.

    Args:
        player: draws.
        home: the world whose conventions the right ones state.
        about: conventions that are among the rules in any case.
    """
    rng = player.rng
    conventions = home.keeps | home.treats
    count = rng.choice((0, 0, 1, 2, 3, 5, 8, 12, 16))
    names = {*rng.sample(list(conventions), count), *about}
    book: list[Entry] = []
    for name in sorted(names):
        kind = conventions[name]
        if rng.random() < 0.15:
            kind = rng.choice(APPLIANCES if name in TREATMENTS else list(PLACES))
        for _ in range(2 if rng.random() < 0.08 else 1):
            draw = None if rng.random() < 0.5 else rng
            word = works_rule if name in TREATMENTS else kept_rule
            book.append((name, kind, word(name, kind, draw)))
    rng.shuffle(book)
    return book


def _shown(player: Player, successes: Sequence[Episode]) -> list[str]:
    """Return half of the conventions that the successes show."""
    lessons = [shows(episode) for episode in successes]
    about = [name for each in lessons for name in (*_categories(each), *each.works)]
    return [name for name in dict.fromkeys(about) if player.rng.random() < 0.5]


def _categories(lesson: Knowledge) -> list[str]:
    return [CATEGORY[noun] for noun in list(lesson.kept)[:1]]


def written(asked: Sequence[object], text: str) -> tuple[Part, ...]:
    """Return an exercise: what is asked, and the text that answers it."""
    parts = [
        Part("system" if message.type == "system" else "user", str(message.content), False)  # type: ignore[attr-defined]
        for message in asked
    ]
    return (*parts, Part("assistant", text, True))
