"""`apprentice learn`: the job that shows an agent learning, and its report."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from rich.console import Console

from apprentice.cli import evaluation, journal
from apprentice.cli.demo import rules as rules_demo
from apprentice.cli.demo.chart import curves
from apprentice.cli.demo.reflexion import SIZES, STUDENT, Demo
from apprentice.cli.journal import TaskResult
from apprentice.cli.terminal import by_rules
from apprentice.state.context import Context
from apprentice.state.statistics import rate
from apprentice.state.trajectory import Task, text_of
from apprentice.testing import Scripted
from apprentice.workspace import Workspace
from benchmarks.figures_document import SilentListener
from tests.cli import pupil
from tests.cli.conftest import Apprentice, enter

SMALL = (
    *("learn", "--name", "a", "--tasks", "6", "--trials", "2"),
    *("--exemplars", "2", "--training", "12", "--steps", "0"),
)
TINY = (
    *("learn", "--name", "a", "--tasks", "1", "--trials", "1"),
    *("--exemplars", "0", "--training", "0"),
)
FOLDER = Path("runs/a")


class Lesson(NamedTuple):
    """What one run of `learn` printed and wrote."""

    output: str
    folder: Path
    page: str
    figures: dict[str, Any]


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Lesson:
    """Run a small lesson once for all that look at it."""
    home = tmp_path_factory.mktemp("lesson")
    with pytest.MonkeyPatch.context() as patch:
        enter(patch, home)
        apprentice = Apprentice(home)
        begin_rules(apprentice.workspace)
        result = apprentice(*SMALL)
        apprentice.close()
    assert result.exit_code == 0
    folder = home / FOLDER
    figures = json.loads((folder / "report.json").read_text())
    return Lesson(result.output, folder, (folder / "report.html").read_text(), figures)


def begin_rules(workspace: Workspace) -> None:
    """Write the first lines of the journals whose runs learn rules, as an interrupted run does.

    The name of a run seeds which tasks it samples, so with these names the gates always decide
    the same.
    """
    demo = Demo(
        workspace, FOLDER, "north", 6, 2, "local:novice", 0, Context.max_tokens, 2, 12, 0, 0
    )
    here, there = demo, replace(demo, world="south")
    plans = {
        **{f"{STUDENT}-{size}": here.plan(STUDENT, size) for size in SIZES},
        f"rules-learned-{there.world}": there.plan(STUDENT, "small").model_copy(
            update={"trials": 1}
        ),
    }
    FOLDER.mkdir(parents=True)
    for number, (name, plan) in enumerate(plans.items(), 1):
        line = plan.model_copy(update={"run": f"{number:032x}"}).model_dump_json()
        (FOLDER / f"{name}.jsonl").write_text(f"{line}\n")


class Page(HTMLParser):
    """Checks that every element is closed, and gathers texts and addresses."""

    EMPTY = frozenset({"meta", "link", "img", "br"})

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.addresses: list[str] = []
        self.feed(source)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_learner_learns_and_the_report_says_so(lesson: Lesson) -> None:
    solved = {name: one["by_trial"] for name, one in lesson.figures["summaries"].items()}
    controls = {"others-reflections", "sampled", "none"}
    assert set(solved) == {"reflexion", "expel", *controls}
    first = {solved[name][0][0] for name in ("reflexion", *controls)}
    assert len(first) == 1  # the same tasks, and nothing learned yet
    assert solved["expel"][0][0] > max(first)
    assert solved["reflexion"][-1][0] > max(solved[name][-1][0] for name in controls)
    assert lesson.figures["rules_above_none"]["value"] > 0
    page = Page(lesson.page)
    seen = " ".join(" ".join(page.texts).split())
    for shares in solved.values():
        for successes, total, *_ in shares:
            assert f"{100 * successes / total:.0f} %" in seen
    for name in solved:
        assert name in seen
        assert name in lesson.output


def test_first_attempts_are_tried_with_more_and_more_in_memory(lesson: Lesson) -> None:
    found = lesson.figures["exemplars"]
    assert found["recorded"] == [0, 1, 2]
    assert set(found["rates"]) == {"exemplar", "random-exemplars", "none"}
    alone = lesson.figures["rows"]["none"]
    small = [row for row in alone if row["environment"].endswith("/small") and row["trial"] == 1]
    for rates in found["rates"].values():
        assert rates[0][:2] == [sum(row["success"] for row in small), len(small)]
    assert [rates[:2] for rates in found["rates"]["none"]] == [rates[0][:2]] * 3
    for technique in ("exemplar", "random-exemplars"):
        for level in (1, 2):
            plan, finished = journal.read(lesson.folder / f"{technique}-{level}.jsonl")
            assert (plan.exemplars, plan.trials, len(finished)) == (level, 1, 6)
            known = {id_ for done in finished for id_ in done.attempts[0].in_view.exemplars}
            assert 1 <= len(known) <= level
            solved = sum(bool(done.attempts[0].verdict.success) for done in finished)
            assert found["rates"][technique][level][:2] == [solved, 6]
    assert "recorded successes" in lesson.page
    assert "At 2, against random-exemplars" in lesson.output


def test_the_report_needs_nothing_else(lesson: Lesson) -> None:
    source = lesson.page
    assert Page(source).addresses == []
    assert set(re.findall(r"https?://[^\s\"'<]+", source)) <= {"http://www.w3.org/2000/svg"}
    assert "url(" not in source
    assert "<script" not in source
    assert "prefers-color-scheme: dark" in source


def test_the_example_fails_reflects_and_succeeds(lesson: Lesson) -> None:
    page = " ".join(" ".join(Page(lesson.page).texts).split())
    every = [
        done
        for size in ("small", "medium")
        for done in journal.read(lesson.folder / f"reflexion-{size}.jsonl")[1]
    ]
    shown = [
        done
        for done in every
        if len(done.attempts) > 1
        and all(
            " ".join(text_of(message).split()) in page.replace("> ", "")
            for attempt in done.attempts
            for message in attempt.messages
            if message.type == "human"
        )
    ]
    assert len(shown) == 1
    done = shown[0]
    assert [each.verdict.success for each in done.attempts][-2:] == [False, True]
    assert done.reflections[0].text in page


def test_what_an_agent_writes_cannot_reach_the_page(
    apprentice: Apprentice, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rude(messages: Any) -> str:
        turn = pupil.pupil(messages)
        return turn if turn.startswith("{") else f"think: <script>alert(1)</script>\n{turn}"

    apprentice.chat = lambda name, **settings: Scripted(rude)
    some = ("--tasks", "3", "--trials", "2", "--exemplars", "0", "--training", "0")
    apprentice("learn", "--name", "a", *some)
    source = (FOLDER / "report.html").read_text()
    assert "&lt;script&gt;" in source
    assert "<script" not in source


def test_one_trial_and_nothing_learned_is_reported_too(apprentice: Apprentice) -> None:
    result = apprentice(*TINY)
    assert result.exit_code == 0
    Page((FOLDER / "report.html").read_text())
    told = re.search(r"Attempts: apprentice (show \S+)", result.output)
    assert told
    listed = apprentice(*told[1].split())
    assert listed.exit_code == 0
    assert "test/" in listed.output


def test_the_same_name_goes_on(apprentice: Apprentice, monkeypatch: pytest.MonkeyPatch) -> None:
    apprentice(*TINY)
    before = (FOLDER / "report.json").read_text()
    apprentice.chat = lambda name, **settings: Scripted([])
    assert apprentice(*TINY).exit_code == 0
    assert (FOLDER / "report.json").read_text() == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--world", "nroth"), "Unknown household world 'nroth'. Did you mean 'north'?"),
        (("--trials", "0"), "must lie between 1 and 100"),
        (("--name", "../elsewhere"), "cannot name a folder under runs/"),
        (("--name", ".."), "cannot name a folder under runs/"),
        (("--tasks", "0"), "greater than or equal to 1"),
    ],
)
def test_bad_input_is_a_sentence(
    apprentice: Apprentice, options: tuple[str, str], said: str, tmp_path: Path
) -> None:
    result = apprentice("learn", *options)
    assert result.exit_code == 2
    assert said in " ".join(re.sub(r"│|\x1b\[[0-9;]*m", " ", result.output).split())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_curve_ends_where_its_figures_do() -> None:
    drawn = curves({"own": [rate(0, 4), rate(4, 4)], "none": [rate(0, 4), rate(0, 4)]}, 400, 200)
    heights = [float(y) for y in re.findall(r'cy="([\d.]+)"', drawn)]
    none, own = heights[:2], heights[2:]  # the first line is drawn last, on top
    assert none[0] == none[1] == own[0] == 154.0
    assert own[1] == 14.0


def test_rules_are_tried_in_two_worlds_beside_hand_written_and_wrong_ones(lesson: Lesson) -> None:
    found = lesson.figures["worlds"]
    learned = found["learned"]
    assert list(learned) == ["north", "south"]
    assert all(learned.values())
    assert not set(learned["north"]) & set(learned["south"])
    assert list(found["kinds"]) == ["none", "learned", "hand-written", "shuffled"]
    for kind, one in found["kinds"].items():
        assert {world: rate[1] for world, rate in one["rates"].items()} == {"north": 6, "south": 6}
        assert one["share"][0] == sum(rate[0] for rate in one["rates"].values())
        assert kind in lesson.page
    gains = {kind: one["above_none"] for kind, one in found["kinds"].items()}
    assert gains["none"] is None
    assert gains["hand-written"]["value"] > 0 > gains["shuffled"]["value"]
    # Every attempt was shown the rules of its kind, in their order.
    other = {"north": "south", "south": "north"}
    shown = {
        "shuffled": {world: learned[other[world]] for world in learned},
        "hand-written": {world: list(rules_demo.by_hand(world)) for world in learned},
    }
    for kind, by_world in shown.items():
        for world, rules in by_world.items():
            plan, finished = journal.read(lesson.folder / f"rules-{kind}-{world}.jsonl")
            assert (plan.environment, plan.trials) == (f"household/{world}/small", 1)
            for done in finished:
                told = text_of(done.attempts[0].messages[0])
                places = [told.index(rule) for rule in rules]
                assert places == sorted(places)
    # What the first lesson measured in its own world is not measured again.
    for kind in ("none", "learned"):
        assert not (lesson.folder / f"rules-{kind}-north.jsonl").exists()
    assert "Learned rules, against hand-written ones" in lesson.output
    page = " ".join(" ".join(Page(lesson.page).texts).split())
    assert all(rule in page for rules in learned.values() for rule in rules)


def test_a_world_whose_gate_released_nothing_says_so() -> None:
    tasks = [Task(environment=world, id="1", instruction="") for world in ("north", "south")]
    north, south = ([TaskResult(task=task, outcome="failed")] for task in tasks)
    solved = [TaskResult(task=tasks[1], outcome="solved_before")]
    none = {"north": north, "south": south}
    found = rules_demo.summarise(
        rules_demo.Results(
            {"north": ("Look twice.",), "south": ()},
            {
                "none": none,
                "learned": {"north": north},
                "hand-written": none,
                "shuffled": {"south": solved},
            },
        )
    )
    assert found is not None
    assert set(rules_demo.in_view(found.released_rules)["learned"]) == {"north"}
    assert set(rules_demo.in_view(found.released_rules)["shuffled"]) == {"south"}
    gap = found.kinds["shuffled"].above
    assert (gap and gap.value, list(found.differences)) == (1.0, ["hand-written"])
    console = Console(width=120, record=True, file=StringIO())
    console.print(by_rules("", found))
    assert console.export_text().count("none released") == 2


async def test_rules_that_a_plan_gives_are_shown_and_kept_nowhere(
    apprentice: Apprentice, tmp_path: Path
) -> None:
    workspace = apprentice.workspace
    plan = evaluation.checked_plan(
        workspace,
        environment="household/north/small",
        split="test",
        technique="none",
        model="local:novice",
        trials=1,
        temperature=0.0,
        limit=2,
    ).model_copy(update={"rules": ("Look behind the sofa.",)})
    assert evaluation.run_name(plan) != evaluation.run_name(plan.model_copy(update={"rules": ()}))
    with journal.open_journal(tmp_path / "a.jsonl", plan) as kept:
        finished = await evaluation.evaluate(
            workspace, kept, SilentListener(), asyncio.Semaphore(2)
        )
    for done in finished:
        assert "Look behind the sofa." in text_of(done.attempts[0].messages[0])
        assert len(done.attempts[0].in_view.rules) == 1
    assert not (tmp_path / "data").exists()
