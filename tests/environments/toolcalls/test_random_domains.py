"""Random domains: all differ, none uses a held-out name, and every request can be answered."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from apprentice.environments.toolcalls import random_domains
from apprentice.environments.toolcalls.calls import faults_of, mark
from apprentice.environments.toolcalls.domains import DOMAINS, Domain
from apprentice.environments.toolcalls.environment import Request
from apprentice.environments.toolcalls.task_writer import KINDS, requests

COUNT = 150


def domains() -> list[Domain]:
    return [random_domains.sample_domain(random.Random(seed)) for seed in range(COUNT)]


def names(of: list[Domain]) -> tuple[set[str], set[str]]:
    """Return the names of all tools and of all their parameters."""
    tools = [(name, tool) for one in of for name, tool in one.tools.items()]
    return {name for name, _ in tools}, {parameter for _, tool in tools for parameter in tool.takes}


def test_a_seed_determines_a_domain_and_domains_differ() -> None:
    assert domains() == domains()
    tools, parameters = names(domains())
    assert len(tools) > 2.5 * COUNT
    assert len(parameters) > 80


def test_names_of_held_out_domains_do_not_occur() -> None:
    held_out_names = names([one for one in DOMAINS.values() if one.split != "train"])
    training_names = names([one for one in DOMAINS.values() if one.split == "train"])
    words = {word for name in held_out_names[0] - training_names[0] for word in name.split("_")}
    words -= {word for name in training_names[0] for word in name.split("_")}
    parameters = held_out_names[1] - training_names[1]
    assert not parameters & {"day", "city"}
    assert not words & {*random_domains.VERBS, *random_domains.NOUNS}
    assert not parameters & names(domains())[1]


def test_recombined_domains_mix_training_tools_and_rename_half_of_them() -> None:
    recombinations = [random_domains.recombine_tools(random.Random(seed)) for seed in range(COUNT)]
    by_description = {
        tool.does: (domain.split, where, name)
        for where, domain in DOMAINS.items()
        for name, tool in domain.tools.items()
    }
    sources = [
        [(by_description[t.does], name) for name, t in one.tools.items()] for one in recombinations
    ]
    assert {split for one in sources for (split, _, _), _ in one} == {"train"}
    assert len({where for one in sources for (_, where, _), _ in one}) == 6
    assert sum(len({where for (_, where, _), _ in one}) > 1 for one in sources) > COUNT / 2
    unchanged_names = [own == name for one in sources for (_, _, own), name in one]
    assert 0.4 < sum(unchanged_names) / len(unchanged_names) < 0.6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sample", [random_domains.sample_domain, random_domains.recombine_tools])
def test_the_ideal_turn_answers_every_request(
    sample: Callable[[random.Random], Domain], kind: str
) -> None:
    for seed in range(COUNT):
        domain = sample(random.Random(seed))
        request = Request(id="", kind=kind, **next(requests(kind, domain, random.Random(seed))))
        tools = [tool.schema(name) for name, tool in domain.tools.items()]
        assert mark(request.ideal, request.reference_calls, tools).right
        assert not [fault for call in request.reference_calls for fault in faults_of(call, tools)]
        assert "{" not in request.request
        assert all(
            str(value) in request.request
            for c in request.reference_calls
            for value in c.arguments.values()
        )


def test_requests_of_kind_missing_omit_a_required_parameter() -> None:
    for domain in domains():
        for name, tool in domain.tools.items():
            assert set(tool.lacks) <= set(tool.schema(name)["parameters"]["required"])
            assert not [ask for parameter, ask in tool.lacks.items() if f"{{{parameter}}}" in ask]
