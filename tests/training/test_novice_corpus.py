"""The embedded model's corpus: what it may know, what it may not, and how it is encoded."""

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage

from apprentice.environments.household.expert import Knowledge, Turn, learn, merge
from apprentice.environments.household.language import goal_in, parse_goal
from apprentice.environments.household.vocabulary import CATEGORY, PLACES, THINGS
from apprentice.environments.household.world import NAMED, world
from apprentice.state.trajectory import transcript
from apprentice.training.novice import wordings
from apprentice.training.novice.corpus import KINDS, Corpus
from apprentice.training.novice.player import FIRST_WORLD, room_knowledge, world_knowledge
from apprentice.training.novice.text_exercises import operations, operations_on

SIZES = {"tiny": 1.0, "small": 1.0, "medium": 1.0, "full": 1.0}
OPENING = (
    "You are in the middle of a room. Looking quickly around you, you see a cabinet 2, "
    "a cabinet 1, a desk 1, a drawer 1, a shelf 2, and a shelf 1.\n\n"
    "Your task is to: put a mug in desk."
)


def corpus(seed: int = 5, **mix: float) -> Corpus:
    return Corpus(seed, SIZES, mix or dict.fromkeys(KINDS, 1.0))


def test_the_same_seed_gives_the_same_samples() -> None:
    assert list(islice(corpus(3), 40)) == list(islice(corpus(3), 40))
    assert list(islice(corpus(3), 40)) != list(islice(corpus(4), 40))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_exercise_ends_with_something_to_learn(kind: str) -> None:
    for sample in islice(corpus(1, **{kind: 1.0}), 20):
        assert sample.parts[0].role == "system"
        assert sample.parts[-1].role == "assistant"
        assert any(part.learn and part.text for part in sample.parts)
        assert not any(part.learn for part in sample.parts if part.role != "assistant")


def test_worlds_of_the_corpus_are_never_evaluated_ones() -> None:
    drawn = corpus(9)
    names = {drawn.game().world.name for _ in range(200)}
    assert not names & set(NAMED)
    assert all(int(name[1:]) >= FIRST_WORLD for name in names)
    for name in list(names)[:50]:
        seeded = world(name)
        for named in NAMED.values():
            assert seeded.treats != named.treats
            same = sum(seeded.keeps[category] == named.keeps[category] for category in THINGS)
            assert same <= len(THINGS) // 2


def test_an_episode_is_rendered_as_messages_are() -> None:
    drawn = corpus(2)
    episode = drawn.play(drawn.game(), Knowledge(), 12)
    messages: list[AnyMessage] = [HumanMessage(episode.opening)]
    for turn in episode.turns:
        messages += [AIMessage(turn.text), HumanMessage(turn.observation)]
    assert episode.text() == transcript(messages)


def turns_with(place: str) -> list[Turn]:
    """A failed attempt that saw the mug at `place` and nothing elsewhere."""
    turns = []
    for spot in ("cabinet 2", "cabinet 1", "shelf 2"):
        seen = "a mug 1" if spot == place else "nothing"
        turns.append(Turn(f"go to {spot}", f"On the {spot}, you see {seen}."))
    return turns


@pytest.mark.parametrize("place", ["cabinet 2", "cabinet 1", "shelf 2"])
def test_a_reflection_moves_with_the_object(place: str) -> None:
    text = wordings.reflection(learn(OPENING, turns_with(place)))
    assert text == f"The mug is at {place}."


def test_a_reflection_names_only_places_not_yet_searched() -> None:
    lesson = learn(OPENING, turns_with("nowhere"))
    assert lesson.candidates["mug"] == ("shelf 1", "desk 1", "drawer 1")


def test_a_find_ends_a_search_when_lessons_are_merged() -> None:
    missed = learn(OPENING, turns_with("nowhere"))
    found = learn(OPENING, turns_with("shelf 2"))
    assert merge([missed, found]) == merge([found, missed])
    assert merge([missed, found]).locations == {"mug": ("shelf 2",)}


def test_rules_swap_when_conventions_swap() -> None:
    drawn = corpus(6)
    for first, second in (("w2001", "w2002"), ("w2003", "w2004")):
        told = []
        for name in (first, second):
            home = world(name)
            wins = [
                drawn.success(home, lambda g: g.room.goal.thing in THINGS["food"]) for _ in "12"
            ]
            lines = operations([win for win in wins if win], ())
            kept = [line for line in lines[1:] if "food" in line]
            told.append(kept[0])
            lesson = world_knowledge(next(win for win in wins if win))
            assert set(lesson.storage) == set(THINGS["food"])
        assert (told[0] == told[1]) == (world(first).keeps["food"] == world(second).keeps["food"])


def test_operations_agree_edit_remove_and_add() -> None:
    drawn = corpus(8)
    home = world("w3000")
    win = drawn.success(home, lambda g: g.room.goal.family == "pick")
    assert win is not None
    (noun, kind), *_ = world_knowledge(win).storage.items()
    about = CATEGORY[noun]
    right = wordings.kept_rule(about, kind)
    wrong_kind = next(place for place in PLACES if place != kind)
    wrong = wordings.kept_rule(about, wrong_kind)
    new = f"think: {right[:-1]}: new."
    found, known = f"think: 1. {right} Seen: {right}", f"think: {right[:-1]}: known."
    assert operations([win], []) == [new, f"ADD 1: {right}"]
    assert operations([win], [(about, kind, right)]) == [found, f"EDIT 1: {right}", known]
    assert operations([win], [(about, wrong_kind, wrong)]) == [
        f"think: 1. {wrong} Seen: {right}",
        f"EDIT 1: {right}",
        known,
    ]
    twice = [(about, kind, right), (about, kind, right)]
    again = [f"think: 2. {right} Seen: {right}", f"REMOVE 2: {right}"]
    assert operations([win], twice) == [found, f"EDIT 1: {right}", *again, known]
    other = next(name for name in THINGS if name != about)
    passed = f"think: 1. {wordings.kept_rule(other, kind)} Not seen."
    assert operations([win], [(other, kind, "-")]) == [passed, new, f"ADD 2: {right}"]


def test_after_four_operations_no_more_is_written() -> None:
    evidence = dict.fromkeys(list(THINGS)[:6], "shelf")
    lines = operations_on(evidence, [])
    assert sum(line.startswith("ADD") for line in lines) == 4
    assert lines[-1].startswith("ADD 4:")


@pytest.mark.parametrize("lesson", wordings.CORES)
def test_wordings_are_many_and_a_third_is_held_out(lesson: str) -> None:
    cores = wordings.CORES[lesson]
    assert len(set(cores)) * len(wordings.OPENERS) >= 30
    assert len(cores) <= wordings.HELD_OUT * 3


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The real tokenizer, trained here."""
    from apprentice.training.novice.recipe import Novice

    return Novice().tokenizer(tmp_path_factory.mktemp("novice"), 1)


class TestEncoding:
    def test_text_survives_whole(self, tokenizer: Any) -> None:
        for text in (
            "think: The mug 1 is here.\ntake mug 1 from desk 1",
            "naïve 東京 \t{}",
            "a  b\n\n\nc",
        ):
            assert tokenizer.decode(tokenizer(text)["input_ids"]) == text

    def test_a_rule_and_a_thought_on_the_same_share_the_token_before_what_it_says(
        self, tokenizer: Any
    ) -> None:
        for category in THINGS:
            (token,) = tokenizer(f" Look for {category} in/on a")["input_ids"]
            kind = tokenizer.convert_tokens_to_ids(" shelf")
            for text in (
                f"\n4. {wordings.kept_rule(category, 'shelf')}",
                f"think: I look for a mug. {wordings.kept_rule(category, 'shelf')} Plan: shelf 1.",
                f"\n> think: The mug 1 is here. {wordings.kept_rule(category, 'shelf')}\n> take",
                f"ADD 3: {wordings.kept_rule(category, 'shelf')}",
            ):
                ids = tokenizer(text)["input_ids"]
                assert ids[ids.index(token) + 1] == kind, text

    def test_a_noun_is_one_token_wherever_it_stands(self, tokenizer: Any) -> None:
        for noun in [*CATEGORY, *PLACES]:
            token = tokenizer.convert_tokens_to_ids(f" {noun}")
            for text in (
                f"go to {noun} 1",
                f", a {noun} 3",
                f"Plan: shelf 1; {noun} 2.",
                f"two {noun} in",
            ):
                assert token in tokenizer(text)["input_ids"], (noun, text)

    def test_samples_are_encoded_as_the_chat_template_says(self, tokenizer: Any) -> None:
        from apprentice.training.scratch.loop import encode

        for sample in islice(corpus(12), 60):
            ids, weights = encode(tokenizer, sample, 0.1)
            messages = [{"role": part.role, "content": part.text} for part in sample.parts]
            rendered = tokenizer.apply_chat_template(
                messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
            )
            assert ids == rendered["input_ids"]
            if all(part.learn for part in sample.parts if part.role == "assistant"):
                assert [weight == 1.0 for weight in weights] == [
                    bool(mine) for mine in rendered["assistant_masks"]
                ]


def test_an_interrupted_training_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    import torch

    from apprentice.training.novice.recipe import Novice
    from apprentice.training.scratch import loop as training

    torch.set_num_threads(1)
    whole = training.ScratchSettings(
        tokens=60_000, hidden=32, layers=1, heads=2, mlp=32, batch=2048, warmup=2
    )
    training.train(tmp_path / "whole", Novice(), whole, save_every=0)

    class Stop(Exception):
        pass

    def stop(*_: object, **__: object) -> None:
        raise Stop

    original = training._log
    training._log = stop
    try:
        with pytest.raises(Stop):
            training.train(tmp_path / "broken", Novice(), whole, save_every=0)
    finally:
        training._log = original
    training.train(tmp_path / "broken", Novice(), whole, save_every=0)
    first = torch.load(tmp_path / "whole" / "state.pt", weights_only=True)
    second = torch.load(tmp_path / "broken" / "state.pt", weights_only=True)
    assert first["seen"] == second["seen"] >= 60_000
    for name, weight in first["model"].items():
        assert torch.equal(weight, second["model"][name]), name


def test_a_run_is_published_with_the_settings_it_had(tmp_path: Path) -> None:
    import json

    import torch

    from apprentice.training.novice.recipe import Novice
    from apprentice.training.scratch import loop as training

    torch.set_num_threads(1)
    training.train(
        tmp_path,
        Novice(),
        training.ScratchSettings(
            tokens=1, hidden=32, layers=1, heads=2, mlp=32, batch=2048, warmup=2
        ),
    )
    facts = json.loads((tmp_path / "model" / "training.json").read_text())
    assert facts["settings"]["layers"] == 1
    assert facts["tokens_seen"] > 1
    assert (tmp_path / "model" / "model.safetensors").exists()


def test_attention_by_products_is_the_fused_one() -> None:
    import torch

    from apprentice.training.scratch import loop as training

    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, 7, 4) for _ in range(3))
    ours, _ = training._attend(None, query, key, value, None, scaling=0.5)
    fused = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, is_causal=True, scale=0.5
    )
    assert torch.allclose(ours, fused.transpose(1, 2), atol=1e-6)


def test_what_was_overlooked_is_in_the_lesson_all_the_same() -> None:
    """Slips mislead who made them; what a reflection says rests on what was to be seen."""
    drawn = corpus(31)
    overlooked = 0
    for _ in range(400):
        for episode in drawn.failures(drawn.game(), 1):
            noun = drawn_noun(episode.opening)
            for number, turn in enumerate(episode.turns[1:], 1):
                before = episode.turns[number - 1].observation
                missed = turn.text.startswith(f"think: The {noun} is not here")
                if number in episode.slips and missed and f" {noun} " in before:
                    overlooked += 1
                    assert room_knowledge(episode).locations[noun]
    assert overlooked > 10


def drawn_noun(opening: str) -> str:
    goal = parse_goal(goal_in(opening))
    assert goal is not None
    return goal.thing


def test_episodes_are_cut_after_a_plan_or_not_at_all() -> None:
    cut = 0
    for sample in islice(corpus(13, told=1.0), 60):
        last = sample.parts[-1].text
        done = last.startswith(("put ", "use ")) or "\nuse " in last
        cut += "Plan:" in last
        assert done or "Plan:" in last or len(sample.parts) > 20
    assert 20 < cut < 50
