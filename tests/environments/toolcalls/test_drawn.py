"""Drawn domains: no two alike, nothing of the held-out ones, and every request can be met."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from apprentice.environments.toolcalls import drawn
from apprentice.environments.toolcalls.authoring import KINDS, requests
from apprentice.environments.toolcalls.calls import faults_of, mark
from apprentice.environments.toolcalls.domains import DOMAINS, Domain
from apprentice.environments.toolcalls.environment import Request

COUNT = 150


def domains() -> list[Domain]:
    return [drawn.domain(random.Random(seed)) for seed in range(COUNT)]


def names(of: list[Domain]) -> tuple[set[str], set[str]]:
    """Return what tools are called, and what they take."""
    tools = [(name, tool) for one in of for name, tool in one.tools.items()]
    return {name for name, _ in tools}, {taken for _, tool in tools for taken in tool.takes}


def test_a_seed_fixes_a_domain_and_no_two_are_alike() -> None:
    assert domains() == domains()
    tools, parameters = names(domains())
    assert len(tools) > 2.5 * COUNT
    assert len(parameters) > 80


def test_no_tool_and_no_parameter_is_one_that_only_held_out_domains_have() -> None:
    held_out = names([one for one in DOMAINS.values() if one.split != "train"])
    written = names([one for one in DOMAINS.values() if one.split == "train"])
    words = {word for name in held_out[0] - written[0] for word in name.split("_")}
    words -= {word for name in written[0] for word in name.split("_")}
    parameters = held_out[1] - written[1]
    assert not parameters & {"day", "city"}
    assert not words & {*drawn.VERBS, *drawn.NOUNS}
    assert not parameters & names(domains())[1]


def test_written_tools_are_mixed_half_of_them_by_other_names_and_none_is_held_out() -> None:
    mixed = [drawn.mixed(random.Random(seed)) for seed in range(COUNT)]
    written = {
        tool.does: (domain.split, where, name)
        for where, domain in DOMAINS.items()
        for name, tool in domain.tools.items()
    }
    found = [[(written[t.does], name) for name, t in one.tools.items()] for one in mixed]
    assert {split for one in found for (split, _, _), _ in one} == {"train"}
    assert len({where for one in found for (_, where, _), _ in one}) == 6
    assert sum(len({where for (_, where, _), _ in one}) > 1 for one in found) > COUNT / 2
    kept = [own == name for one in found for (_, _, own), name in one]
    assert 0.4 < sum(kept) / len(kept) < 0.6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("draw", [drawn.domain, drawn.mixed])
def test_every_request_can_be_met(draw: Callable[[random.Random], Domain], kind: str) -> None:
    for seed in range(COUNT):
        domain = draw(random.Random(seed))
        asked = Request(id="", kind=kind, **next(requests(kind, domain, random.Random(seed))))
        tools = [tool.schema(name) for name, tool in domain.tools.items()]
        assert mark(asked.ideal, asked.wanted, tools).right
        assert not [fault for call in asked.wanted for fault in faults_of(call, tools)]
        assert "{" not in asked.request
        assert all(
            str(value) in asked.request for c in asked.wanted for value in c.arguments.values()
        )


def test_what_is_missing_is_required_and_not_said() -> None:
    for domain in domains():
        for name, tool in domain.tools.items():
            assert set(tool.lacks) <= set(tool.schema(name)["parameters"]["required"])
            assert not [said for missing, said in tool.lacks.items() if f"{{{missing}}}" in said]
