"""What is trained on: no task on both sides, nothing held out, nothing twice, nothing too often."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apprentice.state.errors import BadInput, BrokenData, MissingPart, OutOfBounds
from apprentice.training.datasets.card import CARD, DATA, VALID, Example, load, save
from apprentice.training.datasets.curation import Curation, HoldOut, curate

ANY = Curation(minimum_rows=1, minimum_tasks=1)


def example(task: str, answer: str, opening: str = "", rank: float = 0.0) -> Example:
    asked = opening or f"Do {task}."
    messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return Example(
        row={"messages": messages},
        task=task,
        opening=asked,
        family=task[:1],
        sources=(f"{task}-{answer}",),
        at=100.0 + len(answer),
        rank=rank,
    )


def many(tasks: int, each: int = 1) -> list[Example]:
    return [example(f"t{task}", f"answer {n}") for task in range(tasks) for n in range(each)]


examples = st.lists(
    st.builds(
        example,
        st.sampled_from("abcdefgh"),
        st.text("xyz ", min_size=1, max_size=3),
        st.sampled_from(["", "", "Hello."]),
        st.floats(0, 3),
    ),
    min_size=2,
    max_size=40,
)


@settings(max_examples=60)
@given(examples, st.integers(1, 4), st.floats(0, 0.5), st.integers(0, 5))
def test_the_split_is_by_task_and_nothing_is_lost_uncounted(
    given_examples: list[Example], cap: int, share: float, seed: int
) -> None:
    rules = Curation(cap=cap, share=share, seed=seed, minimum_rows=1, minimum_tasks=1)
    made = curate("sft", given_examples, rules)
    train, valid = ({one.task for one in side} for side in (made.train, made.valid))
    assert not train & valid
    said_train, said_valid = ({one.opening for one in side} for side in (made.train, made.valid))
    assert not said_train & said_valid
    kept = [*made.train, *made.valid]
    assert len(kept) + sum(made.filters.values()) == len(given_examples)
    assert max(sum(one.task == task for one in kept) for task in train | valid) <= cap
    again = curate("sft", reversed(given_examples), rules)
    assert (again.train, again.valid) == (made.train, made.valid)


def test_a_dataset_that_grows_keeps_its_split() -> None:
    held: set[str] = set()
    for count in range(60, 401, 20):
        made = curate("sft", many(count), ANY)
        now = {one.task for one in made.valid}
        assert held <= now  # none went over to what is trained on
        assert not held & {one.task for one in made.train}
        held = now
    assert 25 <= len(held) <= 55  # about a tenth


@pytest.mark.parametrize("count", [2, 3, 10])
@pytest.mark.parametrize("share", [0.001, 0.5])
def test_of_several_tasks_one_is_held_out_and_one_is_not(count: int, share: float) -> None:
    for seed in range(8):
        rules = Curation(share=share, seed=seed, minimum_rows=1, minimum_tasks=1)
        made = curate("sft", many(count), rules)
        assert made.train
        assert made.valid
    assert not curate("sft", many(1), ANY).valid


def test_the_best_of_a_task_are_kept() -> None:
    crowd = [example("a", f"{n}", rank=n) for n in range(6)] + [example("b", "only")]
    made = curate("sft", crowd, Curation(cap=2, share=0, minimum_rows=1, minimum_tasks=1))
    assert [one.row["messages"][1]["content"] for one in made.train] == ["0", "1", "only"]
    assert made.filters == {"over_cap": 4}


def test_duplicates_differ_in_no_more_than_case_and_spacing() -> None:
    twice = [example("a", "Go  to shelf 1"), example("a", "go to shelf 1"), example("b", "x")]
    assert curate("sft", twice, ANY).filters == {"duplicate": 1}


def test_held_out_tasks_are_known_by_name_and_by_what_they_say() -> None:
    held_out = HoldOut.of(tasks=["t3"], openings=["do  T5."])
    made = curate("sft", many(12), ANY, held_out=held_out)
    assert made.filters == {"held_out": 2}
    assert not {"t3", "t5"} & {one.task for one in (*made.train, *made.valid)}


def test_what_is_no_row_is_left_out_and_counted() -> None:
    broken = Example(row={"messages": [{"role": "user", "content": "Hello"}]}, task="x")
    assert curate("sft", [broken, *many(3)], ANY).filters == {"unusable": 1}


@pytest.mark.parametrize(
    ("given_examples", "says"),
    [
        ([], "there are 0 of 0. Left out: 3 no_verdict."),
        ([example("one", str(n)) for n in range(100)], "there are 4 of 1. Left out: 3 no_verdict"),
        (many(9, 10), "there are 32 of 8"),
    ],
    ids=["nothing", "one task repeated", "too few tasks"],
)
def test_too_little_is_refused_with_the_account(given_examples: list[Example], says: str) -> None:
    with pytest.raises(MissingPart, match="needs at least 50 rows of 10 tasks") as refused:
        curate("sft", given_examples, left_out={"no_verdict": 3})
    assert says in str(refused.value)


@pytest.mark.parametrize("wrong", [{"cap": 0}, {"share": 0.9}])
def test_settings_are_bounded(wrong: dict[str, float]) -> None:
    with pytest.raises(OutOfBounds):
        Curation(**wrong)  # type: ignore[arg-type]


def test_a_folder_says_what_is_in_it(tmp_path: Path) -> None:
    made = curate("sft", many(30, 2), left_out={"not_a_success": 7})
    dataset = save(made, tmp_path)
    card = dataset.card
    assert card.counts == {"rows": 58, "valid_rows": 2, "tasks": 29, "valid_tasks": 1}
    assert card.balance == {"t": 58}
    assert card.filters == {"not_a_success": 7}
    assert card.settings["stripped"] is True
    assert (card.oldest, card.newest) == (108.0, 108.0)
    assert len(card.sources) == 60
    assert (len(dataset.rows()), len(dataset.valid())) == (58, 2)


def test_the_same_data_is_the_same_folder(tmp_path: Path) -> None:
    first = save(curate("sft", many(60)), tmp_path)
    second = save(curate("sft", reversed(many(60))), tmp_path)
    other = save(curate("sft", many(61)), tmp_path)
    assert first.folder == second.folder != other.folder
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [first.folder.name, other.folder.name]
    )


@pytest.mark.parametrize("name", [DATA, VALID])
def test_a_tampered_dataset_is_not_opened(tmp_path: Path, name: str) -> None:
    folder = save(curate("sft", many(60)), tmp_path).folder
    text = (folder / name).read_text()
    (folder / name).write_text(text.replace("answer 0", "answer 1", 1))
    with pytest.raises(BrokenData, match=f"{name} does not match its card"):
        load(folder)


def test_a_file_that_rows_refer_to_is_part_of_the_dataset(tmp_path: Path) -> None:
    (tmp_path / "shape.png").write_bytes(b"a circle")
    files = {"shape.png": tmp_path / "shape.png"}
    folder = save(curate("sft", many(60), files=files), tmp_path / "made").folder
    assert load(folder).card.files.keys() == {"shape.png"}
    (folder / "shape.png").write_bytes(b"a square")
    with pytest.raises(BrokenData, match=r"shape.png does not match its card"):
        load(folder)
    (folder / "shape.png").unlink()
    with pytest.raises(MissingPart, match=r"incomplete: shape.png is missing"):
        load(folder)
    (tmp_path / "shape.png").write_bytes(b"a square")
    other = save(curate("sft", many(60), files=files), tmp_path / "made").folder
    assert other != folder


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    for path in (tmp_path / "taken", tmp_path / "taken" / "below"):
        with pytest.raises(BadInput, match=r"The folder .*taken.* cannot be made"):
            save(curate("sft", many(60)), path)


def test_a_broken_card_and_a_missing_one_are_told_apart(tmp_path: Path) -> None:
    folder = save(curate("sft", many(60)), tmp_path).folder
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps(card | {"kind": "poetry"}))
    with pytest.raises(BrokenData, match="cannot be read"):
        load(folder)
    (folder / CARD).unlink()
    with pytest.raises(MissingPart, match="contains no dataset"):
        load(folder)
