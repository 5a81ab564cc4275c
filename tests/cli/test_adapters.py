"""`apprentice adapters`: what was trained is listed, put in force, taken out, and taken along."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from apprentice.graphs import episode
from apprentice.memory.releases import Releases
from apprentice.models.adapter_fit import base_fingerprint
from apprentice.state.context import Context
from apprentice.state.errors import UnknownName
from apprentice.state.releases import Release
from apprentice.state.rules import Rule
from apprentice.training.adapters import Adapter, Adapters
from apprentice.workspace import Workspace
from tests.cli.conftest import Apprentice
from tests.cli.pupil import pupil

NORTH = "household/north/small"


@pytest.fixture
def workspace(apprentice: Apprentice) -> Workspace:
    return apprentice.workspace


@pytest.fixture
def registry(workspace: Workspace) -> Adapters:
    return workspace.adapters


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Return a folder that PEFT might have written; nothing here loads it."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    return folder


def card(
    registry: Adapters, weights: Path, name: str, *, tenant: str = "", parent: str = ""
) -> Adapter:
    made = Adapter(
        name=name,
        method="sft",
        base="novice",
        base_fingerprint=base_fingerprint(registry.models.folder("novice")),
        parent=parent,
        dataset="d" * 32,
        tenant=tenant,
        settings={"base": "novice", "method": "sft", "epochs": 2.0, "quantised": False},
    )
    return registry.register(made, weights)


async def acting(workspace: Workspace, tenant: str) -> str:
    """Return the adapter that acts for a tenant."""
    async with workspace.store() as kept:
        graph = episode.build(workspace=workspace, agent=pupil).compile(store=kept)
        task: Any = {"environment": NORTH, "id": "test/0"}
        ended = await graph.ainvoke({"task": task}, context=Context(tenant=tenant))
        return str(ended["adapter"])


async def rule(workspace: Workspace, text: str) -> None:
    """Release a rule for the default tenant."""
    async with workspace.store() as kept:
        release = Release(
            id="ruled",
            tenant="default",
            environment=NORTH,
            rules=(Rule(id="r", text=text, strength=2),),
        )
        await Releases(kept, "default", NORTH).publish(release)


async def rules(workspace: Workspace) -> tuple[str, ...]:
    async with workspace.store() as kept:
        current = await Releases(kept, "default", NORTH).current()
        return current.texts if current else ()


def test_an_adapter_is_put_in_force_and_back_in_one_step_each(
    apprentice: Apprentice, weights: Path, registry: Adapters, workspace: Workspace
) -> None:
    asyncio.run(rule(workspace, "Look twice."))
    for name in ("first", "second"):
        card(registry, weights, name)
        assert apprentice("adapters", "promote", name).exit_code == 0
        assert asyncio.run(acting(workspace, "default")) == name
    assert asyncio.run(acting(workspace, "other")) == ""
    for gone, back in (("second", "first"), ("first", "")):
        assert apprentice("adapters", "rollback").exit_code == 0
        assert asyncio.run(acting(workspace, "default")) == back
        assert registry.read(gone).status == "retired"
        assert asyncio.run(rules(workspace)) == ("Look twice.",)
    again = apprentice("adapters", "rollback")
    assert again.exit_code == 2
    assert "No adapter acts in" in again.output


def test_each_environment_goes_back_to_its_own(
    apprentice: Apprentice, weights: Path, registry: Adapters
) -> None:
    for name, where in (("wide", "toolcalls"), ("narrow", "toolcalls/banking")):
        card(registry, weights, name)
        assert apprentice("adapters", "promote", name, "--environment", where).exit_code == 0
    told = " ".join(apprentice("adapters", "rollback", "--environment", "toolcalls").output.split())
    assert "narrow no longer acts in toolcalls/banking for default; wide does." in told
    assert "wide no longer acts in toolcalls, toolcalls/calendar," in told
    assert [registry.read(name).status for name in ("wide", "narrow")] == ["promoted", "retired"]


def test_another_tenants_adapter_cannot_be_put_in_force(
    apprentice: Apprentice, weights: Path, registry: Adapters, workspace: Workspace
) -> None:
    card(registry, weights, "mine", tenant="acme")
    refused = apprentice("adapters", "promote", "mine", "--tenant", "other")
    assert refused.exit_code == 2
    assert "Unknown adapter 'mine'" in refused.output
    assert registry.read("mine").status == "candidate"
    assert apprentice("adapters", "promote", "mine", "--tenant", "acme").exit_code == 0
    assert asyncio.run(acting(workspace, "acme")) == "mine"


def test_the_list_is_the_operators_or_one_tenants(
    apprentice: Apprentice, weights: Path, registry: Adapters
) -> None:
    card(registry, weights, "shared")
    card(registry, weights, "mine", tenant="acme")
    assert {"shared", "mine", "everybody", "acme"} <= set(
        apprentice("adapters", "list").output.split()
    )
    assert "mine" not in apprentice("adapters", "list", "--tenant", "other").output


def test_what_no_longer_fits_is_shown_with_what_trains_it_anew(
    apprentice: Apprentice, weights: Path, tmp_path: Path, registry: Adapters
) -> None:
    card(registry, weights, "old")
    card(registry, weights, "child", parent="old", tenant="acme")
    told = apprentice("adapters", "show", "child")
    assert json.loads(told.output[: told.output.rindex("}") + 1])["parent"] == "old"
    assert "python -m apprentice.training" not in told.output
    for name in ("old", "child"):  # as if the base had other weights by now
        file = registry.root / name / "card.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"base_fingerprint": "other"}))
    shown = apprentice("adapters", "show", "child").output
    plan = [line.strip() for line in shown.splitlines() if "python -m" in line]
    assert len(plan) == 2
    assert all(f"fingerprint {'d' * 32}" in line for line in plan)
    assert all("--epochs 2.0 --no-quantised" in line for line in plan)
    assert ["--parent" in line for line in plan] == [False, True]
    # What a tenant's data taught stays that tenant's.
    assert ["--tenant acme" in line for line in plan] == [False, True]
    refused = apprentice("adapters", "promote", "child", "--tenant", "acme")
    assert refused.exit_code == 2
    assert "Train it again" in refused.output


def test_what_may_go_is_pruned(apprentice: Apprentice, weights: Path, registry: Adapters) -> None:
    for name in ("a", "b"):
        card(registry, weights, name)
        registry.mark(name, "rejected")
    assert "Deleted: a" in apprentice("adapters", "prune", "--keep", "1").output
    assert "nothing to delete" in apprentice("adapters", "prune", "--keep", "1").output


def test_what_acts_for_another_tenant_is_not_pruned(
    apprentice: Apprentice, weights: Path, registry: Adapters
) -> None:
    card(registry, weights, "shared")
    for tenant in ("default", "acme"):
        assert apprentice("adapters", "promote", "shared", "--tenant", tenant).exit_code == 0
    assert apprentice("adapters", "rollback").exit_code == 0
    assert "nothing to delete" in apprentice("adapters", "prune", "--keep", "0").output
    assert apprentice("adapters", "rollback", "--tenant", "acme").exit_code == 0
    assert "Deleted: shared" in apprentice("adapters", "prune", "--keep", "0").output


def test_what_one_tenant_goes_back_from_still_counts_for_another(
    apprentice: Apprentice, weights: Path, registry: Adapters, workspace: Workspace
) -> None:
    card(registry, weights, "shared")
    for tenant in ("default", "acme"):
        assert apprentice("adapters", "promote", "shared", "--tenant", tenant).exit_code == 0
    assert apprentice("adapters", "rollback").exit_code == 0
    assert registry.read("shared").status == "promoted"
    # So whoever has it may go back to it.
    card(registry, weights, "newer")
    assert apprentice("adapters", "promote", "newer", "--tenant", "acme").exit_code == 0
    assert apprentice("adapters", "rollback", "--tenant", "acme").exit_code == 0
    assert asyncio.run(acting(workspace, "acme")) == "shared"
    assert apprentice("adapters", "rollback", "--tenant", "acme").exit_code == 0
    assert registry.read("shared").status == "retired"


def test_what_cannot_be_put_in_force_stays_as_it_is(
    apprentice: Apprentice, weights: Path, registry: Adapters
) -> None:
    card(registry, weights, "first")
    refused = apprentice("adapters", "promote", "first", "--environment", "nowhere")
    assert (refused.exit_code, "Unknown environment" in refused.output) == (2, True)
    assert registry.read("first").status == "candidate"


def test_who_guesses_a_name_hears_nothing_of_other_tenants(
    weights: Path, registry: Adapters
) -> None:
    card(registry, weights, "mine", tenant="acme")
    card(registry, weights, "shared")
    said = []
    for name in ("mine", "none"):
        with pytest.raises(UnknownName) as refused:
            registry.check_owner(name, "other")
        said.append(str(refused.value).replace(name, ""))
    assert said[0] == said[1] == "Unknown adapter ''. Known: shared."


def test_an_adapter_is_taken_along_merged(
    apprentice: Apprentice, weights: Path, tmp_path: Path, registry: Adapters
) -> None:
    made: list[tuple[str, Path]] = []

    class Merging(Adapters):
        def export_merged(self, name: str, out: Path) -> Path:
            made.append((name, out))
            return out

    class Place(Workspace):
        @property
        def adapters(self) -> Adapters:
            return Merging(self.local_models)

    apprentice.workspace = Place(tmp_path / "data")
    card(registry, weights, "first")
    told = apprentice("adapters", "export", "first", tmp_path / "merged")
    assert made == [("first", tmp_path / "merged")]
    assert str(tmp_path / "merged") in told.output.replace("\n", "")


def test_an_adapter_is_evaluated_as_its_tenants_own(
    apprentice: Apprentice, weights: Path, registry: Adapters
) -> None:
    card(registry, weights, "mine", tenant="acme")
    asked = ("evaluate", "--adapter", "mine", "--limit", "2", "--trials", "1")
    done = apprentice(*asked, "--technique", "none")
    assert done.exit_code == 0, done.output
    assert "2 tasks, 2 attempts" in done.output
    refused = apprentice(*asked, "--technique", "expel")
    assert refused.exit_code == 2
    assert "belongs to 'acme'" in refused.output
    stranger = apprentice(*asked, "--technique", "none", "--tenant", "other")
    assert stranger.exit_code == 2
    assert "Unknown adapter 'mine'" in stranger.output
