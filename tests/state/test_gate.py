"""The gate: what it decides, and how often it errs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from apprentice.state.errors import UnknownName
from apprentice.state.gate import Account, Decision, Gate, Pair, fresh_seed

TWO = ("heat", "cool")

pairs_of_two = st.builds(
    Pair, st.sampled_from(TWO), st.booleans(), st.booleans(), st.booleans() | st.none()
)


def won(family: str, count: int, control: bool | None = None) -> list[Pair]:
    return [Pair(family, False, True, control)] * count


def lost(family: str, count: int) -> list[Pair]:
    return [Pair(family, True, False)] * count


def tied(family: str, count: int, success: bool = False) -> list[Pair]:
    return [Pair(family, success, success)] * count


def of_both(make: Callable[[str, int], list[Pair]], count: int) -> list[Pair]:
    return [pair for family in TWO for pair in make(family, count)]


def decided(pairs: list[Pair], **settings: object) -> Decision:
    return Gate.model_validate({"families": TWO, **settings}).add(pairs).decide()


CASES = {
    "nothing seen": ([], {}, "undecided", "More pairs are needed of heat, cool."),
    "clearly better": (of_both(won, 8), {}, "publish", "100% against 0% in 16 pairs"),
    "a stricter level": (of_both(won, 8), {"level": 1e-6}, "undecided", "1,000,000 to 1 needed"),
    "one family never tried": (won("heat", 40), {}, "undecided", "needed of cool."),
    "a family in doubt": (
        [*won("heat", 40), *lost("cool", 5), *tied("cool", 4)],
        {},
        "undecided",
        "needed of cool.",
    ),
    "a family in doubt to the end": (
        [*won("heat", 40), *lost("cool", 5), *tied("cool", 4)],
        {"most": 49},
        "publish",
        "no family is significantly worse",
    ),
    "a family that is worse": (
        [*won("heat", 60), *lost("cool", 12)],
        {},
        "reject",
        "Significantly worse at 'cool': 0% against 100% in 12 pairs, 0 won and 12 lost.",
    ),
    "a little worse in a family": (
        [*won("heat", 20), *won("cool", 4), *lost("cool", 5)],
        {},
        "publish",
        "83% against",
    ),
    "not worth it": (of_both(tied, 120), {}, "reject", "a gain of 10 points is ruled out"),
    "no end in sight": (
        [*won("heat", 10), *lost("heat", 9), *tied("cool", 20)],
        {"most": 39},
        "reject",
        "Not shown to be better within 39 tasks. 26%",
    ),
    "a small family, to the end": (
        [*won("heat", 44), *won("cool", 3)],
        {"most": 47},
        "publish",
        "100% against 0% in 47 pairs",
    ),
    "a small family, with more to come": (
        [*won("heat", 44), *won("cool", 3)],
        {"most": 60},
        "undecided",
        "needed of cool.",
    ),
    "no verdict": (
        [pair._replace(judged=False) for pair in of_both(won, 20)],
        {"most": 40},
        "reject",
        "in 0 pairs, 0 won and 0 lost; evidence 1 to 1, 20 to 1 needed. Left out, without a "
        "verdict: 40.",
    ),
    "taking away what did nothing": (
        of_both(tied, 40),
        {"aim": "no_worse"},
        "publish",
        "Less than 10 points worse beyond chance",
    ),
    "taking away what helped": (
        [*of_both(lost, 8), *of_both(won, 2)],
        {"aim": "no_worse"},
        "reject",
        "doing as well is ruled out",
    ),
    "doing nothing is not better": (of_both(tied, 10), {}, "undecided", "evidence 1 to 1,"),
}


@pytest.mark.parametrize(("pairs", "settings", "outcome", "says"), CASES.values(), ids=CASES.keys())
def test_what_it_decides(
    pairs: list[Pair], settings: dict[str, object], outcome: str, says: str
) -> None:
    decision = decided(pairs, **settings)
    assert (decision.outcome, says in decision.reason) == (outcome, True), decision.reason


def test_repetition_that_does_as_well_is_no_learning() -> None:
    alone = decided(of_both(lambda family, n: won(family, n), 20))
    repeated = decided(of_both(lambda family, n: won(family, n, control=True), 20))
    idle = decided(of_both(lambda family, n: won(family, n, control=False), 20))
    assert (alone.outcome, repeated.outcome, idle.outcome) == ("publish", "undecided", "publish")
    assert "100% against 0% in 40 pairs, 40 won and 0 lost, control 100%" in repeated.reason
    assert (alone.numbers.control, repeated.numbers.control) == (None, 1.0)
    taken = decided(of_both(lambda f, n: [Pair(f, True, True, False)] * n, 40), aim="no_worse")
    assert taken.outcome == "publish"


def test_the_numbers_stay_with_the_decision() -> None:
    pairs = [*won("heat", 12), *lost("heat", 2), *tied("cool", 6, success=True)]
    numbers = decided(pairs, least=1).numbers
    assert (numbers.pairs, numbers.wins, numbers.losses) == (20, 12, 2)
    assert (numbers.incumbent, numbers.candidate) == (0.4, 0.9)
    assert numbers.gain == pytest.approx(0.5)
    assert numbers.low < 0.5 < numbers.high
    assert numbers.evidence > numbers.needed == 20
    assert numbers.families["cool"].candidate == 1.0
    assert numbers.families["cool"].harm == pytest.approx(1)
    assert Decision.model_validate_json(decided(pairs).model_dump_json()) == decided(pairs)


@given(st.lists(pairs_of_two, max_size=60), st.integers(0, 60))
def test_batches_and_order_do_not_matter(pairs: list[Pair], cut: int) -> None:
    whole = Gate(families=TWO).add(pairs)
    parts = Gate(families=TWO).add(reversed(pairs[cut:])).add(pairs[:cut])
    assert parts.decide() == whole.decide()
    assert Gate.model_validate_json(whole.model_dump_json()) == whole


def test_a_family_that_the_hold_out_does_not_have_is_refused() -> None:
    with pytest.raises(UnknownName, match=r"Unknown family of this gate 'heet'\. Did you mean"):
        Gate(families=TWO).add(won("heet", 1))
    with pytest.raises(ValidationError):
        Gate(families=())


def rounds(rng: random.Random, win: float, loss: float, count: int = 12) -> Iterator[Pair]:
    for number in range(count):
        drawn = rng.random()
        ours, theirs = (drawn < win), (win <= drawn < win + loss)
        yield Pair(TWO[number % 2], theirs, ours)


def passed(rng: random.Random, gate: Gate, win: float, loss: float) -> bool:
    """Look after every batch until the gate has decided."""
    while (decision := gate.decide()).outcome == "undecided":
        gate = gate.add(rounds(rng, win, loss))
    return decision.outcome == "publish"


def test_looking_after_every_batch_seldom_publishes_what_is_no_better() -> None:
    rng = random.Random(1)
    gate = Gate(families=TWO, most=180)
    published = sum(passed(rng, gate, 0.2, 0.2) for _ in range(200))
    assert published <= 15  # of 200 at level 0.05: P(more) < 0.05 even at the level itself


def test_what_is_much_better_is_published_and_soon() -> None:
    rng = random.Random(2)
    gate = Gate(families=TWO, most=180)
    assert sum(passed(rng, gate, 0.35, 0.1) for _ in range(40)) >= 36


def test_an_account_of_candidates_that_deserve_nothing_stays_within_its_level() -> None:
    account, spent = Account(), 0.0
    rejected = decided(of_both(tied, 120))
    for _ in range(1000):
        spent += account.next_level
        account = account.add(rejected)
    assert spent == pytest.approx(0.05, rel=0.002)
    assert spent < 0.05


def test_what_is_published_earns_the_next_candidates_more() -> None:
    first = Account()
    passing, failing = decided(of_both(won, 8)), decided(of_both(tied, 120))
    assert first.next_level == 0.025
    assert first.add(failing).next_level == pytest.approx(0.05 / 6)
    assert first.add(passing).next_level == pytest.approx(0.05 / 3)


def test_a_fresh_seed_is_another_one_for_another_try_and_the_same_for_the_same() -> None:
    seeds = {fresh_seed("adapter-7", number, below=1_000_000) for number in range(50)}
    assert len(seeds) == 50
    assert max(seeds) < 1_000_000
    assert fresh_seed("a", 1, below=99) == fresh_seed("a", 1, below=99)
