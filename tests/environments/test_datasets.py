"""Tasks from the server's own files."""

from __future__ import annotations

import pytest

from apprentice.environments.protocol import Environment
from apprentice.environments.registry import Environments
from apprentice.state.errors import BadInput, BrokenData, MissingPart, UnknownName
from tests.conftest import Offer

CAPITAL = {"question": "What is the capital of Norway?", "answer": "Oslo"}
RIVER = {"question": "Which river flows through Vienna?", "answer": "the Danube"}


def test_a_file_is_an_environment_by_its_name(offer: Offer, environments: Environments) -> None:
    offer("qa/places", CAPITAL, "", RIVER)
    offer("chat/letters", {"request": "Say hello."})
    assert {"qa/places", "chat/letters"} < set(environments.names())
    for name in ("qa/places", "chat/letters"):
        where = environments.get(name)
        assert isinstance(where, Environment)
        assert (where.name, where.splits) == (name, ("train",))
    tasks = list(environments.get("qa/places").tasks("train", 9))
    assert sorted(task.instruction for task in tasks) == [CAPITAL["question"], RIVER["question"]]
    assert tasks == [environments.get("qa/places").task(task.id) for task in tasks]


def test_ids_stay_when_lines_move(offer: Offer, environments: Environments) -> None:
    offer("qa/places", CAPITAL, RIVER)
    before = {task.id for task in environments.get("qa/places").tasks("train", 9)}
    offer("qa/places", RIVER, {**CAPITAL, "answer": "Oslo, Norway"})
    again = Environments(environments.tasks)
    assert {task.id for task in again.get("qa/places").tasks("train", 9)} == before


def test_the_seed_draws_the_order(offer: Offer, environments: Environments) -> None:
    offer("qa/many", *({"question": f"{n} + 1?", "answer": f"{n + 1}"} for n in range(20)))
    where = environments.get("qa/many")
    drawn = [[task.id for task in where.tasks("train", 5, seed)] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) == 5


def test_splits_come_from_lines_or_from_files(offer: Offer, environments: Environments) -> None:
    offer("qa/lines", {**CAPITAL, "id": "c", "split": "test"}, {**RIVER, "id": "r"})
    offer("qa/files/train", {**RIVER, "id": "r"})
    offer("qa/files/test", {**CAPITAL, "id": "c"})
    for name in ("qa/lines", "qa/files"):
        where = environments.get(name)
        assert where.splits == ("test", "train")
        assert [task.id for task in where.tasks("test", 9)] == ["c"]
        assert where.task("c").split == "test"
        assert where.task("r").split == "train"
        with pytest.raises(UnknownName, match="Did you mean 'test'"):
            list(where.tasks("tests", 1))


def test_every_line_that_cannot_be_read_is_named(offer: Offer, environments: Environments) -> None:
    offer("qa/bad", CAPITAL, "{", {"question": "?"}, {**RIVER, "anwser": "x"}, CAPITAL)
    with pytest.raises(BrokenData) as raised:
        environments.get("qa/bad")
    said = str(raised.value)
    assert said.startswith("Of qa/bad's lines, 4 cannot be read. qa/bad.jsonl, line 2: it: Invalid")
    assert "line 3: answer: Field required." in said
    assert "line 4: anwser: Extra inputs" in said
    assert "line 5: the task" in said
    assert "is there already." in said
    assert not any(character in said for character in "\\\n")


def test_a_message_lists_a_few_faults_and_counts_the_others(
    offer: Offer, environments: Environments
) -> None:
    offer("chat/bad", *["nonsense"] * 9)
    with pytest.raises(BrokenData, match=r"9 cannot be read\..*line 5: .* And 4 more\."):
        environments.get("chat/bad")


def test_one_task_is_in_one_split(offer: Offer, environments: Environments) -> None:
    offer("qa/leak/train", CAPITAL)
    offer("qa/leak/test", CAPITAL)
    with pytest.raises(BrokenData, match=r"qa/leak/train\.jsonl, line 1: the task .* already"):
        environments.get("qa/leak")
    offer("qa/odd/test", {**CAPITAL, "split": "train"})
    with pytest.raises(BrokenData, match="its split is 'train', but the file's is 'test'"):
        environments.get("qa/odd")


def test_what_cannot_be_a_dataset_says_why(offer: Offer, environments: Environments) -> None:
    offer("qa/places", CAPITAL)
    offer("qa/places/train", RIVER)
    offer("qa/empty", "")
    offer("qa/parts/Part-1", CAPITAL)
    for name, says in (
        ("places", "a file and a folder"),
        ("empty", "no tasks"),
        ("parts", "split"),
    ):
        with pytest.raises(BrokenData, match=says):
            environments.get(f"qa/{name}")
    with pytest.raises(UnknownName, match="Did you mean 'places'"):
        environments.get("qa/place")
    with pytest.raises(MissingPart, match="Set APPRENTICE_TASKS to a folder"):
        environments.get("chat/letters")
    with pytest.raises(MissingPart, match="no qa datasets"):
        Environments().get("qa/places")


@pytest.mark.parametrize("name", ["qa", "qa/", "qa/..", "qa/../qa/places", "qa//etc/passwd"])
def test_a_path_is_no_name(offer: Offer, environments: Environments, name: str) -> None:
    offer("qa/places", CAPITAL)
    with pytest.raises(UnknownName):
        environments.get(name)


def test_an_unknown_task_is_a_sentence(offer: Offer, environments: Environments) -> None:
    offer("qa/places", {**CAPITAL, "id": "c"})
    with pytest.raises(BadInput, match=r"no qa/places task 'd'\. Ids look like 'c'"):
        environments.get("qa/places").task("d")
