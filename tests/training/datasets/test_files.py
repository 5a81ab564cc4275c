"""What people wrote is taken as it is, and what cannot be used comes back with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from apprentice.state.errors import BrokenData, MissingPart
from apprentice.training.datasets.__main__ import main
from apprentice.training.datasets.card import load, save
from apprentice.training.datasets.curation import Curation, curate
from apprentice.training.datasets.files import conversations, images, preferences, prompts

PNG = b"\x89PNG\r\n\x1a\n"


def listed(folder: Path, *rows: Any) -> Path:
    path = folder / "list.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_preferences_are_taken_as_texts_or_turns(tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello?"}]
    path = listed(
        tmp_path,
        {"prompt": "Hi", "chosen": "Hello!", "rejected": "What.", "family": "greeting"},
        {"prompt": turns, "chosen": "Hello!", "rejected": "No."},
    )
    read = preferences(path)
    first, second = (example.row for example in read.examples)
    assert first == {
        "prompt": [{"role": "user", "content": "Hi"}],
        "chosen": [{"role": "assistant", "content": "Hello!"}],
        "rejected": [{"role": "assistant", "content": "What."}],
    }
    assert second["prompt"] == turns
    assert read.examples[0].family == "greeting"
    assert read.refusals == []


def test_a_ranking_is_every_pair_of_it(tmp_path: Path) -> None:
    read = preferences(listed(tmp_path, {"prompt": "Hi", "answers": ["a", "b", "c"]}))
    said = [
        (example.row["chosen"][0]["content"], example.row["rejected"][0]["content"])
        for example in read.examples
    ]
    assert said == [("a", "b"), ("a", "c"), ("b", "c")]
    assert len({example.task for example in read.examples}) == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("text", "not a JSON object"),
        ({"chosen": "a", "rejected": "b"}, "user text"),
        ({"prompt": "Hi", "chosen": "a"}, "assistant text"),
        ({"prompt": "Hi", "chosen": "a", "rejected": "a"}, "both answers are the same"),
        ({"prompt": "Hi", "answers": ["a"]}, "list of two or more"),
        (
            {"prompt": [{"role": "robot", "content": "x"}], "chosen": "a", "rejected": "b"},
            "prompt.0.role",
        ),
    ],
)
def test_what_is_no_preference_comes_back_with_its_line(
    tmp_path: Path, row: Any, reason: str
) -> None:
    good = {"prompt": "Hi", "chosen": "a", "rejected": "b"}
    read = preferences(listed(tmp_path, good, row))
    assert len(read.examples) == 1
    assert [refused.line for refused in read.refusals] == [2]
    assert reason in read.refusals[0].reason


def test_conversations_are_messages_or_a_prompt_and_its_answer(tmp_path: Path) -> None:
    path = listed(
        tmp_path,
        {"prompt": "Hi", "answer": "Hello!"},
        {"messages": [{"role": "user", "content": "Hi"}]},
    )
    read = conversations(path)
    assert [len(example.row["messages"]) for example in read.examples] == [2]
    assert "does not end with an answer" in read.refusals[0].reason


def test_prompts_keep_what_their_graders_read(tmp_path: Path) -> None:
    path = listed(
        tmp_path,
        {"prompt": "Capital of France?", "reference": "Paris", "family": "cities"},
        {"reference": "Rome"},
    )
    read = prompts(path)
    assert [example.row for example in read.examples] == [
        {"prompt": [{"role": "user", "content": "Capital of France?"}], "reference": "Paris"}
    ]
    assert read.examples[0].family == "cities"
    assert [refused.line for refused in read.refusals] == [2]


def test_images_go_along_into_the_dataset(tmp_path: Path) -> None:
    (tmp_path / "shapes").mkdir()
    for number in range(12):
        (tmp_path / "shapes" / f"{number}.png").write_bytes(PNG + bytes([number]))
    rows = [{"image": f"shapes/{n}.png", "label": "circle"} for n in range(12)]
    read = images(listed(tmp_path, *rows))
    made = curate("vision", read.examples, Curation(minimum_rows=1), files=read.files)
    dataset = save(made, tmp_path / "datasets")
    loaded = load(dataset.folder)
    for row in [*loaded.rows(), *loaded.valid()]:
        assert (loaded.folder / row["image"]).read_bytes().startswith(PNG)
        assert row["messages"][1]["content"] == [{"type": "text", "text": "circle"}]
    assert loaded.card.counts["tasks"] + loaded.card.counts["valid_tasks"] == 12
    assert len(loaded.card.files) == 12


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"label": "circle"}, "missing"),
        ({"image": "../secret.png", "label": "x"}, "outside"),
        ({"image": "none.png", "label": "x"}, "no file"),
        ({"image": "list.jsonl", "label": "x"}, "neither PNG nor JPEG"),
        ({"image": "one.png"}, '"label" is missing'),
    ],
)
def test_what_is_no_image_comes_back(tmp_path: Path, row: Any, reason: str) -> None:
    (tmp_path / "one.png").write_bytes(PNG)
    read = images(listed(tmp_path, row))
    assert read.examples == []
    assert reason in read.refusals[0].reason


def test_a_file_that_is_no_jsonl_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    path.write_text('{"prompt": "a", "answer": "b"}\n{oops\n')
    with pytest.raises(BrokenData, match="line 2: not JSON"):
        conversations(path)
    with pytest.raises(MissingPart, match="There is no file"):
        conversations(tmp_path / "other.jsonl")
    with pytest.raises(MissingPart, match="cannot be read as a file: Is a directory"):
        conversations(tmp_path)


def test_the_command_says_in_a_sentence_what_it_cannot_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"prompt": f"Question {n}?", "reference": str(n)} for n in range(30)]
    path = str(listed(tmp_path, *rows))
    assert main(["prompts", str(tmp_path)]) == 1
    assert "Is a directory" in capsys.readouterr().err
    assert main(["prompts", path, "--out", path]) == 1
    assert "cannot be made" in capsys.readouterr().err
    assert main(["prompts", path, "--out", str(tmp_path / "made")]) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert load(folder).card.kind == "grpo"
    assert main(["export", str(folder), "--openai", path]) == 1
    assert "cannot be made" in capsys.readouterr().err
