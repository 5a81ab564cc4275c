"""The tool-call tasks: enough of them, honestly split, and every ideal answer is right."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage

from apprentice.environments.advance import Advance, advance, start
from apprentice.environments.protocol import Environment
from apprentice.environments.registry import environment, known
from apprentice.environments.toolcalls import authoring
from apprentice.environments.toolcalls.calls import mark
from apprentice.environments.toolcalls.domains import DOMAINS
from apprentice.environments.toolcalls.environment import SPLITS, Toolcalls
from apprentice.state.errors import BadInput, UnknownName
from apprentice.state.nouns import Task
from apprentice.state.toolcalls import call, read_section

EVERY = Toolcalls()
ALL = [task for split in SPLITS for task in EVERY.tasks(split, 10_000)]


@pytest.mark.parametrize(
    ("does", "said", "quote"),
    [
        ("Book a train to a city.", "Get me a train to Oslo.", "train to a city."),
        ("Book a train to a city.", "Book a train.", "Book a train to a city."),
        ("Find a hotel in a city.", "Where can I stay in Oslo?", "Find a hotel in a city."),
        ("Get the tide of a city.", "Is the sea high in the city?", "tide of a city."),
        ("Get a city.", "I want one.", "Get a city."),
        ("To be.", "I want one.", "To be."),
    ],
    ids=["asked for", "all of it", "its own word", "nothing said", "no word of its own", "none"],
)
def test_a_quote_begins_where_a_tool_is_told_from_others(does: str, said: str, quote: str) -> None:
    others = ["Rent a car.", "Get the visa rules for a journey to a city."]
    assert authoring.quoted(does, others, said) == quote


def test_a_schema_says_what_a_tool_does_before_it_names_it() -> None:
    for name in DOMAINS:
        for tool in Toolcalls(name).tools:
            assert list(tool) == ["description", "name", "parameters"]


def attempt(task: Task, *turns: str | AIMessage) -> list[Advance]:
    """Take turns at a task until it is over."""
    messages: list[AnyMessage] = [SystemMessage("tools"), HumanMessage(str(start(task).text))]
    done: list[Advance] = []
    for turn in turns:
        said = AIMessage(turn) if isinstance(turn, str) else turn
        done.append(advance(task, messages, said))
        messages += [said, done[-1].reply]
    return done


def first(kind: str, domain: str = "banking") -> Task:
    return next(task for task in environment(f"toolcalls/{domain}").tasks("train", 99)
                if task.kind == kind)  # fmt: skip


def test_there_are_enough_tasks_and_a_third_needs_no_tool() -> None:
    assert len(ALL) >= 300
    kinds = Counter(task.kind for task in ALL)
    assert 0.3 <= 1 - kinds["call"] / len(ALL) <= 0.36
    assert min(kinds.values()) > 40
    assert len({(task.environment, task.instruction) for task in ALL}) == len(ALL)


def test_held_out_tools_and_requests_are_never_trained_on() -> None:
    tools: dict[str, set[str]] = {split: set() for split in SPLITS}
    for name, domain in DOMAINS.items():
        tools[domain.split] |= {tool["name"] for tool in Toolcalls(name).tools}
    asked = {split: {task.instruction for task in ALL if task.split == split} for split in SPLITS}
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not tools[one] & tools[other]
        assert not asked[one] & asked[other]


@pytest.mark.parametrize("name", DOMAINS)
def test_every_ideal_answer_is_right_and_solves_its_task(name: str) -> None:
    domain = Toolcalls(name)
    for task in domain.tasks(DOMAINS[name].split, 1_000):
        request = domain.request(task.id)
        assert mark(request.ideal, request.wanted, domain.tools).right
        (only,) = attempt(task, request.ideal)
        assert only.verdict is not None
        assert only.verdict.success, task


@pytest.mark.parametrize("name", DOMAINS)
def test_what_is_called_missing_is_required(name: str) -> None:
    for function, tool in DOMAINS[name].tools.items():
        assert set(tool.lacks) <= set(tool.schema(function)["parameters"]["required"])


def test_the_data_is_what_the_domains_say(tmp_path: Path) -> None:
    authoring.write(tmp_path)
    written = {file.name: file.read_text() for file in tmp_path.iterdir()}
    shipped = {file.name: file.read_text() for file in authoring.DATA.iterdir()}
    assert written == shipped


def test_the_prompt_holds_the_very_schemas_that_calls_are_checked_against() -> None:
    banking = Toolcalls("banking")
    text, tools = read_section(banking.instructions)
    assert text == ""
    assert tools == banking.tools


def test_a_wrong_call_is_corrected_once() -> None:
    task = first("call")
    ideal = Toolcalls("banking").request(task.id).ideal
    wrong = call("send_mony", {})
    corrected, solved = attempt(task, wrong, ideal)
    assert corrected.verdict is None
    assert "Not carried out. There is no tool 'send_mony'." in str(corrected.reply.text)
    assert solved.verdict is not None
    assert solved.verdict.success


def test_the_second_wrong_call_is_refused() -> None:
    _, refused = attempt(first("call"), call("send_mony", {}), "<tool_call>{oops")
    assert refused.verdict is not None
    assert refused.verdict.success is False
    assert refused.verdict.feedback.startswith("Refused:")


@pytest.mark.parametrize("kind", ["missing", "imagined", "small_talk"])
def test_a_call_where_none_is_wanted_fails(kind: str) -> None:
    (over,) = attempt(first(kind), call("get_balance", {"account": "savings"}))
    assert over.verdict is not None
    assert over.verdict.success is False


def test_no_feedback_tells_the_answer() -> None:
    task = first("call")
    wanted = Toolcalls("banking").request(task.id).wanted[0]
    other = "block_card" if wanted.name != "block_card" else "get_balance"
    for turn in ("Sure.", call(other, {"digits": 1} if other == "block_card" else {})):
        for done in attempt(task, turn):
            told = str(done.reply.text) + (done.verdict.feedback if done.verdict else "")
            assert json.dumps(wanted.arguments) not in told


def test_calls_in_fields_of_their_own_count_as_calls_in_the_text() -> None:
    task = first("call")
    wanted = Toolcalls("banking").request(task.id).wanted[0]
    made = {"name": wanted.name, "args": wanted.arguments, "id": "1", "type": "tool_call"}
    (done,) = attempt(task, AIMessage("", tool_calls=[made]))
    assert done.verdict is not None
    assert done.verdict.success


def test_thinking_aloud_is_answered_but_does_not_go_on_forever() -> None:
    done = attempt(first("call"), *["<think>Hm.</think>"] * 3)
    assert [one.verdict is None for one in done] == [True, True, False]


def test_names_and_ids_are_known() -> None:
    assert isinstance(environment("toolcalls/banking"), Environment)
    assert {f"toolcalls/{domain}" for domain in DOMAINS} < set(known())
    task = environment("toolcalls").task("clinic-3")
    assert (task.environment, task.split) == ("toolcalls/clinic", "test")
    with pytest.raises(UnknownName, match="Did you mean 'banking'"):
        environment("toolcalls/bankin")
    with pytest.raises(UnknownName, match="split"):
        next(environment("toolcalls/banking").tasks("test", 1))
    for wrong in ("clinic-3", "banking-9999", "../x"):
        with pytest.raises(BadInput, match="There is no toolcalls/banking task"):
            environment("toolcalls/banking").task(wrong)


def test_tasks_are_drawn_by_seed_and_bounded() -> None:
    one, other = ([task.id for task in EVERY.tasks("train", 20, seed)] for seed in (0, 1))
    assert len(one) == len(set(one)) == 20
    assert one != other
    assert one == [task.id for task in EVERY.tasks("train", 20, 0)]
