"""`apprentice rules`: from learning rules to withdrawing what they rest on."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from apprentice.cli.options import HOME
from apprentice.memory.experience.edge import EdgeEngine
from apprentice.memory.releases import Releases
from apprentice.state.releases import Release
from apprentice.workspace import Workspace
from tests.cli.conftest import Apprentice, enter

Rules = Callable[..., Result]
LEARN = ("rules", "learn", "--run", "a", "--tasks", "12", "--held-out", "72")


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Learn rules once; return the folder that holds them."""
    folder = tmp_path_factory.mktemp("rules")
    with pytest.MonkeyPatch.context() as patch:
        enter(patch, folder)
        result = Apprentice(folder)(*LEARN)
    assert result.exit_code == 0, result.output
    assert "Published." in result.output
    return folder


@pytest.fixture
def there(learned: Path, monkeypatch: pytest.MonkeyPatch) -> Apprentice:
    """Run the command where the rules were learned."""
    enter(monkeypatch, learned)
    return Apprentice(learned)


@pytest.fixture
def rules(there: Apprentice) -> Rules:
    """Run `apprentice rules` there."""
    return lambda *arguments, **more: there("rules", *arguments, **more)


def test_what_was_learned_is_shown(rules: Rules) -> None:
    shown = rules("show").output
    assert re.search(r"Released: [0-9a-f]{8}", shown)
    assert shown.count("sinkbasin") >= 2  # released, and in the draft
    assert "Better beyond chance" in shown


def test_a_rule_has_a_history_with_evidence(rules: Rules) -> None:
    shown = rules("show").output
    first = re.findall(r"│ ([0-9a-f]{8}) │", shown)[0]
    told = rules("history", first).output
    assert "model  ADD" in told
    assert re.search(r"[0-9a-f]{32}, [0-9a-f]{32}", told)
    assert rules("history", "zz").exit_code == 2


def test_a_rule_leads_to_its_attempts_and_an_attempt_to_its_rules(rules: Rules) -> None:
    first = re.findall(r"│ ([0-9a-f]{8}) │", rules("show").output)[0]
    listed = rules("evidence", first).output
    attempts = re.findall(r"│ ([0-9a-f]{32}) │ (train/\d+) │ (\d) +│ (solved|failed)", listed)
    assert {ended for *_, ended in attempts} == {"solved", "failed"}
    name, task, trial, ended = attempts[0]
    told = rules("evidence", name).output
    assert f"{task} · trial {trial} · {ended}" in told
    assert "> go to" in told
    assert re.search(rf"Cites it \((only|among others)\): {first}", told)
    assert "0 rules and 0 attempts" in rules("evidence", "zz").stderr


def test_what_rules_rest_on_is_in_the_memory(
    rules: Rules, learned: Path, there: Apprentice
) -> None:
    assert there("export", "all.jsonl").exit_code == 0
    kept = {json.loads(line)["id"] for line in (learned / "all.jsonl").read_text().splitlines()}
    ids = re.findall(r"│ ([0-9a-f]{8}) │", rules("show").output)
    evidence = {
        each for rule in ids for each in re.findall(r"[0-9a-f]{32}", rules("evidence", rule).output)
    }
    assert evidence
    assert evidence <= kept


def test_rules_are_curated_compared_and_rolled_back(rules: Rules) -> None:
    before = re.search(r"Released: ([0-9a-f]{8})", rules("show").output)
    assert before
    done = rules("curate", "ADD: Look behind the sofa.", "REMOVE 1")
    assert (done.exit_code, "+ added" in done.output) == (0, True)
    told = rules("diff").output
    assert "+ added        Look behind the sofa." in told
    assert rules("rollback", "none").exit_code == 0
    assert "Released: nothing" in rules("show").output
    assert rules("rollback", before[1]).exit_code == 0
    assert rules("diff").output.strip() == "The rules are the same."


async def _released(workspace: Workspace, **changes: str) -> None:
    async with workspace.store() as kept:
        release = Release(id="old", tenant="default", environment=HOME, **changes)
        await Releases(kept, "default", HOME).publish(release)


def test_a_release_whose_adapter_is_gone_is_not_put_back(apprentice: Apprentice) -> None:
    asyncio.run(_released(apprentice.workspace, adapter="pruned", model="local:novice"))
    assert apprentice("rules", "rollback", "none").exit_code == 0
    refused = apprentice("rules", "rollback", "old")
    assert (refused.exit_code, "'pruned'" in refused.output) == (2, True)
    assert "Released: nothing" in apprentice("rules", "show").output


def test_rolling_back_to_what_is_in_force_where_nothing_is(apprentice: Apprentice) -> None:
    refused = apprentice("rules", "rollback", "current")
    assert (refused.exit_code, "Nothing is released here" in refused.output) == (2, True)


def test_the_commands_on_the_page_about_rules_work(rules: Rules, root: Path) -> None:
    page = (root / "docs" / "techniques.md").read_text()
    lines = re.findall(r"^apprentice rules ([a-z].*)$", page, re.MULTILINE)
    assert [line.split()[0] for line in lines] == [
        *("learn", "show", "curate", "diff", "learn", "history", "evidence", "rollback"),
        "withdraw",
    ]
    shown = rules("show").output
    first = re.findall(r"│ ([0-9a-f]{8}) │", shown)[0]
    releases = re.findall(r"  ([0-9a-f]{8})  Better", shown)
    ids = {
        "RULE": first,
        "RELEASE": releases[0],
        "ATTEMPT": re.findall(r"[0-9a-f]{32}", rules("history", first).output)[0],
    }
    for line in lines:
        words = [ids.get(word, word) for word in shlex.split(line, comments=True)]
        if words[0] == "learn":  # few tasks, and the run that is finished already
            words += ["--held-out", "24"] if "--review" in words else LEARN[2:]
        if words[0] == "withdraw":
            words[-1] = "zz"  # what it does is tested last, since it cannot be undone
        done = rules(*words, answers="approve all\n", at_terminal=True)
        assert done.exit_code == (2 if words[0] == "withdraw" else 0), done.output
    assert f"Released: {releases[0]}" in rules("show").output


def test_what_a_person_writes_wrongly_is_a_sentence(rules: Rules) -> None:
    unknown = rules("diff", "current", "nothing")
    assert (unknown.exit_code, "`apprentice rules history` the versions" in unknown.stderr) == (
        2,
        True,
    )
    assert rules("rollback", "zz").exit_code == 2
    assert rules("withdraw", "zz").exit_code == 2


def test_operations_are_done_together_or_not_at_all(rules: Rules) -> None:
    before = rules("show").output
    done = rules("curate", "ADD: Look behind the door.", "AGREE 99", "Look twice.")
    assert done.exit_code == 2
    assert "No operation was applied" in done.stderr
    assert "There is no rule 99" in done.stderr
    assert "'Look twice.'" in done.stderr
    assert rules("show").output == before


def test_the_versions_of_the_draft_are_listed_and_compared(rules: Rules) -> None:
    assert rules("curate", "ADD: Look on top of the wardrobe.").exit_code == 0
    versions = re.findall(r"│ ([0-9a-f]{8}) +│ 2", rules("history").output)
    before, after = versions[-2:]
    assert f"Draft: {after}" in rules("show").output
    told = rules("diff", before, after)
    assert told.output.strip() == "+ added        Look on top of the wardrobe."
    assert "apprentice rules history lists the versions" in " ".join(
        rules("diff", "--help").output.split()
    )


def test_what_is_shown_is_explained(rules: Rules) -> None:
    told = " ".join(rules("show").output.split())
    assert re.search(r"evidence [\d,]+ to 1, 40 to 1 needed", told)
    assert "Evidence of 40 to 1:" in told
    assert "Strength: a new rule has 2" in told
    released = told[: told.index("Draft:")]
    (first, *_) = re.findall(r"│ ([0-9a-f]{8}) │", released)
    assert rules("history", first).exit_code == 0


def test_a_review_needs_a_terminal(apprentice: Apprentice, tmp_path: Path) -> None:
    refused = apprentice("rules", "learn", "--review")
    assert refused.exit_code == 2
    assert "Without it, rules that pass" in refused.stderr
    assert not (tmp_path / "data").exists()


def test_who_leaves_a_review_is_told_how_to_go_on(rules: Rules) -> None:
    assert rules("curate", "ADD: Look in the attic.").exit_code == 0
    again = ("learn", "--run", "left", "--tasks", "0", "--review", "--held-out", "24")
    left = rules(*again, at_terminal=True)
    assert left.exit_code == 130
    assert "Interrupted. `apprentice rules learn --run left`" in left.stderr
    done = rules(*again, answers="reject all\n", at_terminal=True)
    assert done.exit_code == 0
    assert "Declined." in done.output


def test_a_withdrawn_attempt_takes_along_what_rests_on_it(
    rules: Rules, learned: Path, there: Apprentice
) -> None:
    listed = rules("show").output
    ids = re.findall(r"│ ([0-9a-f]{8}) │", listed)
    lone = next(each for each in reversed(ids) if rules("history", each).output.count("model") == 1)
    told = rules("history", lone).output
    (text,) = re.findall(r"ADD [0-9a-f]{8}: (.*) →", told)
    evidence = re.findall(r"[0-9a-f]{32}", told)
    done = rules("withdraw", evidence[0][:12])
    assert (done.exit_code, "Erased: 1 transcript." in done.output) == (0, True)
    assert text in done.output
    assert there("export", "left.jsonl").exit_code == 0
    assert evidence[0] not in (learned / "left.jsonl").read_text()
    assert text not in rules("show").output
    assert "Released:" in done.output
    before = re.findall(r"  ([0-9a-f]{8})  Better", listed)
    refused = rules("rollback", before[0])
    assert (refused.exit_code, "were withdrawn" in refused.stderr) == (2, True)


def test_the_same_run_goes_on(rules: Rules, there: Apprentice) -> None:
    again = there(*LEARN)
    assert again.exit_code == 0


def test_commands_on_an_empty_memory_say_what_is_missing(apprentice: Apprentice) -> None:
    shown = apprentice("rules", "show")
    assert (shown.exit_code, "Released: nothing" in shown.output) == (0, True)
    assert apprentice("rules", "diff").output.strip() == "The rules are the same."
    ended = apprentice("rules", "learn", "--tasks", "0")
    assert ended.exit_code == 0
    assert "Unchanged. The draft and the release have no rules." in ended.output
    for command in ("history", "evidence", "rollback", "withdraw"):
        refused = apprentice("rules", command, "zz")
        assert (refused.exit_code, "zz" in refused.stderr) == (2, True), command


def test_a_rule_of_10000_characters_is_refused_and_the_book_stays(apprentice: Apprentice) -> None:
    done = apprentice("rules", "curate", "ADD: " + "look twice and " * 700)
    assert done.exit_code == 2
    assert "at most 300 are allowed" in done.stderr
    assert "look twice" not in apprentice("rules", "show").output


def test_while_another_process_has_the_memory_rules_are_learned_without_it(
    apprentice: Apprentice, tmp_path: Path
) -> None:
    other = EdgeEngine.open(tmp_path / "data" / "experience", "local:minilm", lambda: 64)
    refused = apprentice("rules", "learn", "--tasks", "0")
    assert (refused.exit_code, "--no-record" in refused.stderr) == (1, True)
    assert apprentice("rules", "learn", "--tasks", "0", "--no-record").exit_code == 0
    asyncio.run(other.close())
