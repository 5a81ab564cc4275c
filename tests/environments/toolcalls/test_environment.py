"""The tool-call tasks: their number, their splits, their ideal turns and their verdicts."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage

from apprentice.environments.advance import Advance
from apprentice.environments.protocol import Environment
from apprentice.environments.toolcalls import task_writer
from apprentice.environments.toolcalls.calls import mark
from apprentice.environments.toolcalls.domains import DOMAINS
from apprentice.environments.toolcalls.environment import SPLITS, Toolcalls
from apprentice.state.errors import BadInput, UnknownName
from apprentice.state.toolcalls import call, read_section
from apprentice.state.trajectory import Task
from tests.places import ENVIRONMENTS, advance, environment, start

EVERY = Toolcalls()
ALL = [task for split in SPLITS for task in EVERY.tasks(split, 10_000)]


@pytest.mark.parametrize(
    ("does", "sentence", "quotation"),
    [
        ("Book a train to a city.", "Get me a train to Oslo.", "train to a city."),
        ("Book a train to a city.", "Book a train.", "Book a train to a city."),
        ("Find a hotel in a city.", "Where can I stay in Oslo?", "Find a hotel in a city."),
        ("Get the tide of a city.", "Is the sea high in the city?", "tide of a city."),
        ("Get a city.", "I want one.", "Get a city."),
        ("To be.", "I want one.", "To be."),
    ],
    ids=[
        "requested word",
        "first word",
        "distinctive word",
        "no shared word",
        "no distinctive word",
        "no content word",
    ],
)
def test_a_quote_begins_at_the_distinguishing_word(
    does: str, sentence: str, quotation: str
) -> None:
    others = ["Rent a car.", "Get the visa rules for a journey to a city."]
    assert task_writer.quote(does, others, sentence) == quotation


def test_a_schema_puts_the_description_before_the_name() -> None:
    for name in DOMAINS:
        for tool in Toolcalls(name).tools:
            assert list(tool) == ["description", "name", "parameters"]


def attempt(task: Task, *turns: str | AIMessage) -> list[Advance]:
    """Play the turns at a task and return what each brought about."""
    messages: list[AnyMessage] = [SystemMessage("tools"), HumanMessage(str(start(task).text))]
    results: list[Advance] = []
    for turn in turns:
        message = AIMessage(turn) if isinstance(turn, str) else turn
        results.append(advance(task, messages, message))
        messages += [message, results[-1].reply]
    return results


def first(kind: str, domain: str = "banking") -> Task:
    return next(task for task in environment(f"toolcalls/{domain}").tasks("train", 99)
                if task.kind == kind)  # fmt: skip


def test_a_third_of_at_least_300_tasks_needs_no_tool() -> None:
    assert len(ALL) >= 300
    kinds = Counter(task.kind for task in ALL)
    assert 0.3 <= 1 - kinds["call"] / len(ALL) <= 0.36
    assert min(kinds.values()) > 40
    assert len({(task.environment, task.instruction) for task in ALL}) == len(ALL)


def test_splits_share_no_tools_and_no_requests() -> None:
    tools: dict[str, set[str]] = {split: set() for split in SPLITS}
    for name, domain in DOMAINS.items():
        tools[domain.split] |= {tool["name"] for tool in Toolcalls(name).tools}
    requests = {
        split: {task.instruction for task in ALL if task.split == split} for split in SPLITS
    }
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not tools[one] & tools[other]
        assert not requests[one] & requests[other]


@pytest.mark.parametrize("name", DOMAINS)
def test_the_ideal_turn_solves_every_task(name: str) -> None:
    domain = Toolcalls(name)
    for task in domain.tasks(DOMAINS[name].split, 1_000):
        request = domain.request(task.id)
        assert mark(request.ideal, request.reference_calls, domain.tools).right
        (only,) = attempt(task, request.ideal)
        assert only.verdict is not None
        assert only.verdict.success, task


@pytest.mark.parametrize("name", DOMAINS)
def test_requests_of_kind_missing_lack_a_required_parameter(name: str) -> None:
    for function, tool in DOMAINS[name].tools.items():
        assert set(tool.lacks) <= set(tool.schema(function)["parameters"]["required"])


def test_the_data_files_match_the_domains(tmp_path: Path) -> None:
    task_writer.write(tmp_path)
    new_files = {file.name: file.read_text() for file in tmp_path.iterdir()}
    repository = {file.name: file.read_text() for file in task_writer.DATA.iterdir()}
    assert new_files == repository


def test_the_instructions_contain_the_schemas_that_check_the_calls() -> None:
    banking = Toolcalls("banking")
    text, tools = read_section(banking.instructions)
    assert text == ""
    assert tools == banking.tools


def test_the_agent_may_correct_a_wrong_call_once() -> None:
    task = first("call")
    ideal = Toolcalls("banking").request(task.id).ideal
    wrong = call("send_mony", {})
    first_try, second_try = attempt(task, wrong, ideal)
    assert first_try.verdict is None
    assert "Not carried out. There is no tool 'send_mony'." in str(first_try.reply.text)
    assert second_try.verdict is not None
    assert second_try.verdict.success


def test_the_second_wrong_call_is_refused() -> None:
    _, last = attempt(first("call"), call("send_mony", {}), "<tool_call>{oops")
    assert last.verdict is not None
    assert last.verdict.success is False
    assert last.verdict.feedback.startswith("Refused:")


@pytest.mark.parametrize("kind", ["missing", "imagined", "small_talk"])
def test_a_call_fails_where_the_request_needs_none(kind: str) -> None:
    (over,) = attempt(first(kind), call("get_balance", {"account": "savings"}))
    assert over.verdict is not None
    assert over.verdict.success is False


def test_feedback_does_not_reveal_the_arguments() -> None:
    task = first("call")
    reference = Toolcalls("banking").request(task.id).reference_calls[0]
    other = "block_card" if reference.name != "block_card" else "get_balance"
    for turn in ("Sure.", call(other, {"digits": 1} if other == "block_card" else {})):
        for result in attempt(task, turn):
            feedback = result.verdict.feedback if result.verdict else ""
            assert json.dumps(reference.arguments) not in str(result.reply.text) + feedback


def test_calls_in_the_tool_calls_field_count_like_calls_in_the_text() -> None:
    task = first("call")
    reference = Toolcalls("banking").request(task.id).reference_calls[0]
    tool_call = {
        "name": reference.name,
        "args": reference.arguments,
        "id": "1",
        "type": "tool_call",
    }
    (result,) = attempt(task, AIMessage("", tool_calls=[tool_call]))
    assert result.verdict is not None
    assert result.verdict.success


def test_an_attempt_ends_after_three_turns_of_thoughts() -> None:
    results = attempt(first("call"), *["<think>Hm.</think>"] * 3)
    assert [one.verdict is None for one in results] == [True, True, False]


def test_unknown_names_splits_and_ids_are_errors() -> None:
    assert isinstance(environment("toolcalls/banking"), Environment)
    assert {f"toolcalls/{domain}" for domain in DOMAINS} < set(ENVIRONMENTS.names())
    task = environment("toolcalls").task("clinic-3")
    assert (task.environment, task.split) == ("toolcalls/clinic", "test")
    with pytest.raises(UnknownName, match="Did you mean 'banking'"):
        environment("toolcalls/bankin")
    with pytest.raises(UnknownName, match="split"):
        next(environment("toolcalls/banking").tasks("test", 1))
    for wrong in ("clinic-3", "banking-9999", "../x"):
        with pytest.raises(BadInput, match="There is no toolcalls/banking task"):
            environment("toolcalls/banking").task(wrong)


def test_the_seed_determines_which_tasks_are_sampled() -> None:
    one, other = ([task.id for task in EVERY.tasks("train", 20, seed)] for seed in (0, 1))
    assert len(one) == len(set(one)) == 20
    assert one != other
    assert one == [task.id for task in EVERY.tasks("train", 20, 0)]
